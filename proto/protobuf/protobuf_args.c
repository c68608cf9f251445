/* The arguments of PDK calls. */
#include "limit.h"
#include "protobuf_message.h"
#include "protobuf_plain.h"
#include "protobuf_rpc.h"

const ProtobufCMessageDescriptor *const protobuf_args_types[] = {
    [PDK_ARGS_STRING] = &kong_plugin_protocol__string__descriptor,
    [PDK_ARGS_INT] = &kong_plugin_protocol__int__descriptor,
    [PDK_ARGS_BOOL] = &kong_plugin_protocol__bool__descriptor,
    [PDK_ARGS_LIST] = &kong_plugin_protocol__list_value__descriptor,
    [PDK_ARGS_STRUCT] = &kong_plugin_protocol__struct__descriptor,
    [PDK_ARGS_KV] = &kong_plugin_protocol__kv__descriptor,
    [PDK_ARGS_BYTES] = &kong_plugin_protocol__byte_string__descriptor,
    [PDK_ARGS_EXIT] = &kong_plugin_protocol__exit_args__descriptor,
    [PDK_ARGS_TARGET] = &kong_plugin_protocol__target__descriptor,
    [PDK_ARGS_CONSUMER_SPEC] = &kong_plugin_protocol__consumer_spec__descriptor,
    [PDK_ARGS_AUTHENTICATE] = &kong_plugin_protocol__authenticate_args__descriptor,
    [PDK_ARGS_ANY] = NULL,
};

/* --- Arguments, out ------------------------------------------------------------------- */

/* Arguments of one call; those that are not there are nil. */
struct args {
    const struct kong_value *values;
    size_t count;
};

static const struct kong_value *arg(const struct args *args, size_t i) {
    static const struct kong_value nil = {.type = KONG_NIL};

    return i < args->count ? &args->values[i] : &nil;
}

static bool has_more_than(const struct args *args, size_t count) {
    for (size_t i = count; i < args->count; i++) {
        if (args->values[i].type != KONG_NIL) {
            return true;
        }
    }
    return false;
}

static int exit_args(struct arena *arena, const struct args *args,
                     KongPluginProtocol__ExitArgs *to) {
    const struct kong_value *body = arg(args, 1);
    const struct kong_value *headers = arg(args, 2);

    if (!protobuf_int32(arg(args, 0), &to->status) ||
        (body->type != KONG_NIL && body->type != KONG_STRING)) {
        return CODEC_E_SHAPE;
    }
    if (body->type == KONG_STRING) {
        to->body = protobuf_bytes(body->string);
    }
    if (headers->type == KONG_NIL) {
        return CODEC_OK;
    }
    to->headers = arena_alloc(arena, sizeof(*to->headers));
    if (to->headers == NULL) {
        return CODEC_E_NOMEM;
    }
    kong_plugin_protocol__struct__init(to->headers);
    return protobuf_struct_in(arena, headers, 0, to->headers);
}

static int target_args(const struct args *args, KongPluginProtocol__Target *to) {
    if (arg(args, 0)->type != KONG_STRING || !protobuf_int32(arg(args, 1), &to->port)) {
        return CODEC_E_SHAPE;
    }
    to->host = protobuf_bytes(arg(args, 0)->string);
    return CODEC_OK;
}

static int consumer_args(const struct args *args, KongPluginProtocol__ConsumerSpec *to) {
    const struct kong_value *by_username = arg(args, 1);

    if (arg(args, 0)->type != KONG_STRING ||
        (by_username->type != KONG_NIL && by_username->type != KONG_BOOLEAN)) {
        return CODEC_E_SHAPE;
    }
    to->id = protobuf_bytes(arg(args, 0)->string);
    to->by_username = by_username->type == KONG_BOOLEAN && by_username->boolean;
    return CODEC_OK;
}

static int authenticate_args(struct arena *arena, const struct args *args,
                             KongPluginProtocol__AuthenticateArgs *to) {
    const ProtobufCMessageDescriptor *const types[] = {
        &kong_plugin_protocol__consumer__descriptor,
        &kong_plugin_protocol__authenticated_credential__descriptor,
    };
    ProtobufCMessage *parts[] = {NULL, NULL};

    for (size_t i = 0; i < 2; i++) {
        if (arg(args, i)->type != KONG_NIL) {
            int error = protobuf_from_value(arena, types[i], arg(args, i), &parts[i]);

            if (error != CODEC_OK) {
                return error;
            }
        }
    }
    to->consumer = (KongPluginProtocol__Consumer *)parts[0];
    to->credential = (KongPluginProtocol__AuthenticatedCredential *)parts[1];
    return CODEC_OK;
}

