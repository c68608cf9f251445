#include "check_config.h"

#include <errno.h>
#include <string.h>

#include "buffer.h"
#include "hooks.h"
#include "limit.h"
#include "printable.h"
#include "schema.h"

/* "cannot read config.json: No such file or directory". */
static int fail(const char *path, const char *reason, char *error, size_t error_size) {
    return printable_error(error, error_size, "cannot read %.200s: %s",
                           strcmp(path, "-") == 0 ? "standard input" : path, reason);
}

#define PIECE 4096

static int read_all(FILE *file, struct buffer *text) {
    size_t len;
    do {
        if (!buffer_reserve(text, PIECE)) {
            return text->len + PIECE > text->limit ? EFBIG : ENOMEM;
        }
        errno = 0;
        len = fread(text->data + text->len, 1, PIECE, file);
        text->len += len;
    } while (len > 0);
    return ferror(file) ? errno : 0;
}

static int read_config(const struct options *options, struct buffer *text, char *error,
                       size_t error_size) {
    const char *path = options->check_config;
    bool is_input = strcmp(path, "-") == 0;
    char limit[80];
    FILE *file = is_input ? stdin : fopen(path, "re");
    if (file == NULL) {
        return fail(path, strerror(errno), error, error_size);
    }
    int reason = read_all(file, text);
    if (!is_input) {
        fclose(file);
    }
    if (reason == EFBIG || (reason == 0 && text->len > options->max_config)) {
        snprintf(limit, sizeof limit, "more than %zu bytes (--max-config)", options->max_config);
        return fail(path, limit, error, error_size);
    }
    return reason == 0 ? 0 : fail(path, strerror(reason), error, error_size);
}

/* The line for a text that cannot be an object; NULL when it may be one. */
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

/* The plugin's own check. 0; 1: it refuses, a line is printed; -1: it cannot open. */
static int run_configure(const struct kong_plugin *plugin, const void *config, FILE *out,
                         char *error, size_t error_size) {
    char text[256], line[512];
    void *data = NULL, *state = NULL;
    if (plugin->configure == NULL) {
        return 0;
    }
    if (hooks_open(plugin, &data, text, sizeof text) != 0) {
        return printable_error(error, error_size,
                               "the plugin does not open (--no-configure checks without it): %s",
                               text);
    }
    int rc = hooks_configure(plugin, config, data, &state, text, sizeof text);
    if (rc != 0) {
        printable_copy(line, sizeof line, text, strlen(text));
        fprintf(out, "config: %s\n", line);
    } else {
        hooks_destroy(plugin, config, state, text, sizeof text);
    }
    hooks_close(plugin, data, text, sizeof text);
    return rc != 0;
}

static int check_text(const struct options *options, struct kong_str text, FILE *out, char *error,
                      size_t error_size) {
    const struct kong_schema *schema = options->plugin->schema;
    struct schema_result result;
    struct arena arena;
    const char *other = find_other(text);
    if (other != NULL) {
        fprintf(out, "%s\n", other);
        return 1;
    }
    arena_init(&arena, LIMIT_EVENT_MEMORY);
    int rc = schema_decode(schema, text, SCHEMA_FROM_USER, &arena, &result);
    for (size_t i = 0; i < result.count; i++) {
        fprintf(out, "%s\n", result.lines[i]);
    }
    if (rc < 0) {
        printable_error(error, error_size, "out of memory");
    } else if (rc == 0 && !options->no_configure) {
        rc = run_configure(options->plugin, result.config, out, error, error_size);
    } else if (rc > 0 && (schema == NULL || schema_field(&schema->config, "config", 6) == NULL) &&
               json_is_object(json_object_get(result.tree, "config"))) {
        /* the whole entity, as in Kong's Admin API and its declarative files */
        printable_error(error, error_size,
                        "hint: give what stands under \"config\" alone, without what is around it "
                        "(jq .config)");
    }
    json_decref(result.tree);
    arena_free(&arena);
    return rc < 0 ? -1 : rc;
}

int check_config(const struct options *options, FILE *out, char *error, size_t error_size) {
    struct buffer text;
    error[0] = '\0';
    buffer_init(&text, options->max_config + PIECE); /* the end is found by reading on */
    int result = read_config(options, &text, error, error_size);
    if (result == 0) {
        /* An empty file is not an absent configuration. */
        struct kong_str json = {text.len == 0 ? "" : (const char *)text.data, text.len};
        result = check_text(options, json, out, error, error_size);
    }
    buffer_free(&text);
    return result;
}
