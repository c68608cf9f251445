/* What is noted of a request in case this process dies, and what is said in its place then. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "event_report.h"
#include "msgpack_rpc.h"
#include "one_plugin.h"
#include "pdk_bench.h"
#include "protobuf_rpc.h"

#define LENGTH(array) (sizeof(array) / sizeof *(array))
#define NOTHING       (-1)

static void no_wake(struct rpc *rpc) {
    (void)rpc;
}

/* --- A message of which only a part has come --- */

/* What is noted of a message of which so many bytes have come (in_flight.h). */
static uint8_t noted(struct bench *bench, const uint8_t *data, size_t len) {
    struct in_flight in_flight = {.id = 0};
    rpc_init(&bench->rpc, &bench->env, no_wake);
    bench->rpc.in_flight = &in_flight;
    bench->closed = false;
    assert_int_equal(rpc_feed(&bench->rpc, data, len), 0);
    bench_close(bench);
    assert_int_equal(in_flight.id, in_flight.what == 0 ? 0 : 300);
    return in_flight.what;
}

/* If this process dies now, somebody else answers what has begun to come. */
static void what_a_half_is_of(void **state) {
    enum { HALF_EVENT = IN_FLIGHT_MSGPACK_EVENT | IN_FLIGHT_HALF };
    static const struct {
        struct rpc_call call;
        const char *known; /* what of the method's name tells what it is */
        uint8_t what;
    } cases[] = {{{.command = RPC_STEP}, "plugin.Step", HALF_EVENT},
                 {{.command = RPC_STEP, .error = {"no", 2}}, "plugin.Step", HALF_EVENT},
                 {{.command = RPC_HANDLE_EVENT}, "plugin.HandleEvent", HALF_EVENT},
                 {{.command = RPC_START_INSTANCE},
                  "plugin.StartInstance",
                  IN_FLIGHT_MSGPACK_START | IN_FLIGHT_HALF},
                 {{.command = RPC_CLOSE_INSTANCE}, "plugin.CloseInstance", IN_FLIGHT_OTHER}};
    struct bench *bench = bench_create(PROTOCOL_MSGPACK, NULL);
    (void)state;
    for (size_t i = 0; i < LENGTH(cases); i++) {
        struct buffer bytes;
        struct rpc_call call = cases[i].call;
        call.sequence = 300;
        call.event = kong_str("access");
        buffer_init(&bytes, 4096);
        assert_int_equal(msgpack_encode_call(&bytes, &call), 0);
        size_t known = strlen(cases[i].known);
        const uint8_t *name = memmem(bytes.data, bytes.len, cases[i].known, known);
        assert_non_null(name);
        size_t at = (size_t)(name - bytes.data);
        for (size_t len = 1; len < bytes.len; len++) {
            uint8_t what = len >= at + known ? cases[i].what : IN_FLIGHT_OTHER;
            assert_int_equal(noted(bench, bytes.data, len), len < at ? 0 : what);
        }
        buffer_free(&bytes);
    }
    bench_destroy(bench);
}

/* --- An event at work --- */

static int note_what(struct kong *kong, struct bench *bench) {
    const struct in_flight *in_flight = bench->rpc.in_flight;
    (void)kong;
    if (in_flight == NULL) { /* the first event, which opens the connection */
        return 0;
    }
    note(bench, "%x %u", (unsigned)in_flight->what, (unsigned)in_flight->id);
    return 0;
}

