/* From the text to the struct. */
#include "schema_internal.h"

#include <string.h>

#include "limit.h"
#include "protocol.h"

/* Into the struct: the value was checked; base is the struct or list item, zeroed. False when out
 * of memory. */

static bool store_record(struct arena *arena, const struct kong_record *record,
                         const json_t *object, char *base);

static void *zeroed(struct arena *arena, size_t count, size_t size) {
    void *memory = arena_array(arena, count, size);
    if (memory != NULL) {
        memset(memory, 0, count * size);
    }
    return memory;
}

/* A value of `size` bytes, or a pointer to a copy of it. */
static bool store_scalar(struct arena *arena, const struct kong_slot *slot, const void *value,
                         size_t size, char *base) {
    if (slot->form == KONG_FORM_VALUE) {
        memcpy(base + slot->offset, value, size);
        return true;
    }
    void *copy = arena_alloc(arena, size);
    if (copy == NULL) {
        return false;
    }
    memcpy(copy, value, size);
    memcpy(base + slot->offset, &copy, sizeof copy);
    return true;
}

static bool store_string(struct arena *arena, const struct kong_slot *slot, const char *data,
                         size_t len, char *base) {
    struct kong_str copy = arena_copy(arena, data, len);
    if (copy.data == NULL) {
        return false;
    }
    if (slot->form == KONG_FORM_TEXT) {
        memcpy(base + slot->offset, &copy.data, sizeof copy.data);
    } else {
        memcpy(base + slot->offset, &copy, sizeof copy);
    }
    return true;
}

/* What KONG_ARRAY_OF and KONG_MAP_OF look like, whatever the type. */
struct list {
    void *items;
    size_t count;
};

static bool store_value(struct arena *arena, const struct kong_field *field,
                        const struct kong_slot *slot, const json_t *value, char *base);

static bool store_list(struct arena *arena, const struct kong_field *field,
                       const struct kong_slot *slot, const json_t *value, char *base) {
    struct list list = {.count = json_array_size(value)};
    list.items = zeroed(arena, list.count, field->item_size);
    if (list.items == NULL) {
        return false;
    }
    for (size_t i = 0; i < list.count; i++) {
        char *item = (char *)list.items + i * field->item_size;
        if (!store_value(arena, field->elements, &field->item, json_array_get(value, i), item)) {
            return false;
        }
    }
    memcpy(base + slot->offset, &list, sizeof list);
    return true;
}

static bool store_map(struct arena *arena, const struct kong_field *field,
                      const struct kong_slot *slot, const json_t *value, char *base) {
    struct list list = {.count = json_object_size(value)};
    list.items = zeroed(arena, list.count, field->item_size);
    if (list.items == NULL) {
        return false;
    }
    char *entry = list.items;
    const char *name;
    json_t *one;
    json_object_foreach((json_t *)value, name, one) {
        if (!store_string(arena, &field->item_key, name, strlen(name), entry) ||
            !store_value(arena, field->values, &field->item, one, entry)) {
            return false;
        }
        entry += field->item_size;
    }
    memcpy(base + slot->offset, &list, sizeof list);
    return true;
}

static bool store_nested(struct arena *arena, const struct kong_field *field,
                         const struct kong_slot *slot, const json_t *value, char *base) {
    if (slot->form == KONG_FORM_VALUE) {
        return store_record(arena, field->record, value, base + slot->offset);
    }
    void *record = zeroed(arena, 1, field->record->size);
    if (record == NULL || !store_record(arena, field->record, value, record)) {
        return false;
    }
    memcpy(base + slot->offset, &record, sizeof record);
    return true;
}

static bool store_value(struct arena *arena, const struct kong_field *field,
                        const struct kong_slot *slot, const json_t *value, char *base) {
    if (value == NULL || json_is_null(value)) {
        return true;
    }
    double number = json_number_value(value);
    bool boolean = json_is_true(value);
    switch (field->type) {
    case KONG_FIELD_STRING:
        return store_string(arena, slot, json_string_value(value), json_string_length(value), base);
    case KONG_FIELD_INTEGER: {
        int64_t integer = (int64_t)number;
        return store_scalar(arena, slot, &integer, sizeof integer, base);
    }
    case KONG_FIELD_NUMBER:
        return store_scalar(arena, slot, &number, sizeof number, base);
    case KONG_FIELD_BOOLEAN:
        return store_scalar(arena, slot, &boolean, sizeof boolean, base);
    case KONG_FIELD_ARRAY:
    case KONG_FIELD_SET:
        return store_list(arena, field, slot, value, base);
    case KONG_FIELD_MAP:
        return store_map(arena, field, slot, value, base);
    case KONG_FIELD_RECORD:
        return store_nested(arena, field, slot, value, base);
    }
    return false;
}

static bool store_record(struct arena *arena, const struct kong_record *record,
                         const json_t *object, char *base) {
    for (size_t i = 0; i < record->field_count; i++) {
        const struct kong_field *field = &record->fields[i];
        if (!store_value(arena, field, &field->slot,
                         json_object_get(object, schema_field_name(field)), base)) {
            return false;
        }
    }
    return true;
}

static void decode(struct checker *checker, const struct kong_record *record, struct arena *arena,
                   struct schema_result *result, struct errors *errors) {
    defaults_fill(checker, record, result->tree);
    if (checker->nomem) {
        return;
    }
    check_record(checker, record, result->tree, errors);
    if (checker->nomem || errors_any(errors) || record->field_count == 0) {
        return;
    }
    result->config = zeroed(arena, 1, record->size);
    if (result->config == NULL || !store_record(arena, record, result->tree, result->config)) {
        checker->nomem = true;
    }
}

int schema_decode(const struct kong_schema *schema, struct kong_str json, enum schema_source source,
                  struct arena *arena, struct schema_result *result) {
    static const struct kong_record NO_FIELDS = {0};
    struct arena scratch;
    struct checker checker = {.arena = &scratch, .source = source};
    struct errors errors = {0};

    *result = (struct schema_result){0};
    arena_init(&scratch, LIMIT_EVENT_MEMORY);
    result->tree = schema_parse_config(&checker, json, &errors);
    if (result->tree != NULL) {
        decode(&checker, schema == NULL ? &NO_FIELDS : &schema->config, arena, result, &errors);
    }
    if (!checker.nomem && errors_any(&errors)) {
        errors_report(&checker, &errors, "config", arena, result);
    }
    arena_free(&scratch);
    if (checker.nomem) {
        json_decref(result->tree);
        *result = (struct schema_result){0};
        return CODEC_E_NOMEM;
    }
    result->ignored = checker.ignored;
    result->ignored_count = checker.ignored_count;
    return result->count > 0 ? 1 : 0;
}
