/* The Kong of kong-pdk-load: asked once, then out of memory; a recording of a real one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "../../load/load_kong.h"
#include "limit.h"
#include "msgpack_codec.h"
#include "protobuf_rpc.h"

static const char *const headers[] = {"Host: example.com", "X-Key: a secret"};
static const struct load_request request = {
    .method = "GET", .path = "/users?id=7", .headers = headers, .header_count = 2};

static const struct {
    enum protocol protocol;
    const char *trace;
} protocols[] = {{PROTOCOL_PROTOBUF, "tests/traces/kong-3.9.1-protobuf.trace"},
                 {PROTOCOL_MSGPACK, "tests/traces/kong-3.9.1-msgpack.trace"}};
#define OF(state) (*(const size_t *)*(state))

static struct answers *create(size_t which) {
    struct answers *answers =
        answers_create(protocols[which].protocol, &request, KONG_PHASE_ACCESS);
    assert_non_null(answers);
    return answers;
}

/* A call as a server sends it. */
static void put_call(struct buffer *out, size_t which, const char *method,
                     const struct kong_value *args, size_t count) {
    buffer_init(out, LIMIT_FRAME);
    if (protocols[which].protocol == PROTOCOL_PROTOBUF) {
        assert_int_equal(
            protobuf_encode_pdk_call(out, pdk_method_find(kong_str(method)), args, count), 0);
        return;
    }
    struct msgpack_writer writer;
    msgpack_writer_start(&writer, out);
    msgpack_pack_map(&writer.packer, 2);
    msgpack_write_text(&writer, "Method");
    msgpack_write_text(&writer, method);
    msgpack_write_text(&writer, "Args");
    msgpack_write_args(&writer, args, count);
    assert_int_equal(msgpack_writer_end(&writer), 0);
}

static const struct answer *ask(struct answers *answers, size_t which, const char *method,
                                const char *first, const char *second) {
    const struct kong_value args[] = {kong_string(first), kong_string(second)};
    size_t count = first == NULL ? 0 : second == NULL ? 1 : 2;
    char error[512] = "";
    struct buffer call;
    put_call(&call, which, method, args, count);
    const struct answer *answer = answers_get(answers, call.data, call.len, error, sizeof error);
    buffer_free(&call);
    if (answer == NULL) {
        fail_msg("%s: %s", method, error);
    }
    return answer;
}

static bool holds(const struct answer *answer, const char *text) {
    return memmem(answer->data, answer->len, text, strlen(text)) != NULL ||
           (answer->tail_len > 0 &&
            memmem(answer->tail, answer->tail_len, text, strlen(text)) != NULL);
}

static void asks_once(void **state) {
    size_t which = OF(state);
    struct answers *answers = create(which);
    for (int i = 0; i < 3; i++) {
        assert_true(
            holds(ask(answers, which, "kong.request.get_header", "X-Key", NULL), "a secret"));
        assert_true(
            holds(ask(answers, which, "kong.request.get_header", "Host", NULL), "example.com"));
        assert_true(holds(ask(answers, which, "kong.request.get_raw_query", NULL, NULL), "id=7"));
    }
    assert_int_equal(answers_asked(answers), 3);
    answers_destroy(answers);
}

static void ends_with_an_exit(void **state) {
    size_t which = OF(state);
    struct answers *answers = create(which);
    for (int i = 0; i < 2; i++) {
        const struct kong_value args[] = {kong_integer(401), kong_string("no"), kong_map(NULL, 0)};
        char error[512];
        struct buffer call;
        put_call(&call, which, "kong.response.exit", args, 3);
        const struct answer *answer =
            answers_get(answers, call.data, call.len, error, sizeof error);
        assert_non_null(answer);
        assert_true(answer->exits);
        buffer_free(&call);
        assert_false(ask(answers, which, "kong.request.get_method", NULL, NULL)->exits);
    }
    assert_int_equal(answers_asked(answers), 2);
    answers_destroy(answers);
}

/* A header that has another value each time does not ask each time; what differs does. */
static void the_same_answer_always(void **state) {
    size_t which = OF(state);
    struct answers *answers = create(which);
    char text[32];
    for (int i = 0; i < 500; i++) {
        snprintf(text, sizeof text, "value %d", i);
        assert_false(ask(answers, which, "kong.response.set_header", "X-Time", text)->exits);
    }
    size_t asked = answers_asked(answers);
    assert_in_range(asked, 1, 100);
    assert_true(holds(ask(answers, which, "kong.request.get_header", "X-Key", NULL), "a secret"));
    for (int i = 0; i < 100; i++) {
        snprintf(text, sizeof text, "X-None-%d", i);
        assert_false(holds(ask(answers, which, "kong.request.get_header", text, NULL), "secret"));
    }
    assert_true(holds(ask(answers, which, "kong.request.get_header", "Host", NULL), "example.com"));
    answers_destroy(answers);
}

static void what_kong_would_raise_on(void **state) {
    size_t which = OF(state);
    struct answers *answers = create(which);
    char error[512] = "";
    struct buffer call;
    put_call(&call, which, "kong.response.get_status", NULL, 0); /* not in access */
    assert_null(answers_get(answers, call.data, call.len, error, sizeof error));
    assert_non_null(strstr(error, "Kong would end the request: "));
    buffer_free(&call);
    /* the next request is another one */
    assert_true(holds(ask(answers, which, "kong.request.get_header", "X-Key", NULL), "a secret"));
    answers_destroy(answers);
}

/* In the recording Host is 127.0.0.1:8000; nobody else is asked for it. */
static void out_of_a_recording(void **state) {
    size_t which = OF(state);
    struct answers *answers = create(which);
    char error[512] = "";
    size_t count = 0;
    int rc = answers_read_recording(answers, protocols[which].protocol, protocols[which].trace,
                                    &count, error, sizeof error);
    if (rc != 0) {
        fail_msg("%s", error);
    }
    assert_in_range(count, 20, 100);
    assert_true(
        holds(ask(answers, which, "kong.request.get_header", "host", NULL), "127.0.0.1:8000"));
    assert_int_equal(answers_asked(answers), 0);
    assert_true(holds(ask(answers, which, "kong.request.get_header", "x-key", NULL), "a secret"));
    assert_int_equal(answers_asked(answers), 1);
    answers_destroy(answers);
    /* one of the other protocol has none for this */
    answers = create(which);
    assert_int_equal(answers_read_recording(answers, protocols[which].protocol,
                                            protocols[1 - which].trace, &count, error,
                                            sizeof error),
                     0);
    assert_int_equal(count, 0);
    assert_int_equal(answers_read_recording(answers, protocols[which].protocol, "tests/none",
                                            &count, error, sizeof error),
                     -1);
    assert_string_equal(error, "cannot read tests/none: No such file or directory");
    answers_destroy(answers);
}

int main(void) {
    static const size_t protobuf = 0;
    static const size_t msgpack = 1;
#define ONE(test, protocol)                                                                        \
    { #test " " #protocol, test, NULL, NULL, (void *)(uintptr_t)&protocol }
#define BOTH(test) ONE(test, protobuf), ONE(test, msgpack)
    const struct CMUnitTest tests[] = {
        BOTH(asks_once),
        BOTH(ends_with_an_exit),
        BOTH(the_same_answer_always),
        BOTH(what_kong_would_raise_on),
        BOTH(out_of_a_recording),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
