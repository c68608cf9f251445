#include "kong_event.h"

const char *kong_strerror(int error) {
    static const char *const texts[] = {
        [-KONG_OK] = "no error",
        [-KONG_E_GONE] = "Kong closed the connection",
        [-KONG_E_ENDED] = "the request was ended by an exit before",
        [-KONG_E_TIMEOUT] = "timed out",
        [-KONG_E_NOMEM] = "out of memory",
        [-KONG_E_UNSUPPORTED] = "unsupported by this protocol",
        [-KONG_E_INVALID] = "invalid argument",
        [-KONG_E_KONG] = "Kong answered with an error",
        [-KONG_E_TYPE] = "Kong's answer is not of the expected type",
        [-KONG_E_TOO_BIG] = "too big",
        [-KONG_E_IO] = "input or output failed",
        [-KONG_E_FAILED] = "the plugin failed",
        [-KONG_E_PHASE] = "Kong does not allow the call in this phase",
        [-KONG_E_NO_REQUEST] = "a job has no request",
    };
    unsigned index = 0u - (unsigned)error;
    return index < sizeof texts / sizeof *texts ? texts[index] : "unknown error";
}
