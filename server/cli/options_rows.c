/* Default values, and questions to the table of options. */
#include <stdio.h>

#include "dump.h"
#include "limit.h"
#include "options_table.h"

#define SECOND ((uint64_t)1000)

bool options_is_information(enum options_action action) {
    return action == OPTIONS_HELP || action == OPTIONS_HELP_ALL || action == OPTIONS_MAN ||
           action == OPTIONS_VERSION;
}

const struct kong_plugin *options_msgpack_plugin(const struct plugins *plugins) {
    for (size_t i = 0; i < plugins->count; i++) {
        if (plugins->list[i].what->protocol == KONG_PROTOCOL_MSGPACK) {
            return plugins->list[i].what;
        }
    }
    return NULL;
}

void options_defaults(struct options *options, const struct plugins *plugins,
                      const struct kong_plugin *plugin) {
    *options = (struct options){
        .action = OPTIONS_RUN,
        .socket_mode = 0600,
        .log_level = LOG_LEVEL_INFO,
        .drain_ms = 5 * SECOND,
        .watch_parent = OPTION_AUTO,
        .supervise = OPTION_AUTO,
        .threads = 1,
        .blocking_threads = LIMIT_BLOCKING_THREADS,
        .blocking_wait_ms = LIMIT_BLOCKING_WAIT_MS,
        .prefetch = PREFETCH_AUTO,
        .protocol = options_msgpack_plugin(plugins) != NULL ? PROTOCOL_MSGPACK : PROTOCOL_PROTOBUF,
        .kong_major = 0,
        .event_ms = LIMIT_EVENT_MS,
        .stall_ms = LIMIT_EVENT_MS,
        .instance_idle_ms = LIMIT_INSTANCE_IDLE_MS,
        .max_connections = LIMIT_CONNECTIONS,
        .max_instances = LIMIT_INSTANCES,
        .max_events = LIMIT_EVENTS,
        .record_size = (size_t)1 << 30,
        .max_frame = LIMIT_FRAME,
        .max_memory = LIMIT_MEMORY,
        .max_config = LIMIT_CONFIG,
    };
    if (plugin != NULL) {
        options->phases = dump_default_phases(plugin);
        options->priority = plugin->priority;
    }
}

struct options options_for(const struct options *options, const struct plugins *plugins,
                           const struct kong_plugin *plugin) {
    struct options own = *options;
    struct options defaults;
    if (plugin != options->plugin) {
        options_defaults(&defaults, plugins, plugin);
        own.plugin = plugin;
        own.phases = defaults.phases;
        own.priority = defaults.priority;
        own.name = NULL;
    }
    own.plugin_name = plugins->count > 1 ? (char *)(uintptr_t)plugin->name : NULL;
    return own;
}

const char *options_name_of(enum options_action action) {
    const struct option_row *row = option_rows;
    while (row->number != action) {
        row++;
    }
    return row->name;
}

bool options_belongs(const struct option_row *row, enum option_use use) {
    bool both = row->both && use != OPTION_FOR_A_PERSON;
    while (row->section == NULL) {
        row--; /* the first one begins a section */
    }
    return both || row->use == use;
}

void options_list_phases(unsigned phases, const char *between, char *out, size_t size) {
    struct text names = text_in(out, size);
    for (unsigned phase = 0; phase < KONG_PHASE_COUNT; phase++) {
        if ((phases & KONG_PHASE_BIT(phase)) != 0) {
            text_add_item(&names, between, kong_phase_name((enum kong_phase)phase));
        }
    }
}

void options_list_handlers(const struct kong_plugin *plugin, char *out, size_t size) {
    options_list_phases(dump_handled_phases(plugin), ", ", out, size);
}

void options_list_plugins(const struct plugins *plugins, char *out, size_t size) {
    struct text names = text_in(out, size);
    for (size_t i = 0; i < plugins->count; i++) {
        text_add_item(&names, ", ", plugins->list[i].what->name);
    }
}

int options_need_plugin(const struct option_parser *parser, const char *option) {
    char names[300];
    options_list_plugins(parser->plugins, names, sizeof names);
    return options_fail(parser, "--%s: of which plugin? Give --plugin NAME, one of %s", option,
                        names);
}
