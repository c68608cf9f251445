/* Getters that are asked for before the handler does: what arrives at Kong, in which order, and
 * which answer a handler gets. ProtoBuf:1. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>

#include "prefetch_asks.h"

/* --- Declared --- */

/* All leave before the handler runs; each getter gets its own answer, in whatever order it asks,
 * and however the answers come in pieces. */
static void test_declared(void **state) {
    struct bench *bench = *state;
    for (size_t piece = 0; piece < 4; piece++) {
        bench->piece = piece;
        bench_prefetch(bench, PREFETCH_DECLARED, three);
        bench_run(bench, ask_all, NULL, three_answers, 3);
        assert_true(bench->over);
        assert_string_equal(bench_notes(bench), "GET /p a ");
        assert_string_equal(arrived(bench), "get_method get_path get_header set_header ");
        bench_run(bench, ask_backwards, NULL, three_answers, 3);
        assert_string_equal(bench_notes(bench), "a /p GET ");
        assert_string_equal(arrived(bench), "get_method get_path get_header ");
    }
    assert_int_equal(bench->stats.prefetched, 24);
    assert_int_equal(bench->stats.prefetch_used, 24);
    assert_int_equal(bench->plugin_stats.calls[PDK_REQUEST_GET_PATH].count, 8);
}

/* The handler waits for just the one that it asks for. */
static void test_waits_for_one(void **state) {
    struct bench *bench = *state;
    bench_prefetch(bench, PREFETCH_DECLARED, three);
    bench_run(bench, ask_all, NULL, stalled, 4);
    assert_false(bench->over);
    assert_string_equal(bench_notes(bench), "GET "); /* it goes on with the first one */
    assert_string_equal(arrived(bench), "get_method get_path get_header ");
    bench_close(bench);
    assert_string_equal(bench_notes(bench), "GONE GONE ");
}

/* What the handler does not ask for is dropped, in order, before the next event. */
static void test_unasked(void **state) {
    struct bench *bench = *state;
    bench_prefetch(bench, PREFETCH_DECLARED, three);
    for (int i = 0; i < 3; i++) {
        bench_run(bench, nothing, NULL, three_answers, 3);
        assert_true(bench->over);
        assert_int_equal(bench->rpc.results_due, 0);
        bench_run(bench, ask_all, NULL, three_answers, 3);
        assert_true(bench->over);
        assert_string_equal(bench_notes(bench), "- GET /p a ");
    }
}

/* --- What is called before --- */

static int change_before(struct kong *kong, struct bench *bench) {
    kong_service_request_set_header(kong, "X-A", "changed");
    ask_header(kong, bench);
    return KONG_OK;
}

static int harmless_before(struct kong *kong, struct bench *bench) {
    kong_log_info(kong, "line");
    kong_response_set_header(kong, "X-A", "changed");
    ask_header(kong, bench);
    ask_header(kong, bench);
    return KONG_OK;
}

static void test_setters(void **state) {
    struct bench *bench = *state;
    bench_prefetch(bench, PREFETCH_DECLARED, three);
    bench_run(bench, change_before, NULL, three_answers, 4);
    assert_string_equal(bench_notes(bench), "again ");
    assert_string_equal(arrived(bench), "get_method get_path get_header set_header get_header ");
    bench_run(bench, harmless_before, NULL, three_answers, 4);
    assert_string_equal(bench_notes(bench), "a a ");
    assert_string_equal(arrived(bench), "get_method get_path get_header info set_header ");
}

static int ask_variable(struct kong *kong, struct bench *bench) {
    struct kong_str text;
    for (int i = 0; i < 2; i++) {
        int error = kong_nginx_get_var(kong, "request_time", &text);
        note_text(bench, error, text);
    }
    return KONG_OK;
}

/* What may be another one at any time is used once. */
static void test_moment(void **state) {
    struct bench *bench = *state;
    static const struct bench_answer answers[] = {{.text = "\"0.1\""}, {.text = "\"0.2\""}};
    bench_prefetch(bench, PREFETCH_DECLARED, KONG_PREFETCH(KONG_WANT_NGINX_VAR("request_time")));
    bench_run(bench, ask_variable, NULL, answers, 2);
    assert_string_equal(bench_notes(bench), "0.1 0.2 ");
}

