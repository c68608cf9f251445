/* The ProtoBuf:1 codec: what decodes can be encoded again, and then means the same. Input: a byte
 * that says what the rest is, for PDK calls one that picks the method, the content of one frame. */
#include "fuzz.h"

#include <stdlib.h>

#include "limit.h"
#include "protobuf_rpc.h"
#include "sim_protobuf.h"
#include "value.h"
#include "value_equal.h"

struct memory {
    struct arena arena;
    struct buffer first;
    struct buffer second;
};

/* The content of the frame at *offset, which moves behind it. */
static struct kong_str take_frame(const struct buffer *buffer, size_t *offset) {
    REQUIRE(buffer->len - *offset >= 4);
    const uint8_t *head = buffer->data + *offset;
    size_t len = head[0] | (size_t)head[1] << 8 | (size_t)head[2] << 16 | (size_t)head[3] << 24;
    REQUIRE(buffer->len - *offset - 4 >= len);
    *offset += 4 + len;
    return (struct kong_str){(const char *)head + 4, len};
}

static struct kong_str only_frame(const struct buffer *buffer) {
    size_t offset = 0;
    struct kong_str frame = take_frame(buffer, &offset);
    REQUIRE(offset == buffer->len);
    return frame;
}

static void require_same_bytes(const struct memory *m) {
    REQUIRE(m->first.len == m->second.len);
    REQUIRE(memcmp(m->first.data, m->second.data, m->first.len) == 0);
}

/* What is known for an event at a glance, the general way reads the same in it. Exactly these bytes
 * on the heap: a look before or behind them is seen. */
static void try_event(struct memory *m, const uint8_t *data, size_t len) {
    uint8_t *exact = malloc(len == 0 ? 1 : len);
    struct rpc_call quick;
    struct rpc_call call;
    REQUIRE(exact != NULL);
    memcpy(exact, data, len);
    if (protobuf_decode_event(exact, len, &quick)) {
        REQUIRE(protobuf_decode_call(&m->arena, exact, len, &call) == CODEC_OK);
        REQUIRE(quick.command == RPC_HANDLE_EVENT && call.command == RPC_HANDLE_EVENT);
        REQUIRE(quick.sequence == call.sequence && quick.instance_id == call.instance_id);
        REQUIRE(fuzz_same_str(quick.event, call.event));
    }
    free(exact);
}

static void try_call(struct memory *m, const uint8_t *data, size_t len) {
    struct rpc_call call;
    struct rpc_call again;
    try_event(m, data, len);
    if (protobuf_decode_call(&m->arena, data, len, &call) != CODEC_OK) {
        return;
    }
    REQUIRE(call.command != RPC_STEP && call.command != RPC_GET_STATUS);
    REQUIRE(protobuf_encode_call(&m->first, &call) == CODEC_OK);
    struct kong_str frame = only_frame(&m->first);
    REQUIRE(protobuf_decode_call(&m->arena, (const uint8_t *)frame.data, frame.len, &again) ==
            CODEC_OK);
    REQUIRE(fuzz_same_call(&call, &again));
}

static void try_reply(struct memory *m, const uint8_t *data, size_t len) {
    struct rpc_reply reply;
    struct rpc_reply again;
    if (protobuf_decode_reply(&m->arena, data, len, &reply) != CODEC_OK) {
        return;
    }
    REQUIRE(protobuf_encode_reply(&m->first, &reply) == CODEC_OK);
    struct kong_str frame = only_frame(&m->first);
    REQUIRE(protobuf_decode_reply(&m->arena, (const uint8_t *)frame.data, frame.len, &again) ==
            CODEC_OK);
    REQUIRE(reply.kind == again.kind && reply.sequence == again.sequence);
    REQUIRE(reply.name_count == again.name_count);
    REQUIRE(fuzz_same_instance(&reply.instance, &again.instance));
    REQUIRE(fuzz_same_info(&reply.info, &again.info));
    REQUIRE(protobuf_encode_reply(&m->second, &again) == CODEC_OK);
    require_same_bytes(m);
}

