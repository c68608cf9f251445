/* Events of the running server, over both protocols, with all that Kong's Lua client does and all
 * that can go wrong on its side. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "rig.h"

#define LENGTH(array) (sizeof(array) / sizeof *(array))

#define assert_event(rig, id, event, wanted)                                                       \
    do {                                                                                           \
        enum sim_event_outcome outcome_ = rig_event(rig, id, event);                               \
        if (outcome_ != (wanted)) {                                                                \
            fail_msg("%s, not %s: %s", sim_event_outcome_name(outcome_),                           \
                     sim_event_outcome_name(wanted), (event)->text);                               \
        }                                                                                          \
    } while (0)

static enum protocol protocol_of(void **state) {
    return *(enum protocol *)*state;
}

static int64_t now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Every way of writing that Kong has, and some that it could have. */
static const struct {
    const char *name;
    struct sim_behaviour behaviour;
} ways[] = {
    {"plain", {0}},
    {"two writes a frame", {.two_writes = true}},
    {"one byte a write", {.chunk = 1}},
    {"fields in falling order", {.reverse_fields = true}},
    {"late answers", {.late_answers = true, .late_ms = 20}},
    {"late answers, one byte a write", {.late_answers = true, .late_ms = 20, .chunk = 1}},
    {"answers joined with the next call",
     {.late_answers = true, .late_ms = 20, .joined_answers = true}},
    {"joined, fields in falling order",
     {.late_answers = true, .late_ms = 20, .joined_answers = true, .reverse_fields = true}},
    {"two connections", {.connections = 2}},
    {"five connections, one byte a write", {.connections = 5, .chunk = 1}},
};

/* What the handler's calls have left in Kong. */
static void check_mode(struct rig *rig, const char *mode) {
    if (strcmp(mode, "post") == 0) {
        assert_string_equal(rig_header(rig, "X-0"), "v");
        assert_string_equal(rig_header(rig, "X-2"), "v");
        assert_int_equal(rig->pdk->client.headers.count, 3);
        assert_int_equal(rig->pdk->log_count, 3);
        assert_string_equal(rig->pdk->logs[2].text.data, "X-2");
    } else if (strcmp(mode, "wait") == 0) {
        assert_string_equal(rig_header(rig, "X-Out"), "in");
    } else if (strcmp(mode, "loop") == 0) {
        assert_string_equal(rig_header(rig, "X-Done"), "yes");
    } else if (strcmp(mode, "mixed") == 0) {
        assert_string_equal(rig_header(rig, "X-A"), "GET");
        assert_string_equal(rig_header(rig, "X-B"), "b");
        assert_string_equal(rig_header(rig, "X-C"), "in");
        assert_int_equal(rig->pdk->log_count, 2);
        assert_string_equal(rig->pdk->logs[0].text.data, "first");
        assert_string_equal(rig->pdk->logs[1].text.data, "second");
    }
}

static void conversations(void **state) {
    static const char *const modes[] = {"post", "wait", "mixed", "loop", "nothing"};
    struct rig rig;
    rig_start(&rig, protocol_of(state), NULL);
    for (size_t m = 0; m < LENGTH(modes); m++) {
        int64_t id = rig_instance(&rig, modes[m], 3);
        for (size_t w = 0; w < LENGTH(ways); w++) {
            *sim_client_behaviour(rig.client) = ways[w].behaviour;
            for (int i = 0; i < 3; i++) {
                struct sim_event event;
                if (rig_event(&rig, id, &event) != SIM_EVENT_OK) {
                    fail_msg("%s, %s: %s %s", modes[m], ways[w].name,
                             sim_event_outcome_name(event.outcome), event.text);
                }
                check_mode(&rig, modes[m]);
            }
        }
    }
    rig_settle();
    assert_int_equal(rig_notes()->results[0], LENGTH(modes) * LENGTH(ways) * 3);
    rig_stop(&rig);
}

/* Without a change of the pool's size all of that goes over one connection. */
static void one_connection(void **state) {
    struct rig rig;
    struct sim_event event;
    rig_start(&rig, protocol_of(state), NULL);
    int64_t id = rig_instance(&rig, "mixed", 1);
    for (int i = 0; i < 50; i++) {
        assert_event(&rig, id, &event, SIM_EVENT_OK);
    }
    assert_int_equal(sim_client_counts(rig.client)->connections, 1);
    rig_stop(&rig);
}

