/* What Kong answers is more than the server takes: too deep, too many elements, too many bytes, or
 * nothing that a value can hold. The handler hears of it and decides; the connection lives. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fnmatch.h>
#include <stdlib.h>

#include "forward.h"
#include "limit.h"
#include "msgpack_rpc.h"
#include "pdk_bench.h"

#define LENGTH(array) (sizeof(array) / sizeof(array)[0])

static const size_t pieces[] = {0, 1, 7, 4096};

/* The answer that is refused, and one behind it. */
static int ask_twice(struct kong *kong, struct bench *bench) {
    struct kong_value args[] = {kong_string("key")};
    struct kong_value value;
    struct kong_str header;
    note_error(bench, kong_call(kong, "kong.ctx.shared.get", args, 1, &value));
    note(bench, "(%s) ", value.type == KONG_NIL ? kong_error_text(kong) : "no nil");
    note_error(bench, kong_request_get_header(kong, "X-A", &header));
    note_str(bench, header);
    return kong_response_set_header(kong, "X-B", "b");
}

/* The same with a posted call in front, whose answer is the one that is refused on ProtoBuf:1. */
static int post_and_ask(struct kong *kong, struct bench *bench) {
    struct kong_str header;
    note_error(bench, kong_log_info(kong, "posted"));
    note_error(bench, kong_request_get_header(kong, "X-A", &header));
    note_str(bench, header);
    return 0;
}

/* `seen`: what the handler notes, a pattern of the shell. */
static void check(enum protocol protocol, size_t max_frame, struct kong_str raw, const char *seen) {
    const struct kong_value bytes = kong_bytes(raw.data, raw.len);
    const struct bench_answer answers[] = {{.kind = BENCH_RAW, .value = &bytes},
                                           {.kind = BENCH_JSON, .text = "\"a\""}};
    struct bench *bench = bench_create(protocol, NULL);
    bench->env.max_frame = max_frame;
    for (size_t i = 0; i < 2 * LENGTH(pieces); i++) {
        bench->piece = pieces[i / 2];
        if (bench->piece == 1 && raw.len > 100000) {
            continue;
        }
        bench_run(bench, ask_twice, NULL, answers, LENGTH(answers));
        const char *notes = bench_notes(bench);
        if (fnmatch(seen, notes, 0) != 0) {
            fail_msg("%s", notes);
        }
        assert_true(bench->over && !bench->closed);
        assert_int_equal(bench->rpc.in.capacity, 0);
    }
    assert_int_equal(bench->call_count, 3);
    bench_destroy(bench);
}

/* --- MsgPack:1 --- */

/* `depth` lists in one another. */
static struct kong_str nested(size_t depth) {
    char *data = malloc(depth + 1);
    assert_non_null(data);
    memset(data, '\x91', depth);
    data[depth] = '\x01';
    return (struct kong_str){data, depth + 1};
}

static void check_nested(size_t depth, const char *seen) {
    struct kong_str raw = nested(depth);
    check(PROTOCOL_MSGPACK, LIMIT_FRAME, raw, seen);
    free((char *)(uintptr_t)raw.data);
}

static void nesting(void **state) {
    (void)state;
    check_nested(33, "TOO_BIG (Kong's answer: message over a limit: nesting 32, elements 2^20, or "
                     "size) ok \"a\"");
    check_nested(34, "TOO_BIG (Kong's answer: message nested deeper than 36 levels) ok \"a\"");
    check_nested(50000, "TOO_BIG (Kong's answer: message nested deeper than 36 levels) ok \"a\"");
}

static void elements(void **state) {
    size_t len = 5 + LIMIT_ELEMENTS;
    char *data = calloc(1, len);
    (void)state;
    assert_non_null(data);
    memcpy(data, "\xdd\x00\x10\x00\x00", 5);
    check(PROTOCOL_MSGPACK, LIMIT_FRAME, (struct kong_str){data, len},
          "TOO_BIG (Kong's answer: message of 104858? elements, limit 1048576) ok \"a\"");
    free(data);
}

