/* Handlers that ask for three things, and what of it arrives at Kong. Include behind <cmocka.h>. */
#ifndef TESTS_UNIT_PREFETCH_ASKS_H
#define TESTS_UNIT_PREFETCH_ASKS_H

#include <stdio.h>
#include <string.h>

#include "kong.h"
#include "limit.h"
#include "pdk_bench.h"
#include "protobuf_rpc.h"
#include "sim_protobuf.h"

#define LENGTH(array) (sizeof(array) / sizeof *(array))

static inline int setup(void **state) {
    *state = bench_create(PROTOCOL_PROTOBUF, NULL);
    return 0;
}

static inline int teardown(void **state) {
    bench_destroy(*state);
    return 0;
}

static const struct kong_want *const three = KONG_PREFETCH(
    KONG_WANT_REQUEST_METHOD, KONG_WANT_REQUEST_PATH, KONG_WANT_REQUEST_HEADER("x-a"));

static const struct bench_answer three_answers[] = {
    {.text = "\"GET\""}, {.text = "\"/p\""}, {.text = "\"a\""}, {.text = "\"again\""}};

static const struct bench_answer stalled[] = {
    {.text = "\"GET\""}, {.kind = BENCH_STALL}, {.kind = BENCH_STALL}, {.kind = BENCH_STALL}};

/* "get_method get_path set_header ": what has arrived at Kong. */
static inline const char *arrived(struct bench *bench) {
    static char text[2000];
    size_t len = 0;
    text[0] = '\0';
    for (size_t i = 0; i < bench->call_count && len < sizeof text; i++) {
        const char *name = strrchr(bench->calls[i].method.data, '.');
        len += (size_t)snprintf(text + len, sizeof text - len, "%s ", name + 1);
    }
    return text;
}

static inline void note_text(struct bench *bench, int error, struct kong_str text) {
    if (error != 0) {
        note_error(bench, error);
    } else {
        note(bench, "%s ", text.data == NULL ? "nil" : text.data);
    }
}

static inline void ask_method(struct kong *kong, struct bench *bench) {
    struct kong_str text;
    int error = kong_request_get_method(kong, &text);
    note_text(bench, error, text);
}

static inline void ask_path(struct kong *kong, struct bench *bench) {
    struct kong_str text;
    int error = kong_request_get_path(kong, &text);
    note_text(bench, error, text);
}

static inline void ask_header(struct kong *kong, struct bench *bench) {
    struct kong_str text;
    int error = kong_request_get_header(kong, "X-A", &text);
    note_text(bench, error, text);
}

static inline int ask_all(struct kong *kong, struct bench *bench) {
    ask_method(kong, bench);
    ask_path(kong, bench);
    ask_header(kong, bench);
    return kong_response_set_header(kong, "X-B", "b");
}

static inline int ask_backwards(struct kong *kong, struct bench *bench) {
    ask_header(kong, bench);
    ask_path(kong, bench);
    ask_method(kong, bench);
    return KONG_OK;
}

static inline int nothing(struct kong *kong, struct bench *bench) {
    (void)kong;
    note(bench, "- ");
    return KONG_OK;
}

static inline void answer_on(struct rpc *rpc, enum pdk_id id, const char *text) {
    struct buffer bytes;
    struct kong_value value = kong_string(text);
    buffer_init(&bytes, LIMIT_OUT);
    assert_int_equal(sim_protobuf_encode_result(&bytes, &pdk_methods[id], &value), 0);
    assert_int_equal(rpc_feed(rpc, bytes.data, bytes.len), 0);
    buffer_free(&bytes);
}

static inline void answer(struct bench *bench, enum pdk_id id, const char *text) {
    answer_on(&bench->rpc, id, text);
}

/* Kong answers nil. */
static inline void run_often(struct bench *bench, bench_handler *handler, unsigned times) {
    for (unsigned i = 0; i < times; i++) {
        bench_run(bench, handler, NULL, NULL, 0);
        assert_true(bench->over);
        bench_notes(bench);
    }
}

/* How many getters arrive at Kong before it answers the first. */
static inline size_t together(struct bench *bench, bench_handler *handler) {
    static const struct bench_answer none[] = {
        {.kind = BENCH_STALL}, {.kind = BENCH_STALL}, {.kind = BENCH_STALL}, {.kind = BENCH_STALL}};
    bench_run(bench, handler, NULL, none, 4);
    size_t count = bench->call_count;
    bench_close(bench);
    bench_notes(bench);
    return count;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

#endif
