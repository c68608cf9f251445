/* MsgPack:1: neighbouring header calls leave as one set_headers, and mean the same; a Step takes
 * one call, and one that comes once more takes none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>

#include "limit.h"
#include "msgpack_rpc.h"
#include "pdk_bench.h"

#define MANY 70

/* "NAME=VALUE;NAME=VALUE;…", a call of set_header each. */
static int set_headers(struct kong *kong, struct bench *bench) {
    const char *at = bench->data;
    char name[16];
    char value[16];
    int used = 0;
    for (; sscanf(at, "%15[^=]=%15[^;];%n", name, value, &used) == 2; at += used) {
        note_error(bench, kong_response_set_header(kong, name, value));
    }
    return 0;
}

static void merges(void **state) {
    static const struct {
        const char *headers, *calls;
    } rows[] = {
        {"A=1;", "set_header[\"A\",\"1\"]"},
        {"A=1;B=2;", "set_headers[{\"A\":\"1\",\"B\":\"2\"}]"},
        {"A=1;B=2;C=3;D=4;E=5;",
         "set_headers[{\"A\":\"1\",\"B\":\"2\",\"C\":\"3\",\"D\":\"4\",\"E\":\"5\"}]"},
        /* of two values the last one counts */
        {"A=1;a=2;", "set_headers[{\"A\":\"2\"}]"},
        {"A=1;A=2;A=3;", "set_headers[{\"A\":\"3\"}]"},
        {"A=1;A=2;B=3;", "set_headers[{\"A\":\"2\",\"B\":\"3\"}]"},
        {"A=1;B=2;b=3;A=4;", "set_headers[{\"A\":\"4\",\"B\":\"3\"}]"},
        /* names that stay alone */
        {"A_B=1;C=2;", "set_header[\"A_B\",\"1\"]set_header[\"C\",\"2\"]"},
        {"C=2;A_B=1;D=3;",
         "set_header[\"C\",\"2\"]set_header[\"A_B\",\"1\"]set_header[\"D\",\"3\"]"},
    };
    struct bench *bench = bench_create(PROTOCOL_MSGPACK, NULL);
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char calls[512] = "";
        bench->call_count = 0;
        bench_run(bench, set_headers, (void *)(uintptr_t)rows[i].headers, NULL, 0);
        for (size_t call = 0; call < bench->call_count; call++) {
            size_t len = strlen(calls);
            snprintf(calls + len, sizeof calls - len, "%s%s",
                     bench->calls[call].method.data + strlen("kong.response."),
                     bench_args(bench, call));
        }
        assert_string_equal(calls, rows[i].calls);
        assert_true(bench->over);
    }
    bench_destroy(bench);
}

static int set_many(struct kong *kong, struct bench *bench) {
    char name[16];
    for (int i = 0; i < MANY; i++) {
        snprintf(name, sizeof name, "H%d", i);
        note_error(bench, kong_response_set_header(kong, name, "v"));
    }
    return 0;
}

/* More than one call takes are in the next. */
static void many(void **state) {
    struct bench *bench = bench_create(PROTOCOL_MSGPACK, NULL);
    (void)state;
    bench_run(bench, set_many, NULL, NULL, 0);
    assert_int_equal(bench->call_count, 2);
    assert_int_equal(bench->calls[0].args.list.items[0].map.count +
                         bench->calls[1].args.list.items[0].map.count,
                     MANY);
    bench_destroy(bench);
}

/* kong_call refuses it; the queue holds by itself. The bytes of the first name, which are behind
 * the only argument, look like a second one. */
static int set_without_value(struct kong *kong, struct bench *bench) {
    struct kong_value empty;
    memset(&empty, 0, sizeof empty);
    empty.type = KONG_STRING;
    struct kong_value name = kong_bytes((const char *)&empty, sizeof empty);
    const struct pdk_method *method = &pdk_methods[PDK_RESPONSE_SET_HEADER];
    note_error(bench, event_call((struct event *)kong, method, method->name, &name, 1, NULL));
    note_error(bench, kong_response_set_header(kong, "B", "2"));
    return 0;
}

static void without_value(void **state) {
    struct bench *bench = bench_create(PROTOCOL_MSGPACK, NULL);
    (void)state;
    bench_run(bench, set_without_value, NULL, NULL, 0);
    assert_int_equal(bench->call_count, 2);
    assert_int_equal(bench->calls[0].args.list.count, 1);
    assert_string_equal(bench_args(bench, 1), "[\"B\",\"2\"]");
    bench_destroy(bench);
}

/* --- a Step that its event does not await --- */

static int sleeps(struct kong *kong, struct bench *bench) {
    event_sleep((struct event *)kong, NULL, NULL);
    note_error(bench, kong_response_set_header(kong, "A", "1"));
    return 0;
}

static void no_wake(struct rpc *rpc) {
    (void)rpc;
}

/* Kong goes on with a request after an error: one of a plugin that fails closed ends. */
static void step_too_many(void **state) {
    static const enum kong_on_error both[] = {KONG_FAIL_OPEN, KONG_FAIL_CLOSED};
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct bench *bench = bench_create(PROTOCOL_MSGPACK, NULL);
        bench->plugin.on_error = both[i];
        bench_run(bench, sleeps, NULL, NULL, 0);
        struct event *event = LIST_FIRST(&bench->rpc.requests);
        assert_non_null(event);
        struct rpc_call step = {.command = RPC_STEP, .sequence = 7, .event_id = event->id};
        struct buffer bytes;
        struct rpc other;
        buffer_init(&bytes, LIMIT_OUT);
        assert_int_equal(msgpack_encode_call(&bytes, &step), 0);
        rpc_init(&other, &bench->env, no_wake);
        assert_int_equal(rpc_feed(&other, bytes.data, bytes.len), 0);
        const char *said = both[i] == KONG_FAIL_CLOSED ? "kong.response.exit" : "awaits no Step";
        assert_non_null(memmem(other.out.data, other.out.len, said, strlen(said)));
        rpc_close(&other);
        buffer_free(&bytes);
        event_wake(event);
        bench_pump(bench);
        assert_true(bench->over);
        assert_int_equal(bench->call_count, 1);
        bench_destroy(bench);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(merges), cmocka_unit_test(many),
                                       cmocka_unit_test(without_value),
                                       cmocka_unit_test(step_too_many)};
    return cmocka_run_group_tests_name("rpc_queue", tests, NULL, NULL);
}
