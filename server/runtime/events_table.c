#include "events_table.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "identity.h"
#include "limit.h"

#define IDLE_STACKS 64u
#define FIRST_SLOTS 64u

struct running_slot *events_running(struct events *events) {
    return events->running;
}

bool events_is_guard(const struct events *events, const void *address) {
    for (size_t i = 0; i < events->options.plugins->count; i++) {
        if (fiber_pool_is_guard(events->fibers[i], address)) {
            return true;
        }
    }
    return false;
}

static void destroy_pools(struct events *events) {
    for (size_t i = 0; events->fibers != NULL && i < events->options.plugins->count; i++) {
        fiber_pool_destroy(events->fibers[i]);
    }
    free(events->fibers);
}

static bool create_pools(struct events *events) {
    const struct plugins *plugins = events->options.plugins;
    size_t usual = events->options.stack_size;
    bool made = (events->fibers = calloc(plugins->count, sizeof *events->fibers)) != NULL;
    for (size_t i = 0; made && i < plugins->count; i++) {
        size_t own = plugins->list[i].what->stack_size;
        events->fibers[i] = fiber_pool_create(own != 0 ? own : usual, IDLE_STACKS);
        made = events->fibers[i] != NULL;
    }
    return made;
}

struct events *events_create(const struct events_options *options) {
    struct events *events = calloc(1, sizeof *events);
    if (events == NULL) {
        return NULL;
    }
    events->options = *options;
    events->running = &options->running->slots[options->worker_index];
    events->guarded = options->running->quarantine.handler_count > 0;
    running_leave(events->running);
    if (events->options.max_events > (size_t)1 << EVENT_SLOT_BITS_MOST) {
        events->options.max_events = (size_t)1 << EVENT_SLOT_BITS_MOST;
    }
    while ((size_t)1 << events->slot_bits < events->options.max_events) {
        events->slot_bits++;
    }
    events->count_step = (uint64_t)1 << (events->slot_bits + options->worker_bits);
    events->whose = (uint64_t)options->tag << EVENT_TAG_SHIFT | options->worker_index;
    snprintf(events->too_many, sizeof events->too_many,
             "too many events at work: limit %zu (--max-events)", events->options.max_events);
    if (!create_pools(events)) {
        destroy_pools(events);
        free(events);
        return NULL;
    }
    events->count = identity_random() * events->count_step & EVENT_COUNT_MASK;
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
    destroy_pools(events);
    free(events);
}

const struct events_options *events_options(const struct events *events) {
    return &events->options;
}

void **events_inbox(struct events *events) {
    return &events->inbox;
}

size_t events_alive(const struct events *events) {
    return events->alive;
}

size_t events_alive_all(const struct events *events) {
    return atomic_load(&events->options.shared->alive);
}

bool events_reserve_slot(struct events *events) {
    size_t others = atomic_fetch_add(&events->options.shared->alive, 1);
    if (others >= events->options.max_events) {
        atomic_fetch_sub(&events->options.shared->alive, 1);
        return false;
    }
    events->alive++;
    return true;
}

void events_leave_slot(struct events *events) {
    events->alive--;
    atomic_fetch_sub(&events->options.shared->alive, 1);
}

bool events_refusal_due(struct events *events) {
    struct events_shared *shared = events->options.shared;
    uint64_t times;
    pthread_mutex_lock(&shared->lock);
    bool due = recurrence_due(&shared->refusals, clock_ns(), NOTICE_EVERY_NS, &times);
    pthread_mutex_unlock(&shared->lock);
    return due;
}

void events_append(struct events *events, struct event *event) {
    event->by_deadline = (struct event_link){events->latest, NULL};
    *(events->latest != NULL ? &events->latest->by_deadline.next : &events->soonest) = event;
    events->latest = event;
}

static void deadline_remove(struct events *events, struct event *event) {
    struct event_link *link = &event->by_deadline;
    if (events->room_from == event) {
        events->room_from = link->next;
        events->room_done = link->next == NULL;
    }
    if (events->next_to_cancel == event) {
        events->next_to_cancel = link->next;
    }
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
    arena_set_budget(&event->arena, events->options.budget);
    event->events = events;
    event->slot = events->slots_made++;
    events->slots[event->slot] = event;
    return event;
}

struct event *events_take(struct events *events) {
    struct event *event = events->free_list;
    if (event != NULL) {
        events->free_list = event->by_deadline.next;
    } else if ((event = event_make(events)) == NULL) {
        return NULL;
    }
    events->count = (events->count + events->count_step) & EVENT_COUNT_MASK;
    event->id =
        events->whose | events->count | (uint64_t)event->slot << events->options.worker_bits;
    memset(&event->ended, 0, sizeof *event - offsetof(struct event, ended));
    return event;
}

void events_free(struct event *event) {
    struct events *events = event->events;
    event_set_state(event, EVENT_FREE);
    stats_uncount(&phase_stats(event)->running);
    if (event->job == NULL) {
        registry_release(events->options.registry, event->instance);
    }
    event->instance = NULL;
    event->ops = NULL;
    event->peer = NULL;
    deadline_remove(events, event);
    arena_reset(&event->arena);
    event->by_deadline.next = events->free_list;
    events->free_list = event;
    events_leave_slot(events);
}

struct event *events_find(struct events *events, uint64_t id) {
    uint64_t slot = id >> events->options.worker_bits & (((uint64_t)1 << events->slot_bits) - 1);
    if (slot >= events->slots_made || events->slots[slot]->id != id ||
        events->slots[slot]->state == EVENT_FREE) {
        return NULL;
    }
    return events->slots[slot];
}
