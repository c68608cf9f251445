/* What handlers ask for is learned, and asked for ahead. ProtoBuf:1. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "prefetch_asks.h"

static void test_learned(void **state) {
    struct bench *bench = *state;
    bench_prefetch(bench, PREFETCH_AUTO, NULL);
    assert_int_equal(together(bench, ask_all), 1);
    run_often(bench, ask_all, 16);
    assert_int_equal(together(bench, ask_all), 3);
    assert_int_equal(together(bench, ask_backwards), 3);
    for (int i = 0; i < 3; i++) {
        bench_run(bench, ask_all, NULL, three_answers, 3);
        assert_string_equal(bench_notes(bench), "GET /p a ");
    }
    /* who asks for none sends none */
    bench_run(bench, nothing, NULL, three_answers, 3);
    assert_string_equal(arrived(bench), "");
}

static void wake_nobody(struct rpc *rpc) {
    (void)rpc;
}

/* An event of ask_all over another connection. */
static void run_beside(struct bench *bench, struct rpc *rpc) {
    struct rpc_call call = {
        .command = RPC_HANDLE_EVENT, .instance_id = bench->instance, .event = kong_str("access")};
    struct buffer bytes;
    buffer_init(&bytes, LIMIT_OUT);
    assert_int_equal(protobuf_encode_call(&bytes, &call), 0);
    assert_int_equal(rpc_feed(rpc, bytes.data, bytes.len), 0);
    answer_on(rpc, PDK_REQUEST_GET_METHOD, "GET");
    answer_on(rpc, PDK_REQUEST_GET_PATH, "/p");
    answer_on(rpc, PDK_REQUEST_GET_HEADER, "a");
    rpc->results_due = 0; /* what it posted */
    buffer_clear(&rpc->out, 0);
    buffer_free(&bytes);
}

/* An event that had begun before something was learned goes on as it began: Kong is not asked again
 * for what it has answered. */
static void test_learned_meanwhile(void **state) {
    static const struct bench_answer begun[] = {{.text = "\"GET\""}, {.kind = BENCH_STALL}};
    struct bench *bench = *state;
    struct rpc other;
    bench_prefetch(bench, PREFETCH_AUTO, NULL);
    bench_run(bench, ask_all, NULL, begun, 2);
    assert_string_equal(arrived(bench), "get_method get_path ");
    rpc_init(&other, &bench->env, wake_nobody);
    for (int i = 0; i < 16; i++) {
        run_beside(bench, &other);
    }
    bench_notes(bench);
    assert_int_equal(bench->stats.prefetched, 0);
    answer(bench, PDK_REQUEST_GET_PATH, "/p");
    bench_pump(bench);
    assert_string_equal(arrived(bench), "get_method get_path get_header set_header ");
    assert_string_equal(bench_notes(bench), "/p nil ");
    assert_true(bench->over);
    rpc_close(&other);
    assert_int_equal(together(bench, ask_all), 3); /* it was learned */
}

static int ask_method_and_ip(struct kong *kong, struct bench *bench) {
    struct kong_str ip;
    ask_method(kong, bench);
    note_error(bench, kong_client_get_ip(kong, &ip));
    return KONG_OK;
}

static int ask_only_ip(struct kong *kong, struct bench *bench) {
    struct kong_str ip;
    note_error(bench, kong_client_get_ip(kong, &ip));
    return KONG_OK;
}

static void test_adapts(void **state) {
    struct bench *bench = *state;
    bench_prefetch(bench, PREFETCH_AUTO, NULL);
    run_often(bench, ask_all, 16);
    assert_int_equal(together(bench, ask_method_and_ip), 3); /* path and header for nothing */
    run_often(bench, ask_method_and_ip, 130);
    assert_int_equal(together(bench, ask_method_and_ip), 2);
    bench_run(bench, ask_method_and_ip, NULL, three_answers, 2);
    assert_string_equal(arrived(bench), "get_method get_ip ");
    run_often(bench, nothing, 130); /* says nothing of what others ask for */
    assert_int_equal(together(bench, ask_method_and_ip), 2);
    run_often(bench, ask_only_ip, 130);
    assert_int_equal(together(bench, ask_method_and_ip), 1);
}

