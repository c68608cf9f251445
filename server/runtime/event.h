/* One handler call: its states, its memory, its time limit. Knows no protocol (event_ops does) and
 * no libuv.
 *
 *      start ─> RUNNING ─> WAITING (for Kong's answer) ─> RUNNING …  ─> RETURNED ─> freed
 *                  └─────> SLEEPING (for something of ours) ┘
 *
 * An event is freed when its handler has returned and its conversation is over (event_release). A
 * suspended handler is never thrown away: it is resumed with an error, all its later calls fail
 * with the same one, and it returns. */
#ifndef SERVER_EVENT_H
#define SERVER_EVENT_H

#include <pthread.h>
#include <sys/queue.h>

#include "answers.h"
#include "arena.h"
#include "fiber.h"
#include "kong.h"
#include "log.h"
#include "pdk_methods.h"
#include "protocol.h"
#include "registry.h"
#include "running.h"
#include "stats.h"

struct event;
struct events;

/* An event id, 53 bits, which a Lua number holds: whose it is, how its request ends where the event
 * is lost, a count, a slot, and on which of the server's threads it lives. The last two take as
 * many bits as there are slots and threads; all others are the count's, so that an id comes again
 * as late as can be. */
#define EVENT_TAG_BITS   12u
#define EVENT_TAG_SHIFT  41u
#define EVENT_COUNT_BITS 40u /* count, slot and thread */
#define EVENT_TAG_MASK   ((1u << EVENT_TAG_BITS) - 1)
#define EVENT_CLOSED     ((uint64_t)1 << EVENT_COUNT_BITS)

/* Of max_events; the count has 16 bits at least, with 64 threads. */
#define EVENT_SLOT_BITS_MOST 18u

/* Which server an id is from, among the generations on one socket path. */
static inline uint32_t event_tag(uint64_t id) {
    return (uint32_t)(id >> EVENT_TAG_SHIFT) & EVENT_TAG_MASK;
}

/* On which of the server's threads it lives. */
static inline uint32_t event_worker(uint64_t id, unsigned worker_bits) {
    return (uint32_t)id & ((1u << worker_bits) - 1);
}

/* Whether its request ends where the event is lost. */
static inline bool event_id_fails_closed(uint64_t id) {
    return (id & EVENT_CLOSED) != 0;
}

/* Whether an event that fails ends its request: the plugin says so, and Kong can exit there. */
static inline bool event_fails_closed(const struct kong_plugin *plugin, enum kong_phase phase) {
    return plugin->on_error == KONG_FAIL_CLOSED &&
           (pdk_methods[PDK_RESPONSE_EXIT].phases & KONG_PHASE_BIT(phase)) != 0;
}

/* What the client gets, with status 500, from a plugin that fails closed: Kong's own words for a
 * failed plugin. */
#define EVENT_FAILED_BODY "{\"message\":\"An unexpected error occurred\"}"

enum event_state {
    EVENT_FREE,
    EVENT_RUNNING,
    EVENT_WAITING,  /* parked in a PDK call */
    EVENT_SLEEPING, /* parked in kong_sleep or kong_run_blocking */
    EVENT_RETURNED, /* the handler is done; posted calls may still be on their way (MsgPack) */
};

/* One protocol's conversation, seen from an event. Called with event->peer non-NULL only. */
struct event_ops {
    enum protocol protocol;
    /* Queues one call of a PDK function. method is NULL for one outside the table. A KONG_E_* when
     * it can't be sent. For a call that waits, event_deliver follows later. */
    int (*call)(struct event *event, const struct pdk_method *method, const struct kong_str *name,
                const struct kong_value *args, size_t count, bool waits);
    /* A new event, before its handler runs: the conversation takes note of it. */
    void (*started)(struct event *event);
    /* The handler returned, or will return later but nobody waits for it any more (cancelled): end
     * the conversation. `ended`: a terminal call was made. Must lead to event_release, now or
     * later. */
    void (*conversation_end)(struct event *event);
};

struct event_link {
    struct event *prev, *next;
};

/* Something that is to be done when a handler has returned. Embedded by whoever asks for it. */
struct event_cleanup {
    struct event_cleanup *next;
    void (*run)(struct event_cleanup *cleanup, struct event *event); /* may free it */
};

struct event {
    struct events *events;
    uint32_t slot;
    enum event_state state;
    enum kong_phase phase;
    struct instance *instance;  /* referenced */
    struct plugin *plugin;      /* the instance's */
    struct stats_plugin *stats; /* of that plugin on this thread */
    const struct event_ops *ops;
    void *peer;  /* the conversation's; NULL when Kong is gone */
    uint64_t id; /* unique for the life of the process, below 2^53 (a Lua number) */
    uint64_t deadline_ms;
    uint64_t started_ns; /* clock_ns */
    struct event_link by_deadline;
    struct arena arena;

