#include "pdk_methods.h"

#include <stdlib.h>
#include <strings.h>

/* The sets of phases in pdk_methods.def.
 *
 * In the phase log a plugin server runs in a timer, on a copy of ngx.ctx and of some request data:
 * what Kong has saved, what lives in ngx.ctx and what needs no request works there. What reads
 * ngx.var or ngx.req raises, although Kong's own list of phases has log. Kong's phases body_filter
 * and client_hello never reach a plugin server: a method that is allowed only there has an empty
 * set. */
enum {
    IN_NONE = 0,
    IN_CERTIFICATE = 1 << KONG_PHASE_CERTIFICATE,
    IN_REWRITE = 1 << KONG_PHASE_REWRITE,
    IN_ACCESS = 1 << KONG_PHASE_ACCESS,
    IN_PREREAD = 1 << KONG_PHASE_PREREAD,
    IN_LOG = 1 << KONG_PHASE_LOG,
    /* while the request to the upstream can be changed */
    IN_UPSTREAM = IN_REWRITE | IN_ACCESS,
    /* once there is a response */
    IN_RESPONSE = (1 << KONG_PHASE_RESPONSE) | (1 << KONG_PHASE_HEADER_FILTER),
    /* while there is an HTTP request */
    IN_REQUEST = IN_UPSTREAM | IN_RESPONSE,
    /* until the answer starts to leave for the client */
    IN_BUFFERED = IN_UPSTREAM | (1 << KONG_PHASE_RESPONSE),
    /* while there is a connection whose variables nginx knows: not yet in certificate */
    IN_CONNECTION = IN_PREREAD | IN_REQUEST,
    /* from the phase on in which consumer and route are known; both are in ngx.ctx */
    IN_AUTH_AND_LATER = IN_ACCESS | IN_RESPONSE | IN_LOG,
    IN_ANY = (1 << KONG_PHASE_COUNT) - 1,
};

/* The sets of what answers depend on. Read in Kong 3.9.1's PDK: kong.service.request.* changes the
 * request that kong.request.* looks at (ngx.req), kong.response.* does not; all but the logs may
 * write to ngx.ctx. */
enum {
    OF_NONE = 0,
    OF_FIXED = PDK_OF_FIXED,
    OF_REQUEST = PDK_OF_REQUEST,
    OF_RESPONSE = PDK_OF_RESPONSE,
    OF_SHARED = PDK_OF_CTX,
    OF_CTX = PDK_OF_CTX | PDK_OF_MOMENT,
    OF_ROUTE = PDK_OF_ROUTE,
    OF_CONSUMER = PDK_OF_CONSUMER,
    OF_MOMENT = PDK_OF_MOMENT,
    OF_ALL = PDK_OF_ALL,
};

#define PLAIN(flags, phases, not_2_8)                                                              \
    ((not_2_8) != 0 ? IN_NONE : ((flags)&PDK_LOG_CONDITIONS) != 0 ? (phases) & ~IN_LOG : (phases))

const struct pdk_method pdk_methods[PDK_COUNT] = {
#define PDK(id, name, args, result, flags, phases, not_2_8, reads, changes)                        \
    [PDK_##id] = {{name, sizeof(name) - 1},                                                        \
                  PDK_ARGS_##args,                                                                 \
                  PDK_RESULT_##result,                                                             \
                  flags,                                                                           \
                  phases,                                                                          \
                  not_2_8,                                                                         \
                  PLAIN(flags, phases, not_2_8),                                                   \
                  (reads),                                                                         \
                  (changes),                                                                       \
                  PDK_##id},
#include "pdk_methods.def"
#undef PDK
#undef PLAIN
};

bool pdk_is_plain_header(struct kong_str name) {
    for (size_t i = 0; i < name.len; i++) {
        if (name.data[i] == '_' || name.data[i] == ':') {
            return false;
        }
    }
    return name.len > 0;
}

bool pdk_same_header(struct kong_str a, struct kong_str b) {
    return a.len == b.len && (a.len == 0 || strncasecmp(a.data, b.data, a.len) == 0);
}

/* A name sorts before its extensions. */
static int compare(const void *key, const void *element) {
    const struct kong_str *name = key;
    const struct kong_str *other = &((const struct pdk_method *)element)->name;
    size_t common = name->len < other->len ? name->len : other->len;
    int order = common == 0 ? 0 : memcmp(name->data, other->data, common);

    return order != 0 ? order : (name->len > other->len) - (name->len < other->len);
}

const struct pdk_method *pdk_method_find(struct kong_str name) {
    return bsearch(&name, pdk_methods, PDK_COUNT, sizeof *pdk_methods, compare);
}
