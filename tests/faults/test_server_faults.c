/* The running server with calls that fail, each in turn: memory, libuv, and bytes that go through
 * in pieces. Whatever fails, nothing crashes or leaks, Kong gets an answer or an end, and once
 * nothing fails any more the server serves. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <time.h>

#include "rig.h"
#include "seam.h"

#define ENOUGH 2000 /* calls that can fail, in any scenario */
#define BURST  5    /* that fail one after the other, "for a while" */

/* --- What is done while calls fail: nothing in here needs to succeed --- */

/* Kong's worker never waits in vain, and understands what it gets. A command that fails on
 * ProtoBuf:1 gets an answer without what was asked for, which Kong takes for broken: there is no
 * other way to say it. */
static void assert_told(enum sim_event_outcome outcome, const char *text, const char *what) {
    if (outcome == SIM_EVENT_TIMEOUT || outcome == SIM_EVENT_BROKEN) {
        fail_msg("%s, %s failing: %s %s", what, seam_failed(), sim_event_outcome_name(outcome),
                 text != NULL ? text : "");
    }
}

static int64_t start_instance(struct rig *rig, const char *mode) {
    char config[64];
    int64_t id = 1;
    snprintf(config, sizeof config, "{\"mode\":\"%s\",\"count\":2}", mode);
    enum sim_event_outcome outcome = sim_client_start(rig->client, "rig", config, &id);
    if (outcome != SIM_EVENT_BROKEN || rig->protocol != PROTOCOL_PROTOBUF) {
        assert_told(outcome, NULL, mode);
    }
    return id;
}

static void commands(struct rig *rig) {
    static const enum rpc_command asked[] = {RPC_PLUGIN_NAMES, RPC_PLUGIN_INFO, RPC_INSTANCE_STATUS,
                                             RPC_GET_STATUS, RPC_CLOSE_INSTANCE};
    int64_t id = start_instance(rig, "post");
    for (size_t i = 0; i < LENGTH(asked); i++) {
        struct rpc_call call = {.command = asked[i], .name = kong_str("rig"), .instance_id = id};
        struct rpc_reply reply;
        const char *text = NULL;
        if (asked[i] == RPC_GET_STATUS && rig->protocol == PROTOCOL_PROTOBUF) {
            continue;
        }
        arena_reset(&rig->arena);
        enum sim_event_outcome outcome =
            sim_client_command(rig->client, &call, &rig->arena, &reply, &text);
        if (outcome != SIM_EVENT_BROKEN || rig->protocol != PROTOCOL_PROTOBUF) {
            assert_told(outcome, text, "command");
        }
    }
}

static void event_of(struct rig *rig, const char *mode) {
    struct sim_event event;
    int64_t id = start_instance(rig, mode);
    assert_told(rig_event(rig, id, &event), event.text, mode);
    sim_client_stop(rig->client, id);
}

static void mixed(struct rig *rig) {
    event_of(rig, "mixed");
}

static void posts(struct rig *rig) {
    event_of(rig, "post");
}

static void sleeps(struct rig *rig) {
    event_of(rig, "sleep");
}

static void waits(struct rig *rig) {
    event_of(rig, "waits");
}

static void exits(struct rig *rig) {
    event_of(rig, "exit-more");
}

static void fails(struct rig *rig) {
    event_of(rig, "fail");
}

/* MsgPack:1: each Step over the other of two connections. */
static void steps_elsewhere(struct rig *rig) {
    sim_client_behaviour(rig->client)->connections = 2;
    event_of(rig, "mixed");
}

/* Kong hangs up in the middle of an event. */
static void hangs_up(struct rig *rig) {
    struct sim_event event;
    int64_t id = start_instance(rig, "loop");
    sim_client_behaviour(rig->client)->drop_at = 3;
    assert_told(rig_event(rig, id, &event), event.text, "hang up");
    sim_client_behaviour(rig->client)->drop_at = 0;
}

struct scenario {
    const char *name;
    void (*run)(struct rig *rig);
};

static const struct scenario scenarios[] = {
    {"commands", commands}, {"mixed", mixed}, {"post", posts}, {"sleep", sleeps},
    {"waits", waits},       {"exit", exits},  {"fail", fails}, {"steps elsewhere", steps_elsewhere},
    {"hang up", hangs_up},
};

/* --- Each call fails in turn, in one server --- */

/* The server goes on: a plain event goes through over a new connection. On ProtoBuf:1 what was
 * under way is over; on MsgPack:1 an event whose Step never comes waits for its time limit. */
static void assert_serves(struct rig *rig) {
    sim_client_drop(rig->client);
    if (rig->protocol == PROTOCOL_PROTOBUF) {
        rig_settle();
    }
    rig_alive(rig);
    sim_client_drop(rig->client);
}

