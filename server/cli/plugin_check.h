/* An author's mistakes in a plugin's description, which Kong would otherwise find: by not starting,
 * or by never calling the plugin. */
#ifndef SERVER_PLUGIN_CHECK_H
#define SERVER_PLUGIN_CHECK_H

#include "kong.h"

/* Name, version, phases and handlers, and the schema (schema_check: a default that its own rules
 * refuse, …). A priority is always there: without one it is 0, behind most of Kong's own plugins.
 * 0; or -1 with one line in `error` that says what is wrong and what would be right. */
int plugin_check(const struct kong_plugin *plugin, char *error, size_t error_size);

/* The same for all of a program, which are told apart by their names. */
int plugin_check_all(const struct kong_plugin *const *plugins, size_t count, char *error,
                     size_t error_size);

/* "1.0" or "1.0.0", as Kong wants it. */
bool plugin_check_version(const char *version);

#endif
