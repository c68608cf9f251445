#include "sim_lua.h"

#include "sim_pdk.h"
#include "value.h"

static bool is_one_of(struct kong_str name, const char *const *names) {
    for (; *names != NULL; names++) {
        if (kong_str_equal(name, kong_str(*names))) {
            return true;
        }
    }
    return false;
}

static bool from_value(struct arena *arena, const struct kong_value *value, struct kong_value *out);

static bool from_list(struct arena *arena, const struct kong_value *value, struct kong_value *out) {
    struct kong_value *items = arena_array(arena, value->list.count, sizeof *items);
    if (items == NULL) {
        return false;
    }
    for (size_t i = 0; i < value->list.count; i++) {
        if (!from_value(arena, &value->list.items[i], &items[i])) {
            return false;
        }
    }
    *out = value->list.count == 0 ? kong_map(NULL, 0) : kong_list(items, value->list.count);
    return true;
}

static bool from_map(struct arena *arena, const struct kong_value *value, struct kong_value *out) {
    struct kong_pair *pairs = arena_array(arena, value->map.count, sizeof *pairs);
    size_t kept = 0;
    if (pairs == NULL) {
        return false;
    }
    for (size_t i = 0; i < value->map.count; i++) {
        pairs[kept].key = value->map.pairs[i].key;
        if (!from_value(arena, &value->map.pairs[i].value, &pairs[kept].value)) {
            return false;
        }
        kept += pairs[kept].value.type != KONG_NIL;
    }
    *out = kong_map(pairs, kept);
    return true;
}

static bool from_value(struct arena *arena, const struct kong_value *value,
                       struct kong_value *out) {
    *out = *value;
    if (value->type == KONG_BOOLEAN && !value->boolean) {
        *out = kong_nil();
    } else if (value->type == KONG_LIST) {
        return from_list(arena, value, out);
    } else if (value->type == KONG_MAP) {
        return from_map(arena, value, out);
    }
    return true;
}

/* proto3 gives each field that did not come its default. */
static bool with_defaults(struct arena *arena, const struct kong_value *map,
                          const struct kong_pair *defaults, size_t count, struct kong_value *out) {
    struct kong_pair *pairs = arena_array(arena, map->map.count + count, sizeof *pairs);
    size_t used = map->map.count;
    if (pairs == NULL) {
        return false;
    }
    if (used > 0) {
        memcpy(pairs, map->map.pairs, used * sizeof *pairs);
    }
    for (size_t i = 0; i < count; i++) {
        if (value_get(map, defaults[i].key.data) == NULL) {
            pairs[used++] = defaults[i];
        }
    }
    *out = kong_map(pairs, used);
    return true;
}

/* The Consumer and the AuthCredential of kong.client.authenticate. */
static bool from_identity(struct arena *arena, size_t index, const struct kong_value *value,
                          struct kong_value *out) {
    const struct kong_pair consumer[] = {
        kong_pair("id", kong_string("")), kong_pair("created_at", kong_integer(0)),
        kong_pair("username", kong_string("")), kong_pair("custom_id", kong_string("")),
        kong_pair("tags", kong_list(NULL, 0))};
    const struct kong_pair credential[] = {kong_pair("id", kong_string("")),
                                           kong_pair("consumer_id", kong_string(""))};
    *out = *value;
    if (value->type != KONG_MAP) {
        return true;
    }
    return index == 0
               ? with_defaults(arena, value, consumer, sizeof consumer / sizeof *consumer, out)
               : with_defaults(arena, value, credential, sizeof credential / sizeof *credential,
                               out);
}

