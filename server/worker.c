#include "worker.h"

#include <assert.h>
#include <stdlib.h>

#include "limit.h"

#define TICK_MS   1000
#define READ_SIZE ((size_t)64 << 10)

static uint64_t loop_now(void *clock) {
    return uv_now(clock);
}

static void on_tick(uv_timer_t *timer) {
    struct worker *worker = timer->data;
    uint64_t now = uv_now(&worker->loop);
    events_tick(worker->events, now);
    conns_tick(&worker->conns, now);
}

int worker_init(struct worker *worker) {
    int rc = uv_loop_init(&worker->loop);
    worker->loop_ready = rc == 0;
    return rc;
}

static void fill_conns(struct worker *worker, const struct worker_options *options) {
    worker->relays = options->relays;
    worker->relays.loop = &worker->loop;
    char *buffer = worker->conns.read_buffer;
    worker->conns = options->conns;
    worker->conns.loop = &worker->loop;
    worker->conns.read_buffer = buffer;
    worker->conns.read_size = READ_SIZE;
    struct rpc_env *rpc = &worker->conns.rpc;
    rpc->events = worker->events;
    rpc->scratch = &worker->scratch;
    rpc->connections = &worker->conns.count;
    rpc->relay_env = &worker->relays;
    rpc->now_ms = loop_now;
    rpc->clock = &worker->loop;
}

int worker_open(struct worker *worker, const struct worker_options *options) {
    struct events_options events = options->events;
    events.owner = &worker->loop;
    events.stats = &worker->stats;
    arena_init(&worker->scratch, LIMIT_EVENT_MEMORY);
    worker->conns.read_buffer = malloc(READ_SIZE);
    int rc = uv_timer_init(&worker->loop, &worker->tick);
    if (worker->conns.read_buffer == NULL || rc != 0) {
        return rc != 0 ? rc : UV_ENOMEM;
    }
    worker->tick.data = worker;
    worker->events = events_create(&events);
    if (worker->events == NULL) {
        return UV_ENOMEM;
    }
    fill_conns(worker, options);
    return uv_timer_start(&worker->tick, on_tick, TICK_MS, TICK_MS);
}

void worker_close(struct worker *worker) {
    if (worker->events == NULL || uv_is_closing((uv_handle_t *)&worker->tick)) {
        return;
    }
    conns_close_all(&worker->conns);
    events_cancel_all(worker->events, KONG_E_GONE);
    uv_close((uv_handle_t *)&worker->tick, NULL);
}

static void close_walked(uv_handle_t *handle, void *arg) {
    (void)arg;
    if (!uv_is_closing(handle)) {
        uv_close(handle, NULL);
    }
}

void worker_destroy(struct worker *worker) {
    worker_close(worker);
    if (worker->loop_ready) {
        if (worker->events ==
            NULL) { /* it did not come so far that anything has a close callback */
            uv_walk(&worker->loop, close_walked, NULL);
        }
        uv_run(&worker->loop, UV_RUN_DEFAULT);
        int rc = uv_loop_close(&worker->loop);
        assert(rc == 0);
        (void)rc;
    }
    events_destroy(worker->events);
    arena_free(&worker->scratch);
    free(worker->conns.read_buffer);
}
