/* --check-config: a configuration looked at as Kong's Admin API would, without Kong. */
#ifndef SERVER_CHECK_CONFIG_H
#define SERVER_CHECK_CONFIG_H

#include "options.h"

/* Reads a JSON object from the file options->check_config ("-": standard input), the fields of
 * `config` and nothing around them, and checks it against the schema of options->plugin, as
 * strictly as the Admin API; then, unless no_configure, has the plugin check it (open, configure,
 * destroy, close). 0: Kong and the plugin would take it. 1: not so; each violation is a line on
 * `out`, "config.response_header: required field missing", of broken JSON "config: line 3, column
 * 7: ...", of `configure` "config: its text"; `error` is "", or a hint in one line when the whole
 * entity of Kong's Admin API was given instead. -1: the file could not be read, or is larger than
 * max_config, or the plugin does not open, or there is no memory; `error` says which in one line,
 * without the program's name. */
int check_config(const struct options *options, FILE *out, char *error, size_t error_size);

#endif
