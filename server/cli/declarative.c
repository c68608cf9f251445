#include "declarative.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "limit.h"

#define MOST_DEPTH 32u

void header_names_add(struct header_names *to, const char *name, size_t len) {
    to->configurations++;
    if (name == NULL || len == 0 || len >= RESPONSE_HEADER || to->count == HEADER_NAMES) {
        return;
    }
    for (size_t i = 0; i < to->count; i++) {
        if (strlen(to->names[i]) == len && strncasecmp(to->names[i], name, len) == 0) {
            return;
        }
    }
    memcpy(to->names[to->count], name, len);
    to->names[to->count++][len] = '\0';
}

/* --- JSON --- */

struct search {
    const char *plugin, *usual;
    struct header_names *to;
};

static void search_json(const struct search *search, json_t *json, unsigned depth) {
    const char *key;
    json_t *value;
    const char *name = json_string_value(json_object_get(json, "name"));
    if (depth > LIMIT_NESTING) {
        return;
    }
    if (name != NULL && strcmp(name, search->plugin) == 0) {
        const char *header =
            json_string_value(json_object_get(json_object_get(json, "config"), "response_header"));
        header = header != NULL ? header : search->usual;
        header_names_add(search->to, header, strlen(header));
    }
    json_object_foreach(json, key, value) {
        search_json(search, value, depth + 1);
    }
    for (size_t i = 0; i < json_array_size(json); i++) {
        search_json(search, json_array_get(json, i), depth + 1);
    }
}

bool declarative_read_json(const char *text, size_t len, const char *plugin, const char *usual,
                           struct header_names *to) {
    const struct search search = {.plugin = plugin, .usual = usual, .to = to};
    json_t *json = json_loadb(text, len, JSON_ALLOW_NUL, NULL);
    if (json == NULL) {
        return false;
    }
    search_json(&search, json, 0);
    json_decref(json);
    return true;
}

/* --- YAML --- */

struct item {
    size_t dash, keys; /* columns */
    bool ours;
    char header[RESPONSE_HEADER];
};

struct scan {
    struct search search;
    struct item items[MOST_DEPTH];
    size_t depth;
};

static void end_items(struct scan *scan, size_t column) {
    while (scan->depth > 0 && scan->items[scan->depth - 1].dash >= column) {
        const struct item *item = &scan->items[--scan->depth];
        if (item->ours) {
            const char *header = item->header[0] != '\0' ? item->header : scan->search.usual;
            header_names_add(scan->search.to, header, strlen(header));
        }
    }
}

/* The scalar at `text`, without quotes, up to what ends it: a blank, and in flow style , and }. */
static size_t copy_scalar(const char *text, bool flow, char *out, size_t size) {
    text += strspn(text, " ");
    const char *ends = *text == '"' ? "\"" : *text == '\'' ? "'" : flow ? ",} " : " ";
    text += *text == '"' || *text == '\'';
    size_t len = strcspn(text, ends);
    len = len < size ? len : 0;
    memcpy(out, text, len);
    out[len] = '\0';
    return len;
}

/* "{name: x, config: {response_header: Y}}", or what stands behind "config:". */
static void read_flow(struct scan *scan, struct item *item, const char *text) {
    char value[RESPONSE_HEADER];
    const char *name = strstr(text, "name:");
    const char *header = strstr(text, "response_header:");
    if (name != NULL && text[0] == '{' && copy_scalar(name + 5, true, value, sizeof value) > 0) {
        item->ours = item->ours || strcmp(value, scan->search.plugin) == 0;
    }
    if (header != NULL) {
        copy_scalar(header + 16, true, item->header, sizeof item->header);
    }
}

static void read_key(struct scan *scan, const char *text, size_t column) {
    struct item *item = scan->depth > 0 ? &scan->items[scan->depth - 1] : NULL;
    char value[RESPONSE_HEADER];
    if (item == NULL) {
        return;
    }
    if (strncmp(text, "name:", 5) == 0 && column == item->keys) {
        copy_scalar(text + 5, false, value, sizeof value);
        item->ours = strcmp(value, scan->search.plugin) == 0;
    } else if (strncmp(text, "response_header:", 16) == 0) {
        copy_scalar(text + 16, false, item->header, sizeof item->header);
    } else if (text[0] == '{' || strncmp(text, "config:", 7) == 0) {
        read_flow(scan, item, text);
    }
}

static void read_line(struct scan *scan, char *line) {
    size_t column = strspn(line, " ");
    char *text = line + column;
    for (char *c = text; *c != '\0'; c++) {
        if (*c == '#' && (c == text || c[-1] == ' ')) {
            *c = '\0';
            break;
        }
    }
    if (*text == '\0') {
        return;
    }
    end_items(scan, column);
    while (text[0] == '-' && text[1] == ' ') {
        size_t blanks = 1 + strspn(text + 1, " ");
        if (scan->depth == MOST_DEPTH) {
            return;
        }
        scan->items[scan->depth++] = (struct item){.dash = column, .keys = column + blanks};
        column += blanks;
        text += blanks;
    }
    read_key(scan, text, column);
}

void declarative_read_yaml(const char *text, const char *plugin, const char *usual,
                           struct header_names *to) {
    struct scan scan = {.search = {.plugin = plugin, .usual = usual, .to = to}};
    while (*text != '\0') {
        size_t len = strcspn(text, "\r\n");
        char *line = strndup(text, len);
        if (line != NULL) {
            read_line(&scan, line);
        }
        free(line);
        text += len;
        text += strspn(text, "\r\n");
    }
    end_items(&scan, 0);
}
