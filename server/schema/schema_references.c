/* Vault references. Kong puts the secret into its place, and the reference under "$refs" beside it:
 * {"secret": "s3cr3t", "$refs": {"secret": "{vault://env/x}"}}; of a list or a map the references
 * of its elements: {"keys": ["s3cr3t"], "$refs": {"keys": ["{vault://env/k}"]}}, with null where an
 * element is none, or as an object by position, from 1 (kong/db/schema/init.lua, 3.9). */
#include "schema_internal.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* {vault://...}. NULL is none. */
static bool reference_is(const json_t *value) {
    static const char PREFIX[] = "{vault://";
    const char *text = json_string_value(value);
    size_t len = json_string_length(value);

    return text != NULL && len >= sizeof PREFIX - 1 &&
           memcmp(text, PREFIX, sizeof PREFIX - 1) == 0 && text[len - 1] == '}';
}

/* By address: each value of a tree has its own. */
static int compare(const void *a, const void *b) {
    uintptr_t x = (uintptr_t) * (const json_t *const *)a;
    uintptr_t y = (uintptr_t) * (const json_t *const *)b;
    return (x > y) - (x < y);
}

bool reference_exempts(const struct checker *checker, const struct kong_field *field,
                       const json_t *value) {
    return field->referenceable &&
           (reference_is(value) ||
            (checker->secret_count > 0 && bsearch(&value, checker->secrets, checker->secret_count,
                                                  sizeof *checker->secrets, compare) != NULL));
}

static void add(struct checker *checker, const json_t *value) {
    size_t count = checker->secret_count;
    if (!json_is_string(value) || checker->nomem) {
        return;
    }
    if ((count & (count - 1)) == 0) { /* full: the room is the next power of two */
        const json_t **larger =
            arena_array(checker->arena, count == 0 ? 1 : count * 2, sizeof *larger);
        if (larger == NULL) {
            checker->nomem = true;
            return;
        }
        if (count > 0) {
            memcpy(larger, checker->secrets, count * sizeof *larger);
        }
        checker->secrets = larger;
    }
    checker->secrets[checker->secret_count++] = value;
}

/* The elements of a list that references stand for. */
static void add_elements(struct checker *checker, const json_t *list, const json_t *references) {
    const char *name;
    json_t *reference;
    size_t i;

    json_array_foreach((json_t *)references, i, reference) {
        if (reference_is(reference)) {
            add(checker, json_array_get(list, i));
        }
    }
    json_object_foreach((json_t *)references, name, reference) {
        size_t position = strtoul(name, NULL, 10);
        if (position > 0 && reference_is(reference)) {
            add(checker, json_array_get(list, position - 1));
        }
    }
}

static void add_entries(struct checker *checker, const json_t *map, const json_t *references) {
    const char *name;
    json_t *reference;

    json_object_foreach((json_t *)references, name, reference) {
        if (reference_is(reference)) {
            add(checker, json_object_get(map, name));
        }
    }
}

static void collect(struct checker *checker, const struct kong_record *record,
                    const json_t *object);

/* Records in lists, maps and records: each has references of its own. */
static void collect_inside(struct checker *checker, const struct kong_field *field,
                           const json_t *value) {
    const char *name;
    json_t *one;
    size_t i;

    if (field->record != NULL && json_is_object(value)) {
        collect(checker, field->record, value);
    }
    json_array_foreach((json_t *)value, i, one) {
        if (field->elements != NULL) {
            collect_inside(checker, field->elements, one);
        }
    }
    if (field->values != NULL) {
        json_object_foreach((json_t *)value, name, one) {
            collect_inside(checker, field->values, one);
        }
    }
}

static void collect(struct checker *checker, const struct kong_record *record,
                    const json_t *object) {
    const json_t *references = json_object_get(object, "$refs");

    for (size_t i = 0; i < record->field_count; i++) {
        const struct kong_field *field = &record->fields[i];
        const json_t *value = json_object_get(object, schema_field_name(field));
        const json_t *reference = json_object_get(references, schema_field_name(field));
        if (reference_is(reference)) {
            add(checker, value);
        } else if (field->elements != NULL) {
            add_elements(checker, value, reference);
        } else if (field->values != NULL) {
            add_entries(checker, value, reference);
        }
        collect_inside(checker, field, value);
    }
}

void references_collect(struct checker *checker, const struct kong_record *record,
                        const json_t *object) {
    if (checker->source == SCHEMA_FROM_KONG) {
        collect(checker, record, object);
    }
    if (checker->secret_count > 0) {
        qsort(checker->secrets, checker->secret_count, sizeof *checker->secrets, compare);
    }
}
