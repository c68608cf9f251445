#include "identity.h"

#include <string.h>

#define FNV_BASIS 14695981039346656037u
#define FNV_PRIME 1099511628211u

static uint64_t add(uint64_t hash, const char *bytes, size_t len) {
    for (size_t i = 0; i < len; i++) {
        hash = (hash ^ (unsigned char)bytes[i]) * FNV_PRIME;
    }
    return hash;
}

uint64_t config_identity(struct kong_str config) {
    static const char counter[] = "\"__seq__\":";
    uint64_t hash = FNV_BASIS;
    const char *at = config.data;
    const char *end = config.len == 0 ? at : at + config.len;
    const char *found;
    while (at != end &&
           (found = memmem(at, (size_t)(end - at), counter, sizeof counter - 1)) != NULL) {
        found += sizeof counter - 1;
        hash = add(hash, at, (size_t)(found - at));
        while (found != end && *found >= '0' && *found <= '9') {
            found++;
        }
        at = found;
    }
    return at == end ? hash : add(hash, at, (size_t)(end - at));
}
