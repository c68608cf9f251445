/* The schema as Kong loads it out of the dump, 2.8 and 3.x. */
#include "schema_internal.h"

#include <math.h>
#include <string.h>

/* One dump. jansson takes NULL for a value as a failure, so errors add up in `failed`. */
struct dump {
    bool descriptions;
    bool failed;
};

static json_t *dump_record(struct dump *dump, const struct kong_record *record);

/* Takes over value. */
static void put(struct dump *dump, json_t *object, const char *name, json_t *value) {
    dump->failed = json_object_set_new_nocheck(object, name, value) != 0 || dump->failed;
}

static void append(struct dump *dump, json_t *list, json_t *value) {
    dump->failed = json_array_append_new(list, value) != 0 || dump->failed;
}

static void put_text(struct dump *dump, json_t *object, const char *name, const char *text) {
    if (text != NULL) {
        put(dump, object, name, json_string_nocheck(text));
    }
}

static void put_true(struct dump *dump, json_t *object, const char *name, bool value) {
    if (value) {
        put(dump, object, name, json_true());
    }
}

static void put_length(struct dump *dump, json_t *object, const char *name, size_t length) {
    if (length != 0) {
        put(dump, object, name, json_integer((json_int_t)length));
    }
}

/* A text of the author's own JSON; schema_check has seen that it is sound. */
static void put_json(struct dump *dump, json_t *object, const char *name, const char *text) {
    if (text != NULL) {
        put(dump, object, name, schema_parse_text(text, true, &dump->failed));
    }
}

/* Without ".0" where there is none, so that a limit reads as it was written. */
static json_t *dump_number(double number) {
    bool integral = floor(number) >= number && fabs(number) < 9e15;
    return integral ? json_integer((json_int_t)number) : json_real(number);
}

static json_t *dump_texts(struct dump *dump, const char *const *texts) {
    json_t *list = json_array();
    for (; *texts != NULL; texts++) {
        append(dump, list, json_string_nocheck(*texts));
    }
    return list;
}

static json_t *dump_numbers(struct dump *dump, const double *numbers, size_t count) {
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++) {
        append(dump, list, dump_number(numbers[i]));
    }
    return list;
}

static void put_texts(struct dump *dump, json_t *object, const char *name,
                      const char *const *texts) {
    if (texts != NULL) {
        put(dump, object, name, dump_texts(dump, texts));
    }
}

static void put_patterns(struct dump *dump, json_t *object, const char *name,
                         const struct kong_pattern *patterns) {
    if (patterns == NULL) {
        return;
    }
    json_t *list = json_array();
    for (; patterns->pattern != NULL; patterns++) {
        json_t *one = json_object();
        put_text(dump, one, "pattern", patterns->pattern);
        put_text(dump, one, "err", patterns->err);
        append(dump, list, one);
    }
    put(dump, object, name, list);
}

static void put_number_rules(struct dump *dump, json_t *object, const struct kong_field *field) {
    if (field->one_of_numbers.items != NULL) {
        put(dump, object, "one_of",
            dump_numbers(dump, field->one_of_numbers.items, field->one_of_numbers.count));
    }
    if (field->gt.set) {
        put(dump, object, "gt", dump_number(field->gt.limit));
    }
    if (field->between.set) {
        put(dump, object, "between",
            dump_numbers(dump, (const double[]){field->between.min, field->between.max}, 2));
    }
}

static void put_rules(struct dump *dump, json_t *object, const struct kong_field *field) {
    put_json(dump, object, "eq", field->eq_json);
    put_texts(dump, object, "one_of", field->one_of);
    put_number_rules(dump, object, field);
    put_true(dump, object, "uuid", field->uuid);
    put_length(dump, object, "len_eq", field->len_eq);
    if (field->allow_empty && field->len_min == 0) {
        put(dump, object, "len_min", json_integer(0));
    }
    put_length(dump, object, "len_min", field->len_min);
    put_length(dump, object, "len_max", field->len_max);
    put_text(dump, object, "starts_with", field->starts_with);
    put_text(dump, object, "not_match", field->not_match);
    put_patterns(dump, object, "match_none", field->match_none);
    put_text(dump, object, "match", field->match);
    put_patterns(dump, object, "match_all", field->match_all);
    if (field->match_any != NULL) {
        json_t *any = json_object();
        put_texts(dump, any, "patterns", field->match_any);
        put_text(dump, any, "err", field->match_any_err);
        put(dump, object, "match_any", any);
    }
}

static const char *const TYPES[] = {
    [KONG_FIELD_STRING] = "string", [KONG_FIELD_INTEGER] = "integer",
    [KONG_FIELD_NUMBER] = "number", [KONG_FIELD_BOOLEAN] = "boolean",
    [KONG_FIELD_ARRAY] = "array",   [KONG_FIELD_SET] = "set",
    [KONG_FIELD_MAP] = "map",       [KONG_FIELD_RECORD] = "record",
};

const char *schema_type_name(enum kong_field_type type) {
    return TYPES[type];
}

