#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "buffer.h"
#include "json_text.h"
#include "limit.h"
#include "printable.h"

struct writer {
    struct arena *arena;
    bool printable;
    struct buffer out;
    const char *what;
};

static int fail(struct writer *writer, int error, const char *what) {
    writer->what = what;
    return error;
}

/* Control characters, quotes and backslashes; DEL needs none. */
static void put_escape(struct writer *writer, unsigned char byte) {
    static const char from[] = "\"\\\b\f\n\r\t", into[] = "\"\\bfnrt";
    const char *known = byte == 0 ? NULL : strchr(from, byte);
    if (known != NULL) {
        buffer_append_byte(&writer->out, '\\');
        buffer_append_byte(&writer->out, (uint8_t)into[known - from]);
    } else {
        buffer_printf(&writer->out, "\\u%04x", byte);
    }
}

static int write_string(struct writer *writer, struct kong_str string) {
    if (writer->printable) {
        size_t size = 4 * string.len + 4; /* each byte as \xNN */
        char *copy = arena_alloc(writer->arena, size);
        if (copy == NULL) {
            return KONG_E_NOMEM;
        }
        string = (struct kong_str){copy, printable_copy(copy, size, string.data, string.len)};
    }
    const unsigned char *data = (const unsigned char *)(string.len > 0 ? string.data : "");
    size_t plain = 0; /* bytes before `at` that go out as they are */
    buffer_append_byte(&writer->out, '"');
    for (size_t at = 0; at < string.len;) {
        size_t len = printable_utf8(data + at, string.len - at);
        if (len == 0) {
            return fail(writer, KONG_E_INVALID, "a text is not UTF-8");
        }
        if (data[at] >= 0x20 && data[at] != '"' && data[at] != '\\') {
            at += len;
            continue;
        }
        buffer_append(&writer->out, data + plain, at - plain);
        put_escape(writer, data[at]);
        plain = ++at;
    }
    buffer_append(&writer->out, data + plain, string.len - plain);
    buffer_append_byte(&writer->out, '"');
    return KONG_OK;
}

/* The shortest text that reads as the same number, with a point in every locale. */
static int write_number(struct writer *writer, double number) {
    char text[64];
    if (!isfinite(number)) {
        return fail(writer, KONG_E_INVALID, "a number is not finite");
    }
    for (int precision = 15; precision <= 17; precision++) {
        snprintf(text, sizeof text, "%.*g", precision, number);
        if (strtod(text, NULL) >= number && strtod(text, NULL) <= number) {
            break;
        }
    }
    const char *point = localeconv()->decimal_point;
    char *at = point[0] == '\0' ? NULL : strstr(text, point);
    if (at == NULL) {
        buffer_append_text(&writer->out, text);
        return KONG_OK;
    }
    buffer_append(&writer->out, text, (size_t)(at - text));
    buffer_append_byte(&writer->out, '.');
    buffer_append_text(&writer->out, at + strlen(point));
    return KONG_OK;
}

static int write_value(struct writer *writer, const struct kong_value *value, unsigned depth);

static int write_list(struct writer *writer, struct kong_values list, unsigned depth) {
    int error = KONG_OK;
    buffer_append_byte(&writer->out, '[');
    for (size_t i = 0; error == 0 && i < list.count; i++) {
        buffer_append_text(&writer->out, i > 0 ? "," : "");
        error = write_value(writer, &list.items[i], depth);
    }
    buffer_append_byte(&writer->out, ']');
    return error;
}

static int write_map(struct writer *writer, struct kong_pairs map, unsigned depth) {
    int error = KONG_OK;
    buffer_append_byte(&writer->out, '{');
    for (size_t i = 0; error == 0 && i < map.count; i++) {
        buffer_append_text(&writer->out, i > 0 ? "," : "");
        error = write_string(writer, map.pairs[i].key);
        buffer_append_text(&writer->out, ":");
        if (error == 0) {
            error = write_value(writer, &map.pairs[i].value, depth);
        }
    }
    buffer_append_byte(&writer->out, '}');
    return error;
}

static int write_value(struct writer *writer, const struct kong_value *value, unsigned depth) {
    switch (value->type) {
    case KONG_NIL:
        buffer_append_text(&writer->out, "null");
        break;
    case KONG_BOOLEAN:
        buffer_append_text(&writer->out, value->boolean ? "true" : "false");
        break;
    case KONG_INTEGER:
        buffer_printf(&writer->out, "%lld", (long long)value->integer);
        break;
    case KONG_NUMBER:
        return write_number(writer, value->number);
    case KONG_STRING:
        return write_string(writer, value->string);
    case KONG_LIST:
    case KONG_MAP:
        if (depth == LIMIT_NESTING) {
            return fail(writer, KONG_E_TOO_BIG, "a value is nested deeper than 32");
        }
        return value->type == KONG_LIST ? write_list(writer, value->list, depth + 1)
                                        : write_map(writer, value->map, depth + 1);
    }
    return KONG_OK;
}

static int write_all(struct writer *writer, const struct kong_value *value, struct kong_str *text) {
    *text = (struct kong_str){NULL, 0};
    buffer_init(&writer->out, LIMIT_EVENT_MEMORY);
    int error = write_value(writer, value, 0);
    if (error == 0 && writer->out.failed) {
        error = KONG_E_NOMEM;
    }
    if (error == 0) {
        *text = arena_copy(writer->arena, writer->out.data, writer->out.len);
        error = text->data == NULL ? KONG_E_NOMEM : KONG_OK;
    }
    buffer_free(&writer->out);
    return error;
}

int json_write(struct arena *arena, const struct kong_value *value, struct kong_str *text,
               const char **what) {
    struct writer writer = {.arena = arena};
    int error = write_all(&writer, value, text);
    *what = writer.what;
    return error;
}

int json_write_printable(struct arena *arena, const struct kong_value *value,
                         struct kong_str *text) {
    struct writer writer = {.arena = arena, .printable = true};
    return write_all(&writer, value, text);
}
