#include "sim_lua.h"

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
    } else if (value->type == KONG_NIL) {
        *out = kong_string("NULL_VALUE");
    } else if (value->type == KONG_LIST) {
        return from_list(arena, value, out);
    } else if (value->type == KONG_MAP) {
        return from_map(arena, value, out);
    }
    return true;
}

bool lua_from_protobuf(struct arena *arena, const struct pdk_method *method,
                       const struct kong_value *args, size_t count, struct kong_value *out) {
    for (size_t i = 0; i < count; i++) {
        /* Which arguments travel as, or inside, a google.protobuf.Value. */
        bool value = (method->args == PDK_ARGS_KV && i == 1) ||
                     (method->args == PDK_ARGS_EXIT && i == 2 && args[i].type != KONG_NIL) ||
                     method->args == PDK_ARGS_LIST || method->args == PDK_ARGS_STRUCT;
        out[i] = args[i];
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

bool lua_to_protobuf(struct arena *arena, const struct pdk_method *method, struct kong_str error,
                     const struct kong_value *result, struct kong_value *out) {
    switch (method->result) {
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

/* Empty tables are arrays; nil has no place in a table. */
static bool packed(struct arena *arena, const struct kong_value *value, struct kong_value *out) {
    *out = *value;
    if (value->type == KONG_LIST) {
        struct kong_value *items = arena_array(arena, value->list.count, sizeof *items);
        for (size_t i = 0; items != NULL && i < value->list.count; i++) {
            if (!packed(arena, &value->list.items[i], &items[i])) {
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
            if (!packed(arena, &value->map.pairs[i].value, &pairs[kept].value)) {
                return false;
            }
            kept += pairs[kept].value.type != KONG_NIL;
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
    return packed(arena, result, out) ? 0 : -1;
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
