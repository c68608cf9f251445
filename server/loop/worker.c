#include "worker.h"

#include <assert.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "crash.h"
#include "limit.h"

#define TICK_MS       1000 /* and less where a tenth of the time of an event is */
#define TICK_LEAST_MS 20
#define DRAIN_TICK_MS 1

static uint64_t loop_now(void *clock) {
    return uv_now(clock);
}

static void on_tick(uv_timer_t *timer) {
    struct worker *worker = timer->data;
    uint64_t now = uv_now(worker->loop);
    events_tick(worker->events, now);
    conns_tick(&worker->conns, now);
}

static void on_drain_tick(uv_timer_t *timer) {
    struct worker *worker = timer->data;
    conns_end_idle(&worker->conns);
}

/* --- what the server wants --- */

static void drain(struct worker *worker, bool taken_over) {
    worker->conns.draining = true;
    worker->conns.taken_over = taken_over;
    if (uv_timer_start(&worker->drain_tick, on_drain_tick, DRAIN_TICK_MS, DRAIN_TICK_MS) != 0) {
        conns_close_all(&worker->conns); /* rather than never */
    }
}

/* All that happens on the loop leads here before it waits again. */
static void on_done_check(uv_prepare_t *prepare) {
    struct worker *worker = prepare->data;
    if (!worker->done && LIST_EMPTY(&worker->conns.all) && worker->relays.count == 0 &&
        worker->forwards_sent == 0 && events_alive(worker->events) == 0) {
        worker->done = true;
        worker->options.closed(worker->options.closed_arg);
    }
}

static void close_all(struct worker *worker) {
    conns_close_all(&worker->conns);
    events_cancel_all(worker->events, KONG_E_GONE);
    uv_close((uv_handle_t *)&worker->tick, NULL);
    uv_close((uv_handle_t *)&worker->drain_tick, NULL);
    busy_poll_close(&worker->busy_poll);
    jobs_close(worker->jobs);
    uv_prepare_start(&worker->done_check, on_done_check);
}

static void enter_state(struct worker *worker, enum worker_state wanted, bool taken_over) {
    if (wanted >= WORKER_DRAIN && worker->state < WORKER_DRAIN && wanted < WORKER_CLOSE) {
        drain(worker, taken_over);
    }
    if (wanted >= WORKER_CLOSE && worker->state < WORKER_CLOSE) {
        close_all(worker);
    }
    if (wanted >= WORKER_END && worker->state < WORKER_END) {
        uv_close((uv_handle_t *)&worker->mailbox, NULL);
        uv_close((uv_handle_t *)&worker->done_check, NULL);
    }
    worker->state = wanted > worker->state ? wanted : worker->state;
}

/* --- messages --- */

static void on_mailbox(uv_async_t *handle) {
    struct worker *worker = handle->data;
    pthread_mutex_lock(&worker->lock);
    struct message *message = worker->first;
    enum worker_state wanted = worker->wanted_state;
    bool taken_over = worker->taken_over;
    worker->first = worker->last = NULL;
    pthread_mutex_unlock(&worker->lock);
    while (message != NULL) {
        struct message *next = message->next;
        message->deliver(message, worker);
        message = next;
    }
    enter_state(worker, wanted, taken_over);
}

/* Sent under the lock: a thread that finds WORKER_END knows that this worker takes no more
 * messages. */
void worker_post(struct worker *worker, struct message *message) {
    message->next = NULL;
    pthread_mutex_lock(&worker->lock);
    assert(worker->wanted_state < WORKER_END);
    *(worker->last != NULL ? &worker->last->next : &worker->first) = message;
    worker->last = message;
    uv_async_send(&worker->mailbox);
    pthread_mutex_unlock(&worker->lock);
}

void worker_request(struct worker *worker, enum worker_state wanted, bool taken_over) {
    pthread_mutex_lock(&worker->lock);
    if (wanted > worker->wanted_state) {
        worker->wanted_state = wanted;
        worker->taken_over = worker->taken_over || taken_over;
        uv_async_send(&worker->mailbox);
    }
    pthread_mutex_unlock(&worker->lock);
}

struct arrival {
    struct message message;
    int fd;
    bool steps_only;
};

/* Counted twice for a moment, rather than not at all: a draining server without connections ends. A
 * server that took this for its limit is told when it is over. */
