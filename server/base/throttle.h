/* Log lines that peers decide the number of. Zeroed before the first use; of one thread. */
#ifndef SERVER_THROTTLE_H
#define SERVER_THROTTLE_H

#include <stdbool.h>
#include <stdint.h>

#define THROTTLE_LINES 10u /* in a second */

struct throttle {
    uint64_t second;
    unsigned lines;    /* in it */
    uint64_t silenced; /* since a line was last written */
};

/* Whether one more line may be written now; *silenced: how many were not since the last one. */
static inline bool throttle_due(struct throttle *throttle, uint64_t now_ms, uint64_t *silenced) {
    if (now_ms / 1000 != throttle->second) {
        throttle->second = now_ms / 1000;
        throttle->lines = 0;
    }
    if (throttle->lines >= THROTTLE_LINES) {
        throttle->silenced++;
        return false;
    }
    throttle->lines++;
    *silenced = throttle->silenced;
    throttle->silenced = 0;
    return true;
}

#endif