/* --- What goes wrong --- */

/* Kong raises on one of them: the peer is gone, whatever is still due. */
static void test_raises(void **state) {
    struct bench *bench = *state;
    static const char *const notes[] = {"GONE GONE GONE ", "GET GONE GONE ", "GET /p GONE "};
    bench_prefetch(bench, PREFETCH_DECLARED, three);
    for (size_t raises = 0; raises < 3; raises++) {
        struct bench_answer answers[] = {three_answers[0], three_answers[1], three_answers[2]};
        answers[raises] = (struct bench_answer){.kind = BENCH_ERROR, .text = "raised"};
        bench_run(bench, ask_all, NULL, answers, 3);
        assert_true(bench->closed);
        assert_string_equal(bench_notes(bench), notes[raises]);
        bench_run(bench, ask_all, NULL, three_answers, 3); /* over a new connection */
        assert_true(bench->over);
        assert_string_equal(bench_notes(bench), "GET /p a ");
    }
}

/* An answer of no use: who asks for it is told, as without; who does not, is not. */
static void test_garbage(void **state) {
    struct bench *bench = *state;
    static const struct bench_answer answers[] = {
        {.text = "\"GET\""}, {.kind = BENCH_GARBAGE}, {.text = "\"a\""}, {.text = "\"/q\""}};
    bench_prefetch(bench, PREFETCH_DECLARED, three);
    bench_run(bench, nothing, NULL, answers, 4);
    assert_true(bench->over);
    bench_notes(bench);
    bench_run(bench, ask_all, NULL, answers, 4);
    assert_string_equal(bench_notes(bench), "GET TYPE a ");
    bench_run(bench, ask_backwards, NULL, answers, 4);
    assert_string_equal(bench_notes(bench), "a /q GET "); /* asked for once more */
    assert_true(bench->over);
}

static int ask_and_exit(struct kong *kong, struct bench *bench) {
    ask_method(kong, bench);
    return kong_response_exit(kong, 403, kong_str("no"), kong_nil());
}

/* Answers that come after the exit are for nobody. */
static void test_exit(void **state) {
    struct bench *bench = *state;
    bench_prefetch(bench, PREFETCH_DECLARED, three);
    for (size_t piece = 0; piece < 3; piece++) {
        bench->piece = piece;
        bench_run(bench, ask_and_exit, NULL, three_answers, 3);
        assert_true(bench->ended);
        assert_string_equal(bench_notes(bench), "GET ");
        assert_string_equal(arrived(bench), "get_method get_path get_header exit ");
        assert_int_equal(events_alive(bench->events), 0);
    }
}

/* The same for one that is over the limit, also behind the end of the event. */
static void test_too_big(void **state) {
    static const char bytes[5000];
    static const struct kong_value large = {KONG_STRING, .string = {bytes, sizeof bytes}};
    static const struct bench_answer answers[] = {{.text = "\"GET\""},
                                                  {.kind = BENCH_RAW, .value = &large},
                                                  {.text = "\"a\""},
                                                  {.text = "\"/q\""}};
    struct bench *bench = *state;
    bench->env.max_frame = 4096;
    bench_prefetch(bench, PREFETCH_DECLARED, three);
    bench_run(bench, ask_all, NULL, answers, 4);
    assert_string_equal(bench_notes(bench), "GET TOO_BIG a ");
    assert_true(bench->over);
    bench_run(bench, ask_backwards, NULL, answers, 4);
    assert_string_equal(bench_notes(bench), "a /q GET ");
    assert_true(bench->over);
    bench_run(bench, ask_and_exit, NULL, answers, 3);
    assert_string_equal(bench_notes(bench), "GET ");
    assert_true(bench->ended && !bench->closed);
    assert_int_equal(bench->rpc.results_due, 1); /* of the exit */
}

/* Answers that come together are all read before the handler goes on, once; the last one may be
 * part of what comes. */
