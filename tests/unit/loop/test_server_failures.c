/* What goes wrong between Kong and the running server, over both protocols: peers that vanish,
 * failing handlers, calls in the wrong phase, time-outs, the server's end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <time.h>

#include "checkers.h"
#include "event.h"
#include "limit.h"
#include "msgpack_peer.h"
#include "msgpack_rpc.h"
#include "rig.h"
#include "sim_wire.h"
#include "value.h"

/* --- Peers that vanish --- */

/* At every message, whole or by half, of every kind of event. Over MsgPack an event belongs to no
 * connection: what waits for a Step that never comes ends at its time limit. */
static void peers_vanish(void **state) {
    static const char *const modes[] = {"post", "wait", "mixed", "exit-more", "fail", "body"};
    struct rig rig;
    struct sim_server_options options = {.event_ms = 500};
    unsigned dropped = 0;
    rig_start(&rig, protocol_of(state), &options);
    for (size_t m = 0; m < LENGTH(modes); m++) {
        int64_t id = rig_instance(&rig, modes[m], 3);
        for (int variant = 0; variant < 4; variant++) {
            struct sim_event event = {.outcome = SIM_EVENT_DROPPED};
            struct sim_behaviour behaviour = {.two_writes = (variant & 1) != 0,
                                              .drop_half = (variant & 2) != 0};
            while (event.outcome == SIM_EVENT_DROPPED) {
                behaviour.drop_at++;
                *sim_client_behaviour(rig.client) = behaviour;
                rig_event(&rig, id, &event);
                dropped += event.outcome == SIM_EVENT_DROPPED;
            }
            assert_true(event.outcome == SIM_EVENT_OK || event.outcome == SIM_EVENT_EXITED);
            assert_true(behaviour.drop_at > 2);
        }
    }
    assert_true(dropped > 60);
    rig_settle();
    rig_alive(&rig);
    rig_stop(&rig);
}

/* --- What goes wrong --- */

static void unknown_instance(void **state) {
    struct rig rig;
    struct sim_event event;
    rig_start(&rig, protocol_of(state), NULL);
    int64_t id = rig_instance(&rig, "post", 1);
    static const int64_t ids[] = {0, 1, -1, INT32_MAX, INT32_MIN};
    for (size_t i = 0; i < LENGTH(ids); i++) {
        if (ids[i] != id) {
            assert_event(&rig, ids[i], &event, SIM_EVENT_NO_INSTANCE);
            assert_non_null(strstr(event.text, "no plugin instance"));
        }
    }
    assert_event(&rig, id, &event, SIM_EVENT_OK);
    assert_int_equal(sim_client_stop(rig.client, id), SIM_EVENT_OK);
    assert_event(&rig, id, &event, SIM_EVENT_NO_INSTANCE);
    rig_alive(&rig);
    /* ProtoBuf: Kong gives up the connection each time; the server never closed one. */
    assert_int_equal(sim_client_counts(rig.client)->connections,
                     rig.protocol == PROTOCOL_PROTOBUF ? 1 + LENGTH(ids) + 1 : 1);
    rig_stop(&rig);
}

static void fails_open(void **state) {
    struct rig rig;
    struct sim_event event;
    rig_start(&rig, protocol_of(state), NULL);
    int64_t id = rig_instance(&rig, "fail", 1);
    for (size_t w = 0; w < rig_way_count; w++) {
        *sim_client_behaviour(rig.client) = rig_ways[w].behaviour;
        assert_event(&rig, id, &event, SIM_EVENT_OK);
        assert_string_equal(rig_header(&rig, "X-Before"), "yes");
        assert_int_equal(rig.pdk->log_count, w == 0); /* not per request */
        if (w == 0) {
            assert_string_equal(rig.pdk->logs[0].level.data, "err");
            assert_string_equal(rig.pdk->logs[0].text.data,
                                "rig: access failed: the plugin failed");
        }
    }
    rig_stop(&rig);
}

