#include <math.h>

#include "limit.h"
#include "protobuf_message.h"

typedef KongPluginProtocol__Value value_message;
typedef KongPluginProtocol__Struct struct_message;
typedef KongPluginProtocol__StructEntry entry_message;
typedef KongPluginProtocol__ListValue list_message;

/* Up to here a double tells all integers apart. */
#define EXACT_MAX 9007199254740992.0

/* --- Message to value --------------------------------------------------------- */

int protobuf_list_out(struct arena *arena, const list_message *from, struct kong_value *to) {
    struct kong_value *items = arena_array(arena, from->n_values, sizeof(*items));

    if (items == NULL) {
        return CODEC_E_NOMEM;
    }
    for (size_t i = 0; i < from->n_values; i++) {
        int error = protobuf_value_out(arena, from->values[i], &items[i]);

        if (error != CODEC_OK) {
            return error;
        }
    }
    *to = kong_list(items, from->n_values);
    return CODEC_OK;
}

int protobuf_struct_out(struct arena *arena, const struct_message *from, struct kong_value *to) {
    struct kong_pair *pairs = arena_array(arena, from->n_fields, sizeof(*pairs));

    if (pairs == NULL) {
        return CODEC_E_NOMEM;
    }
    for (size_t i = 0; i < from->n_fields; i++) {
        const entry_message *entry = from->fields[i];
        int error = protobuf_value_out(arena, entry->value, &pairs[i].value);

        if (error != CODEC_OK) {
            return error;
        }
        pairs[i].key = protobuf_str(entry->key);
    }
    *to = kong_map(pairs, from->n_fields);
    return CODEC_OK;
}

static struct kong_value number_out(double number) {
    if (number == trunc(number) && fabs(number) <= EXACT_MAX) {
        return kong_integer((int64_t)number);
    }
    return kong_number(number);
}

int protobuf_value_out(struct arena *arena, const value_message *from, struct kong_value *to) {
    *to = kong_nil();
    if (from == NULL) {
        return CODEC_OK;
    }
    switch (from->kind_case) {
    case KONG_PLUGIN_PROTOCOL__VALUE__KIND_NUMBER_VALUE:
        *to = number_out(from->number_value);
        return CODEC_OK;
    case KONG_PLUGIN_PROTOCOL__VALUE__KIND_STRING_VALUE:
        to->type = KONG_STRING;
        to->string = protobuf_str(from->string_value);
        return CODEC_OK;
    case KONG_PLUGIN_PROTOCOL__VALUE__KIND_BOOL_VALUE:
        *to = kong_boolean(from->bool_value != 0);
        return CODEC_OK;
    case KONG_PLUGIN_PROTOCOL__VALUE__KIND_STRUCT_VALUE:
        return protobuf_struct_out(arena, from->struct_value, to);
    case KONG_PLUGIN_PROTOCOL__VALUE__KIND_LIST_VALUE:
        return protobuf_list_out(arena, from->list_value, to);
    default:
        return CODEC_OK;
    }
}

/* --- Value to message --------------------------------------------------------- */

int protobuf_list_in(struct arena *arena, const struct kong_value *from, unsigned depth,
                     list_message *to) {
    if (from->type != KONG_LIST) {
        return CODEC_E_SHAPE;
    }
    if (depth >= LIMIT_NESTING) {
        return CODEC_E_LIMIT;
    }
    size_t count = from->list.count;
    value_message *values = arena_array(arena, count, sizeof(*values));
    value_message **pointers = arena_array(arena, count, sizeof(*pointers));

    if (values == NULL || pointers == NULL) {
        return CODEC_E_NOMEM;
    }
    for (size_t i = 0; i < count; i++) {
        int error = protobuf_value_in(arena, &from->list.items[i], depth + 1, &values[i]);

        if (error != CODEC_OK) {
            return error;
        }
        pointers[i] = &values[i];
    }
    to->n_values = count;
    to->values = pointers;
    return CODEC_OK;
}

int protobuf_struct_in(struct arena *arena, const struct kong_value *from, unsigned depth,
                       struct_message *to) {
    if (from->type != KONG_MAP) {
        return CODEC_E_SHAPE;
    }
    if (depth >= LIMIT_NESTING) {
        return CODEC_E_LIMIT;
    }
    struct slot {
        entry_message entry;
        value_message value;
    } *slots = arena_array(arena, from->map.count, sizeof(*slots));
    entry_message **pointers = arena_array(arena, from->map.count, sizeof(*pointers));
    size_t count = 0;

    if (slots == NULL || pointers == NULL) {
        return CODEC_E_NOMEM;
    }
    for (size_t i = 0; i < from->map.count; i++) {
        const struct kong_pair *pair = &from->map.pairs[i];
        struct slot *slot = &slots[count];

        if (pair->value.type == KONG_NIL) {
            continue;
        }
        int error = protobuf_value_in(arena, &pair->value, depth + 1, &slot->value);
        if (error != CODEC_OK) {
            return error;
        }
        kong_plugin_protocol__struct_entry__init(&slot->entry);
        slot->entry.key = protobuf_bytes(pair->key);
        slot->entry.value = &slot->value;
        pointers[count++] = &slot->entry;
    }
    to->n_fields = count;
    to->fields = pointers;
    return CODEC_OK;
}

int protobuf_value_in(struct arena *arena, const struct kong_value *from, unsigned depth,
                      value_message *to) {
    kong_plugin_protocol__value__init(to);
    switch (from->type) {
    case KONG_NIL:
        return CODEC_OK;
    case KONG_BOOLEAN:
        to->kind_case = KONG_PLUGIN_PROTOCOL__VALUE__KIND_BOOL_VALUE;
        to->bool_value = from->boolean;
        return CODEC_OK;
    case KONG_INTEGER:
        to->kind_case = KONG_PLUGIN_PROTOCOL__VALUE__KIND_NUMBER_VALUE;
        to->number_value = (double)from->integer;
        return CODEC_OK;
    case KONG_NUMBER:
        to->kind_case = KONG_PLUGIN_PROTOCOL__VALUE__KIND_NUMBER_VALUE;
        to->number_value = from->number;
        return CODEC_OK;
    case KONG_STRING:
        to->kind_case = KONG_PLUGIN_PROTOCOL__VALUE__KIND_STRING_VALUE;
        to->string_value = protobuf_bytes(from->string);
        return CODEC_OK;
    case KONG_LIST:
        to->kind_case = KONG_PLUGIN_PROTOCOL__VALUE__KIND_LIST_VALUE;
        to->list_value = protobuf_new(arena, &kong_plugin_protocol__list_value__descriptor);
        return to->list_value == NULL ? CODEC_E_NOMEM
                                      : protobuf_list_in(arena, from, depth, to->list_value);
    case KONG_MAP:
        to->kind_case = KONG_PLUGIN_PROTOCOL__VALUE__KIND_STRUCT_VALUE;
        to->struct_value = protobuf_new(arena, &kong_plugin_protocol__struct__descriptor);
        return to->struct_value == NULL ? CODEC_E_NOMEM
                                        : protobuf_struct_in(arena, from, depth, to->struct_value);
    }
    return CODEC_E_SHAPE;
}
