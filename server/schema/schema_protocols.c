/* Which of Kong's protocols a plugin may be put on. Kong's own: typedefs.protocols_http in
 * kong/db/schema/typedefs.lua, and PROTOCOLS_WITH_SUBSYSTEM in kong/constants.lua (2.8 and 3.9);
 * ws and wss are Kong Enterprise's. */
#include <stdio.h>
#include <string.h>

#include "schema.h"
#include "text.h"

#define PHASE(name) (1u << KONG_PHASE_##name)
#define REQUEST     (PHASE(REWRITE) | PHASE(ACCESS) | PHASE(RESPONSE) | PHASE(HEADER_FILTER))
#define HTTP        (REQUEST | PHASE(LOG))
#define STREAM      (PHASE(PREREAD) | PHASE(LOG))

static const struct protocol {
    const char *name;
    unsigned phases; /* that Kong runs on it */
} PROTOCOLS[] = {
    {"grpc", HTTP},  {"grpcs", HTTP | PHASE(CERTIFICATE)}, {"http", HTTP},
    {"ws", HTTP},    {"https", HTTP | PHASE(CERTIFICATE)}, {"wss", HTTP | PHASE(CERTIFICATE)},
    {"tcp", STREAM}, {"tls", STREAM | PHASE(CERTIFICATE)}, {"tls_passthrough", STREAM},
    {"udp", STREAM},
};
#define PROTOCOL_COUNT (sizeof PROTOCOLS / sizeof PROTOCOLS[0])

const char *const *schema_protocols(const struct kong_schema *schema, unsigned phases) {
    static const char *const all[] = {"grpc", "grpcs",           "http", "https", "tcp",
                                      "tls",  "tls_passthrough", "udp",  NULL};
    static const char *const http[] = {"grpc", "grpcs", "http", "https", NULL};
    static const char *const secure[] = {"grpcs", "https", "tls", NULL};

    if (schema != NULL && schema->protocols != NULL) {
        return schema->protocols;
    }
    if ((phases & PHASE(PREREAD)) != 0) {
        return (phases & REQUEST) != 0 ? all : all + 4;
    }
    return (phases & REQUEST) == 0 && (phases & PHASE(CERTIFICATE)) != 0 ? secure : http;
}

/* Those that have the phase, "grpc, http". */
static void name_protocols(unsigned phase, struct text *names) {
    for (size_t i = 0; i < PROTOCOL_COUNT; i++) {
        if ((PROTOCOLS[i].phases & 1u << phase) != 0 && PROTOCOLS[i].name[0] != 'w') {
            text_add_item(names, ", ", PROTOCOLS[i].name);
        }
    }
}

int schema_check_protocols(const struct kong_schema *schema, unsigned phases, char *error,
                           size_t error_size) {
    const char *const *protocols = schema_protocols(schema, phases);
    unsigned run = 0;

    if (protocols[0] == NULL) {
        snprintf(error, error_size, ".protocols is empty: leave it out, or name some");
        return -1;
    }
    for (; *protocols != NULL; protocols++) {
        size_t i = 0;
        while (i < PROTOCOL_COUNT && strcmp(*protocols, PROTOCOLS[i].name) != 0) {
            i++;
        }
        if (i == PROTOCOL_COUNT) {
            snprintf(error, error_size, ".protocols: Kong knows no \"%.100s\"", *protocols);
            return -1;
        }
        run |= PROTOCOLS[i].phases;
    }
    for (unsigned phase = 0; phase < KONG_PHASE_COUNT; phase++) {
        if ((phases & ~run & 1u << phase) != 0) {
            char fitting[100];
            struct text names = TEXT_IN(fitting);
            name_protocols(phase, &names);
            snprintf(error, error_size,
                     "Kong runs the phase %s on none of its .protocols: add one of %s, or take the "
                     "handler away",
                     kong_phase_name((enum kong_phase)phase), fitting);
            return -1;
        }
    }
    return 0;
}
