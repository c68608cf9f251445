/* Getters that are asked for before the handler does: what arrives at Kong, in which order, and
 * which answer a handler gets. ProtoBuf:1. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>

#include "kong.h"
#include "limit.h"
#include "pdk_bench.h"
#include "protobuf_rpc.h"
#include "sim_protobuf.h"

#define LENGTH(array) (sizeof(array) / sizeof *(array))

static int setup(void **state) {
    *state = bench_create(PROTOCOL_PROTOBUF, NULL);
    return 0;
}

static int teardown(void **state) {
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
static const char *arrived(struct bench *bench) {
    static char text[2000];
    size_t len = 0;
    text[0] = '\0';
    for (size_t i = 0; i < bench->call_count && len < sizeof text; i++) {
        const char *name = strrchr(bench->calls[i].method.data, '.');
        len += (size_t)snprintf(text + len, sizeof text - len, "%s ", name + 1);
    }
    return text;
}

static void note_text(struct bench *bench, int error, struct kong_str text) {
    if (error != 0) {
        note_error(bench, error);
    } else {
        note(bench, "%s ", text.data == NULL ? "nil" : text.data);
    }
}

static void ask_method(struct kong *kong, struct bench *bench) {
    struct kong_str text;
    int error = kong_request_get_method(kong, &text);
    note_text(bench, error, text);
}

static void ask_path(struct kong *kong, struct bench *bench) {
    struct kong_str text;
    int error = kong_request_get_path(kong, &text);
    note_text(bench, error, text);
}

static void ask_header(struct kong *kong, struct bench *bench) {
    struct kong_str text;
    int error = kong_request_get_header(kong, "X-A", &text);
    note_text(bench, error, text);
}

static int ask_all(struct kong *kong, struct bench *bench) {
    ask_method(kong, bench);
    ask_path(kong, bench);
    ask_header(kong, bench);
    return kong_response_set_header(kong, "X-B", "b");
}

static int ask_backwards(struct kong *kong, struct bench *bench) {
    ask_header(kong, bench);
    ask_path(kong, bench);
    ask_method(kong, bench);
    return KONG_OK;
}

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

static int nothing(struct kong *kong, struct bench *bench) {
    (void)kong;
    note(bench, "- ");
    return KONG_OK;
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

static void answer_on(struct rpc *rpc, enum pdk_id id, const char *text) {
    struct buffer bytes;
    struct kong_value value = kong_string(text);
    buffer_init(&bytes, LIMIT_OUT);
    assert_int_equal(sim_protobuf_encode_result(&bytes, &pdk_methods[id], &value), 0);
    assert_int_equal(rpc_feed(rpc, bytes.data, bytes.len), 0);
    buffer_free(&bytes);
}

static void answer(struct bench *bench, enum pdk_id id, const char *text) {
    answer_on(&bench->rpc, id, text);
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

/* --- Learned --- */

/* Kong answers nil. */
static void run_often(struct bench *bench, bench_handler *handler, unsigned times) {
    for (unsigned i = 0; i < times; i++) {
        bench_run(bench, handler, NULL, NULL, 0);
        assert_true(bench->over);
        bench_notes(bench);
    }
}

/* How many getters arrive at Kong before it answers the first. */
static size_t together(struct bench *bench, bench_handler *handler) {
    static const struct bench_answer none[] = {
        {.kind = BENCH_STALL}, {.kind = BENCH_STALL}, {.kind = BENCH_STALL}, {.kind = BENCH_STALL}};
    bench_run(bench, handler, NULL, none, 4);
    size_t count = bench->call_count;
    bench_close(bench);
    bench_notes(bench);
    return count;
}

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

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

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
        TEST(test_goes_on_once),
        TEST(test_cancelled),
        TEST(test_learned),
        TEST(test_learned_meanwhile),
        TEST(test_adapts),
        TEST(test_not_learned),
        TEST(test_long_arguments),
        TEST(test_mixed),
        TEST(test_learned_2_8),
        TEST(test_declared_2_8),
        TEST(test_both),
        TEST(test_off),
        cmocka_unit_test(test_check),
        cmocka_unit_test(test_check_count),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
