/* Checks the table itself for what Kong would refuse, and for mistakes that Kong would not report.
 */
#include "schema_internal.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "limit.h"
#include "lua_pattern.h"
#include "text.h"

/* Where in the table, from the inside out. */
struct place {
    const struct place *up;
    const char *name;
    unsigned depth;
};

struct table_check {
    struct arena arena; /* of one default's check at a time */
    char *error;
    size_t error_size;
};

static void add_place(struct text *text, const struct place *place) {
    if (place->up != NULL) {
        add_place(text, place->up);
        text_add(text, ".");
    }
    text_add(text, "%s", place->name);
}

static int complain(struct table_check *check, const struct place *place, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static int complain(struct table_check *check, const struct place *place, const char *format, ...) {
    char path[256], reason[512];
    struct text text = TEXT_IN(path);
    va_list args;

    va_start(args, format);
    vsnprintf(reason, sizeof reason, format, args);
    va_end(args);
    add_place(&text, place);
    snprintf(check->error, check->error_size, "schema: %s: %s", path, reason);
    return -1;
}

/* --- Rules -------------------------------------------------------------------------------- */

enum {
    ON_STRING = 1 << KONG_FIELD_STRING,
    ON_NUMBER = 1 << KONG_FIELD_INTEGER | 1 << KONG_FIELD_NUMBER,
    ON_SCALAR = ON_STRING | ON_NUMBER | 1 << KONG_FIELD_BOOLEAN,
    ON_LIST = 1 << KONG_FIELD_ARRAY | 1 << KONG_FIELD_SET,
    ON_MAP = 1 << KONG_FIELD_MAP,
    ON_RECORD = 1 << KONG_FIELD_RECORD,
};

/* A name of an attribute that the field has and its type cannot have; NULL. */
static const char *misplaced(const struct kong_field *field, enum kong_field_type type) {
    const struct {
        const char *name;
        bool used;
        int on;
    } attributes[] = {
        {"eq", field->eq_json != NULL, ON_SCALAR},
        {"one_of", field->one_of != NULL, ON_STRING},
        {"one_of_numbers", field->one_of_numbers.items != NULL, ON_NUMBER},
        {"gt", field->gt.set, ON_NUMBER},
        {"uuid", field->uuid, ON_STRING},
        {"between", field->between.set, ON_NUMBER},
        {"len_eq", field->len_eq != 0, ON_STRING | ON_LIST | ON_MAP},
        {"len_min", field->len_min != 0, ON_STRING | ON_LIST | ON_MAP},
        {"len_max", field->len_max != 0, ON_STRING | ON_LIST | ON_MAP},
        {"allow_empty", field->allow_empty, ON_STRING},
        {"starts_with", field->starts_with != NULL, ON_STRING},
        {"not_match", field->not_match != NULL, ON_STRING},
        {"match_none", field->match_none != NULL, ON_STRING},
        {"match", field->match != NULL, ON_STRING},
        {"match_all", field->match_all != NULL, ON_STRING},
        {"match_any", field->match_any != NULL, ON_STRING},
        {"referenceable", field->referenceable, ON_STRING},
        {"encrypted", field->encrypted, ON_STRING},
        {"elements", field->elements != NULL, ON_LIST},
        {"keys", field->keys != NULL, ON_MAP},
        {"values", field->values != NULL, ON_MAP},
        {"fields", field->record != NULL, ON_RECORD},
    };
    for (size_t i = 0; i < sizeof attributes / sizeof attributes[0]; i++) {
        if (attributes[i].used && (attributes[i].on & 1 << type) == 0) {
            return attributes[i].name;
        }
    }
    return NULL;
}

static int check_pattern(struct table_check *check, const struct place *place, const char *rule,
                         const char *pattern) {
    const char *error;

    if (pattern == NULL) {
        return 0;
    }
    if (pattern[0] == '\0') {
        return complain(check, place, "%s is empty: Kong takes no empty text", rule);
    }
    if (lua_pattern_check(pattern, strlen(pattern), &error) == 0) {
        return 0;
    }
    return complain(check, place, "%s \"%s\": %s", rule, pattern, error);
}

static int check_pattern_list(struct table_check *check, const struct place *place,
                              const char *rule, const struct kong_pattern *list) {
    for (; list != NULL && list->pattern != NULL; list++) {
        if (check_pattern(check, place, rule, list->pattern) != 0) {
            return -1;
        }
    }
    return 0;
}

static int check_patterns(struct table_check *check, const struct place *place,
                          const struct kong_field *field) {
    const char *const *any = field->match_any;

    for (; any != NULL && *any != NULL; any++) {
        if (check_pattern(check, place, "match_any", *any) != 0) {
            return -1;
        }
    }
    if (check_pattern(check, place, "match", field->match) != 0 ||
        check_pattern(check, place, "not_match", field->not_match) != 0 ||
        check_pattern_list(check, place, "match_all", field->match_all) != 0 ||
        check_pattern_list(check, place, "match_none", field->match_none) != 0) {
        return -1;
    }
    return 0;
}

static int check_eq(struct table_check *check, const struct place *place,
                    const struct kong_field *field) {
    bool nomem = false;

    if (field->eq_json == NULL) {
        return 0;
    }
    json_t *eq = schema_parse_text(field->eq_json, true, &nomem);
    bool scalar = eq != NULL && !json_is_array(eq) && !json_is_object(eq);
    json_decref(eq);
    if (nomem) {
        return complain(check, place, "out of memory");
    }
    return scalar ? 0 : complain(check, place, "eq_json is not the JSON text of a scalar");
}

static bool is_whole(double number) {
    return floor(number) >= number;
}

/* The rules of a field, or of a conditional for a field of this type. */
static int check_rules(struct table_check *check, const struct place *place,
                       const struct kong_field *field, enum kong_field_type type) {
    const char *name = misplaced(field, type);

    if (name != NULL) {
        return complain(check, place, "%s is not for the type %s", name, schema_type_name(type));
    }
    if (field->one_of != NULL && field->one_of[0] == NULL) {
        return complain(check, place, "one_of is empty");
    }
    if ((field->starts_with != NULL && field->starts_with[0] == '\0') ||
        (field->err != NULL && field->err[0] == '\0')) {
        return complain(check, place, "starts_with or err is empty: Kong takes no empty text");
    }
    if (field->between.set && !(field->between.min <= field->between.max)) {
        return complain(check, place, "between: nothing is");
    }
    if (field->between.set && !(is_whole(field->between.min) && is_whole(field->between.max))) {
        return complain(check, place, "between: Kong 2.8 takes whole numbers only");
    }
    if (field->len_max != 0 && field->len_min > field->len_max) {
        return complain(check, place, "len_min is above len_max");
    }
    if (field->match_any_err != NULL && field->match_any == NULL) {
        return complain(check, place, "match_any_err without match_any");
    }
    return check_eq(check, place, field) != 0 ? -1 : check_patterns(check, place, field);
}

/* --- Memory ----------------------------------------------------------------------------------
 *
 * Finds mistakes in tables written without the macros, and records with the fields of another
 * struct.
 */

static bool is_slot_sound(const struct kong_field *field, const struct kong_slot *slot) {
    static const size_t sizes[] = {[KONG_FIELD_INTEGER] = sizeof(int64_t),
                                   [KONG_FIELD_NUMBER] = sizeof(double),
                                   [KONG_FIELD_BOOLEAN] = sizeof(bool)};
    if (field->type == KONG_FIELD_STRING) {
        return (slot->form == KONG_FORM_TEXT && slot->size == sizeof(const char *)) ||
               (slot->form == KONG_FORM_BYTES && slot->size == sizeof(struct kong_str));
    }
    if (field->elements != NULL || field->values != NULL) {
        return slot->form == KONG_FORM_VALUE && slot->size == sizeof(void *) + sizeof(size_t);
    }
    size_t size = field->record != NULL ? field->record->size : sizes[field->type];
    return (slot->form == KONG_FORM_VALUE && slot->size == size) ||
           (slot->form == KONG_FORM_POINTER && slot->size == sizeof(void *));
}

static bool is_inside(const struct kong_slot *slot, size_t size) {
    return slot->size <= size && slot->offset <= size - slot->size;
}

/* --- Fields ------------------------------------------------------------------------------- */

static int check_table_record(struct table_check *check, const struct place *place,
                              const struct kong_record *record);
static int check_table_field(struct table_check *check, const struct place *place,
                             const struct kong_field *field, const struct kong_slot *slot,
                             size_t size);

/* What lists, maps and records are made of. */
static int check_parts(struct table_check *check, const struct place *place,
                       const struct kong_field *field) {
    bool map = field->type == KONG_FIELD_MAP;
    const struct place keys = {place, "(keys)", place->depth + 1};
    const struct place values = {place, map ? "(values)" : "(elements)", place->depth + 1};
    if (field->type < KONG_FIELD_ARRAY) {
        return 0;
    }
    if (field->type == KONG_FIELD_RECORD) {
        return check_table_record(check, place, field->record);
    }
    if (map && (field->keys == NULL || field->values == NULL)) {
        return complain(check, place, "a map needs keys and values");
    }
    if (map && field->keys->type != KONG_FIELD_STRING) {
        return complain(check, place, "the keys of a map are strings");
    }
    if (map &&
        check_table_field(check, &keys, field->keys, &field->item_key, field->item_size) != 0) {
        return -1;
    }
    const struct kong_field *item = map ? field->values : field->elements;
    return item == NULL ? complain(check, place, "a list needs elements")
                        : check_table_field(check, &values, item, &field->item, field->item_size);
}

/* A default must keep the field's own rules: Kong does not start otherwise. */
static int check_default(struct table_check *check, const struct place *place,
                         const struct kong_field *field, const struct kong_slot *slot) {
    struct checker checker = {.arena = &check->arena};
    struct schema_result result = {0};
    struct errors errors = {0};

    if (field->default_json == NULL) {
        return 0;
    }
    json_t *value = schema_parse_text(field->default_json, false, &checker.nomem);
    if (value == NULL && !checker.nomem) {
        return complain(check, place, "the default is not JSON: %s", field->default_json);
    }
    json_t *instead = value == NULL ? NULL : defaults_fill_value(&checker, field, value);
    if (!checker.nomem) {
        check_value(&checker, field, slot, true, instead != NULL ? instead : value, &errors);
    }
    if (!checker.nomem && errors_any(&errors)) {
        errors_report(&checker, &errors, "default", &check->arena, &result);
    }
    int rc = checker.nomem      ? complain(check, place, "out of memory")
             : result.count > 0 ? complain(check, place, "%s", result.lines[0])
                                : 0;
    json_decref(instead);
    json_decref(value);
    arena_reset(&check->arena);
    return rc;
}

static int check_table_field(struct table_check *check, const struct place *place,
                             const struct kong_field *field, const struct kong_slot *slot,
                             size_t size) {
    if (field->type < KONG_FIELD_STRING || field->type > KONG_FIELD_RECORD) {
        return complain(check, place, "no type");
    }
    if (place->depth > LIMIT_NESTING) {
        return complain(check, place, "nested deeper than %d", LIMIT_NESTING);
    }
    if (field->type == KONG_FIELD_RECORD && field->record == NULL) {
        return complain(check, place, "a record needs fields");
    }
    if (check_rules(check, place, field, field->type) != 0 ||
        check_parts(check, place, field) != 0) {
        return -1;
    }
    if (!is_slot_sound(field, slot) || !is_inside(slot, size)) {
        return complain(check, place, "the struct has no such member");
    }
    size_t len = field->description == NULL ? 10 : strlen(field->description);
    if (len < 10 || len > 500) {
        return complain(check, place, "Kong takes descriptions of 10 to 500 bytes");
    }
    return check_default(check, place, field, slot);
}

/* --- Records ------------------------------------------------------------------------------ */

static int check_name(struct table_check *check, const struct place *place,
                      const struct kong_record *record, size_t i) {
    const char *name = schema_field_name(&record->fields[i]);

    if (name == NULL || name[0] == '\0' || strlen(name) > SCHEMA_NAME_MAX || name[0] == '@' ||
        strchr(name, '.') != NULL) {
        return complain(check, place, "field %zu has no name, or one with '.' or '@'", i + 1);
    }
    if ((place->up == NULL || name[0] == '$') && check_is_kongs_key(name)) {
        return complain(check, place, "\"%s\" is a key of Kong's own", name);
    }
    for (size_t j = 0; j < i; j++) {
        if (strcmp(schema_field_name(&record->fields[j]), name) == 0) {
            return complain(check, place, "two fields are named \"%s\"", name);
        }
    }
    return 0;
}

static int check_condition(struct table_check *check, const struct place *place,
                           const struct kong_record *record, const char *name,
                           const struct kong_field *rules) {
    const struct kong_field *field = name == NULL ? NULL : entity_field(record, name);

    if (field == NULL || rules == NULL) {
        return complain(check, place, "conditional: no field \"%s\", or no rules for it",
                        name == NULL ? "" : name);
    }
    if (rules->err != NULL) {
        return complain(check, place, "conditional: Kong takes no err there");
    }
    return check_rules(check, place, rules, field->type);
}

static int check_entity_check(struct table_check *check, const struct place *place,
                              const struct kong_record *record, const struct kong_check *entity) {
    if (entity->type < KONG_CHECK_AT_LEAST_ONE_OF || entity->type > KONG_CHECK_CONDITIONAL) {
        return complain(check, place, "an entity check without a type");
    }
    if (entity->type == KONG_CHECK_CONDITIONAL) {
        const char *percent = entity->then_err == NULL ? NULL : strchr(entity->then_err, '%');
        if (percent != NULL && (percent[1] != 's' || strchr(percent + 1, '%') != NULL)) {
            return complain(check, place, "conditional: then_err takes one %%s, and no other %%");
        }
        return check_condition(check, place, record, entity->if_field, entity->if_match) != 0
                   ? -1
                   : check_condition(check, place, record, entity->then_field, entity->then_match);
    }
    if (entity->fields == NULL || entity->fields[0] == NULL) {
        return complain(check, place, "%s of no fields", schema_check_name(entity->type));
    }
    for (const char *const *name = entity->fields; *name != NULL; name++) {
        if (entity_field(record, *name) == NULL) {
            return complain(check, place, "%s: no field \"%s\"", schema_check_name(entity->type),
                            *name);
        }
    }
    return 0;
}

static int check_table_record(struct table_check *check, const struct place *place,
                              const struct kong_record *record) {
    for (size_t i = 0; i < record->field_count; i++) {
        const struct kong_field *field = &record->fields[i];
        struct place here = {place, schema_field_name(field), place->depth + 1};
        if (check_name(check, place, record, i) != 0 ||
            check_table_field(check, &here, field, &field->slot, record->size) != 0) {
            return -1;
        }
    }
    for (size_t i = 0; i < record->check_count; i++) {
        if (check_entity_check(check, place, record, &record->checks[i]) != 0) {
            return -1;
        }
    }
    return 0;
}

/* Memory to check one default: little, and none of the configuration's. */
#define SCRATCH ((size_t)1 << 20)

int schema_check(const struct kong_schema *schema, char *error, size_t error_size) {
    struct table_check check = {.error = error, .error_size = error_size};
    struct place root = {.name = "config"};

    if (schema == NULL) {
        return 0;
    }
    arena_init(&check.arena, SCRATCH);
    int rc = check_table_record(&check, &root, &schema->config);
    arena_free(&check.arena);
    return rc;
}
