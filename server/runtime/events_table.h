/* The events of one loop: their slots and ids, their order by deadline, their count. Private to
 * event*.c. */
#ifndef SERVER_EVENTS_TABLE_H
#define SERVER_EVENTS_TABLE_H

#include <assert.h>

#include "event_report.h"

#define EVENT_COUNT_MASK (((uint64_t)1 << EVENT_COUNT_BITS) - 1)

/* The slot is in an id: looking one up is an array access, and one that was used before is not
 * found. */
struct events {
    struct events_options options;
    struct fiber_pool **fibers; /* by plugin: each may have stacks of another size */
    struct event **slots;       /* events are allocated once and used again */
    uint32_t slot_count;
    uint32_t slots_made;
    struct event *free_list; /* linked by by_deadline.next */
    size_t alive;
    struct event *soonest, *latest; /* by deadline, which is by start: all have the same time */
    unsigned slot_bits;             /* of an id */
    uint64_t count;                 /* in ids, above slot and worker: */
    uint64_t count_step;            /* so much is one */
    uint64_t whose;                 /* tag and worker, as they stand in ids */
    struct event *room_from;        /* make_room has looked at all before this one, */
    bool room_done;                 /* or at all; since the last tick */
    struct event
        *next_to_cancel; /* while one after the other is cancelled; NULL: that was the last */
    struct running_slot *running; /* of the options, this worker's */
    bool guarded;                 /* somebody is quarantined */
    void *inbox;                  /* events_inbox */
    char too_many[80];            /* why an event is refused at the limit */
};

/* One more event, where the limit allows it. */
bool events_reserve_slot(struct events *events);
/* The opposite. */
void events_leave_slot(struct events *events);

/* An event without a handler, its id new; a slot was reserved. NULL: no memory. */
struct event *events_take(struct events *events);
/* Puts it behind all others in the order of deadlines. */
void events_append(struct events *events, struct event *event);
/* The opposite of all three: frees slot, instance and memory. It has returned. */
void events_free(struct event *event);

/* event_quarantine.c. Its instance failed: sets event->refused and rc. An instance that failed for
 * a quarantine which is over is closed, so that Kong starts another. */
__attribute__((cold)) void event_refuse_instance(struct event *event);
/* Looks its handler up: sets event->watched, or event->refused with rc. */
__attribute__((cold)) void event_judge(struct event *event);
/* On the handler's fiber: watched, its request must be known before the handler runs. False: it
 * does not run, rc says why. */
bool event_admit(struct event *event);

static inline struct stats_phase *phase_stats(const struct event *event) {
    return &event->stats->phases[event->phase];
}

/* Which state may follow which: asserted, for it is our own doing. */
static inline void event_set_state(struct event *event, enum event_state state) {
    static const unsigned transitions[] = {
        [EVENT_FREE] = 1u << EVENT_RUNNING,
        [EVENT_RUNNING] = 1u << EVENT_WAITING | 1u << EVENT_SLEEPING | 1u << EVENT_RETURNED,
        [EVENT_WAITING] = 1u << EVENT_RUNNING,
        [EVENT_SLEEPING] = 1u << EVENT_RUNNING,
        [EVENT_RETURNED] = 1u << EVENT_FREE,
    };
    assert((transitions[event->state] & 1u << state) != 0);
    event->state = state;
}

#endif
