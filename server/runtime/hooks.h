/* How a plugin's own functions are called, but for handlers: through its guard, where it has one,
 * so that an exception of C++ is a failure with a text. */
#ifndef SERVER_HOOKS_H
#define SERVER_HOOKS_H

#include "kong.h"

/* fn(arg), by the plugin's guard. `error` is filled by the guard only, and is "" otherwise. */
int hooks_guard(const struct kong_plugin *plugin, int (*fn)(void *arg), void *arg, char *error,
                size_t error_size);

/* The hooks of kong_plugin; where there is none nothing is done, and 0 is the result. On a failure
 * `error` has a text, never "". */
int hooks_open(const struct kong_plugin *plugin, void **data, char *error, size_t error_size);
int hooks_configure(const struct kong_plugin *plugin, const void *config, void *data, void **state,
                    char *error, size_t error_size);
/* Not 0: they ended by an exception. */
int hooks_close(const struct kong_plugin *plugin, void *data, char *error, size_t error_size);
int hooks_destroy(const struct kong_plugin *plugin, const void *config, void *state, char *error,
                  size_t error_size);

#endif
