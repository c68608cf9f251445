#include "sim_fields.h"

#include <stdlib.h>
#include <strings.h>

void fields_init(struct fields *fields, struct arena *arena) {
    *fields = (struct fields){.arena = arena};
}

static bool fields_room(struct fields *fields) {
    if (fields->count < fields->capacity) {
        return true;
    }
    size_t capacity = fields->capacity == 0 ? 16 : fields->capacity * 2;
    struct field *items = arena_array(fields->arena, capacity, sizeof *items);
    if (items == NULL) {
        return false;
    }
    if (fields->count > 0) {
        memcpy(items, fields->items, fields->count * sizeof *items);
    }
    fields->items = items;
    fields->capacity = capacity;
    return true;
}

bool fields_add(struct fields *fields, struct kong_str name, struct kong_str value, bool flag) {
    struct kong_str own_name = arena_copy(fields->arena, name.data, name.len);
    struct kong_str own_value =
        value.data == NULL ? kong_str("") : arena_copy(fields->arena, value.data, value.len);
    if (own_name.data == NULL || own_value.data == NULL || !fields_room(fields)) {
        return false;
    }
    fields->items[fields->count++] = (struct field){own_name, own_value, flag};
    return true;
}

static char fold(char c) {
    if (c >= 'A' && c <= 'Z') {
        return (char)(c - 'A' + 'a');
    }
    return c == '_' ? '-' : c;
}

bool header_name_equal(struct kong_str a, struct kong_str b) {
    if (a.len != b.len) {
        return false;
    }
    for (size_t i = 0; i < a.len; i++) {
        if (fold(a.data[i]) != fold(b.data[i])) {
            return false;
        }
    }
    return true;
}

/* The same header to nginx, which knows no difference but that of case. */
static bool same_header(struct kong_str a, struct kong_str b) {
    return a.len == b.len && strncasecmp(a.data, b.data, a.len) == 0;
}

const struct field *headers_find(const struct fields *headers, struct kong_str name) {
    for (size_t i = 0; i < headers->count; i++) {
        if (header_name_equal(headers->items[i].name, name)) {
            return &headers->items[i];
        }
    }
    return NULL;
}

void headers_clear(struct fields *headers, struct kong_str name) {
    size_t kept = 0;
    for (size_t i = 0; i < headers->count; i++) {
        if (!same_header(headers->items[i].name, name)) {
            headers->items[kept++] = headers->items[i];
        }
    }
    headers->count = kept;
}

bool headers_set(struct fields *headers, struct kong_str name, struct kong_str value) {
    size_t at = 0;
    while (at < headers->count && !same_header(headers->items[at].name, name)) {
        at++;
    }
    if (at == headers->count) {
        return fields_add(headers, name, value, false);
    }
    struct fields one;
    fields_init(&one, headers->arena);
    if (!fields_add(&one, name, value, false)) {
        return false;
    }
    headers->items[at] = one.items[0];
    size_t kept = at + 1;
    for (size_t i = at + 1; i < headers->count; i++) {
        if (!same_header(headers->items[i].name, name)) {
            headers->items[kept++] = headers->items[i];
        }
    }
    headers->count = kept;
    return true;
}

static struct kong_value field_value(const struct field *field) {
    if (field->flag) {
        return kong_boolean(true);
    }
    return (struct kong_value){.type = KONG_STRING, .string = field->value};
}

/* Adds a value to the pair of its name: alone as it is, from the second one on as a list. */
static bool pair_add(struct arena *arena, struct kong_pair *pair, struct kong_value value) {
    size_t before = pair->value.type == KONG_LIST ? pair->value.list.count : 1;
    struct kong_value *items = arena_array(arena, before + 1, sizeof *items);
    if (items == NULL) {
        return false;
    }
    if (pair->value.type == KONG_LIST) {
        memcpy(items, pair->value.list.items, before * sizeof *items);
    } else {
        items[0] = pair->value;
    }
    items[before] = value;
    pair->value = kong_list(items, before + 1);
    return true;
}

