/* The fields as a table, for a plugin's README. */
#include "schema_internal.h"

#include <string.h>

#include "buffer.h"

#define MARKDOWN_LIMIT ((size_t)4 << 20)

/* Prose in a cell: one line, and no bar ends the cell. */
static void cell_text(struct buffer *out, const char *data) {
    for (; *data != '\0'; data++) {
        if (*data == '|') {
            buffer_append_text(out, "\\|");
        } else {
            buffer_append_byte(out, (uint8_t)(*data == '\n' ? ' ' : *data));
        }
    }
}

/* A code span in a cell; one with backticks in it needs two around. */
static void code(struct buffer *out, const char *data) {
    bool ticks = strchr(data, '`') != NULL;
    buffer_append_text(out, ticks ? "`` " : "`");
    cell_text(out, data);
    buffer_append_text(out, ticks ? " ``" : "`");
}

/* --- Rules -------------------------------------------------------------------------------- */

/* Rules that go into one cell, with "; " between them. */
struct cell {
    struct buffer *out;
    bool begun;
};

/* Begins a rule. */
static void begin(struct cell *cell, const char *words) {
    buffer_printf(cell->out, "%s%s", cell->begun ? "; " : "", words);
    cell->begun = true;
}

static void flag_rule(struct cell *cell, const char *words, bool set) {
    if (set) {
        begin(cell, words);
    }
}

static void code_rule(struct cell *cell, const char *words, const char *data) {
    if (data != NULL) {
        begin(cell, words);
        code(cell->out, data);
    }
}

static void list_rule(struct cell *cell, const char *words, const char *const *list) {
    flag_rule(cell, words, list != NULL);
    for (size_t i = 0; list != NULL && list[i] != NULL; i++) {
        buffer_append_text(cell->out, i == 0 ? "" : ", ");
        code(cell->out, list[i]);
    }
}

static void pattern_rule(struct cell *cell, const char *words, const struct kong_pattern *list) {
    for (; list != NULL && list->pattern != NULL; list++) {
        code_rule(cell, words, list->pattern);
        if (list->err != NULL) {
            buffer_append_text(cell->out, " (");
            cell_text(cell->out, list->err);
            buffer_append_text(cell->out, ")");
        }
    }
}

/* As rules_number_text. */
#define NUMBER "%.14g"

static void number_rules(struct cell *cell, const struct kong_field *field) {
    const struct kong_numbers *numbers = &field->one_of_numbers;

    flag_rule(cell, "one of ", numbers->items != NULL);
    for (size_t i = 0; numbers->items != NULL && i < numbers->count; i++) {
        buffer_printf(cell->out, "%s" NUMBER, i == 0 ? "" : ", ", numbers->items[i]);
    }
    if (field->gt.set) {
        begin(cell, "greater than ");
        buffer_printf(cell->out, NUMBER, field->gt.limit);
    }
    if (field->between.set) {
        begin(cell, "between ");
        buffer_printf(cell->out, NUMBER " and " NUMBER, field->between.min, field->between.max);
    }
}

static void length_rule(struct cell *cell, const char *words, size_t length) {
    if (length != 0) {
        begin(cell, words);
        buffer_printf(cell->out, "%zu", length);
    }
}

static void rules(struct buffer *out, const struct kong_field *field, bool with_required) {
    struct cell cell = {.out = out};

    flag_rule(&cell, "required", with_required && field->required);
    code_rule(&cell, "is ", field->eq_json);
    list_rule(&cell, "one of ", field->one_of);
    number_rules(&cell, field);
    flag_rule(&cell, "a UUID", field->uuid);
    length_rule(&cell, "length ", field->len_eq);
    length_rule(&cell, "length at least ", field->len_min);
    length_rule(&cell, "length at most ", field->len_max);
    flag_rule(&cell, "may be empty", field->allow_empty);
    code_rule(&cell, "starts with ", field->starts_with);
    code_rule(&cell, "does not match ", field->not_match);
    pattern_rule(&cell, "does not match ", field->match_none);
    code_rule(&cell, "matches ", field->match);
    pattern_rule(&cell, "matches ", field->match_all);
    list_rule(&cell, "matches one of ", field->match_any);
    flag_rule(&cell, "may be a vault reference", field->referenceable);
    flag_rule(&cell, "kept encrypted", field->encrypted);
    /* Items have no row of their own, only the fields of records in them have. */
    const struct kong_field *item = field->elements != NULL ? field->elements : field->values;
    if (item != NULL) {
        struct buffer inner;
        buffer_init(&inner, MARKDOWN_LIMIT);
        rules(&inner, item, false);
        if (inner.len > 0) {
            begin(&cell, field->elements != NULL ? "each: " : "each value: ");
            buffer_append(out, inner.data, inner.len);
        }
        out->failed = out->failed || inner.failed;
        buffer_free(&inner);
    }
}