/* ProtoBuf: an event that only posts is over before Kong has answered any call, in one write. */
static void posts_leave_at_once(void **state) {
    struct rig rig;
    struct sim_event event;
    (void)state;
    rig_start(&rig, PROTOCOL_PROTOBUF, NULL);
    int64_t id = rig_instance(&rig, "post", 10);
    *sim_client_behaviour(rig.client) =
        (struct sim_behaviour){.late_answers = true, .late_ms = 5000};
    int64_t before = now_ms();
    for (int i = 0; i < 20; i++) {
        assert_event(&rig, id, &event, SIM_EVENT_OK);
        assert_int_equal(event.pdk_calls, 20);
        assert_int_equal(event.reads, 1);
    }
    assert_true(now_ms() - before < 5000);
    rig_stop(&rig);
}

/* Thousands of posted calls, and as many waits, in one event. */
static void many_calls(void **state) {
    struct rig rig;
    struct sim_event event;
    rig_start(&rig, protocol_of(state), NULL);
    int64_t id = rig_instance(&rig, "post", 3000);
    assert_event(&rig, id, &event, SIM_EVENT_OK);
    assert_int_equal(rig.pdk->client.headers.count, 3000);
    id = rig_instance(&rig, "loop", 3000);
    assert_event(&rig, id, &event, SIM_EVENT_OK);
    assert_int_equal(event.pdk_calls, 3001);
    rig_stop(&rig);
}

/* Over MsgPack a merged set_headers costs one round trip, and means the same. */
static void neighbours_merge(void **state) {
    struct rig rig;
    struct sim_event event;
    (void)state;
    rig_start(&rig, PROTOCOL_MSGPACK, NULL);
    int64_t id = rig_instance(&rig, "mixed", 1);
    assert_event(&rig, id, &event, SIM_EVENT_OK);
    assert_string_equal(rig_header(&rig, "X-A"), "GET");
    assert_string_equal(rig_header(&rig, "X-B"), "b");
    assert_int_equal(event.pdk_calls, 8);
    rig_stop(&rig);
}

/* Events that overlap: inside a PDK call of one, the next one runs from start to end. */
struct nest {
    struct rig *rig;
    int64_t id;
    int depth;
    int done;
};

static int nested_pdk(void *ctx, const struct pdk_method *method, struct kong_str name,
                      const struct kong_value *args, size_t count, struct arena *arena,
                      struct kong_value *result);

static void nested_event(struct nest *nest) {
    struct sim_event event;
    struct sim_client_options options = {.protocol = nest->rig->protocol,
                                         .connect = sim_connect_unix,
                                         .connect_ctx = sim_server_path(nest->rig->server),
                                         .pdk = nested_pdk,
                                         .pdk_ctx = nest,
                                         .timeout_ms = 10000};
    struct sim_client *client = sim_client_create(&options);
    assert_non_null(client);
    if (sim_client_event(client, nest->id, "access", &event) != SIM_EVENT_OK) {
        fail_msg("%s: %s", sim_event_outcome_name(event.outcome), event.text);
    }
    sim_client_destroy(client);
    nest->done++;
}

static int nested_pdk(void *ctx, const struct pdk_method *method, struct kong_str name,
                      const struct kong_value *args, size_t count, struct arena *arena,
                      struct kong_value *result) {
    struct nest *nest = ctx;
    if (nest->depth > 0 && kong_str_equal(name, kong_str("kong.request.get_header"))) {
        nest->depth--;
        nested_event(nest);
    }
    return sim_pdk_call(nest->rig->pdk, method, name, args, count, arena, result);
}

static void overlapping(void **state) {
    struct rig rig;
    rig_start(&rig, protocol_of(state), NULL);
    struct nest nest = {.rig = &rig, .id = rig_instance(&rig, "wait", 1), .depth = 40};
    nested_event(&nest);
    assert_int_equal(nest.done, 41);
    rig_settle();
    assert_int_equal(rig_notes()->results[0], 41);
    rig_stop(&rig);
}

/* --- Terminal calls --- */