    /* While WAITING or SLEEPING: */
    struct fiber *fiber;                /* parked */
    const struct pdk_method *waits_for; /* NULL: a function outside the table */
    uint32_t awaited; /* ProtoBuf:1: which of Kong's answers to this event it is, from 0 */
    int answer_rc;    /* for the parked call: 0 or KONG_E_* */
    struct kong_value answer;
    void (*interrupt)(void *arg); /* see event_sleep */
    void *interrupt_arg;
    /* While `posted` is there: */
    size_t posted_at;      /* where the call's frames begin */
    uint32_t posted_names; /* the headers that were merged into it (protobuf_merge_header) */
    /* While waiting_rpc is there: */
    int64_t request; /* its msgid */
    LIST_ENTRY(event) by_asker;

    /* From here on all is zeroed for each event. */
    bool ended;       /* a terminal call was made */
    bool finished;    /* ops->conversation_end was called */
    bool refused;     /* no handler runs: its instance cannot be used, or it is quarantined */
    bool reporting;   /* a failure, to Kong: not freed, whatever that write brings about */
    bool released;    /* the conversation is over: free as soon as the handler has returned */
    bool asked_ahead; /* what is learned was asked for (prefetch.h) */
    bool awaits_step; /* MsgPack:1: Kong has the call's description, and is to send its result */
    int cancelled;    /* KONG_E_*: all calls fail with it */
    int rc;           /* what the handler returned */
    int unended;      /* KONG_E_*: why the last terminal call was not sent; 0 */
    unsigned asked;   /* pdk_phase.c: what Kong said of this event */
    int error_rc;     /* the last error that a PDK function gave */
    struct kong_str
        error; /* … its text, in the arena or static; data NULL: that of kong_strerror */
    const struct kong_job *job;      /* what runs instead of a handler; NULL */
    struct event_cleanup *cleanups;  /* the last one first */
    const struct pdk_method *posted; /* ProtoBuf:1: of the call that was sent last and still ends
                                        what is to be written; NULL: there is none */
    struct answers answers;
    const char *request_id;             /* where the handler has asked Kong for it; NULL */
    struct quarantine_handler *watched; /* its handler crashed the process lately; NULL: no */
    const char *watched_request;        /* … its request's id, once it is known; NULL */
    /* MsgPack's conversation: */
    void *waiting_rpc; /* the connection that brought Kong's unanswered request; NULL: none is
                          unanswered */
    struct queued_call *queue_head, *queue_tail;
    size_t queued;
};

/* What the events of several threads have in common. Zeroed before the first use. */
struct events_shared {
    _Atomic size_t alive;
    pthread_mutex_t lock;
    struct recurrence refusals; /* under the lock */
    struct notices notices;
};

struct events_options {
    const struct plugins *plugins;     /* borrowed */
    struct registry *registry;         /* borrowed */
    struct log *log;                   /* borrowed */
    void *owner;                       /* of the loop, for those who park handlers */
    struct running *running;           /* where it is told which handler runs, in the slot of
                                          worker_index; and who is quarantined. Borrowed */
    uint32_t tag;                      /* in all ids, up to EVENT_TAG_MASK */
    uint32_t worker_index;             /* in all ids: which of … */
    unsigned worker_bits;              /* … up to 2^worker_bits; 0: there is only one */
    struct events_shared *shared;      /* borrowed */
    struct stats *stats;               /* where limits are counted; borrowed */
    struct stats_plugin *plugin_stats; /* … events and calls, by plugin: as many; borrowed */
    const struct budget *budget;       /* of the handlers' memory; borrowed; NULL: none */
    size_t max_events;                 /* of all workers together */
    size_t stack_size;                 /* of a handler, where its plugin does not say */
    bool log_each_failure;             /* of a handler, where it repeats too */
    bool kong_2_8;                     /* calls are allowed as Kong 2.8 does it, else as 3.9 does */
    uint64_t timeout_ms;               /* of one event, from its start */
    struct blocking_pool *blocking;    /* borrowed; for kong_run_blocking. NULL: there is none */
    uint64_t blocking_wait_ms;         /* for one of its threads; 0: no limit */
};

/* All events of one loop. NULL when out of memory. */
struct events *events_create(const struct events_options *options);
/* No event may be alive (asserted). NULL is allowed. */
void events_destroy(struct events *events);

const struct events_options *events_options(const struct events *events);
static inline struct stats *events_stats(const struct events *events) {
    return events_options(events)->stats;
}
static inline struct stats_plugin *events_plugin_stats(const struct events *events,
                                                       const struct plugin *plugin) {
    return &events_options(events)->plugin_stats[plugin->index];
}
size_t events_alive(const struct events *events);
/* Of all workers. */
size_t events_alive_all(const struct events *events);

