/* The MsgPack:1 codec: what decodes can be encoded again, and then means the same. Input: a byte
 * that says what the rest is, the message. */
#include "fuzz.h"

#include <string.h>

#include "limit.h"
#include "msgpack_fast.h"
#include "msgpack_rpc.h"
#include "msgpack_skip.h"
#include "msgpack_value.h"
#include "value.h"
#include "value_equal.h"

struct memory {
    struct arena arena;
    struct buffer first;
    struct buffer second;
};

static void try_value(struct memory *m, const uint8_t *data, size_t len) {
    struct kong_value value;
    struct kong_value again;
    if (msgpack_decode_value(&m->arena, data, len, &value) != CODEC_OK) {
        return;
    }
    fuzz_touch_value(&value);
    REQUIRE(value_depth(&value) <= LIMIT_NESTING);
    REQUIRE(msgpack_encode_value(&m->first, &value) == CODEC_OK);
    REQUIRE(msgpack_decode_value(&m->arena, m->first.data, m->first.len, &again) == CODEC_OK);
    REQUIRE(value_equal(&value, &again));
}

/* What the fast way makes of a request, the general way makes of it too. The fast way fills the
 * fields of its command only: the others are as the general way leaves them, empty. */
static void try_hot_call(struct memory *m, const uint8_t *data, size_t len) {
    struct rpc_call hot;
    struct rpc_call call;
    memset(&hot, 0xa5, sizeof hot); /* a field that is not filled is found */
    size_t total = msgpack_fast_call(data, len, LIMIT_FRAME, &hot);
    if (total > 0) {
        struct rpc_call filled = {.command = hot.command,
                                  .sequence = hot.sequence,
                                  .notification = hot.notification,
                                  .method = hot.method};
        if (hot.command == RPC_STEP) {
            filled.event_id = hot.event_id;
            filled.data = hot.data;
            filled.error = hot.error;
            REQUIRE(hot.data_error == CODEC_OK);
        } else {
            filled.instance_id = hot.instance_id;
            filled.event = hot.event;
        }
        REQUIRE(total <= len);
        REQUIRE(msgpack_decode_call(&m->arena, data, total, &call) == CODEC_OK);
        REQUIRE(fuzz_same_call(&filled, &call));
    }
}

/* However its bytes come, a Step that is passed over ends at the same place, and what is found in
 * it is what the decoder finds. */
static int skip_in_pieces(struct msgpack_skip *skip, const uint8_t *data, size_t len, size_t piece,
                          size_t *total) {
    int rc = 0;
    *skip = (struct msgpack_skip){0};
    *total = 0;
    while (rc == 0 && *total < len) {
        size_t used;
        rc = msgpack_skip_take(skip, data + *total, len - *total < piece ? len - *total : piece,
                               &used);
        *total += used;
    }
    return rc;
}

static void try_skip(const struct rpc_call *decoded, const uint8_t *data, size_t len) {
    struct msgpack_skip whole;
    struct msgpack_skip parts;
    size_t total;
    size_t total_parts;
    int rc = skip_in_pieces(&whole, data, len, len, &total);
    REQUIRE(skip_in_pieces(&parts, data, len, len > 0 ? 1 + data[len - 1] % 9 : 1, &total_parts) ==
            rc);
    if (rc == 1) {
        REQUIRE(total == total_parts && total <= len);
        REQUIRE(whole.sequence == parts.sequence && whole.has_event_id == parts.has_event_id);
        REQUIRE(whole.event_id == parts.event_id);
    }
    if (decoded != NULL && decoded->command == RPC_STEP &&
        decoded->method.len <= MSGPACK_SKIP_TEXT) {
        REQUIRE(rc == 1 && total == len);
        REQUIRE(whole.sequence == decoded->sequence);
        REQUIRE(whole.has_event_id && whole.event_id == decoded->event_id);
    }
}

