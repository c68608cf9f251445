/* Bytes that no Kong sends: cut short, turned, random, nested, counted up; and no memory. What
 * protobuf-c says of the same bytes is the measure. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdlib.h>

#include "limit.h"
#include "protobuf_rpc.h"
#include "protobuf_samples.h"
#include "sim_protobuf.h"
#include "value.h"

/* One decoder and the message that it decodes. */
struct decoder {
    enum { AS_CALL, AS_REPLY, AS_ARGS, AS_RESULT } kind;
    const struct pdk_method *method;
    const ProtobufCMessageDescriptor *type;
};

static int decode(const struct decoder *decoder, struct arena *arena, const uint8_t *data,
                  size_t len) {
    struct rpc_call call;
    struct rpc_reply reply;
    struct kong_value value;

    switch (decoder->kind) {
    case AS_CALL:
        return protobuf_decode_call(arena, data, len, &call);
    case AS_REPLY:
        return protobuf_decode_reply(arena, data, len, &reply);
    case AS_ARGS:
        return sim_protobuf_decode_args(arena, decoder->method, data, len, &value);
    default:
        return protobuf_decode_pdk_result(arena, decoder->method, data, len, &value);
    }
}

/* What protobuf-c takes and we don't: field numbers that do not exist (over 2^29 - 1), which take
 * four bytes with the highest bit set in a row; and a bool of any wire type. */
static bool is_lax(const ProtobufCMessageDescriptor *type, const uint8_t *data, size_t len) {
    size_t row = 0;

    for (size_t i = 0; i < len; i++) {
        row = data[i] & 0x80 ? row + 1 : 0;
        if (row == 4) {
            return true;
        }
    }
    return type == &kong_plugin_protocol__bool__descriptor;
}

static bool same_bytes(struct kong_str text, ProtobufCBinaryData bytes) {
    return text.len == bytes.len &&
           (bytes.len == 0 || memcmp(text.data, bytes.data, text.len) == 0);
}

/* … with a NUL behind it. */
static bool same_text(struct kong_str text, ProtobufCBinaryData bytes) {
    return same_bytes(text, bytes) && text.data[text.len] == '\0';
}

/* Of the commands only those that Kong sends: they are what is read by hand. */
static void same_call(struct arena *arena, const uint8_t *data, size_t len,
                      const KongPluginProtocol__RpcCall *reference) {
    struct rpc_call call;

    assert_int_equal(protobuf_decode_call(arena, data, len, &call), CODEC_OK);
    assert_int_equal(call.sequence, reference->sequence);
    switch (reference->call_case) {
    case KONG_PLUGIN_PROTOCOL__RPC_CALL__CALL_CMD_START_INSTANCE:
        assert_int_equal(call.command, RPC_START_INSTANCE);
        assert_true(same_text(call.name, reference->cmd_start_instance->name));
        assert_true(same_text(call.config, reference->cmd_start_instance->config));
        break;
    case KONG_PLUGIN_PROTOCOL__RPC_CALL__CALL_CMD_CLOSE_INSTANCE:
        assert_int_equal(call.command, RPC_CLOSE_INSTANCE);
        assert_int_equal(call.instance_id, reference->cmd_close_instance->instance_id);
        break;
    case KONG_PLUGIN_PROTOCOL__RPC_CALL__CALL_CMD_HANDLE_EVENT:
        assert_int_equal(call.command, RPC_HANDLE_EVENT);
        assert_int_equal(call.instance_id, reference->cmd_handle_event->instance_id);
        assert_true(same_bytes(call.event, reference->cmd_handle_event->event_name));
        break;
    case KONG_PLUGIN_PROTOCOL__RPC_CALL__CALL__NOT_SET:
        assert_int_equal(call.command, RPC_UNKNOWN);
        break;
    default:
        break;
    }
}

/* The results that are read by hand. */
static void same_result(struct arena *arena, const struct pdk_method *method, const uint8_t *data,
                        size_t len, const ProtobufCMessage *reference) {
    struct kong_value value;

    assert_int_equal(protobuf_decode_pdk_result(arena, method, data, len, &value), CODEC_OK);
    if (len == 0) {
        assert_int_equal(value.type, KONG_NIL);
        return;
    }
    switch (method->result) {
    case PDK_RESULT_STRING:
    case PDK_RESULT_BYTES: /* both messages are laid out alike */
        assert_true(same_text(value.string, ((const KongPluginProtocol__String *)reference)->v));
        break;
    case PDK_RESULT_INT:
        assert_int_equal(value.integer, ((const KongPluginProtocol__Int *)reference)->v);
        break;
    case PDK_RESULT_BOOL:
        assert_int_equal(value.boolean, ((const KongPluginProtocol__Bool *)reference)->v != 0);
        break;
    case PDK_RESULT_NUMBER:
        assert_memory_equal(&value.number, &((const KongPluginProtocol__Number *)reference)->v,
                            sizeof(double));
        break;
    default:
        break;
    }
}