/* Before its handler runs: whether its own plugin fails closed, in a phase that can. */
static void event_at_work(void **state) {
    static const struct {
        enum protocol protocol;
        enum kong_on_error on_error;
        enum kong_phase phase;
        uint8_t what;
    } rows[] = {
        {PROTOCOL_MSGPACK, KONG_FAIL_CLOSED, KONG_PHASE_ACCESS, IN_FLIGHT_MSGPACK_EVENT},
        {PROTOCOL_MSGPACK, KONG_FAIL_OPEN, KONG_PHASE_ACCESS, IN_FLIGHT_MSGPACK_EVENT_OPEN},
        {PROTOCOL_MSGPACK, KONG_FAIL_CLOSED, KONG_PHASE_LOG, IN_FLIGHT_MSGPACK_EVENT_OPEN},
        {PROTOCOL_PROTOBUF, KONG_FAIL_CLOSED, KONG_PHASE_ACCESS, IN_FLIGHT_PROTOBUF_EVENT},
        {PROTOCOL_PROTOBUF, KONG_FAIL_OPEN, KONG_PHASE_ACCESS, IN_FLIGHT_PROTOBUF_EVENT_OPEN},
        {PROTOCOL_PROTOBUF, KONG_FAIL_CLOSED, KONG_PHASE_LOG, IN_FLIGHT_PROTOBUF_EVENT_OPEN},
    };
    (void)state;
    for (size_t i = 0; i < LENGTH(rows); i++) {
        struct in_flight in_flight = {.id = 0};
        struct bench *bench = bench_create(rows[i].protocol, NULL);
        char wanted[16];
        bench->plugin.on_error = rows[i].on_error;
        bench->phase = rows[i].phase;
        bench_run(bench, note_what, NULL, NULL, 0);
        bench->rpc.in_flight = &in_flight;
        bench_run(bench, note_what, NULL, NULL, 0);
        snprintf(wanted, sizeof wanted, "%x %u", (unsigned)rows[i].what, (unsigned)in_flight.id);
        assert_string_equal(bench_notes(bench), wanted);
        bench_destroy(bench);
    }
}

/* --- Kong 2.8, over ProtoBuf:1: before our side of a connection ends --- */

static int exits(struct kong *kong, struct bench *bench) {
    (void)bench;
    kong_response_exit(kong, 403, kong_str("denied"), kong_nil());
    return 0;
}

static int does_nothing(struct kong *kong, struct bench *bench) {
    (void)kong;
    (void)bench;
    return 0;
}

/* Kong may be writing an event. Not behind an exit: Kong closes; not twice. */
static void last_words(void **state) {
    uint8_t out[256];
    struct bench *bench = bench_create_2_8(PROTOCOL_PROTOBUF);
    (void)state;
    bench_run(bench, does_nothing, NULL, NULL, 0);
    assert_int_equal(bench->rpc.state, RPC_OPEN);
    assert_true(rpc_wants_words(&bench->rpc));
    size_t len = rpc_last_words(&bench->rpc, out, sizeof out);
    assert_non_null(memmem(out, len, "no plugin instance", 18));
    rpc_end(&bench->rpc);
    assert_false(rpc_wants_words(&bench->rpc));
    assert_int_equal(rpc_last_words(&bench->rpc, out, sizeof out), 0);
    bench_close(bench);
    bench_run(bench, exits, NULL, NULL, 0);
    assert_int_equal(bench->rpc.state, RPC_EXITED);
    assert_false(rpc_wants_words(&bench->rpc));
    assert_int_equal(rpc_last_words(&bench->rpc, out, sizeof out), 0);
    bench_destroy(bench);
}

/* --- What is said for a process that is dead --- */

static int handle(struct kong *kong, const void *config) {
    (void)kong;
    (void)config;
    return 0;
}

static size_t say(bool closed, enum kong_phase phase, uint8_t what, bool next_process,
                  uint8_t out[256]) {
    struct kong_plugin plugin = {.name = "one",
                                 .on_error = closed ? KONG_FAIL_CLOSED : KONG_FAIL_OPEN};
    struct plugin place;
    plugin.handlers[phase] = handle;
    const struct plugins plugins = one_plugin(&place, &plugin, NULL);
    return rpc_answer_orphan(&plugins, what, 300, NULL, next_process, out, 256);
}

/* Of an event: Kong sends it to the next process; where there is none, the request of a plugin that
 * fails closed ends, in the phases in which that can be. */
