/* What is said of events that go wrong, and of the server: to Kong, through the event at hand, and
 * on stderr. For event.c, and for
 * the server, where several loops have their events. */
#ifndef SERVER_EVENT_REPORT_H
#define SERVER_EVENT_REPORT_H

#include "event.h"

/* The handler failed, or there is none to run (event->refused): counted, logged the first time and
 * then once a minute for its instance, and Kong is told as the plugin wants it. Calls made here are
 * posted, nothing waits. */
void event_report_failure(struct event *event);

/* What waited for a request to travel with. */
void event_post_notices(struct event *event);

/* The process before this one died: what its supervisor knows of it. Nothing without a restart. */
void notice_restart(struct notices *notices, const struct plugins *plugins,
                    const struct running *running);

/* Zeroed before the first time. */
struct limits_told {
    uint64_t times[STATS_LIMIT_COUNT]; /* how often each was reached when it was told last */
    uint64_t at_ms;
};

/* Each of the STATS_LIMIT_COUNT that was reached since, once a minute. */
void notice_limits(struct notices *notices, struct limits_told *told, const char *plugin,
                   const uint64_t *limits, uint64_t now_ms);

#endif