/* Decodes the bytes, which lie in a piece of memory of exactly their size, and compares. True when
 * they were fine. */
static bool check(const struct decoder *decoder, struct arena *arena, const uint8_t *bytes,
                  size_t len) {
    uint8_t *data = malloc(len == 0 ? 1 : len);

    assert_non_null(data);
    memcpy(data, bytes, len);
    arena_reset(arena);
    int error = decode(decoder, arena, data, len);
    ProtobufCMessage *reference = protobuf_c_message_unpack(decoder->type, NULL, len, data);

    if (error == CODEC_OK) {
        assert_non_null(reference);
        if (decoder->kind == AS_CALL) {
            same_call(arena, data, len, (const KongPluginProtocol__RpcCall *)reference);
        } else if (decoder->kind == AS_RESULT) {
            same_result(arena, decoder->method, data, len, reference);
        }
    } else if (reference != NULL) {
        assert_true(error == CODEC_E_LIMIT || is_lax(decoder->type, data, len));
    }
    if (reference != NULL) {
        protobuf_c_message_free_unpacked(reference, NULL);
    }
    free(data);
    return error == CODEC_OK;
}

/* --- All that there is to decode, with its samples ---------------------------------------- */

struct sample {
    struct decoder decoder;
    uint8_t *bytes; /* owned */
    size_t len;
};

struct corpus {
    struct sample samples[2000];
    size_t count;
    struct buffer out;
    struct arena arena;
};

static void add(struct corpus *corpus, struct decoder decoder, struct kong_str bytes) {
    assert_true(corpus->count < sizeof(corpus->samples) / sizeof(corpus->samples[0]));
    struct sample *sample = &corpus->samples[corpus->count++];

    *sample = (struct sample){decoder, malloc(bytes.len + 1), bytes.len};
    assert_non_null(sample->bytes);
    memcpy(sample->bytes, bytes.data, bytes.len);
}

static void add_method(struct corpus *corpus, const struct pdk_method *method) {
    struct decoder args = {AS_ARGS, method, args_message_of(method->args)};
    struct decoder result = {AS_RESULT, method, result_message_of(method->result)};
    size_t count;
    const struct args_sample *all_args = sample_args(method->args, &count);

    for (size_t i = 0; args.type != NULL && i < count; i++) {
        size_t offset = 0;

        buffer_clear(&corpus->out, SIZE_MAX);
        assert_int_equal(
            protobuf_encode_pdk_call(&corpus->out, method, all_args[i].args, all_args[i].count),
            CODEC_OK);
        take_frame(&corpus->out, &offset);
        add(corpus, args, take_frame(&corpus->out, &offset));
    }
    const struct kong_value *results = sample_results(method->result, &count);
    for (size_t i = 0; result.type != NULL && i < count; i++) {
        size_t offset = 0;

        buffer_clear(&corpus->out, SIZE_MAX);
        assert_int_equal(sim_protobuf_encode_result(&corpus->out, method, &results[i]), CODEC_OK);
        add(corpus, result, take_frame(&corpus->out, &offset));
    }
}

static void add_call(struct corpus *corpus, const struct rpc_call *call) {
    struct decoder decoder = {AS_CALL, NULL, &kong_plugin_protocol__rpc_call__descriptor};
    size_t offset = 0;

    buffer_clear(&corpus->out, SIZE_MAX);
    assert_int_equal(protobuf_encode_call(&corpus->out, call), CODEC_OK);
    add(corpus, decoder, take_frame(&corpus->out, &offset));
}

static void add_reply(struct corpus *corpus, const struct rpc_reply *reply) {
    struct decoder decoder = {AS_REPLY, NULL, &kong_plugin_protocol__rpc_return__descriptor};
    size_t offset = 0;

    buffer_clear(&corpus->out, SIZE_MAX);
    assert_int_equal(protobuf_encode_reply(&corpus->out, reply), CODEC_OK);
    add(corpus, decoder, take_frame(&corpus->out, &offset));
}

