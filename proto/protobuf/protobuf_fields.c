#include <assert.h>

#include "protobuf_message.h"
#include "value.h"

#define VALUE_TYPE   (&kong_plugin_protocol__value__descriptor)
#define STRUCT_TYPE  (&kong_plugin_protocol__struct__descriptor)
#define LIST_TYPE    (&kong_plugin_protocol__list_value__descriptor)
#define CAPTURE_TYPE (&kong_plugin_protocol__named_capture__descriptor)

static void *member(const ProtobufCMessage *message, unsigned offset) {
    return (char *)(uintptr_t)message + offset;
}

/* --- Message to value --------------------------------------------------------- */

/* One element of a field of any type but message. */
static struct kong_value scalar_out(ProtobufCType type, const void *at) {
    switch (type) {
    case PROTOBUF_C_TYPE_INT32:
        return kong_integer(*(const int32_t *)at);
    case PROTOBUF_C_TYPE_INT64:
        return kong_integer(*(const int64_t *)at);
    case PROTOBUF_C_TYPE_DOUBLE:
        return kong_number(*(const double *)at);
    case PROTOBUF_C_TYPE_BOOL:
        return kong_boolean(*(const protobuf_c_boolean *)at != 0);
    case PROTOBUF_C_TYPE_BYTES: {
        struct kong_str text = protobuf_str(*(const ProtobufCBinaryData *)at);

        return kong_bytes(text.data, text.len);
    }
    default:
        assert(false && "a type that pluginsocket.proto uses");
        return kong_nil();
    }
}

static bool is_default(struct kong_value value) {
    switch (value.type) {
    case KONG_BOOLEAN:
        return !value.boolean;
    case KONG_INTEGER:
        return value.integer == 0;
    case KONG_NUMBER:
        return value.number == 0;
    case KONG_STRING:
        return value.string.len == 0;
    default:
        return value.type == KONG_NIL;
    }
}

/* The elements of a list (strings) or of a map (captures); nil for an empty one. */
static int repeated_out(struct arena *arena, const ProtobufCFieldDescriptor *field,
                        const ProtobufCMessage *message, struct kong_value *to) {
    size_t count = *(const size_t *)member(message, field->quantifier_offset);
    const void *elements = *(void *const *)member(message, field->offset);

    *to = kong_nil();
    if (count == 0) {
        return CODEC_OK;
    }
    if (field->descriptor == CAPTURE_TYPE) {
        KongPluginProtocol__NamedCapture *const *captures = elements;
        struct kong_pair *pairs = arena_array(arena, count, sizeof(*pairs));

        for (size_t i = 0; pairs != NULL && i < count; i++) {
            struct kong_str text = protobuf_str(captures[i]->value);

            pairs[i] =
                (struct kong_pair){protobuf_str(captures[i]->key), kong_bytes(text.data, text.len)};
        }
        *to = kong_map(pairs, count);
        return pairs == NULL ? CODEC_E_NOMEM : CODEC_OK;
    }

    struct kong_value *items = arena_array(arena, count, sizeof(*items));
    int error = items == NULL ? CODEC_E_NOMEM : CODEC_OK;

    for (size_t i = 0; error == CODEC_OK && i < count; i++) {
        if (field->type == PROTOBUF_C_TYPE_MESSAGE) {
            error = protobuf_to_value(arena, ((ProtobufCMessage *const *)elements)[i], &items[i]);
        } else {
            assert(field->type == PROTOBUF_C_TYPE_BYTES);
            items[i] = scalar_out(field->type, (const ProtobufCBinaryData *)elements + i);
        }
    }
    *to = kong_list(items, count);
    return error;
}

