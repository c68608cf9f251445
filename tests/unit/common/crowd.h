/* A server of several threads, and connections that are spread over them. Include behind
 * <cmocka.h>.
 */
#ifndef TESTS_UNIT_CROWD_H
#define TESTS_UNIT_CROWD_H

#include <stdio.h>
#include <time.h>

#include "event.h"
#include "limit.h"
#include "msgpack_peer.h"
#include "msgpack_rpc.h"
#include "rig.h"
#include "value.h"

#define LANES     4
#define PEERS     ((size_t)8) /* connections: two on each thread */
#define LANE_BITS 2

/* A rig with four threads, and connections of which each belongs to the thread peer % LANES. */
struct crowd {
    struct rig rig;
    struct msgpack_peer peers[PEERS];
    struct arena arena;
};

static inline struct rpc_reply ask(struct crowd *crowd, size_t peer, struct rpc_call call) {
    return msgpack_peer_ask(&crowd->peers[peer], call, &crowd->arena);
}

static inline int64_t start_over(struct crowd *crowd, size_t peer, const char *config) {
    struct rpc_call call = {
        .command = RPC_START_INSTANCE, .name = kong_str("rig"), .config = kong_str(config)};
    struct rpc_reply reply = ask(crowd, peer, call);
    assert_int_equal(reply.kind, RPC_REPLY_INSTANCE);
    return reply.instance.id;
}

static inline struct rpc_reply close_over(struct crowd *crowd, size_t peer, int64_t id) {
    return ask(crowd, peer, (struct rpc_call){.command = RPC_CLOSE_INSTANCE, .instance_id = id});
}

static inline struct rpc_reply begin_over(struct crowd *crowd, size_t peer, int64_t id) {
    return ask(crowd, peer,
               (struct rpc_call){
                   .command = RPC_HANDLE_EVENT, .instance_id = id, .event = kong_str("access")});
}

static inline struct rpc_call step_call(uint64_t event) {
    return (struct rpc_call){.command = RPC_STEP, .event_id = event, .data = kong_string("1")};
}

static inline struct rpc_reply step_over(struct crowd *crowd, size_t peer, uint64_t event) {
    return ask(crowd, peer, step_call(event));
}

/* The thread of a peer: each event says where it is. */
static inline uint32_t lane_of(struct crowd *crowd, size_t peer, int64_t id) {
    struct rpc_reply reply = begin_over(crowd, peer, id);
    assert_int_equal(reply.kind, RPC_REPLY_PDK_CALL);
    uint32_t worker_index = event_worker(reply.event_id, LANE_BITS);
    assert_in_range(worker_index, 0, LANES - 1);
    while (reply.kind == RPC_REPLY_PDK_CALL) {
        reply = step_over(crowd, peer, reply.event_id);
    }
    assert_int_equal(reply.kind, RPC_REPLY_RETURN);
    return worker_index;
}

/* As many peers for each thread, in the order of the threads. Where a thread did not get to its
 * connections in time others were given more: those are closed, and others opened. */
static inline void open_peers(struct crowd *crowd) {
    struct msgpack_peer sorted[PEERS];
    size_t found[LANES] = {0};
    size_t kept = 0;
    int64_t id = 0;
    for (int tries = 0; kept < PEERS; tries++) {
        assert_true(tries < 1000);
        msgpack_peer_open(&crowd->peers[0], sim_server_path(crowd->rig.server));
        id = id > 0 ? id : start_over(crowd, 0, "{\"mode\":\"loop\",\"count\":1}");
        uint32_t worker_index = lane_of(crowd, 0, id);
        if (found[worker_index] < PEERS / LANES) {
            sorted[found[worker_index]++ * LANES + worker_index] = crowd->peers[0];
            kept++;
        } else {
            msgpack_peer_close(&crowd->peers[0]);
        }
    }
    memcpy(crowd->peers, sorted, sizeof sorted);
    close_over(crowd, 0, id);
}

static inline void crowd_start(struct crowd *crowd, struct sim_server_options options) {
    options.threads = LANES;
    rig_start(&crowd->rig, PROTOCOL_MSGPACK, &options);
    arena_init(&crowd->arena, (size_t)1 << 26);
    open_peers(crowd);
}

static inline void crowd_stop(struct crowd *crowd) {
    for (size_t i = 0; i < PEERS; i++) {
        msgpack_peer_close(&crowd->peers[i]);
    }
    arena_free(&crowd->arena);
    rig_stop(&crowd->rig);
}

static inline const struct kong_value *status(struct crowd *crowd, size_t peer) {
    struct rpc_reply reply = ask(crowd, peer, (struct rpc_call){.command = RPC_GET_STATUS});
    assert_int_equal(reply.kind, RPC_REPLY_STATUS);
    struct kong_value *copy = arena_alloc(&crowd->arena, sizeof *copy);
    assert_non_null(copy);
    *copy = reply.status;
    return copy;
}

static inline int64_t figure(const struct kong_value *map, const char *first, const char *second,
                             const char *third) {
    const char *const path[] = {first, second, third};
    for (size_t i = 0; i < LENGTH(path) && path[i] != NULL; i++) {
        map = value_get(map, path[i]);
        assert_non_null(map);
    }
    return map->integer;
}

/* Its phases. */
static inline const struct kong_value *of_rig(const struct kong_value *status) {
    return value_get(value_get(value_get(status, "Plugins"), "rig"), "Phases");
}

static inline void await_figure(struct crowd *crowd, const char *phase, const char *what,
                                int64_t wanted) {
    for (int i = 0; i < 12000; i++) {
        const struct kong_value *now = status(crowd, 0);
        const struct kong_value *phases = of_rig(now);
        if (value_get(phases, phase) != NULL && figure(of_rig(now), phase, what, NULL) == wanted) {
            return;
        }
        arena_reset(&crowd->arena);
        usleep(5000);
    }
    fail_msg("%s of %s are not %d", what, phase, (int)wanted);
}

#endif