static int setup(void **state) {
    static const struct kong_str names[] = {{"one", 3}, {"two", 3}};
    struct corpus *corpus = calloc(1, sizeof(*corpus));
    bool seen_args[PDK_ARGS_CONSUMER_SPEC + 1] = {false};
    bool seen_results[PDK_RESULT_ANY] = {false};

    assert_non_null(corpus);
    buffer_init(&corpus->out, LIMIT_OUT);
    arena_init(&corpus->arena, LIMIT_EVENT_MEMORY);
    for (size_t i = 0; i < PDK_COUNT; i++) {
        const struct pdk_method *method = &pdk_methods[i];

        if (method->flags & PDK_MSGPACK_ONLY ||
            (seen_args[method->args] && seen_results[method->result])) {
            continue; /* one method a shape */
        }
        seen_args[method->args] = seen_results[method->result] = true;
        add_method(corpus, method);
    }
    add_call(corpus, &(struct rpc_call){.command = RPC_START_INSTANCE,
                                        .sequence = 3,
                                        .name = names[0],
                                        .config = {"{\"a\":1}", 7}});
    add_call(corpus,
             &(struct rpc_call){.command = RPC_CLOSE_INSTANCE, .sequence = 300, .instance_id = -1});
    add_call(corpus, &(struct rpc_call){.command = RPC_HANDLE_EVENT,
                                        .sequence = 4,
                                        .instance_id = 70000,
                                        .event = {"access", 6}});
    add_reply(corpus, &(struct rpc_reply){
                          .kind = RPC_REPLY_NAMES, .sequence = 1, .names = names, .name_count = 2});
    add_reply(
        corpus,
        &(struct rpc_reply){
            .kind = RPC_REPLY_INFO,
            .info = {.name = names[0], .version = names[1], .phases = names, .phase_count = 2}});
    add_reply(corpus,
              &(struct rpc_reply){.kind = RPC_REPLY_INSTANCE,
                                  .sequence = 9,
                                  .instance = {.name = names[0], .id = 7, .started_at = 1e9}});
    *state = corpus;
    return 0;
}

static int teardown(void **state) {
    struct corpus *corpus = *state;

    for (size_t i = 0; i < corpus->count; i++) {
        free(corpus->samples[i].bytes);
    }
    arena_free(&corpus->arena);
    buffer_free(&corpus->out);
    free(corpus);
    return 0;
}

static void test_every_prefix(void **state) {
    struct corpus *corpus = *state;
    size_t refused = 0;

    for (size_t i = 0; i < corpus->count; i++) {
        struct sample *sample = &corpus->samples[i];

        assert_true(check(&sample->decoder, &corpus->arena, sample->bytes, sample->len));
        for (size_t len = 0; len < sample->len; len++) {
            refused += !check(&sample->decoder, &corpus->arena, sample->bytes, len);
        }
    }
    assert_true(refused > 1000);
}

/* The same sequence on every machine. */
static uint32_t next_random(uint64_t *state) {
    *state = *state * 6364136223846793005U + 1442695040888963407U;
    return (uint32_t)(*state >> 33);
}

static void test_turned_bytes(void **state) {
    struct corpus *corpus = *state;
    uint64_t seed = 1;
    size_t fine = 0;

    for (size_t i = 0; i < corpus->count; i++) {
        struct sample *sample = &corpus->samples[i];

        for (size_t round = 0; sample->len > 0 && round < 200; round++) {
            uint8_t *bytes = malloc(sample->len);
            size_t changes = 1 + next_random(&seed) % 3;

            assert_non_null(bytes);
            memcpy(bytes, sample->bytes, sample->len);
            while (changes-- > 0) {
                uint32_t n = next_random(&seed);

                bytes[next_random(&seed) % sample->len] =
                    n & 0x100 ? (uint8_t)n : (uint8_t)(n & 0x3f); /* tags are small */
            }
            fine += check(&sample->decoder, &corpus->arena, bytes, sample->len);
            free(bytes);
        }
    }
    assert_true(fine > 1000);
}

static void test_random_bytes(void **state) {
    struct corpus *corpus = *state;
    uint64_t seed = 2;
    size_t fine = 0;

    for (size_t round = 0; round < 100000; round++) {
        const struct sample *sample = &corpus->samples[next_random(&seed) % corpus->count];
        size_t len = next_random(&seed) % 24;
        uint8_t bytes[24];

        for (size_t i = 0; i < len; i++) {
            uint32_t n = next_random(&seed);

            bytes[i] = n & 0x700 ? (uint8_t)(n & 0x3f) : (uint8_t)n;
        }
        fine += check(&sample->decoder, &corpus->arena, bytes, len);
    }
    assert_true(fine > 1000);
}