static int pair_args(struct arena *arena, const struct args *args, KongPluginProtocol__KV *to) {
    to->k = protobuf_bytes(arg(args, 0)->string);
    to->v = arena_alloc(arena, sizeof(*to->v));
    if (to->v == NULL) {
        return CODEC_E_NOMEM;
    }
    return protobuf_value_in(arena, arg(args, 1), 0, to->v);
}

/* The messages that protobuf-c writes. */
static int args_message(struct arena *arena, enum pdk_args shape, const struct args *args,
                        ProtobufCMessage **message) {
    const ProtobufCMessageDescriptor *type = protobuf_args_types[shape];
    const struct kong_value list = kong_list(args->values, args->count);

    *message = arena_alloc(arena, type->sizeof_message);
    if (*message == NULL) {
        return CODEC_E_NOMEM;
    }
    protobuf_c_message_init(type, *message);
    switch (shape) {
    case PDK_ARGS_LIST:
        return protobuf_list_in(arena, &list, 0, (KongPluginProtocol__ListValue *)*message);
    case PDK_ARGS_STRUCT:
        return protobuf_struct_in(arena, arg(args, 0), 0, (KongPluginProtocol__Struct *)*message);
    case PDK_ARGS_KV:
        return pair_args(arena, args, (KongPluginProtocol__KV *)*message);
    case PDK_ARGS_EXIT:
        return exit_args(arena, args, (KongPluginProtocol__ExitArgs *)*message);
    case PDK_ARGS_TARGET:
        return target_args(args, (KongPluginProtocol__Target *)*message);
    case PDK_ARGS_CONSUMER_SPEC:
        return consumer_args(args, (KongPluginProtocol__ConsumerSpec *)*message);
    case PDK_ARGS_AUTHENTICATE:
        return authenticate_args(arena, args, (KongPluginProtocol__AuthenticateArgs *)*message);
    default:
        return CODEC_E_SHAPE;
    }
}

static int write_args_message(struct buffer *out, const struct pdk_method *method,
                              const struct args *args) {
    struct arena arena;
    ProtobufCMessage *message;

    arena_init(&arena, LIMIT_EVENT_MEMORY);
    int error = args_message(&arena, method->args, args, &message);
    if (error == CODEC_OK) {
        error = protobuf_pack(out, &method->name, message);
    }
    arena_free(&arena);
    return error;
}

static int write_args(struct buffer *out, const struct pdk_method *method,
                      const struct args *args) {
    const struct kong_value *first = arg(args, 0);
    const struct kong_value *second = arg(args, 1);

    switch (method->args) {
    case PDK_ARGS_EMPTY:
        return protobuf_write_empty(out, &method->name);
    case PDK_ARGS_STRING:
    case PDK_ARGS_BYTES:
        return protobuf_write_string(out, &method->name, first);
    case PDK_ARGS_INT:
        return protobuf_write_int(out, &method->name, first);
    case PDK_ARGS_BOOL:
        if (first->type != KONG_NIL && first->type != KONG_BOOLEAN) {
            return CODEC_E_SHAPE;
        }
        return protobuf_write_bool(out, &method->name,
                                   first->type == KONG_BOOLEAN && first->boolean);
    case PDK_ARGS_KV:
        if (first->type != KONG_STRING) {
            return CODEC_E_SHAPE;
        }
        if (second->type != KONG_LIST && second->type != KONG_MAP) {
            return protobuf_write_pair(out, &method->name, first->string, second);
        }
        return write_args_message(out, method, args);
    default:
        return write_args_message(out, method, args);
    }
}

const size_t protobuf_args_counts[] = {
    [PDK_ARGS_EMPTY] = 0,  [PDK_ARGS_STRING] = 1,        [PDK_ARGS_INT] = 1,
    [PDK_ARGS_BOOL] = 1,   [PDK_ARGS_STRUCT] = 1,        [PDK_ARGS_LIST] = SIZE_MAX,
    [PDK_ARGS_KV] = 2,     [PDK_ARGS_BYTES] = 1,         [PDK_ARGS_EXIT] = 3,
    [PDK_ARGS_TARGET] = 2, [PDK_ARGS_CONSUMER_SPEC] = 2, [PDK_ARGS_AUTHENTICATE] = 2,
};

int protobuf_encode_pdk_call(struct buffer *out, const struct pdk_method *method,
                             const struct kong_value *args, size_t count) {
    struct args all = {args, count};

    if (!protobuf_carries(method) || has_more_than(&all, protobuf_args_counts[method->args])) {
        return CODEC_E_SHAPE;
    }
    return write_args(out, method, &all);
}

int protobuf_encode_method_error(struct buffer *out, struct kong_str text) {
    uint8_t *at;

    if (text.len == 0) {
        return CODEC_E_SHAPE; /* an empty frame would end the event without an error */
    }
    return protobuf_frames(out, &text, 0, &at);
}
