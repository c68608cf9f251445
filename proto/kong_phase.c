#include "kong_phase.h"

#include "phase.h"

#define PHASE(phase, text) [KONG_PHASE_##phase] = {text, sizeof(text) - 1}
static const struct kong_str names[KONG_PHASE_COUNT] = {
    PHASE(CERTIFICATE, "certificate"),
    PHASE(REWRITE, "rewrite"),
    PHASE(ACCESS, "access"),
    PHASE(RESPONSE, "response"),
    PHASE(HEADER_FILTER, "header_filter"),
    PHASE(PREREAD, "preread"),
    PHASE(LOG, "log"),
};
#undef PHASE

const char *kong_phase_name(enum kong_phase phase) {
    return (unsigned)phase < KONG_PHASE_COUNT ? names[phase].data : NULL;
}

/* By their length first: hardly any two are as long as each other. */
int phase_by_name(struct kong_str name) {
    for (int phase = 0; phase < KONG_PHASE_COUNT; phase++) {
        if (name.len == names[phase].len && memcmp(name.data, names[phase].data, name.len) == 0) {
            return phase;
        }
    }
    return -1;
}
