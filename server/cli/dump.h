/* What Kong is told of the plugin: by --dump as JSON, over the socket by plugin info. One truth for
 * both. */
#ifndef SERVER_DUMP_H
#define SERVER_DUMP_H

#include "options.h"
#include "rpc_message.h"

/* Owned by whoever embeds it. */
struct dump {
    struct rpc_plugin_info info; /* points into the rest */
    struct kong_str phases[KONG_PHASE_COUNT];
    char *schema; /* JSON text */
};

/* The phases that a plugin has a handler for, and those that it advertises when the operator does
 * not say. */
unsigned dump_handled_phases(const struct kong_plugin *plugin);
unsigned dump_default_phases(const struct kong_plugin *plugin);

/* Of options->plugin, with what the options say of it. 0, or -1 when out of memory. */
int dump_init(struct dump *dump, const struct options *options);
void dump_free(struct dump *dump);

/* Kong's JSON, without a newline at its end: {"Protocol", "SocketPath", "Plugins": [{Name, Version,
 * Priority, Phases, Schema}]} (Kong: kong/runloop/plugin_servers/process.lua). malloc'ed; NULL when
 * out of memory. */
char *dump_json(const struct options *options);

/* The schema alone, as schema.lua has it: "return { name = ..., fields = { ... } }" for Lua 5.1
 * with Kong's typedefs at hand, without a newline at its end. malloc'ed; NULL when out of memory.
 */
char *dump_lua(const struct options *options);

#endif
