#include "schema_internal.h"

#include <stdlib.h>
#include <string.h>

/* --- Sets: of equal elements the first one stays ------------------------------------------ */

struct element {
    const json_t *value;
    size_t index;
};

/* By content; lists and records are never the same (in Lua each is a table of its own). */
static int compare_values(const json_t *a, const json_t *b) {
    if (json_typeof(a) != json_typeof(b)) {
        return json_typeof(a) < json_typeof(b) ? -1 : 1;
    }
    if (json_is_string(a)) {
        size_t len_a = json_string_length(a), len_b = json_string_length(b);
        int order =
            memcmp(json_string_value(a), json_string_value(b), len_a < len_b ? len_a : len_b);
        return order != 0 ? order : (len_a > len_b) - (len_a < len_b);
    }
    if (json_is_number(a)) {
        double number_a = json_number_value(a), number_b = json_number_value(b);
        return (number_a > number_b) - (number_a < number_b);
    }
    return 0;
}

static int compare_elements(const void *a, const void *b) {
    const struct element *x = a, *y = b;
    int order = compare_values(x->value, y->value);
    return order != 0 ? order : (x->index > y->index) - (x->index < y->index);
}

static bool is_table(const json_t *value) {
    return json_is_array(value) || json_is_object(value);
}

/* A new list without the repeated ones; NULL when there are none, or out of memory. */
static json_t *without_repeated(struct checker *checker, const json_t *set) {
    size_t count = json_array_size(set), repeated = 0;
    struct element *sorted = calloc(count + 1, sizeof *sorted);
    bool *drop = calloc(count + 1, sizeof *drop);
    json_t *result = NULL;

    if (sorted == NULL || drop == NULL) {
        checker->nomem = true;
        goto done;
    }
    for (size_t i = 0; i < count; i++) {
        sorted[i] = (struct element){json_array_get(set, i), i};
    }
    qsort(sorted, count, sizeof *sorted, compare_elements);
    for (size_t i = 1; i < count; i++) {
        if (!is_table(sorted[i].value) &&
            compare_values(sorted[i - 1].value, sorted[i].value) == 0) {
            drop[sorted[i].index] = true;
            repeated++;
        }
    }
    if (repeated == 0) {
        goto done;
    }
    result = json_array();
    for (size_t i = 0; i < count && result != NULL; i++) {
        if (!drop[i] && json_array_append(result, json_array_get(set, i)) != 0) {
            json_decref(result);
            result = NULL;
        }
    }
    checker->nomem = checker->nomem || result == NULL;
done:
    free(sorted);
    free(drop);
    return result;
}

/* --- Values ------------------------------------------------------------------------------- */

static json_t *made(struct checker *checker, json_t *value) {
    checker->nomem = checker->nomem || value == NULL;
    return value;
}

/* Takes over the value; NULL changes nothing. */
static void put(struct checker *checker, json_t *object, const char *name, json_t *value) {
    if (value != NULL && json_object_set_new_nocheck(object, name, value) != 0) {
        checker->nomem = true;
    }
}

/* What a missing field gets: NULL for nothing. */
static json_t *missing_value(struct checker *checker, const struct kong_field *field) {
    if (field->default_json != NULL) {
        return schema_parse_text(field->default_json, false, &checker->nomem);
    }
    if (!field->required) {
        return json_null();
    }
    return field->type == KONG_FIELD_RECORD ? made(checker, json_object()) : NULL;
}

static void fill_elements(struct checker *checker, const struct kong_field *field, json_t *list) {
    size_t i;
    json_t *value;

    json_array_foreach(list, i, value) {
        json_t *instead = defaults_fill_value(checker, field->elements, value);
        if (instead != NULL && json_array_set_new(list, i, instead) != 0) {
            checker->nomem = true;
        }
    }
}

static json_t *fill_list(struct checker *checker, const struct kong_field *field, json_t *value) {
    if (json_is_object(value) && json_object_size(value) == 0) {
        return made(checker, json_array());
    }
    if (!json_is_array(value)) {
        return NULL;
    }
    json_t *instead = field->type == KONG_FIELD_SET ? without_repeated(checker, value) : NULL;
    fill_elements(checker, field, instead != NULL ? instead : value);
    return instead;
}

static json_t *fill_map(struct checker *checker, const struct kong_field *field, json_t *value) {
    const char *name;
    void *next;
    json_t *entry;

    json_object_foreach_safe(value, next, name, entry) {
        put(checker, value, name, defaults_fill_value(checker, field->values, entry));
    }
    return NULL;
}

json_t *defaults_fill_value(struct checker *checker, const struct kong_field *field,
                            json_t *value) {
    bool is_empty_list = json_is_array(value) && json_array_size(value) == 0;
    json_t *instead = NULL;

    if (field->elements != NULL) {
        return fill_list(checker, field, value);
    }
    if (field->values != NULL) {
        return is_empty_list ? made(checker, json_object()) : fill_map(checker, field, value);
    }
    if (field->record != NULL) {
        if (is_empty_list) {
            instead = made(checker, json_object());
        } else if (json_is_false(value)) {
            instead = missing_value(checker, field); /* as if it were not there, to Kong */
        }
        value = instead != NULL ? instead : value;
        if (json_is_object(value)) {
            defaults_fill(checker, field->record, value);
        }
    }
    return instead;
}

/* --- Records ------------------------------------------------------------------------------ */

void defaults_fill(struct checker *checker, const struct kong_record *record, json_t *object) {
    for (size_t i = 0; i < record->field_count && !checker->nomem; i++) {
        const struct kong_field *field = &record->fields[i];
        const char *name = schema_field_name(field);
        json_t *value = json_object_get(object, name);
        if (value == NULL) {
            value = missing_value(checker, field);
            put(checker, object, name, value);
        }
        if (!checker->nomem && value != NULL && !json_is_null(value)) {
            put(checker, object, name, defaults_fill_value(checker, field, value));
        }
    }
}
