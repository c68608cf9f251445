/* Events of the running server, over both protocols, with all that Kong's Lua client does and all
 * that can go wrong on its side. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "checkers.h"
#include "rig.h"

/* What the handler's calls have left in Kong. */
static void check_mode(struct rig *rig, const char *mode) {
    if (strcmp(mode, "post") == 0) {
        assert_string_equal(rig_header(rig, "X-0"), "v");
        assert_string_equal(rig_header(rig, "X-2"), "v");
        assert_int_equal(rig->pdk->client.headers.count, 3);
        assert_int_equal(rig->pdk->log_count, 3);
        assert_string_equal(rig->pdk->logs[2].text.data, "X-2");
    } else if (strcmp(mode, "wait") == 0 || strcmp(mode, "sleep") == 0) {
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
    static const char *const modes[] = {"post", "wait", "mixed", "loop", "sleep", "nothing"};
    struct rig rig;
    rig_start(&rig, protocol_of(state), NULL);
    for (size_t m = 0; m < LENGTH(modes); m++) {
        int64_t id = rig_instance(&rig, modes[m], 3);
        for (size_t w = 0; w < rig_way_count; w++) {
            *sim_client_behaviour(rig.client) = rig_ways[w].behaviour;
            for (int i = 0; i < 3; i++) {
                struct sim_event event;
                if (rig_event(&rig, id, &event) != SIM_EVENT_OK) {
                    fail_msg("%s, %s: %s %s", modes[m], rig_ways[w].name,
                             sim_event_outcome_name(event.outcome), event.text);
                }
                check_mode(&rig, modes[m]);
            }
        }
    }
    rig_settle();
    assert_int_equal(rig_notes()->results[0], LENGTH(modes) * rig_way_count * 3);
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
    for (int i = 0; i < 20; i++) {
        assert_event(&rig, id, &event, SIM_EVENT_OK);
        assert_int_equal(event.pdk_calls, 20);
        assert_int_equal(event.reads, 1);
        assert_int_equal(event.held, 20 * 4); /* empty frames */
    }
    rig_stop(&rig);
}

/* Thousands of posted calls, and as many waits, in one event. */
static void many_calls(void **state) {
    struct rig rig;
    struct sim_event event;
    struct sim_server_options options = {.event_ms = 600000}; /* for valgrind */
    rig_start(&rig, protocol_of(state), &options);
    const int calls = under_valgrind() ? 500 : 3000;
    int64_t id = rig_instance(&rig, "post", calls);
    assert_event(&rig, id, &event, SIM_EVENT_OK);
    assert_int_equal(rig.pdk->client.headers.count, calls);
    id = rig_instance(&rig, "loop", calls);
    assert_event(&rig, id, &event, SIM_EVENT_OK);
    assert_int_equal(event.pdk_calls, calls + 1);
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
                                         .timeout_ms = 60000};
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
        for (size_t w = 0; w < rig_way_count; w++) {
            struct sim_event event;
            *sim_client_behaviour(rig.client) = rig_ways[w].behaviour;
            sim_client_behaviour(rig.client)->exit_linger_ms = 20;
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
    assert_int_equal(rig_notes()->results[0], rig_way_count);
    assert_int_equal(rig_notes()->results[-KONG_E_ENDED], rig_way_count);
    assert_int_equal(rig_status(&rig, "EventsRunning"), 0);
    *sim_client_behaviour(rig.client) = (struct sim_behaviour){0};
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

int main(void) {
    static enum protocol protobuf = PROTOCOL_PROTOBUF;
    static enum protocol msgpack = PROTOCOL_MSGPACK;
    const struct CMUnitTest tests[] = {
        RIG_TESTS(conversations),
        RIG_TESTS(one_connection),
        RIG_TEST(posts_leave_at_once, protobuf),
        RIG_TESTS(many_calls),
        RIG_TEST(neighbours_merge, msgpack),
        RIG_TESTS(overlapping),
        RIG_TESTS(exits),
        RIG_TESTS(methods_outside),
        RIG_TESTS(error_texts),
        RIG_TESTS(bodies),
        RIG_TESTS(phases),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
