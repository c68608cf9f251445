/* A handler that waits until another thread wakes it. That may happen before, while or after it
 * waits, and even after its end. */
#include "wait.h"

#include <stdlib.h>

/* It has two holders: the handler until its end, and the waker until it has woken the handler. */
struct kong_waiter {
    struct event_cleanup cleanup; /* the handler's end */
    struct event *event;
    void (*discard)(void *result);
    struct inbox_message message;
    pthread_mutex_t lock; /* of the rest */
    unsigned holders;
    bool woken;
    bool taken; /* the handler has the result */
    void *result;
    struct waiter_wait *parked;
};

struct waiter_wait {
    struct wait wait;
    struct kong_waiter *waiter;
    struct inbox *inbox;
};

/* Called under the lock, which it releases: one holder less. */
static void let_go(struct kong_waiter *waiter) {
    bool last = --waiter->holders == 0;
    bool unwanted = last && waiter->woken && !waiter->taken && waiter->discard != NULL;
    pthread_mutex_unlock(&waiter->lock);
    if (!last) {
        return;
    }
    if (unwanted) {
        waiter->discard(waiter->result);
    }
    pthread_mutex_destroy(&waiter->lock);
    free(waiter);
}

static void on_handler_end(struct event_cleanup *cleanup, struct event *event) {
    struct kong_waiter *waiter =
        (struct kong_waiter *)((char *)cleanup - offsetof(struct kong_waiter, cleanup));
    (void)event;
    pthread_mutex_lock(&waiter->lock);
    let_go(waiter);
}

static void deliver(struct inbox_message *message) {
    struct kong_waiter *waiter =
        (struct kong_waiter *)((char *)message - offsetof(struct kong_waiter, message));
    wait_end(&waiter->parked->wait); /* of this thread, as long as the message is delivered */
}

int kong_waiter_open(struct kong *kong, void (*discard)(void *result),
                     struct kong_waiter **waiter) {
    struct event *event = pdk_event(kong);
    struct kong_waiter *made = calloc(1, sizeof *made);
    *waiter = made;
    if (made == NULL) {
        return event_fail(event, KONG_E_NOMEM, (struct kong_str){NULL, 0});
    }
    pthread_mutex_init(&made->lock, NULL); /* default attributes: cannot fail on Linux */
    made->event = event;
    made->discard = discard;
    made->holders = 2;
    made->message.deliver = deliver;
    made->cleanup.run = on_handler_end;
    event_at_end(event, &made->cleanup);
    return KONG_OK;
}

void kong_waiter_wake(struct kong_waiter *waiter, void *result) {
    pthread_mutex_lock(&waiter->lock);
    waiter->woken = true;
    waiter->result = result;
    if (waiter->parked != NULL) {
        inbox_post(waiter->parked->inbox, &waiter->message);
    }
    let_go(waiter);
}

static void leave(struct wait *wait) {
    struct waiter_wait *parked = (struct waiter_wait *)wait;
    pthread_mutex_lock(&parked->waiter->lock);
    parked->waiter->parked = NULL;
    pthread_mutex_unlock(&parked->waiter->lock);
    if (parked->inbox != NULL) {
        inbox_leave(wait, parked->inbox, &parked->waiter->message);
    }
}

/* True: it has been woken, there is nothing to wait for. */
static bool take_or_park(struct waiter_wait *parked) {
    struct kong_waiter *waiter = parked->waiter;
    pthread_mutex_lock(&waiter->lock);
    bool woken = waiter->woken;
    if (!woken) {
        waiter->parked = parked;
    }
    pthread_mutex_unlock(&waiter->lock);
    return woken;
}

static int park(struct kong_waiter *waiter, struct kong *kong, uint64_t timeout_ms) {
    struct waiter_wait parked = {.wait.leave = leave, .waiter = waiter};
    int rc = wait_begin(&parked.wait, kong, timeout_ms);
    if (rc != 0) {
        return rc;
    }
    if (!parked.wait.ending) {
        parked.inbox = inbox_enter(&parked.wait);
    }
    if (parked.inbox != NULL && take_or_park(&parked)) {
        wait_end(&parked.wait);
    }
    return wait_park(&parked.wait);
}

int kong_waiter_wait(struct kong *kong, struct kong_waiter *waiter, uint64_t timeout_ms,
                     bool *woken, void **result) {
    struct event *event = pdk_event(kong);
    *woken = false;
    *result = NULL;
    if (waiter->event != event) {
        return event_fail(event, KONG_E_INVALID, kong_str("the waiter of another handler"));
    }
    pthread_mutex_lock(&waiter->lock);
    bool already = waiter->woken;
    bool taken = waiter->taken;
    pthread_mutex_unlock(&waiter->lock);
    if (taken) {
        return event_fail(event, KONG_E_INVALID, kong_str("the waiter was woken before"));
    }
    int rc = already ? KONG_OK : park(waiter, kong, timeout_ms);
    pthread_mutex_lock(&waiter->lock);
    if (rc == KONG_OK && waiter->woken) {
        *woken = waiter->taken = true;
        *result = waiter->result;
    }
    pthread_mutex_unlock(&waiter->lock);
    return rc;
}
