#include "schema_internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool errors_any(const struct errors *errors) {
    return errors->text.data != NULL || errors->children != NULL;
}

void errors_set(struct checker *checker, struct errors *errors, const char *format, ...) {
    va_list args, again;

    va_start(args, format);
    va_copy(again, args);
    int len = vsnprintf(NULL, 0, format, args);
    char *text = len < 0 ? NULL : arena_alloc(checker->arena, (size_t)len + 1);
    if (text == NULL) {
        checker->nomem = true;
    } else {
        vsnprintf(text, (size_t)len + 1, format, again);
        errors->text = (struct kong_str){text, (size_t)len};
        errors->children = NULL;
    }
    va_end(again);
    va_end(args);
}

void errors_attach(struct checker *checker, struct errors *errors, const struct errors *child) {
    if (!errors_any(child)) {
        return;
    }
    struct errors *node = arena_alloc(checker->arena, sizeof *node);
    if (node == NULL) {
        checker->nomem = true;
        return;
    }
    *node = *child;
    node->next = errors->children;
    errors->children = node;
}

static bool name_is(const struct errors *errors, const char *name, size_t len) {
    return errors->name != NULL && strlen(errors->name) == len &&
           memcmp(errors->name, name, len) == 0;
}

static struct errors *child_named(struct checker *checker, struct errors *errors, const char *name,
                                  size_t len) {
    for (struct errors *child = errors->children; child != NULL; child = child->next) {
        if (name_is(child, name, len)) {
            return child;
        }
    }
    struct kong_str copy = arena_copy(checker->arena, name, len);
    struct errors *node = arena_alloc(checker->arena, sizeof *node);
    if (copy.data == NULL || node == NULL) {
        checker->nomem = true;
        return NULL;
    }
    *node = (struct errors){.name = copy.data, .next = errors->children};
    errors->text = (struct kong_str){NULL, 0};
    errors->children = node;
    return node;
}

struct errors *errors_at(struct checker *checker, struct errors *errors, const char *path) {
    for (;;) {
        size_t len = strcspn(path, ".");
        errors = child_named(checker, errors, path, len);
        if (errors == NULL || path[len] == '\0') {
            return errors;
        }
        path += len + 1;
    }
}

bool errors_has(const struct errors *errors, const char *name) {
    for (const struct errors *child = errors->children; child != NULL; child = child->next) {
        if (name_is(child, name, strlen(name))) {
            return errors_any(child);
        }
    }
    return false;
}

/* --- Lines -------------------------------------------------------------------------------- */

/* A path, built while walking down; each part lies on the stack of its level. */
struct path {
    const struct path *up;
    const struct errors *at; /* NULL for the root */
    const char *root;
};

static size_t count_texts(const struct errors *errors) {
    size_t count = errors->text.data != NULL;
    for (const struct errors *child = errors->children; child != NULL; child = child->next) {
        count += count_texts(child);
    }
    return count;
}

/* Where a line is written, or only measured while data is NULL. */
struct line {
    char *data;
    size_t len;
};

static void line_bytes(struct line *line, const char *data, size_t len) {
    if (line->data != NULL) {
        memcpy(line->data + line->len, data, len);
    }
    line->len += len;
}

/* One violation is one line, whatever is in a configuration: control characters come out as the
 * Admin API's JSON shows them. */
static void line_text(struct line *line, const char *data, size_t len) {
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)data[i];
        char escape[8];
        if (c >= 0x20 && c != 0x7f) {
            line_bytes(line, data + i, 1);
        } else if (c == '\n' || c == '\r' || c == '\t') {
            line_bytes(line, c == '\n' ? "\\n" : c == '\r' ? "\\r" : "\\t", 2);
        } else {
            snprintf(escape, sizeof escape, "\\u%04x", c);
            line_bytes(line, escape, 6);
        }
    }
}

static void line_path(struct line *line, const struct path *path) {
    char index[32];

    if (path->at == NULL) {
        line_bytes(line, path->root, strlen(path->root));
        return;
    }
    line_path(line, path->up);
    if (path->at->name != NULL) {
        line_bytes(line, ".", 1);
        line_text(line, path->at->name, strlen(path->at->name));
    } else {
        int len = snprintf(index, sizeof index, "[%zu]", path->at->index);
        line_bytes(line, index, (size_t)len);
    }
}

static void add_line(struct checker *checker, const struct path *path, struct kong_str text,
                     struct schema_report *report) {
    struct line line = {0};

    for (int pass = 0; pass < 2; pass++) {
        line.len = 0;
        line_path(&line, path);
        line_bytes(&line, ": ", 2);
        line_text(&line, text.data, text.len);
        if (pass == 0) {
            line.data = arena_alloc(checker->arena, line.len + 1);
            if (line.data == NULL) {
                checker->nomem = true;
                return;
            }
        }
    }
    line.data[line.len] = '\0';
    report->lines[report->count++] = line.data;
}

static int compare(const void *a, const void *b) {
    const struct errors *x = *(const struct errors *const *)a;
    const struct errors *y = *(const struct errors *const *)b;

    if (x->name == NULL || y->name == NULL) {
        return x->name != y->name ? (x->name == NULL ? -1 : 1)
                                  : (x->index > y->index) - (x->index < y->index);
    }
    int order = strcmp(x->name, y->name);
    /* Several of one name (of "@entity"): in the order in which they were found. */
    return order != 0 ? order : (x->index > y->index) - (x->index < y->index);
}

static void add_lines(struct checker *checker, const struct errors *errors, const struct path *path,
                      struct schema_report *report) {
    if (errors->text.data != NULL) {
        add_line(checker, path, errors->text, report);
    }
    size_t count = 0;
    for (const struct errors *child = errors->children; child != NULL; child = child->next) {
        count++;
    }
    if (count == 0) {
        return;
    }
    const struct errors **sorted = arena_array(checker->arena, count, sizeof *sorted);
    if (sorted == NULL) {
        checker->nomem = true;
        return;
    }
    count = 0;
    for (const struct errors *child = errors->children; child != NULL; child = child->next) {
        sorted[count++] = child;
    }
    qsort(sorted, count, sizeof *sorted, compare);
    for (size_t i = 0; i < count && !checker->nomem; i++) {
        struct path below = {.up = path, .at = sorted[i]};
        add_lines(checker, sorted[i], &below, report);
    }
}

void errors_report(struct checker *checker, const struct errors *errors, const char *root,
                   struct schema_report *report) {
    struct path path = {.root = root};

    *report = (struct schema_report){0};
    report->lines = arena_array(checker->arena, count_texts(errors), sizeof *report->lines);
    if (report->lines == NULL) {
        checker->nomem = true;
        return;
    }
    add_lines(checker, errors, &path, report);
}
