#include "kong_event.h"

const char *kong_strerror(int error) {
    switch (error) {
    case KONG_OK:
        return "no error";
    case KONG_E_GONE:
        return "Kong closed the connection";
    case KONG_E_ENDED:
        return "the request was ended by an exit before";
    case KONG_E_TIMEOUT:
        return "timed out";
    case KONG_E_NOMEM:
        return "out of memory";
    case KONG_E_UNSUPPORTED:
        return "unsupported by this protocol";
    case KONG_E_INVALID:
        return "invalid argument";
    case KONG_E_KONG:
        return "Kong answered with an error";
    case KONG_E_TYPE:
        return "Kong's answer is not of the expected type";
    case KONG_E_TOO_BIG:
        return "too big";
    case KONG_E_IO:
        return "input or output failed";
    case KONG_E_FAILED:
        return "the plugin failed";
    case KONG_E_PHASE:
        return "Kong does not allow the call in this phase";
    case KONG_E_NO_REQUEST:
        return "a job has no request";
    default:
        return "unknown error";
    }
}
