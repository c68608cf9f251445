/* A peer that asks and does not read: nothing new of it is taken up, also out of what came in one
 * piece; and messages that do not come to their end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>

#include "limit.h"
#include "msgpack_rpc.h"
#include "pdk_bench.h"
#include "protobuf_rpc.h"

static void no_wake(struct rpc *rpc) {
    (void)rpc;
}

/* Takes the answers out of `out`. */
static size_t answers_in(struct rpc *rpc) {
    struct frame_reader reader;
    struct frame frame;
    struct codec_reason reason;
    size_t missing;
    size_t count = 0;
    frame_reader_init(&reader, rpc->protocol, LIMIT_OUT);
    while (rpc->out.len > 0 && frame_next(&reader, rpc->out.data, rpc->out.len, LIMIT_OUT, &frame,
                                          &missing, &reason) == 1) {
        int64_t pid;
        count += !msgpack_decode_server_pid(frame.data, frame.len, &pid);
        buffer_consume(&rpc->out, frame.total);
    }
    return count;
}

/* A conversation whose answers are left in `out`. */
static struct bench *bench_of_rpc(enum protocol protocol) {
    struct bench *bench = bench_create(protocol, NULL);
    bench->closed = false;
    rpc_init(&bench->rpc, &bench->env, no_wake);
    return bench;
}

/* Each 21 bytes ask for an answer of some 100 KiB: a thousand instances. */
static void status_is_asked_for(void **state) {
    enum { REQUESTS = 300, INSTANCES = 500 };
    struct bench *bench = bench_of_rpc(PROTOCOL_MSGPACK);
    struct buffer bytes;
    struct rpc *rpc = &bench->rpc;
    (void)state;
    registry_destroy(bench->registry);
    struct registry_options many = {.stats = &bench->stats, .max_instances = INSTANCES};
    bench->registry = registry_create(&many);
    bench->env.registry = bench->registry;
    for (int i = 0; i < INSTANCES; i++) {
        struct instance *instance;
        char config[200];
        char error[100];
        snprintf(config, sizeof config, "{\"service_id\":\"%036d\",\"route_id\":\"%036d\"}", i, i);
        assert_int_equal(registry_start(bench->registry, &bench->hosted, kong_str(config), NULL, 0,
                                        &instance, error, sizeof error),
                         0);
        registry_release(bench->registry, instance);
    }
    buffer_init(&bytes, LIMIT_OUT);
    for (int i = 0; i < REQUESTS; i++) {
        struct rpc_call call = {.command = RPC_GET_STATUS, .sequence = i};
        assert_int_equal(msgpack_encode_call(&bytes, &call), 0);
    }
    assert_int_equal(rpc_feed(rpc, bytes.data, bytes.len), 0);
    size_t one = rpc->out.len;
    assert_in_range(one, LIMIT_OUT_PAUSE, LIMIT_OUT_PAUSE + (512 << 10));
    assert_true(rpc_is_paused(rpc) && rpc->held && !rpc_resumable(rpc) && !rpc_idle(rpc));
    /* what is written out but not read by the peer counts, too */
    rpc->unwritten = rpc->out.len;
    size_t answers = answers_in(rpc);
    assert_false(rpc_resumable(rpc));
    assert_int_equal(rpc_resume(rpc), 0);
    assert_int_equal(rpc->out.len, 0);
    rpc->unwritten = 0;
    while (rpc_resumable(rpc)) {
        assert_int_equal(rpc_resume(rpc), 0);
        assert_true(rpc->out.len <= LIMIT_OUT_PAUSE + (512 << 10));
        answers += answers_in(rpc);
    }
    assert_int_equal(answers, REQUESTS);
    assert_int_equal(rpc->in.len, 0);
    assert_false(rpc->held);
    buffer_free(&bytes);
    bench_destroy(bench);
}

/* --- ProtoBuf:1 --- */

static int post_much(struct kong *kong, struct bench *bench) {
    (void)bench;
    static char text[2000];
    memset(text, 'x', sizeof text - 1);
    return kong_log_info(kong, "%s", text);
}

/* Answers that are due are taken, for Kong writes them before it reads on; the next event is not.
 */
static void events_whose_answers_nobody_reads(void **state) {
    enum { EVENTS = 2000 };
    struct bench *bench = bench_of_rpc(PROTOCOL_PROTOBUF);
    struct rpc *rpc = &bench->rpc;
    struct buffer bytes;
    (void)state;
    bench->handler = post_much;
    buffer_init(&bytes, LIMIT_OUT);
    for (int i = 0; i < EVENTS; i++) {
        struct rpc_call call = {.command = RPC_HANDLE_EVENT,
                                .sequence = i,
                                .instance_id = bench->instance,
                                .event = kong_str("access")};
        assert_int_equal(protobuf_encode_call(&bytes, &call), 0);
        assert_int_equal(protobuf_encode_empty(&bytes), 0); /* the posted call's answer */
    }
    assert_int_equal(rpc_feed(rpc, bytes.data, bytes.len), 0);
    assert_in_range(rpc->out.len, LIMIT_OUT_PAUSE, LIMIT_OUT_PAUSE + 8192);
    assert_true(rpc->held && rpc->results_due == 0);
    size_t rounds = 0;
    while (rpc->held) {
        buffer_clear(&rpc->out, 0);
        assert_true(rpc_resumable(rpc));
        assert_int_equal(rpc_resume(rpc), 0);
        rounds++;
    }
    assert_in_range(rounds, 2, 8);
    assert_int_equal(rpc->in.len, 0);
    buffer_free(&bytes);
    bench_destroy(bench);
}

/* --- Half messages --- */

static void a_message_has_a_beginning(void **state) {
    static const uint8_t half[] = {0x94, 0x00, 0x01, 0xb5};
    struct bench *bench = bench_of_rpc(PROTOCOL_MSGPACK);
    struct rpc *rpc = &bench->rpc;
    struct buffer bytes;
    (void)state;
    bench->now_ms = 5000;
    assert_int_equal(rpc_feed(rpc, half, 3), 0);
    assert_int_equal(rpc->half_ms, 5000);
    bench->now_ms = 6000;
    assert_int_equal(rpc_feed(rpc, half + 3, 1), 0); /* a byte more is no other message */
    assert_int_equal(rpc->half_ms, 5000);
    assert_true(rpc_idle(rpc)); /* it keeps no server from ending */
    buffer_init(&bytes, 4096);
    struct rpc_call call = {.command = RPC_PLUGIN_NAMES, .sequence = 1};
    assert_int_equal(msgpack_encode_call(&bytes, &call), 0);
    size_t len = bytes.len;
    assert_int_equal(msgpack_encode_call(&bytes, &call), 0);
    assert_memory_equal(bytes.data, half, sizeof half);
    /* its end, and the beginning of another */
    assert_int_equal(rpc_feed(rpc, bytes.data + sizeof half, len), 0);
    assert_int_equal(rpc->half_ms, 6000);
    assert_int_equal(rpc_feed(rpc, bytes.data + sizeof half, len - sizeof half), 0);
    assert_int_equal(rpc->half_ms, 0);
    assert_int_equal(answers_in(rpc), 2);
    buffer_free(&bytes);
    bench_destroy(bench);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(status_is_asked_for),
        cmocka_unit_test(events_whose_answers_nobody_reads),
        cmocka_unit_test(a_message_has_a_beginning),
    };
    return cmocka_run_group_tests_name("test_pause", tests, NULL, NULL);
}
