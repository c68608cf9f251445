#include "scope.h"

#include "printable.h"
#include "text.h"

static const char *text_at(const json_t *json, const char *key, struct arena *arena) {
    char text[129];
    json_t *value = json_object_get(json, key);
    if (!json_is_string(value) || json_string_length(value) == 0) {
        return NULL;
    }
    size_t len =
        printable_copy(text, sizeof text, json_string_value(value), json_string_length(value));
    return arena_copy(arena, text, len).data;
}

void scope_read(struct scope *scope, const json_t *config, struct arena *arena) {
    scope->service_id = text_at(config, "service_id", arena);
    scope->route_id = text_at(config, "route_id", arena);
    scope->consumer_id = text_at(config, "consumer_id", arena);
    scope->plugin_id = text_at(config, "__plugin_id", arena);
    scope->instance_name = text_at(config, "plugin_instance_name", arena);
}

void scope_describe(const struct scope *scope, char *out, size_t size) {
    const struct {
        const char *what, *id;
    } parts[] = {{"service ", scope->service_id},
                 {"route ", scope->route_id},
                 {"consumer ", scope->consumer_id},
                 {"name ", scope->instance_name}};
    struct text text = text_in(out, size);
    if (scope->service_id == NULL && scope->route_id == NULL && scope->consumer_id == NULL) {
        text_add(&text, "global");
    }
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        if (parts[i].id != NULL) {
            text_add_item(&text, ", ", parts[i].what);
            text_add(&text, "%s", parts[i].id);
        }
    }
}
