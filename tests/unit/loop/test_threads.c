/* A server whose handlers run on several threads: where connections, events and their Steps are,
 * and what all threads have in common. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "event.h"
#include "limit.h"
#include "msgpack_peer.h"
#include "msgpack_rpc.h"
#include "rig.h"
#include "running.h"
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

static struct rpc_reply ask(struct crowd *crowd, size_t peer, struct rpc_call call) {
    return msgpack_peer_ask(&crowd->peers[peer], call, &crowd->arena);
}

static int64_t start_over(struct crowd *crowd, size_t peer, const char *config) {
    struct rpc_call call = {
        .command = RPC_START_INSTANCE, .name = kong_str("rig"), .config = kong_str(config)};
    struct rpc_reply reply = ask(crowd, peer, call);
    assert_int_equal(reply.kind, RPC_REPLY_INSTANCE);
    return reply.instance.id;
}

static struct rpc_reply close_over(struct crowd *crowd, size_t peer, int64_t id) {
    return ask(crowd, peer, (struct rpc_call){.command = RPC_CLOSE_INSTANCE, .instance_id = id});
}

static struct rpc_reply begin_over(struct crowd *crowd, size_t peer, int64_t id) {
    return ask(crowd, peer,
               (struct rpc_call){
                   .command = RPC_HANDLE_EVENT, .instance_id = id, .event = kong_str("access")});
}

static struct rpc_call step_call(uint64_t event) {
    return (struct rpc_call){.command = RPC_STEP, .event_id = event, .data = kong_string("1")};
}

static struct rpc_reply step_over(struct crowd *crowd, size_t peer, uint64_t event) {
    return ask(crowd, peer, step_call(event));
}

/* The thread of a peer: each event says where it is. */
static uint32_t lane_of(struct crowd *crowd, size_t peer, int64_t id) {
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
static void open_peers(struct crowd *crowd) {
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

static void crowd_start(struct crowd *crowd, struct sim_server_options options) {
    options.threads = LANES;
    rig_start(&crowd->rig, PROTOCOL_MSGPACK, &options);
    arena_init(&crowd->arena, (size_t)1 << 26);
    open_peers(crowd);
}

static void crowd_stop(struct crowd *crowd) {
    for (size_t i = 0; i < PEERS; i++) {
        msgpack_peer_close(&crowd->peers[i]);
    }
    arena_free(&crowd->arena);
    rig_stop(&crowd->rig);
}

static const struct kong_value *status(struct crowd *crowd, size_t peer) {
    struct rpc_reply reply = ask(crowd, peer, (struct rpc_call){.command = RPC_GET_STATUS});
    assert_int_equal(reply.kind, RPC_REPLY_STATUS);
    struct kong_value *copy = arena_alloc(&crowd->arena, sizeof *copy);
    assert_non_null(copy);
    *copy = reply.status;
    return copy;
}

static int64_t figure(const struct kong_value *map, const char *first, const char *second,
                      const char *third) {
    const char *const path[] = {first, second, third};
    for (size_t i = 0; i < LENGTH(path) && path[i] != NULL; i++) {
        map = value_get(map, path[i]);
        assert_non_null(map);
    }
    return map->integer;
}

/* Its phases. */
static const struct kong_value *of_rig(const struct kong_value *status) {
    return value_get(value_get(value_get(status, "Plugins"), "rig"), "Phases");
}

static void await_figure(struct crowd *crowd, const char *phase, const char *what, int64_t wanted) {
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

/* --- Steps --- */

static void steps_come_over_any_connection(void **state) {
    enum { EVENTS = 16, CALLS = 20 };
    struct crowd crowd;
    uint64_t events[EVENTS];
    (void)state;
    crowd_start(&crowd, (struct sim_server_options){0});
    int64_t id = start_over(&crowd, 3, "{\"mode\":\"loop\",\"count\":20}");
    for (size_t i = 0; i < EVENTS; i++) {
        events[i] = begin_over(&crowd, i % PEERS, id).event_id;
        assert_int_equal(event_worker(events[i], LANE_BITS), i % LANES);
        assert_true(events[i] < (uint64_t)1 << 53);
    }
    for (size_t turn = 1; turn <= CALLS + 1; turn++) {
        for (size_t i = 0; i < EVENTS; i++) {
            struct rpc_reply reply = step_over(&crowd, (i + turn) % PEERS, events[i]);
            if (turn == CALLS + 1) {
                assert_int_equal(reply.kind, RPC_REPLY_RETURN);
                continue;
            }
            assert_int_equal(reply.kind, RPC_REPLY_PDK_CALL);
            assert_int_equal(reply.event_id, events[i]);
            assert_true(kong_str_equal(
                reply.method,
                kong_str(turn == CALLS ? "kong.response.set_header" : "kong.nginx.get_var")));
        }
        arena_reset(&crowd.arena);
    }
    /* Over: unknown everywhere. */
    for (size_t i = 0; i < PEERS; i++) {
        assert_int_equal(step_over(&crowd, i, events[0]).kind, RPC_REPLY_ERROR);
    }
    assert_int_equal(rig_notes()->results[0], EVENTS + PEERS);
    crowd_stop(&crowd);
}

/* An event of the mode "wait" whose handler waits for its own call. Lines of the server come first:
 * when a limit was reached, its next tick has one for the event behind it. */
static uint64_t begin_waiting(struct crowd *crowd, size_t peer, int64_t id) {
    struct rpc_reply reply = begin_over(crowd, peer, id);
    while (reply.kind == RPC_REPLY_PDK_CALL &&
           kong_str_equal(reply.method, kong_str("kong.log.err"))) {
        reply = step_over(crowd, peer, reply.event_id);
    }
    assert_int_equal(reply.kind, RPC_REPLY_PDK_CALL);
    assert_true(kong_str_equal(reply.method, kong_str("kong.request.get_header")));
    return reply.event_id;
}

/* Too big for the thread that gets it, and of an event of another: of the event that it is of. */
static void steps_that_are_too_big(void **state) {
    enum { MANY = 128 << 10 };
    static char text[MANY];
    struct crowd crowd;
    (void)state;
    crowd_start(&crowd, (struct sim_server_options){.max_frame = 64 << 10});
    int64_t id = start_over(&crowd, 0, "{\"mode\":\"wait\",\"count\":1}");
    for (size_t i = 0; i < PEERS; i++) {
        struct rpc_call call = step_call(begin_waiting(&crowd, i, id));
        call.data = kong_bytes(text, MANY);
        ask(&crowd, (i + 1) % PEERS, call);
        assert_int_equal(rig_notes()->last, KONG_E_TOO_BIG);
        assert_int_equal(rig_notes()->results[-KONG_E_TOO_BIG], i + 1); /* of this one, too */
    }
    assert_int_equal(figure(status(&crowd, 0), "Limits", "refused-message", NULL), PEERS);
    rig_alive(&crowd.rig);
    crowd_stop(&crowd);
}

/* Many at once over one connection: each answer has its own msgid, and comes when its event has
 * one. */
static void answers_overtake_each_other(void **state) {
    struct crowd crowd;
    (void)state;
    crowd_start(&crowd, (struct sim_server_options){0});
    int64_t slow = start_over(&crowd, 0, "{\"mode\":\"sleep\",\"count\":30}");
    int64_t quick = start_over(&crowd, 0, "{\"mode\":\"loop\",\"count\":2}");
    uint64_t slow_event = begin_over(&crowd, 1, slow).event_id;
    uint64_t quick_event = begin_over(&crowd, 2, quick).event_id;
    msgpack_peer_send(&crowd.peers[3], step_call(slow_event));
    int64_t slow_msgid = crowd.peers[3].msgid;
    assert_int_equal(step_over(&crowd, 3, quick_event).kind, RPC_REPLY_PDK_CALL);
    crowd.peers[3].msgid = slow_msgid;
    struct rpc_reply reply = msgpack_peer_answer(&crowd.peers[3], RPC_STEP, &crowd.arena);
    assert_int_equal(reply.kind, RPC_REPLY_PDK_CALL);
    assert_int_equal(reply.event_id, slow_event);
    crowd_stop(&crowd);
}

/* Ids that nobody has given: of threads that are not there, too. */
static void invented_ids(void **state) {
    struct crowd crowd;
    (void)state;
    crowd_start(&crowd, (struct sim_server_options){0});
    int64_t id = start_over(&crowd, 0, "{\"mode\":\"loop\",\"count\":2}");
    uint64_t event = begin_over(&crowd, 0, id).event_id;
    for (unsigned bit = 0; bit < EVENT_COUNT_BITS; bit++) {
        struct rpc_reply reply = step_over(&crowd, bit % PEERS, event ^ (uint64_t)1 << bit);
        assert_int_equal(reply.kind, RPC_REPLY_ERROR);
        assert_null(strstr(reply.error.data, "no plugin instance"));
    }
    assert_int_equal(step_over(&crowd, 3, event).kind, RPC_REPLY_PDK_CALL);
    crowd_stop(&crowd);
}

/* The connection that brought a Step goes, and the event with it, wherever it is. */
static void an_asker_that_leaves(void **state) {
    enum { TIMES = 50 };
    struct crowd crowd;
    (void)state;
    crowd_start(&crowd, (struct sim_server_options){0});
    int64_t id = start_over(&crowd, 0, "{\"mode\":\"sleep\",\"count\":500}");
    for (size_t i = 0; i < 8; i++) {
        struct msgpack_peer other;
        uint64_t event = begin_over(&crowd, i % PEERS, id).event_id;
        msgpack_peer_open(&other, sim_server_path(crowd.rig.server));
        msgpack_peer_send(&other, step_call(event));
        msgpack_peer_ask(&other, (struct rpc_call){.command = RPC_PLUGIN_NAMES}, &crowd.arena);
        msgpack_peer_close(&other); /* the Step was taken before what was asked behind it */
    }
    await_figure(&crowd, "access", "Orphaned", 8);
    await_figure(&crowd, "access", "Running", 0); /* the sleep was cut short */
    /* At once: answers and farewells meet on the way. */
    id = start_over(&crowd, 0, "{\"mode\":\"loop\",\"count\":3}");
    for (size_t i = 0; i < TIMES; i++) {
        struct msgpack_peer other;
        uint64_t event = begin_over(&crowd, i % PEERS, id).event_id;
        msgpack_peer_open(&other, sim_server_path(crowd.rig.server));
        msgpack_peer_send(&other, step_call(event));
        if (i % 3 == 0) {
            usleep((unsigned)i * 7);
        }
        msgpack_peer_close(&other);
    }
    rig_alive(&crowd.rig);
    crowd_stop(&crowd);
}

/* --- A thread that is kept busy --- */

/* An event of its own over a peer of worker_index 1, whose handler does not give its thread back.
 */
static void hold_lane(struct crowd *crowd) {
    struct rig_notes *notes = rig_notes();
    unsigned held = notes->held;
    int64_t id = start_over(crowd, 0, "{\"mode\":\"hold\",\"count\":1}");
    struct rpc_reply reply = begin_over(crowd, 1, id);
    assert_int_equal(reply.kind, RPC_REPLY_PDK_CALL);
    msgpack_peer_send(&crowd->peers[1], step_call(reply.event_id));
    while (notes->held == held) {
        usleep(1000);
    }
}

/* Each worker_index gets a first one; who has not collected it for a while gets no more. */
static void busy_threads_get_no_connections(void **state) {
    struct crowd crowd;
    struct msgpack_peer others[2 * LANES];
    (void)state;
    crowd_start(&crowd, (struct sim_server_options){0});
    hold_lane(&crowd);
    for (size_t i = 0; i < LENGTH(others); i++) {
        msgpack_peer_open(&others[i], sim_server_path(crowd.rig.server));
        if (i == LANES - 1) {
            usleep(200000);
        }
    }
    for (size_t i = LANES; i < LENGTH(others); i++) {
        struct rpc_reply reply = msgpack_peer_ask(
            &others[i], (struct rpc_call){.command = RPC_PLUGIN_NAMES}, &crowd.arena);
        assert_int_equal(reply.kind, RPC_REPLY_NAMES);
    }
    rig_notes()->let_go = true;
    for (size_t i = 0; i < LENGTH(others); i++) {
        msgpack_peer_ask(&others[i], (struct rpc_call){.command = RPC_PLUGIN_NAMES}, &crowd.arena);
        msgpack_peer_close(&others[i]);
    }
    crowd_stop(&crowd);
}

/* The server stops reading from a peer whose Steps wait at a busy thread: what it takes of them is
 * bounded. All are answered in the end. */
static void steps_pile_up(void **state) {
    enum { MOST = 8 << 20, STEP_BYTES = 8000 };
    static char text[STEP_BYTES];
    struct crowd crowd;
    struct buffer bytes;
    size_t taken = 0;
    int64_t sent = 0;
    (void)state;
    crowd_start(&crowd, (struct sim_server_options){0});
    int64_t id = start_over(&crowd, 1, "{\"mode\":\"wait\",\"count\":1}");
    struct rpc_call call = step_call(begin_over(&crowd, 1, id).event_id + LANES); /* not there */
    hold_lane(&crowd);
    memset(text, 'x', sizeof text);
    call.data = kong_bytes(text, sizeof text);
    buffer_init(&bytes, LIMIT_FRAME);
    for (int quiet = 0; quiet < 100 && taken < MOST;) {
        call.sequence = ++crowd.peers[0].msgid;
        buffer_clear(&bytes, LIMIT_FRAME);
        assert_int_equal(msgpack_encode_call(&bytes, &call), CODEC_OK);
        size_t at = 0;
        while (at < bytes.len && quiet < 100) {
            ssize_t got = send(crowd.peers[0].fd, bytes.data + at, bytes.len - at,
                               MSG_NOSIGNAL | MSG_DONTWAIT);
            quiet = got > 0 ? 0 : quiet + 1;
            at += got > 0 ? (size_t)got : 0;
            usleep(got > 0 ? 0 : 5000);
        }
        taken += at;
        sent++;
        if (at < bytes.len) { /* the rest, when it is read again */
            rig_notes()->let_go = true;
            while (at < bytes.len) {
                ssize_t got =
                    send(crowd.peers[0].fd, bytes.data + at, bytes.len - at, MSG_NOSIGNAL);
                assert_true(got > 0);
                at += (size_t)got;
            }
        }
    }
    assert_true(taken < MOST / 2);
    crowd.peers[0].msgid -= sent;
    for (; sent > 0; sent--) {
        arena_reset(&crowd.arena);
        crowd.peers[0].msgid++; /* the answers come in the order of the Steps */
        struct rpc_reply reply = msgpack_peer_answer(&crowd.peers[0], RPC_STEP, &crowd.arena);
        assert_int_equal(reply.kind, RPC_REPLY_ERROR);
    }
    buffer_free(&bytes);
    crowd_stop(&crowd);
}

/* --- What is common to all threads --- */

static void instances_are_everyones(void **state) {
    struct crowd crowd;
    (void)state;
    crowd_start(&crowd, (struct sim_server_options){0});
    for (size_t i = 0; i < 200; i++) {
        int64_t id = start_over(&crowd, i % PEERS, "{\"mode\":\"loop\",\"count\":1}");
        struct rpc_reply reply = begin_over(&crowd, (i + 1) % PEERS, id);
        assert_int_equal(reply.kind, RPC_REPLY_PDK_CALL);
        /* Closed by another while the event uses it. */
        assert_int_equal(close_over(&crowd, (i + 2) % PEERS, id).instance.id, id);
        assert_int_equal(rig_notes()->destroyed, i + 1);
        reply = step_over(&crowd, (i + 3) % PEERS, reply.event_id);
        assert_int_equal(reply.kind, RPC_REPLY_PDK_CALL);
        assert_int_equal(step_over(&crowd, i % PEERS, reply.event_id).kind, RPC_REPLY_RETURN);
        reply = begin_over(&crowd, (i + 2) % PEERS, id);
        assert_int_equal(reply.kind, RPC_REPLY_ERROR);
        assert_string_equal(reply.error.data, "no plugin instance");
        arena_reset(&crowd.arena);
    }
    crowd_stop(&crowd);
}

static void figures_are_summed_up(void **state) {
    enum { EVENTS = 24 };
    struct crowd crowd;
    (void)state;
    crowd_start(&crowd, (struct sim_server_options){0});
    int64_t id = start_over(&crowd, 0, "{\"mode\":\"loop\",\"count\":1}");
    int64_t before = figure(of_rig(status(&crowd, 0)), "access", "Started", NULL);
    uint64_t last = 0;
    for (size_t i = 0; i < EVENTS; i++) {
        last = begin_over(&crowd, i % PEERS, id).event_id;
        if (i + 1 < EVENTS) {
            step_over(&crowd, i % PEERS, last);
            step_over(&crowd, (i + 1) % PEERS, last);
        }
    }
    for (size_t i = 0; i < PEERS; i++) {
        const struct kong_value *now = status(&crowd, i);
        assert_int_equal(figure(now, "Threads", NULL, NULL), LANES);
        assert_int_equal(figure(of_rig(now), "access", "Started", NULL), before + EVENTS);
        assert_int_equal(figure(of_rig(now), "access", "Running", NULL), 1);
        assert_int_equal(figure(now, "Plugins", "rig", "EventsRunning"), 1);
        assert_int_equal(figure(now, "Connections", "Open", NULL), PEERS);
        assert_int_equal(figure(now, "Instances", "Live", NULL), 1);
        assert_int_equal(figure(now, "Instances", "Started", NULL), 2); /* one was sort_peers' */
        const struct kong_value *latency = value_get(value_get(of_rig(now), "access"), "Latency");
        assert_int_equal(figure(latency, "Count", NULL, NULL), before + EVENTS - 1);
    }
    step_over(&crowd, 0, last);
    crowd_stop(&crowd);
}

static void limits_are_of_the_whole_server(void **state) {
    struct crowd crowd;
    struct rpc_reply reply;
    (void)state;
    crowd_start(&crowd, (struct sim_server_options){
                            .max_events = 5, .max_connections = PEERS, .max_instances = 3});
    int64_t id = start_over(&crowd, 0, "{\"mode\":\"loop\",\"count\":1}");
    uint64_t events[5];
    for (size_t i = 0; i < 5; i++) {
        events[i] = begin_over(&crowd, i, id).event_id;
    }
    for (size_t i = 0; i < LANES; i++) {
        reply = begin_over(&crowd, i, id); /* told once a minute */
        assert_int_equal(reply.kind, i == 0 ? RPC_REPLY_ERROR : RPC_REPLY_RETURN);
    }
    step_over(&crowd, 7, events[2]);
    assert_int_equal(step_over(&crowd, 6, events[2]).kind, RPC_REPLY_RETURN);
    reply = begin_over(&crowd, 1, id); /* on another thread than the one that ended */
    assert_int_equal(reply.kind, RPC_REPLY_PDK_CALL);
    /* Connections: one more waits until another closes, on whichever thread. */
    for (size_t i = 0; i < LANES; i++) {
        struct msgpack_peer more;
        msgpack_peer_open(&more, sim_server_path(crowd.rig.server));
        msgpack_peer_send(&more, (struct rpc_call){.command = RPC_GET_STATUS});
        usleep(20000);
        assert_int_equal(figure(status(&crowd, 7), "Connections", "Open", NULL), PEERS);
        msgpack_peer_close(&crowd.peers[i]);
        reply = msgpack_peer_answer(&more, RPC_GET_STATUS, &crowd.arena);
        assert_int_equal(reply.kind, RPC_REPLY_STATUS);
        crowd.peers[i] = more;
    }
    for (size_t i = 0; i < 6; i++) {
        start_over(&crowd, i, "{}");
    }
    assert_int_equal(figure(status(&crowd, 3), "Instances", "Live", NULL), 3);
    crowd_stop(&crowd);
}

/* Events that Kong will never step again leave their places to those of other threads. */
static void forsaken_events_make_room(void **state) {
    struct crowd crowd;
    struct rpc_reply reply;
    (void)state;
    crowd_start(&crowd, (struct sim_server_options){.max_events = 2});
    int64_t id = start_over(&crowd, 0, "{\"mode\":\"loop\",\"count\":1}");
    begin_over(&crowd, 0, id);
    begin_over(&crowd, 0, id);
    for (int i = 0; i < 600; i++) {
        reply = begin_over(&crowd, 1, id);
        if (reply.kind == RPC_REPLY_PDK_CALL) {
            break;
        }
        usleep(100000);
    }
    assert_int_equal(reply.kind, RPC_REPLY_PDK_CALL);
    crowd_stop(&crowd);
}

/* Said once to Kong, not once for each thread. */
static void notices_are_told_once(void **state) {
    struct crowd crowd;
    struct running running = {
        .restarts = 3, .died_signal = 11, .died_instance = 77, .died_phase = KONG_PHASE_ACCESS};
    struct sim_server_options options = {.threads = LANES, .running = &running};
    unsigned told = 0;
    (void)state;
    rig_start(&crowd.rig, PROTOCOL_MSGPACK, &options);
    arena_init(&crowd.arena, (size_t)1 << 26);
    for (size_t i = 0; i < PEERS; i++) {
        msgpack_peer_open(&crowd.peers[i], sim_server_path(crowd.rig.server));
    }
    int64_t id = start_over(&crowd, 0, "{\"mode\":\"nothing\"}");
    for (size_t i = 0; i < PEERS; i++) {
        struct rpc_reply reply = begin_over(&crowd, i, id);
        if (reply.kind == RPC_REPLY_PDK_CALL) {
            assert_true(kong_str_equal(reply.method, kong_str("kong.log.err")));
            reply = step_over(&crowd, (i + 1) % PEERS, reply.event_id);
            told++;
        }
        assert_int_equal(reply.kind, RPC_REPLY_RETURN);
    }
    assert_int_equal(told, 1);
    crowd_stop(&crowd);
}

/* All threads have events at work when the end comes, and no next server has the path: what was
 * begun is finished, over the connections that there are. */
static void events_cross_the_drain(void **state) {
    struct crowd crowd;
    uint64_t events[PEERS];
    (void)state;
    crowd_start(&crowd, (struct sim_server_options){.drain_ms = 20000});
    int64_t id = start_over(&crowd, 0, "{\"mode\":\"sleep\",\"count\":4}");
    for (size_t i = 0; i < PEERS; i++) {
        events[i] = begin_over(&crowd, i, id).event_id;
    }
    sim_server_ask(crowd.rig.server);
    usleep(1200 * 1000); /* no connection is fresh any more */
    for (size_t i = 0; i < PEERS; i++) {
        msgpack_peer_send(&crowd.peers[(i + 1) % PEERS], step_call(events[i]));
    }
    for (size_t i = 0; i < PEERS; i++) {
        struct msgpack_peer *peer = &crowd.peers[(i + 1) % PEERS];
        struct rpc_reply reply = msgpack_peer_answer(peer, RPC_STEP, &crowd.arena);
        assert_int_equal(reply.kind, RPC_REPLY_PDK_CALL);
        assert_int_equal(reply.event_id, events[i]);
    }
    for (size_t i = 0; i < PEERS; i++) {
        assert_int_equal(step_over(&crowd, (i + 2) % PEERS, events[i]).kind, RPC_REPLY_RETURN);
    }
    assert_int_equal(rig_notes()->results[0], 2 * PEERS);
    crowd_stop(&crowd);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(steps_come_over_any_connection),
        cmocka_unit_test(steps_that_are_too_big),
        cmocka_unit_test(answers_overtake_each_other),
        cmocka_unit_test(invented_ids),
        cmocka_unit_test(an_asker_that_leaves),
        cmocka_unit_test(busy_threads_get_no_connections),
        cmocka_unit_test(steps_pile_up),
        cmocka_unit_test(instances_are_everyones),
        cmocka_unit_test(figures_are_summed_up),
        cmocka_unit_test(limits_are_of_the_whole_server),
        cmocka_unit_test(forsaken_events_make_room),
        cmocka_unit_test(notices_are_told_once),
        cmocka_unit_test(events_cross_the_drain),
    };
    return cmocka_run_group_tests_name("test_threads", tests, NULL, NULL);
}
