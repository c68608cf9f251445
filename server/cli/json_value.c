#include "json_value.h"

#include <jansson.h>
#include <stdlib.h>

#include "limit.h"
#include "printable.h"

static json_t *convert(const struct kong_value *value, unsigned depth);

static json_t *from_string(struct kong_str string) {
    json_t *json = json_stringn(string.data, string.len);
    if (json != NULL) {
        return json;
    }
    size_t size = string.len * 4 + 4; /* each byte as \xNN */
    char *text = malloc(size);
    if (text != NULL) {
        size_t len = printable_copy(text, size, string.data, string.len);
        json = json_stringn(text, len);
        free(text);
    }
    return json;
}

static json_t *from_list(const struct kong_value *value, unsigned depth) {
    json_t *json = json_array();
    for (size_t i = 0; json != NULL && i < value->list.count; i++) {
        if (json_array_append_new(json, convert(&value->list.items[i], depth)) != 0) {
            json_decref(json);
            return NULL;
        }
    }
    return json;
}

static json_t *from_map(const struct kong_value *value, unsigned depth) {
    json_t *json = json_object();
    for (size_t i = 0; json != NULL && i < value->map.count; i++) {
        const struct kong_pair *pair = &value->map.pairs[i];
        if (json_object_set_new(json, pair->key.data, convert(&pair->value, depth)) != 0) {
            json_decref(json);
            return NULL;
        }
    }
    return json;
}

static json_t *convert(const struct kong_value *value, unsigned depth) {
    if (depth > LIMIT_NESTING) {
        return NULL;
    }
    switch (value->type) {
    case KONG_NIL:
        break;
    case KONG_BOOLEAN:
        return json_boolean(value->boolean);
    case KONG_INTEGER:
        return json_integer(value->integer);
    case KONG_NUMBER:
        return json_real(value->number);
    case KONG_STRING:
        return from_string(value->string);
    case KONG_LIST:
        return from_list(value, depth + 1);
    case KONG_MAP:
        return from_map(value, depth + 1);
    }
    return json_null();
}

char *json_value_text(const struct kong_value *value) {
    json_t *json = convert(value, 0);
    char *text = json == NULL ? NULL
                              : json_dumps(json, JSON_COMPACT | JSON_ENCODE_ANY |
                                                     JSON_ENSURE_ASCII | JSON_REAL_PRECISION(12));
    json_decref(json);
    return text;
}