static void fails_closed(void **state) {
    struct rig rig;
    struct sim_event event;
    struct sim_server_options options = {.plugin = &rig_closed_plugin};
    rig_start(&rig, protocol_of(state), &options);
    int64_t id = rig_instance(&rig, "fail", 1);
    for (size_t w = 0; w < rig_way_count; w++) {
        *sim_client_behaviour(rig.client) = rig_ways[w].behaviour;
        assert_event(&rig, id, &event, SIM_EVENT_EXITED);
        assert_int_equal(rig.pdk->client.status, 500);
        assert_string_equal(rig.pdk->client.body.data,
                            "{\"message\":\"An unexpected error occurred\"}");
        assert_string_equal(rig_header(&rig, "Content-Type"), "application/json; charset=utf-8");
        assert_int_equal(rig.pdk->log_count, w == 0);
        if (w == 0) {
            assert_string_equal(rig.pdk->logs[0].text.data,
                                "rig: access failed: the plugin failed");
        }
    }
    /* In the log phase nobody can be answered any more: it is logged, no more. */
    *sim_client_behaviour(rig.client) = (struct sim_behaviour){0};
    rig_fresh(&rig);
    assert_true(sim_pdk_set_phase(rig.pdk, KONG_PHASE_LOG));
    id = rig_instance(&rig, "unknown", 1);
    int64_t failing = rig_instance(&rig, "no-such-mode", 1);
    assert_int_equal(sim_client_event(rig.client, failing, "log", &event), SIM_EVENT_OK);
    assert_string_equal(rig.pdk->logs[0].text.data, "rig: log failed: the plugin failed");
    rig_stop(&rig);
}

static int fail_behind_many(struct kong *kong, const void *config) {
    int rc = KONG_OK;
    (void)config;
    while (rc == KONG_OK) {
        rc = kong_log_debug(kong, "x");
    }
    return rc;
}

/* There is room for the end of a request behind all the calls that there may be. */
static void fails_at_the_limit_of_calls(void **state) {
    static const struct kong_plugin plugin = {.name = "rig",
                                              .version = "1.0",
                                              .on_error = KONG_FAIL_CLOSED,
                                              .handlers = {[KONG_PHASE_ACCESS] = fail_behind_many}};
    struct sim_server_options options = {.plugin = &plugin, .event_ms = 600000}; /* for valgrind */
    struct rig rig;
    struct sim_event event;
    int64_t id;
    if (under_valgrind() && protocol_of(state) == PROTOCOL_MSGPACK) {
        skip(); /* as many round trips: half a minute, and no other memory than those of ProtoBuf */
    }
    rig_start(&rig, protocol_of(state), &options);
    assert_int_equal(sim_client_start(rig.client, "rig", "{}", &id), SIM_EVENT_OK);
    assert_event(&rig, id, &event, SIM_EVENT_EXITED);
    assert_int_equal(rig.pdk->client.status, 500);
    rig_stop(&rig);
}

/* MsgPack:1: Kong can be told to exit in access, and raises on that in log. */
static void lost_in_a_phase(void **state) {
    static const struct {
        const char *phase;
        enum rpc_reply_kind kind;
    } rows[] = {{"access", RPC_REPLY_PDK_CALL}, {"log", RPC_REPLY_ERROR}};
    struct rig rig;
    struct sim_server_options options = {.plugin = &rig_closed_plugin};
    (void)state;
    rig_start(&rig, PROTOCOL_MSGPACK, &options);
    for (size_t i = 0; i < LENGTH(rows); i++) {
        struct msgpack_peer peer;
        struct rpc_call call = {.command = RPC_HANDLE_EVENT,
                                .instance_id = rig_instance(&rig, "post", 1),
                                .event = kong_str(rows[i].phase)};
        msgpack_peer_open(&peer, sim_server_path(rig.server));
        assert_int_equal(msgpack_peer_lost_step(&peer, call, &rig.arena).kind, rows[i].kind);
        msgpack_peer_close(&peer);
    }
    rig_stop(&rig);
}

/* A configuration that the schema refuses: each event fails as the plugin wants it. What the text
 * quotes of the configuration is no sign of a lost instance. */
static void refused_open(void **state) {
    struct rig rig;
    struct sim_event event;
    int64_t id;
    rig_start(&rig, protocol_of(state), NULL);
    assert_int_equal(sim_client_start(rig.client, "rig", "{\"mode\":\"No Plugin Instance\"}", &id),
                     SIM_EVENT_OK);
    assert_event(&rig, id, &event, SIM_EVENT_OK);
    assert_int_equal(rig.pdk->log_count, 1);
    assert_non_null(
        strstr(rig.pdk->logs[0].text.data, "config.mode: invalid value: No Plugin Instance"));
    rig_alive(&rig);
    rig_stop(&rig);
}

