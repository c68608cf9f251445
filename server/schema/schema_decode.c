#include "schema_internal.h"

#include <stdio.h>
#include <string.h>

#include "limit.h"
#include "protocol.h"

/* --- Parsing ------------------------------------------------------------------------------ */

/* jansson's message; empty, and no code, in some of its cases of no memory. */
static bool is_nomem(const json_error_t *error) {
    return error->text[0] == '\0' || json_error_code(error) == json_error_out_of_memory;
}

/* Integers become reals unless `integers`: as in Lua, and none is too large. Where memory is short
 * jansson takes a string for an invalid token: what is really broken fails twice. */
static json_t *parse(const char *data, size_t len, bool integers, json_error_t *error) {
    size_t flags = JSON_DECODE_ANY | JSON_ALLOW_NUL | (integers ? 0 : JSON_DECODE_INT_AS_REAL);
    json_t *json = NULL;

    for (int attempt = 0; attempt < 2 && json == NULL; attempt++) {
        *error = (json_error_t){0};
        json = json_loadb(data, len, flags, error);
    }
    return json;
}

json_t *schema_parse_text(const char *text, bool integers, bool *nomem) {
    json_error_t error;
    json_t *json = parse(text, strlen(text), integers, &error);
    *nomem = *nomem || (json == NULL && is_nomem(&error));
    return json;
}

/* Looked for in the bytes: jansson recurses, and allocates for each element. */
const char *schema_find_excess(struct kong_str json, char *text, size_t size) {
    bool in_string = false;
    size_t depth = 0;
    size_t elements = 0;

    for (size_t i = 0; i < json.len; i++) {
        char c = json.data[i];
        if (in_string && c == '\\') {
            i++;
        } else if (c == '"') {
            in_string = !in_string;
        } else if (!in_string && (c == '[' || c == '{')) {
            elements++;
            if (++depth > LIMIT_NESTING) {
                snprintf(text, size, "nested deeper than %d", LIMIT_NESTING);
                return text;
            }
        } else if (!in_string && (c == ',' || c == ':')) {
            elements++;
        } else if (!in_string && (c == ']' || c == '}') && depth > 0) {
            depth--;
        }
    }
    if (elements > LIMIT_CONFIG_ELEMENTS) {
        snprintf(text, size, "%zu elements, limit %zu", elements, LIMIT_CONFIG_ELEMENTS);
        return text;
    }
    return NULL;
}

/* The whole configuration, an object; NULL with the reason in *errors, or out of memory. */
static json_t *parse_config(struct checker *checker, struct kong_str text, struct errors *errors) {
    if (text.data == NULL) {
        text = kong_str("{}");
    }
    char excess[80];
    if (schema_find_excess(text, excess, sizeof excess) != NULL) {
        errors_set(checker, errors, "%s", excess);
        return NULL;
    }
    json_error_t error;
    json_t *json = parse(text.data, text.len, false, &error);
    if (json == NULL && is_nomem(&error)) {
        checker->nomem = true;
    } else if (json == NULL) {
        errors_set(checker, errors, "line %d, column %d: %s", error.line, error.column, error.text);
    } else if (json_is_array(json) && json_array_size(json) == 0) {
        json_decref(json);
        json = json_object();
        checker->nomem = json == NULL;
    } else if (!json_is_object(json)) {
        errors_set(checker, errors,
                   json_is_null(json) ? "required field missing" : "expected a record");
        json_decref(json);
        json = NULL;
    }
    return json;
}

/* --- Into the struct -------------------------------------------------------------------------
 *
 * The value was checked; base is the struct or list item, zeroed. False when out of memory. */

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
        if (!store_value(arena, field, &field->slot, json_object_get(object, field->name), base)) {
            return false;
        }
    }
    return true;
}

/* --- All of it
 * ------------------------------------------------------------------------------------
 */

static void decode(struct checker *checker, const struct kong_record *record, json_t *json,
                   void **config, struct errors *errors) {
    defaults_fill(checker, record, json);
    if (checker->nomem) {
        return;
    }
    check_record(checker, record, json, true, errors);
    if (checker->nomem || errors_any(errors) || record->field_count == 0) {
        return;
    }
    *config = zeroed(checker->arena, 1, record->size);
    if (*config == NULL || !store_record(checker->arena, record, json, *config)) {
        checker->nomem = true;
    }
}

int schema_decode(const struct kong_schema *schema, struct kong_str json, struct arena *arena,
                  void **config, struct schema_report *report) {
    static const struct kong_record NO_FIELDS = {0};
    struct checker checker = {.arena = arena};
    struct errors errors = {0};

    *config = NULL;
    *report = (struct schema_report){0};
    json_t *tree = parse_config(&checker, json, &errors);
    if (tree != NULL) {
        decode(&checker, schema == NULL ? &NO_FIELDS : &schema->config, tree, config, &errors);
    }
    if (!checker.nomem && errors_any(&errors)) {
        errors_report(&checker, &errors, "config", report);
    }
    json_decref(tree);
    if (checker.nomem) {
        *config = NULL;
        *report = (struct schema_report){0};
        return CODEC_E_NOMEM;
    }
    return report->count > 0 ? 1 : 0;
}
