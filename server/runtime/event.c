#include "event.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

#include "event_report.h"
#include "limit.h"
#include "value.h"

/* An id is a tag above a generation above a slot number, 53 bits in all (a Lua number): looking one
 * up is an array access, and one that was used before is not found. */
#define SLOT_MASK       ((1u << EVENT_SLOT_BITS) - 1)
#define GENERATION_MASK ((1u << EVENT_GENERATION_BITS) - 1)
/* Kong answers a PDK call in milliseconds, or never. */
#define STEP_PATIENCE_MS 2000u
#define IDLE_STACKS      64u
#define KEPT_STACKS      4u /* … also when they are not used for long */
#define FIRST_SLOTS      64u

struct events {
    struct events_options options;
    struct fiber_pool *fibers;
    struct event **slots; /* events are allocated once and used again */
    uint32_t slot_count;
    uint32_t slots_made;
    struct event *free_list; /* linked by by_deadline.next */
    size_t alive;
    uint64_t generation;
    struct event *soonest, *latest; /* by deadline, which is by start: all have the same time */
    struct stats *stats;
    struct stats *own_stats;  /* NULL: they are the creator's */
    uint64_t generation_step; /* past the bits that are the worker_index's */
    struct running_lane own_running;
    struct events_shared own_shared;
    struct limits_told limits_told;
    char too_many[80]; /* why an event is refused at the limit */
};

/* Which state may follow which: asserted, for it is our own doing. */
static const unsigned transitions[] = {
    [EVENT_FREE] = 1u << EVENT_RUNNING,
    [EVENT_RUNNING] = 1u << EVENT_WAITING | 1u << EVENT_SLEEPING | 1u << EVENT_RETURNED,
    [EVENT_WAITING] = 1u << EVENT_RUNNING,
    [EVENT_SLEEPING] = 1u << EVENT_RUNNING,
    [EVENT_RETURNED] = 1u << EVENT_FREE,
};

static void set_state(struct event *event, enum event_state state) {
    assert((transitions[event->state] & 1u << state) != 0);
    event->state = state;
}

struct running_lane *events_running(struct events *events) {
    return events->options.running;
}

bool events_is_guard(const struct events *events, const void *address) {
    return fiber_pool_is_guard(events->fibers, address);
}

struct events *events_create(const struct events_options *options) {
    struct events *events = calloc(1, sizeof *events);
    if (events == NULL) {
        return NULL;
    }
    events->options = *options;
    if (events->options.running == NULL) {
        events->options.running = &events->own_running;
    }
    running_leave(events->options.running);
    if (events->options.shared == NULL) {
        assert(options->lane_bits == 0);
        events->options.shared = &events->own_shared;
    }
    if (events->options.max_events > SLOT_MASK) {
        events->options.max_events = SLOT_MASK;
    }
    events->stats = options->stats;
    if (events->stats == NULL) {
        events->stats = events->own_stats = calloc(1, sizeof *events->own_stats);
    }
    snprintf(events->too_many, sizeof events->too_many,
             "too many events at work: limit %zu (--max-events)", events->options.max_events);
    events->fibers =
        events->stats == NULL ? NULL : fiber_pool_create(options->stack_size, IDLE_STACKS);
    if (events->fibers == NULL) {
        free(events->own_stats);
        free(events);
        return NULL;
    }
    uint32_t seed = 0;
    if (getrandom(&seed, sizeof seed, GRND_NONBLOCK) != (ssize_t)sizeof seed) {
        seed = (uint32_t)(uintptr_t)events;
    }
    events->generation_step = (uint64_t)1 << options->lane_bits;
    events->generation = (seed & ~(events->generation_step - 1)) | options->worker_index;
    return events;
}

void events_destroy(struct events *events) {
    if (events == NULL) {
        return;
    }
    assert(events->alive == 0);
    for (uint32_t i = 0; i < events->slots_made; i++) {
        arena_free(&events->slots[i]->arena);
        free(events->slots[i]);
    }
    free(events->slots);
    fiber_pool_destroy(events->fibers);
    free(events->own_stats);
    free(events);
}

const struct events_options *events_options(const struct events *events) {
    return &events->options;
}

struct stats *events_stats(const struct events *events) {
    return events->stats;
}

size_t events_stacks(const struct events *events) {
    return fiber_pool_mapped(events->fibers);
}

size_t events_alive(const struct events *events) {
    return events->alive;
}

size_t events_alive_all(const struct events *events) {
    return events->options.lane_bits == 0 ? events->alive
                                          : atomic_load(&events->options.shared->alive);
}