static void try_call(struct memory *m, const uint8_t *data, size_t len) {
    struct rpc_call call;
    struct rpc_call again;
    int rc = msgpack_decode_call(&m->arena, data, len, &call);
    try_hot_call(m, data, len);
    try_skip(rc == CODEC_OK ? &call : NULL, data, len);
    if (rc == CODEC_E_SHAPE) {
        REQUIRE(call.sequence >= -1 && call.sequence <= UINT32_MAX);
    }
    if (rc != CODEC_OK) {
        return;
    }
    fuzz_touch_str(call.method);
    fuzz_touch_str(call.name);
    fuzz_touch_str(call.config);
    fuzz_touch_str(call.event);
    fuzz_touch_str(call.error);
    fuzz_touch_value(&call.data);
    REQUIRE(msgpack_encode_call(&m->first, &call) == CODEC_OK);
    REQUIRE(msgpack_decode_call(&m->arena, m->first.data, m->first.len, &again) == CODEC_OK);
    REQUIRE(fuzz_same_call(&call, &again));
}

static void touch_reply(const struct rpc_reply *reply) {
    fuzz_touch_str(reply->error);
    fuzz_touch_str(reply->method);
    fuzz_touch_str(reply->instance.name);
    fuzz_touch_value(&reply->instance.config);
    fuzz_touch_value(&reply->status);
    for (size_t i = 0; i < reply->name_count; i++) {
        fuzz_touch_str(reply->names[i]);
    }
    for (size_t i = 0; i < reply->arg_count; i++) {
        fuzz_touch_value(&reply->args[i]);
    }
    for (size_t i = 0; i < reply->info.phase_count; i++) {
        fuzz_touch_str(reply->info.phases[i]);
    }
}

/* Nils among the arguments of a PDK call go out as something else, once. */
static bool same_reply(const struct rpc_reply *a, const struct rpc_reply *b) {
    if (a->kind != b->kind || a->sequence != b->sequence || a->event_id != b->event_id ||
        a->name_count != b->name_count || !fuzz_same_str(a->method, b->method) ||
        !fuzz_same_str(a->error, b->error) || !fuzz_same_instance(&a->instance, &b->instance) ||
        !fuzz_same_info(&a->info, &b->info) || !value_equal(&a->status, &b->status)) {
        return false;
    }
    for (size_t i = 0; i < a->name_count; i++) {
        if (!fuzz_same_str(a->names[i], b->names[i])) {
            return false;
        }
    }
    return true;
}

static void try_reply(struct memory *m, enum rpc_command asked, const uint8_t *data, size_t len) {
    struct rpc_reply reply;
    struct rpc_reply again;
    if (msgpack_decode_reply(&m->arena, data, len, asked, &reply) != CODEC_OK) {
        return;
    }
    touch_reply(&reply);
    REQUIRE(msgpack_encode_reply(&m->first, &reply) == CODEC_OK);
    REQUIRE(msgpack_decode_reply(&m->arena, m->first.data, m->first.len, asked, &again) ==
            CODEC_OK);
    REQUIRE(same_reply(&reply, &again));
    REQUIRE(msgpack_encode_reply(&m->second, &again) == CODEC_OK);
    REQUIRE(m->first.len == m->second.len);
    REQUIRE(memcmp(m->first.data, m->second.data, m->first.len) == 0);
}

static void try_pid(struct memory *m, const uint8_t *data, size_t len) {
    int64_t pid;
    int64_t again;
    if (!msgpack_decode_server_pid(data, len, &pid)) {
        return;
    }
    REQUIRE(msgpack_encode_server_pid(&m->first, pid) == CODEC_OK);
    REQUIRE(msgpack_decode_server_pid(m->first.data, m->first.len, &again));
    REQUIRE(pid == again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len) {
    struct fuzz_input input = {data, len};
    struct memory m;
    unsigned what = fuzz_byte(&input);
    arena_init(&m.arena, (size_t)64 << 20);
    buffer_init(&m.first, LIMIT_OUT);
    buffer_init(&m.second, LIMIT_OUT);
    switch (what & 3) {
    case 0:
        try_call(&m, input.at, input.left);
        break;
    case 1:
        try_reply(&m, (enum rpc_command)((what >> 2) % (RPC_GET_STATUS + 1)), input.at, input.left);
        break;
    case 2:
        try_value(&m, input.at, input.left);
        break;
    default:
        try_pid(&m, input.at, input.left);
        break;
    }
    arena_free(&m.arena);
    buffer_free(&m.first);
    buffer_free(&m.second);
    return 0;
}
