#include "schema_internal.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "lua_pattern.h"
#include "text.h"

/* Texts and their order are those of Kong's schema library (kong/db/schema/init.lua, 2.8 and 3.9):
 * what a user sees here and in the Admin API's answer is the same. */

size_t rules_length(const json_t *value) {
    switch (json_typeof(value)) {
    case JSON_STRING:
        return json_string_length(value);
    case JSON_ARRAY:
        return json_array_size(value);
    case JSON_OBJECT:
        return json_object_size(value);
    default:
        return 0;
    }
}

void rules_number_text(double number, char text[32]) {
    snprintf(text, 32, "%.14g", number);
}

/* A value, the field whose rules it must keep, and where the error goes. */
struct subject {
    struct checker *checker;
    const struct kong_field *field;
    const json_t *value;
    struct errors *errors;
};

/* A rule. True when the field does not have it, or the value keeps it; otherwise it sets the error.
 */
typedef bool rule(const struct subject *s);

/* False, with this text. */
#define refuse(s_, ...) (errors_set((s_)->checker, (s_)->errors, __VA_ARGS__), false)

static void scalar_text(const json_t *value, char *text, size_t size) {
    char number[32];

    if (json_is_number(value)) {
        rules_number_text(json_number_value(value), number);
        snprintf(text, size, "%s", number);
    } else if (json_is_string(value)) {
        snprintf(text, size, "%s", json_string_value(value));
    } else {
        snprintf(text, size, "%s",
                 json_is_true(value)    ? "true"
                 : json_is_false(value) ? "false"
                                        : "null");
    }
}

static bool rule_eq(const struct subject *s) {
    json_t *wanted = s->field->eq_json == NULL
                         ? NULL
                         : schema_parse_text(s->field->eq_json, false, &s->checker->nomem);
    bool equal = wanted == NULL || json_equal(s->value, wanted);
    if (!equal) {
        char text[256];
        scalar_text(wanted, text, sizeof text);
        errors_set(s->checker, s->errors, "value must be %s", text);
    }
    json_decref(wanted);
    return equal;
}

/* Whether it begins with this text. */
static bool begins(const json_t *value, const char *text) {
    size_t len = strlen(text);
    return json_string_length(value) >= len && memcmp(json_string_value(value), text, len) == 0;
}

static bool rule_one_of(const struct subject *s) {
    const char *const *option = s->field->one_of;
    if (option == NULL) {
        return true;
    }
    for (; *option != NULL; option++) {
        if (begins(s->value, *option) && json_string_length(s->value) == strlen(*option)) {
            return true;
        }
    }
    char list[SCHEMA_TEXT];
    struct text options = TEXT_IN(list);
    for (option = s->field->one_of; *option != NULL; option++) {
        text_add_item(&options, ", ", *option);
    }
    return refuse(s, "expected one of: %s", list);
}

static bool rule_one_of_numbers(const struct subject *s) {
    const struct kong_numbers *numbers = &s->field->one_of_numbers;
    double number = json_number_value(s->value);
    if (numbers->items == NULL) {
        return true;
    }
    for (size_t i = 0; i < numbers->count; i++) {
        /* Exact, as Lua compares. */
        if (!(number < numbers->items[i]) && !(number > numbers->items[i])) {
            return true;
        }
    }
    char list[SCHEMA_TEXT], text[32];
    struct text options = TEXT_IN(list);
    for (size_t i = 0; i < numbers->count; i++) {
        rules_number_text(numbers->items[i], text);
        text_add_item(&options, ", ", text);
    }
    return refuse(s, "expected one of: %s", list);
}

static bool rule_gt(const struct subject *s) {
    char limit[32];
    if (!s->field->gt.set || json_number_value(s->value) > s->field->gt.limit) {
        return true;
    }
    rules_number_text(s->field->gt.limit, limit);
    return refuse(s, "value must be greater than %s", limit);
}

static bool rule_uuid(const struct subject *s) {
    const char *text = json_string_value(s->value);
    bool valid = json_string_length(s->value) == 36;
    for (size_t i = 0; s->field->uuid && valid && i < 36; i++) {
        valid = i == 8 || i == 13 || i == 18 || i == 23
                    ? text[i] == '-'
                    : text[i] != '\0' && strchr("0123456789abcdefABCDEF", text[i]) != NULL;
    }
    return !s->field->uuid || valid || refuse(s, "expected a valid UUID");
}