static void test_goes_on_once(void **state) {
    struct bench *bench = *state;
    struct buffer bytes;
    bench_prefetch(bench, PREFETCH_DECLARED, three);
    for (size_t missing = 0; missing < 4; missing++) {
        static const struct bench_answer none[] = {
            {.kind = BENCH_STALL}, {.kind = BENCH_STALL}, {.kind = BENCH_STALL}};
        bench_run(bench, ask_all, NULL, none, 3);
        uint32_t before = atomic_load(&bench->crash_record.slots[0].runs);
        buffer_init(&bytes, LIMIT_OUT);
        for (size_t i = 0; i < 3; i++) {
            static const enum pdk_id ids[] = {PDK_REQUEST_GET_METHOD, PDK_REQUEST_GET_PATH,
                                              PDK_REQUEST_GET_HEADER};
            struct kong_value value = kong_string(i == 0 ? "GET" : i == 1 ? "/p" : "a");
            assert_int_equal(sim_protobuf_encode_result(&bytes, &pdk_methods[ids[i]], &value), 0);
        }
        size_t len = bytes.len - missing;
        assert_int_equal(rpc_feed(&bench->rpc, bytes.data, len), 0);
        assert_int_equal(atomic_load(&bench->crash_record.slots[0].runs), before + 1);
        assert_string_equal(bench_notes(bench), missing == 0 ? "GET /p a " : "GET /p ");
        assert_int_equal(rpc_feed(&bench->rpc, bytes.data + len, missing), 0);
        assert_string_equal(bench_notes(bench), missing == 0 ? "" : "a ");
        buffer_free(&bytes);
        bench_pump(bench);
        assert_true(bench->over);
    }
}

/* The event's time is up while Kong is at the second: the third comes behind the end, and the next
 * event finds its own answers. */
static void test_cancelled(void **state) {
    struct bench *bench = *state;
    bench_prefetch(bench, PREFETCH_DECLARED, three);
    bench_run(bench, ask_all, NULL, stalled, 4);
    assert_string_equal(bench_notes(bench), "GET ");
    bench_tick(bench, 6000);
    assert_string_equal(bench_notes(bench), "TIMEOUT TIMEOUT ");
    assert_int_equal(events_alive(bench->events), 0);
    bench_pump(bench);
    assert_int_equal(bench->rpc.results_due, 2);
    assert_true(bench->over);
    answer(bench, PDK_REQUEST_GET_PATH, "/late");
    answer(bench, PDK_REQUEST_GET_HEADER, "late");
    bench_run(bench, ask_all, NULL, three_answers, 3);
    assert_true(bench->over);
    assert_string_equal(bench_notes(bench), "GET /p a ");
}

/* --- Off, and over MsgPack:1 --- */

static void test_off(void **state) {
    struct bench *bench = *state;
    struct bench *msgpack = bench_create(PROTOCOL_MSGPACK, NULL);
    bench_prefetch(bench, PREFETCH_OFF, three);
    assert_int_equal(together(bench, ask_all), 1);
    bench_prefetch(msgpack, PREFETCH_AUTO, three);
    run_often(msgpack, ask_all, 20);
    assert_int_equal(msgpack->stats.prefetched, 0);
    bench_destroy(msgpack);
}

/* --- Checked at the start --- */

static int handle(struct kong *kong, const void *config) {
    (void)kong;
    (void)config;
    return 0;
}