static bool is_full(const struct events *events) {
    return events_alive_all(events) >= events->options.max_events;
}

static __attribute__((noinline)) bool take_shared_place(struct events *events) {
    size_t others = atomic_fetch_add(&events->options.shared->alive, 1);
    if (others >= events->options.max_events) {
        atomic_fetch_sub(&events->options.shared->alive, 1);
        return false;
    }
    events->alive++;
    return true;
}

/* One more event, where the limit allows it. */
static inline bool reserve_slot(struct events *events) {
    if (events->options.lane_bits != 0) {
        return take_shared_place(events);
    }
    if (events->alive >= events->options.max_events) {
        return false;
    }
    events->alive++;
    return true;
}

static void leave_place(struct events *events) {
    events->alive--;
    if (events->options.lane_bits != 0) {
        atomic_fetch_sub(&events->options.shared->alive, 1);
    }
}

bool events_refusal_due(struct events *events) {
    struct events_shared *shared = events->options.shared;
    uint64_t times;
    pthread_mutex_lock(&shared->lock);
    bool due = recurrence_due(&shared->refusals, stats_clock(), &times);
    pthread_mutex_unlock(&shared->lock);
    return due;
}

struct notices *events_notices(struct events *events) {
    return &events->options.shared->notices;
}

static void deadline_append(struct events *events, struct event *event) {
    event->by_deadline = (struct event_link){events->latest, NULL};
    *(events->latest != NULL ? &events->latest->by_deadline.next : &events->soonest) = event;
    events->latest = event;
}

static void deadline_remove(struct events *events, struct event *event) {
    struct event_link *link = &event->by_deadline;
    *(link->prev != NULL ? &link->prev->by_deadline.next : &events->soonest) = link->next;
    *(link->next != NULL ? &link->next->by_deadline.prev : &events->latest) = link->prev;
}

static struct event *event_make(struct events *events) {
    if (events->slots_made == events->slot_count) {
        uint32_t count = events->slot_count == 0 ? FIRST_SLOTS : events->slot_count * 2;
        struct event **slots = realloc(events->slots, count * sizeof *slots);
        if (slots == NULL) {
            return NULL;
        }
        events->slots = slots;
        events->slot_count = count;
    }
    struct event *event = calloc(1, sizeof *event);
    if (event == NULL) {
        return NULL;
    }
    arena_init(&event->arena, LIMIT_EVENT_MEMORY);
    event->events = events;
    event->slot = events->slots_made++;
    events->slots[event->slot] = event;
    return event;
}

static struct event *event_take(struct events *events) {
    struct event *event = events->free_list;
    if (event != NULL) {
        events->free_list = event->by_deadline.next;
    } else if ((event = event_make(events)) == NULL) {
        return NULL;
    }
    events->generation = (events->generation + events->generation_step) & GENERATION_MASK;
    event->id = (uint64_t)events->options.tag << (EVENT_GENERATION_BITS + EVENT_SLOT_BITS) |
                events->generation << EVENT_SLOT_BITS | event->slot;
    event->ended = event->finished = event->reporting = event->released = event->refused = false;
    event->cancelled = event->rc = event->answer_rc = event->error_rc = 0;
    event->fiber = NULL;
    event->answer = kong_nil();
    event->error = (struct kong_str){NULL, 0};
    event->interrupt = NULL;
    event->interrupt_arg = NULL;
    event->waits_for = NULL;
    event->request_id = NULL;
    event->waiting_rpc = NULL;
    event->queue_head = event->queue_tail = NULL;
    event->queued = 0;
    event->awaits_step = false;
    return event;
}

static void event_free(struct event *event) {
    struct events *events = event->events;
    set_state(event, EVENT_FREE);
    stats_uncount(&events->stats->phases[event->phase].running);
    registry_release(events->options.registry, event->instance);
    event->instance = NULL;
    event->ops = NULL;
    event->peer = NULL;
    deadline_remove(events, event);
    arena_reset(&event->arena);
    event->by_deadline.next = events->free_list;
    events->free_list = event;
    leave_place(events);
}

struct event *events_find(struct events *events, uint64_t id) {
    uint64_t slot = id & SLOT_MASK;
    if (slot >= events->slots_made || events->slots[slot]->id != id ||
        events->slots[slot]->state == EVENT_FREE) {
        return NULL;
    }
    return events->slots[slot];
}

/* --- the handler's side --- */

static struct stats_phase *phase_stats(const struct event *event) {
    return &event->events->stats->phases[event->phase];
}

