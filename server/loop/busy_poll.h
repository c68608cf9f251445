/* --busy-poll: for so long after the last thing that was written to Kong the loop looks for what
 * comes next without sleeping. That spares the time in which a sleeping thread is woken, and costs
 * a processor's time: for hosts that have a core to spare. A server with nothing to do sleeps. */
#ifndef SERVER_BUSY_POLL_H
#define SERVER_BUSY_POLL_H

#include <uv.h>

#include "stats.h"

#define BUSY_POLL_MOST_US 10000u

/* Owned by whoever embeds it: one loop's. Zeroed: it is off, and all calls do nothing. */
struct busy_poll {
    uv_idle_t idle; /* active: the loop does not sleep */
    uint64_t span_ns;
    uint64_t end_ns;  /* when it sleeps again */
    uint64_t seen_ns; /* until when the time is counted */
    uint64_t (*now_ns)(void);
    struct stats *stats; /* borrowed */
};

/* span_us 0: off. */
void busy_poll_init(struct busy_poll *poll, uv_loop_t *loop, unsigned span_us, struct stats *stats);
void busy_poll_close(struct busy_poll *poll);

void busy_poll_extend(struct busy_poll *poll);

/* Something was written: what Kong says to it may come soon. */
static inline void busy_poll_wrote(struct busy_poll *poll) {
    if (poll->span_ns != 0) {
        busy_poll_extend(poll);
    }
}

/* Something came. */
static inline void busy_poll_heard(struct busy_poll *poll) {
    if (poll->span_ns != 0) {
        stats_count(&poll->stats->busy_hits, uv_is_active((uv_handle_t *)&poll->idle) != 0);
    }
}

#endif
