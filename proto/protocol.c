#include "protocol.h"

const char *codec_strerror(int error) {
    switch (error) {
    case CODEC_OK:
        return "no error";
    case CODEC_E_NOMEM:
        return "out of memory, or over a memory limit";
    case CODEC_E_MALFORMED:
        return "malformed message";
    case CODEC_E_LIMIT:
        return "message over a limit of size, nesting or count";
    case CODEC_E_SHAPE:
        return "not the message that belongs here";
    default:
        return "unknown error";
    }
}
