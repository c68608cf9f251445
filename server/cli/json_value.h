/* A value as JSON. */
#ifndef SERVER_JSON_VALUE_H
#define SERVER_JSON_VALUE_H

#include "kong_value.h"

/* Compact, malloc'ed; bytes that are not UTF-8 become \xNN as in logs. NULL when out of memory, or
 * nested deeper than LIMIT_NESTING. */
char *json_value_text(const struct kong_value *value);

#endif