static void test_check(void **state) {
    static const struct {
        enum kong_phase phase;
        bool old;
        struct kong_want want;
        const char *error; /* NULL: it is good */
    } rows[] = {
        {KONG_PHASE_ACCESS, false, KONG_WANT_REQUEST_METHOD, NULL},
        {KONG_PHASE_ACCESS, false, KONG_WANT_CLIENT_PROTOCOL(true), NULL},
        {KONG_PHASE_ACCESS, false, KONG_WANT_REQUEST_RAW_BODY, NULL},
        {KONG_PHASE_LOG, false, KONG_WANT_LOG_SERIALIZE, NULL},
        {KONG_PHASE_LOG, false, KONG_WANT_REQUEST_METHOD,
         ".prefetch of log, kong.request.get_method: Kong raises an error on it in this phase"},
        {KONG_PHASE_LOG, false, KONG_WANT_REQUEST_HEADERS,
         ".prefetch of log, kong.request.get_headers: Kong raises an error on it for some requests "
         "in log"},
        {KONG_PHASE_ACCESS, false, KONG_WANT_RESPONSE_STATUS,
         ".prefetch of access, kong.response.get_status: Kong raises an error on it in this phase"},
        {KONG_PHASE_ACCESS, true, KONG_WANT_REQUEST_URI_CAPTURES,
         ".prefetch of access, kong.request.get_uri_captures: Kong 2.8 raises an error on it in "
         "this phase"},
        {KONG_PHASE_ACCESS,
         false,
         {"kong.response.set_status", NULL, 200},
         ".prefetch of access, kong.response.set_status: it is no getter of ProtoBuf:1"},
        {KONG_PHASE_ACCESS,
         false,
         {"kong.no.such", NULL, 0},
         ".prefetch of access, kong.no.such: it is no getter of ProtoBuf:1"},
        {KONG_PHASE_ACCESS,
         false,
         {"kong.request.get_raw_path", NULL, 0},
         ".prefetch of access, kong.request.get_raw_path: it is no getter of ProtoBuf:1"},
        {KONG_PHASE_ACCESS,
         false,
         {"kong.client.load_consumer", "x", 0},
         ".prefetch of access, kong.client.load_consumer: Kong raises an error on it for some "
         "requests"},
        {KONG_PHASE_ACCESS,
         false,
         {"kong.request.get_header", NULL, 0},
         ".prefetch of access, kong.request.get_header: its argument, a text, is missing"},
        {KONG_PHASE_ACCESS,
         false,
         {"kong.request.get_headers", NULL, 0},
         ".prefetch of access, kong.request.get_headers: its argument must be from 1 to 1000"},
        {KONG_PHASE_REWRITE, false, KONG_WANT_REQUEST_METHOD,
         ".prefetch has a list for rewrite, which has no handler"},
    };
    (void)state;
    for (size_t i = 0; i < LENGTH(rows); i++) {
        struct kong_want wants[] = {rows[i].want, {NULL, NULL, 0}};
        struct kong_plugin plugin = {
            .handlers = {[KONG_PHASE_ACCESS] = handle, [KONG_PHASE_LOG] = handle}};
        char error[200] = "";
        plugin.prefetch[rows[i].phase] = wants;
        int rc = prefetch_check(&plugin, rows[i].old, error, sizeof error);
        assert_string_equal(error, rows[i].error == NULL ? "" : rows[i].error);
        assert_int_equal(rc, rows[i].error == NULL ? 0 : -1);
    }
}

/* As many as a phase may have, and one more. */
static void test_check_count(void **state) {
    struct kong_want wants[KONG_PREFETCH_MOST + 2] = {{NULL, NULL, 0}};
    struct kong_plugin plugin = {.handlers = {[KONG_PHASE_ACCESS] = handle},
                                 .prefetch = {[KONG_PHASE_ACCESS] = wants}};
    char error[200] = "";
    (void)state;
    for (size_t i = 0; i < KONG_PREFETCH_MOST; i++) {
        wants[i] = (struct kong_want)KONG_WANT_REQUEST_METHOD;
    }
    assert_int_equal(prefetch_check(&plugin, false, error, sizeof error), 0);
    wants[KONG_PREFETCH_MOST] = wants[0];
    assert_int_equal(prefetch_check(&plugin, false, error, sizeof error), -1);
    assert_string_equal(error,
                        ".prefetch of access, kong.request.get_method: it is one more than a "
                        "phase may have (24)");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_declared),
        TEST(test_waits_for_one),
        TEST(test_unasked),
        TEST(test_setters),
        TEST(test_moment),
        TEST(test_raises),
        TEST(test_garbage),
        TEST(test_exit),
        TEST(test_too_big),
        TEST(test_goes_on_once),
        TEST(test_cancelled),
        TEST(test_off),
        cmocka_unit_test(test_check),
        cmocka_unit_test(test_check_count),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
