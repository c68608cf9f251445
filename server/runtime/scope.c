#include "scope.h"

#include <jansson.h>
#include <stdio.h>

#include "printable.h"

static const char *text_at(json_t *json, const char *key, struct arena *arena) {
    char text[129];
    json_t *value = json_object_get(json, key);
    if (!json_is_string(value) || json_string_length(value) == 0) {
        return NULL;
    }
    size_t len =
        printable_copy(text, sizeof text, json_string_value(value), json_string_length(value));
    return arena_copy(arena, text, len).data;
}

void scope_read(struct scope *scope, struct kong_str config, struct arena *arena) {
    *scope = (struct scope){0};
    json_t *json = json_loadb(config.data, config.len, JSON_ALLOW_NUL, NULL);
    if (json == NULL) {
        return;
    }
    scope->service_id = text_at(json, "service_id", arena);
    scope->route_id = text_at(json, "route_id", arena);
    scope->consumer_id = text_at(json, "consumer_id", arena);
    scope->plugin_id = text_at(json, "__plugin_id", arena);
    scope->instance_name = text_at(json, "plugin_instance_name", arena);
    json_decref(json);
}

void scope_describe(const struct scope *scope, char *out, size_t size) {
    const struct {
        const char *what, *id;
    } parts[] = {{"service ", scope->service_id},
                 {"route ", scope->route_id},
                 {"consumer ", scope->consumer_id},
                 {"name ", scope->instance_name}};
    size_t len = 0;
    bool scoped =
        scope->service_id != NULL || scope->route_id != NULL || scope->consumer_id != NULL;
    int n = snprintf(out, size, "%s", scoped ? "" : "global");
    for (size_t i = 0; i < sizeof parts / sizeof *parts && n >= 0; i++) {
        len += (size_t)n;
        if (len >= size) {
            return;
        }
        n = parts[i].id == NULL ? 0
                                : snprintf(out + len, size - len, "%s%s%s", len > 0 ? ", " : "",
                                           parts[i].what, parts[i].id);
    }
}
