/* JSON texts as values, as cjson reads and writes them. */
#ifndef SIM_JSON_H
#define SIM_JSON_H

#include "arena.h"

/* Objects become maps, arrays lists, null nil; whole numbers integers. False for a text that is not
 * JSON, is nested too deep, or when out of memory. */
bool json_to_value(struct arena *arena, struct kong_str text, struct kong_value *value);

/* Compact. Bytes that are not UTF-8 have no JSON: {NULL, 0}, as when out of memory. */
struct kong_str json_from_value(struct arena *arena, const struct kong_value *value);

#endif
