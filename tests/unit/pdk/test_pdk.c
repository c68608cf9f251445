/* Every PDK function, called in real events over both protocols: what arrives at Kong, what the
 * handler sees of Kong's answer, and that errors of every kind come back with empty results. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>

#include "pdk_rows.h"
#include "sim_json.h"
#include "value.h"
#include "value_equal.h"

static void assert_json(struct bench *bench, size_t call, const char *json) {
    struct kong_value expected;
    assert_true(json_to_value(&bench->memory, kong_str(json), &expected));
    if (!value_equal(&expected, &bench->calls[call].args)) {
        fail_msg("%s: arguments %s, not %s", bench->calls[call].method.data,
                 bench_args(bench, call), json);
    }
}

static void assert_seen(struct bench *bench, const struct pdk_row *row, const char *code,
                        const char *results) {
    char text[512];
    snprintf(text, sizeof text, "%s%s", code, results);
    const char *notes = bench_notes(bench);
    if (strcmp(notes, text) != 0) {
        fail_msg("%s: saw %s, not %s", pdk_methods[row->id].name.data, notes, text);
    }
}

static const struct pdk_method *method_of(const struct pdk_row *row) {
    return &pdk_methods[row->id];
}

static bool unsupported(const struct pdk_row *row, enum protocol protocol) {
    return protocol == PROTOCOL_PROTOBUF && (method_of(row)->flags & PDK_MSGPACK_ONLY) != 0;
}

/* A phase in which Kong allows it whatever else is so: access where it can be. -1: none. */
static int phase_of(const struct pdk_row *row) {
    unsigned phases = method_of(row)->phases;
    int phase = KONG_PHASE_COUNT - 1;
    if ((phases & KONG_PHASE_BIT(KONG_PHASE_ACCESS)) != 0) {
        return KONG_PHASE_ACCESS;
    }
    if ((phases & KONG_PHASE_BIT(KONG_PHASE_RESPONSE)) != 0) {
        return KONG_PHASE_RESPONSE;
    }
    while (phase >= 0 && (phases & KONG_PHASE_BIT(phase)) == 0) {
        phase--;
    }
    return phase;
}

static void run_row(struct bench *bench, const struct pdk_row *row, enum bench_kind kind,
                    const char *text) {
    const struct bench_answer answer = {.kind = kind, .text = text};
    bench_run(bench, row->handler, NULL, &answer, row->answer == NULL ? 0 : 1);
}

/* What is asked arrives; what is answered is seen. */
static void check_answer(struct bench *bench, const struct pdk_row *row) {
    bool protobuf = bench->protocol == PROTOCOL_PROTOBUF;
    const char *args = protobuf && row->args_protobuf != NULL ? row->args_protobuf : row->args;
    const char *answer =
        protobuf && row->answer_protobuf != NULL ? row->answer_protobuf : row->answer;
    run_row(bench, row, BENCH_JSON, answer);
    if (unsupported(row, bench->protocol)) {
        assert_seen(bench, row, "UNSUPPORTED ", row->zero);
        assert_int_equal(bench->call_count, 0);
        assert_true(bench->over);
        return;
    }
    assert_seen(bench, row, row->seen, "");
    assert_int_equal(bench->call_count, 1);
    bool other = protobuf && row->arrives_protobuf != 0;
    assert_string_equal(bench->calls[0].method.data,
                        pdk_methods[other ? row->arrives_protobuf : row->id].name.data);
    assert_json(bench, 0, args);
    bool terminal = (method_of(row)->flags & PDK_TERMINAL) != 0;
    assert_int_equal(bench->ended, terminal);
    assert_int_equal(bench->over, !terminal);
}

static void check_nil(struct bench *bench, const struct pdk_row *row) {
    run_row(bench, row, BENCH_JSON, "null");
    assert_seen(bench, row, row->nil != NULL ? row->nil : "ok ", row->nil != NULL ? "" : row->zero);
    assert_true(bench->over);
}

/* An answer of a type that it promised not to be: any is right where any is promised. */
static void check_garbage(struct bench *bench, const struct pdk_row *row) {
    enum pdk_result result = method_of(row)->result;
    bool any = result == PDK_RESULT_VALUE ||
               (result == PDK_RESULT_ANY && row->nil != NULL && strcmp(row->zero, "null") == 0);
    if (any && bench->protocol == PROTOCOL_MSGPACK) {
        return;
    }
    run_row(bench, row, BENCH_GARBAGE, NULL);
    assert_seen(bench, row, "TYPE ", row->zero);
    assert_true(bench->over);
}

