/* What a real Kong 3.9.1 did (tests/recordings/), call by call in the simulated one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "kong_recording.h"
#include "sim_json.h"
#include "sim_lua.h"
#include "sim_pdk_call.h"
#include "value.h"

/* --- One call --- */

static void compare_result(struct replay *replay, const char *what, const struct pdk_method *method,
                           const struct kong_value *expected, const struct kong_value *result) {
    const struct kong_value *is = value_get(expected, "is");
    const struct kong_value *table = value_get(expected, "table");
    const struct kong_value *json = value_get(expected, "json");
    const struct kong_value *names = value_get(expected, "names");
    struct kong_value sent;
    bool binary = false;
    if (names != NULL) {
        size_t got = result->type == KONG_MAP ? result->map.count : 0;
        replay_check(replay, got == (size_t)names->integer, "%s: %zu names", what, got);
        return;
    }
    if (table != NULL) {
        compare_table(replay, what, table, result);
        return;
    }
    if (json != NULL) {
        compare_json(replay, what, json, result->string);
        return;
    }
    if (replay->protobuf) {
        assert_true(
            lua_to_protobuf(&replay->scratch, method, (struct kong_str){NULL, 0}, result, &sent));
    } else {
        assert_int_equal(lua_to_msgpack(&replay->scratch, method->name, result, &sent, &binary), 0);
    }
    if (method->result == PDK_RESULT_RAW_BODY && sent.type == KONG_MAP) {
        const struct kong_value *content = value_get(&sent, "content");
        sent = content == NULL ? kong_nil() : *content;
    }
    struct kong_value nil = kong_nil();
    compare_value(replay, what, is == NULL ? &nil : is, &sent);
}

/* False when the phase is over with it. */
static bool replay_call(struct replay *replay, const struct kong_value *call) {
    const struct kong_str name = call->list.items[1].string;
    const struct kong_value *args = &call->list.items[2];
    const struct pdk_method *method = pdk_method_find(name);
    assert_non_null(method);
    size_t count = args->list.count;
    struct kong_value *lua = arena_array(&replay->scratch, count, sizeof *lua);
    struct kong_value result;
    char what[256];
    snprintf(what, sizeof what, "%s %s%s", call->list.items[0].string.data, name.data,
             replay_shown(replay, args).data);
    assert_non_null(lua);
    if (count > 0) {
        memcpy(lua, args->list.items, count * sizeof *lua);
    }
    if (replay->protobuf) {
        assert_true(lua_from_protobuf(&replay->scratch, method, args->list.items, count, lua));
    }
    int outcome =
        sim_pdk_call(replay->test.pdk, method, name, lua, count, &replay->scratch, &result);
    if (call->list.count > 3) {
        const struct kong_value *expected = &call->list.items[3];
        int wanted = value_get(expected, "raises") != NULL  ? SIM_RAISED
                     : value_get(expected, "fails") != NULL ? SIM_FAILED
                                                            : SIM_RESULT;
        const struct kong_value *is = value_get(expected, "is");
        if (outcome == SIM_FAILED && is != NULL && is->type == KONG_NIL) {
            wanted = SIM_FAILED; /* nil, with a text that does not travel */
        }
        replay_check(replay, outcome == wanted, "%s: outcome %d, not %d: %s", what, outcome, wanted,
                     replay_shown(replay, &result).data);
        if (outcome == wanted && outcome == SIM_RESULT) {
            compare_result(replay, what, method, expected, &result);
        }
    }
    if (outcome == SIM_RAISED && replay->test.pdk->phase != KONG_PHASE_LOG) {
        assert_true(sim_pdk_raised(replay->test.pdk));
    }
    return outcome != SIM_RAISED && outcome != SIM_EXITED;
}

static void replay_phase(struct replay *replay, enum kong_phase phase) {
    const struct kong_value *calls = value_get(replay->scenario, "calls");
    assert_true(sim_pdk_set_phase(replay->test.pdk, phase));
    for (size_t i = 0; i < calls->list.count; i++) {
        const struct kong_value *call = &calls->list.items[i];
        if (kong_str_equal(call->list.items[0].string, kong_str(kong_phase_name(phase))) &&
            !replay_call(replay, call)) {
            return;
        }
    }
}

/* --- One request --- */

static void replay_run(struct replay *replay) {
    struct sim_pdk *pdk = replay->test.pdk;
    const char *why = "";
    int status = 0;
    replay_phase(replay, KONG_PHASE_REWRITE);
    if (!pdk->exited) {
        replay_phase(replay, KONG_PHASE_ACCESS);
    }
    if (!pdk->exited) {
        assert_true(sim_pdk_balance(pdk, &status, &why));
    }
    if (!pdk->exited && status != 0) {
        assert_true(sim_pdk_error_page(pdk, status));
    } else if (!pdk->exited) {
        assert_true(sim_pdk_upstream_answered(pdk, true));
        replay->test.reached_upstream = true;
        replay_phase(replay, KONG_PHASE_RESPONSE);
    }
    assert_true(sim_pdk_sent(pdk));
    replay_phase(replay, KONG_PHASE_LOG);
}

