/* JSON texts as values, as cjson reads and writes them. */
#ifndef SIM_JSON_H
#define SIM_JSON_H

#include "arena.h"

/* A number of Lua's, which all are doubles: an integer where it is a whole one of int64_t. */
struct kong_value lua_number(double number);

/* Objects become maps, arrays lists, null nil, numbers Lua's. False for a text that is not JSON, is
 * nested too deep, or when out of memory. */
bool json_to_value(struct arena *arena, struct kong_str text, struct kong_value *value);

/* Compact. Strings go out byte by byte, UTF-8 or not, as from cjson. {NULL, 0} when out of memory.
 */
struct kong_str json_from_value(struct arena *arena, const struct kong_value *value);

#endif