static void bytes_of_msgpack(void **state) {
    enum { MANY = 5000 };
    char text[3 + MANY] = "\xda\x13\x88";
    char small[5 + MANY] = "\xdc\x13\x88";
    (void)state;
    check(PROTOCOL_MSGPACK, 4096, (struct kong_str){text, 3 + MANY},
          "TOO_BIG (Kong's answer: message of at least 50?? bytes, limit 4096) ok \"a\"");
    check(PROTOCOL_MSGPACK, 4096, (struct kong_str){small, 3 + MANY},
          "TOO_BIG (Kong's answer: message of at least 50?? bytes, limit 4096) ok \"a\"");
}

/* Well formed, but no value: Lua has neither. */
static void no_value(void **state) {
    static const char ext[] = "\xd4\x01\x00";
    static const char key[] = "\x81\x90\x01";
    const char *seen = "TYPE (Kong's answer: not the message that belongs here) ok \"a\"";
    (void)state;
    check(PROTOCOL_MSGPACK, LIMIT_FRAME, (struct kong_str){ext, 3}, seen);
    check(PROTOCOL_MSGPACK, LIMIT_FRAME, (struct kong_str){key, 3}, seen);
}

/* --- ProtoBuf:1 --- */

/* A Value that is `depth` lists in one another, built from the inside. */
static struct kong_str nested_value(size_t depth) {
    size_t room = depth * 12 + 16;
    char *data = malloc(room);
    assert_non_null(data);
    size_t len = 0;
    for (size_t i = 0; i < 2 * depth; i++) {
        char head[8] = {i % 2 == 0 ? 1 << 3 | 2 : 6 << 3 | 2};
        size_t size = 1;
        size_t rest = len;
        do {
            head[size++] = (char)((rest & 0x7f) | (rest > 0x7f ? 0x80 : 0));
            rest >>= 7;
        } while (rest > 0);
        assert_true(len + size <= room);
        memmove(data + size, data, len);
        memcpy(data, head, size);
        len += size;
    }
    return (struct kong_str){data, len};
}

static void nesting_of_protobuf(void **state) {
    (void)state;
    struct kong_str deep = nested_value(40);
    check(PROTOCOL_PROTOBUF, LIMIT_FRAME, deep,
          "TOO_BIG (Kong's answer: message over a limit: nesting 32, elements 2^20, or size) ok "
          "\"a\"");
    free((char *)(uintptr_t)deep.data);
}

static void bytes_of_protobuf(void **state) {
    enum { MANY = 5000 };
    static char frame[MANY];
    (void)state;
    check(PROTOCOL_PROTOBUF, 4096, (struct kong_str){frame, MANY},
          "TOO_BIG (Kong's answer: frame of 5000 bytes, limit 4096) ok \"a\"");
}

/* The answer to a posted call is for nobody, whatever its size. */
static void answers_that_nobody_waits_for(void **state) {
    static const enum protocol protocols[] = {PROTOCOL_PROTOBUF, PROTOCOL_MSGPACK};
    (void)state;
    for (size_t i = 0; i < LENGTH(protocols); i++) {
        const struct bench_answer answer = {.kind = BENCH_JSON, .text = "\"a\""};
        struct bench *bench = bench_create(protocols[i], NULL);
        bench->env.max_frame = 4096;
        bench->posted_answer_len = 5000;
        bench_run(bench, post_and_ask, NULL, &answer, 1);
        assert_string_equal(bench_notes(bench), "ok ok \"a\"");
        assert_true(bench->over && !bench->closed);
        bench_destroy(bench);
    }
}

/* --- No memory --- */

static void no_wake(struct rpc *rpc) {
    (void)rpc;
}

/* All of it is taken by others. */
static const struct budget *nothing_left(void) {
    static _Atomic size_t used;
    static uint64_t refused;
    static const struct budget budget = {&used, 0, &refused};
    return &budget;
}