static void event_end(struct event *event) {
    if (event->finished) {
        return;
    }
    event->finished = true;
    if (event->cancelled != KONG_E_GONE && !event->refused) {
        stats_add(&phase_stats(event)->latency, stats_clock() - event->started_ns);
    }
    bool over = event->rc == KONG_E_GONE || (event->ended && event->rc == KONG_E_ENDED);
    if (event->rc != 0 && !over) {
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

static void run_handler(void *arg) {
    struct event *event = arg;
    kong_handler *handler = event->events->options.plugin->handlers[event->phase];
    event->rc = handler((struct kong *)event, event->instance->config);
}

/* The fiber gave control back: parked, or returned. */
static void after_run(struct event *event, bool returned) {
    running_leave(event->events->options.running);
    if (!returned) {
        return;
    }
    event->fiber = NULL;
    set_state(event, EVENT_RETURNED);
    if (event->released) {
        event_free(event);
        return;
    }
    event_end(event);
}

/* At the limit an event gives way that has waited for a Step for seconds: a Lua error in a PDK call
 * means that none ever comes, and requests of one kind could fill the table with such events. */
static bool make_room(struct events *events, uint64_t now_ms) {
    unsigned looks = 64;
    for (struct event *event = events->soonest; event != NULL && looks > 0;
         event = event->by_deadline.next, looks--) {
        uint64_t age_ms = now_ms + events->options.timeout_ms - event->deadline_ms;
        if (event->awaits_step && event->cancelled == 0 && age_ms >= STEP_PATIENCE_MS) {
            stats_count(&events->stats->phases[event->phase].timed_out, 1);
            event_cancel(event, KONG_E_TIMEOUT);
            return true;
        }
    }
    return false;
}

static __attribute__((noinline)) bool reserve_by_eviction(struct events *events, uint64_t now_ms) {
    return make_room(events, now_ms) && reserve_slot(events);
}

bool event_start(struct events *events, struct instance *instance, enum kong_phase phase,
                 const struct event_ops *ops, void *peer, uint64_t now_ms, const char **refusal) {
    struct event *event = NULL;
    if (instance->failure == NULL && events->options.plugin->handlers[phase] == NULL) {
        *refusal = "the plugin has no handler for this phase";
    } else if (!reserve_slot(events) && !reserve_by_eviction(events, now_ms)) {
        *refusal = events->too_many;
        stats_count(&events->stats->limits[STATS_LIMIT_EVENTS], 1);
    } else if ((event = event_take(events)) == NULL) {
        *refusal = "no memory for an event";
        leave_place(events);
    }
    if (event == NULL) {
        stats_count(&events->stats->phases[phase].refused, 1);
        return false;
    }
    stats_count(&events->stats->phases[phase].started, instance->failure == NULL);
    stats_count(&events->stats->phases[phase].running, 1);
    event->phase = phase;
    event->instance = instance;
    event->ops = ops;
    event->peer = peer;
    event->deadline_ms = now_ms + events->options.timeout_ms;
    event->started_ns = stats_clock();
    deadline_append(events, event);
    set_state(event, EVENT_RUNNING);
    ops->started(event);
    if (notices_pending(&events->options.shared->notices)) {
        event_post_notices(event);
    }
    if (instance->failure != NULL) {
        event->refused = true;
        event->rc = event_fail(event, KONG_E_INVALID, kong_str(instance->failure));
        after_run(event, true);
        return true;
    }
    running_enter(events->options.running, instance->id, (int32_t)phase);
    bool returned;
    struct fiber *fiber = fiber_start(events->fibers, run_handler, event, &returned);
    if (fiber == NULL && !returned) {
        event->rc = event_fail(event, KONG_E_NOMEM, kong_str("no memory for a handler's stack"));
        returned = true;
    }
    after_run(event, returned);
    return true;
}

static void resume(struct event *event) {
    set_state(event, EVENT_RUNNING);
    struct fiber *fiber = event->fiber;
    running_enter(event->events->options.running, event->instance->id, (int32_t)event->phase);
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
        event_free(event);
    }
}

/* What a handler sleeps for is to end soon; it is told once. */
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
        /* Its stack is in use by what it waits for: it unwinds later. Kong is answered now, and if
         * that answer finds the peer gone, this comes a second time. */
        event->rc = error;
        event_end(event);
        hurry(event);
        break;
    case EVENT_RETURNED:
        event_release(event);
        break;
    case EVENT_RUNNING: /* the peer went away during a write that the handler caused: the next call
                           fails */
    case EVENT_FREE:
        break;
    }
}