static void refused_closed(void **state) {
    struct rig rig;
    struct sim_event event;
    struct sim_server_options options = {.plugin = &rig_closed_plugin};
    int64_t id;
    rig_start(&rig, protocol_of(state), &options);
    assert_int_equal(sim_client_start(rig.client, "rig", "{\"mode\":\"no plugin instance\"}", &id),
                     SIM_EVENT_OK);
    for (int i = 0; i < 2; i++) {
        assert_event(&rig, id, &event, SIM_EVENT_EXITED);
        assert_int_equal(rig.pdk->client.status, 500);
        assert_string_equal(rig.pdk->client.body.data, EVENT_FAILED_BODY);
    }
    rig_alive(&rig);
    rig_stop(&rig);
}

/* Calls that raise in Kong bring no Step, ever. Their events give way after seconds when the table
 * is full, not only at their time limit. */
static void steps_that_never_come(void **state) {
    struct rig rig;
    struct sim_event event;
    struct sim_server_options options = {.max_events = 4};
    rig_start(&rig, protocol_of(state), &options);
    int64_t raising = rig_instance(&rig, "badphase", 1);
    int64_t good = rig_instance(&rig, "post", 1);
    for (int i = 0; i < 4; i++) {
        assert_event(&rig, raising, &event, SIM_EVENT_RAISED);
    }
    rig_event(&rig, good, &event); /* full: refused */
    assert_null(rig_header(&rig, "X-0"));
    nanosleep(&(struct timespec){.tv_sec = 2, .tv_nsec = 200000000}, NULL);
    for (int i = 0; i < 4; i++) {
        assert_event(&rig, good, &event, SIM_EVENT_OK);
        assert_string_equal(rig_header(&rig, "X-0"), "v");
    }
    rig_stop(&rig);
}

/* More posted than either side's buffers hold: Kong writes an answer before it reads the next call,
 * so the server must go on reading while it writes. */
static void posts_more_than_fits(void **state) {
    struct rig rig;
    struct sim_event event;
    struct sim_server_options options = {.event_ms = 600000}; /* for valgrind */
    const int calls = under_valgrind() ? 2000 : 8000;
    rig_start(&rig, protocol_of(state), &options);
    int64_t id = rig_instance(&rig, "post", calls);
    assert_event(&rig, id, &event, SIM_EVENT_OK);
    assert_int_equal(rig.pdk->log_count, calls);
    rig_alive(&rig);
    rig_stop(&rig);
}

/* A PDK call raises: Kong answers nothing. ProtoBuf: it closes; MsgPack: no Step ever comes. */
static void wrong_phase(void **state) {
    struct rig rig;
    struct sim_event event;
    struct sim_server_options options = {.event_ms = 300};
    rig_start(&rig, protocol_of(state), &options);
    int64_t id = rig_instance(&rig, "badphase", 1);
    for (int i = 0; i < 5; i++) {
        assert_event(&rig, id, &event, SIM_EVENT_RAISED);
        assert_string_equal(event.text, "function cannot be called in access phase (only in: "
                                        "response, header_filter, log)");
        assert_null(rig_header(&rig, "X-After"));
    }
    rig_settle();
    bool protobuf = rig.protocol == PROTOCOL_PROTOBUF;
    assert_int_equal(rig_notes()->results[protobuf ? -KONG_E_GONE : -KONG_E_TIMEOUT], 5);
    rig_alive(&rig);
    assert_int_equal(sim_client_counts(rig.client)->connections, protobuf ? 6 : 1);
    rig_stop(&rig);
}

/* Kong takes longer over a PDK call than the event has time. */
static int slow_pdk(void *ctx, const struct pdk_method *method, struct kong_str name,
                    const struct kong_value *args, size_t count, struct arena *arena,
                    struct kong_value *result) {
    if (kong_str_equal(name, kong_str("kong.request.get_header"))) {
        rig_settle(); /* until the handler was given up */
    }
    return sim_pdk_call(ctx, method, name, args, count, arena, result);
}

