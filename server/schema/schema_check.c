#include "schema_internal.h"

#include <math.h>
#include <string.h>

bool check_is_kongs_key(const char *name) {
    static const char *const KEYS[] = {
        "__key__",    "__seq__",     "__plugin_id",          "__ws_id", "route_id",
        "service_id", "consumer_id", "plugin_instance_name", "$refs",
    };
    for (size_t i = 0; i < sizeof KEYS / sizeof KEYS[0]; i++) {
        if (strcmp(name, KEYS[i]) == 0) {
            return true;
        }
    }
    return false;
}

/* --- Types -------------------------------------------------------------------------------- */

static bool has_nul(const json_t *string) {
    return strlen(json_string_value(string)) != json_string_length(string);
}

/* 2^63: what is below it, and not below its negative, fits an int64_t. */
#define INTEGER_BOUND 9223372036854775808.0

static void check_type(struct checker *checker, const struct kong_field *field,
                       const struct kong_slot *slot, const json_t *value, struct errors *errors) {
    const char *error = NULL;
    double number = json_number_value(value);

    switch (field->type) {
    case KONG_FIELD_STRING:
        if (!json_is_string(value)) {
            error = "expected a string";
        } else if (slot != NULL && slot->form == KONG_FORM_TEXT && has_nul(value)) {
            error = "expected a string without NUL"; /* ours: Kong takes any bytes */
        }
        break;
    case KONG_FIELD_INTEGER:
        if (!json_is_number(value) || floor(number) < number) {
            error = "expected an integer";
        } else if (number < -INTEGER_BOUND || number >= INTEGER_BOUND) {
            error = "integer out of range"; /* ours: Lua's numbers are doubles */
        }
        break;
    case KONG_FIELD_NUMBER:
        error = json_is_number(value) ? NULL : "expected a number";
        break;
    case KONG_FIELD_BOOLEAN:
        error = json_is_boolean(value) ? NULL : "expected a boolean";
        break;
    case KONG_FIELD_ARRAY:
        error = json_is_array(value) ? NULL : "expected an array";
        break;
    case KONG_FIELD_SET:
        error = json_is_array(value) ? NULL : "expected a set";
        break;
    /* A list is a table in Lua too: its keys are numbers. */
    case KONG_FIELD_MAP:
        error = json_is_object(value)  ? NULL
                : json_is_array(value) ? "expected a string"
                                       : "expected a map";
        break;
    case KONG_FIELD_RECORD:
        error = json_is_object(value) || json_is_array(value) ? NULL : "expected a record";
        break;
    }
    if (error != NULL) {
        errors_set(checker, errors, "%s", error);
    }
}

/* --- What values are made of -------------------------------------------------------------- */

static void check_elements(struct checker *checker, const struct kong_field *field,
                           const json_t *list, struct errors *errors) {
    size_t i;
    json_t *value;

    json_array_foreach((json_t *)list, i, value) {
        struct errors element = {.index = i + 1};
        check_value(checker, field->elements, &field->item, true, value, &element);
        errors_attach(checker, errors, &element);
    }
}

/* Kong reports the error of a map's first bad entry as an error of the map itself. */
static void check_entries(struct checker *checker, const struct kong_field *field,
                          const json_t *map, struct errors *errors) {
    const char *name;
    json_t *value;

    json_object_foreach((json_t *)map, name, value) {
        json_t *key = json_string_nocheck(name);
        if (key == NULL) {
            checker->nomem = true;
            return;
        }
        check_value(checker, field->keys, &field->item_key, true, key, errors);
        json_decref(key);
        if (!errors_any(errors)) {
            check_value(checker, field->values, &field->item, true, value, errors);
        }
        if (errors_any(errors) || checker->nomem) {
            return;
        }
    }
}

/* A list in place of a record: Lua sees a table that has numbers as keys and none of the fields. */
static void check_list_as_record(struct checker *checker, const struct kong_record *record,
                                 const json_t *list, struct errors *errors) {
    json_t *empty = json_object();
    if (empty == NULL) {
        checker->nomem = true;
        return;
    }
    defaults_fill(checker, record, empty);
    if (!checker->nomem) {
        check_record(checker, record, empty, errors);
    }
    json_decref(empty);
    for (size_t i = 0; i < json_array_size(list); i++) {
        struct errors element = {.index = i + 1};
        errors_set(checker, &element, "unknown field");
        errors_attach(checker, errors, &element);
    }
}

static void check_parts(struct checker *checker, const struct kong_field *field,
                        const json_t *value, struct errors *errors) {
    if (field->elements != NULL) {
        check_elements(checker, field, value, errors);
    } else if (field->values != NULL) {
        check_entries(checker, field, value, errors);
    } else if (field->record != NULL && json_is_array(value)) {
        check_list_as_record(checker, field->record, value, errors);
    } else if (field->record != NULL) {
        check_record(checker, field->record, value, errors);
    }
}

