#include "dump.h"

#include <jansson.h>
#include <stdlib.h>
#include <time.h>

#include "buffer.h"
#include "limit.h"
#include "options.h"
#include "schema.h"

unsigned dump_handled_phases(const struct kong_plugin *plugin) {
    unsigned phases = 0;
    for (unsigned phase = 0; phase < KONG_PHASE_COUNT; phase++) {
        phases |= plugin->handlers[phase] != NULL ? KONG_PHASE_BIT(phase) : 0;
    }
    return phases;
}

unsigned dump_default_phases(const struct kong_plugin *plugin) {
    const unsigned header_filter = KONG_PHASE_BIT(KONG_PHASE_HEADER_FILTER);
    return plugin->phases != 0 ? plugin->phases : dump_handled_phases(plugin) & ~header_filter;
}

static int append(const char *data, size_t len, void *to) {
    struct buffer *text = to;
    buffer_append(text, data, len);
    return text->failed ? -1 : 0;
}

/* malloc'ed; NULL when out of memory, and for NULL. jansson's own json_dumps passes over a name
 * that found no memory, and gives a text without it: a buffer that has failed once says so. */
static char *to_text(const json_t *json, size_t flags) {
    struct buffer text;
    buffer_init(&text, LIMIT_FRAME);
    text.failed = json == NULL || json_dump_callback(json, append, &text, flags) != 0;
    return buffer_take_text(&text);
}

int dump_init(struct dump *dump, const struct options *options) {
    const struct kong_plugin *plugin = options->plugin;
    *dump = (struct dump){0};
    json_t *schema = schema_to_json(plugin->schema, plugin->name, dump_default_phases(plugin),
                                    options->kong_major);
    dump->schema = to_text(schema, JSON_COMPACT);
    json_decref(schema);
    if (dump->schema == NULL) {
        return -1;
    }
    size_t count = 0;
    for (unsigned phase = 0; phase < KONG_PHASE_COUNT; phase++) {
        if ((options->phases & KONG_PHASE_BIT(phase)) != 0) {
            dump->phases[count++] = kong_str(kong_phase_name((enum kong_phase)phase));
        }
    }
    dump->info = (struct rpc_plugin_info){.name = kong_str(plugin->name),
                                          .version = kong_str(plugin->version),
                                          .priority = options->priority,
                                          .phases = dump->phases,
                                          .phase_count = count,
                                          .schema = kong_str(dump->schema),
                                          .updated_at = time(NULL),
                                          .loaded_at = time(NULL)};
    return 0;
}

void dump_free(struct dump *dump) {
    free(dump->schema);
    *dump = (struct dump){0};
}

static json_t *phases_to_json(unsigned phases) {
    json_t *names = json_array();
    for (unsigned phase = 0; names != NULL && phase < KONG_PHASE_COUNT; phase++) {
        if ((phases & KONG_PHASE_BIT(phase)) != 0 &&
            json_array_append_new(names, json_string(kong_phase_name((enum kong_phase)phase))) !=
                0) {
            json_decref(names);
            return NULL;
        }
    }
    return names;
}

char *dump_json(const struct options *options) {
    const struct kong_plugin *plugin = options->plugin;
    json_t *all = json_pack("{s:s, s:s, s:[{s:s, s:s, s:i, s:o, s:o}]}", "Protocol",
                            options->protocol == PROTOCOL_MSGPACK ? "MsgPack:1" : "ProtoBuf:1",
                            "SocketPath", options->socket, "Plugins", "Name", plugin->name,
                            "Version", plugin->version, "Priority", options->priority, "Phases",
                            phases_to_json(options->phases), "Schema",
                            schema_to_json(plugin->schema, plugin->name,
                                           dump_default_phases(plugin), options->kong_major));
    char *text = to_text(all, JSON_INDENT(2));
    json_decref(all);
    return text;
}
