/* The plugin's own begin and end, around the life of its server. */
#include <stdio.h>

#include "hooks.h"
#include "server_internal.h"

int server_open_plugin(struct server *server, char *error, size_t size) {
    const struct kong_plugin *plugin = server->options.plugin;
    char text[256];
    if (hooks_open(plugin, &server->process_data, text, sizeof text) != 0) {
        snprintf(error, size, "%s: %s", plugin->name, text);
        return -1;
    }
    server->plugin_open = true;
    return 0;
}

void server_close_plugin(struct server *server) {
    char error[256];
    if (server->plugin_open &&
        hooks_close(server->options.plugin, server->process_data, error, sizeof error) != 0) {
        log_write(server->options.log, LOG_LEVEL_ERROR, "close: %s", error);
    }
}
