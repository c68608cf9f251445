/* Kong's phases, by Kong's names. Public: kong.h includes it. */
#ifndef KONG_PHASE_H
#define KONG_PHASE_H

enum kong_phase {
    KONG_PHASE_CERTIFICATE,
    KONG_PHASE_REWRITE,
    KONG_PHASE_ACCESS,
    KONG_PHASE_RESPONSE,
    KONG_PHASE_HEADER_FILTER, /* no Kong up to 3.9 can call a plugin server here: see kong.h */
    KONG_PHASE_PREREAD,
    KONG_PHASE_LOG,
    KONG_PHASE_COUNT
};

#ifdef __cplusplus
extern "C" {
#endif

/* "access"; NULL outside the enum. Static. */
const char *kong_phase_name(enum kong_phase phase);

#ifdef __cplusplus
}
#endif

#endif
