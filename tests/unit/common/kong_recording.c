#include "kong_recording.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "sim_json.h"
#include "value.h"
#include "value_equal.h"

#define MOST_SHOWN 20

/* --- Reading --- */

char *recording_text(const char *name, size_t *len) {
    const char *directory = getenv("RECORDINGS");
    char path[256];
    snprintf(path, sizeof path, "%s/%s", directory == NULL ? "tests/recordings" : directory, name);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    char *text = malloc((size_t)1 << 20);
    assert_non_null(text);
    *len = fread(text, 1, ((size_t)1 << 20) - 1, file);
    assert_true(feof(file));
    fclose(file);
    text[*len] = '\0';
    return text;
}

void replay_read(struct replay *replay) {
    size_t len = 0;
    size_t count = 0;
    char *text = recording_text("kong-3.9.1.jsonl", &len);
    struct kong_value *items = arena_array(&replay->memory, 1000, sizeof *items);
    assert_non_null(items);
    for (char *at = text; *at != '\0'; at += strcspn(at, "\n") + 1) {
        struct kong_str line = {at, strcspn(at, "\n")};
        assert_true(count < 1000 && json_to_value(&replay->memory, line, &items[count++]));
    }
    free(text);
    replay->lines = kong_list(items, count);
}

const char *replay_text(const struct kong_value *map, const char *key) {
    const struct kong_value *value = value_get(map, key);
    return value == NULL || value->type != KONG_STRING ? NULL : value->string.data;
}

int64_t replay_integer(const struct kong_value *map, const char *key) {
    int64_t number = 0;
    const struct kong_value *value = value_get(map, key);
    assert_true(value != NULL && value_to_integer(value, &number));
    return number;
}

const struct kong_value *replay_named(const struct replay *replay, const char *kind,
                                      const char *name) {
    for (size_t i = 0; i < replay->lines.list.count; i++) {
        const struct kong_value *line = &replay->lines.list.items[i];
        const char *is = replay_text(line, "kind");
        if (is != NULL && strcmp(is, kind) == 0 && strcmp(replay_text(line, "name"), name) == 0) {
            return line;
        }
    }
    fail_msg("no %s %s", kind, name);
    return NULL;
}

/* --- What differs --- */

struct kong_str replay_shown(struct replay *replay, const struct kong_value *value) {
    struct kong_str text = json_from_value(&replay->scratch, value);
    assert_non_null(text.data);
    return text;
}

__attribute__((format(printf, 3, 4))) void replay_check(struct replay *replay, bool same,
                                                        const char *format, ...) {
    char text[1024];
    va_list list;
    replay->compared++;
    if (same) {
        return;
    }
    va_start(list, format);
    vsnprintf(text, sizeof text, format, list);
    va_end(list);
    if (replay->differences++ < MOST_SHOWN) {
        print_error("%s, %s: %s\n", replay_text(replay->scenario, "name"),
                    replay_text(replay->scenario, "protocol"), text);
    }
}

static bool is_empty(const struct kong_value *value) {
    return (value->type == KONG_LIST && value->list.count == 0) ||
           (value->type == KONG_MAP && value->map.count == 0);
}

/* An empty table is a list and a map. */
static bool same_value(const struct kong_value *a, const struct kong_value *b) {
    if (a->type != KONG_MAP || b->type != KONG_MAP || a->map.count != b->map.count) {
        return value_equal(a, b) || (is_empty(a) && is_empty(b));
    }
    for (size_t i = 0; i < a->map.count; i++) {
        const struct kong_value *other = sim_map_get(b, a->map.pairs[i].key);
        if (other == NULL || !same_value(&a->map.pairs[i].value, other)) {
            return false;
        }
    }
    return true;
}

/* ProtoBuf:1 has one form for nil, "", 0 and false. */
static bool is_nothing(const struct kong_value *value) {
    int64_t number = 1;
    return value->type == KONG_NIL || (value->type == KONG_BOOLEAN && !value->boolean) ||
           (value->type == KONG_STRING && value->string.len == 0) ||
           (value_to_integer(value, &number) && number == 0);
}

void compare_value(struct replay *replay, const char *what, const struct kong_value *wanted,
                   const struct kong_value *got) {
    bool same =
        same_value(wanted, got) || (replay->protobuf && is_nothing(wanted) && is_nothing(got));
    replay_check(replay, same, "%s gave %s, not %s", what, replay_shown(replay, got).data,
                 replay_shown(replay, wanted).data);
}

/* Headers that Kong adds and the kit does not. */
static bool left_out(struct kong_str name) {
    static const char *const names[] = {"via", "connection", "server", "date"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (kong_str_equal(name, kong_str(names[i]))) {
            return true;
        }
    }
    return false;
}

/* A table of headers or arguments: each value alone, or in a list. */
void compare_table(struct replay *replay, const char *what, const struct kong_value *wanted,
                   const struct kong_value *got) {
    size_t count = 0;
    assert_int_equal(got->type, KONG_MAP);
    for (size_t i = 0; i < got->map.count; i++) {
        const struct kong_pair *pair = &got->map.pairs[i];
        const struct kong_value *other = sim_map_get(wanted, pair->key);
        struct kong_value one = kong_list(&pair->value, 1);
        if (left_out(pair->key)) {
            continue;
        }
        count++;
        replay_check(replay,
                     other != NULL &&
                         value_equal(other, pair->value.type == KONG_LIST ? &pair->value : &one),
                     "%s gave %s: %s", what, pair->key.data,
                     replay_shown(replay, &pair->value).data);
    }
    replay_check(replay, count == wanted->map.count, "%s gave %zu names, not %zu", what, count,
                 wanted->map.count);
}

/* Paths in a JSON text: "request.headers.host". */
void compare_json(struct replay *replay, const char *what, const struct kong_value *wanted,
                  struct kong_str text) {
    struct kong_value root;
    assert_true(json_to_value(&replay->scratch, text, &root));
    for (size_t i = 0; i < wanted->map.count; i++) {
        const struct kong_pair *pair = &wanted->map.pairs[i];
        const struct kong_value *at = &root;
        struct kong_value nil = kong_nil();
        char *path =
            (char *)(uintptr_t)arena_copy(&replay->scratch, pair->key.data, pair->key.len).data;
        for (char *save = NULL, *part = strtok_r(path, ".", &save); part != NULL && at != NULL;
             part = strtok_r(NULL, ".", &save)) {
            at = at->type == KONG_MAP ? sim_map_get(at, kong_str(part)) : NULL;
        }
        at = at == NULL ? &nil : at;
        replay_check(replay, same_value(&pair->value, at), "%s: %s is %s, not %s", what,
                     pair->key.data, replay_shown(replay, at).data,
                     replay_shown(replay, &pair->value).data);
    }
}