static struct kong_str encode_args(struct buffer *out, const struct pdk_method *method,
                                   const struct kong_value *args) {
    size_t offset = 0;
    REQUIRE(protobuf_encode_pdk_call(out, method, args->list.items, args->list.count) == CODEC_OK);
    REQUIRE(kong_str_equal(take_frame(out, &offset), method->name));
    struct kong_str frame = take_frame(out, &offset);
    REQUIRE(offset == out->len);
    return frame;
}

static void try_args(struct memory *m, const struct pdk_method *method, const uint8_t *data,
                     size_t len) {
    struct kong_value args;
    struct kong_value again;
    int rc = sim_protobuf_decode_args(&m->arena, method, data, len, &args);
    if (rc != CODEC_OK) {
        return;
    }
    REQUIRE(args.type == KONG_LIST);
    fuzz_touch_value(&args);
    struct kong_str frame = encode_args(&m->first, method, &args);
    REQUIRE(sim_protobuf_decode_args(&m->arena, method, (const uint8_t *)frame.data, frame.len,
                                     &again) == CODEC_OK);
    encode_args(&m->second, method, &again);
    require_same_bytes(m);
}

/* A nil as the value of a pair: such a pair is not sent. */
static bool has_nil_pair(const struct kong_value *value) {
    for (size_t i = 0; value->type == KONG_LIST && i < value->list.count; i++) {
        if (has_nil_pair(&value->list.items[i])) {
            return true;
        }
    }
    for (size_t i = 0; value->type == KONG_MAP && i < value->map.count; i++) {
        const struct kong_value *inner = &value->map.pairs[i].value;
        if (inner->type == KONG_NIL || has_nil_pair(inner)) {
            return true;
        }
    }
    return false;
}

static void try_result(struct memory *m, const struct pdk_method *method, const uint8_t *data,
                       size_t len) {
    struct kong_value result;
    struct kong_value again;
    if (protobuf_decode_pdk_result(&m->arena, method, data, len, &result) != CODEC_OK) {
        return;
    }
    fuzz_touch_value(&result);
    REQUIRE(value_depth(&result) <= LIMIT_NESTING + 4);
    REQUIRE(sim_protobuf_encode_result(&m->first, method, &result) == CODEC_OK);
    struct kong_str frame = only_frame(&m->first);
    REQUIRE(protobuf_decode_pdk_result(&m->arena, method, (const uint8_t *)frame.data, frame.len,
                                       &again) == CODEC_OK);
    /* "", 0 and false leave nothing in a message: nil on the other side. */
    if (frame.len > 0) {
        REQUIRE(value_equal(&result, &again) || has_nil_pair(&result));
    } else {
        REQUIRE(again.type == KONG_NIL);
    }
    REQUIRE(sim_protobuf_encode_result(&m->second, method, &again) == CODEC_OK);
    require_same_bytes(m);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len) {
    struct fuzz_input input = {data, len};
    struct memory m;
    unsigned what = fuzz_byte(&input) & 3;
    const struct pdk_method *method = &pdk_methods[what < 2 ? 0 : fuzz_byte(&input) % PDK_COUNT];
    arena_init(&m.arena, (size_t)64 << 20);
    buffer_init(&m.first, LIMIT_OUT);
    buffer_init(&m.second, LIMIT_OUT);
    if (what == 0) {
        try_call(&m, input.at, input.left);
    } else if (what == 1) {
        try_reply(&m, input.at, input.left);
    } else if ((method->flags & PDK_MSGPACK_ONLY) != 0) {
        struct kong_value value;
        REQUIRE(protobuf_decode_pdk_result(&m.arena, method, input.at, input.left, &value) !=
                    CODEC_OK ||
                method->result != PDK_RESULT_ANY);
    } else if (what == 2) {
        try_args(&m, method, input.at, input.left);
    } else {
        try_result(&m, method, input.at, input.left);
    }
    arena_free(&m.arena);
    buffer_free(&m.first);
    buffer_free(&m.second);
    return 0;
}
