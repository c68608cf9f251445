/* The schema as Lua, for Konnect and decK. It is made of the JSON that Kong gets, so that both say
 * the same. */
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "buffer.h"
#include "dump.h"
#include "limit.h"
#include "schema.h"
#include "settings.h"

#define INDENT 2u

static void new_line(struct buffer *out, unsigned depth) {
    buffer_printf(out, "\n%*s", (int)(depth * INDENT), "");
}

/* Decimal escapes, which Lua 5.1 has; UTF-8 stays as it is. */
static void append_string(struct buffer *out, const char *text, size_t len) {
    buffer_append_byte(out, '"');
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c == '"' || c == '\\') {
            buffer_printf(out, "\\%c", c);
        } else if (c < 0x20 || c == 0x7f) {
            buffer_printf(out, "\\%03u", c);
        } else {
            buffer_append_byte(out, c);
        }
    }
    buffer_append_byte(out, '"');
}

static bool is_name(const char *key) {
    static const char reserved[] =
        "and break do else elseif end false for function if in local nil "
        "not or repeat return then true until while goto";
    return !settings_list_has(reserved, key) && key[0] != '\0' && (key[0] < '0' || key[0] > '9') &&
           key[strspn(key, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_")] ==
               '\0';
}

static void append_key(struct buffer *out, const char *key) {
    if (is_name(key)) {
        buffer_append_text(out, key);
    } else {
        buffer_append_text(out, "[");
        append_string(out, key, strlen(key));
        buffer_append_text(out, "]");
    }
    buffer_append_text(out, " = ");
}

static void append_number(struct buffer *out, const json_t *json) {
    double number = json_number_value(json);
    if (json_is_integer(json)) {
        buffer_printf(out, "%" JSON_INTEGER_FORMAT, json_integer_value(json));
    } else if (isinf(number)) {
        buffer_printf(out, "%smath.huge", number < 0 ? "-" : "");
    } else {
        buffer_printf(out, "%.17g", number);
    }
}

/* Kong's own definitions say this in one word: { "consumer": a foreign key that must be null }. */
static bool append_typedef(struct buffer *out, const char *key, json_t *value) {
    static const char *const scopes[] = {"consumer", "route", "service"};
    for (size_t i = 0; i < sizeof scopes / sizeof *scopes; i++) {
        if (strcmp(key, scopes[i]) == 0 && json_is_null(json_object_get(value, "eq")) &&
            json_object_get(value, "reference") != NULL) {
            buffer_printf(out, "%s = typedefs.no_%s", key, key);
            return true;
        }
    }
    return false;
}

static void append_value(struct buffer *out, json_t *json, unsigned depth);

static void append_list(struct buffer *out, json_t *list, unsigned depth) {
    size_t count = json_array_size(list);
    bool flat = true;
    for (size_t i = 0; i < count; i++) {
        json_t *item = json_array_get(list, i);
        flat = flat && !json_is_object(item) && !json_is_array(item);
    }
    buffer_append_text(out, count == 0 ? "{" : flat ? "{ " : "{");
    for (size_t i = 0; i < count; i++) {
        if (!flat) {
            new_line(out, depth + 1);
        }
        append_value(out, json_array_get(list, i), depth + 1);
        buffer_append_text(out, !flat ? "," : i + 1 < count ? ", " : " ");
    }
    if (!flat) {
        new_line(out, depth);
    }
    buffer_append_text(out, "}");
}

static void append_object(struct buffer *out, json_t *object, unsigned depth) {
    const char *key;
    json_t *value;
    buffer_append_text(out, "{");
    json_object_foreach(object, key, value) {
        new_line(out, depth + 1);
        if (!append_typedef(out, key, value)) {
            append_key(out, key);
            append_value(out, value, depth + 1);
        }
        buffer_append_text(out, ",");
    }
    if (json_object_size(object) > 0) {
        new_line(out, depth);
    }
    buffer_append_text(out, "}");
}

static void append_value(struct buffer *out, json_t *json, unsigned depth) {
    if (depth > LIMIT_NESTING) {
        out->failed = true;
        return;
    }
    switch (json_typeof(json)) {
    case JSON_OBJECT:
        append_object(out, json, depth);
        break;
    case JSON_ARRAY:
        append_list(out, json, depth);
        break;
    case JSON_STRING:
        append_string(out, json_string_value(json), json_string_length(json));
        break;
    case JSON_INTEGER:
    case JSON_REAL:
        append_number(out, json);
        break;
    case JSON_TRUE:
        buffer_append_text(out, "true");
        break;
    case JSON_FALSE:
        buffer_append_text(out, "false");
        break;
    case JSON_NULL:
        buffer_append_text(out, "ngx.null");
        break;
    }
}

char *dump_lua(const struct options *options) {
    const struct kong_plugin *plugin = options->plugin;
    struct buffer text;
    struct buffer body;
    /* Konnect is newer than 2.8, so descriptions may be in it unless somebody says otherwise. */
    json_t *schema = schema_to_json(plugin->schema, plugin->name, dump_default_phases(plugin),
                                    options->kong_major == 0 ? 3 : options->kong_major);
    if (schema == NULL) {
        return NULL;
    }
    buffer_init(&text, LIMIT_FRAME);
    buffer_init(&body, LIMIT_FRAME);
    append_value(&body, schema, 0);
    json_decref(schema);
    char *table = buffer_take_text(&body);
    if (table == NULL) {
        return NULL;
    }
    if (strstr(table, "= typedefs.no_") != NULL) {
        buffer_append_text(&text, "local typedefs = require \"kong.db.schema.typedefs\"\n\n");
    }
    buffer_printf(&text, "return %s", table);
    free(table);
    return buffer_take_text(&text);
}
