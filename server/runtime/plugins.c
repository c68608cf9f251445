#include "plugins.h"

#include <stdlib.h>
#include <string.h>

void plugin_init(struct plugin *plugin, const struct kong_plugin *what, uint32_t index) {
    *plugin = (struct plugin){.what = what, .index = index};
    memcpy(plugin->handlers, what->handlers, sizeof what->handlers);
}

int plugins_init(struct plugins *plugins, const char *program,
                 const struct kong_plugin *const *list, size_t count) {
    *plugins = (struct plugins){.name = count == 1 ? list[0]->name : program};
    plugins->list = calloc(count, sizeof *plugins->list);
    if (plugins->list == NULL) {
        return -1;
    }
    for (size_t i = 0; i < count; i++) {
        plugin_init(&plugins->list[i], list[i], (uint32_t)i);
    }
    plugins->count = count;
    return 0;
}

void plugins_free(struct plugins *plugins) {
    free(plugins->list);
    *plugins = (struct plugins){.count = 0};
}

struct plugin *plugins_find(const struct plugins *plugins, struct kong_str name) {
    for (size_t i = 0; i < plugins->count; i++) {
        if (kong_str_equal(name, kong_str(plugins->list[i].what->name))) {
            return &plugins->list[i];
        }
    }
    return NULL;
}

const char *plugins_name_of(const struct plugins *plugins, uint32_t index) {
    return index < plugins->count ? plugins->list[index].what->name : plugins->name;
}