bool lua_from_protobuf(struct arena *arena, const struct pdk_method *method,
                       const struct kong_value *args, size_t count, struct kong_value *out) {
    for (size_t i = 0; i < count; i++) {
        /* Which arguments travel as, or inside, a google.protobuf.Value. */
        bool value = (method->args == PDK_ARGS_KV && i == 1) ||
                     (method->args == PDK_ARGS_EXIT && i == 2 && args[i].type != KONG_NIL) ||
                     method->args == PDK_ARGS_LIST || method->args == PDK_ARGS_STRUCT;
        out[i] = args[i];
        if (method->args == PDK_ARGS_EXIT && i == 1 && args[i].type == KONG_NIL) {
            out[i] = kong_string(""); /* a body that is not there is an empty one */
        }
        if (method->args == PDK_ARGS_AUTHENTICATE && !from_identity(arena, i, &args[i], &out[i])) {
            return false;
        }
        if (value && !from_value(arena, &args[i], &out[i])) {
            return false;
        }
    }
    return true;
}

static bool to_struct(struct arena *arena, const struct kong_value *value, struct kong_value *out) {
    *out = *value;
    if (value->type == KONG_LIST) {
        struct kong_value *items = arena_array(arena, value->list.count, sizeof *items);
        size_t count = 0;
        while (items != NULL && count < value->list.count &&
               value->list.items[count].type != KONG_NIL) {
            if (!to_struct(arena, &value->list.items[count], &items[count])) {
                return false;
            }
            count++;
        }
        *out = count == 0 ? kong_map(NULL, 0) : kong_list(items, count);
        return items != NULL;
    }
    if (value->type == KONG_MAP) {
        struct kong_pair *pairs = arena_array(arena, value->map.count, sizeof *pairs);
        for (size_t i = 0; pairs != NULL && i < value->map.count; i++) {
            pairs[i].key = value->map.pairs[i].key;
            if (!to_struct(arena, &value->map.pairs[i].value, &pairs[i].value)) {
                return false;
            }
        }
        *out = kong_map(pairs, value->map.count);
        return pairs != NULL;
    }
    return true;
}

static bool raw_body(struct arena *arena, struct kong_str error, const struct kong_value *result,
                     struct kong_value *out) {
    struct kong_pair *pair = arena_alloc(arena, sizeof *pair);
    if (pair == NULL) {
        return false;
    }
    if (result->type == KONG_MAP) {
        *out = *result;
        return true;
    }
    *pair = kong_pair("content", *result);
    if (error.data != NULL) {
        *pair = kong_pair("error", kong_bytes(error.data, error.len));
    } else if (result->type != KONG_STRING) {
        *pair = kong_pair("error", kong_string("Can't read request body"));
    }
    *out = kong_map(pair, 1);
    return true;
}

/* Only what Kong's message has: it ignores the rest of an entity of its database. */
static bool only(struct arena *arena, const struct kong_value *map, const char *const *names,
                 struct kong_value *out) {
    *out = *map;
    if (map->type != KONG_MAP) {
        return true;
    }
    struct kong_pair *pairs = arena_array(arena, map->map.count, sizeof *pairs);
    size_t kept = 0;
    for (size_t i = 0; pairs != NULL && i < map->map.count; i++) {
        if (map->map.pairs[i].value.type != KONG_NIL && is_one_of(map->map.pairs[i].key, names)) {
            pairs[kept++] = map->map.pairs[i];
        }
    }
    *out = kong_map(pairs, kept);
    return pairs != NULL;
}

static bool entity(struct arena *arena, const struct pdk_method *method,
                   const struct kong_value *result, struct kong_value *out) {
    static const char *const consumer[] = {"id",        "created_at", "username",
                                           "custom_id", "tags",       NULL};
    static const char *const credential[] = {"id", "consumer_id", NULL};
    static const char *const route[] = {"id",
                                        "created_at",
                                        "updated_at",
                                        "name",
                                        "protocols",
                                        "methods",
                                        "hosts",
                                        "paths",
                                        "https_redirect_status_code",
                                        "regex_priority",
                                        "strip_path",
                                        "preserve_host",
                                        "snis",
                                        "sources",
                                        "destinations",
                                        "tags",
                                        "service",
                                        NULL};
    static const char *const service[] = {"id",
                                          "created_at",
                                          "updated_at",
                                          "name",
                                          "retries",
                                          "protocol",
                                          "host",
                                          "port",
                                          "path",
                                          "connect_timeout",
                                          "write_timeout",
                                          "read_timeout",
                                          "tags",
                                          "client_certificate",
                                          NULL};
    const char *const *names = method->result == PDK_RESULT_CONSUMER     ? consumer
                               : method->result == PDK_RESULT_CREDENTIAL ? credential
                               : method->result == PDK_RESULT_ROUTE      ? route
                                                                         : service;
    return only(arena, result, names, out);
}

