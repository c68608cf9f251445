/* Events whose peer is found gone in the middle of what they tell it: the conversation's write is
 * where a closed connection shows. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "events_table.h"
#include "limit.h"
#include "one_plugin.h"

/* --- A plugin whose handler sleeps, or fails, perhaps behind an exit --- */

struct seen {
    unsigned interrupts;
    unsigned calls, finishes;
    bool sleeps;
    bool exits;
    bool gone; /* the peer is, in the next call that is written to it */
    struct event *sleeping;
    struct event *goes_along; /* freed while another one is interrupted */
};

static void interrupted(void *arg) {
    struct seen *seen = arg;
    struct event *goes_along = seen->goes_along;
    seen->interrupts++;
    seen->goes_along = NULL;
    if (goes_along != NULL) {
        event_cancel(goes_along, KONG_E_GONE);
        event_wake(goes_along);
    }
}

static int handle(struct kong *kong, const void *config) {
    struct seen *seen = kong_process_data(kong);
    struct event *event = (struct event *)kong;
    (void)config;
    if (seen->sleeps) {
        seen->sleeping = event;
        event_sleep(event, interrupted, seen);
        return event_call_error(event);
    }
    if (seen->exits) {
        const struct pdk_method *exit = &pdk_methods[PDK_RESPONSE_EXIT];
        event_call(event, exit, exit->name, NULL, 0, NULL);
    }
    return KONG_E_FAILED;
}

static const struct kong_plugin plugin = {.name = "sleeper",
                                          .version = "1.0",
                                          .on_error = KONG_FAIL_CLOSED,
                                          .handlers = {[KONG_PHASE_ACCESS] = handle}};

/* --- A conversation --- */

static int call(struct event *event, const struct pdk_method *method, const struct kong_str *name,
                const struct kong_value *args, size_t count, bool waits) {
    struct seen *seen = event->peer;
    (void)name;
    (void)args;
    (void)count;
    (void)waits;
    seen->calls++;
    if (seen->gone && (method->flags & PDK_TERMINAL) != 0) {
        event_cancel(event, KONG_E_GONE);
    }
    if (seen->exits && (method->flags & PDK_TERMINAL) != 0) {
        event_release(event); /* as on MsgPack:1, where nothing follows an exit */
    }
    return KONG_OK;
}

static void started(struct event *event) {
    (void)event;
}

static void conversation_end(struct event *event) {
    ((struct seen *)event->peer)->finishes++;
    event_release(event);
}

static const struct event_ops ops = {.protocol = PROTOCOL_PROTOBUF,
                                     .call = call,
                                     .started = started,
                                     .conversation_end = conversation_end};

struct fixture {
    struct seen seen;
    struct registry *registry;
    struct events *events;
    struct events_shared shared;
    struct plugin hosted;
    struct plugins plugins;
    struct stats stats;
    struct stats_plugin plugin_stats;
    struct running running;
    struct instance *instance;
};

static void begin(struct fixture *f, bool sleeps, bool gone) {
    char error[100];
    struct registry_options registry = {.max_instances = 1};
    *f = (struct fixture){.seen = {.sleeps = sleeps, .gone = gone}};
    f->plugins = one_plugin(&f->hosted, &plugin, &f->seen);
    f->registry = registry_create(&registry);
    assert_non_null(f->registry);
    struct events_options events = {.plugins = &f->plugins,
                                    .registry = f->registry,
                                    .max_events = 20,
                                    .stack_size = LIMIT_STACK,
                                    .timeout_ms = 1000,
                                    .running = &f->running,
                                    .shared = &f->shared,
                                    .stats = &f->stats,
                                    .plugin_stats = &f->plugin_stats};
    f->events = events_create(&events);
    assert_non_null(f->events);
    assert_int_equal(registry_start(f->registry, &f->hosted, kong_str("{}"), NULL, 0, &f->instance,
                                    error, sizeof error),
                     0);
    registry_release(f->registry, f->instance);
}

static void start(struct fixture *f) {
    struct instance *instance = registry_use(f->registry, f->instance->id, 0);
    assert_null(event_start(f->events, instance, KONG_PHASE_ACCESS, &ops, &f->seen, 0));
}

