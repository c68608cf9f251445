#include "value_equal.h"

#include <math.h>

#include "limit.h"
#include "value.h"

static bool equal(const struct kong_value *a, const struct kong_value *b, unsigned levels);

/* Which of the pairs with `key` among the first `end` ones comes as number `nth`, from 0; `end`
 * when there is none. */
static size_t find_key(const struct kong_pair *pairs, size_t end, struct kong_str key, size_t nth) {
    for (size_t i = 0; i < end; i++) {
        if (kong_str_equal(pairs[i].key, key) && nth-- == 0) {
            return i;
        }
    }
    return end;
}

static size_t count_key(const struct kong_pair *pairs, size_t end, struct kong_str key) {
    size_t count = 0;
    for (size_t i = 0; i < end; i++) {
        count += kong_str_equal(pairs[i].key, key);
    }
    return count;
}

/* Each value is compared once, with that of its key in b: looking for an equal one would take time
 * exponential in the depth. Mostly the keys are in the same order. */
static bool map_equal(const struct kong_value *a, const struct kong_value *b, unsigned levels) {
    const struct kong_pair *left = a->map.pairs, *right = b->map.pairs;
    size_t count = a->map.count;
    bool same_order = true;
    if (count != b->map.count) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        size_t found = i;
        same_order = same_order && kong_str_equal(left[i].key, right[i].key);
        if (!same_order) {
            found = find_key(right, count, left[i].key, count_key(left, i, left[i].key));
        }
        if (found == count || !equal(&left[i].value, &right[found].value, levels)) {
            return false;
        }
    }
    return true;
}

static bool list_equal(const struct kong_value *a, const struct kong_value *b, unsigned levels) {
    if (a->list.count != b->list.count) {
        return false;
    }
    for (size_t i = 0; i < a->list.count; i++) {
        if (!equal(&a->list.items[i], &b->list.items[i], levels)) {
            return false;
        }
    }
    return true;
}

/* NaN equals NaN here: the same content. */
static bool number_equal(const struct kong_value *a, const struct kong_value *b) {
    int64_t x, y;
    if (value_to_integer(a, &x) && value_to_integer(b, &y)) {
        return x == y;
    }
    if (a->type != KONG_NUMBER || b->type != KONG_NUMBER) {
        return false;
    }
    return a->number == b->number || (isnan(a->number) && isnan(b->number));
}

static bool is_number(const struct kong_value *value) {
    return value->type == KONG_INTEGER || value->type == KONG_NUMBER;
}

static bool equal(const struct kong_value *a, const struct kong_value *b, unsigned levels) {
    if (is_number(a) && is_number(b)) {
        return number_equal(a, b);
    }
    if (a->type != b->type) {
        return false;
    }
    switch (a->type) {
    case KONG_NIL:
        return true;
    case KONG_BOOLEAN:
        return a->boolean == b->boolean;
    case KONG_STRING:
        return kong_str_equal(a->string, b->string);
    case KONG_LIST:
        return levels > 0 && list_equal(a, b, levels - 1);
    case KONG_MAP:
        return levels > 0 && map_equal(a, b, levels - 1);
    case KONG_INTEGER:
    case KONG_NUMBER:
        break;
    }
    return false;
}

bool value_equal(const struct kong_value *a, const struct kong_value *b) {
    return equal(a, b, LIMIT_NESTING);
}
