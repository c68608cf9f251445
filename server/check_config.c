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

static int check_text(const struct kong_schema *schema, struct kong_str text, FILE *out,
                      char *error, size_t error_size) {
    struct schema_report report;
    struct arena arena;
    void *config;
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
        snprintf(error, error_size, "cannot write to standard output");
        return -1;
    }
    return result;
}

int check_config(const struct kong_schema *schema, const char *path, FILE *out, char *error,
                 size_t error_size) {
    struct buffer text;
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