static void exits(void **state) {
    static const char *const modes[] = {"exit", "exit-more"};
    struct rig rig;
    rig_start(&rig, protocol_of(state), NULL);
    for (size_t m = 0; m < LENGTH(modes); m++) {
        int64_t id = rig_instance(&rig, modes[m], 5);
        for (size_t w = 0; w < LENGTH(ways); w++) {
            struct sim_event event;
            *sim_client_behaviour(rig.client) = ways[w].behaviour;
            assert_event(&rig, id, &event, SIM_EVENT_EXITED);
            assert_int_equal(rig.pdk->client.status, 403);
            assert_string_equal(rig.pdk->client.body.data, "denied");
            assert_null(rig_header(&rig, "X-After"));
            if (m == 1) {
                assert_string_equal(rig_header(&rig, "X-Before"), "yes");
            }
        }
    }
    rig_settle();
    assert_int_equal(rig_notes()->results[0], LENGTH(ways));
    assert_int_equal(rig_notes()->results[-KONG_E_ENDED], LENGTH(ways));
    *sim_client_behaviour(rig.client) = (struct sim_behaviour){0};
    rig_alive(&rig);
    rig_stop(&rig);
}

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
    for (size_t w = 0; w < LENGTH(ways); w++) {
        *sim_client_behaviour(rig.client) = ways[w].behaviour;
        assert_event(&rig, id, &event, SIM_EVENT_OK);
        assert_string_equal(rig_header(&rig, "X-Before"), "yes");
        assert_int_equal(rig.pdk->log_count, 1);
        assert_string_equal(rig.pdk->logs[0].level.data, "err");
        assert_string_equal(rig.pdk->logs[0].text.data, "rig: access failed: the plugin failed");
    }
    rig_stop(&rig);
}

