/* A handler that waits for a function on another thread. */
#include "wait.h"

#include <string.h>

#include "blocking_pool.h"
#include "hooks.h"

struct errand {
    struct wait wait;
    struct blocking_work work;
    struct inbox *inbox;
    struct inbox_message message;
    void (*fn)(void *arg);
    void *arg;
    bool submitted, withdrawn;
    int failed; /* fn ended by an exception, which has this text */
    char error[256];
};

static struct blocking_pool *pool_of(const struct errand *errand) {
    return events_options(errand->wait.event->events)->blocking;
}

static int call_fn(void *arg) {
    struct errand *errand = arg;
    errand->fn(errand->arg);
    return 0;
}

/* On a thread of the pool. While fn runs, the crash record names its event. Nobody else touches the
 * event until the post. */
static void run(struct blocking_work *work) {
    struct errand *errand = (struct errand *)((char *)work - offsetof(struct errand, work));
    struct event *event = errand->wait.event;
    struct running_slot *slot = event_enter_blocking(event);
    errand->failed =
        hooks_guard(event->plugin->what, call_fn, errand, errand->error, sizeof errand->error);
    event_leave_blocking(slot);
    inbox_post(errand->inbox, &errand->message);
}

static void deliver(struct inbox_message *message) {
    struct errand *errand = (struct errand *)((char *)message - offsetof(struct errand, message));
    wait_end(&errand->wait);
}

/* The wait can end while no thread has started fn; after that it lasts until fn returns. */
static bool may_end(struct wait *wait) {
    struct errand *errand = (struct errand *)wait;
    if (errand->submitted && !errand->withdrawn) {
        errand->withdrawn = blocking_pool_withdraw(pool_of(errand), &errand->work);
    }
    return !errand->submitted || errand->withdrawn;
}

static void leave(struct wait *wait) {
    struct errand *errand = (struct errand *)wait;
    if (errand->inbox != NULL) {
        inbox_leave(wait, errand->inbox, &errand->message);
    }
}

static int result_of(struct errand *errand, int rc) {
    struct event *event = errand->wait.event;
    uint64_t limit_ms = events_options(event->events)->blocking_wait_ms;
    if (rc != 0) {
        return rc;
    }
    if (errand->withdrawn) {
        return event_fail(event, KONG_E_IO,
                          arena_printf(&event->arena,
                                       "kong_run_blocking: no thread was free for %g s "
                                       "(--blocking-threads, --blocking-wait)",
                                       (double)limit_ms / 1000));
    }
    if (errand->failed != 0) {
        return event_fail(event, KONG_E_FAILED,
                          arena_copy(&event->arena, errand->error, strlen(errand->error)));
    }
    return KONG_OK;
}

int kong_run_blocking(struct kong *kong, void (*fn)(void *arg), void *arg) {
    struct errand errand = {.wait = {.may_end = may_end, .leave = leave},
                            .work.run = run,
                            .message.deliver = deliver,
                            .fn = fn,
                            .arg = arg};
    const struct events_options *options = events_options(pdk_event(kong)->events);
    uint64_t limit_ms = options->blocking_wait_ms != 0 ? options->blocking_wait_ms : UINT64_MAX;
    int rc = wait_begin(&errand.wait, kong, limit_ms);
    if (rc != 0) {
        return rc;
    }
    if (!errand.wait.ending) {
        errand.inbox = inbox_enter(&errand.wait);
    }
    if (errand.inbox != NULL) {
        errand.submitted =
            options->blocking != NULL && blocking_pool_submit(options->blocking, &errand.work);
        if (!errand.submitted) {
            wait_fail(&errand.wait, UV_EAGAIN);
        }
    }
    return result_of(&errand, wait_park(&errand.wait));
}