/* An answer that comes in pieces, of which the first finds no memory: nothing of it was kept. */
static void pieces_without_memory(void **state) {
    enum { LONG = 50000 };
    static char text[3 + LONG] = "\xda\xc3\x50";
    static const enum protocol protocols[] = {PROTOCOL_PROTOBUF, PROTOCOL_MSGPACK};
    static const size_t first[] = {3, 100, 4097, 5000, 20000, LONG - 1};
    const struct kong_value bytes = kong_bytes(text, 3 + LONG);
    const struct bench_answer answers[] = {{.kind = BENCH_RAW, .value = &bytes},
                                           {.kind = BENCH_JSON, .text = "\"a\""}};
    (void)state;
    for (size_t i = 0; i < 2 * LENGTH(first); i++) {
        struct bench *bench = bench_create(protocols[i % 2], NULL);
        bench->env.budget = nothing_left();
        bench->piece = first[i / 2];
        bench_run(bench, ask_twice, NULL, answers, LENGTH(answers));
        const char *notes = bench_notes(bench);
        if (fnmatch("TOO_BIG (Kong's answer: no memory for a message that comes in pieces, after * "
                    "bytes) ok \"a\"",
                    notes, 0) != 0) {
            fail_msg("pieces of %zu: %s", bench->piece, notes);
        }
        assert_true(bench->over && !bench->closed);
        assert_int_equal(bench->rpc.in.capacity, 0);
        bench_destroy(bench);
    }
}

/* The same as the first bytes of a connection, where the protocol is not known yet: a Step of an
 * event that is gone gets its answer, and the next message is heard. */
static void first_bytes_without_memory(void **state) {
    enum { LONG = 50000 };
    static const size_t first[] = {1, 2, 3, 4, 5000};
    static char text[LONG];
    struct rpc_call step = {
        .command = RPC_STEP, .sequence = 7, .event_id = 1, .data = kong_bytes(text, LONG)};
    struct buffer sent;
    (void)state;
    buffer_init(&sent, LIMIT_OUT);
    assert_int_equal(msgpack_encode_call(&sent, &step), 0);
    for (size_t i = 0; i < LENGTH(first); i++) {
        struct bench *bench = bench_create(PROTOCOL_MSGPACK, NULL);
        struct rpc rpc;
        bench->env.budget = nothing_left();
        rpc_init(&rpc, &bench->env, NULL);
        assert_int_equal(rpc_feed(&rpc, sent.data, first[i]), 0);
        assert_int_equal(rpc_feed(&rpc, sent.data + first[i], sent.len - 1 - first[i]), 0);
        assert_int_equal(rpc.out.len, 0);
        assert_int_equal(rpc_feed(&rpc, sent.data + sent.len - 1, 1), 0);
        assert_non_null(memmem(rpc.out.data, rpc.out.len, "no such event", 13));
        assert_true(rpc.in.len == 0 && !rpc.skipping);
        rpc_close(&rpc);
        bench_destroy(bench);
    }
    buffer_free(&sent);
}

/* --- MsgPack:1: a call that finds no memory when its turn comes --- */

enum { BODY = 20000 };

static int exit_at_length(struct kong *kong, struct bench *bench) {
    static char body[BODY];
    note_error(bench, kong_response_exit(kong, 401, (struct kong_str){body, BODY}, kong_nil()));
    return 0;
}

static int post_at_length(struct kong *kong, struct bench *bench) {
    static char text[BODY];
    memset(text, 'x', BODY - 1);
    note_error(bench, kong_log_info(kong, "posted"));
    note_error(bench, kong_response_set_header(kong, "X-A", text));
    return 0;
}

/* The call before the end is the long one. */
static int exit_behind_long(struct kong *kong, struct bench *bench) {
    post_at_length(kong, bench);
    note_error(bench, kong_response_exit(kong, 401, kong_str("no"), kong_nil()));
    return 0;
}

static int ask_at_length(struct kong *kong, struct bench *bench) {
    static char text[BODY];
    struct kong_value args[] = {kong_bytes(text, BODY)};
    struct kong_value value;
    note_error(bench, kong_call(kong, "kong.ctx.shared.get", args, 1, &value));
    note_error(bench, kong_response_set_header(kong, "X-A", "a"));
    return 0;
}