static size_t each_call(struct rig *rig, const struct scenario *scenario, enum seam_kind kind,
                        size_t count) {
    size_t nth = 1;
    for (;; nth++) {
        if (nth > ENOUGH) {
            fail_msg("%s: no end of calls", scenario->name);
        }
        *sim_client_behaviour(rig->client) = (struct sim_behaviour){0};
        if (count > 1) { /* a connection is there: accepting would fail until its time comes */
            assert_true(start_instance(rig, "nothing") > 1);
        }
        seam_arm(kind, nth, count);
        scenario->run(rig);
        bool failed = seam_disarm();
        assert_serves(rig);
        if (!failed) {
            return nth - 1;
        }
    }
}

static void each_scenario(enum protocol protocol, const struct kong_plugin *plugin,
                          enum seam_kind kind, size_t count) {
    struct sim_server_options options = {.plugin = plugin, .drain_ms = 100};
    for (size_t i = 0; i < LENGTH(scenarios); i++) {
        struct rig rig;
        /* A server for each: what it keeps for later use is not there yet. */
        rig_start(&rig, protocol, &options);
        size_t calls = each_call(&rig, &scenarios[i], kind, count);
        assert_true(calls >= 1);
        rig_stop(&rig);
        seam_check_leaks(scenarios[i].name);
    }
}

static void memory_fails_once(void **state) {
    each_scenario(protocol_of(state), &rig_plugin, SEAM_MEMORY, 1);
}

static void memory_fails_for_a_while(void **state) {
    each_scenario(protocol_of(state), &rig_closed_plugin, SEAM_MEMORY, BURST);
}

static void libuv_fails_once(void **state) {
    each_scenario(protocol_of(state), &rig_closed_plugin, SEAM_UV, 1);
}

static void libuv_fails_for_a_while(void **state) {
    each_scenario(protocol_of(state), &rig_plugin, SEAM_UV,
                  2); /* more, and the timer for another attempt is among them */
}

/* --- The end of a server, with calls that fail --- */

/* Answers as Kong's PDK does, and asks the server to end at the first call. */
static int answer_and_end(void *ctx, const struct pdk_method *method, struct kong_str name,
                          const struct kong_value *args, size_t count, struct arena *arena,
                          struct kong_value *result) {
    struct rig *rig = ctx;
    sim_server_ask(rig->server);
    return sim_pdk_call(rig->pdk, method, name, args, count, arena, result);
}

/* The server is asked to end in the middle of an event. */
static void end_in_event(struct rig *rig) {
    struct sim_event event;
    struct sim_client_options options = {.protocol = rig->protocol,
                                         .connect = sim_connect_unix,
                                         .connect_ctx = sim_server_path(rig->server),
                                         .pdk = answer_and_end,
                                         .pdk_ctx = rig,
                                         .timeout_ms = 10000};
    struct sim_client *client = sim_client_create(&options);
    assert_non_null(client);
    int64_t id = start_instance(rig, "mixed");
    rig_fresh(rig);
    assert_told(sim_client_event(client, id, "access", &event), event.text, "end");
    sim_client_destroy(client);
}

static void drains(void **state) {
    struct sim_server_options options = {.drain_ms = 500};
    for (int i = 0; i < 2; i++) {
        enum seam_kind kind = i == 0 ? SEAM_MEMORY : SEAM_UV;
        size_t nth = 1;
        for (bool failed = true; failed; nth++) {
            struct rig rig;
            rig_start(&rig, protocol_of(state), &options);
            rig_alive(&rig);
            seam_arm(kind, nth, 1);
            end_in_event(&rig);
            rig_stop(&rig);
            failed = seam_disarm();
            assert_in_range(nth, 1, ENOUGH);
        }
        assert_true(nth > 3);
        seam_check_leaks("drain");
    }
}

/* --- A reload: Steps that the next server on the path passes on to the one that has the event ---
 */

struct reload {
    struct rig rig;
    struct sim_server *next;
    enum seam_kind kind;
    size_t nth;
};

/* At the event's first call the next server takes over; only then calls begin to fail. */
static int answer_and_reload(void *ctx, const struct pdk_method *method, struct kong_str name,
                             const struct kong_value *args, size_t count, struct arena *arena,
                             struct kong_value *result) {
    struct reload *reload = ctx;
    if (reload->next == NULL) {
        char error[256];
        struct sim_server_options options = {.plugin = &rig_plugin,
                                             .socket_path = sim_server_path(reload->rig.server),
                                             .drain_ms = 100};
        reload->next = sim_server_start(&options, error, sizeof error);
        assert_non_null(reload->next);
        seam_arm(reload->kind, reload->nth, 1);
    }
    return sim_pdk_call(reload->rig.pdk, method, name, args, count, arena, result);
}

/* Each second Step opens, and then uses, a connection to the next server. True when a call failed.
 */
