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

#include "crowd.h"
#include "event.h"
#include "limit.h"
#include "msgpack_peer.h"
#include "msgpack_rpc.h"
#include "rig.h"
#include "running.h"
#include "value.h"

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
    for (size_t i = 0; i < LANES; i++) {
        msgpack_peer_open(&others[i], sim_server_path(crowd.rig.server));
    }
    usleep(200000);
    for (size_t i = LANES; i < LENGTH(others); i++) { /* one by one: the other threads are free */
        msgpack_peer_open(&others[i], sim_server_path(crowd.rig.server));
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

/* The thread of one connection more, which is closed again. */
static uint32_t lane_of_another(struct crowd *crowd, int64_t id) {
    struct msgpack_peer first = crowd->peers[0];
    msgpack_peer_open(&crowd->peers[0], sim_server_path(crowd->rig.server));
    uint32_t lane = lane_of(crowd, 0, id);
    msgpack_peer_close(&crowd->peers[0]);
    crowd->peers[0] = first;
    while (figure(status(crowd, 0), "Connections", "Open", NULL) != PEERS) {
        arena_reset(&crowd->arena);
        usleep(1000);
    }
    return lane;
}

/* All have as many each time. */
static void threads_that_are_alike_take_turns(void **state) {
    bool seen[LANES] = {false};
    struct crowd crowd;
    (void)state;
    crowd_start(&crowd, (struct sim_server_options){0});
    while (figure(status(&crowd, 0), "Connections", "Open", NULL) != PEERS) {
        usleep(1000); /* of those that open_peers did not keep */
    }
    int64_t id = start_over(&crowd, 0, "{\"mode\":\"loop\",\"count\":1}");
    for (size_t i = 0; i < LANES; i++) {
        uint32_t lane = lane_of_another(&crowd, id);
        assert_false(seen[lane]);
        seen[lane] = true;
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

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(steps_come_over_any_connection),
        cmocka_unit_test(steps_that_are_too_big),
        cmocka_unit_test(answers_overtake_each_other),
        cmocka_unit_test(invented_ids),
        cmocka_unit_test(an_asker_that_leaves),
        cmocka_unit_test(busy_threads_get_no_connections),
        cmocka_unit_test(threads_that_are_alike_take_turns),
        cmocka_unit_test(steps_pile_up),
    };
    return cmocka_run_group_tests_name("test_threads", tests, NULL, NULL);
}
