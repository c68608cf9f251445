#include "pdk_bench.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "limit.h"
#include "msgpack_rpc.h"
#include "one_plugin.h"
#include "protobuf_rpc.h"
#include "sim_json.h"
#include "sim_protobuf.h"
#include "value.h"

static int run_handler(struct kong *kong, const void *config) {
    struct bench *bench = kong_process_data(kong);
    (void)config;
    bench->running++;
    int rc = bench->handler(kong, bench);
    if (!bench->exits_count) {
        ((struct event *)kong)->unended = 0;
    }
    bench->running--;
    return rc;
}

static uint64_t bench_now(void *clock) {
    const struct bench *bench = clock;
    return bench->now_ms;
}

static struct bench *bench_of(struct rpc *rpc) {
    return (struct bench *)((char *)rpc - offsetof(struct bench, rpc));
}

static void on_wake(struct rpc *rpc) {
    struct bench *bench = bench_of(rpc);
    if (bench->close_at_write) {
        bench->close_at_write = false;
        bench_close(bench);
    }
}

static struct bench *create(enum protocol protocol, void *loop, bool kong_2_8,
                            struct blocking_pool *blocking, uint64_t blocking_wait_ms) {
    static const struct rpc_plugin_info info = {.name = {"bench", 5}, .version = {"1.0", 3}};
    struct bench *bench = calloc(1, sizeof *bench);
    assert_non_null(bench);
    bench->protocol = protocol;
    bench->now_ms = 1000;
    bench->plugin = (struct kong_plugin){.name = "bench", .version = "1.0"};
    for (int phase = 0; phase < KONG_PHASE_COUNT; phase++) {
        bench->plugin.handlers[phase] = run_handler;
    }
    bench->phase = KONG_PHASE_ACCESS;
    bench->kong_2_8 = kong_2_8;
    arena_init(&bench->memory, LIMIT_EVENT_MEMORY);
    arena_init(&bench->scratch, LIMIT_EVENT_MEMORY);
    bench->plugins = one_plugin(&bench->hosted, &bench->plugin, bench);
    struct registry_options registry = {.max_instances = 8};
    bench->registry = registry_create(&registry);
    assert_non_null(bench->registry);
    struct events_options events = {.plugins = &bench->plugins,
                                    .registry = bench->registry,
                                    .owner = loop,
                                    .max_events = 16,
                                    .stack_size = LIMIT_STACK,
                                    .kong_2_8 = kong_2_8,
                                    .timeout_ms = 5000,
                                    .running = &bench->crash_record,
                                    .blocking = blocking,
                                    .blocking_wait_ms = blocking_wait_ms,
                                    .shared = &bench->shared,
                                    .stats = &bench->stats,
                                    .plugin_stats = &bench->plugin_stats};
    bench->events = events_create(&events);
    assert_non_null(bench->events);
    bench->env = (struct rpc_env){.events = bench->events,
                                  .registry = bench->registry,
                                  .plugins = &bench->plugins,
                                  .info = &info,
                                  .scratch = &bench->scratch,
                                  .max_frame = LIMIT_FRAME,
                                  .pid = 4711,
                                  .now_ms = bench_now,
                                  .clock = bench};
    char error[160];
    struct instance *instance;
    assert_int_equal(registry_start(bench->registry, &bench->hosted, kong_str("{}"), NULL,
                                    bench->now_ms, &instance, error, sizeof error),
                     0);
    bench->instance = instance->id;
    registry_release(bench->registry, instance);
    bench->closed = true;
    return bench;
}

struct bench *bench_create_sharing(enum protocol protocol, void *loop,
                                   struct blocking_pool *blocking, uint64_t blocking_wait_ms) {
    return create(protocol, loop, false, blocking, blocking_wait_ms);
}

struct bench *bench_create_2_8(enum protocol protocol) {
    return create(protocol, NULL, true, NULL, 0);
}