static void end(struct fixture *f) {
    assert_int_equal(events_alive(f->events), 0);
    events_destroy(f->events);
    registry_destroy(f->registry);
}

/* The handler sleeps, its time is up, and Kong, who is told, is gone: what it sleeps for is told
 * once to hurry. */
static void sleeper_is_interrupted_once(void **state) {
    (void)state;
    for (int gone = 0; gone < 2; gone++) {
        struct fixture f;
        begin(&f, true, gone != 0);
        start(&f);
        events_tick(f.events, 999);
        assert_int_equal(f.seen.interrupts, 0);
        events_tick(f.events, 1000);
        assert_int_equal(f.seen.interrupts, 1);
        assert_int_equal(f.seen.calls, 2); /* log.err, response.exit */
        assert_int_equal(f.seen.finishes, gone == 0);
        events_tick(f.events, 2000);
        events_cancel_all(f.events, KONG_E_GONE);
        assert_int_equal(f.seen.interrupts, 1);
        assert_int_equal(events_alive(f.events), 1);
        event_wake(f.seen.sleeping);
        end(&f);
    }
}

/* Whoever is cancelled takes the next one along: those behind it are cancelled all the same. */
static void next_one_goes_along(void **state) {
    (void)state;
    for (int all = 0; all < 2; all++) {
        struct fixture f;
        struct event *asleep[4];
        begin(&f, true, false);
        for (size_t i = 0; i < 4; i++) {
            start(&f);
            asleep[i] = f.seen.sleeping;
        }
        f.seen.goes_along = asleep[1];
        if (all) {
            events_cancel_all(f.events, KONG_E_TIMEOUT);
        } else {
            events_tick(f.events, 1000);
        }
        assert_int_equal(events_alive(f.events), 3);
        for (size_t i = 0; i < 4; i++) {
            assert_int_equal(asleep[i]->cancelled, i == 1 ? KONG_E_GONE : KONG_E_TIMEOUT);
        }
        for (size_t i = 0; i < 4; i++) {
            if (i != 1) {
                event_wake(asleep[i]);
            }
        }
        end(&f);
    }
}

/* The handler has failed, and Kong, who is told, is gone: the event is freed when it was told, not
 * in the middle. */
static void failure_told_to_nobody(void **state) {
    (void)state;
    for (int gone = 0; gone < 2; gone++) {
        struct fixture f;
        begin(&f, false, gone != 0);
        start(&f);
        assert_int_equal(f.seen.calls, 2);
        assert_int_equal(f.seen.finishes, gone == 0);
        assert_int_equal(events_alive(f.events), 0);
        assert_int_equal(f.plugin_stats.phases[KONG_PHASE_ACCESS].failed, 1);
        start(&f); /* the same memory again */
        end(&f);
    }
}

/* Behind its exit an event belongs to nobody; that it failed, and how long it took, counts. */
static void failure_behind_an_exit(void **state) {
    struct fixture f;
    (void)state;
    begin(&f, false, false);
    f.seen.exits = true;
    for (unsigned i = 1; i <= 3; i++) {
        const struct stats_phase *access = &f.plugin_stats.phases[KONG_PHASE_ACCESS];
        start(&f);
        assert_int_equal(f.seen.calls, i); /* the exit: the failure is told to nobody */
        assert_int_equal(access->failed, i);
        assert_int_equal(access->latency.count, i);
        assert_int_equal(access->running, 0);
    }
    end(&f);
}

/* Stacks of a burst are given back when they were not needed for a while. */
static void stacks_of_a_burst_are_given_back(void **state) {
    (void)state;
    struct fixture f;
    struct event *asleep[20];
    begin(&f, true, false);
    for (size_t i = 0; i < 20; i++) {
        start(&f);
        asleep[i] = f.seen.sleeping;
    }
    events_tick(f.events, 1);
    assert_int_equal(fiber_pool_mapped(f.events->fibers[0]), 20);
    f.seen.gone = true;
    for (size_t i = 0; i < 20; i++) {
        event_cancel(asleep[i], KONG_E_GONE);
        event_wake(asleep[i]);
    }
    assert_int_equal(fiber_pool_mapped(f.events->fibers[0]), 20);
    events_tick(f.events, 2);
    events_tick(f.events, 3);
    assert_true(fiber_pool_mapped(f.events->fibers[0]) > 0);
    assert_true(fiber_pool_mapped(f.events->fibers[0]) < 10);
    end(&f);
}

