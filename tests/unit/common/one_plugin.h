/* A server's table of plugins, for tests that have one plugin and no server. */
#ifndef ONE_PLUGIN_H
#define ONE_PLUGIN_H

#include "plugins.h"

/* The table lies in *place, and is not to be freed. `data`: what the plugin's open would have left.
 */
static inline struct plugins one_plugin(struct plugin *place, const struct kong_plugin *what,
                                        void *data) {
    plugin_init(place, what, 0);
    place->data = data;
    return (struct plugins){.name = what->name, .count = 1, .list = place};
}

#endif