static bool reload_in_event(enum seam_kind kind, size_t nth) {
    struct reload reload = {.kind = kind, .nth = nth};
    struct sim_server_options first = {.drain_ms = 100};
    struct sim_event event;
    rig_start(&reload.rig, PROTOCOL_MSGPACK, &first);
    struct sim_client_options options = {.protocol = PROTOCOL_MSGPACK,
                                         .connect = sim_connect_unix,
                                         .connect_ctx = sim_server_path(reload.rig.server),
                                         .pdk = answer_and_reload,
                                         .pdk_ctx = &reload,
                                         .timeout_ms = 10000};
    struct sim_client *client = sim_client_create(&options);
    assert_non_null(client);
    int64_t id = rig_instance(&reload.rig, "loop", 4);
    rig_fresh(&reload.rig);
    sim_client_behaviour(client)->connections = 2;
    enum sim_event_outcome outcome = sim_client_event(client, id, "access", &event);
    bool failed = seam_disarm();
    assert_told(outcome, event.text, "reload");
    assert_true(failed || outcome == SIM_EVENT_OK);
    sim_client_destroy(client);
    sim_client_drop(reload.rig.client);
    rig_alive(&reload.rig); /* at the next server */
    sim_server_stop(reload.next);
    rig_stop(&reload.rig);
    return failed;
}

static void steps_are_passed_on(void **state) {
    static const enum seam_kind kinds[] = {SEAM_MEMORY, SEAM_UV};
    (void)state;
    for (size_t i = 0; i < LENGTH(kinds); i++) {
        size_t nth = 1;
        while (reload_in_event(kinds[i], nth)) {
            assert_in_range(nth++, 1, ENOUGH);
        }
        assert_true(nth > 5);
        seam_check_leaks("reload");
    }
}

/* --- Bytes in pieces --- */

static void transfers_in_pieces(void **state) {
    static const enum seam_transfer ways[] = {SEAM_BYTEWISE, SEAM_AGAIN, SEAM_INTERRUPTED};
    static const char *const modes[] = {"post", "mixed", "loop", "sleep", "exit"};
    for (size_t w = 0; w < LENGTH(ways); w++) {
        struct rig rig;
        rig_start(&rig, protocol_of(state), NULL);
        seam_transfer(ways[w]);
        for (size_t m = 0; m < LENGTH(modes); m++) {
            struct sim_event event;
            int64_t id = rig_instance(&rig, modes[m], 5);
            bool exit = m + 1 == LENGTH(modes);
            assert_event(&rig, id, &event, exit ? SIM_EVENT_EXITED : SIM_EVENT_OK);
        }
        rig_alive(&rig);
        seam_transfer(SEAM_WHOLE);
        rig_stop(&rig);
    }
}

/* Answers that wait for the peer to read go out whole when writing works again. */
static void queued_writes_in_pieces(void **state) {
    struct rig rig;
    struct sim_event event;
    rig_start(&rig, protocol_of(state), NULL);
    seam_transfer(SEAM_AGAIN);
    int64_t id = rig_instance(&rig, "post", 100);
    assert_event(&rig, id, &event, SIM_EVENT_OK);
    assert_int_equal(rig.pdk->client.headers.count, 100);
    seam_transfer(SEAM_WHOLE);
    rig_stop(&rig);
}

static enum protocol protobuf = PROTOCOL_PROTOBUF;
static enum protocol msgpack = PROTOCOL_MSGPACK;

/* What the kernel does not take, and there is no memory to queue, waits where it is: Kong does not
 * see the end of a connection in the middle of an event. */
static void unsent_without_memory(void **state) {
    static const char *const modes[] = {"mixed", "post", "fail"};
    struct sim_server_options options = {.plugin = &rig_closed_plugin, .drain_ms = 100};
    (void)state;
    for (size_t i = 0; i < LENGTH(modes); i++) {
        struct rig rig;
        bool failed = true;
        rig_start(&rig, PROTOCOL_MSGPACK, &options);
        int64_t id = rig_instance(&rig, modes[i], 5);
        for (size_t nth = 1; failed; nth++) {
            struct sim_event event;
            assert_in_range(nth, 1, ENOUGH);
            seam_transfer(SEAM_AGAIN);
            seam_arm(SEAM_MEMORY, nth, 1);
            enum sim_event_outcome outcome = rig_event(&rig, id, &event);
            failed = seam_disarm();
            seam_transfer(SEAM_WHOLE);
            bool queue =
                strcmp(seam_failed(), "malloc") == 0; /* realloc: of what comes in pieces */
            if (queue && outcome != SIM_EVENT_OK && outcome != SIM_EVENT_EXITED) {
                fail_msg("%s, %s number %zu failing: %s %s", modes[i], seam_failed(), nth,
                         sim_event_outcome_name(outcome), event.text);
            }
        }
        rig_alive(&rig);
        rig_stop(&rig);
    }
    seam_check_leaks("unsent");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        RIG_TESTS(memory_fails_once),
        RIG_TESTS(memory_fails_for_a_while),
        RIG_TESTS(libuv_fails_once),
        RIG_TESTS(libuv_fails_for_a_while),
        RIG_TESTS(drains),
        RIG_TESTS(transfers_in_pieces),
        RIG_TESTS(queued_writes_in_pieces),
        cmocka_unit_test(unsent_without_memory),
        cmocka_unit_test(steps_are_passed_on),
    };
    seam_guard();
    return cmocka_run_group_tests_name("server faults", tests, NULL, NULL);
}