/* --- Room in a full table --- */

#define FULL 200

static void begin_full(struct fixture *f, size_t max_events, unsigned worker_bits) {
    begin(f, true, false);
    events_destroy(f->events);
    struct events_options events = {.plugins = &f->plugins,
                                    .registry = f->registry,
                                    .max_events = max_events,
                                    .worker_bits = worker_bits,
                                    .stack_size = (size_t)64 << 10,
                                    .timeout_ms = 60000,
                                    .running = &f->running,
                                    .shared = &f->shared,
                                    .stats = &f->stats,
                                    .plugin_stats = &f->plugin_stats};
    f->events = events_create(&events);
    assert_non_null(f->events);
}

static bool start_at(struct fixture *f, uint64_t now_ms) {
    struct instance *instance = registry_use(f->registry, f->instance->id, now_ms);
    bool ok = event_start(f->events, instance, KONG_PHASE_ACCESS, &ops, &f->seen, now_ms) == NULL;
    if (!ok) {
        registry_release(f->registry, instance);
    }
    return ok;
}

/* Handlers at work in front, however many, do not hide the events that wait for a Step that never
 * comes. */
static void forsaken_events_behind_others(void **state) {
    struct fixture f;
    struct event *sleepers[2 * FULL];
    size_t count = 0;
    (void)state;
    begin_full(&f, FULL, 0);
    for (size_t i = 0; i < FULL; i++) {
        assert_true(start_at(&f, 0));
        f.seen.sleeping->awaits_step = i >= 150;
        sleepers[count++] = f.seen.sleeping;
    }
    assert_false(start_at(&f, 1999)); /* nobody has waited for long */
    events_tick(f.events, 2000);
    for (size_t i = 150; i < FULL; i++) {
        f.seen.sleeping = sleepers[i];
        /* a sleeper that gives way returns when it is woken: here at once */
        assert_false(start_at(&f, 2000));
        assert_int_equal(sleepers[i]->cancelled, KONG_E_TIMEOUT);
        event_wake(sleepers[i]);
        assert_true(start_at(&f, 2000));
        sleepers[i] = f.seen.sleeping;
    }
    assert_int_equal(f.plugin_stats.phases[KONG_PHASE_ACCESS].timed_out, 50);
    assert_false(start_at(&f, 3000)); /* none is left */
    events_tick(f.events, 4000);
    assert_false(start_at(&f, 4000));
    for (size_t i = 0; i < FULL; i++) {
        event_cancel(sleepers[i], KONG_E_GONE);
        event_wake(sleepers[i]);
    }
    end(&f);
}

/* An id does not come again while anybody can still know it: with 64 threads and the usual limit
 * not within two million events. */
static void ids_come_again_late(void **state) {
    enum { EVENTS = 140000 };
    struct fixture f;
    uint64_t first = 0;
    (void)state;
    begin_full(&f, LIMIT_EVENTS, 6);
    for (int i = 0; i < EVENTS; i++) {
        assert_true(start_at(&f, 0));
        struct event *event = f.seen.sleeping;
        assert_true(event->id < (uint64_t)1 << 53);
        assert_int_equal(event_worker(event->id, 6), 0);
        assert_true(events_find(f.events, event->id) == event);
        assert_true(i == 0 || event->id != first);
        first = i == 0 ? event->id : first;
        event_cancel(event, KONG_E_GONE);
        event_wake(event);
    }
    assert_null(events_find(f.events, first));
    end(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sleeper_is_interrupted_once),
        cmocka_unit_test(next_one_goes_along),
        cmocka_unit_test(failure_told_to_nobody),
        cmocka_unit_test(failure_behind_an_exit),
        cmocka_unit_test(stacks_of_a_burst_are_given_back),
        cmocka_unit_test(forsaken_events_behind_others),
        cmocka_unit_test(ids_come_again_late),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
