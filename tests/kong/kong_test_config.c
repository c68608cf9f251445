/* The configuration on its way to the plugin: the Admin API's check, and what Kong makes of it
 * before it starts an instance: references are resolved, and keys of its own added. */
#include <stdio.h>

#include "kong_test_inside.h"
#include "limit.h"
#include "schema.h"
#include "sim_json.h"

int test_check_config(const struct kong_plugin *plugin, const char *config, char *error,
                      size_t error_size) {
    struct schema_result result;
    struct arena arena;
    size_t used = 0;
    arena_init(&arena, LIMIT_EVENT_MEMORY);
    int rc = schema_decode(plugin->schema, kong_str(config), SCHEMA_FROM_USER, &arena, &result);
    for (size_t i = 0; rc > 0 && i < result.count && used < error_size; i++) {
        int len =
            snprintf(error + used, error_size - used, "%s%s", i == 0 ? "" : "\n", result.lines[i]);
        used += len < 0 ? 0 : (size_t)len;
    }
    if (rc < 0) {
        snprintf(error, error_size, "not enough memory");
    }
    json_decref(result.tree);
    arena_free(&arena);
    return rc < 0 ? -1 : rc;
}

/* --- References --------------------------------------------------------------------------- */

static bool is_reference(const struct kong_value *value) {
    return value->type == KONG_STRING && value->string.len > 10 &&
           strncmp(value->string.data, "{vault://", 9) == 0 &&
           value->string.data[value->string.len - 1] == '}';
}

/* The secret in place of the reference; "" where there is none. */
static void resolve(struct kong_test *test, struct kong_value *value) {
    char line[300];
    const struct kong_value *secret = sim_map_get(&test->pdk->vault, value->string);
    if (secret != NULL && secret->type == KONG_STRING) {
        *value = *secret;
        return;
    }
    snprintf(line, sizeof line, "unable to resolve reference %.200s", value->string.data);
    test_log(test, "kong.log.notice", line);
    *value = kong_string("");
}

/* Values in a list or map that are references: they go to a value of the same shape. False: out of
 * memory. */
static bool resolve_items(struct kong_test *test, struct kong_value *value,
                          struct kong_value *references) {
    struct arena *memory = &test->pdk->memory;
    bool is_map = value->type == KONG_MAP;
    size_t count = is_map ? value->map.count : value->list.count, last = 0;
    struct kong_value *list = arena_array(memory, count, sizeof *list);
    *references = kong_nil();
    for (size_t i = 0; list != NULL && i < count; i++) {
        struct kong_value *item = is_map ? (struct kong_value *)&value->map.pairs[i].value
                                         : (struct kong_value *)&value->list.items[i];
        list[i] = kong_nil();
        if (!is_reference(item)) {
            continue;
        }
        list[i] = *item;
        last = i + 1;
        if (is_map && references->type == KONG_NIL) {
            *references = kong_map(NULL, 0);
        }
        if (is_map && !sim_map_set(memory, references, value->map.pairs[i].key, &list[i])) {
            return false;
        }
        resolve(test, item);
    }
    if (!is_map && last > 0) {
        *references = kong_list(list, last);
    }
    return list != NULL;
}

static bool resolve_record(struct kong_test *test, const struct kong_record *record,
                           struct kong_value *map);

/* What the value of a field is made of. */
static bool resolve_inside(struct kong_test *test, const struct kong_field *field,
                           struct kong_value *value) {
    const struct kong_field *item = field->elements != NULL ? field->elements : field->values;
    if (field->record != NULL && value->type == KONG_MAP) {
        return resolve_record(test, field->record, value);
    }
    for (size_t i = 0; item != NULL && value->type == KONG_LIST && i < value->list.count; i++) {
        if (!resolve_inside(test, item, (struct kong_value *)&value->list.items[i])) {
            return false;
        }
    }
    for (size_t i = 0; item != NULL && value->type == KONG_MAP && i < value->map.count; i++) {
        if (!resolve_inside(test, item, (struct kong_value *)&value->map.pairs[i].value)) {
            return false;
        }
    }
    return true;
}

static bool resolve_record(struct kong_test *test, const struct kong_record *record,
                           struct kong_value *map) {
    struct arena *memory = &test->pdk->memory;
    struct kong_value all = kong_map(NULL, 0);
    for (size_t i = 0; i < record->field_count; i++) {
        const struct kong_field *field = &record->fields[i];
        const struct kong_field *item = field->elements != NULL ? field->elements : field->values;
        struct kong_str name = kong_str(schema_field_name(field));
        struct kong_value *value = (struct kong_value *)sim_map_get(map, name);
        struct kong_value references = kong_nil();
        if (value == NULL) {
            continue;
        }
        if (field->referenceable && is_reference(value)) {
            references = *value;
            resolve(test, value);
        } else if (item != NULL && item->referenceable &&
                   !resolve_items(test, value, &references)) {
            return false;
        }
        if ((references.type != KONG_NIL && !sim_map_set(memory, &all, name, &references)) ||
            !resolve_inside(test, field, value)) {
            return false;
        }
    }
    return all.map.count == 0 || sim_map_set(memory, map, kong_str("$refs"), &all);
}

/* --- All of it ---------------------------------------------------------------------------- */

struct kong_str test_instance_config(struct kong_test *test, const struct hosted *hosted) {
    struct arena *memory = &test->pdk->memory;
    const struct kong_schema *schema = hosted->plugin.schema;
    struct kong_value config;
    struct kong_value seq = kong_integer(hosted->seq);
    struct kong_value plugin_id = kong_string(hosted->id);
    struct kong_value ws_id = kong_string("0dc6f45b-8f8d-40d2-a504-473544ee190b");
    struct kong_value key = kong_string("plugins:test::::");
    if (!json_to_value(memory, kong_str(hosted->config), &config) ||
        (schema != NULL && !resolve_record(test, &schema->config, &config)) ||
        !sim_map_set(memory, &config, kong_str("__seq__"), &seq) ||
        !sim_map_set(memory, &config, kong_str("__plugin_id"), &plugin_id) ||
        !sim_map_set(memory, &config, kong_str("__ws_id"), &ws_id) ||
        !sim_map_set(memory, &config, kong_str("__key__"), &key)) {
        return (struct kong_str){NULL, 0};
    }
    return json_from_value(memory, &config);
}
