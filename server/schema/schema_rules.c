#include "schema_internal.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "lua_pattern.h"

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

/* A rule. True when the field does not have it, or the value keeps it; otherwise it sets the error.
 */
typedef bool rule(struct checker *checker, const struct kong_field *field, const json_t *value,
                  struct errors *errors);

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

static bool rule_eq(struct checker *checker, const struct kong_field *field, const json_t *value,
                    struct errors *errors) {
    if (field->eq_json == NULL) {
        return true;
    }
    json_t *wanted = schema_parse_text(field->eq_json, false, &checker->nomem);
    if (wanted == NULL) {
        return true;
    }
    bool equal = json_equal(value, wanted);
    if (!equal) {
        char text[256];
        scalar_text(wanted, text, sizeof text);
        errors_set(checker, errors, "value must be %s", text);
    }
    json_decref(wanted);
    return equal;
}

static bool string_is(const json_t *value, const char *text) {
    return json_string_length(value) == strlen(text) &&
           memcmp(json_string_value(value), text, strlen(text)) == 0;
}

/* "a, b, c" in the arena; count is found by the list's NULL or given with numbers. */
static struct kong_str join(struct checker *checker, const char *const *texts,
                            const struct kong_numbers *numbers) {
    struct kong_str joined = arena_copy(checker->arena, "", 0);
    char text[32];

    for (size_t i = 0; texts != NULL ? texts[i] != NULL : i < numbers->count; i++) {
        if (texts == NULL) {
            rules_number_text(numbers->items[i], text);
        }
        joined = arena_printf(checker->arena, "%s%s%s", joined.data == NULL ? "" : joined.data,
                              i == 0 ? "" : ", ", texts != NULL ? texts[i] : text);
    }
    if (joined.data == NULL) {
        checker->nomem = true;
        return kong_str("");
    }
    return joined;
}

static bool rule_one_of(struct checker *checker, const struct kong_field *field,
                        const json_t *value, struct errors *errors) {
    if (field->one_of == NULL) {
        return true;
    }
    for (const char *const *option = field->one_of; *option != NULL; option++) {
        if (string_is(value, *option)) {
            return true;
        }
    }
    errors_set(checker, errors, "expected one of: %s", join(checker, field->one_of, NULL).data);
    return false;
}

static bool rule_one_of_numbers(struct checker *checker, const struct kong_field *field,
                                const json_t *value, struct errors *errors) {
    if (field->one_of_numbers.items == NULL) {
        return true;
    }
    for (size_t i = 0; i < field->one_of_numbers.count; i++) {
        /* Exact, as Lua compares. */
        if (!(json_number_value(value) < field->one_of_numbers.items[i]) &&
            !(json_number_value(value) > field->one_of_numbers.items[i])) {
            return true;
        }
    }
    errors_set(checker, errors, "expected one of: %s",
               join(checker, NULL, &field->one_of_numbers).data);
    return false;
}

static bool rule_gt(struct checker *checker, const struct kong_field *field, const json_t *value,
                    struct errors *errors) {
    char limit[32];

    if (!field->gt.set || json_number_value(value) > field->gt.limit) {
        return true;
    }
    rules_number_text(field->gt.limit, limit);
    errors_set(checker, errors, "value must be greater than %s", limit);
    return false;
}

static bool rule_uuid(struct checker *checker, const struct kong_field *field, const json_t *value,
                      struct errors *errors) {
    if (!field->uuid) {
        return true;
    }
    const char *text = json_string_value(value);
    bool valid = json_string_length(value) == 36;
    for (size_t i = 0; valid && i < 36; i++) {
        valid = i == 8 || i == 13 || i == 18 || i == 23
                    ? text[i] == '-'
                    : text[i] != '\0' && strchr("0123456789abcdefABCDEF", text[i]) != NULL;
    }
    if (!valid) {
        errors_set(checker, errors, "expected a valid UUID");
    }
    return valid;
}

static bool rule_between(struct checker *checker, const struct kong_field *field,
                         const json_t *value, struct errors *errors) {
    double number = json_number_value(value);

    if (!field->between.set || (number >= field->between.min && number <= field->between.max)) {
        return true;
    }
    errors_set(checker, errors, "value should be between %.0f and %.0f", trunc(field->between.min),
               trunc(field->between.max));
    return false;
}

static bool rule_len(struct checker *checker, const struct kong_field *field, const json_t *value,
                     struct errors *errors) {
    size_t len = rules_length(value);
    /* An empty string is refused unless the field says otherwise. */
    size_t min =
        field->len_min == 0 && json_is_string(value) && !field->allow_empty ? 1 : field->len_min;

    if (field->len_eq != 0 && len != field->len_eq) {
        errors_set(checker, errors, "length must be %zu", field->len_eq);
    } else if (len < min) {
        errors_set(checker, errors, "length must be at least %zu", min);
    } else if (field->len_max != 0 && len > field->len_max) {
        errors_set(checker, errors, "length must be at most %zu", field->len_max);
    } else {
        return true;
    }
    return false;
}