/* Here for others, who found no place. */
static void make_room_for_others(struct events *events, uint64_t now_ms) {
    while (is_full(events) && make_room(events, now_ms)) {
    }
}

void events_tick(struct events *events, uint64_t now_ms) {
    fiber_pool_trim_unused(events->fibers, KEPT_STACKS);
    if (events->options.lane_bits == 0) { /* else the whole server's limits are told of */
        notice_limits(events_notices(events), &events->limits_told, events->options.plugin->name,
                      events->stats->limits, now_ms);
    } else {
        make_room_for_others(events, now_ms);
    }
    /* A handler that goes on sleeping after its time keeps its place; bounded by looking at each
     * event once. */
    size_t left = events->alive;
    struct event *event = events->soonest;
    while (left-- > 0 && event != NULL && event->deadline_ms <= now_ms) {
        struct event *next = event->by_deadline.next;
        if (event->cancelled == 0) {
            stats_count(&phase_stats(event)->timed_out, 1);
            event_cancel(event, KONG_E_TIMEOUT);
        }
        event = next;
    }
}

void events_cancel_all(struct events *events, int error) {
    size_t left = events->alive;
    struct event *event = events->soonest;
    while (left-- > 0 && event != NULL) {
        struct event *next = event->by_deadline.next;
        if (event->cancelled == 0) {
            event_cancel(event, error);
        }
        event = next;
    }
}

int event_fail(struct event *event, int error, struct kong_str text) {
    event->error_rc = error;
    event->error = text;
    return error;
}

int event_call_error(const struct event *event) {
    if (event->ended) {
        return KONG_E_ENDED;
    }
    if (event->cancelled != 0) {
        return event->cancelled;
    }
    return event->peer == NULL ? KONG_E_GONE : KONG_OK;
}

/* Kong's id of the request, for lines that are logged about it. It is never asked for: that would
 * be a wait more, and what goes to Kong's log gets it from Kong. */
static void note_request_id(struct event *event, const struct kong_value *variable) {
    static const char *const variables[] = {"kong_request_id", "request_id"};
    for (size_t i = 0; i < sizeof variables / sizeof *variables; i++) {
        if (variable->type == KONG_STRING && event->answer.type == KONG_STRING &&
            event->answer.string.len > 0 &&
            kong_str_equal(variable->string, kong_str(variables[i]))) {
            event->request_id = event->answer.string.data;
        }
    }
}

int event_call(struct event *event, const struct pdk_method *method, struct kong_str name,
               const struct kong_value *args, size_t count, struct kong_value *result) {
    if (result != NULL) {
        *result = kong_nil();
    }
    const struct kong_str no_text = {NULL, 0};
    int over = event_call_error(event);
    if (over != 0) {
        return event_fail(event, over, no_text);
    }
    bool terminal = method != NULL && (method->flags & PDK_TERMINAL) != 0;
    bool waits = !terminal && (method == NULL || (method->flags & PDK_POSTED) == 0);
    int rc = event->ops->call(event, method, name, args, count, waits);
    if (rc != 0) {
        return event_fail(event, rc, no_text);
    }
    event->ended = terminal;
    if (!waits) {
        return KONG_OK;
    }
    if (event->cancelled != 0) { /* the peer went away while the call was written to it */
        return event_fail(event, event->cancelled, no_text);
    }
    event->waits_for = method;
    set_state(event, EVENT_WAITING);
    event->fiber = fiber_current(event->events->fibers);
    uint64_t begin = stats_clock();
    fiber_park(event->fiber);
    if (event->cancelled == 0 && method != NULL) {
        stats_add(&event->events->stats->calls[method - pdk_methods], stats_clock() - begin);
    }
    if (result != NULL && event->answer_rc == 0) {
        *result = event->answer;
    }
    if (method == &pdk_methods[PDK_NGINX_GET_VAR] && event->answer_rc == 0) {
        note_request_id(event, &args[0]);
    }
    return event->answer_rc;
}

void event_sleep(struct event *event, void (*interrupt)(void *), void *arg) {
    set_state(event, EVENT_SLEEPING);
    event->interrupt = interrupt;
    event->interrupt_arg = arg;
    event->fiber = fiber_current(event->events->fibers);
    fiber_park(event->fiber);
    event->interrupt = NULL;
}

void event_wake(struct event *event) {
    assert(event->state == EVENT_SLEEPING);
    resume(event);
}
