#include "check_config.h"

#include <errno.h>
#include <string.h>

#include "buffer.h"
#include "limit.h"
#include "printable.h"
#include "schema.h"

/* "cannot read config.json: No such file or directory". */
static int fail(const char *path, const char *reason, char *error, size_t error_size) {
    char name[256];
    printable_copy(name, sizeof name, path, strlen(path));
    snprintf(error, error_size, "cannot read %s: %s",
             strcmp(path, "-") == 0 ? "standard input" : name, reason);
    return -1;
}

static int fail_output(char *error, size_t error_size) {
    snprintf(error, error_size, "cannot write to standard output");
    return -1;
}

static int read_all(FILE *file, struct buffer *text) {
    size_t len;
    do {
        if (!buffer_reserve(text, 4096)) {
            return text->len + 4096 > text->limit ? EFBIG : ENOMEM;
        }
        errno = 0;
        len = fread(text->data + text->len, 1, 4096, file);
        text->len += len;
    } while (len > 0);
    return ferror(file) ? errno : 0;
}

static int read_config(const char *path, struct buffer *text, char *error, size_t error_size) {
    bool is_input = strcmp(path, "-") == 0;
    FILE *file = is_input ? stdin : fopen(path, "re");
    if (file == NULL) {
        return fail(path, strerror(errno), error, error_size);
    }
    int reason = read_all(file, text);
    if (!is_input) {
        fclose(file);
    }
    return reason == 0 ? 0 : fail(path, strerror(reason), error, error_size);
}

static bool has_field(const struct kong_schema *schema, const char *name) {
    for (size_t i = 0; schema != NULL && i < schema->config.field_count; i++) {
        if (strcmp(schema->config.fields[i].name, name) == 0) {
            return true;
        }
    }
    return false;
}

/* What stands around the configuration in Kong's Admin API, and in its declarative files. */
static bool is_entity(const struct kong_schema *schema, struct kong_str text) {
    char excess[80];
    if (has_field(schema, "config") || schema_find_excess(text, excess, sizeof excess) != NULL) {
        return false;
    }
    json_t *json = json_loadb(text.data, text.len, JSON_ALLOW_NUL, NULL);
    bool entity = json_is_object(json_object_get(json, "config"));
    json_decref(json);
    return entity;
}

/* What is no object at all, in words of ours: NULL when it may be one. */
static const char *find_other(struct kong_str text) {
    size_t blank = 0;
    while (blank < text.len && (text.data[blank] == ' ' || text.data[blank] == '\t' ||
                                text.data[blank] == '\r' || text.data[blank] == '\n')) {
        blank++;
    }
    if (blank == text.len) {
        return "config: nothing is there: an object of its fields is expected, {} for the defaults";
    }
    return text.data[blank] == '[' ? "config: a list, where an object of its fields is expected"
                                   : NULL;
}

static int check_text(const struct kong_schema *schema, struct kong_str text, FILE *out,
                      char *error, size_t error_size) {
    struct schema_report report;
    struct arena arena;
    void *config;
    const char *other = find_other(text);
    if (other != NULL) {
        fprintf(out, "%s\n", other);
        return fflush(out) == 0 && !ferror(out) ? 1 : fail_output(error, error_size);
    }
    arena_init(&arena, LIMIT_EVENT_MEMORY);
    int result = schema_decode(schema, text, &arena, &config, &report);
    for (size_t i = 0; i < report.count; i++) {
        fprintf(out, "%s\n", report.lines[i]);
    }
    arena_free(&arena);
    if (result < 0) {
        snprintf(error, error_size, "out of memory");
        return -1;
    }
    if (fflush(out) != 0 || ferror(out)) {
        return fail_output(error, error_size);
    }
    if (result == 1 && is_entity(schema, text)) {
        snprintf(error, error_size,
                 "hint: give what stands under \"config\" alone, without what is around it (jq "
                 ".config)");
    }
    return result;
}

int check_config(const struct kong_schema *schema, const char *path, FILE *out, char *error,
                 size_t error_size) {
    struct buffer text;
    error[0] = '\0';
    buffer_init(&text, LIMIT_FIRST_FRAME); /* what a start of an instance may carry */
    int result = read_config(path, &text, error, error_size);
    if (result == 0) {
        /* An empty file is not an absent configuration. */
        struct kong_str json = {text.len == 0 ? "" : (const char *)text.data, text.len};
        result = check_text(schema, json, out, error, error_size);
    }
    buffer_free(&text);
    return result;
}
