/* Reports about failed events, and about the server: to Kong, through the current event, and on
 * stderr. For event.c and for the server. */
#ifndef SERVER_EVENT_REPORT_H
#define SERVER_EVENT_REPORT_H

#include "event.h"

/* The arguments of kong.response.exit by which a request ends whose plugin fails closed. */
#define EVENT_EXIT_ARGS 3
extern const struct kong_value event_exit_args[EVENT_EXIT_ARGS];

/* The handler failed, or there is none to run (event->refused): counted, logged the first time and
 * then once a minute for its instance, and Kong is told as the plugin wants it. Calls made here are
 * posted, nothing waits. */
void event_report_failure(struct event *event);

/* Posts the notices that waited for a request to carry them. */
void event_post_notices(struct event *event);

/* Adds a notice about the death of the process before this one, as its supervisor knows it. Does
 * nothing without a restart. */
void notice_restart(struct notices *notices, const struct plugins *plugins,
                    const struct running *running);

/* Zeroed before the first time. */
struct limits_told {
    uint64_t times[STATS_LIMIT_COUNT]; /* how often each was reached when it was told last */
    uint64_t at_ms;
};

/* Adds a notice for each limit that was reached since the last one, once a minute. */
void notice_limits(struct notices *notices, struct limits_told *told, const char *plugin,
                   const uint64_t *limits, uint64_t now_ms);

#endif
