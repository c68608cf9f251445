/* The plugins' own begin and end, around the life of their server. */
#include <stdio.h>

#include "hooks.h"
#include "server_internal.h"

int server_open_plugins(struct server *server, char *error, size_t size) {
    struct plugins *plugins = server->options.plugins;
    char text[256];
    for (size_t i = 0; i < plugins->count; i++) {
        struct plugin *plugin = &plugins->list[i];
        if (hooks_open(plugin->what, &plugin->data, text, sizeof text) != 0) {
            snprintf(error, size, "%s: %s", plugin->what->name, text);
            return -1;
        }
        plugin->open = true;
    }
    return 0;
}

void server_close_plugins(struct server *server) {
    struct plugins *plugins = server->options.plugins;
    char error[256];
    for (size_t i = plugins->count; i > 0; i--) {
        struct plugin *plugin = &plugins->list[i - 1];
        if (plugin->open && hooks_close(plugin->what, plugin->data, error, sizeof error) != 0) {
            log_write_for(server->options.log, plugin->what->name, LOG_LEVEL_ERROR, NULL,
                          "close: %s", error);
        }
        plugin->open = false;
        plugin->data = NULL;
    }
}