static json_t *dump_field(struct dump *dump, const struct kong_field *field) {
    json_t *object = field->record != NULL ? dump_record(dump, field->record) : json_object();

    put_text(dump, object, "type", TYPES[field->type]);
    put_true(dump, object, "required", field->required);
    put_json(dump, object, "default", field->default_json);
    put_text(dump, object, "description", dump->descriptions ? field->description : NULL);
    put_true(dump, object, "referenceable", field->referenceable);
    put_true(dump, object, "encrypted", field->encrypted);
    put_rules(dump, object, field);
    put_text(dump, object, "err", field->err);
    if (field->elements != NULL) {
        put(dump, object, "elements", dump_field(dump, field->elements));
    }
    if (field->keys != NULL) {
        put(dump, object, "keys", dump_field(dump, field->keys));
    }
    if (field->values != NULL) {
        put(dump, object, "values", dump_field(dump, field->values));
    }
    return object;
}

/* {name: value}: how Kong writes a field, and a check, in its lists. Takes over value. */
static json_t *pair(struct dump *dump, const char *name, json_t *value) {
    json_t *object = json_object();
    put(dump, object, name, value);
    return object;
}

static json_t *dump_match(struct dump *dump, const struct kong_field *rules) {
    json_t *object = json_object();
    put_true(dump, object, "required", rules->required);
    put_rules(dump, object, rules);
    return object;
}

static const char *const CHECKS[] = {
    [KONG_CHECK_AT_LEAST_ONE_OF] = "at_least_one_of",
    [KONG_CHECK_ONLY_ONE_OF] = "only_one_of",
    [KONG_CHECK_DISTINCT] = "distinct",
    [KONG_CHECK_MUTUALLY_REQUIRED] = "mutually_required",
    [KONG_CHECK_MUTUALLY_EXCLUSIVE] = "mutually_exclusive",
    [KONG_CHECK_CONDITIONAL] = "conditional",
};

const char *schema_check_name(enum kong_check_type type) {
    return CHECKS[type];
}

static json_t *dump_check(struct dump *dump, const struct kong_check *check) {
    if (check->type != KONG_CHECK_CONDITIONAL) {
        return pair(dump, CHECKS[check->type], dump_texts(dump, check->fields));
    }
    json_t *object = json_object();
    put_text(dump, object, "if_field", check->if_field);
    put(dump, object, "if_match", dump_match(dump, check->if_match));
    put_text(dump, object, "then_field", check->then_field);
    put(dump, object, "then_match", dump_match(dump, check->then_match));
    put_text(dump, object, "then_err", check->then_err);
    return pair(dump, CHECKS[check->type], object);
}

/* Without fields the list must still be there, as []. */
static json_t *dump_record(struct dump *dump, const struct kong_record *record) {
    json_t *object = json_object();
    json_t *fields = json_array();

    put_text(dump, object, "type", "record");
    for (size_t i = 0; i < record->field_count; i++) {
        const struct kong_field *field = &record->fields[i];
        append(dump, fields, pair(dump, schema_field_name(field), dump_field(dump, field)));
    }
    put(dump, object, "fields", fields);
    if (record->check_count > 0) {
        json_t *checks = json_array();
        for (size_t i = 0; i < record->check_count; i++) {
            append(dump, checks, dump_check(dump, &record->checks[i]));
        }
        put(dump, object, "entity_checks", checks);
    }
    return object;
}

/* A plugin that cannot be put on a consumer, route or service: the reference must be null. */
static void append_no_scope(struct dump *dump, json_t *fields, bool refused, const char *name,
                            const char *entity) {
    if (refused) {
        append(
            dump, fields,
            json_pack("{s:{s:s, s:s, s:n}}", name, "type", "foreign", "reference", entity, "eq"));
    }
}

json_t *schema_to_json(const struct kong_schema *schema, const char *plugin_name, unsigned phases,
                       int kong_major) {
    static const struct kong_schema NO_CONFIGURATION = {0};
    struct dump dump = {.descriptions = kong_major >= 3};
    json_t *object = json_object();
    json_t *fields = json_array();
    const char *const *protocols = schema_protocols(schema, phases);

    schema = schema != NULL ? schema : &NO_CONFIGURATION;
    put_text(&dump, object, "name", plugin_name);
    append_no_scope(&dump, fields, schema->no_consumer, "consumer", "consumers");
    append_no_scope(&dump, fields, schema->no_route, "route", "routes");
    append_no_scope(&dump, fields, schema->no_service, "service", "services");
    append(&dump, fields,
           json_pack("{s:{s:s, s:{s:s, s:o}, s:o}}", "protocols", "type", "set", "elements", "type",
                     "string", "one_of", dump_texts(&dump, protocols), "default",
                     dump_texts(&dump, protocols)));
    append(&dump, fields, pair(&dump, "config", dump_record(&dump, &schema->config)));
    put(&dump, object, "fields", fields);
    if (dump.failed || object == NULL) {
        json_decref(object);
        return NULL;
    }
    return object;
}