static void run_unsent(bench_handler *handler, enum kong_on_error on_error, const char *seen) {
    struct bench *bench = bench_create(PROTOCOL_MSGPACK, NULL);
    bench->plugin.on_error = on_error;
    bench->env.budget = nothing_left();
    bench_run(bench, handler, NULL, NULL, 0);
    assert_string_equal(bench_notes(bench), seen);
    bool ends =
        handler == exit_at_length || handler == exit_behind_long || on_error == KONG_FAIL_CLOSED;
    if (ends) {
        assert_true(bench->ended && bench->error.data == NULL);
        assert_string_equal(bench_args(bench, bench->call_count - 1),
                            "[500,\"{\\\"message\\\":\\\"An unexpected error "
                            "occurred\\\"}\",{\"Content-Type\":\"application/json; "
                            "charset=utf-8\"}]");
    } else {
        assert_true(!bench->ended && bench->error.data != NULL);
    }
    assert_int_equal(events_alive(bench->events), 0);
    bench_destroy(bench);
}

/* Kong goes on with a request after an error. The one that is to end ends all the same, and no
 * event waits for a Step that does not come. */
static void calls_without_memory(void **state) {
    static const enum kong_on_error both[] = {KONG_FAIL_OPEN, KONG_FAIL_CLOSED};
    (void)state;
    for (size_t i = 0; i < LENGTH(both); i++) {
        run_unsent(exit_at_length, both[i], "ok ");
        run_unsent(exit_behind_long, both[i], "ok ok ok ");
        run_unsent(post_at_length, both[i], "ok ok ");
        run_unsent(ask_at_length, both[i], "NOMEM NOMEM ");
    }
}

/* Posts small calls of that many bytes while there is memory, and fails. */
static size_t small;

static int post_till_full(struct kong *kong, struct bench *bench) {
    char text[400];
    int rc = KONG_OK;
    (void)bench;
    memset(text, 'x', sizeof text);
    text[small] = '\0';
    while (rc == KONG_OK) {
        rc = kong_log_info(kong, "%s", text);
    }
    return rc;
}

/* The handler has taken all the memory that there is: none is left for the end of the request, or
 * of the event, which comes all the same, on a connection that lives. */
static void no_memory_for_the_end(void **state) {
    static const enum protocol protocols[] = {PROTOCOL_PROTOBUF, PROTOCOL_MSGPACK};
    (void)state;
    for (size_t i = 0; i < 2 * LENGTH(protocols); i++) {
        for (small = 200; small < sizeof(char[400]); small++) {
            struct bench *bench = bench_create(protocols[i / 2], NULL);
            bench->plugin.on_error = i % 2 == 0 ? KONG_FAIL_OPEN : KONG_FAIL_CLOSED;
            bench->env.budget = nothing_left();
            ((struct events_options *)(uintptr_t)events_options(bench->events))->budget =
                nothing_left();
            bench_run(bench, post_till_full, NULL, NULL, 0);
            assert_true((i % 2 == 0 ? bench->over : bench->ended) && bench->error.data == NULL);
            assert_true(!bench->closed && bench->rpc.state != RPC_BROKEN);
            assert_ptr_equal(bench->rpc.out.budget, bench->env.budget);
            bench_destroy(bench);
        }
    }
}

/* A handler that does not look whether its exit was sent: the request of a plugin that fails closed
 * does not go on for that. The other's does, and the handler is told. */
static void exit_without_memory(void **state) {
    static const enum protocol protocols[] = {PROTOCOL_PROTOBUF, PROTOCOL_MSGPACK};
    (void)state;
    for (size_t i = 0; i < 2 * LENGTH(protocols); i++) {
        struct bench *bench = bench_create(protocols[i / 2], NULL);
        bench->plugin.on_error = i % 2 == 0 ? KONG_FAIL_CLOSED : KONG_FAIL_OPEN;
        bench->exits_count = true;
        bench->env.budget = nothing_left();
        ((struct events_options *)(uintptr_t)events_options(bench->events))->budget =
            nothing_left();
        bench_run(bench, exit_at_length, NULL, NULL, 0);
        assert_string_equal(bench_notes(bench), "NOMEM ");
        assert_int_equal(bench->ended, i % 2 == 0);
        assert_true(bench->ended || bench->over);
        bench_destroy(bench);
    }
}

