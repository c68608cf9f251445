#include "sim_reply.h"

#include "msgpack_rpc.h"
#include "protobuf_message.h"
#include "protobuf_rpc.h"
#include "value.h"

/* --- MsgPack:1: out of the value that it is --- */

/* None when `value` is NULL. */
static int strings_of(struct arena *arena, const struct kong_value *value,
                      const struct kong_str **strings, size_t *count) {
    if (value == NULL || value->type != KONG_LIST) {
        return value == NULL ? CODEC_OK : CODEC_E_SHAPE;
    }
    struct kong_str *list = arena_array(arena, value->list.count, sizeof *list);
    if (list == NULL) {
        return CODEC_E_NOMEM;
    }
    for (size_t i = 0; i < value->list.count; i++) {
        if (value->list.items[i].type != KONG_STRING) {
            return CODEC_E_SHAPE;
        }
        list[i] = value->list.items[i].string;
    }
    *strings = list;
    *count = value->list.count;
    return CODEC_OK;
}

/* nil when there is none. */
static struct kong_str text_of(const struct kong_value *map, const char *key) {
    const struct kong_value *value = value_get(map, key);
    return value != NULL && value->type == KONG_STRING ? value->string : (struct kong_str){NULL, 0};
}

/* 0 when there is none. */
static int64_t number_of(const struct kong_value *map, const char *key) {
    const struct kong_value *value = value_get(map, key);
    int64_t number = 0;
    return value != NULL && value_to_integer(value, &number) ? number : 0;
}

static int info_of(struct arena *arena, const struct kong_value *map,
                   struct rpc_plugin_info *info) {
    *info = (struct rpc_plugin_info){.name = text_of(map, "Name"),
                                     .version = text_of(map, "Version"),
                                     .priority = (int32_t)number_of(map, "Priority"),
                                     .schema = text_of(map, "Schema"),
                                     .updated_at = number_of(map, "ModTime"),
                                     .loaded_at = number_of(map, "LoadTime")};
    return map->type != KONG_MAP
               ? CODEC_E_SHAPE
               : strings_of(arena, value_get(map, "Phases"), &info->phases, &info->phase_count);
}

int sim_msgpack_decode_reply(struct arena *arena, const uint8_t *data, size_t len,
                             enum rpc_command asked, struct rpc_reply *reply) {
    int error = msgpack_decode_reply(arena, data, len, asked, reply);
    if (error != CODEC_OK || reply->kind != RPC_REPLY_STATUS) {
        return error;
    }
    if (asked == RPC_PLUGIN_NAMES) {
        reply->kind = RPC_REPLY_NAMES;
        return strings_of(arena, &reply->status, &reply->names, &reply->name_count);
    }
    if (asked == RPC_PLUGIN_INFO) {
        reply->kind = RPC_REPLY_INFO;
        return info_of(arena, &reply->status, &reply->info);
    }
    return CODEC_OK;
}

/* --- ProtoBuf:1 --- */

static int strings_out(struct arena *arena, const ProtobufCBinaryData *from, size_t count,
                       const struct kong_str **to) {
    struct kong_str *strings = arena_array(arena, count, sizeof(*strings));

    if (strings == NULL) {
        return CODEC_E_NOMEM;
    }
    for (size_t i = 0; i < count; i++) {
        strings[i] = protobuf_str(from[i]);
    }
    *to = strings;
    return CODEC_OK;
}

static int take_names(struct arena *arena, const KongPluginProtocol__PluginNames *names,
                      struct rpc_reply *reply) {
    reply->kind = RPC_REPLY_NAMES;
    reply->name_count = names->n_names;
    return strings_out(arena, names->names, names->n_names, &reply->names);
}

static int take_info(struct arena *arena, const KongPluginProtocol__PluginInfo *info,
                     struct rpc_reply *reply) {
    reply->kind = RPC_REPLY_INFO;
    reply->info = (struct rpc_plugin_info){
        .name = protobuf_str(info->name),
        .version = protobuf_str(info->version),
        .priority = info->priority,
        .phase_count = info->n_phases,
        .schema = protobuf_str(info->schema),
        .updated_at = info->updated_at,
        .loaded_at = info->loaded_at,
    };
    return strings_out(arena, info->phases, info->n_phases, &reply->info.phases);
}

int sim_protobuf_decode_reply(struct arena *arena, const uint8_t *data, size_t len,
                              struct rpc_reply *reply) {
    ProtobufCMessage *message;
    int error = protobuf_decode_reply(arena, data, len, reply);

    if (error != CODEC_OK || reply->kind != RPC_REPLY_RETURN) {
        return error;
    }
    error =
        protobuf_unpack(arena, &kong_plugin_protocol__rpc_return__descriptor, data, len, &message);
    if (error != CODEC_OK) {
        return error;
    }
    const KongPluginProtocol__RpcReturn *from = (const KongPluginProtocol__RpcReturn *)message;
    switch (from->return_case) {
    case KONG_PLUGIN_PROTOCOL__RPC_RETURN__RETURN_PLUGIN_NAMES:
        return take_names(arena, from->plugin_names, reply);
    case KONG_PLUGIN_PROTOCOL__RPC_RETURN__RETURN_PLUGIN_INFO:
        return take_info(arena, from->plugin_info, reply);
    default:
        return CODEC_OK;
    }
}
