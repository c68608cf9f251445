#ifndef TESTS_UNIT_VALUE_EQUAL_H
#define TESTS_UNIT_VALUE_EQUAL_H

#include "kong_value.h"

/* Deep: same type, same content; the order of a map's pairs does not matter, but of those that
 * share a key. An integer equals a number of the same value (a Lua number travels as either), NaN
 * equals NaN. Values nested deeper than LIMIT_NESTING are never equal. */
bool value_equal(const struct kong_value *a, const struct kong_value *b);

#endif