struct bench *bench_create(enum protocol protocol, void *loop) {
    struct blocking_pool *pool = blocking_pool_create(BENCH_THREADS);
    assert_non_null(pool);
    struct bench *bench = bench_create_sharing(protocol, loop, pool, 0);
    bench->blocking = pool;
    return bench;
}

void bench_prefetch(struct bench *bench, enum prefetch_mode mode, const struct kong_want *wants) {
    char error[200];
    prefetch_destroy(bench->env.prefetch);
    memset(bench->plugin.prefetch, 0, sizeof bench->plugin.prefetch);
    bench->plugin.prefetch[bench->phase] = wants;
    if (prefetch_check(&bench->plugin, bench->kong_2_8, error, sizeof error) != 0) {
        fail_msg("%s", error);
    }
    assert_true(prefetch_create(&bench->plugins, mode, bench->kong_2_8, &bench->env.prefetch));
    bench->env.declares = prefetch_declares(bench->env.prefetch);
}

void bench_destroy(struct bench *bench) {
    assert_false(bench->raised);
    bench_close(bench);
    events_cancel_all(bench->events, KONG_E_GONE);
    assert_int_equal(bench->running, 0);
    assert_int_equal(events_alive(bench->events), 0);
    events_destroy(bench->events);
    blocking_pool_destroy(bench->blocking);
    registry_destroy(bench->registry);
    prefetch_destroy(bench->env.prefetch);
    arena_free(&bench->memory);
    arena_free(&bench->scratch);
    free(bench);
}

/* --- The connection --- */

static void bench_open(struct bench *bench) {
    bench->closed = false;
    rpc_init(&bench->rpc, &bench->env, on_wake);
    frame_reader_init(&bench->reader, bench->protocol, LIMIT_FRAME);
    bench->method_named = bench->ending = false;
}

void bench_close(struct bench *bench) {
    if (!bench->closed) {
        bench->closed = true;
        rpc_close(&bench->rpc);
    }
}

static void feed(struct bench *bench, struct buffer *bytes) {
    assert_false(bytes->failed);
    size_t piece = bench->piece == 0 ? bytes->len : bench->piece;
    for (size_t at = 0; at < bytes->len && !bench->closed; at += piece) {
        size_t len = bytes->len - at < piece ? bytes->len - at : piece;
        if (rpc_feed(&bench->rpc, bytes->data + at, len) != 0 && !bench->closed) {
            fail_msg("the server refused Kong's bytes: %s", bench->rpc.reason);
        }
    }
    buffer_free(bytes);
}

static void send_call(struct bench *bench, struct rpc_call *call) {
    struct buffer bytes;
    buffer_init(&bytes, LIMIT_OUT);
    call->sequence = ++bench->msgid;
    int rc = bench->protocol == PROTOCOL_PROTOBUF ? protobuf_encode_call(&bytes, call)
                                                  : msgpack_encode_call(&bytes, call);
    assert_int_equal(rc, 0);
    feed(bench, &bytes);
}

/* --- Kong's answers --- */

static struct kong_value answer_value(struct bench *bench, const struct bench_answer *answer) {
    struct kong_value value = kong_nil();
    if (answer->kind == BENCH_VALUE) {
        return *answer->value;
    }
    if (!json_to_value(&bench->memory, kong_str(answer->text), &value)) {
        fail_msg("no JSON: %s", answer->text);
    }
    return value;
}