static void on_arrival(struct message *message, struct worker *worker) {
    struct arrival *arrival = (struct arrival *)message;
    int rc = conn_adopt(&worker->conns, arrival->fd, arrival->steps_only);
    if (rc != 0) {
        log_write(worker->conns.rpc.log, LOG_LEVEL_ERROR, "connection: %s", uv_strerror(rc));
    }
    worker->on_their_way--;
    worker->conns.closed(&worker->conns);
    free(arrival);
}

int worker_adopt(struct worker *worker, int fd, bool steps_only) {
    struct arrival *arrival = malloc(sizeof *arrival);
    if (arrival == NULL) {
        log_write(worker->conns.rpc.log, LOG_LEVEL_ERROR, "connection: %s", uv_strerror(UV_ENOMEM));
        fd_store_close(worker->conns.store, fd, true);
        return UV_ENOMEM;
    }
    *arrival = (struct arrival){.message.deliver = on_arrival, .fd = fd, .steps_only = steps_only};
    worker->on_their_way++;
    worker_post(worker, &arrival->message);
    return 0;
}

size_t worker_connections(const struct worker *worker) {
    /* In this order: one that arrives meanwhile is counted twice rather than not at all. */
    size_t coming = worker->on_their_way;
    return coming + worker->conns.count;
}

/* --- figures --- */

void workers_gather(const struct worker_options *options, struct stats *sum,
                    struct stats_plugin *plugin_sum, struct status_source *source) {
    size_t plugins = options->events.plugins->count;
    *sum = (struct stats){0};
    memset(plugin_sum, 0, plugins * sizeof *plugin_sum);
    stats_gather(sum, options->rest);
    source->stats = sum;
    source->plugin_stats = plugin_sum;
    source->threads = options->count;
    source->connections = 0;
    for (uint32_t i = 0; i < options->count; i++) {
        stats_gather(sum, &options->all[i].stats);
        for (size_t k = 0; k < plugins; k++) {
            stats_gather_plugin(&plugin_sum[k], &options->all[i].plugin_stats[k]);
        }
        source->connections += options->all[i].conns.count;
    }
}

static void gather(const struct rpc_env *env, struct status_source *source) {
    struct worker *worker =
        (struct worker *)((char *)(uintptr_t)env - offsetof(struct worker, conns.rpc));
    workers_gather(&worker->options, &worker->sum, worker->plugin_sum, source);
}

/* --- start and end --- */

static void fill_conns(struct worker *worker) {
    const struct worker_options *options = &worker->options;
    worker->relays = options->relays;
    worker->relays.loop = worker->loop;
    char *buffer = worker->conns.read_buffer;
    worker->conns = options->conns;
    worker->conns.loop = worker->loop;
    worker->conns.read_buffer = buffer;
    worker->conns.worker_index = worker->index;
    worker->conns.busy_poll = &worker->busy_poll;
    struct rpc_env *rpc = &worker->conns.rpc;
    rpc->events = worker->events;
    rpc->prefetch = worker->prefetch;
    rpc->declares = prefetch_declares(worker->prefetch);
    rpc->scratch = &worker->scratch;
    rpc->budget = &worker->budget;
    rpc->complaints = &worker->complaints;
    rpc->running = options->events.running;
    rpc->process_forward_env = &worker->relays;
    rpc->now_ms = loop_now;
    rpc->clock = worker->loop;
    rpc->gather = gather;
}

static int init_timers(struct worker *worker) {
    int rc = uv_timer_init(worker->loop, &worker->tick);
    if (rc == 0) {
        rc = uv_timer_init(worker->loop, &worker->drain_tick);
    }
    worker->tick.data = worker->drain_tick.data = worker;
    busy_poll_init(&worker->busy_poll, worker->loop, worker->options.busy_poll_us, &worker->stats);
    return rc;
}

static int init_mailbox(struct worker *worker) {
    pthread_mutex_init(&worker->lock, NULL); /* default attributes: cannot fail on Linux */
    int rc = uv_async_init(worker->loop, &worker->mailbox, on_mailbox);
    if (rc == 0) {
        uv_prepare_init(worker->loop, &worker->done_check); /* always 0 */
        worker->mailbox.data = worker->done_check.data = worker;
        worker->mailbox_ready = true;
    }
    return rc;
}