/* Kong's message has two of its dictionaries only. */
static bool memory_stats(struct arena *arena, const struct kong_value *result,
                         struct kong_value *out) {
    static const char *const names[] = {"kong", "kong_db_cache", NULL};
    const struct kong_value *dicts = value_get(result, "lua_shared_dicts");
    struct kong_value kept;
    *out = *result;
    return dicts == NULL || (only(arena, dicts, names, &kept) &&
                             sim_map_set(arena, out, kong_str("lua_shared_dicts"), &kept));
}

/* Lua's ipairs ends a list of captures at the first group that took no part. */
static bool uri_captures(struct arena *arena, const struct kong_value *result,
                         struct kong_value *out) {
    const struct kong_value *unnamed = value_get(result, "unnamed");
    struct kong_value cut;
    size_t count = 0;
    if (!only(arena, result, (const char *const[]){"unnamed", "named", NULL}, out)) {
        return false;
    }
    if (unnamed == NULL || unnamed->type != KONG_LIST) {
        return true;
    }
    while (count < unnamed->list.count && unnamed->list.items[count].type != KONG_NIL) {
        count++;
    }
    cut = kong_list(unnamed->list.items, count);
    return sim_map_set(arena, out, kong_str("unnamed"), &cut);
}

bool lua_to_protobuf(struct arena *arena, const struct pdk_method *method, struct kong_str error,
                     const struct kong_value *result, struct kong_value *out) {
    switch (method->result) {
    case PDK_RESULT_CONSUMER:
    case PDK_RESULT_CREDENTIAL:
    case PDK_RESULT_ROUTE:
    case PDK_RESULT_SERVICE:
        return entity(arena, method, result, out);
    case PDK_RESULT_MEMORY_STATS:
        return memory_stats(arena, result, out);
    case PDK_RESULT_URI_CAPTURES:
        return uri_captures(arena, result, out);
    case PDK_RESULT_EMPTY:
        *out = kong_nil();
        return true;
    case PDK_RESULT_RAW_BODY:
        return raw_body(arena, error, result, out);
    case PDK_RESULT_VALUE:
    case PDK_RESULT_STRUCT:
        return to_struct(arena, result, out);
    default:
        *out = *result;
        return true;
    }
}

/* The values of a table of headers or arguments as lists. */
static bool multi_map(struct arena *arena, const struct kong_value *map, struct kong_value *out) {
    struct kong_pair *pairs = arena_array(arena, map->map.count, sizeof *pairs);
    if (pairs == NULL) {
        return false;
    }
    for (size_t i = 0; i < map->map.count; i++) {
        const struct kong_value *value = &map->map.pairs[i].value;
        pairs[i] = map->map.pairs[i];
        if (value->type == KONG_BOOLEAN && value->boolean) {
            pairs[i].value = kong_list(NULL, 0);
        } else if (value->type == KONG_STRING) {
            struct kong_value *one = arena_alloc(arena, sizeof *one);
            if (one == NULL) {
                return false;
            }
            *one = *value;
            pairs[i].value = kong_list(one, 1);
        }
    }
    *out = kong_map(pairs, map->map.count);
    return true;
}

