#include "sim_json.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "buffer.h"
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
    case JSON_REAL:
        *value = lua_number(json_number_value(json));
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
                              JSON_DECODE_ANY | JSON_ALLOW_NUL | JSON_DECODE_INT_AS_REAL, &error);
    if (json == NULL) {
        return false;
    }
    bool ok = read_value(arena, json, 0, value);
    json_decref(json);
    return ok;
}

struct kong_value lua_number(double number) {
    /* 2^63 is the first that int64_t has not */
    if (floor(number) == number && fabs(number) < 9223372036854775808.0) {
        return kong_integer((int64_t)number);
    }
    return kong_number(number);
}

/* cjson writes bytes as they are, UTF-8 or not. */
static void write_string(struct buffer *out, struct kong_str text) {
    static const char digits[] = "0123456789abcdef";
    static const char plain[] = "\b\f\n\r\t\"\\";
    static const char letters[] = "bfnrt\"\\";
    buffer_append_byte(out, '"');
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.data[i];
        const char *known = c == 0 ? NULL : strchr(plain, c);
        if (known != NULL) {
            buffer_append_byte(out, '\\');
            buffer_append_byte(out, (uint8_t)letters[known - plain]);
        } else if (c < 32 || c == 127) {
            char escaped[6] = {'\\', 'u', '0', '0', digits[c >> 4], digits[c & 15]};
            buffer_append(out, escaped, sizeof escaped);
        } else {
            buffer_append_byte(out, c);
        }
    }
    buffer_append_byte(out, '"');
}

static void write_text(struct buffer *out, const char *text) {
    buffer_append(out, text, strlen(text));
}

static void write_value(struct buffer *out, const struct kong_value *value, unsigned depth);

static void write_map(struct buffer *out, const struct kong_value *value, unsigned depth) {
    bool first = true;
    buffer_append_byte(out, '{');
    for (size_t i = 0; i < value->map.count; i++) {
        const struct kong_pair *pair = &value->map.pairs[i];
        if (pair->value.type == KONG_NIL) {
            continue; /* a Lua table has no nil in it */
        }
        if (!first) {
            buffer_append_byte(out, ',');
        }
        first = false;
        write_string(out, pair->key);
        buffer_append_byte(out, ':');
        write_value(out, &pair->value, depth + 1);
    }
    buffer_append_byte(out, '}');
}

static void write_list(struct buffer *out, const struct kong_value *value, unsigned depth) {
    buffer_append_byte(out, '[');
    for (size_t i = 0; i < value->list.count; i++) {
        if (i > 0) {
            buffer_append_byte(out, ',');
        }
        write_value(out, &value->list.items[i], depth + 1);
    }
    buffer_append_byte(out, ']');
}

static void write_value(struct buffer *out, const struct kong_value *value, unsigned depth) {
    char number[40];
    out->failed = out->failed || depth > 1000;
    switch (out->failed ? KONG_NIL : value->type) {
    case KONG_NIL:
        write_text(out, "null");
        break;
    case KONG_BOOLEAN:
        write_text(out, value->boolean ? "true" : "false");
        break;
    case KONG_INTEGER:
        snprintf(number, sizeof number, "%lld", (long long)value->integer);
        write_text(out, number);
        break;
    case KONG_NUMBER:
        snprintf(number, sizeof number, "%.16g", value->number);
        write_text(out, number);
        break;
    case KONG_STRING:
        write_string(out, value->string);
        break;
    case KONG_LIST:
        write_list(out, value, depth);
        break;
    case KONG_MAP:
        write_map(out, value, depth);
        break;
    }
}

struct kong_str json_from_value(struct arena *arena, const struct kong_value *value) {
    struct buffer out;
    struct kong_str text = {NULL, 0};
    buffer_init(&out, (size_t)64 << 20);
    write_value(&out, value, 0);
    if (!out.failed) {
        text = arena_copy(arena, out.data, out.len);
    }
    buffer_free(&out);
    return text;
}