static void answer_protobuf(struct bench *bench, const struct pdk_method *method,
                            const struct bench_answer *answer) {
    /* a frame that ends within a field's length */
    static const uint8_t garbage[] = {2, 0, 0, 0, 0x0a, 0xff};
    struct buffer bytes;
    buffer_init(&bytes, LIMIT_OUT);
    if (answer->kind == BENCH_GARBAGE) {
        buffer_append(&bytes, garbage, sizeof garbage);
    } else if (answer->kind == BENCH_RAW) {
        uint32_t size = (uint32_t)answer->value->string.len;
        uint8_t length[4] = {(uint8_t)size, (uint8_t)(size >> 8), (uint8_t)(size >> 16),
                             (uint8_t)(size >> 24)};
        buffer_append(&bytes, length, sizeof length);
        buffer_append(&bytes, answer->value->string.data, size);
    } else {
        struct kong_value value = answer_value(bench, answer);
        assert_int_equal(sim_protobuf_encode_result(&bytes, method, &value), 0);
    }
    feed(bench, &bytes);
}

/* Kong's map comes in Lua's order, which is any. */
static void step_raw(struct bench *bench, uint64_t event_id, struct kong_str data) {
    static unsigned turns;
    struct buffer bytes;
    buffer_init(&bytes, LIMIT_OUT);
    struct rpc_call call = {.command = RPC_STEP, .event_id = event_id, .sequence = ++bench->msgid};
    assert_int_equal(msgpack_encode_call(&bytes, &call), 0);
    size_t head = bytes.len;
    struct buffer step;
    buffer_init(&step, LIMIT_OUT);
    /* [0, msgid, "plugin.Step", [{EventId: id}]]: the map becomes one of two pairs */
    const uint8_t *id = memmem(bytes.data, head,
                               "\x81\xa7"
                               "EventId",
                               9);
    assert_non_null(id);
    size_t id_len = (size_t)(bytes.data + head - id) - 1;
    buffer_append(&step, bytes.data, (size_t)(id - bytes.data));
    buffer_append(&step, "\x82", 1);
    if (turns++ % 2 == 0) {
        buffer_append(&step, id + 1, id_len);
    }
    buffer_append(&step,
                  "\xa4"
                  "Data",
                  5);
    buffer_append(&step, data.data, data.len);
    if (turns % 2 == 0) {
        buffer_append(&step, id + 1, id_len);
    }
    buffer_free(&bytes);
    feed(bench, &step);
}

static void answer_msgpack(struct bench *bench, uint64_t event_id,
                           const struct bench_answer *answer) {
    struct rpc_call call = {.command = RPC_STEP, .event_id = event_id, .data = kong_nil()};
    if (answer->kind == BENCH_RAW) {
        step_raw(bench, event_id, answer->value->string);
        return;
    }
    if (answer->kind == BENCH_ERROR) {
        call.error = kong_str(answer->text);
    } else if (answer->kind == BENCH_GARBAGE) {
        const struct bench_answer wrong = {.kind = BENCH_JSON, .text = "[[{\"no\":\"use\"}]]"};
        call.data = answer_value(bench, &wrong);
    } else {
        call.data = answer_value(bench, answer);
    }
    send_call(bench, &call);
}

/* kong_request_get_raw_body does, on MsgPack:1. */
static bool asks_content_length(const struct pdk_method *method, const struct kong_value *args) {
    return method == &pdk_methods[PDK_REQUEST_GET_HEADER] && args->list.count == 1 &&
           kong_str_equal(args->list.items[0].string, kong_str("Content-Length"));
}

static void answer_content_length(struct bench *bench, uint64_t event_id) {
    struct rpc_call call = {.command = RPC_STEP, .event_id = event_id, .data = kong_nil()};
    if (bench->content_length != NULL) {
        call.data = kong_string(bench->content_length);
    }
    send_call(bench, &call);
}

/* A string of MessagePack; of a frame nobody looks at the content. */
static struct kong_value long_answer(struct bench *bench) {
    size_t len = bench->posted_answer_len;
    if (len == 0) {
        return kong_nil();
    }
    char *text = arena_alloc(&bench->memory, 3 + len);
    assert_non_null(text);
    memset(text, 'x', 3 + len);
    text[0] = '\xda';
    text[1] = (char)(len >> 8);
    text[2] = (char)len;
    return kong_bytes(text, 3 + len);
}