static void events_of_the_dead(void **state) {
    static const struct {
        bool closed, next_process;
        enum kong_phase phase;
        int kind; /* of the answer; NOTHING: there is none */
    } rows[] = {{false, true, KONG_PHASE_ACCESS, RPC_REPLY_ERROR},
                {true, true, KONG_PHASE_ACCESS, RPC_REPLY_ERROR},
                {true, true, KONG_PHASE_LOG, RPC_REPLY_ERROR},
                {true, false, KONG_PHASE_ACCESS, RPC_REPLY_PDK_CALL},
                {false, false, KONG_PHASE_ACCESS, NOTHING},
                {true, false, KONG_PHASE_LOG, NOTHING}};
    struct arena arena;
    (void)state;
    arena_init(&arena, 4096);
    for (size_t i = 0; i < 2 * LENGTH(rows); i++) {
        size_t row = i / 2;
        uint8_t what = (uint8_t)(IN_FLIGHT_MSGPACK_EVENT | (i % 2 == 0 ? 0 : IN_FLIGHT_HALF));
        uint8_t out[256];
        struct rpc_reply reply;
        size_t len = say(rows[row].closed, rows[row].phase, what, rows[row].next_process, out);
        assert_int_equal(len > 0, rows[row].kind != NOTHING);
        if (len == 0) {
            continue;
        }
        assert_int_equal(msgpack_decode_reply(&arena, out, len, RPC_HANDLE_EVENT, &reply), 0);
        assert_int_equal(reply.kind, rows[row].kind);
        assert_int_equal(reply.sequence, 300);
        if (reply.kind == RPC_REPLY_ERROR) {
            assert_string_equal(reply.error.data, "no plugin instance: the server process died "
                                                  "while this event was at work");
        } else {
            assert_string_equal(reply.method.data, "kong.response.exit");
            assert_int_equal(reply.arg_count, EVENT_EXIT_ARGS);
            assert_int_equal(reply.args[0].integer, 500);
            assert_string_equal(reply.args[1].string.data, EVENT_FAILED_BODY);
        }
    }
    arena_free(&arena);
}

/* Of one that goes on without its plugin's answer: nobody ends it. */
static void events_that_go_on(void **state) {
    uint8_t out[256];
    (void)state;
    assert_true(say(true, KONG_PHASE_ACCESS, IN_FLIGHT_MSGPACK_EVENT_OPEN, true, out) > 0);
    assert_int_equal(say(true, KONG_PHASE_ACCESS, IN_FLIGHT_MSGPACK_EVENT_OPEN, false, out), 0);
}

/* Bytes that the dead process had read, and perhaps not looked at, say the same as its note. */
static void what_it_had_read(void **state) {
    static const struct {
        struct rpc_call call;
        uint8_t what;
    } rows[] = {{{.command = RPC_STEP}, IN_FLIGHT_MSGPACK_EVENT},
                {{.command = RPC_HANDLE_EVENT}, IN_FLIGHT_MSGPACK_EVENT},
                {{.command = RPC_START_INSTANCE}, IN_FLIGHT_MSGPACK_START},
                {{.command = RPC_CLOSE_INSTANCE}, IN_FLIGHT_OTHER},
                {{.command = RPC_STEP, .notification = true}, IN_FLIGHT_OTHER}};
    struct kong_plugin plugin = {.name = "one"};
    struct plugin place;
    const struct plugins plugins = one_plugin(&place, &plugin, NULL);
    (void)state;
    for (size_t i = 0; i < LENGTH(rows); i++) {
        uint8_t read[4096];
        uint8_t out[256], wanted[256];
        struct buffer bytes;
        struct rpc_call call = rows[i].call;
        call.sequence = 300;
        buffer_init(&bytes, sizeof read);
        assert_int_equal(msgpack_encode_call(&bytes, &call), 0);
        memset(read, IN_FLIGHT_UNREAD, IN_FLIGHT_HEAD);
        memcpy(read, bytes.data, bytes.len);
        buffer_free(&bytes);
        size_t len = rpc_answer_orphan(&plugins, IN_FLIGHT_READING, 1, read, true, out, sizeof out);
        assert_int_equal(len, say(false, KONG_PHASE_ACCESS, rows[i].what, true, wanted));
        assert_memory_equal(out, wanted, len);
    }
    uint8_t nothing[IN_FLIGHT_HEAD];
    uint8_t out[256];
    memset(nothing, IN_FLIGHT_UNREAD, sizeof nothing);
    assert_int_equal(
        rpc_answer_orphan(&plugins, IN_FLIGHT_READING, 1, nothing, true, out, sizeof out), 0);
}