/* Empty tables are arrays; nil has no place in a table, JSON's null has. */
static bool packed(struct arena *arena, const struct kong_value *value, bool nulls,
                   struct kong_value *out) {
    *out = *value;
    if (value->type == KONG_LIST) {
        struct kong_value *items = arena_array(arena, value->list.count, sizeof *items);
        for (size_t i = 0; items != NULL && i < value->list.count; i++) {
            if (!packed(arena, &value->list.items[i], nulls, &items[i])) {
                return false;
            }
        }
        *out = kong_list(items, value->list.count);
        return items != NULL;
    }
    if (value->type == KONG_MAP) {
        struct kong_pair *pairs = arena_array(arena, value->map.count, sizeof *pairs);
        size_t kept = 0;
        for (size_t i = 0; pairs != NULL && i < value->map.count; i++) {
            pairs[kept].key = value->map.pairs[i].key;
            if (!packed(arena, &value->map.pairs[i].value, nulls, &pairs[kept].value)) {
                return false;
            }
            kept += nulls || pairs[kept].value.type != KONG_NIL;
        }
        *out = kept == 0 ? kong_list(NULL, 0) : kong_map(pairs, kept);
        return pairs != NULL;
    }
    return true;
}

int lua_to_msgpack(struct arena *arena, struct kong_str method, const struct kong_value *result,
                   struct kong_value *out, bool *binary) {
    static const char *const maps[] = {"kong.request.get_query", "kong.request.get_headers",
                                       "kong.response.get_headers",
                                       "kong.service.response.get_headers", NULL};
    static const char *const bodies[] = {"kong.request.get_raw_body", "kong.response.get_raw_body",
                                         "kong.service.response.get_raw_body", NULL};
    static const char *const decoded[] = {"kong.request.get_body", "kong.service.response.get_body",
                                          NULL};
    *binary = is_one_of(method, bodies);
    if (*binary) {
        *out = *result;
        return result->type == KONG_STRING ? 0 : 1;
    }
    if (is_one_of(method, maps)) {
        if (result->type != KONG_MAP) {
            return 1;
        }
        return multi_map(arena, result, out) ? 0 : -1;
    }
    return packed(arena, result, is_one_of(method, decoded), out) ? 0 : -1;
}

static bool has_list(const struct kong_value *map) {
    for (size_t i = 0; map->type == KONG_MAP && i < map->map.count; i++) {
        if (map->map.pairs[i].value.type == KONG_LIST) {
            return true;
        }
    }
    return false;
}

static bool has_null(const struct kong_value *value) {
    for (size_t i = 0; value->type == KONG_LIST && i < value->list.count; i++) {
        if (has_null(&value->list.items[i])) {
            return true;
        }
    }
    for (size_t i = 0; value->type == KONG_MAP && i < value->map.count; i++) {
        if (has_null(&value->map.pairs[i].value)) {
            return true;
        }
    }
    return value->type == KONG_NIL;
}

bool lua_2_8_raises(const struct pdk_method *method, bool protobuf,
                    const struct kong_value *result) {
    static const char *const tables[] = {"kong.request.get_query", "kong.request.get_headers",
                                         "kong.response.get_headers", NULL};
    static const char *const decoded[] = {"kong.request.get_body", "kong.service.response.get_body",
                                          NULL};
    if (method == NULL) {
        return false;
    }
    return protobuf
               ? is_one_of(method->name, tables) && has_list(result)
               : is_one_of(method->name, decoded) && result->type != KONG_NIL && has_null(result);
}

const char *lua_step_method(struct kong_str method) {
    static const struct {
        const char *method;
        const char *step;
    } steps[] = {
        {"kong.client.get_credential", "plugin.StepCredential"},
        {"kong.client.load_consumer", "plugin.StepConsumer"},
        {"kong.client.get_consumer", "plugin.StepConsumer"},
        {"kong.client.authenticate", "plugin.StepCredential"},
        {"kong.node.get_memory_stats", "plugin.StepMemoryStats"},
        {"kong.router.get_route", "plugin.StepRoute"},
        {"kong.router.get_service", "plugin.StepService"},
        {"kong.request.get_query", "plugin.StepMultiMap"},
        {"kong.request.get_headers", "plugin.StepMultiMap"},
        {"kong.response.get_headers", "plugin.StepMultiMap"},
        {"kong.service.response.get_headers", "plugin.StepMultiMap"},
    };
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        if (kong_str_equal(method, kong_str(steps[i].method))) {
            return steps[i].step;
        }
    }
    return "plugin.Step";
}
