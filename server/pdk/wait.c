/* A handler that waits: for time, and what all other waits have in common. The wait*.c are the only
 * part of the PDK that knows libuv. */
#include "wait.h"

void wait_closed(struct wait *wait) {
    if (--wait->open == 0) {
        event_wake(wait->event);
    }
}

void wait_on_closed(uv_handle_t *handle) {
    wait_closed(handle->data);
}

void wait_close(struct wait *wait, uv_handle_t *handle, uv_close_cb closed) {
    wait->open++;
    handle->data = wait;
    uv_close(handle, closed);
}

void wait_end(struct wait *wait) {
    if (!wait->ending) {
        wait->ending = true;
        if (wait->leave != NULL) {
            wait->leave(wait);
        }
        wait_close(wait, (uv_handle_t *)&wait->timer, wait_on_closed);
    }
}

static void end_if_may(struct wait *wait) {
    if (wait->may_end == NULL || wait->may_end(wait)) {
        wait_end(wait);
    }
}

static void on_time(uv_timer_t *timer) {
    struct wait *wait = timer->data;
    wait->timed_out = true;
    end_if_may(wait);
}

static void interrupt(void *arg) {
    end_if_may(arg);
}

void wait_fail(struct wait *wait, int uv_error) {
    wait->failure = uv_strerror(uv_error);
    wait_end(wait);
}

int wait_begin(struct wait *wait, struct kong *kong, uint64_t ms) {
    wait->event = pdk_event(kong);
    wait->loop = events_options(wait->event->events)->owner;
    int over = event_call_error(wait->event);
    if (over != 0) {
        return event_fail(wait->event, over, (struct kong_str){NULL, 0});
    }
    if (wait->loop == NULL) {
        return event_fail(wait->event, KONG_E_IO, kong_str("there is no loop to wait on"));
    }
    uv_update_time(wait->loop); /* the loop's idea of now is from before the handler ran */
    int rc = uv_timer_init(wait->loop, &wait->timer);
    if (rc != 0) {
        return event_fail(wait->event, KONG_E_IO, kong_str(uv_strerror(rc)));
    }
    wait->timer.data = wait;
    /* The loop counts whole milliseconds, and this one has begun. */
    uint64_t whole = ms == 0 || ms >= UINT64_MAX - 1 ? ms : ms + 1;
    rc = ms == UINT64_MAX ? 0 : uv_timer_start(&wait->timer, on_time, whole, 0);
    if (rc != 0) {
        wait_fail(wait, rc);
    }
    return KONG_OK;
}

int wait_park(struct wait *wait) {
    event_sleep(wait->event, interrupt, wait);
    if (wait->failure != NULL) {
        return event_fail(wait->event, KONG_E_IO, kong_str(wait->failure));
    }
    int over = event_call_error(wait->event);
    return over == 0 ? KONG_OK : event_fail(wait->event, over, (struct kong_str){NULL, 0});
}

int kong_sleep(struct kong *kong, uint64_t ms) {
    struct wait wait = {.event = NULL};
    int rc = wait_begin(&wait, kong, ms);
    return rc != 0 ? rc : wait_park(&wait);
}
