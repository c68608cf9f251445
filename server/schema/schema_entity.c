/* Rules over several fields, as Kong's schema library applies them: after the fields, also when
 * some of them are wrong, with texts under "@entity". */
#include "schema_internal.h"

#include <stdio.h>
#include <string.h>

#include "text.h"

const struct kong_field *schema_field(const struct kong_record *record, const char *name,
                                      size_t len) {
    for (size_t i = 0; i < record->field_count; i++) {
        const char *own = schema_field_name(&record->fields[i]);
        if (strlen(own) == len && memcmp(own, name, len) == 0) {
            return &record->fields[i];
        }
    }
    return NULL;
}

const struct kong_field *entity_field(const struct kong_record *record, const char *path) {
    const struct kong_field *found = NULL;
    for (; record != NULL; record = found == NULL ? NULL : found->record) {
        size_t len = strcspn(path, ".");
        found = schema_field(record, path, len);
        if (path[len] == '\0') {
            return found;
        }
        path += len + 1;
    }
    return NULL;
}

const json_t *entity_value(const json_t *object, const char *path) {
    char name[SCHEMA_NAME_MAX + 1];

    for (;;) {
        size_t len = strcspn(path, ".");
        if (len > SCHEMA_NAME_MAX) {
            return NULL; /* schema_check refuses such a name */
        }
        memcpy(name, path, len);
        name[len] = '\0';
        object = json_object_get(object, name);
        if (object == NULL || path[len] == '\0') {
            return object;
        }
        path += len + 1;
    }
}

static bool is_nonempty(const json_t *value) {
    switch (value == NULL ? JSON_NULL : json_typeof(value)) {
    case JSON_NULL:
        return false;
    case JSON_STRING:
    case JSON_ARRAY:
    case JSON_OBJECT:
        return rules_length(value) > 0;
    default:
        return true;
    }
}

/* --- The single checks: true when kept ---------------------------------------------------- */

struct counts {
    size_t fields;
    size_t nonempty;
};

static struct counts count(const struct kong_check *check, const json_t *object) {
    struct counts counts = {0};
    for (; check->fields[counts.fields] != NULL; counts.fields++) {
        counts.nonempty += is_nonempty(entity_value(object, check->fields[counts.fields]));
    }
    return counts;
}

static bool are_distinct(const struct kong_check *check, const json_t *object) {
    for (size_t i = 0; check->fields[i] != NULL; i++) {
        const json_t *value = entity_value(object, check->fields[i]);
        /* Tables are the same in Lua only when they are one. */
        if (!is_nonempty(value) || json_is_array(value) || json_is_object(value)) {
            continue;
        }
        for (size_t j = 0; j < i; j++) {
            const json_t *other = entity_value(object, check->fields[j]);
            if (other != NULL && json_equal(value, other)) {
                return false;
            }
        }
    }
    return true;
}

struct check_kind {
    const char *text; /* before the list of fields */
    bool with_missing, with_invalid;
};

static const struct check_kind KINDS[] = {
    [KONG_CHECK_AT_LEAST_ONE_OF] = {"at least one of these fields must be non-empty", true, true},
    [KONG_CHECK_ONLY_ONE_OF] = {"exactly one of these fields must be non-empty", false, true},
    [KONG_CHECK_DISTINCT] = {"values of these fields must be distinct", false, true},
    [KONG_CHECK_MUTUALLY_REQUIRED] = {"all or none of these fields must be set", true, false},
    [KONG_CHECK_MUTUALLY_EXCLUSIVE] = {"only one or none of these fields must be set", true, false},
    [KONG_CHECK_CONDITIONAL] = {NULL, false, true},
};

