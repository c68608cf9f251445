#include "busy_poll.h"

static void on_idle(uv_idle_t *idle) {
    struct busy_poll *poll = idle->data;
    uint64_t now = poll->now_ns();
    stats_count(&poll->stats->busy_ns, now - poll->seen_ns);
    poll->seen_ns = now;
    if (now >= poll->end_ns) {
        uv_idle_stop(idle);
    }
}

void busy_poll_init(struct busy_poll *poll, uv_loop_t *loop, unsigned span_us,
                    struct stats *stats) {
    if (span_us == 0) {
        return;
    }
    uv_idle_init(loop, &poll->idle); /* always 0 */
    poll->idle.data = poll;
    poll->span_ns = (uint64_t)span_us * 1000;
    poll->now_ns = clock_ns;
    poll->stats = stats;
}

void busy_poll_close(struct busy_poll *poll) {
    if (poll->span_ns != 0) {
        poll->span_ns = 0;
        uv_close((uv_handle_t *)&poll->idle, NULL);
    }
}

void busy_poll_extend(struct busy_poll *poll) {
    uint64_t now = poll->now_ns();
    poll->end_ns = now + poll->span_ns;
    if (uv_is_active((uv_handle_t *)&poll->idle) == 0) {
        poll->seen_ns = now;
        uv_idle_start(&poll->idle, on_idle); /* always 0 */
    }
}