static void fails_closed(void **state) {
    struct rig rig;
    struct sim_event event;
    struct sim_server_options options = {.plugin = &rig_closed_plugin};
    rig_start(&rig, protocol_of(state), &options);
    int64_t id = rig_instance(&rig, "fail", 1);
    for (size_t w = 0; w < LENGTH(ways); w++) {
        *sim_client_behaviour(rig.client) = ways[w].behaviour;
        assert_event(&rig, id, &event, SIM_EVENT_EXITED);
        assert_int_equal(rig.pdk->client.status, 500);
        assert_string_equal(rig.pdk->client.body.data,
                            "{\"message\":\"An unexpected error occurred\"}");
        assert_string_equal(rig_header(&rig, "Content-Type"), "application/json; charset=utf-8");
        assert_int_equal(rig.pdk->log_count, 1);
        assert_string_equal(rig.pdk->logs[0].text.data, "rig: access failed: the plugin failed");
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

static void handler_times_out(void **state) {
    struct rig rig;
    struct sim_event event;
    struct sim_server_options options = {.event_ms = 200};
    rig_start(&rig, protocol_of(state), &options);
    int64_t id = rig_instance(&rig, "wait", 1);
    struct sim_client_options client_options = {.protocol = rig.protocol,
                                                .connect = sim_connect_unix,
                                                .connect_ctx = sim_server_path(rig.server),
                                                .pdk = slow_pdk,
                                                .pdk_ctx = rig.pdk,
                                                .timeout_ms = 10000};
    struct sim_client *client = sim_client_create(&client_options);
    assert_non_null(client);
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

static void methods_outside(void **state) {
    struct rig rig;
    struct sim_event event;
    rig_start(&rig, protocol_of(state), NULL);
    bool protobuf = rig.protocol == PROTOCOL_PROTOBUF;
    int64_t id = rig_instance(&rig, "unknown", 1);
    assert_event(&rig, id, &event, SIM_EVENT_OK);
    assert_int_equal(event.pdk_calls, protobuf ? 0 : 1);
    assert_int_equal(rig_notes()->last, protobuf ? KONG_E_UNSUPPORTED : KONG_OK);
    id = rig_instance(&rig, "msgpack-only", 1);
    assert_event(&rig, id, &event, SIM_EVENT_OK);
    if (protobuf) {
        assert_null(rig_header(&rig, "X-Path"));
        assert_int_equal(rig_notes()->last, KONG_E_UNSUPPORTED);
    } else {
        assert_string_equal(rig_header(&rig, "X-Path"), "/p");
    }
    rig_stop(&rig);
}

/* nil and an error text: lost on the way, but where Kong sends StepError. */
static void error_texts(void **state) {
    struct rig rig;
    struct sim_event event;
    rig_start(&rig, protocol_of(state), NULL);
    int64_t id = rig_instance(&rig, "error", 1);
    assert_event(&rig, id, &event, SIM_EVENT_OK);
    assert_int_equal(rig_notes()->last, KONG_OK);
    if (rig.protocol == PROTOCOL_MSGPACK) {
        sim_client_behaviour(rig.client)->step_error = true;
        assert_event(&rig, id, &event, SIM_EVENT_OK);
        assert_int_equal(rig_notes()->last, KONG_E_KONG);
    }
    rig_stop(&rig);
}

static void bodies(void **state) {
    static const size_t sizes[] = {0, 1, 8192, 8193, 5000000};
    struct rig rig;
    rig_start(&rig, protocol_of(state), NULL);
    int64_t id = rig_instance(&rig, "body", 1);
    char *body = malloc(5000000);
    assert_non_null(body);
    memset(body, '\xfe', 5000000);
    for (size_t i = 0; i < LENGTH(sizes); i++) {
        struct sim_event event;
        char size[32];
        snprintf(size, sizeof size, "%zu", sizes[i]);
        /* First as nginx has it, then with a buffer that holds it all. */
        for (int large = 0; large < 2; large++) {
            bool in_file = large == 0 && sizes[i] > 8192;
            rig_fresh(&rig);
            rig.pdk->body_buffer_size = large == 1 ? 5000000 : 8192;
            assert_true(sim_pdk_set_request_body(rig.pdk, body, sizes[i]));
            sim_client_event(rig.client, id, "access", &event);
            if (in_file && rig.protocol == PROTOCOL_MSGPACK) {
                assert_int_equal(event.outcome, SIM_EVENT_RAISED);
                continue;
            }
            assert_int_equal(event.outcome, SIM_EVENT_OK);
            assert_string_equal(rig_header(&rig, "X-Size"), in_file ? "file" : size);
        }
    }
    free(body);
    /* Over MsgPack some events still wait for a Step that never comes: the server's end frees them.
     */
    sim_client_destroy(rig.client);
    rig.client = NULL;
    rig_stop(&rig);
}

/* All phases of one request, each an event of its own. */
static void phases(void **state) {
    static const enum kong_phase order[] = {KONG_PHASE_REWRITE, KONG_PHASE_ACCESS,
                                            KONG_PHASE_RESPONSE};
    struct rig rig;
    struct sim_event event;
    rig_start(&rig, protocol_of(state), NULL);
    int64_t id = rig_instance(&rig, "post", 1);
    for (size_t i = 0; i < LENGTH(order); i++) {
        rig_fresh(&rig);
        assert_true(sim_pdk_set_phase(rig.pdk, order[i]));
        assert_int_equal(sim_client_event(rig.client, id, kong_phase_name(order[i]), &event),
                         SIM_EVENT_OK);
        assert_string_equal(rig_header(&rig, "X-0"), "v");
    }
    /* A phase without a handler, and one that does not exist. */
    rig_fresh(&rig);
    sim_client_event(rig.client, id, "preread", &event);
    assert_int_equal(event.outcome,
                     rig.protocol == PROTOCOL_PROTOBUF ? SIM_EVENT_OK : SIM_EVENT_ERROR);
    sim_client_event(rig.client, id, "no_such_phase", &event);
    assert_int_equal(event.outcome,
                     rig.protocol == PROTOCOL_PROTOBUF ? SIM_EVENT_NO_METHOD : SIM_EVENT_ERROR);
    rig_alive(&rig);
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
                                                .timeout_ms = 10000};
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
#define ONE(test, protocol)                                                                        \
    { #test " " #protocol, test, NULL, NULL, &protocol }
#define BOTH(test) ONE(test, protobuf), ONE(test, msgpack)
    const struct CMUnitTest tests[] = {
        BOTH(conversations),
        BOTH(one_connection),
        ONE(posts_leave_at_once, protobuf),
        BOTH(many_calls),
        ONE(neighbours_merge, msgpack),
        BOTH(overlapping),
        BOTH(exits),
        BOTH(peers_vanish),
        BOTH(unknown_instance),
        BOTH(fails_open),
        BOTH(fails_closed),
        BOTH(wrong_phase),
        BOTH(handler_times_out),
        BOTH(methods_outside),
        BOTH(error_texts),
        BOTH(bodies),
        BOTH(phases),
        BOTH(server_ends_in_mid_event),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
