/* --check-config: a configuration looked at as Kong's Admin API would, without Kong. */
#ifndef SERVER_CHECK_CONFIG_H
#define SERVER_CHECK_CONFIG_H

#include <stddef.h>
#include <stdio.h>

#include "kong_schema.h"

/* Reads the JSON object at `path` ("-": standard input), the fields of `config` and nothing around
 * them, and checks it against the schema. 0: Kong would take it. 1: it would not; each violation is
 * a line on `out`, "config.response_header: required field missing", or of broken JSON "config:
 * line 3, column 7: ..."; `error` is "", or a hint in one line when the whole entity of Kong's
 * Admin API was given instead. -1: the file could not be read (or is larger than what Kong could
 * send), or there is no memory, or `out` did not take the lines; `error` says which in one line,
 * without the program's name. */
int check_config(const struct kong_schema *schema, const char *path, FILE *out, char *error,
                 size_t error_size);

#endif