/* One call: written down, and answered as the script says, or with nil. */
static void take_call(struct bench *bench, const struct pdk_method *method, struct kong_str name,
                      struct kong_value args, uint64_t event_id) {
    static const struct bench_answer nothing = {.kind = BENCH_JSON, .text = "null"};
    const struct bench_answer *answer = &nothing;
    if (asks_content_length(method, &args)) {
        answer_content_length(bench, event_id);
        return;
    }
    const struct kong_value long_text = long_answer(bench);
    const struct bench_answer long_one = {.kind = BENCH_RAW, .value = &long_text};
    assert_true(bench->call_count < BENCH_CALLS);
    struct bench_call *call = &bench->calls[bench->call_count++];
    while (args.list.count > 0 && args.list.items[args.list.count - 1].type == KONG_NIL) {
        args.list.count--;
    }
    call->method = arena_copy(&bench->memory, name.data, name.len);
    assert_true(value_copy(&bench->memory, &args, &call->args));
    unsigned flags = method == NULL ? 0 : method->flags;
    bool protobuf = bench->protocol == PROTOCOL_PROTOBUF;
    if (method != NULL &&
        (pdk_phases(method, bench->kong_2_8, protobuf) & KONG_PHASE_BIT(bench->phase)) == 0) {
        print_error("%s arrived in %s\n", name.data, kong_phase_name(bench->phase));
        bench->raised = true;
    }
    if ((flags & PDK_TERMINAL) != 0) {
        bench->ended = true;
        return;
    }
    if ((flags & PDK_POSTED) == 0 && bench->answers_given < bench->answer_count) {
        answer = &bench->answers[bench->answers_given++];
    }
    if ((flags & PDK_POSTED) != 0 && bench->posted_answer_len > 0) {
        answer = &long_one;
    }
    if (answer->kind == BENCH_STALL) {
        return;
    }
    if (answer->kind == BENCH_GONE ||
        (answer->kind == BENCH_ERROR && bench->protocol == PROTOCOL_PROTOBUF)) {
        bench_close(bench);
        return;
    }
    if (bench->protocol == PROTOCOL_PROTOBUF) {
        answer_protobuf(bench, method, answer);
    } else {
        answer_msgpack(bench, event_id, answer);
    }
}

static void take_protobuf(struct bench *bench, const struct frame *frame) {
    if (bench->ending) {
        struct rpc_reply reply;
        assert_int_equal(protobuf_decode_reply(&bench->memory, frame->data, frame->len, &reply), 0);
        assert_int_equal(reply.kind, RPC_REPLY_RETURN);
        bench->ending = false;
        bench->over = true;
    } else if (bench->method_named) {
        const struct pdk_method *method = pdk_method_find(bench->method);
        struct kong_value args;
        bench->method_named = false;
        assert_non_null(method);
        assert_int_equal(
            sim_protobuf_decode_args(&bench->memory, method, frame->data, frame->len, &args), 0);
        take_call(bench, method, method->name, args, 0);
    } else if (frame->len == 0) {
        bench->ending = true;
    } else {
        bench->method = arena_copy(&bench->memory, frame->data, frame->len);
        bench->method_named = true;
    }
}

static void take_msgpack(struct bench *bench, const struct frame *frame) {
    int64_t pid;
    struct rpc_reply reply;
    if (msgpack_decode_server_pid(frame->data, frame->len, &pid)) {
        assert_int_equal(pid, 4711);
        return;
    }
    assert_int_equal(
        msgpack_decode_reply(&bench->memory, frame->data, frame->len, RPC_HANDLE_EVENT, &reply), 0);
    assert_int_equal(reply.sequence, bench->msgid);
    if (reply.kind == RPC_REPLY_RETURN) {
        bench->over = true;
    } else if (reply.kind == RPC_REPLY_ERROR) {
        bench->error = arena_copy(&bench->memory, reply.error.data, reply.error.len);
    } else {
        assert_int_equal(reply.kind, RPC_REPLY_PDK_CALL);
        take_call(bench, pdk_method_find(reply.method), reply.method,
                  kong_list(reply.args, reply.arg_count), reply.event_id);
    }
}