static bool only_null(const struct kong_field *field) {
    return field->eq_json != NULL && strcmp(field->eq_json, "null") == 0;
}

static void check_null(struct checker *checker, const struct kong_field *field, bool required,
                       struct errors *errors) {
    if (field->eq_json != NULL && !only_null(field)) {
        struct kong_field eq = {.eq_json = field->eq_json};
        json_t *null = json_null();
        rules_check(checker, &eq, null, errors);
    } else if (required) {
        errors_set(checker, errors, "required field missing");
    }
}

void check_value(struct checker *checker, const struct kong_field *field,
                 const struct kong_slot *slot, bool required, const json_t *value,
                 struct errors *errors) {
    if (value == NULL || json_is_null(value)) {
        check_null(checker, field, required, errors);
        return;
    }
    if (only_null(field)) {
        errors_set(checker, errors, "%s", field->err != NULL ? field->err : "value must be null");
        return;
    }
    check_type(checker, field, slot, value, errors);
    if (!errors_any(errors)) {
        check_parts(checker, field, value, errors);
    }
    if (!errors_any(errors) && !reference_exempts(checker, field, value)) {
        rules_check(checker, field, value, errors);
    }
}

/* --- Records ------------------------------------------------------------------------------ */

static void check_unknown(struct checker *checker, const struct kong_record *record,
                          const json_t *object, struct errors *errors) {
    const char *name;
    json_t *value;

    json_object_foreach((json_t *)object, name, value) {
        if (schema_field(record, name, strlen(name)) != NULL) {
            continue;
        }
        if (checker->source == SCHEMA_FROM_KONG) {
            bool known = check_is_kongs_key(name);
            checker->ignored = known || checker->ignored != NULL ? checker->ignored : name;
            checker->ignored_count += !known;
            continue;
        }
        struct errors unknown = {.name = name};
        errors_set(checker, &unknown, "unknown field");
        errors_attach(checker, errors, &unknown);
    }
}

/* --- Conditional -------------------------------------------------------------------------- */

#define OVERLAY(member)                                                                            \
    do {                                                                                           \
        if (rules->member) {                                                                       \
            field.member = rules->member;                                                          \
        }                                                                                          \
    } while (0)

/* The field with these rules added to its own. */
static struct kong_field with_rules(const struct kong_field *own, const struct kong_field *rules) {
    struct kong_field field = *own;

    OVERLAY(required);
    OVERLAY(eq_json);
    OVERLAY(one_of);
    if (rules->one_of_numbers.items != NULL) {
        field.one_of_numbers = rules->one_of_numbers;
    }
    if (rules->gt.set) {
        field.gt = rules->gt;
    }
    OVERLAY(uuid);
    if (rules->between.set) {
        field.between = rules->between;
    }
    OVERLAY(len_eq);
    OVERLAY(len_min);
    OVERLAY(len_max);
    OVERLAY(allow_empty);
    OVERLAY(starts_with);
    OVERLAY(not_match);
    OVERLAY(match_none);
    OVERLAY(match);
    OVERLAY(match_all);
    OVERLAY(match_any);
    OVERLAY(match_any_err);
    return field;
}

static void check_conditional(struct entity *entity, const struct kong_check *check) {
    const struct kong_field *if_own = entity_field(entity->record, check->if_field);
    const struct kong_field *then_own = entity_field(entity->record, check->then_field);
    if (if_own == NULL || then_own == NULL) {
        return; /* schema_check refuses such a table */
    }
    struct errors ignored = {0};
    struct kong_field field = with_rules(if_own, check->if_match);
    check_value(entity->checker, &field, &if_own->slot, field.required,
                entity_value(entity->object, check->if_field), &ignored);
    if (errors_any(&ignored) || entity->checker->nomem) {
        return;
    }
    struct errors found = {0};
    field = with_rules(then_own, check->then_match);
    check_value(entity->checker, &field, &then_own->slot, field.required,
                entity_value(entity->object, check->then_field), &found);
    if (errors_any(&found) && !entity->checker->nomem) {
        entity_condition_failed(entity, check, &found);
    }
}

void check_record(struct checker *checker, const struct kong_record *record, const json_t *object,
                  struct errors *errors) {
    struct entity entity = {
        .checker = checker, .record = record, .object = object, .errors = errors};

    for (size_t i = 0; i < record->field_count; i++) {
        const struct kong_field *field = &record->fields[i];
        struct errors here = {.name = schema_field_name(field)};
        check_value(checker, field, &field->slot, field->required,
                    json_object_get(object, schema_field_name(field)), &here);
        errors_attach(checker, errors, &here);
    }
    check_unknown(checker, record, object, errors);
    for (size_t i = 0; i < record->check_count && !checker->nomem; i++) {
        const struct kong_check *check = &record->checks[i];
        if (!entity_applies(&entity, check)) {
            continue;
        }
        if (check->type == KONG_CHECK_CONDITIONAL) {
            check_conditional(&entity, check);
        } else {
            entity_check(&entity, check);
        }
    }
}