/* --- Depth and count ------------------------------------------------------------------------- */

/* A Value of so many lists, one in the other; with `maps`, of structs. In *len bytes that the
 * caller frees. */
static uint8_t *nested(unsigned depth, bool maps, size_t *len) {
    size_t room = (size_t)depth * 16 + 2;
    uint8_t *bytes = malloc(room);
    size_t at = room;

    assert_non_null(bytes);
    /* from the inside out; lengths are written as four bytes */
    for (unsigned i = 0; i < depth; i++) {
        for (unsigned part = 0; part < (maps ? 3U : 2U); part++) {
            static const uint8_t list_tags[] = {0x0a, 0x32};
            static const uint8_t map_tags[] = {0x12, 0x0a, 0x2a};
            size_t content = room - at;

            if (i == 0 && part < (maps ? 2U : 1U)) {
                continue; /* the innermost is empty */
            }
            bytes[--at] = (uint8_t)(content >> 21 & 0x7f);
            bytes[--at] = (uint8_t)((content >> 14 & 0x7f) | 0x80);
            bytes[--at] = (uint8_t)((content >> 7 & 0x7f) | 0x80);
            bytes[--at] = (uint8_t)((content & 0x7f) | 0x80);
            bytes[--at] = maps ? map_tags[part] : list_tags[part];
        }
    }
    *len = room - at;
    memmove(bytes, bytes + at, *len);
    return bytes;
}

static int decode_nested(struct arena *arena, unsigned depth, bool maps, struct kong_value *value) {
    size_t len;
    uint8_t *bytes = nested(depth, maps, &len);
    int error =
        protobuf_decode_pdk_result(arena, &pdk_methods[PDK_CTX_SHARED_GET], bytes, len, value);

    free(bytes);
    return error;
}

static void test_nesting(void **state) {
    struct corpus *corpus = *state;
    struct arena *arena = &corpus->arena;
    const struct pdk_method *set = &pdk_methods[PDK_CTX_SHARED_SET];
    const struct pdk_method *get = &pdk_methods[PDK_CTX_SHARED_GET];
    const struct pdk_method *log = &pdk_methods[PDK_LOG_ERR];
    struct kong_value value;

    buffer_clear(&corpus->out, SIZE_MAX);
    for (int maps = 0; maps < 2; maps++) {
        assert_int_equal(decode_nested(arena, LIMIT_NESTING, maps, &value), CODEC_OK);
        assert_int_equal(value.type, maps ? KONG_MAP : KONG_LIST);
        assert_int_equal(value_depth(&value), LIMIT_NESTING);
        assert_int_equal(sim_protobuf_encode_result(&corpus->out, get, &value), CODEC_OK);

        struct kong_value kv[] = {STRING("k"), value};
        assert_int_equal(protobuf_encode_pdk_call(&corpus->out, set, kv, 2), CODEC_OK);
        size_t len = corpus->out.len;

        /* one more around it */
        kv[1] = kong_list(&value, 1);
        assert_int_equal(protobuf_encode_pdk_call(&corpus->out, set, kv, 2), CODEC_E_LIMIT);
        assert_int_equal(sim_protobuf_encode_result(&corpus->out, get, &kv[1]), CODEC_E_LIMIT);
        const struct kong_pair pair = {{"k", 1}, value};
        kv[1] = kong_map(&pair, 1);
        assert_int_equal(protobuf_encode_pdk_call(&corpus->out, set, kv, 2), CODEC_E_LIMIT);
        assert_int_equal(protobuf_encode_pdk_call(&corpus->out, log, &value, 1), CODEC_E_LIMIT);
        assert_int_equal(corpus->out.len, len);

        arena_reset(arena);
        assert_int_equal(decode_nested(arena, LIMIT_NESTING + 1, maps, &value), CODEC_E_LIMIT);
        assert_int_equal(decode_nested(arena, 570, maps, &value), CODEC_E_LIMIT);
        assert_int_equal(decode_nested(arena, 100000, maps, &value), CODEC_E_LIMIT);
        assert_int_equal(arena->used, 0); /* refused before anything is allocated */
    }
}

struct deepest {
    struct arena *arena;
    int error;
};

static void *decode_deepest(void *data) {
    struct deepest *deepest = data;
    struct kong_value value;

    deepest->error = decode_nested(deepest->arena, LIMIT_NESTING, true, &value);
    return NULL;
}

