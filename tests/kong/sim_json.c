#include "sim_json.h"

#include <jansson.h>
#include <stdlib.h>

#include "limit.h"

static bool read_value(struct arena *arena, const json_t *json, unsigned depth,
                       struct kong_value *value);

static bool read_array(struct arena *arena, const json_t *json, unsigned depth,
                       struct kong_value *value) {
    size_t count = json_array_size(json);
    struct kong_value *items = arena_array(arena, count, sizeof *items);
    if (items == NULL) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        if (!read_value(arena, json_array_get(json, i), depth + 1, &items[i])) {
            return false;
        }
    }
    *value = kong_list(items, count);
    return true;
}

static bool read_object(struct arena *arena, json_t *json, unsigned depth,
                        struct kong_value *value) {
    struct kong_pair *pairs = arena_array(arena, json_object_size(json), sizeof *pairs);
    size_t count = 0;
    const char *key;
    json_t *item;
    if (pairs == NULL) {
        return false;
    }
    json_object_foreach(json, key, item) {
        pairs[count].key = arena_copy(arena, key, strlen(key));
        if (pairs[count].key.data == NULL ||
            !read_value(arena, item, depth + 1, &pairs[count].value)) {
            return false;
        }
        count++;
    }
    *value = kong_map(pairs, count);
    return true;
}

static bool read_value(struct arena *arena, const json_t *json, unsigned depth,
                       struct kong_value *value) {
    if (depth > LIMIT_NESTING) {
        return false;
    }
    switch (json_typeof(json)) {
    case JSON_NULL:
        *value = kong_nil();
        return true;
    case JSON_TRUE:
    case JSON_FALSE:
        *value = kong_boolean(json_is_true(json));
        return true;
    case JSON_INTEGER:
        *value = kong_integer(json_integer_value(json));
        return true;
    case JSON_REAL:
        *value = kong_number(json_real_value(json));
        return true;
    case JSON_STRING: {
        struct kong_str own = arena_copy(arena, json_string_value(json), json_string_length(json));
        *value = kong_bytes(own.data, own.len);
        return own.data != NULL;
    }
    case JSON_ARRAY:
        return read_array(arena, json, depth, value);
    case JSON_OBJECT:
        /* json_object_foreach wants it writable, and changes nothing. */
        return read_object(arena, (json_t *)(uintptr_t)json, depth, value);
    }
    return false;
}

bool json_to_value(struct arena *arena, struct kong_str text, struct kong_value *value) {
    json_error_t error;
    json_t *json = json_loadb(text.data == NULL ? "" : text.data, text.len,
                              JSON_DECODE_ANY | JSON_ALLOW_NUL, &error);
    if (json == NULL) {
        return false;
    }
    bool ok = read_value(arena, json, 0, value);
    json_decref(json);
    return ok;
}

static json_t *write_value(const struct kong_value *value);

static json_t *write_list(const struct kong_value *value) {
    json_t *json = json_array();
    for (size_t i = 0; json != NULL && i < value->list.count; i++) {
        if (json_array_append_new(json, write_value(&value->list.items[i])) != 0) {
            json_decref(json);
            json = NULL;
        }
    }
    return json;
}

static json_t *write_map(const struct kong_value *value) {
    json_t *json = json_object();
    for (size_t i = 0; json != NULL && i < value->map.count; i++) {
        const struct kong_pair *pair = &value->map.pairs[i];
        char *key = strndup(pair->key.data, pair->key.len);
        /* A Lua table has no nil in it. */
        int failed = key == NULL;
        if (!failed && pair->value.type != KONG_NIL) {
            failed = json_object_set_new(json, key, write_value(&pair->value));
        }
        free(key);
        if (failed) {
            json_decref(json);
            json = NULL;
        }
    }
    return json;
}

static json_t *write_value(const struct kong_value *value) {
    switch (value->type) {
    case KONG_NIL:
        return json_null();
    case KONG_BOOLEAN:
        return json_boolean(value->boolean);
    case KONG_INTEGER:
        return json_integer(value->integer);
    case KONG_NUMBER:
        return json_real(value->number);
    case KONG_STRING:
        return json_stringn(value->string.data == NULL ? "" : value->string.data,
                            value->string.len);
    case KONG_LIST:
        return write_list(value);
    case KONG_MAP:
        return write_map(value);
    }
    return NULL;
}

struct kong_str json_from_value(struct arena *arena, const struct kong_value *value) {
    json_t *json = write_value(value);
    struct kong_str text = {NULL, 0};
    if (json == NULL) {
        return text;
    }
    char *dump = json_dumps(json, JSON_COMPACT | JSON_ENCODE_ANY);
    json_decref(json);
    if (dump != NULL) {
        text = arena_copy(arena, dump, strlen(dump));
        free(dump);
    }
    return text;
}