static void recall(struct forward *forward) {
    forward->msgid = -1;
}

/* A Step's answer comes from elsewhere, and there is no memory to pass it on, or no time:
 * its request ends where the plugin fails closed, and the connection lives. */
static void answers_from_elsewhere(void **state) {
    static const uint8_t answer[BODY];
    static const char *const seen[] = {"no memory", "kong.response.exit"};
    (void)state;
    for (size_t i = 0; i < 3 * LENGTH(seen); i++) {
        const char *wanted = i == 2 ? "the server ends" : seen[i / 3];
        struct bench *bench = bench_create(PROTOCOL_MSGPACK, NULL);
        const struct rpc_call call = {.sequence = 7, .event_id = i / 3 == 1 ? EVENT_CLOSED : 0};
        struct forward step = {.recall = recall};
        struct rpc rpc;
        bench->env.budget = nothing_left();
        rpc_init(&rpc, &bench->env, no_wake);
        forward_link(&step, &rpc, &call, 0);
        if (i % 3 == 0) {
            forward_answer(&step, answer, BODY);
        } else if (i % 3 == 1) {
            forward_fail(&step, "no memory");
        } else {
            rpc_give_up(&rpc);
            assert_int_equal(step.msgid, -1);
        }
        assert_int_equal(rpc.state, RPC_OPEN);
        assert_true(LIST_EMPTY(&rpc.forwards));
        assert_non_null(memmem(rpc.out.data, rpc.out.len, wanted, strlen(wanted)));
        rpc_close(&rpc);
        bench_destroy(bench);
    }
}

/* A message of an event whose arguments are not those of its method, by a plugin that fails closed:
 * its request ends. Other messages get their error. */
static void arguments_of_events(void **state) {
    static const struct {
        const char *bytes;
        size_t len;
        const char *seen;
    } rows[] = {
        {"\x94\x00\x07\xabplugin.Step\x91\x80", 17, "kong.response.exit"},
        {"\x94\x00\x07\xb2plugin.HandleEvent\x91\x80", 24, "kong.response.exit"},
        {"\x94\x00\x07\xb4plugin.CloseInstance\x91\x80", 26, "does not take"},
    };
    (void)state;
    for (size_t i = 0; i < LENGTH(rows); i++) {
        struct bench *bench = bench_create(PROTOCOL_MSGPACK, NULL);
        struct rpc rpc;
        bench->plugin.on_error = KONG_FAIL_CLOSED;
        rpc_init(&rpc, &bench->env, NULL);
        assert_int_equal(rpc_feed(&rpc, (const uint8_t *)rows[i].bytes, rows[i].len), 0);
        assert_non_null(memmem(rpc.out.data, rpc.out.len, rows[i].seen, strlen(rows[i].seen)));
        rpc_close(&rpc);
        bench_destroy(bench);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nesting),
        cmocka_unit_test(elements),
        cmocka_unit_test(bytes_of_msgpack),
        cmocka_unit_test(no_value),
        cmocka_unit_test(nesting_of_protobuf),
        cmocka_unit_test(bytes_of_protobuf),
        cmocka_unit_test(answers_that_nobody_waits_for),
        cmocka_unit_test(pieces_without_memory),
        cmocka_unit_test(first_bytes_without_memory),
        cmocka_unit_test(calls_without_memory),
        cmocka_unit_test(no_memory_for_the_end),
        cmocka_unit_test(exit_without_memory),
        cmocka_unit_test(answers_from_elsewhere),
        cmocka_unit_test(arguments_of_events),
    };
    return cmocka_run_group_tests_name("test_too_big", tests, NULL, NULL);
}