static struct sim_client *slow_client(const struct rig *rig) {
    struct sim_client_options options = {.protocol = rig->protocol,
                                         .connect = sim_connect_unix,
                                         .connect_ctx = sim_server_path(rig->server),
                                         .pdk = slow_pdk,
                                         .pdk_ctx = rig->pdk,
                                         .timeout_ms = 60000};
    struct sim_client *client = sim_client_create(&options);
    assert_non_null(client);
    return client;
}

static void handler_times_out(void **state) {
    struct rig rig;
    struct sim_event event;
    struct sim_server_options options = {.event_ms = 200};
    rig_start(&rig, protocol_of(state), &options);
    int64_t id = rig_instance(&rig, "wait", 1);
    struct sim_client *client = slow_client(&rig);
    sim_client_event(client, id, "access", &event);
    assert_int_equal(rig_notes()->results[-KONG_E_TIMEOUT], 1);
    if (rig.protocol == PROTOCOL_PROTOBUF) {
        /* The late answer is dropped, the event ends as a failed one, the connection lives. */
        assert_int_equal(event.outcome, SIM_EVENT_OK);
        assert_int_equal(rig.pdk->log_count, 1);
        assert_string_equal(rig.pdk->logs[0].text.data, "rig: access failed: timed out");
        id = rig_instance(&rig, "post", 1);
        assert_int_equal(sim_client_event(client, id, "access", &event), SIM_EVENT_OK);
        assert_int_equal(sim_client_counts(client)->connections, 1);
    } else {
        /* Kong's Step finds no event. */
        assert_int_equal(event.outcome, SIM_EVENT_ERROR);
    }
    assert_null(rig_header(&rig, "X-Out"));
    sim_client_destroy(client);
    rig_alive(&rig);
    rig_stop(&rig);
}

/* The same, and the plugin fails closed: the request ends, by whichever way Kong comes back. */
static void assert_closed(void **state, const char *mode) {
    struct rig rig;
    struct sim_event event;
    struct sim_server_options options = {.plugin = &rig_closed_plugin, .event_ms = 200};
    rig_start(&rig, protocol_of(state), &options);
    int64_t id = rig_instance(&rig, mode, 1);
    struct sim_client *client = slow_client(&rig);
    sim_client_event(client, id, "access", &event);
    assert_int_equal(rig_notes()->results[-KONG_E_TIMEOUT], 1);
    assert_int_equal(event.outcome, SIM_EVENT_EXITED);
    assert_int_equal(rig.pdk->client.status, 500);
    assert_string_equal(rig.pdk->client.body.data, EVENT_FAILED_BODY);
    if (rig.protocol == PROTOCOL_MSGPACK) { /* an exit says no more; the next event does */
        assert_int_equal(rig.pdk->log_count, 0);
        id = rig_instance(&rig, "post", 1);
        assert_event(&rig, id, &event, SIM_EVENT_OK);
        assert_true(rig.pdk->log_count > 0);
        assert_string_equal(rig.pdk->logs[0].text.data,
                            "rig: event lost, its request ended: no such event");
    }
    sim_client_destroy(client);
    rig_alive(&rig);
    rig_stop(&rig);
}

static void closed_times_out(void **state) {
    assert_closed(state, "wait");
}

/* … also where the handler returns 0: nothing of what it did behind its time reached Kong. */
static void closed_times_out_unheeded(void **state) {
    assert_closed(state, "careless");
}

static void send_call(struct wire *wire, const struct rpc_call *calls, size_t count) {
    struct buffer bytes;
    buffer_init(&bytes, LIMIT_FRAME);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(msgpack_encode_call(&bytes, &calls[i]), CODEC_OK);
    }
    assert_int_equal(wire_write(wire, bytes.data, bytes.len), WIRE_OK);
    buffer_free(&bytes);
}

static void read_reply(struct rig *rig, struct wire *wire, struct rpc_reply *reply) {
    struct frame frame;
    int64_t pid;
    do {
        assert_int_equal(wire_read(wire, &frame), WIRE_OK);
    } while (msgpack_decode_server_pid(frame.data, frame.len, &pid));
    assert_int_equal(
        msgpack_decode_reply(&rig->arena, frame.data, frame.len, RPC_HANDLE_EVENT, reply),
        CODEC_OK);
}

