#include "kong_phase.h"

#include "phase.h"

#define PHASES(PHASE)                                                                              \
    PHASE(CERTIFICATE, "certificate")                                                              \
    PHASE(REWRITE, "rewrite")                                                                      \
    PHASE(ACCESS, "access")                                                                        \
    PHASE(RESPONSE, "response")                                                                    \
    PHASE(HEADER_FILTER, "header_filter")                                                          \
    PHASE(PREREAD, "preread")                                                                      \
    PHASE(LOG, "log")

const char *kong_phase_name(enum kong_phase phase) {
#define NAME(phase, text) [KONG_PHASE_##phase] = text,
    static const char *const names[KONG_PHASE_COUNT] = {PHASES(NAME)};
    return (unsigned)phase < KONG_PHASE_COUNT ? names[phase] : NULL;
}

/* Compared with texts whose lengths the compiler knows: each event comes here. */
int phase_by_name(struct kong_str name) {
#define FIND(phase, text)                                                                          \
    if (name.len == sizeof(text) - 1 && memcmp(name.data, text, sizeof(text) - 1) == 0) {          \
        return KONG_PHASE_##phase;                                                                 \
    }
    PHASES(FIND)
    return -1;
}
