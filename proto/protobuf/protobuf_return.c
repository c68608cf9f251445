#include "protobuf_rpc.h"

#include <math.h>

#include "limit.h"
#include "protobuf_message.h"
#include "protobuf_wire.h"

/* A RETURN without content, written by hand because every event ends with one, behind an empty
 * frame. */
static inline int encode_return(struct buffer *out, bool behind_empty, int64_t sequence) {
    size_t content = sequence == 0 ? 0 : 1 + wire_varint_size((uint64_t)sequence);
    size_t size = (behind_empty ? 2 : 1) * sizeof(uint32_t) + content;

    if (out->failed) {
        return CODEC_E_NOMEM;
    }
    if (!buffer_reserve(out, size)) {
        buffer_truncate(out, out->len);
        return CODEC_E_NOMEM;
    }
    uint8_t *at = out->data + out->len;
    at = wire_put_u32(behind_empty ? wire_put_u32(at, 0) : at, (uint32_t)content);
    if (sequence != 0) {
        wire_put_varint(wire_put_tag(at, 1, WIRE_VARINT), (uint64_t)sequence);
    }
    out->len += size;
    return CODEC_OK;
}

int protobuf_encode_end(struct buffer *out, int64_t sequence) {
    return encode_return(out, true, sequence);
}

static int strings_in(struct arena *arena, const struct kong_str *from, size_t count,
                      ProtobufCBinaryData **to) {
    *to = arena_array(arena, count, sizeof(**to));
    if (*to == NULL) {
        return CODEC_E_NOMEM;
    }
    for (size_t i = 0; i < count; i++) {
        (*to)[i] = protobuf_bytes(from[i]);
    }
    return CODEC_OK;
}

static int encode_names(struct buffer *out, struct arena *arena, const struct rpc_reply *reply) {
    KongPluginProtocol__RpcReturn message = KONG_PLUGIN_PROTOCOL__RPC_RETURN__INIT;
    KongPluginProtocol__PluginNames names = KONG_PLUGIN_PROTOCOL__PLUGIN_NAMES__INIT;
    int error = strings_in(arena, reply->names, reply->name_count, &names.names);

    names.n_names = reply->name_count;
    message.sequence = reply->sequence;
    message.return_case = KONG_PLUGIN_PROTOCOL__RPC_RETURN__RETURN_PLUGIN_NAMES;
    message.plugin_names = &names;
    return error != CODEC_OK ? error : protobuf_pack(out, NULL, &message.base);
}

static int encode_info(struct buffer *out, struct arena *arena, const struct rpc_reply *reply) {
    KongPluginProtocol__RpcReturn message = KONG_PLUGIN_PROTOCOL__RPC_RETURN__INIT;
    KongPluginProtocol__PluginInfo info = KONG_PLUGIN_PROTOCOL__PLUGIN_INFO__INIT;
    int error = strings_in(arena, reply->info.phases, reply->info.phase_count, &info.phases);

    info.name = protobuf_bytes(reply->info.name);
    info.updated_at = reply->info.updated_at;
    info.loaded_at = reply->info.loaded_at;
    info.n_phases = reply->info.phase_count;
    info.version = protobuf_bytes(reply->info.version);
    info.priority = reply->info.priority;
    info.schema = protobuf_bytes(reply->info.schema);
    message.sequence = reply->sequence;
    message.return_case = KONG_PLUGIN_PROTOCOL__RPC_RETURN__RETURN_PLUGIN_INFO;
    message.plugin_info = &info;
    return error != CODEC_OK ? error : protobuf_pack(out, NULL, &message.base);
}

/* Fits an int64. */
#define SECONDS_MAX 0x1p62

static int encode_instance(struct buffer *out, struct arena *arena, const struct rpc_reply *reply) {
    KongPluginProtocol__RpcReturn message = KONG_PLUGIN_PROTOCOL__RPC_RETURN__INIT;
    KongPluginProtocol__InstanceStatus instance = KONG_PLUGIN_PROTOCOL__INSTANCE_STATUS__INIT;
    KongPluginProtocol__Value config;
    double started_at = reply->instance.started_at;

    if (!(fabs(started_at) < SECONDS_MAX)) {
        return CODEC_E_SHAPE;
    }
    if (reply->instance.config.type != KONG_NIL) {
        int error = protobuf_value_in(arena, &reply->instance.config, 0, &config);

        if (error != CODEC_OK) {
            return error;
        }
        instance.config = &config;
    }
    instance.name = protobuf_bytes(reply->instance.name);
    instance.instance_id = reply->instance.id;
    instance.started_at = (int64_t)started_at;
    message.sequence = reply->sequence;
    message.return_case = KONG_PLUGIN_PROTOCOL__RPC_RETURN__RETURN_INSTANCE_STATUS;
    message.instance_status = &instance;
    return protobuf_pack(out, NULL, &message.base);
}

int protobuf_encode_reply(struct buffer *out, const struct rpc_reply *reply) {
    struct arena arena;
    int error;

    if (reply->kind == RPC_REPLY_RETURN) {
        return encode_return(out, false, reply->sequence);
    }
    arena_init(&arena, LIMIT_EVENT_MEMORY);
    switch (reply->kind) {
    case RPC_REPLY_NAMES:
        error = encode_names(out, &arena, reply);
        break;
    case RPC_REPLY_INFO:
        error = encode_info(out, &arena, reply);
        break;
    case RPC_REPLY_INSTANCE:
        error = encode_instance(out, &arena, reply);
        break;
    default:
        error = CODEC_E_SHAPE;
    }
    arena_free(&arena);
    return error;
}

int protobuf_decode_reply(struct arena *arena, const uint8_t *data, size_t len,
                          struct rpc_reply *reply) {
    ProtobufCMessage *message;
    int error =
        protobuf_unpack(arena, &kong_plugin_protocol__rpc_return__descriptor, data, len, &message);

    if (error != CODEC_OK) {
        return error;
    }
    const KongPluginProtocol__RpcReturn *from = (const KongPluginProtocol__RpcReturn *)message;

    *reply = (struct rpc_reply){.kind = RPC_REPLY_RETURN, .sequence = from->sequence};
    if (from->return_case != KONG_PLUGIN_PROTOCOL__RPC_RETURN__RETURN_INSTANCE_STATUS) {
        return CODEC_OK;
    }
    const KongPluginProtocol__InstanceStatus *instance = from->instance_status;
    reply->kind = RPC_REPLY_INSTANCE;
    reply->instance.name = protobuf_str(instance->name);
    reply->instance.id = instance->instance_id;
    reply->instance.started_at = (double)instance->started_at;
    return protobuf_value_out(arena, instance->config, &reply->instance.config);
}

int protobuf_encode_empty(struct buffer *out) {
    uint8_t *at;

    return protobuf_frames(out, NULL, 0, &at);
}