static bool rule_between(const struct subject *s) {
    double number = json_number_value(s->value);
    double min = s->field->between.min, max = s->field->between.max;
    return !s->field->between.set || (number >= min && number <= max) ||
           refuse(s, "value should be between %.0f and %.0f", trunc(min), trunc(max));
}

static bool rule_len(const struct subject *s) {
    const struct kong_field *field = s->field;
    size_t len = rules_length(s->value);
    /* An empty string is refused unless the field says otherwise. */
    size_t min =
        field->len_min == 0 && json_is_string(s->value) && !field->allow_empty ? 1 : field->len_min;
    if (field->len_eq != 0 && len != field->len_eq) {
        return refuse(s, "length must be %zu", field->len_eq);
    }
    if (len < min) {
        return refuse(s, "length must be at least %zu", min);
    }
    return field->len_max == 0 || len <= field->len_max ||
           refuse(s, "length must be at most %zu", field->len_max);
}

static bool rule_starts_with(const struct subject *s) {
    const char *start = s->field->starts_with;
    return start == NULL || begins(s->value, start) || refuse(s, "should start with: %s", start);
}

/* --- Patterns ----------------------------------------------------------------------------- */

/* 1: it matches. 0: not. Below 0, and said so: the search was given up, or the pattern is broken.
 */
static int match(const struct subject *s, const char *pattern) {
    struct lua_pattern_match found;
    int rc = lua_pattern_find(pattern, strlen(pattern), json_string_value(s->value),
                              json_string_length(s->value), &found);
    if (rc < 0) {
        errors_set(s->checker, s->errors, "cannot be checked: %s", found.error);
    }
    return rc;
}

/* text: of the rule's own; NULL for Kong's. */
static bool invalid_value(const struct subject *s, const char *text) {
    char shown[SCHEMA_SHOWN + 1];
    return text != NULL ? refuse(s, "%s", text)
                        : refuse(s, "invalid value: %s",
                                 errors_cut(json_string_value(s->value), shown, sizeof shown));
}

/* Whether each pattern of a list, which may be NULL, matches, or (wanted: 0) does not. */
static bool match_list(const struct subject *s, const struct kong_pattern *list, int wanted) {
    for (; list != NULL && list->pattern != NULL; list++) {
        int rc = match(s, list->pattern);
        if (rc != wanted) {
            return rc >= 0 && invalid_value(s, list->err);
        }
    }
    return true;
}

static bool rule_not_match(const struct subject *s) {
    const struct kong_pattern list[] = {{.pattern = s->field->not_match}, {.pattern = NULL}};
    return match_list(s, list, 0);
}

static bool rule_match_none(const struct subject *s) {
    return match_list(s, s->field->match_none, 0);
}

static bool rule_match(const struct subject *s) {
    const struct kong_pattern list[] = {{.pattern = s->field->match}, {.pattern = NULL}};
    return match_list(s, list, 1);
}

static bool rule_match_all(const struct subject *s) {
    return match_list(s, s->field->match_all, 1);
}

static bool rule_match_any(const struct subject *s) {
    const char *const *pattern = s->field->match_any;
    int rc = pattern == NULL;
    for (; rc == 0 && *pattern != NULL; pattern++) {
        rc = match(s, *pattern);
    }
    return rc != 0 ? rc > 0 : invalid_value(s, s->field->match_any_err);
}

/* The order in which Kong applies them. */
static rule *const RULES[] = {
    rule_eq,      rule_one_of,    rule_one_of_numbers, rule_gt,        rule_uuid,
    rule_between, rule_len,       rule_starts_with,    rule_not_match, rule_match_none,
    rule_match,   rule_match_all, rule_match_any,
};

void rules_check(struct checker *checker, const struct kong_field *field, const json_t *value,
                 struct errors *errors) {
    const struct subject subject = {checker, field, value, errors};
    for (size_t i = 0; i < sizeof RULES / sizeof RULES[0]; i++) {
        if (!RULES[i](&subject)) {
            if (field->err != NULL) {
                errors_set(checker, errors, "%s", field->err);
            }
            return;
        }
    }
}