static bool is_kept(const struct kong_check *check, const json_t *object) {
    struct counts counts = count(check, object);

    switch (check->type) {
    case KONG_CHECK_AT_LEAST_ONE_OF:
        return counts.nonempty > 0;
    case KONG_CHECK_ONLY_ONE_OF:
        return counts.nonempty == 1;
    case KONG_CHECK_DISTINCT:
        return are_distinct(check, object);
    case KONG_CHECK_MUTUALLY_REQUIRED:
        return counts.nonempty == 0 || counts.nonempty == counts.fields;
    case KONG_CHECK_MUTUALLY_EXCLUSIVE:
        return counts.nonempty <= 1;
    case KONG_CHECK_CONDITIONAL:
        break;
    }
    return true;
}

/* --- Saying so ---------------------------------------------------------------------------- */

static void say(struct entity *entity, const char *before, const char *between, const char *after) {
    struct errors error = {.name = "@entity", .index = ++entity->said};
    errors_set(entity->checker, &error, "%s%s%s", before, between, after);
    errors_attach(entity->checker, entity->errors, &error);
}

static void say_fields(struct entity *entity, const struct kong_check *check) {
    char fields[SCHEMA_TEXT];
    struct text list = TEXT_IN(fields);
    for (size_t i = 0; check->fields[i] != NULL; i++) {
        text_add(&list, "%s'%s'", i == 0 ? "" : ", ", check->fields[i]);
    }
    say(entity, KINDS[check->type].text, ": ", fields);
}

/* The author's text; its first %s stands for the name of the field that the condition is about. For
 * a missing field Kong says its own. */
static void say_then(struct entity *entity, const struct kong_check *check, bool missing) {
    char before[SCHEMA_TEXT];
    if (check->then_err == NULL || missing) {
        say(entity, "failed conditional validation given value of field '", check->if_field, "'");
        return;
    }
    const char *place = strstr(check->then_err, "%s");
    if (place == NULL) {
        say(entity, check->then_err, "", "");
        return;
    }
    snprintf(before, sizeof before, "%.*s", (int)(place - check->then_err), check->then_err);
    say(entity, before, check->if_field, place + 2);
}

void entity_condition_failed(struct entity *entity, const struct kong_check *check,
                             const struct errors *found) {
    const json_t *value = entity_value(entity->object, check->then_field);
    struct errors *at = errors_at(entity->checker, entity->errors, check->then_field);
    if (at != NULL) {
        at->text = found->text;
        at->children = found->children;
        say_then(entity, check,
                 check->then_match->required && (value == NULL || json_is_null(value)));
    }
}

/* --- Whether at all ----------------------------------------------------------------------- */

bool entity_applies(struct entity *entity, const struct kong_check *check) {
    const struct check_kind *kind = &KINDS[check->type];
    const char *const conditional[] = {check->if_field, check->then_field, NULL};
    const char *const *fields = check->type == KONG_CHECK_CONDITIONAL ? conditional : check->fields;
    bool all_absent = true, missing = false;

    for (size_t i = 0; fields[i] != NULL; i++) {
        const json_t *value = entity_value(entity->object, fields[i]);
        const struct kong_field *field = entity_field(entity->record, fields[i]);
        all_absent = all_absent && value == NULL;
        if (value != NULL && field != NULL && field->type == KONG_FIELD_STRING &&
            reference_exempts(entity->checker, field, value)) {
            return false; /* Kong did not know it when it checked */
        }
        if (errors_has(entity->errors, fields[i]) && !kind->with_invalid) {
            return false;
        }
    }
    if (all_absent && !kind->with_missing) {
        return false;
    }
    for (size_t i = 0; fields[i] != NULL && !kind->with_missing; i++) {
        bool needed = check->type != KONG_CHECK_CONDITIONAL || i == 0;
        if (needed && entity_value(entity->object, fields[i]) == NULL) {
            struct errors *at = errors_at(entity->checker, entity->errors, fields[i]);
            if (at != NULL) {
                errors_set(entity->checker, at, "field required for entity check");
            }
            missing = true;
        }
    }
    return !missing;
}

void entity_check(struct entity *entity, const struct kong_check *check) {
    if (!is_kept(check, entity->object)) {
        say_fields(entity, check);
    }
}
