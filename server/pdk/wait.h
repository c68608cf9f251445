/* What the functions share that park a handler until something in this process happens. Private to
 * wait*.c. The structs lie on the handler's stack, which stays while it is parked. Only inbox_post
 * may be called outside of the handler's loop. */
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
    /* Called when the time or the event is over. False: the wait cannot end yet. NULL: it always
     * can. */
    bool (*may_end)(struct wait *wait);
    /* Called once, when it ends: closes what the wait has besides its timer. NULL: nothing. */
    void (*leave)(struct wait *wait);
};

/* KONG_OK: start what the handler waits for, and call wait_park whether or not that worked.
 * Otherwise the error is noted already, and wait_park must not be called. ms: UINT64_MAX is no
 * limit. */
int wait_begin(struct wait *wait, struct kong *kong, uint64_t ms);

/* To be called when what the handler waits for has come, or cannot be started. The handler goes on
 * as soon as all handles are closed, never before this returns. Idempotent. */
void wait_end(struct wait *wait);

/* The wait cannot start: as wait_end, and wait_park returns KONG_E_IO with the text of libuv's
 * error. */
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

/* Embedded by whoever posts it; delivered once for each post, on the loop. */
struct inbox_message {
    struct inbox_message *next, *prev;
    void (*deliver)(struct inbox_message *message);
    bool posted;
};

/* From now until inbox_leave other threads can post to the loop. NULL: the wait has failed
 * (wait_fail). */
struct inbox *inbox_enter(struct wait *wait);
/* In `leave`: the message, if it is posted, is not delivered any more. */
void inbox_leave(struct wait *wait, struct inbox *inbox, struct inbox_message *message);
/* From any thread, between enter and leave. */
void inbox_post(struct inbox *inbox, struct inbox_message *message);

#endif
