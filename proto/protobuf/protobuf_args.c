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

size_t protobuf_args_count(enum pdk_args shape) {
    const ProtobufCMessageDescriptor *type = protobuf_args_types[shape];

    return type == NULL ? 0 : shape == PDK_ARGS_LIST ? SIZE_MAX : type->n_fields;
}

/* Arguments of one call; those that are not there are nil. */
struct args {
    const struct kong_value *values;
    size_t count;
};

static const struct kong_value *arg(struct args args, size_t i) {
    static const struct kong_value nil = {.type = KONG_NIL};

    return i < args.count ? &args.values[i] : &nil;
}

static bool has_more_than(struct args args, size_t count) {
    for (size_t i = count; i < args.count; i++) {
        if (args.values[i].type != KONG_NIL) {
            return true;
        }
    }
    return false;
}

/* The messages that protobuf-c writes. But for a list and a map, the fields are the arguments in
 * their order; the first `needed` must be there. */
static int args_message(struct arena *arena, enum pdk_args shape, struct args args,
                        ProtobufCMessage **message) {
    static const unsigned needed[] = {[PDK_ARGS_KV] = 1,
                                      [PDK_ARGS_EXIT] = 1,
                                      [PDK_ARGS_TARGET] = 2,
                                      [PDK_ARGS_CONSUMER_SPEC] = 1,
                                      [PDK_ARGS_AUTHENTICATE] = 0};
    const ProtobufCMessageDescriptor *type = protobuf_args_types[shape];
    struct kong_pair fields[3];
    struct kong_value all = kong_list(args.values, args.count);

    if (shape == PDK_ARGS_STRUCT) {
        all = *arg(args, 0);
    } else if (shape != PDK_ARGS_LIST) {
        for (unsigned i = 0; i < type->n_fields; i++) {
            fields[i] = kong_pair(type->fields[i].name, *arg(args, i));
            if (i < needed[shape] && fields[i].value.type == KONG_NIL) {
                return CODEC_E_SHAPE;
            }
        }
        all = kong_map(fields, type->n_fields);
    }
    return protobuf_from_value(arena, type, &all, message);
}

static int write_args_message(struct buffer *out, const struct pdk_method *method,
                              struct args args) {
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

static __attribute__((noinline)) int write_args(struct buffer *out, const struct pdk_method *method,
                                                struct args args) {
    const struct kong_value *first = arg(args, 0);
    const struct kong_value *second = arg(args, 1);

    if (has_more_than(args, protobuf_args_count(method->args))) {
        return CODEC_E_SHAPE;
    }
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

/* Most of what handlers set. */
static inline bool is_short_text(const struct kong_value *value) {
    return value->type == KONG_STRING && value->string.len - 1 < PROTOBUF_SHORT;
}

int protobuf_encode_pdk_call(struct buffer *out, const struct pdk_method *method,
                             const struct kong_value *args, size_t count) {
    if (!protobuf_carries(method)) {
        return CODEC_E_SHAPE;
    }
    if (method->args == PDK_ARGS_KV && count == 2 && is_short_text(&args[0]) &&
        is_short_text(&args[1])) {
        return protobuf_write_short_pair(out, &method->name, args[0].string, args[1].string);
    }
    return write_args(out, method, (struct args){args, count});
}

int protobuf_encode_method_error(struct buffer *out, struct kong_str text) {
    uint8_t *at;

    if (text.len == 0) {
        return CODEC_E_SHAPE; /* an empty frame would end the event without an error */
    }
    return protobuf_frames(out, &text, 0, &at);
}