/* nil when the field is not there. */
static int field_out(struct arena *arena, const ProtobufCFieldDescriptor *field,
                     const ProtobufCMessage *message, struct kong_value *to) {
    void *at = member(message, field->offset);
    bool chosen = field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF;

    *to = kong_nil();
    if (field->label == PROTOBUF_C_LABEL_REPEATED) {
        return repeated_out(arena, field, message, to);
    }
    if (chosen && *(const uint32_t *)member(message, field->quantifier_offset) != field->id) {
        return CODEC_OK;
    }
    if (field->type == PROTOBUF_C_TYPE_MESSAGE) {
        const ProtobufCMessage *part = *(ProtobufCMessage *const *)at;

        return part == NULL ? CODEC_OK : protobuf_to_value(arena, part, to);
    }
    *to = scalar_out(field->type, at);
    if (!chosen && is_default(*to)) {
        *to = kong_nil();
    }
    return CODEC_OK;
}

int protobuf_to_value(struct arena *arena, const ProtobufCMessage *message,
                      struct kong_value *value) {
    const ProtobufCMessageDescriptor *type = message->descriptor;

    if (type == VALUE_TYPE) {
        return protobuf_value_out(arena, (const KongPluginProtocol__Value *)message, value);
    }
    if (type == STRUCT_TYPE) {
        return protobuf_struct_out(arena, (const KongPluginProtocol__Struct *)message, value);
    }
    if (type == LIST_TYPE) {
        return protobuf_list_out(arena, (const KongPluginProtocol__ListValue *)message, value);
    }

    struct kong_pair *pairs = arena_array(arena, type->n_fields, sizeof(*pairs));
    size_t count = 0;

    if (pairs == NULL) {
        return CODEC_E_NOMEM;
    }
    for (unsigned i = 0; i < type->n_fields; i++) {
        int error = field_out(arena, &type->fields[i], message, &pairs[count].value);

        if (error != CODEC_OK) {
            return error;
        }
        if (pairs[count].value.type != KONG_NIL) {
            pairs[count++].key = kong_str(type->fields[i].name);
        }
    }
    *value = kong_map(pairs, count);
    return CODEC_OK;
}

/* --- Value to message --------------------------------------------------------- */

static int integer_in(const struct kong_value *from, int64_t least, int64_t most, int64_t *to) {
    if (!value_to_integer(from, to) || *to < least || *to > most) {
        return CODEC_E_SHAPE;
    }
    return CODEC_OK;
}

static int bytes_in(const struct kong_value *from, ProtobufCBinaryData *to) {
    if (from->type != KONG_STRING) {
        return CODEC_E_SHAPE;
    }
    *to = protobuf_bytes(from->string);
    return CODEC_OK;
}

static int scalar_in(ProtobufCType type, const struct kong_value *from, void *at) {
    int64_t integer = 0;
    int error;

    switch (type) {
    case PROTOBUF_C_TYPE_INT32:
        error = integer_in(from, INT32_MIN, INT32_MAX, &integer);
        *(int32_t *)at = (int32_t)integer;
        return error;
    case PROTOBUF_C_TYPE_INT64:
        error = integer_in(from, INT64_MIN, INT64_MAX, &integer);
        *(int64_t *)at = integer;
        return error;
    case PROTOBUF_C_TYPE_BOOL:
        *(protobuf_c_boolean *)at = from->type == KONG_BOOLEAN && from->boolean;
        return from->type == KONG_BOOLEAN ? CODEC_OK : CODEC_E_SHAPE;
    case PROTOBUF_C_TYPE_BYTES:
        return bytes_in(from, at);
    default:
        assert(false && "a type that pluginsocket.proto uses where values are encoded");
        return CODEC_E_SHAPE;
    }
}

static int captures_in(struct arena *arena, const struct kong_value *from, size_t *count,
                       void **elements) {
    if (from->type != KONG_MAP) {
        return CODEC_E_SHAPE;
    }
    size_t n = from->map.count;
    KongPluginProtocol__NamedCapture *captures = arena_array(arena, n, sizeof(*captures));
    KongPluginProtocol__NamedCapture **pointers = arena_array(arena, n, sizeof(*pointers));

    if (captures == NULL || pointers == NULL) {
        return CODEC_E_NOMEM;
    }
    for (size_t i = 0; i < n; i++) {
        kong_plugin_protocol__named_capture__init(&captures[i]);
        captures[i].key = protobuf_bytes(from->map.pairs[i].key);
        pointers[i] = &captures[i];
        int error = bytes_in(&from->map.pairs[i].value, &captures[i].value);
        if (error != CODEC_OK) {
            return error;
        }
    }
    *count = n;
    *elements = pointers;
    return CODEC_OK;
}

