/* What all threads of a server have in common: instances, figures, limits, notices, the drain. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>
#include <unistd.h>

#include "crowd.h"
#include "running.h"

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
        cmocka_unit_test(instances_are_everyones),
        cmocka_unit_test(figures_are_summed_up),
        cmocka_unit_test(limits_are_of_the_whole_server),
        cmocka_unit_test(forsaken_events_make_room),
        cmocka_unit_test(notices_are_told_once),
        cmocka_unit_test(events_cross_the_drain),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