/* Of a StartInstance: an instance that nobody has, and of which the next process says so. */
static void starts_of_the_dead(void **state) {
    static const uint8_t starts[] = {IN_FLIGHT_MSGPACK_START,
                                     IN_FLIGHT_MSGPACK_START | IN_FLIGHT_HALF,
                                     IN_FLIGHT_PROTOBUF_START};
    struct arena arena;
    (void)state;
    arena_init(&arena, 4096);
    for (size_t i = 0; i < LENGTH(starts); i++) {
        uint8_t out[256];
        struct rpc_reply reply;
        size_t len = say(true, KONG_PHASE_ACCESS, starts[i], true, out);
        if (starts[i] == IN_FLIGHT_PROTOBUF_START) {
            assert_true(len > 4); /* a frame */
            assert_int_equal(out[0], len - 4);
            assert_int_equal(protobuf_decode_reply(&arena, out + 4, len - 4, &reply), 0);
        } else {
            assert_int_equal(msgpack_decode_reply(&arena, out, len, RPC_START_INSTANCE, &reply), 0);
        }
        assert_int_equal(reply.kind, RPC_REPLY_INSTANCE);
        assert_int_equal(reply.sequence, 300);
        assert_string_equal(reply.instance.name.data, "one");
        assert_int_equal(reply.instance.id, -1);
        assert_int_equal(say(true, KONG_PHASE_ACCESS, starts[i], false, out), 0);
    }
    arena_free(&arena);
}

/* What Kong would not read as an answer, and what has no room, is not said. */
static void nothing_is_said(void **state) {
    static const uint8_t others[] = {0, 3, IN_FLIGHT_RESULTS_MOST, IN_FLIGHT_OTHER};
    uint8_t out[256];
    struct kong_plugin plugin = {.name = "one", .on_error = KONG_FAIL_CLOSED};
    struct plugin place;
    const struct plugins plugins = one_plugin(&place, &plugin, NULL);
    (void)state;
    for (size_t i = 0; i < LENGTH(others); i++) {
        assert_int_equal(say(true, KONG_PHASE_ACCESS, others[i], true, out), 0);
        assert_int_equal(say(true, KONG_PHASE_ACCESS, others[i], false, out), 0);
    }
    size_t whole =
        rpc_answer_orphan(&plugins, IN_FLIGHT_MSGPACK_EVENT, 7, NULL, true, out, sizeof out);
    assert_true(whole > 0);
    for (size_t size = 0; size < whole; size++) {
        uint8_t small[256] = {0};
        assert_int_equal(
            rpc_answer_orphan(&plugins, IN_FLIGHT_MSGPACK_EVENT, 7, NULL, true, small, size), 0);
        assert_int_equal(small[0], 0);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_a_half_is_of),  cmocka_unit_test(event_at_work),
        cmocka_unit_test(last_words),         cmocka_unit_test(events_of_the_dead),
        cmocka_unit_test(events_that_go_on),  cmocka_unit_test(what_it_had_read),
        cmocka_unit_test(starts_of_the_dead), cmocka_unit_test(nothing_is_said),
    };
    return cmocka_run_group_tests_name("test_in_flight", tests, NULL, NULL);
}