/* What nests as deep as is allowed leaves room on a handler's stack. */
static void test_stack(void **state) {
    struct corpus *corpus = *state;
    struct deepest deepest = {&corpus->arena, -1};
    pthread_attr_t attributes;
    pthread_t thread;

    assert_int_equal(pthread_attr_init(&attributes), 0);
    assert_int_equal(pthread_attr_setstacksize(&attributes, LIMIT_STACK), 0);
    assert_int_equal(pthread_create(&thread, &attributes, decode_deepest, &deepest), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(deepest.error, CODEC_OK);
    pthread_attr_destroy(&attributes);
}

/* `count` times the same field: two bytes, a tag and an empty content. */
static int decode_many(struct arena *arena, enum pdk_id id, uint8_t tag, size_t count) {
    uint8_t *bytes = malloc(2 * count);
    struct kong_value value;

    assert_non_null(bytes);
    for (size_t i = 0; i < count; i++) {
        bytes[2 * i] = tag;
        bytes[2 * i + 1] = 0;
    }
    int error = protobuf_decode_pdk_result(arena, &pdk_methods[id], bytes, 2 * count, &value);
    free(bytes);
    return error;
}

static void test_counts(void **state) {
    struct corpus *corpus = *state;
    struct arena *arena = &corpus->arena;

    arena_reset(arena);
    assert_int_equal(decode_many(arena, PDK_REQUEST_GET_HEADERS, 0x0a, 10000), CODEC_OK);
    assert_int_equal(decode_many(arena, PDK_ROUTER_GET_ROUTE, 0x2a, 10000), CODEC_OK);
    arena_reset(arena);
    assert_int_equal(decode_many(arena, PDK_REQUEST_GET_HEADERS, 0x0a, LIMIT_ELEMENTS + 1),
                     CODEC_E_LIMIT);
    assert_int_equal(decode_many(arena, PDK_ROUTER_GET_ROUTE, 0x2a, LIMIT_ELEMENTS + 1),
                     CODEC_E_LIMIT);
    /* unknown fields, and one field over and over: protobuf-c keeps them all */
    assert_int_equal(decode_many(arena, PDK_ROUTER_GET_ROUTE, 0x78, 4 * LIMIT_ELEMENTS + 1),
                     CODEC_E_LIMIT);
    assert_int_equal(decode_many(arena, PDK_ROUTER_GET_ROUTE, 0x0a, 4 * LIMIT_ELEMENTS + 1),
                     CODEC_E_LIMIT);
    assert_int_equal(arena->used, 0);
    /* what is read by hand keeps nothing of them */
    assert_int_equal(decode_many(arena, PDK_CLIENT_GET_IP, 0x0a, LIMIT_ELEMENTS), CODEC_OK);
    assert_true(arena->used < 64);
}

/* --- No memory ------------------------------------------------------------------------------- */

static void test_small_arenas(void **state) {
    struct corpus *corpus = *state;

    for (size_t i = 0; i < corpus->count; i++) {
        struct sample *sample = &corpus->samples[i];
        int error = CODEC_E_NOMEM;

        for (size_t limit = 0; error != CODEC_OK; limit += 8) {
            struct arena arena;

            arena_init(&arena, limit);
            error = decode(&sample->decoder, &arena, sample->bytes, sample->len);
            assert_true(error == CODEC_OK || error == CODEC_E_NOMEM);
            arena_free(&arena);
        }
    }
}

static void test_small_buffers(void **state) {
    const struct pdk_method *method = &pdk_methods[PDK_RESPONSE_SET_HEADERS];
    size_t count;
    const struct args_sample *samples = sample_args(method->args, &count);
    int error = CODEC_E_NOMEM;

    (void)state;
    for (size_t limit = 0; error != CODEC_OK; limit++) {
        struct buffer out;

        buffer_init(&out, limit);
        error = protobuf_encode_pdk_call(&out, method, samples[0].args, samples[0].count);
        assert_int_equal(error, out.len == 0 ? CODEC_E_NOMEM : CODEC_OK);
        assert_false(out.failed);
        buffer_free(&out);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_prefix), cmocka_unit_test(test_turned_bytes),
        cmocka_unit_test(test_random_bytes), cmocka_unit_test(test_nesting),
        cmocka_unit_test(test_stack),        cmocka_unit_test(test_counts),
        cmocka_unit_test(test_small_arenas), cmocka_unit_test(test_small_buffers),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
