/* The header that a plugin sets in responses, where its configuration has a field for that name:
 * response_header. */
#ifndef SERVER_RESPONSE_HEADER_H
#define SERVER_RESPONSE_HEADER_H

#include <stdbool.h>
#include <stddef.h>

struct kong_plugin;

#define RESPONSE_HEADER 256 /* bytes for a name, with its NUL */

/* The default of the field response_header. False: there is no such field, or it has no default. */
bool response_header_default(const struct kong_plugin *plugin, char *out, size_t size);

#endif
