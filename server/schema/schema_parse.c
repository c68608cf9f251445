/* JSON texts into trees: a configuration's, and those in an author's table. */
#include "schema_internal.h"

#include <stdio.h>
#include <string.h>

#include "limit.h"

/* jansson's message; empty, and no code, in some of its cases of no memory. */
static bool is_nomem(const json_error_t *error) {
    return error->text[0] == '\0' || json_error_code(error) == json_error_out_of_memory;
}

/* Integers become reals unless `integers`: as in Lua, and none is too large. Short of memory,
 * jansson reports a string as an invalid token; so an error counts only when it comes twice. */
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

/* Counted in the bytes, before jansson recurses and allocates for each element. */
static bool has_excess(struct checker *checker, struct kong_str json, struct errors *errors) {
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
                errors_set(checker, errors, "nested deeper than %d", LIMIT_NESTING);
                return true;
            }
        } else if (!in_string && (c == ',' || c == ':')) {
            elements++;
        } else if (!in_string && (c == ']' || c == '}') && depth > 0) {
            depth--;
        }
    }
    if (elements > LIMIT_CONFIG_ELEMENTS) {
        errors_set(checker, errors, "%zu elements, limit %zu", elements, LIMIT_CONFIG_ELEMENTS);
        return true;
    }
    return false;
}

json_t *schema_parse_config(struct checker *checker, struct kong_str text, struct errors *errors) {
    if (text.data == NULL) {
        text = kong_str("{}");
    }
    if (has_excess(checker, text, errors)) {
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
