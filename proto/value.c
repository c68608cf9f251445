#include "value.h"

#include "limit.h"

bool value_to_integer(const struct kong_value *value, int64_t *out) {
    if (value->type == KONG_INTEGER) {
        *out = value->integer;
        return true;
    }
    /* 2^63 is a double, INT64_MAX is none; NaN fails both comparisons */
    if (value->type == KONG_NUMBER && value->number >= -0x1p63 && value->number < 0x1p63 &&
        (double)(int64_t)value->number == value->number) {
        *out = (int64_t)value->number;
        return true;
    }
    return false;
}

/* A string without data is an empty one: nil has a type of its own. */
static bool copy_string(struct arena *arena, struct kong_str from, struct kong_str *to) {
    *to = from.data == NULL ? arena_copy(arena, "", 0) : arena_copy(arena, from.data, from.len);
    return to->data != NULL;
}

static bool copy(struct arena *arena, const struct kong_value *from, struct kong_value *to,
                 unsigned levels);

static __attribute__((noinline)) bool copy_list(struct arena *arena, const struct kong_value *from,
                                                struct kong_value *to, unsigned levels) {
    struct kong_value *items = arena_array(arena, from->list.count, sizeof *items);
    if (items == NULL) {
        return false;
    }
    for (size_t i = 0; i < from->list.count; i++) {
        if (!copy(arena, &from->list.items[i], &items[i], levels)) {
            return false;
        }
    }
    *to = kong_list(items, from->list.count);
    return true;
}

static __attribute__((noinline)) bool copy_map(struct arena *arena, const struct kong_value *from,
                                               struct kong_value *to, unsigned levels) {
    struct kong_pair *pairs = arena_array(arena, from->map.count, sizeof *pairs);
    if (pairs == NULL) {
        return false;
    }
    for (size_t i = 0; i < from->map.count; i++) {
        const struct kong_pair *pair = &from->map.pairs[i];
        if (!copy_string(arena, pair->key, &pairs[i].key) ||
            !copy(arena, &pair->value, &pairs[i].value, levels)) {
            return false;
        }
    }
    *to = kong_map(pairs, from->map.count);
    return true;
}

static bool copy(struct arena *arena, const struct kong_value *from, struct kong_value *to,
                 unsigned levels) {
    switch (from->type) {
    case KONG_STRING:
        to->type = KONG_STRING;
        return copy_string(arena, from->string, &to->string);
    case KONG_LIST:
        return levels > 0 && copy_list(arena, from, to, levels - 1);
    case KONG_MAP:
        return levels > 0 && copy_map(arena, from, to, levels - 1);
    case KONG_NIL:
    case KONG_BOOLEAN:
    case KONG_INTEGER:
    case KONG_NUMBER:
        break;
    }
    *to = *from;
    return true;
}

bool value_copy(struct arena *arena, const struct kong_value *from, struct kong_value *to) {
    return copy(arena, from, to, LIMIT_NESTING);
}

const struct kong_value *value_get(const struct kong_value *map, const char *key) {
    if (map->type != KONG_MAP) {
        return NULL;
    }
    struct kong_str wanted = kong_str(key);
    for (size_t i = 0; i < map->map.count; i++) {
        if (kong_str_equal(map->map.pairs[i].key, wanted)) {
            return &map->map.pairs[i].value;
        }
    }
    return NULL;
}

static unsigned depth(const struct kong_value *value, unsigned levels) {
    if ((value->type != KONG_LIST && value->type != KONG_MAP) || levels == 0) {
        return 0;
    }
    bool list = value->type == KONG_LIST;
    size_t count = list ? value->list.count : value->map.count;
    unsigned deepest = 0;
    for (size_t i = 0; i < count && deepest < levels - 1; i++) {
        unsigned below =
            depth(list ? &value->list.items[i] : &value->map.pairs[i].value, levels - 1);
        deepest = below > deepest ? below : deepest;
    }
    return deepest + 1;
}

unsigned value_depth(const struct kong_value *value) {
    return depth(value, LIMIT_NESTING + 1);
}