void bench_pump(struct bench *bench) {
    struct codec_reason reason;
    struct frame frame;
    size_t missing;
    while (!bench->closed && bench->rpc.out.len > 0) {
        struct buffer *out = &bench->rpc.out;
        int rc =
            frame_next(&bench->reader, out->data, out->len, LIMIT_FRAME, &frame, &missing, &reason);
        assert_int_equal(rc, 1);
        /* a copy: what is answered adds to `out` */
        uint8_t *copy = arena_alloc(&bench->memory, frame.len + 1);
        assert_non_null(copy);
        memcpy(copy, frame.data, frame.len);
        buffer_consume(out, frame.total);
        frame.data = copy;
        if (bench->protocol == PROTOCOL_PROTOBUF) {
            take_protobuf(bench, &frame);
        } else {
            take_msgpack(bench, &frame);
        }
    }
}

void bench_run(struct bench *bench, bench_handler *handler, void *data,
               const struct bench_answer *answers, size_t count) {
    struct rpc_call call = {.command = RPC_HANDLE_EVENT,
                            .instance_id = bench->instance,
                            .event = kong_str(kong_phase_name(bench->phase))};
    if (bench->closed || bench->ended) {
        bench_close(bench);
        bench_open(bench);
    }
    bench->handler = handler;
    bench->data = data;
    bench->answers = answers;
    bench->answer_count = count;
    bench->answers_given = bench->call_count = 0;
    bench->over = bench->ended = false;
    bench->error = (struct kong_str){NULL, 0};
    send_call(bench, &call);
    bench_pump(bench);
}

void bench_tick(struct bench *bench, uint64_t ms) {
    bench->now_ms += ms;
    events_tick(bench->events, bench->now_ms);
    bench_pump(bench);
}

/* --- Notes --- */

void note(struct bench *bench, const char *format, ...) {
    va_list args;
    va_start(args, format);
    int len = vsnprintf(bench->notes + bench->notes_len, sizeof bench->notes - bench->notes_len,
                        format, args);
    va_end(args);
    bench->notes_len += (size_t)len;
    if (bench->notes_len >= sizeof bench->notes) {
        bench->notes_len = sizeof bench->notes - 1;
    }
}

void note_error(struct bench *bench, int error) {
    static const char *const names[] = {"ok",          "GONE",    "ENDED", "TIMEOUT", "NOMEM",
                                        "UNSUPPORTED", "INVALID", "KONG",  "TYPE",    "TOO_BIG",
                                        "IO",          "FAILED",  "PHASE"};
    note(bench, "%s ", names[-error]);
}

void note_str(struct bench *bench, struct kong_str string) {
    if (string.data == NULL) {
        note(bench, "%s", string.len == 0 ? "nil" : "nil with a length");
        return;
    }
    struct kong_value value = kong_bytes(string.data, string.len);
    note_value(bench, &value);
    if (string.data[string.len] != '\0') {
        note(bench, " (no NUL)");
    }
}

void note_value(struct bench *bench, const struct kong_value *value) {
    struct kong_str json = json_from_value(&bench->memory, value);
    note(bench, "%s", json.data == NULL ? "(no JSON)" : json.data);
}

const char *bench_notes(struct bench *bench) {
    struct kong_str notes = arena_copy(&bench->memory, bench->notes, bench->notes_len);
    bench->notes_len = 0;
    assert_non_null(notes.data);
    return notes.data;
}

const char *bench_args(struct bench *bench, size_t call) {
    assert_true(call < bench->call_count);
    struct kong_str json = json_from_value(&bench->memory, &bench->calls[call].args);
    return json.data;
}