static int elements_in(struct arena *arena, const ProtobufCFieldDescriptor *field,
                       const struct kong_value *from, size_t *count, void **elements) {
    if (field->descriptor == CAPTURE_TYPE) {
        return captures_in(arena, from, count, elements);
    }
    if (from->type != KONG_LIST) {
        return CODEC_E_SHAPE;
    }
    bool messages = field->type == PROTOBUF_C_TYPE_MESSAGE;
    size_t n = from->list.count;
    ProtobufCMessage **parts = NULL;
    ProtobufCBinaryData *strings = NULL;

    if (messages) {
        *elements = parts = arena_array(arena, n, sizeof(*parts));
    } else {
        *elements = strings = arena_array(arena, n, sizeof(*strings));
    }
    if (*elements == NULL) {
        return CODEC_E_NOMEM;
    }
    for (size_t i = 0; i < n; i++) {
        const struct kong_value *item = &from->list.items[i];
        int error = messages ? protobuf_from_value(arena, field->descriptor, item, &parts[i])
                             : bytes_in(item, &strings[i]);

        if (error != CODEC_OK) {
            return error;
        }
    }
    *count = n;
    return CODEC_OK;
}

static int field_in(struct arena *arena, const ProtobufCFieldDescriptor *field,
                    const struct kong_value *from, ProtobufCMessage *message) {
    void *at = member(message, field->offset);

    if (field->label == PROTOBUF_C_LABEL_REPEATED) {
        return elements_in(arena, field, from, member(message, field->quantifier_offset), at);
    }
    if (field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) {
        uint32_t *chosen = member(message, field->quantifier_offset);

        if (*chosen != 0) {
            return CODEC_E_SHAPE;
        }
        *chosen = field->id;
    }
    if (field->type == PROTOBUF_C_TYPE_MESSAGE) {
        return protobuf_from_value(arena, field->descriptor, from, at);
    }
    return scalar_in(field->type, from, at);
}

static const ProtobufCFieldDescriptor *find_field(const ProtobufCMessageDescriptor *type,
                                                  struct kong_str name) {
    for (unsigned i = 0; i < type->n_fields; i++) {
        if (kong_str_equal(kong_str(type->fields[i].name), name)) {
            return &type->fields[i];
        }
    }
    return NULL;
}

static int fields_in(struct arena *arena, const struct kong_value *from,
                     ProtobufCMessage *message) {
    if (from->type != KONG_MAP) {
        return CODEC_E_SHAPE;
    }
    for (size_t i = 0; i < from->map.count; i++) {
        const struct kong_pair *pair = &from->map.pairs[i];

        if (pair->value.type == KONG_NIL) {
            continue;
        }
        const ProtobufCFieldDescriptor *field = find_field(message->descriptor, pair->key);
        int error = field == NULL ? CODEC_E_SHAPE : field_in(arena, field, &pair->value, message);
        if (error != CODEC_OK) {
            return error;
        }
    }
    return CODEC_OK;
}

int protobuf_from_value(struct arena *arena, const ProtobufCMessageDescriptor *type,
                        const struct kong_value *value, ProtobufCMessage **message) {
    *message = protobuf_new(arena, type);
    if (*message == NULL) {
        return CODEC_E_NOMEM;
    }
    if (type == VALUE_TYPE) {
        return protobuf_value_in(arena, value, 0, (KongPluginProtocol__Value *)*message);
    }
    if (type == STRUCT_TYPE) {
        return protobuf_struct_in(arena, value, 0, (KongPluginProtocol__Struct *)*message);
    }
    if (type == LIST_TYPE) {
        return protobuf_list_in(arena, value, 0, (KongPluginProtocol__ListValue *)*message);
    }
    return fields_in(arena, value, *message);
}
