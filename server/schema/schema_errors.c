#include "schema_internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The longest text about one value; the longest line with its path, where a control character takes
 * six bytes; the most lines. */
#define TEXT_MAX  512
#define LINE_SIZE 2048
#define LINES_MAX 64

bool errors_any(const struct errors *errors) {
    return errors->text.data != NULL || errors->children != NULL;
}

const char *errors_cut(const char *text, char *copy, size_t size) {
    size_t len = strnlen(text, size);
    if (len < size) {
        return text;
    }
    len = size - sizeof "...";
    while (len > 0 && ((unsigned char)text[len] & 0xc0) == 0x80) { /* between characters */
        len--;
    }
    memcpy(copy, text, len);
    memcpy(copy + len, "...", sizeof "...");
    return copy;
}

void errors_set(struct checker *checker, struct errors *errors, const char *format, ...) {
    char whole[2 * TEXT_MAX], cut[TEXT_MAX];
    va_list args;

    va_start(args, format);
    vsnprintf(whole, sizeof whole, format, args);
    va_end(args);
    const char *text = errors_cut(whole, cut, sizeof cut);
    struct kong_str copy = arena_copy(checker->arena, text, strlen(text));
    if (copy.data == NULL) {
        checker->nomem = true;
    } else {
        errors->text = copy;
        errors->children = NULL;
    }
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

struct line {
    char data[LINE_SIZE];
    size_t len;
};

/* What does not fit is left out. */
static void line_bytes(struct line *line, const char *data, size_t len) {
    if (len < sizeof line->data - line->len) {
        memcpy(line->data + line->len, data, len);
        line->len += len;
    }
}

/* One violation is one line, whatever is in a configuration: control characters come out as the
 * Admin API's JSON shows them. */
static void line_text(struct line *line, const char *text) {
    for (; *text != '\0'; text++) {
        unsigned char c = (unsigned char)*text;
        char escape[8];
        if (c >= 0x20 && c != 0x7f) {
            line_bytes(line, text, 1);
        } else if (c == '\n' || c == '\r' || c == '\t') {
            line_bytes(line, c == '\n' ? "\\n" : c == '\r' ? "\\r" : "\\t", 2);
        } else {
            snprintf(escape, sizeof escape, "\\u%04x", c);
            line_bytes(line, escape, 6);
        }
    }
}

static void line_path(struct line *line, const struct path *path) {
    char part[SCHEMA_NAME_MAX + 1];

    if (path->at == NULL) {
        line_text(line, path->root);
        return;
    }
    line_path(line, path->up);
    if (line->len > LINE_SIZE / 2) {
        return; /* the text matters more */
    }
    if (path->at->name != NULL) {
        line_bytes(line, ".", 1);
        line_text(line, errors_cut(path->at->name, part, sizeof part));
    } else {
        snprintf(part, sizeof part, "[%zu]", path->at->index);
        line_text(line, part);
    }
}

/* A report under way. */
struct lines {
    struct checker *checker;
    struct arena *arena;
    struct schema_result *result;
    size_t most;
};

static void add_line(struct lines *lines, const struct line *line) {
    struct kong_str copy = arena_copy(lines->arena, line->data, line->len);
    if (copy.data == NULL) {
        lines->checker->nomem = true;
    } else {
        lines->result->lines[lines->result->count++] = copy.data;
    }
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

static void add_lines(struct lines *lines, const struct errors *errors, const struct path *path) {
    if (errors->text.data != NULL && lines->result->count < lines->most) {
        struct line line = {.len = 0};
        line_path(&line, path);
        line_text(&line, ": ");
        line_text(&line, errors->text.data);
        add_line(lines, &line);
    }
    size_t count = 0;
    for (const struct errors *child = errors->children; child != NULL; child = child->next) {
        count++;
    }
    if (count == 0) {
        return;
    }
    const struct errors **sorted = arena_array(lines->checker->arena, count, sizeof *sorted);
    if (sorted == NULL) {
        lines->checker->nomem = true;
        return;
    }
    count = 0;
    for (const struct errors *child = errors->children; child != NULL; child = child->next) {
        sorted[count++] = child;
    }
    qsort(sorted, count, sizeof *sorted, compare);
    for (size_t i = 0; i < count && !lines->checker->nomem && lines->result->count < lines->most;
         i++) {
        struct path below = {.up = path, .at = sorted[i]};
        add_lines(lines, sorted[i], &below);
    }
}

void errors_report(struct checker *checker, const struct errors *errors, const char *root,
                   struct arena *arena, struct schema_result *result) {
    struct lines lines = {checker, arena, result, LINES_MAX};
    struct path path = {.root = root};
    size_t all = count_texts(errors);

    result->count = 0;
    result->lines =
        arena_array(arena, all < LINES_MAX ? all : LINES_MAX + 1, sizeof *result->lines);
    if (result->lines == NULL) {
        checker->nomem = true;
        return;
    }
    add_lines(&lines, errors, &path);
    if (all > LINES_MAX && !checker->nomem) {
        struct line line = {.len = 0};
        line.len = (size_t)snprintf(line.data, sizeof line.data, "%s: %zu more violations", root,
                                    all - LINES_MAX);
        add_line(&lines, &line);
    }
}
