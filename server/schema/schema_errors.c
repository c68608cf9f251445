#include "schema_internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "text.h"

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
    char whole[SCHEMA_TEXT], cut[TEXT_MAX];
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

static struct errors *find_child(const struct errors *errors, const char *name, size_t len) {
    struct errors *child = errors->children;
    while (child != NULL && (child->name == NULL || strlen(child->name) != len ||
                             memcmp(child->name, name, len) != 0)) {
        child = child->next;
    }
    return child;
}

static struct errors *child_named(struct checker *checker, struct errors *errors, const char *name,
                                  size_t len) {
    struct errors *node = find_child(errors, name, len);
    if (node != NULL) {
        return node;
    }
    struct kong_str copy = arena_copy(checker->arena, name, len);
    node = arena_alloc(checker->arena, sizeof *node);
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
    const struct errors *child = find_child(errors, name, strlen(name));
    return child != NULL && errors_any(child);
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

/* One violation is one line, whatever is in a configuration: control characters come out as the
 * Admin API's JSON shows them. */
static void add_text(struct text *line, const char *text) {
    for (;;) {
        size_t plain = 0;
        while ((unsigned char)text[plain] >= 0x20 && text[plain] != 0x7f) {
            plain++;
        }
        text_add(line, "%.*s", (int)plain, text);
        text += plain;
        if (*text == '\0') {
            return;
        }
        if (*text == '\n' || *text == '\r' || *text == '\t') {
            text_add(line, "\\%c", *text == '\n' ? 'n' : *text == '\r' ? 'r' : 't');
        } else {
            text_add(line, "\\u%04x", (unsigned)*text);
        }
        text++;
    }
}

static void add_path(struct text *line, const struct path *path) {
    char part[SCHEMA_NAME_MAX + 1];

    if (path->at == NULL) {
        add_text(line, path->root);
        return;
    }
    add_path(line, path->up);
    if (line->len > LINE_SIZE / 2) {
        return; /* the text matters more */
    }
    if (path->at->name != NULL) {
        text_add(line, ".");
        add_text(line, errors_cut(path->at->name, part, sizeof part));
    } else {
        text_add(line, "[%zu]", path->at->index);
    }
}

/* A report under way. */
struct report {
    struct checker *checker;
    struct arena *arena;
    struct schema_result *result;
};

static void add_line(struct report *report, const struct text *line) {
    struct kong_str copy = arena_copy(report->arena, line->data, line->len);
    if (copy.data == NULL) {
        report->checker->nomem = true;
    } else {
        report->result->lines[report->result->count++] = copy.data;
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

static void add_lines(struct report *report, const struct errors *errors, const struct path *path) {
    if (errors->text.data != NULL && report->result->count < LINES_MAX) {
        char data[LINE_SIZE];
        struct text line = TEXT_IN(data);
        add_path(&line, path);
        text_add(&line, ": ");
        add_text(&line, errors->text.data);
        add_line(report, &line);
    }
    size_t count = 0;
    for (const struct errors *child = errors->children; child != NULL; child = child->next) {
        count++;
    }
    if (count == 0) {
        return;
    }
    const struct errors **sorted = arena_array(report->checker->arena, count, sizeof *sorted);
    if (sorted == NULL) {
        report->checker->nomem = true;
        return;
    }
    count = 0;
    for (const struct errors *child = errors->children; child != NULL; child = child->next) {
        sorted[count++] = child;
    }
    qsort(sorted, count, sizeof *sorted, compare);
    for (size_t i = 0; i < count && !report->checker->nomem && report->result->count < LINES_MAX;
         i++) {
        struct path below = {.up = path, .at = sorted[i]};
        add_lines(report, sorted[i], &below);
    }
}

void errors_report(struct checker *checker, const struct errors *errors, const char *root,
                   struct arena *arena, struct schema_result *result) {
    struct report report = {checker, arena, result};
    struct path path = {.root = root};
    size_t all = count_texts(errors);

    result->count = 0;
    result->lines =
        arena_array(arena, all < LINES_MAX ? all : LINES_MAX + 1, sizeof *result->lines);
    if (result->lines == NULL) {
        checker->nomem = true;
        return;
    }
    add_lines(&report, errors, &path);
    if (all > LINES_MAX && !checker->nomem) {
        char data[LINE_SIZE];
        struct text line = TEXT_IN(data);
        text_add(&line, "%s: %zu more violations", root, all - LINES_MAX);
        add_line(&report, &line);
    }
}
