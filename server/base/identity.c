#include "identity.h"

#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "clock.h"

uint64_t identity_hash(uint64_t hash, const void *bytes, size_t len) {
    const unsigned char *byte = bytes;
    for (size_t i = 0; i < len; i++) {
        hash = (hash ^ byte[i]) * 1099511628211u;
    }
    return hash;
}

uint32_t identity_random(void) {
    uint32_t number;
    if (getrandom(&number, sizeof number, GRND_NONBLOCK) == (ssize_t)sizeof number) {
        return number;
    }
    return (uint32_t)clock_ns() * 2654435761u ^ (uint32_t)getpid() << 16;
}

uint64_t config_identity(struct kong_str config) {
    static const char counter[] = "\"__seq__\":";
    uint64_t hash = IDENTITY_NOTHING;
    const char *at = config.data;
    const char *end = config.len == 0 ? at : at + config.len;
    const char *found;
    while (at != end &&
           (found = memmem(at, (size_t)(end - at), counter, sizeof counter - 1)) != NULL) {
        found += sizeof counter - 1;
        hash = identity_hash(hash, at, (size_t)(found - at));
        while (found != end && *found >= '0' && *found <= '9') {
            found++;
        }
        at = found;
    }
    return at == end ? hash : identity_hash(hash, at, (size_t)(end - at));
}
