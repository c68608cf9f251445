/* Handlers that wait for something of ours: time, or another thread. The only part of the PDK that
 * knows libuv. What libuv needs lies on the handler's stack, which stays while it is suspended. */
#include "event.h"

#include <string.h>

#include <uv.h>

#include "hooks.h"
#include "pdk_call.h"

static uv_loop_t *loop_of(struct event *event) {
    return events_options(event->events)->owner;
}

static int no_loop(struct event *event) {
    return event_fail(event, KONG_E_IO, kong_str("there is no loop to wait on"));
}

/* What came to pass while the handler was suspended. */
static int after_sleep(struct event *event) {
    int over = event_call_error(event);
    return over == 0 ? KONG_OK : event_fail(event, over, (struct kong_str){NULL, 0});
}

/* --- Time --- */

struct nap {
    uv_timer_t timer;
    struct event *event;
};

/* The timer is libuv's until here. */
static void on_nap_closed(uv_handle_t *handle) {
    struct nap *nap = handle->data;
    event_wake(nap->event);
}

static void on_nap_over(uv_timer_t *timer) {
    uv_close((uv_handle_t *)timer, on_nap_closed);
}

static void end_nap(void *arg) {
    struct nap *nap = arg;
    if (!uv_is_closing((uv_handle_t *)&nap->timer)) {
        uv_close((uv_handle_t *)&nap->timer, on_nap_closed);
    }
}

int kong_sleep(struct kong *kong, uint64_t ms) {
    struct nap nap = {.event = pdk_event(kong)};
    uv_loop_t *loop = loop_of(nap.event);
    int over = event_call_error(nap.event);
    if (over != 0) {
        return event_fail(nap.event, over, (struct kong_str){NULL, 0});
    }
    if (loop == NULL) {
        return no_loop(nap.event);
    }
    uv_update_time(loop); /* the loop's idea of now is from before the handler ran */
    int rc = uv_timer_init(loop, &nap.timer);
    if (rc != 0) {
        return event_fail(nap.event, KONG_E_IO, kong_str(uv_strerror(rc)));
    }
    nap.timer.data = &nap;
    rc = uv_timer_start(&nap.timer, on_nap_over, ms, 0);
    if (rc != 0) {
        uv_close((uv_handle_t *)&nap.timer, on_nap_closed); /* which is waited for, too */
    }
    event_sleep(nap.event, end_nap, &nap);
    return rc != 0 ? event_fail(nap.event, KONG_E_IO, kong_str(uv_strerror(rc)))
                   : after_sleep(nap.event);
}

/* --- Another thread --- */

struct errand {
    uv_work_t work;
    struct event *event;
    void (*fn)(void *arg);
    void *arg;
    int failed; /* fn ended by an exception, which has this text */
    char error[256];
};

static int call_errand(void *arg) {
    struct errand *errand = arg;
    errand->fn(errand->arg);
    return 0;
}

/* While it runs, the crash record says whose it is. The event lies still until it is done. */
static void run_errand(uv_work_t *work) {
    struct errand *errand = work->data;
    struct running_slot *slot = event_enter_blocking(errand->event);
    errand->failed = hooks_guard(events_options(errand->event->events)->plugin, call_errand, errand,
                                 errand->error, sizeof errand->error);
    event_leave_blocking(slot);
}

/* The request is libuv's until here; it was cancelled, or fn has returned. */
static void on_errand_done(uv_work_t *work, int status) {
    struct errand *errand = work->data;
    (void)status;
    event_wake(errand->event);
}

/* Has an effect only while no thread has begun with it; else fn is waited for. */
static void drop_errand(void *arg) {
    struct errand *errand = arg;
    uv_cancel((uv_req_t *)&errand->work);
}

int kong_run_blocking(struct kong *kong, void (*fn)(void *arg), void *arg) {
    struct errand errand = {.event = pdk_event(kong), .fn = fn, .arg = arg};
    uv_loop_t *loop = loop_of(errand.event);
    int over = event_call_error(errand.event);
    if (over != 0) {
        return event_fail(errand.event, over, (struct kong_str){NULL, 0});
    }
    if (loop == NULL) {
        return no_loop(errand.event);
    }
    errand.work.data = &errand;
    int rc = uv_queue_work(loop, &errand.work, run_errand, on_errand_done);
    if (rc != 0) {
        return event_fail(errand.event, KONG_E_IO, kong_str(uv_strerror(rc)));
    }
    event_sleep(errand.event, drop_errand, &errand);
    rc = after_sleep(errand.event);
    if (rc == 0 && errand.failed != 0) {
        rc = event_fail(errand.event, KONG_E_FAILED,
                        arena_copy(&errand.event->arena, errand.error, strlen(errand.error)));
    }
    return rc;
}