/* An event could not start, for the server's sake: whether Kong is to be told of it. */
bool events_refusal_due(struct events *events);

/* Lines for Kong's error.log, posted by the next event. */
static inline struct notices *events_notices(const struct events *events) {
    return &events_options(events)->shared->notices;
}

/* Where it is told which handler runs. */
struct running_slot *events_running(struct events *events);
/* Whether an address (of a fault) says that the running handler's stack overflowed.
 * Async-signal-safe. */
bool events_is_guard(const struct events *events, const void *address);

/* Runs the handler of `phase` until it first parks or returns; ops may be called from inside, and
 * may release the event before this returns. NULL: started, the caller's reference of the instance
 * is taken over. An instance whose configuration was refused gives an event too, which fails
 * without a handler; so does one whose handler is quarantined. Else why it could not start
 * (static): the reference stays the caller's, and Kong must be told as the on_error of its plugin
 * wants. */
const char *event_start(struct events *events, struct instance *instance, enum kong_phase phase,
                        const struct event_ops *ops, void *peer, uint64_t now_ms);

/* The event of an id; NULL when there is none (any more). */
struct event *events_find(struct events *events, uint64_t id);

/* Kong's answer to the call in which the handler waits: rc 0 and the value (in the event's arena),
 * or KONG_E_* with an optional text. Runs the handler on. */
void event_deliver(struct event *event, int rc, struct kong_value value, struct kong_str error);

/* The conversation is over (answered, or the peer is gone). The event is freed now, or when its
 * handler has returned. */
void event_release(struct event *event);

/* Resumes the handler with an error, again and again until it returns; it cannot talk to Kong any
 * more. KONG_E_GONE: the peer is gone, ops are not called any more. KONG_E_TIMEOUT: the
 * conversation ends through ops->conversation_end as a failed handler's. A handler in
 * kong_run_blocking goes on until its function returns; Kong is answered at once. */
void event_cancel(struct event *event, int error);

/* To be called about once a second. Cancels events that are over their time (cheap: they are in
 * order), gives back stacks that were not used since and what others do not need any more, and
 * makes room at the limit where other workers want it. */
void events_tick(struct events *events, uint64_t now_ms);

/* Cancels all that wait for Kong (the server is ending). */
void events_cancel_all(struct events *events, int error);

/* --- from the handler's fiber (pdk.c) --- */

/* A PDK function that is posted or ends the event: queued. KONG_OK or KONG_E_*. */
int event_post(struct event *event, const struct pdk_method *method, const struct kong_value *args,
               size_t count);

/* A PDK function: queued, and when it waits, parked until the answer is there. result may be NULL
 * for posted ones. KONG_OK or KONG_E_*. */
int event_call(struct event *event, const struct pdk_method *method, struct kong_str name,
               const struct kong_value *args, size_t count, struct kong_value *result);

/* Parks the handler until event_wake, whatever Kong does meanwhile. When the event is cancelled
 * while it sleeps, interrupt(arg) is called once, from the loop: it makes event_wake come sooner,
 * and does not call it itself. NULL: there is nothing to hurry. */
void event_sleep(struct event *event, void (*interrupt)(void *arg), void *arg);
/* From the loop: continues a sleeping handler. */
void event_wake(struct event *event);

/* --- around the start of an instance (rpc) --- */

/* Tells, as for a handler, that the plugin's configure runs on this worker's thread. refusal->why:
 * it must not run, for it crashed the server process with this configuration. */
void events_enter_configure(struct events *events, const struct plugin *plugin,
                            struct kong_str config, struct instance_refusal *refusal);
void events_leave_configure(struct events *events);

/* Around a function of a sleeping handler that runs on another thread: tells, as for a handler,
 * that it runs. May be NULL: nobody is told. */
struct running_slot *event_enter_blocking(const struct event *event);
void event_leave_blocking(struct running_slot *slot);

/* Runs the cleanup when the handler has returned, before those that were asked for earlier. */
void event_at_end(struct event *event, struct event_cleanup *cleanup);

/* A place for what the waits of these events share (server/pdk/wait_inbox.c); NULL at first. */
void **events_inbox(struct events *events);

/* What stands in the way of any further call: 0, or KONG_E_ENDED, KONG_E_GONE, KONG_E_TIMEOUT. */
int event_call_error(const struct event *event);

/* Notes an error of a PDK function and returns it. The text lives as long as the event; data NULL:
 * that of kong_strerror. */
int event_fail(struct event *event, int error, struct kong_str text);

#endif
