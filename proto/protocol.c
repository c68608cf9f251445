#include "protocol.h"

#include "limit.h"

#define TEXT_OF(number) #number
#define TEXT(number)    TEXT_OF(number)

_Static_assert(LIMIT_ELEMENTS == 1048576, "as the text below says");

const char *codec_strerror(int error) {
    static const char *const texts[] = {
        [-CODEC_OK] = "no error",
        [-CODEC_E_NOMEM] = "out of memory, or over a memory limit",
        [-CODEC_E_MALFORMED] = "malformed message",
        [-CODEC_E_LIMIT] =
            ("message over a limit: nesting " TEXT(LIMIT_NESTING) ", elements 2^20, or size"),
        [-CODEC_E_SHAPE] = "not the message that belongs here",
    };
    unsigned index = 0u - (unsigned)error;
    return index < sizeof texts / sizeof *texts ? texts[index] : "unknown error";
}
