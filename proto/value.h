/* Work on values. */
#ifndef PROTO_VALUE_H
#define PROTO_VALUE_H

#include "arena.h"
#include "kong_value.h"

/* A deep copy into the arena. False when out of memory or nested deeper than LIMIT_NESTING. */
bool value_copy(struct arena *arena, const struct kong_value *from, struct kong_value *to);

/* The value at a key of a map; NULL when there is none or `map` is no map. The first one where a
 * key repeats. */
const struct kong_value *value_get(const struct kong_value *map, const char *key);

/* Integers: KONG_INTEGER, or a KONG_NUMBER without fraction inside int64. False otherwise. */
bool value_to_integer(const struct kong_value *value, int64_t *out);

/* How deep it nests: a scalar 0, an empty list 1. Never more than LIMIT_NESTING + 1 (it stops
 * looking). */
unsigned value_depth(const struct kong_value *value);

#endif