static bool map_add(struct arena *arena, struct kong_pair *pairs, size_t *count,
                    struct kong_str name, struct kong_value value) {
    for (size_t i = 0; i < *count; i++) {
        if (kong_str_equal(pairs[i].key, name)) {
            return pair_add(arena, &pairs[i], value);
        }
    }
    pairs[(*count)++] = (struct kong_pair){name, value};
    return true;
}

static bool is_one_of(struct kong_str name, const char *const *names) {
    for (; names != NULL && *names != NULL; names++) {
        if (kong_str_equal(name, kong_str(*names))) {
            return true;
        }
    }
    return false;
}

bool headers_to_map(const struct fields *headers, size_t max, const char *const *exempt,
                    struct arena *arena, struct kong_value *map) {
    struct kong_pair *pairs = arena_array(arena, headers->count, sizeof *pairs);
    size_t count = 0;
    size_t taken = 0;
    if (pairs == NULL) {
        return false;
    }
    for (size_t i = 0; i < headers->count; i++) {
        const struct field *field = &headers->items[i];
        char *lower = arena_alloc(arena, field->name.len + 1);
        if (lower == NULL) {
            return false;
        }
        for (size_t k = 0; k < field->name.len; k++) {
            char c = field->name.data[k];
            lower[k] = c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
        }
        lower[field->name.len] = '\0';
        struct kong_str name = {lower, field->name.len};
        if (!is_one_of(name, exempt) && max != 0 && taken++ >= max) {
            continue;
        }
        if (!map_add(arena, pairs, &count, name, field_value(field))) {
            return false;
        }
    }
    *map = kong_map(pairs, count);
    return true;
}

static int hex(char c) {
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* '+' is a space; a '%' that two hexadecimal digits do not follow stands for itself. */
static struct kong_str unescape(struct arena *arena, const char *text, size_t len) {
    char *out = arena_alloc(arena, len + 1);
    size_t n = 0;
    if (out == NULL) {
        return (struct kong_str){NULL, 0};
    }
    for (size_t i = 0; i < len; i++) {
        if (text[i] == '+') {
            out[n++] = ' ';
        } else if (text[i] == '%' && i + 2 < len && hex(text[i + 1]) >= 0 &&
                   hex(text[i + 2]) >= 0) {
            out[n++] = (char)(hex(text[i + 1]) * 16 + hex(text[i + 2]));
            i += 2;
        } else {
            out[n++] = text[i];
        }
    }
    out[n] = '\0';
    return (struct kong_str){out, n};
}

static bool parse(struct fields *args, struct kong_str text, bool nameless) {
    size_t start = 0;
    while (start < text.len) {
        const char *from = text.data + start;
        const char *amp = memchr(from, '&', text.len - start);
        size_t len = amp == NULL ? text.len - start : (size_t)(amp - from);
        const char *equals = memchr(from, '=', len);
        size_t name_len = equals == NULL ? len : (size_t)(equals - from);
        start += len + 1;
        if (name_len == 0 && (!nameless || len == 0)) {
            continue;
        }
        struct kong_str name = unescape(args->arena, from, name_len);
        struct kong_str value = kong_str("");
        if (equals != NULL) {
            value = unescape(args->arena, equals + 1, len - name_len - 1);
        }
        if (name.data == NULL || value.data == NULL ||
            !fields_add(args, name, value, equals == NULL)) {
            return false;
        }
    }
    return true;
}

bool query_parse(struct fields *args, struct kong_str text) {
    return parse(args, text, false);
}

bool query_parse_all(struct fields *args, struct kong_str text) {
    return parse(args, text, true);
}

bool query_to_map(const struct fields *args, size_t max, struct arena *arena,
                  struct kong_value *map) {
    size_t take = max == 0 || args->count < max ? args->count : max;
    struct kong_pair *pairs = arena_array(arena, take, sizeof *pairs);
    size_t count = 0;
    if (pairs == NULL) {
        return false;
    }
    for (size_t i = 0; i < take; i++) {
        if (!map_add(arena, pairs, &count, args->items[i].name, field_value(&args->items[i]))) {
            return false;
        }
    }
    *map = kong_map(pairs, count);
    return true;
}