static bool rule_starts_with(struct checker *checker, const struct kong_field *field,
                             const json_t *value, struct errors *errors) {
    if (field->starts_with == NULL) {
        return true;
    }
    size_t len = strlen(field->starts_with);
    if (json_string_length(value) >= len &&
        memcmp(json_string_value(value), field->starts_with, len) == 0) {
        return true;
    }
    errors_set(checker, errors, "should start with: %s", field->starts_with);
    return false;
}

/* --- Patterns ----------------------------------------------------------------------------- */

enum verdict { NO_MATCH, MATCH, UNDECIDED };

/* UNDECIDED, and said so, when the search was given up or the pattern is broken. */
static enum verdict match(struct checker *checker, const char *pattern, const json_t *value,
                          struct errors *errors) {
    struct lua_pattern_match found;
    int rc = lua_pattern_find(pattern, strlen(pattern), json_string_value(value),
                              json_string_length(value), &found);
    if (rc < 0) {
        errors_set(checker, errors, "cannot be checked: %s", found.error);
        return UNDECIDED;
    }
    return rc == 1 ? MATCH : NO_MATCH;
}

/* text: of the rule's own; NULL for Kong's. */
static bool invalid_value(struct checker *checker, const json_t *value, const char *text,
                          struct errors *errors) {
    if (text != NULL) {
        errors_set(checker, errors, "%s", text);
    } else {
        char shown[SCHEMA_SHOWN + 1];
        errors_set(checker, errors, "invalid value: %s",
                   errors_cut(json_string_value(value), shown, sizeof shown));
    }
    return false;
}

static bool rule_not_match(struct checker *checker, const struct kong_field *field,
                           const json_t *value, struct errors *errors) {
    if (field->not_match == NULL) {
        return true;
    }
    enum verdict verdict = match(checker, field->not_match, value, errors);
    return verdict == MATCH ? invalid_value(checker, value, NULL, errors) : verdict == NO_MATCH;
}

static bool rule_match(struct checker *checker, const struct kong_field *field, const json_t *value,
                       struct errors *errors) {
    if (field->match == NULL) {
        return true;
    }
    enum verdict verdict = match(checker, field->match, value, errors);
    return verdict == NO_MATCH ? invalid_value(checker, value, NULL, errors) : verdict == MATCH;
}

static bool match_list(struct checker *checker, const struct kong_pattern *list,
                       enum verdict wanted, const json_t *value, struct errors *errors) {
    for (; list != NULL && list->pattern != NULL; list++) {
        enum verdict verdict = match(checker, list->pattern, value, errors);
        if (verdict == UNDECIDED) {
            return false;
        }
        if (verdict != wanted) {
            return invalid_value(checker, value, list->err, errors);
        }
    }
    return true;
}

static bool rule_match_none(struct checker *checker, const struct kong_field *field,
                            const json_t *value, struct errors *errors) {
    return match_list(checker, field->match_none, NO_MATCH, value, errors);
}

static bool rule_match_all(struct checker *checker, const struct kong_field *field,
                           const json_t *value, struct errors *errors) {
    return match_list(checker, field->match_all, MATCH, value, errors);
}

static bool rule_match_any(struct checker *checker, const struct kong_field *field,
                           const json_t *value, struct errors *errors) {
    if (field->match_any == NULL) {
        return true;
    }
    for (const char *const *pattern = field->match_any; *pattern != NULL; pattern++) {
        enum verdict verdict = match(checker, *pattern, value, errors);
        if (verdict != NO_MATCH) {
            return verdict == MATCH;
        }
    }
    return invalid_value(checker, value, field->match_any_err, errors);
}

/* The order in which Kong applies them. */
static rule *const RULES[] = {
    rule_eq,      rule_one_of,    rule_one_of_numbers, rule_gt,        rule_uuid,
    rule_between, rule_len,       rule_starts_with,    rule_not_match, rule_match_none,
    rule_match,   rule_match_all, rule_match_any,
};

void rules_check(struct checker *checker, const struct kong_field *field, const json_t *value,
                 struct errors *errors) {
    for (size_t i = 0; i < sizeof RULES / sizeof RULES[0]; i++) {
        if (!RULES[i](checker, field, value, errors)) {
            if (field->err != NULL) {
                errors_set(checker, errors, "%s", field->err);
            }
            return;
        }
    }
}