/* A second Step while the handler is busy with the first: refused, and the event goes on. */
static void impatient_steps(void **state) {
    struct rig rig;
    struct wire wire;
    struct rpc_reply reply;
    rig_start(&rig, protocol_of(state), NULL);
    struct rpc_call call = {.command = RPC_HANDLE_EVENT,
                            .sequence = 1,
                            .instance_id = rig_instance(&rig, "sleep", 10),
                            .event = kong_str("access")};
    wire_init(&wire, sim_connect_unix(sim_server_path(rig.server)), PROTOCOL_MSGPACK, 10000);
    send_call(&wire, &call, 1);
    read_reply(&rig, &wire, &reply);
    assert_int_equal(reply.kind, RPC_REPLY_PDK_CALL);
    struct rpc_call step = {
        .command = RPC_STEP, .sequence = 2, .event_id = reply.event_id, .data = kong_string("in")};
    struct rpc_call steps[] = {step, step};
    steps[1].sequence = 3;
    send_call(&wire, steps, 2);
    read_reply(&rig, &wire, &reply);
    assert_int_equal(reply.sequence, 3);
    assert_int_equal(reply.kind, RPC_REPLY_ERROR);
    read_reply(&rig, &wire, &reply);
    assert_int_equal(reply.sequence, 2);
    assert_int_equal(reply.kind, RPC_REPLY_PDK_CALL);
    assert_string_equal(reply.method.data, "kong.response.set_header");
    step.sequence = 4;
    step.data = kong_nil();
    send_call(&wire, &step, 1);
    read_reply(&rig, &wire, &reply);
    assert_int_equal(reply.kind, RPC_REPLY_RETURN);
    /* And one for an event that is over. */
    step.sequence = 5;
    send_call(&wire, &step, 1);
    read_reply(&rig, &wire, &reply);
    assert_int_equal(reply.kind, RPC_REPLY_ERROR);
    wire_close(&wire);
    rig_stop(&rig);
}

/* The server ends while handlers wait for Kong: they are resumed with an error, nothing leaks. */
static int ending_pdk(void *ctx, const struct pdk_method *method, struct kong_str name,
                      const struct kong_value *args, size_t count, struct arena *arena,
                      struct kong_value *result) {
    struct rig *rig = ctx;
    if (kong_str_equal(name, kong_str("kong.request.get_header"))) {
        sim_server_ask(rig->server);
        rig_settle();
    }
    return sim_pdk_call(rig->pdk, method, name, args, count, arena, result);
}

static void server_ends_in_mid_event(void **state) {
    struct rig rig;
    struct sim_event event;
    struct sim_server_options options = {.drain_ms = 100};
    rig_start(&rig, protocol_of(state), &options);
    int64_t id = rig_instance(&rig, "wait", 1);
    struct sim_client_options client_options = {.protocol = rig.protocol,
                                                .connect = sim_connect_unix,
                                                .connect_ctx = sim_server_path(rig.server),
                                                .pdk = ending_pdk,
                                                .pdk_ctx = &rig,
                                                .timeout_ms = 60000};
    struct sim_client *client = sim_client_create(&client_options);
    assert_non_null(client);
    sim_client_event(client, id, "access", &event);
    assert_true(event.outcome == SIM_EVENT_CLOSED || event.outcome == SIM_EVENT_REFUSED);
    assert_int_equal(rig_notes()->results[-KONG_E_GONE], 1);
    sim_client_destroy(client);
    rig_stop(&rig);
}

int main(void) {
    static enum protocol protobuf = PROTOCOL_PROTOBUF;
    static enum protocol msgpack = PROTOCOL_MSGPACK;
    const struct CMUnitTest tests[] = {
        RIG_TESTS(peers_vanish),
        RIG_TESTS(unknown_instance),
        RIG_TESTS(fails_open),
        RIG_TESTS(fails_closed),
        cmocka_unit_test(lost_in_a_phase),
        RIG_TESTS(fails_at_the_limit_of_calls),
        RIG_TESTS(refused_open),
        RIG_TESTS(refused_closed),
        RIG_TEST(posts_more_than_fits, protobuf),
        RIG_TEST(steps_that_never_come, msgpack),
        RIG_TESTS(wrong_phase),
        RIG_TESTS(handler_times_out),
        RIG_TESTS(closed_times_out),
        RIG_TESTS(closed_times_out_unheeded),
        RIG_TEST(impatient_steps, msgpack),
        RIG_TESTS(server_ends_in_mid_event),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