static int ask_unsafe(struct kong *kong, struct bench *bench) {
    struct kong_str text;
    struct kong_value value;
    struct kong_consumer consumer;
    kong_nginx_get_var(kong, "v", &text);
    kong_nginx_get_ctx(kong, "v", &value);
    kong_ctx_shared_get(kong, "v", &value);
    kong_client_get_consumer(kong, &consumer);
    kong_service_request_set_header(kong, "X-A", "a");
    ask_method(kong, bench); /* something was changed before */
    ask_path(kong, bench);
    return KONG_OK;
}

/* Neither what could raise in Kong or be another a moment later, nor what comes behind a change. */
static void test_not_learned(void **state) {
    struct bench *bench = *state;
    bench_prefetch(bench, PREFETCH_AUTO, NULL);
    run_often(bench, ask_unsafe, 100);
    assert_int_equal(bench->stats.prefetched, 0);
    assert_int_equal(together(bench, ask_all), 1);
}

static char long_name[66]; /* a byte more than is learned, and its NUL */

static int ask_names(struct kong *kong, struct bench *bench) {
    struct kong_str text;
    ask_method(kong, bench);
    kong_request_get_header(kong, long_name + 1, &text);
    kong_request_get_header(kong, long_name, &text);
    return KONG_OK;
}

/* Arguments of up to 64 bytes. */
static void test_long_arguments(void **state) {
    struct bench *bench = *state;
    memset(long_name, 'x', sizeof long_name);
    bench_prefetch(bench, PREFETCH_AUTO, NULL);
    long_name[sizeof long_name - 1] = '\0';
    run_often(bench, ask_names, 16);
    assert_int_equal(together(bench, ask_names), 2);
}

/* Every fourth event asks for something else: that is too many. */
static void test_mixed(void **state) {
    struct bench *bench = *state;
    bench_prefetch(bench, PREFETCH_AUTO, NULL);
    for (int i = 0; i < 64; i++) {
        run_often(bench, i % 4 == 0 ? ask_only_ip : ask_all, 1);
    }
    assert_int_equal(bench->stats.prefetched, 0);
}

static int ask_headers(struct kong *kong, struct bench *bench) {
    struct kong_headers headers;
    ask_method(kong, bench);
    ask_path(kong, bench);
    note_error(bench, kong_request_get_headers(kong, 0, &headers));
    return KONG_OK;
}

/* Kong 2.8 raises on headers of the same name: there they are not asked for ahead. */
static void test_learned_2_8(void **state) {
    struct bench *bench = *state;
    struct bench *old = bench_create_2_8(PROTOCOL_PROTOBUF);
    bench_prefetch(bench, PREFETCH_AUTO, NULL);
    bench_prefetch(old, PREFETCH_AUTO, NULL);
    run_often(bench, ask_headers, 16);
    run_often(old, ask_headers, 16);
    assert_int_equal(together(bench, ask_headers), 3);
    assert_int_equal(together(old, ask_headers), 2);
    bench_destroy(old);
}

/* … nor where they are declared: a handler that does not ask for them takes such a request, too. */
static void test_declared_2_8(void **state) {
    struct bench *bench = *state;
    struct bench *old = bench_create_2_8(PROTOCOL_PROTOBUF);
    const struct kong_want *wants =
        KONG_PREFETCH(KONG_WANT_REQUEST_METHOD, KONG_WANT_REQUEST_PATH, KONG_WANT_REQUEST_HEADERS);
    bench_prefetch(bench, PREFETCH_DECLARED, wants);
    bench_prefetch(old, PREFETCH_DECLARED, wants);
    assert_int_equal(together(bench, ask_headers), 3);
    assert_int_equal(together(old, ask_headers), 2);
    bench_prefetch(old, PREFETCH_DECLARED, KONG_PREFETCH(KONG_WANT_REQUEST_HEADERS));
    assert_false(old->env.declares);
    bench_destroy(old);
}

/* What is declared is not learned as well. */
static void test_both(void **state) {
    struct bench *bench = *state;
    bench_prefetch(bench, PREFETCH_AUTO, KONG_PREFETCH(KONG_WANT_REQUEST_METHOD));
    run_often(bench, ask_all, 20);
    bench_run(bench, ask_all, NULL, three_answers, 3);
    assert_string_equal(bench_notes(bench), "GET /p a ");
    assert_string_equal(arrived(bench), "get_method get_path get_header set_header ");
    assert_int_equal(together(bench, nothing), 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_learned),     TEST(test_learned_meanwhile), TEST(test_adapts),
        TEST(test_not_learned), TEST(test_long_arguments),    TEST(test_mixed),
        TEST(test_learned_2_8), TEST(test_declared_2_8),      TEST(test_both),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
