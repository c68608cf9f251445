#include "protocol.h"

#include "limit.h"

#define TEXT_OF(number) #number
#define TEXT(number)    TEXT_OF(number)

_Static_assert(LIMIT_ELEMENTS == 1048576, "as the text below says");

const char *codec_strerror(int error) {
    switch (error) {
    case CODEC_OK:
        return "no error";
    case CODEC_E_NOMEM:
        return "out of memory, or over a memory limit";
    case CODEC_E_MALFORMED:
        return "malformed message";
    case CODEC_E_LIMIT:
        return "message over a limit: nesting " TEXT(LIMIT_NESTING) ", elements 2^20, or size";
    case CODEC_E_SHAPE:
        return "not the message that belongs here";
    default:
        return "unknown error";
    }
}