static void prepare(struct replay *replay) {
    const struct kong_value *request = replay->request;
    struct kong_test *test = &replay->test;
    const struct kong_value *client = value_get(request, "client");
    const struct kong_value *headers = value_get(request, "headers");
    const struct kong_value *route = replay_named(replay, "route", replay_text(request, "route"));
    const struct kong_value *service =
        replay_named(replay, "service", replay_text(request, "service"));
    const struct kong_value *captures = value_get(request, "captures");
    const char *body = replay_text(request, "body");
    kong_test_route(test, replay_shown(replay, value_get(route, "is")).data);
    kong_test_service(test, replay_shown(replay, value_get(service, "is")).data);
    kong_test_request(test, replay_text(request, "method"), replay_text(request, "url"));
    for (size_t i = 0; i < headers->list.count; i++) {
        const struct kong_value *pair = &headers->list.items[i];
        kong_test_request_header(test, pair->list.items[0].string.data,
                                 pair->list.items[1].string.data);
    }
    if (body != NULL) {
        kong_test_request_body(test, body, strlen(body));
    }
    kong_test_client(test, client->list.items[0].string.data, (int)client->list.items[1].integer);
    if (captures != NULL) {
        kong_test_captures(test, replay_shown(replay, captures).data);
    }
    if (replay_text(request, "upstream") != NULL) {
        const struct kong_value *line =
            replay_named(replay, "upstream", replay_text(request, "upstream"));
        const struct kong_value *answer = value_get(line, "is");
        const struct kong_value *their = value_get(answer, "headers");
        kong_test_upstream(test, (int)replay_integer(answer, "status"),
                           replay_text(answer, "body"));
        for (size_t i = 0; i < their->list.count; i++) {
            kong_test_upstream_header(test, their->list.items[i].list.items[0].string.data,
                                      their->list.items[i].list.items[1].string.data);
        }
    }
}

/* --- What came of it --- */

/* What the scenario has of its own, or else what the request has. */
static const struct kong_value *either(const struct replay *replay, const char *what,
                                       const char *key) {
    const struct kong_value *own = value_get(replay->scenario, what);
    const struct kong_value *common = value_get(replay->request, what);
    const struct kong_value *value = own == NULL ? NULL : value_get(own, key);
    return value != NULL || common == NULL ? value : value_get(common, key);
}

typedef const char *header_fn(const struct kong_test *test, const char *name, size_t index);

static void compare_header(struct replay *replay, const char *what, const struct kong_pair *wanted,
                           header_fn *header) {
    size_t count = wanted->value.type == KONG_LIST ? wanted->value.list.count : 0;
    for (size_t i = 0; i < count; i++) {
        const char *text = wanted->value.list.items[i].string.data;
        const char *got = header(&replay->test, wanted->key.data, i);
        text += strspn(text, " ");
        replay_check(replay, got != NULL && strcmp(got, text) == 0, "%s: %s is \"%s\", not \"%s\"",
                     what, wanted->key.data, got == NULL ? "-" : got, text);
    }
    replay_check(replay, header(&replay->test, wanted->key.data, count) == NULL, "%s: more of %s",
                 what, wanted->key.data);
}

static void compare_headers(struct replay *replay, const char *what, header_fn *header) {
    const struct kong_value *own = value_get(replay->scenario, what);
    const struct kong_value *differing = own == NULL ? NULL : value_get(own, "headers");
    const struct kong_value *common = value_get(value_get(replay->request, what), "headers");
    for (size_t i = 0; i < common->map.count; i++) {
        if (differing == NULL || sim_map_get(differing, common->map.pairs[i].key) == NULL) {
            compare_header(replay, what, &common->map.pairs[i], header);
        }
    }
    for (size_t i = 0; differing != NULL && i < differing->map.count; i++) {
        compare_header(replay, what, &differing->map.pairs[i], header);
    }
}

static void compare_text(struct replay *replay, const char *what, const char *key,
                         const char *got) {
    const struct kong_value *wanted = either(replay, what, key);
    if (wanted != NULL && wanted->type == KONG_STRING) {
        replay_check(replay, strcmp(got, wanted->string.data) == 0, "%s: %s is \"%s\", not \"%s\"",
                     what, key, got, wanted->string.data);
    }
}

