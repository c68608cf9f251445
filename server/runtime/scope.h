/* What a configuration of Kong is for: read from the keys that Kong adds to the plugin's own. */
#ifndef SERVER_SCOPE_H
#define SERVER_SCOPE_H

#include <jansson.h>

#include "arena.h"

/* NULL where Kong says nothing: a global plugin has no service, route and consumer. */
struct scope {
    const char *service_id, *route_id, *consumer_id;
    const char *plugin_id;     /* of the configuration, "__plugin_id" */
    const char *instance_name; /* what the operator called it, "plugin_instance_name" */
};

/* From the configuration that Kong starts an instance with. NULL has no scope; what there is no
 * memory for is left out. Texts are printable, at most 128 bytes long, in the arena. */
void scope_read(struct scope *scope, const json_t *config, struct arena *arena);

/* "service 4a8e… route 77… (name)" or "global", cut to `size`. */
void scope_describe(const struct scope *scope, char *out, size_t size);

#endif
