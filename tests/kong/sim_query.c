/* Tables of arguments as text, and Lua's words for values. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "buffer.h"
#include "sim_fields.h"
#include "value.h"

const char *lua_type(const struct kong_value *value) {
    switch (value->type) {
    case KONG_NIL:
        return "nil";
    case KONG_BOOLEAN:
        return "boolean";
    case KONG_INTEGER:
    case KONG_NUMBER:
        return "number";
    case KONG_STRING:
        return "string";
    case KONG_LIST:
    case KONG_MAP:
        return "table";
    }
    return "nil";
}

struct kong_str lua_tostring(struct arena *arena, const struct kong_value *value) {
    int64_t integer = 0;
    if (value->type == KONG_STRING) {
        return arena_copy(arena, value->string.data == NULL ? "" : value->string.data,
                          value->string.len);
    }
    if (value->type == KONG_BOOLEAN) {
        return kong_str(value->boolean ? "true" : "false");
    }
    if (value->type != KONG_INTEGER && value->type != KONG_NUMBER) {
        return (struct kong_str){NULL, 0};
    }
    /* Lua 5.1 knows doubles only and prints them with 14 digits. */
    if (value_to_integer(value, &integer) && integer < 100000000000000 &&
        integer > -100000000000000) {
        return arena_printf(arena, "%lld", (long long)integer);
    }
    return arena_printf(arena, "%.14g",
                        value->type == KONG_INTEGER ? (double)value->integer : value->number);
}

static bool is_unreserved(unsigned char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.' || c == '_' || c == '~';
}

static void escape_into(struct buffer *out, struct kong_str text) {
    static const char digits[] = "0123456789ABCDEF";
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.data[i];
        if (is_unreserved(c)) {
            buffer_append_byte(out, c);
        } else {
            char escaped[3] = {'%', digits[c >> 4], digits[c & 15]};
            buffer_append(out, escaped, sizeof escaped);
        }
    }
}

/* One argument: "name=value", "name" for true, nothing for false. False for a type that
 * ngx.encode_args refuses. */
static bool encode_argument(struct buffer *out, struct arena *arena, struct kong_str name,
                            const struct kong_value *value) {
    if (value->type == KONG_BOOLEAN && !value->boolean) {
        return true;
    }
    if (out->len > 0) {
        buffer_append_byte(out, '&');
    }
    escape_into(out, name);
    if (value->type == KONG_BOOLEAN) {
        return true;
    }
    if (value->type != KONG_STRING && value->type != KONG_INTEGER && value->type != KONG_NUMBER) {
        return false;
    }
    buffer_append_byte(out, '=');
    escape_into(out, lua_tostring(arena, value));
    return true;
}

static void write_form(struct buffer *out, struct kong_str text) {
    static const char digits[] = "0123456789ABCDEF";
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.data[i];
        if (c == ' ') {
            buffer_append_byte(out, '+');
        } else if ((is_unreserved(c) && c != '~') || c == '*') {
            buffer_append_byte(out, c);
        } else {
            char escaped[3] = {'%', digits[c >> 4], digits[c & 15]};
            buffer_append(out, escaped, sizeof escaped);
        }
    }
}

struct kong_str query_write(const struct fields *args, struct arena *arena) {
    struct buffer out;
    struct kong_str text = {NULL, 0};
    buffer_init(&out, (size_t)16 << 20);
    for (size_t i = 0; i < args->count; i++) {
        if (i > 0) {
            buffer_append_byte(&out, '&');
        }
        write_form(&out, args->items[i].name);
        buffer_append_byte(&out, '=');
        write_form(&out, args->items[i].value);
    }
    if (!out.failed) {
        text = arena_copy(arena, out.data == NULL ? (const void *)"" : out.data, out.len);
    }
    buffer_free(&out);
    return text;
}

struct kong_str query_escape(struct arena *arena, struct kong_str text) {
    static const char digits[] = "0123456789ABCDEF";
    char *out = arena_array(arena, text.len + 1, 3);
    size_t n = 0;
    if (out == NULL) {
        return (struct kong_str){NULL, 0};
    }
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.data[i];
        if (c <= ' ' || c == 127) {
            out[n++] = '%';
            out[n++] = digits[c >> 4];
            out[n++] = digits[c & 15];
        } else {
            out[n++] = (char)c;
        }
    }
    out[n] = '\0';
    return (struct kong_str){out, n};
}

static int compare_text(const void *a, const void *b) {
    const struct kong_str *left = a;
    const struct kong_str *right = b;
    size_t shorter = left->len < right->len ? left->len : right->len;
    int order = shorter == 0 ? 0 : memcmp(left->data, right->data, shorter);
    if (order != 0) {
        return order;
    }
    return left->len < right->len ? -1 : left->len > right->len;
}

/* All values of one name, joined by '&': of a table whatever its keys are. */
static int encode_pair(const struct kong_pair *pair, struct arena *arena, struct kong_str *text,
                       const char **bad_type) {
    struct buffer out;
    int result = 0;
    bool list = pair->value.type == KONG_LIST;
    bool map = pair->value.type == KONG_MAP;
    size_t count = list ? pair->value.list.count : map ? pair->value.map.count : 1;
    buffer_init(&out, (size_t)16 << 20);
    for (size_t i = 0; i < count && result == 0; i++) {
        const struct kong_value *value = list  ? &pair->value.list.items[i]
                                         : map ? &pair->value.map.pairs[i].value
                                               : &pair->value;
        if (!encode_argument(&out, arena, pair->key, value)) {
            *bad_type = lua_type(value);
            result = 1;
        }
    }
    if (result == 0) {
        *text = arena_copy(arena, out.data == NULL ? (const void *)"" : out.data, out.len);
        result = out.failed || text->data == NULL ? -1 : 0;
    }
    buffer_free(&out);
    return result;
}

static struct kong_str join(struct arena *arena, const struct kong_str *parts, size_t count) {
    struct buffer out;
    struct kong_str text = {NULL, 0};
    buffer_init(&out, (size_t)16 << 20);
    for (size_t i = 0; i < count; i++) {
        if (i > 0) {
            buffer_append_byte(&out, '&');
        }
        buffer_append(&out, parts[i].data, parts[i].len);
    }
    if (!out.failed) {
        text = arena_copy(arena, out.data == NULL ? (const void *)"" : out.data, out.len);
    }
    buffer_free(&out);
    return text;
}

int query_encode(const struct kong_value *map, struct arena *arena, struct kong_str *text,
                 struct kong_str *bad_key, const char **bad_type) {
    size_t count = map->type == KONG_MAP ? map->map.count : 0;
    struct kong_str *parts = arena_array(arena, count, sizeof *parts);
    if (parts == NULL) {
        return -1;
    }
    for (size_t i = 0; i < count; i++) {
        int result = encode_pair(&map->map.pairs[i], arena, &parts[i], bad_type);
        if (result != 0) {
            *bad_key = map->map.pairs[i].key;
            return result;
        }
    }
    if (count > 1) {
        qsort(parts, count, sizeof *parts, compare_text);
    }
    *text = join(arena, parts, count);
    return text->data == NULL ? -1 : 0;
}