static void compare_outcome(struct replay *replay) {
    const struct kong_test *test = &replay->test;
    const struct kong_value *asked = value_get(replay->scenario, "upstream_gets");
    const struct kong_value *status = either(replay, "client_gets", "status");
    char text[1024];
    bool waits = value_get(replay->scenario, "client_waits") != NULL;
    replay_check(replay, sim_pdk_client_waits(test->pdk, text, sizeof text) == waits,
                 "the client waits%s", waits ? " for nothing" : "");
    if (status == NULL) {
        return;
    }
    if (!waits) {
        replay_check(replay, kong_test_response_status(test) == status->integer,
                     "status %d, not %d", kong_test_response_status(test), (int)status->integer);
        compare_text(replay, "client_gets", "body", kong_test_response_body(test, NULL));
        compare_headers(replay, "client_gets", kong_test_response_header_at);
    }
    bool reached = asked == NULL || asked->type == KONG_MAP;
    replay_check(replay, kong_test_reached_upstream(test) == reached, "the upstream was%s asked",
                 reached ? " not" : "");
    if (reached && kong_test_reached_upstream(test)) {
        const char *query = kong_test_sent_query(test);
        snprintf(text, sizeof text, "%s%s%s", kong_test_sent_path(test), *query == '\0' ? "" : "?",
                 query);
        compare_text(replay, "upstream_gets", "uri", text);
        snprintf(text, sizeof text, "%s:%d", kong_test_sent_to(test), kong_test_sent_port(test));
        compare_text(replay, "upstream_gets", "to", text);
        compare_text(replay, "upstream_gets", "method", kong_test_sent_method(test));
        compare_text(replay, "upstream_gets", "body", kong_test_sent_body(test, NULL));
        compare_headers(replay, "upstream_gets", kong_test_sent_header_at);
    }
}

static void replay_scenario(struct replay *replay) {
    arena_reset(&replay->scratch);
    replay->request = replay_named(replay, "request", replay_text(replay->scenario, "request"));
    replay->protobuf = strcmp(replay_text(replay->scenario, "protocol"), "PB") == 0;
    prepare(replay);
    const struct kong_value *steps = value_get(replay->request, "steps");
    for (size_t i = 0; i < steps->list.count; i++) {
        const char *step = steps->list.items[i].string.data;
        if (strcmp(step, "run") == 0) {
            replay_run(replay);
            compare_outcome(replay);
            continue;
        }
        for (unsigned phase = 0; phase < KONG_PHASE_COUNT; phase++) {
            if (strcmp(kong_phase_name((enum kong_phase)phase), step) == 0) {
                replay_phase(replay, (enum kong_phase)phase);
            }
        }
    }
    assert_string_equal(replay->test.mistake, "");
}

static void scenarios(void **state) {
    struct replay *replay = *state;
    size_t count = 0;
    kong_test_trusted_ips(&replay->test, "[\"127.0.0.2\",\"10.0.0.0/8\"]");
    kong_test_upstreams(&replay->test, "[\"up1\"]");
    kong_test_secrets(
        &replay->test,
        "{\"{vault://env/fid-secret}\":\"s3cret\",\"{vault://env/fid-json/key}\":\"v\"}");
    for (size_t i = 0; i < replay->lines.list.count; i++) {
        replay->scenario = &replay->lines.list.items[i];
        if (value_get(replay->scenario, "kind") == NULL) {
            replay_scenario(replay);
            count++;
        }
    }
    print_message("  %zu requests, %zu values compared\n", count, replay->compared);
    assert_true(count > 150 && replay->compared > 2000);
    assert_int_equal(replay->differences, 0);
}

/* --- Phases --- */

/* A line is "raaaar kong.client.get_ip": certificate, rewrite, access, response, preread, log; r
 * raises, a answers, ? was not to be seen. */
static void phases(void **state) {
    static const enum kong_phase order[] = {KONG_PHASE_CERTIFICATE, KONG_PHASE_REWRITE,
                                            KONG_PHASE_ACCESS,      KONG_PHASE_RESPONSE,
                                            KONG_PHASE_PREREAD,     KONG_PHASE_LOG};
    struct replay *replay = *state;
    struct sim_pdk *pdk = replay->test.pdk;
    size_t len = 0;
    size_t methods = 0;
    char *text = recording_text("kong-3.9.1.phases", &len);
    for (char *save = NULL, *line = strtok_r(text, "\n", &save); line != NULL;
         line = strtok_r(NULL, "\n", &save)) {
        const struct pdk_method *method = pdk_method_find(kong_str(line + 7));
        assert_non_null(method);
        methods++;
        for (size_t i = 0; i < 6; i++) {
            assert_true(sim_pdk_reset(pdk) && sim_pdk_set_phase(pdk, order[i]));
            pdk->upstream.buffered = order[i] == KONG_PHASE_LOG;
            pdk->service.status = 200;
            enum sim_allowed allowed = sim_phase_check(pdk, method);
            if (line[i] != '?' && (line[i] == 'r') != (allowed == SIM_FORBIDDEN)) {
                fail_msg("%s in %s", method->name.data, kong_phase_name(order[i]));
            }
        }
    }
    free(text);
    assert_int_equal(methods, PDK_COUNT);
}

static int begin(void **state) {
    static struct replay replay;
    arena_init(&replay.memory, (size_t)16 << 20);
    arena_init(&replay.scratch, (size_t)16 << 20);
    replay.test.pdk = sim_pdk_create();
    assert_non_null(replay.test.pdk);
    replay_read(&replay);
    *state = &replay;
    return 0;
}

static int end(void **state) {
    struct replay *replay = *state;
    sim_pdk_destroy(replay->test.pdk);
    for (size_t i = 0; i < KNOWLEDGE_COUNT; i++) {
        free(replay->test.knowledge[i]);
    }
    arena_free(&replay->memory);
    arena_free(&replay->scratch);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(scenarios), cmocka_unit_test(phases)};
    return cmocka_run_group_tests(tests, begin, end);
}
