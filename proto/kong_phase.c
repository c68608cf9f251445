#include "kong_phase.h"

#include <stddef.h>

const char *kong_phase_name(enum kong_phase phase) {
    switch (phase) {
    case KONG_PHASE_CERTIFICATE:
        return "certificate";
    case KONG_PHASE_REWRITE:
        return "rewrite";
    case KONG_PHASE_ACCESS:
        return "access";
    case KONG_PHASE_RESPONSE:
        return "response";
    case KONG_PHASE_HEADER_FILTER:
        return "header_filter";
    case KONG_PHASE_PREREAD:
        return "preread";
    case KONG_PHASE_LOG:
        return "log";
    case KONG_PHASE_COUNT:
        break;
    }
    return NULL;
}
