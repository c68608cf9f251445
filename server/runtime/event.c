/* An event's way through the loop: started, resumed by Kong's answers, cancelled, over. */
#include "events_table.h"

#include <string.h>

#include "hooks.h"

/* Kong answers a PDK call in milliseconds, or never. */
#define STEP_PATIENCE_MS 2000u
#define KEPT_STACKS      4u /* not given back when they are not used for long */

static const char no_stack[] =
    "no memory for a handler's stack (each takes two of vm.max_map_count, too)";

/* The handler returns what a call gave it: Kong is gone, or has its answer. A -1 of its own is a
 * failure like others. */
static bool only_passes_on(const struct event *event) {
    return event->rc != KONG_E_TIMEOUT && event->rc == event_call_error(event);
}

static void event_end(struct event *event) {
    if (event->finished) {
        return;
    }
    event->finished = true;
    if (event->rc == 0 && !event->ended) {
        event->rc = event->cancelled == KONG_E_TIMEOUT
                        ? KONG_E_TIMEOUT  /* behind it no call of the handler reached Kong */
                        : event->unended; /* the request was to end here */
    }
    if (event->cancelled != KONG_E_GONE && !event->refused) {
        stats_add(&phase_stats(event)->latency, clock_ns() - event->started_ns);
    }
    if (event->rc != 0 && event->job == NULL && !only_passes_on(event)) {
        event->reporting = true;
        event_report_failure(event);
        event->reporting = false;
    }
    if (event->peer != NULL) {
        event->ops->conversation_end(event);
    } else {
        event_release(event);
    }
}

static int call_handler(void *arg) {
    struct event *event = arg;
    kong_handler *handler = event->plugin->handlers[event->phase];
    return handler((struct kong *)event, event->instance->config);
}

/* What escapes from it is a failure with a text. */
static __attribute__((noinline)) void run_guarded(struct event *event, int (*call)(void *arg)) {
    char text[256];
    event->rc = hooks_guard(event->plugin->what, call, event, text, sizeof text);
    if (text[0] != '\0') {
        event_fail(event, event->rc, arena_copy(&event->arena, text, strlen(text)));
    }
}

static void run_handler(void *arg) {
    struct event *event = arg;
    if (event->plugin->what->guard == NULL) {
        event->rc = call_handler(event);
    } else {
        run_guarded(event, call_handler);
    }
}

static void run_watched(void *arg) {
    struct event *event = arg;
    if (event_admit(event)) {
        run_handler(event);
        atomic_fetch_add(&event->watched->survived, 1);
    }
}

static __attribute__((noinline)) void note_request(const struct event *event) {
    running_note_request(event->events->running, event->watched_request);
}

static inline void enter_handler(const struct event *event) {
    const struct instance *instance = event->instance;
    running_enter(event->events->running, event->plugin->index, instance->id, (int32_t)event->phase,
                  instance->identity);
    if (__builtin_expect(event->watched_request != NULL, 0)) {
        note_request(event);
    }
}

static __attribute__((noinline)) void run_cleanups(struct event *event) {
    while (event->cleanups != NULL) {
        struct event_cleanup *cleanup = event->cleanups;
        event->cleanups = cleanup->next;
        cleanup->run(cleanup, event);
    }
}

/* The handler's fiber is parked, or has returned. */
static void after_run(struct event *event, bool returned) {
    if (returned && event->cleanups != NULL) {
        run_cleanups(event);
    }
    running_leave(event->events->running);
    if (!returned) {
        return;
    }
    event_set_state(event, EVENT_RETURNED);
    if (event->released && event->finished) {
        events_free(event);
        return;
    }
    event_end(event); /* on MsgPack:1 an exit has released it already */
}

/* At the limit an event that has waited seconds for a Step gives up its place: after a Lua error in
 * a PDK call no Step ever comes, and such requests could fill the table. */
static bool make_room(struct events *events, uint64_t now_ms) {
    /* Each event is looked at only once per tick, so that a full table costs no more. */
    struct event *event = events->room_from != NULL ? events->room_from : events->soonest;
    while (event != NULL && !events->room_done) {
        uint64_t age_ms = now_ms + events->options.timeout_ms - event->deadline_ms;
        struct event *next = event->by_deadline.next;
        if (age_ms < STEP_PATIENCE_MS) {
            events->room_from = event;
            return false;
        }
        events->room_from = next;
        events->room_done = next == NULL;
        if (event->awaits_step && event->cancelled == 0) {
            stats_count(&phase_stats(event)->timed_out, 1);
            event_cancel(event, KONG_E_TIMEOUT);
            return true;
        }
        event = next;
    }
    return false;
}

static __attribute__((noinline)) bool reserve_by_eviction(struct events *events, uint64_t now_ms) {
    return make_room(events, now_ms) && events_reserve_slot(events);
}