static void check_errors(struct bench *bench, const struct pdk_row *row) {
    run_row(bench, row, BENCH_ERROR, "Kong's words");
    assert_seen(bench, row, bench->protocol == PROTOCOL_MSGPACK ? "KONG " : "GONE ", row->zero);
    run_row(bench, row, BENCH_GONE, NULL);
    if (bench->protocol == PROTOCOL_PROTOBUF) {
        assert_seen(bench, row, "GONE ", row->zero);
    } else { /* the Step could come over another connection: until its time is up */
        assert_int_equal(bench->running, 1);
        bench_tick(bench, 5000);
        assert_seen(bench, row, "TIMEOUT ", row->zero);
    }
    assert_int_equal(bench->running, 0);
    run_row(bench, row, BENCH_STALL, NULL);
    assert_int_equal(bench->running, 1);
    bench_tick(bench, 5000);
    assert_seen(bench, row, "TIMEOUT ", row->zero);
    bench_close(bench);
}

static int after_exit(struct kong *kong, struct bench *bench) {
    const struct pdk_row *row = bench->data;
    int error = kong_response_exit(kong, 200, kong_str(""), kong_nil());
    return error != 0 ? error : row->handler(kong, bench);
}

static int after_gone(struct kong *kong, struct bench *bench) {
    const struct pdk_row *row = bench->data;
    struct kong_value value;
    int error = kong_ctx_shared_get(kong, "k", &value);
    note_error(bench, error);
    return row->handler(kong, bench);
}

static void check_over(struct bench *bench, const struct pdk_row *row) {
    const struct bench_answer stall = {.kind = BENCH_STALL};
    if ((pdk_methods[PDK_RESPONSE_EXIT].phases & KONG_PHASE_BIT(bench->phase)) != 0) {
        bench_run(bench, after_exit, (void *)(uintptr_t)row, NULL, 0);
        assert_seen(bench, row, "ENDED ", row->zero);
        assert_int_equal(bench->call_count, 1);
    }
    bench_run(bench, after_gone, (void *)(uintptr_t)row, &stall, 1);
    bench_tick(bench, 5000);
    assert_seen(bench, row, "TIMEOUT TIMEOUT ", row->zero);
    bench_close(bench);
    assert_int_equal(bench->running, 0);
}

static void each_row(enum protocol protocol,
                     void (*check)(struct bench *bench, const struct pdk_row *row),
                     bool waiting_only) {
    struct bench *bench = bench_create(protocol, NULL);
    for (size_t i = 0; i < pdk_row_count; i++) {
        bool waits = pdk_rows[i].answer != NULL && !unsupported(&pdk_rows[i], protocol);
        int phase = phase_of(&pdk_rows[i]);
        bench->phase = phase >= 0 ? (enum kong_phase)phase : KONG_PHASE_ACCESS;
        if (phase >= 0 && (!waiting_only || waits)) {
            check(bench, &pdk_rows[i]);
        }
    }
    bench_destroy(bench);
}

static void both(void (*check)(struct bench *bench, const struct pdk_row *row), bool waiting_only) {
    each_row(PROTOCOL_PROTOBUF, check, waiting_only);
    each_row(PROTOCOL_MSGPACK, check, waiting_only);
}

static void test_all_are_here(void **state) {
    (void)state;
    for (size_t id = 0; id < PDK_COUNT; id++) {
        size_t i = 0;
        while (i < pdk_row_count && pdk_rows[i].id != id) {
            i++;
        }
        if (i == pdk_row_count) {
            fail_msg("%s is not tested", pdk_methods[id].name.data);
        }
        bool waits = (pdk_methods[id].flags & (PDK_POSTED | PDK_TERMINAL)) == 0;
        assert_int_equal(pdk_rows[i].answer != NULL, waits);
    }
}

static void test_answers(void **state) {
    (void)state;
    both(check_answer, false);
}

static void test_nil(void **state) {
    (void)state;
    both(check_nil, true);
}

static void test_garbage(void **state) {
    (void)state;
    both(check_garbage, true);
}

static void test_errors(void **state) {
    (void)state;
    both(check_errors, true);
}

static void test_over(void **state) {
    (void)state;
    both(check_over, false);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_are_here), cmocka_unit_test(test_answers),
        cmocka_unit_test(test_nil),          cmocka_unit_test(test_garbage),
        cmocka_unit_test(test_errors),       cmocka_unit_test(test_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
