#include "pdk_entities.h"

PDK_GET_STR(kong_node_get_id, PDK_NODE_GET_ID, id)
PDK_GET_STR(kong_node_get_hostname, PDK_NODE_GET_HOSTNAME, hostname)
PDK_GET_STR(kong_cluster_get_id, PDK_CLUSTER_GET_ID, id)
PDK_GET_STR(kong_plugin_get_id, PDK_PLUGIN_GET_ID, id)

/* --- Memory --- */

static int take_dicts(struct kong *kong, const struct kong_value *from,
                      struct kong_memory_stats *stats) {
    static const struct pdk_field fields[] = {
        PDK_FIELD(INT64, kong_shared_dict, allocated_slabs),
        PDK_FIELD(INT64, kong_shared_dict, capacity),
    };
    size_t count = from->type == KONG_MAP ? from->map.count : 0;
    struct kong_shared_dict *dicts = arena_array(pdk_arena(kong), count, sizeof *dicts);
    if (dicts == NULL) {
        return pdk_no_memory(kong);
    }
    for (size_t i = 0; i < count; i++) {
        dicts[i] = (struct kong_shared_dict){.name = from->map.pairs[i].key};
        int error = pdk_read_fields(kong, PDK_NODE_GET_MEMORY_STATS, fields, COUNT(fields),
                                    &from->map.pairs[i].value, &dicts[i]);
        if (error != 0) {
            return error;
        }
    }
    stats->dicts = dicts;
    stats->dict_count = count;
    return KONG_OK;
}

/* A list; with an error text in it, a Lua table that travels as a map. */
static int take_workers(struct kong *kong, const struct kong_value *from,
                        struct kong_memory_stats *stats) {
    static const struct pdk_field fields[] = {
        PDK_FIELD(INT64, kong_worker_vm, pid),
        PDK_FIELD(INT64, kong_worker_vm, http_allocated_gc),
    };
    bool list = from->type == KONG_LIST;
    size_t count = list ? from->list.count : from->type == KONG_MAP ? from->map.count : 0;
    struct kong_worker_vm *workers = arena_array(pdk_arena(kong), count, sizeof *workers);
    if (workers == NULL) {
        return pdk_no_memory(kong);
    }
    size_t used = 0;
    for (size_t i = 0; i < count; i++) {
        const struct kong_value *worker = list ? &from->list.items[i] : &from->map.pairs[i].value;
        if (worker->type != KONG_MAP) {
            continue;
        }
        workers[used] = (struct kong_worker_vm){.pid = 0};
        int error = pdk_read_fields(kong, PDK_NODE_GET_MEMORY_STATS, fields, COUNT(fields), worker,
                                    &workers[used]);
        if (error != 0) {
            return error;
        }
        used++;
    }
    stats->workers = workers;
    stats->worker_count = used;
    return KONG_OK;
}

int kong_node_get_memory_stats(struct kong *kong, struct kong_memory_stats *stats) {
    struct kong_value answer = kong_nil();
    int error = pdk_get_entity(kong, PDK_NODE_GET_MEMORY_STATS, NO_ARGS, NULL, 0, stats,
                               sizeof *stats, &answer);
    const struct kong_value *dicts = kong_map_get(&answer, "lua_shared_dicts");
    const struct kong_value *workers = kong_map_get(&answer, "workers_lua_vms");
    if (dicts != NULL) {
        error = take_dicts(kong, dicts, stats);
    }
    if (error == 0 && workers != NULL) {
        error = take_workers(kong, workers, stats);
    }
    if (error != 0) {
        memset(stats, 0, sizeof *stats);
    }
    return error;
}

/* --- Vaults --- */

int kong_vault_get(struct kong *kong, const char *reference, struct kong_str *secret) {
    int error = pdk_get_str(kong, PDK_VAULT_GET, ARGS(kong_string(reference)), secret);
    if (error == 0 && secret->data == NULL) {
        return pdk_fail(kong, PDK_VAULT_GET, KONG_E_KONG, "Kong could not get it");
    }
    return error;
}

int kong_vault_is_reference(struct kong *kong, const char *text, bool *is_reference) {
    return pdk_get_bool(kong, PDK_VAULT_IS_REFERENCE, ARGS(kong_string(text)), is_reference);
}

int kong_vault_parse_reference(struct kong *kong, const char *reference,
                               struct kong_vault_reference *parts) {
    static const struct pdk_field fields[] = {
        PDK_FIELD(STR, kong_vault_reference, name),
        PDK_FIELD(STR, kong_vault_reference, resource),
        PDK_FIELD(STR, kong_vault_reference, key),
        PDK_FIELD(INT64, kong_vault_reference, version),
    };
    struct kong_value all = kong_nil();
    int error = pdk_get_entity(kong, PDK_VAULT_PARSE_REFERENCE, ARGS(kong_string(reference)),
                               fields, COUNT(fields), parts, sizeof *parts, &all);
    if (error == 0 && all.type != KONG_MAP) {
        return pdk_fail(kong, PDK_VAULT_PARSE_REFERENCE, KONG_E_KONG, "this is no reference");
    }
    const struct kong_value *config = kong_map_get(&all, "config");
    if (error == 0 && config != NULL && config->type == KONG_MAP) {
        parts->config = *config;
    }
    return error;
}