const char *event_start(struct events *events, struct instance *instance, enum kong_phase phase,
                        const struct event_ops *ops, void *peer, uint64_t now_ms) {
    struct event *event = NULL;
    const char *refusal = NULL;
    struct plugin *plugin = instance->plugin;
    struct stats_plugin *stats = &events->options.plugin_stats[plugin->index];
    if (instance->failure == NULL && plugin->handlers[phase] == NULL) {
        refusal = "the plugin has no handler for this phase";
    } else if (!events_reserve_slot(events) && !reserve_by_eviction(events, now_ms)) {
        refusal = events->too_many;
        stats_count(&events->options.stats->limits[STATS_LIMIT_EVENTS], 1);
    } else if ((event = events_take(events)) == NULL) {
        refusal = "no memory for an event";
        events_leave_slot(events);
    }
    if (event == NULL) {
        stats_count(&stats->phases[phase].refused, 1);
        return refusal;
    }
    stats_count(&stats->phases[phase].started, instance->failure == NULL);
    stats_count(&stats->phases[phase].running, 1);
    event->id |= event_fails_closed(plugin->what, phase) ? EVENT_CLOSED : 0;
    event->phase = phase;
    event->instance = instance;
    event->plugin = plugin;
    event->stats = stats;
    event->ops = ops;
    event->peer = peer;
    event->deadline_ms = now_ms + events->options.timeout_ms;
    event->started_ns = clock_ns();
    events_append(events, event);
    event_set_state(event, EVENT_RUNNING);
    ops->started(event);
    if (notices_pending(&events->options.shared->notices)) {
        event_post_notices(event);
    }
    if (instance->failure != NULL) {
        event_refuse_instance(event);
    } else if (events->guarded) {
        event_judge(event);
    }
    if (event->refused) {
        after_run(event, true);
        return NULL;
    }
    enter_handler(event);
    bool returned;
    struct fiber *fiber =
        fiber_start(events->fibers[plugin->index],
                    event->watched != NULL ? run_watched : run_handler, event, &returned);
    if (fiber == NULL && !returned) {
        event->rc = event_fail(event, KONG_E_NOMEM, kong_str(no_stack));
        returned = true;
    }
    after_run(event, returned);
    return NULL;
}

static void resume(struct event *event) {
    event_set_state(event, EVENT_RUNNING);
    struct fiber *fiber = event->fiber;
    enter_handler(event);
    after_run(event, fiber_resume(fiber));
}

void event_deliver(struct event *event, int rc, struct kong_value value, struct kong_str error) {
    assert(event->state == EVENT_WAITING);
    event->answer_rc = rc;
    event->answer = value;
    if (rc != 0) {
        event_fail(event, rc, error);
    }
    resume(event);
}

void event_release(struct event *event) {
    assert(event->state != EVENT_FREE);
    event->released = true;
    event->peer = NULL;
    if (event->state == EVENT_RETURNED && !event->reporting) {
        events_free(event);
    }
}

/* Asks what a handler sleeps for to end soon, once. */
static void hurry(struct event *event) {
    void (*interrupt)(void *arg) = event->interrupt;
    event->interrupt = NULL;
    if (interrupt != NULL) {
        interrupt(event->interrupt_arg);
    }
}

void event_cancel(struct event *event, int error) {
    if (event->cancelled == 0) {
        event->cancelled = error;
        if (error == KONG_E_GONE && !event->ended && !event->finished) {
            stats_count(&phase_stats(event)->orphaned, 1);
        }
    }
    if (error == KONG_E_GONE) {
        event->peer = NULL;
    }
    switch (event->state) {
    case EVENT_WAITING:
        event_deliver(event, error, kong_nil(), (struct kong_str){NULL, 0});
        break;
    case EVENT_SLEEPING:
        /* What it waits for uses its stack, so it unwinds later. Kong gets its answer now. If that
         * answer finds the peer gone, event_cancel is called a second time. */
        event->rc = error;
        event_end(event);
        hurry(event);
        break;
    case EVENT_RETURNED:
        event_release(event);
        break;
    case EVENT_RUNNING: /* the peer went away during a write of this handler: its next call fails */
    case EVENT_FREE:
        break;
    }
}

static bool is_full(const struct events *events) {
    return events_alive_all(events) >= events->options.max_events;
}

/* Makes room for events of other threads that found no place. */
static void make_room_for_others(struct events *events, uint64_t now_ms) {
    while (is_full(events) && make_room(events, now_ms)) {
    }
}

/* Gives memory of stacks back: a waiting handler keeps the part it stands on. */
static void trim_stacks(struct events *events) {
    for (size_t i = 0; i < events->options.plugins->count; i++) {
        fiber_pool_trim_unused(events->fibers[i], KEPT_STACKS);
    }
    for (struct event *event = events->soonest; event != NULL; event = event->by_deadline.next) {
        if (event->state == EVENT_WAITING || event->state == EVENT_SLEEPING) {
            fiber_trim(event->fiber);
        }
    }
}

/* Whoever is cancelled may take others along: a write finds the peer gone, and with it all that it
 * asked for. deadline_remove sees to next_to_cancel. A handler that goes on sleeping keeps its
 * place; each event is looked at once, and new ones stand behind all others. */
static struct event *after_cancelled(struct events *events) {
    struct event *event = events->next_to_cancel;
    events->next_to_cancel = event != NULL ? event->by_deadline.next : NULL;
    return event;
}

static struct event *first_to_cancel(struct events *events) {
    events->next_to_cancel = events->soonest;
    return after_cancelled(events);
}

void events_tick(struct events *events, uint64_t now_ms) {
    events->room_from = NULL;
    events->room_done = false;
    events->guarded =
        events->guarded && quarantine_active(&events->options.running->quarantine, clock_ms());
    trim_stacks(events);
    make_room_for_others(events, now_ms);
    struct event *event = first_to_cancel(events);
    for (; event != NULL && event->deadline_ms <= now_ms; event = after_cancelled(events)) {
        if (event->cancelled == 0) {
            stats_count(&phase_stats(event)->timed_out, 1);
            event_cancel(event, KONG_E_TIMEOUT);
        }
    }
    events->next_to_cancel = NULL;
}

void events_cancel_all(struct events *events, int error) {
    for (struct event *event = first_to_cancel(events); event != NULL;
         event = after_cancelled(events)) {
        if (event->cancelled == 0) {
            event_cancel(event, error);
        }
    }
}

void event_wake(struct event *event) {
    assert(event->state == EVENT_SLEEPING);
    resume(event);
}