/* --- Rows --------------------------------------------------------------------------------- */

static void type(struct buffer *out, const struct kong_field *field) {
    buffer_append_text(out, schema_type_name(field->type));
    if (field->elements != NULL) {
        buffer_append_text(out, " of ");
        type(out, field->elements);
    }
    if (field->values != NULL) {
        buffer_append_text(out, " of string to ");
        type(out, field->values);
    }
}

static void record_rows(struct buffer *out, const struct kong_record *record, const char *prefix);

/* The record that a field is, or is a list or map of, and what stands for "one of them". */
static const struct kong_record *inner_record(const struct kong_field *field, struct buffer *path) {
    while (field->record == NULL) {
        if (field->elements == NULL && field->values == NULL) {
            return NULL;
        }
        buffer_append_text(path, field->elements != NULL ? "[]" : ".*");
        field = field->elements != NULL ? field->elements : field->values;
    }
    return field->record;
}

static void field_row(struct buffer *out, const struct kong_field *field, const char *prefix) {
    struct buffer path;

    buffer_init(&path, MARKDOWN_LIMIT);
    buffer_printf(&path, "%s%s", prefix, schema_field_name(field));
    size_t name_len = path.len;
    const struct kong_record *inner = inner_record(field, &path);
    buffer_append(&path, ".", 2); /* with its NUL */
    if (path.failed) {
        out->failed = true;
        buffer_free(&path);
        return;
    }

    buffer_printf(out, "| `%.*s` | ", (int)name_len, (const char *)path.data);
    type(out, field);
    buffer_append_text(out, field->required ? " | yes | " : " | no | ");
    if (field->default_json != NULL) {
        code(out, field->default_json);
    }
    buffer_append_text(out, " | ");
    rules(out, field, false);
    buffer_append_text(out, " | ");
    cell_text(out, field->description == NULL ? "" : field->description);
    buffer_append_text(out, " |\n");
    if (inner != NULL) {
        record_rows(out, inner, (const char *)path.data);
    }
    buffer_free(&path);
}

static void record_rows(struct buffer *out, const struct kong_record *record, const char *prefix) {
    for (size_t i = 0; i < record->field_count; i++) {
        field_row(out, &record->fields[i], prefix);
    }
}

/* --- Rules over several fields ------------------------------------------------------------ */

static void fields_rule(struct buffer *out, const struct kong_check *check) {
    static const char *const WORDS[] = {
        [KONG_CHECK_AT_LEAST_ONE_OF] = "at least one is set",
        [KONG_CHECK_ONLY_ONE_OF] = "exactly one is set",
        [KONG_CHECK_DISTINCT] = "the values differ (case counts)",
        [KONG_CHECK_MUTUALLY_REQUIRED] = "all are set, or none",
        [KONG_CHECK_MUTUALLY_EXCLUSIVE] = "at most one is set",
    };
    struct cell cell = {.out = out};

    list_rule(&cell, "- ", check->fields);
    buffer_printf(out, ": %s.\n", WORDS[check->type]);
}

static void condition(struct buffer *out, const char *name, const struct kong_field *field) {
    code(out, name);
    buffer_append_text(out, " (");
    rules(out, field, true);
    buffer_append_text(out, ")");
}

static void check_lines(struct buffer *out, const struct kong_record *record) {
    for (size_t i = 0; i < record->check_count; i++) {
        const struct kong_check *check = &record->checks[i];
        buffer_append_text(out, i == 0 ? "\n" : "");
        if (check->type == KONG_CHECK_CONDITIONAL) {
            buffer_append_text(out, "- If ");
            condition(out, check->if_field, check->if_match);
            buffer_append_text(out, ", then ");
            condition(out, check->then_field, check->then_match);
            buffer_append_text(out, ".\n");
        } else {
            fields_rule(out, check);
        }
    }
}

char *schema_to_markdown(const struct kong_schema *schema) {
    struct buffer out;

    buffer_init(&out, MARKDOWN_LIMIT);
    buffer_append_text(&out, "| field | type | required | default | rules | description |\n"
                             "|---|---|---|---|---|---|\n");
    if (schema != NULL) {
        record_rows(&out, &schema->config, "");
        check_lines(&out, &schema->config);
    }
    return buffer_take_text(&out);
}