int worker_open(struct worker *worker, uint32_t index, uv_loop_t *loop,
                const struct worker_options *options) {
    worker->loop = loop;
    worker->options = *options;
    worker->index = index;
    struct events_options events = options->events;
    events.owner = worker->loop;
    events.stats = &worker->stats;
    events.worker_index = index;
    worker->budget = options->budget;
    worker->budget.refused = &worker->stats.limits[STATS_LIMIT_MEMORY];
    events.budget = &worker->budget;
    arena_init(&worker->scratch, LIMIT_EVENT_MEMORY);
    arena_set_budget(&worker->scratch, &worker->budget);
    worker->conns.read_buffer = fd_store_read_buffer(options->conns.store, index);
    if (worker->conns.read_buffer == NULL) {
        worker->conns.read_buffer = worker->own_read_buffer = malloc(FD_STORE_READ_SIZE);
    }
    worker->plugin_stats = calloc(options->events.plugins->count, sizeof *worker->plugin_stats);
    worker->plugin_sum = calloc(options->events.plugins->count, sizeof *worker->plugin_sum);
    events.plugin_stats = worker->plugin_stats;
    bool made = worker->conns.read_buffer != NULL && worker->plugin_stats != NULL &&
                worker->plugin_sum != NULL;
    int rc = made ? init_timers(worker) : UV_ENOMEM;
    if (rc == 0) {
        rc = init_mailbox(worker);
    }
    if (rc != 0) {
        return rc;
    }
    worker->events = events_create(&events);
    if (worker->events == NULL || !prefetch_create(options->events.plugins, options->prefetch,
                                                   events.kong_2_8, &worker->prefetch)) {
        return UV_ENOMEM;
    }
    fill_conns(worker);
    uint64_t tick_ms = options->events.timeout_ms / 10;
    tick_ms = tick_ms > TICK_MS ? TICK_MS : tick_ms < TICK_LEAST_MS ? TICK_LEAST_MS : tick_ms;
    rc = uv_timer_start(&worker->tick, on_tick, tick_ms, tick_ms);
    return rc == 0 && index == 0 ? jobs_open(worker->events, loop, &worker->jobs) : rc;
}

static void *run(void *arg) {
    struct worker *worker = arg;
    char name[16];
    snprintf(name, sizeof name, "worker %u", (unsigned)worker->index);
    pthread_setname_np(pthread_self(), name);
    if (worker->options.watch_faults) {
        crash_enter(worker->events);
    }
    uv_run(worker->loop, UV_RUN_DEFAULT);
    if (worker->options.watch_faults) {
        crash_leave();
    }
    return NULL;
}

/* The signals that the server hears are for its own thread. No others are blocked: a program that a
 * handler starts gets the same mask. */
int worker_start(struct worker *worker) {
    static const int heard[] = {SIGTERM, SIGINT, SIGUSR1, SIGUSR2, SIGHUP};
    sigset_t blocked;
    sigset_t before;
    sigemptyset(&blocked);
    for (size_t i = 0; i < sizeof heard / sizeof *heard; i++) {
        sigaddset(&blocked, heard[i]);
    }
    pthread_sigmask(SIG_BLOCK, &blocked, &before);
    int rc = pthread_create(&worker->thread, NULL, run, worker);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    worker->started = rc == 0;
    return uv_translate_sys_error(rc);
}

static void close_walked(uv_handle_t *handle, void *arg) {
    (void)arg;
    if (!uv_is_closing(handle)) {
        uv_close(handle, NULL);
    }
}

void worker_close_handles(uv_loop_t *loop) {
    uv_walk(loop, close_walked, NULL);
}

void worker_destroy(struct worker *worker) {
    if (worker->started) {
        pthread_join(worker->thread, NULL);
        assert(worker->first == NULL);
    } else if (worker->events != NULL) {
        enter_state(worker, WORKER_END, false);
    }
    if (worker->loop != NULL) {
        if (worker->events == NULL) { /* it did not come so far that anything is under way */
            worker_close_handles(worker->loop);
        }
        uv_run(worker->loop, UV_RUN_DEFAULT);
    }
    if (worker->mailbox_ready) {
        pthread_mutex_destroy(&worker->lock);
    }
    jobs_destroy(worker->jobs);
    events_destroy(worker->events);
    prefetch_destroy(worker->prefetch);
    arena_free(&worker->scratch);
    free(worker->own_read_buffer);
    free(worker->plugin_stats);
    free(worker->plugin_sum);
}
