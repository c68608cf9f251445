/* What all functions share that park a handler for something of ours. Private to wait*.c. The
 * structs lie on the handler's stack, which stays while it is parked; all of them are used on the
 * handler's loop only, but for inbox_post. */
#ifndef SERVER_WAIT_H
#define SERVER_WAIT_H

#include <pthread.h>
#include <uv.h>

#include "pdk_call.h"

/* --- One wait --- */

struct wait {
    struct event *event;
    uv_loop_t *loop;
    uv_timer_t timer;
    unsigned open; /* handles that libuv still has */
    bool ending;
    bool timed_out;
    const char *failure; /* libuv's text; NULL */
    /* Asked when the time or the event is over: false: it cannot end yet. NULL: it can. */
    bool (*may_end)(struct wait *wait);
    /* Called once, when it ends: closes what the wait has besides its timer. NULL: nothing. */
    void (*leave)(struct wait *wait);
};

/* KONG_OK: what the handler waits for can be started, and wait_park must follow, whatever comes of
 * that. Otherwise the error is noted already, and there is no wait. ms: UINT64_MAX: no limit. */
int wait_begin(struct wait *wait, struct kong *kong, uint64_t ms);

/* What the handler waits for has come, or cannot be started: it goes on as soon as all handles are
 * closed, never before this returns. Idempotent. */
void wait_end(struct wait *wait);

/* The wait cannot be: wait_end, and wait_park gives KONG_E_IO with the text of libuv's error. */
void wait_fail(struct wait *wait, int uv_error);

/* In `leave`: closes one of the wait's handles, whose `data` becomes the wait. `closed` is
 * wait_on_closed, or calls wait_closed last. */
void wait_close(struct wait *wait, uv_handle_t *handle, uv_close_cb closed);
void wait_on_closed(uv_handle_t *handle);
void wait_closed(struct wait *wait);

/* Parks the handler until the wait has ended. KONG_OK; or the error that ended its event; or
 * KONG_E_IO. */
int wait_park(struct wait *wait);

/* --- Word from other threads --- */

struct inbox;

/* Embedded in what is told of; delivered once for each post, on the loop. */
struct inbox_message {
    struct inbox_message *next, *prev;
    void (*deliver)(struct inbox_message *message);
    bool posted;
};

/* The loop hears other threads from here until inbox_leave. NULL: it cannot; the wait has failed
 * then (wait_fail). */
struct inbox *inbox_enter(struct wait *wait);
/* In `leave`: the message, if it is posted, is not delivered any more. */
void inbox_leave(struct wait *wait, struct inbox *inbox, struct inbox_message *message);
/* From any thread, between enter and leave. */
void inbox_post(struct inbox *inbox, struct inbox_message *message);

#endif
