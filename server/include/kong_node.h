/* This Kong: node, cluster, plugin, vaults. Part of kong.h. */
#ifndef KONG_NODE_H
#define KONG_NODE_H

#include "kong_event.h"

#ifdef __cplusplus
extern "C" {
#endif

/* --- The node --- */

/* kong.node.get_id: the UUID of this node of Kong.
 * Phases: all. */
int kong_node_get_id(struct kong *kong, struct kong_str *id) KONG_NONNULL(1, 2);

/* kong.node.get_hostname: the name of Kong's host.
 * Phases: all. MsgPack:1 only. */
int kong_node_get_hostname(struct kong *kong, struct kong_str *hostname) KONG_NONNULL(1, 2);

/* A dictionary that nginx's workers share, in bytes. */
struct kong_shared_dict {
    struct kong_str name;
    int64_t allocated_slabs;
    int64_t capacity;
};

/* The Lua memory of one of nginx's workers. */
struct kong_worker_vm {
    int64_t pid;
    int64_t http_allocated_gc; /* bytes; 0 when Kong does not know */
};

struct kong_memory_stats {
    const struct kong_shared_dict *dicts; /* on ProtoBuf:1 only `kong` and `kong_db_cache` */
    size_t dict_count;
    const struct kong_worker_vm *workers;
    size_t worker_count;
};

/* kong.node.get_memory_stats: how much memory Kong uses.
 * Phases: all. */
int kong_node_get_memory_stats(struct kong *kong, struct kong_memory_stats *stats)
    KONG_NONNULL(1, 2);

/* kong.cluster.get_id: the UUID of the cluster.
 * Phases: all. MsgPack:1 only.
 * nil: Kong has none yet. */
int kong_cluster_get_id(struct kong *kong, struct kong_str *id) KONG_NONNULL(1, 2);

/* kong.plugin.get_id: the UUID of this plugin's configuration.
 * Phases: all. Kong 2.8: none. MsgPack:1 only. */
int kong_plugin_get_id(struct kong *kong, struct kong_str *id) KONG_NONNULL(1, 2);

/* --- Vaults --- */

/* kong.vault.get: the secret behind a reference: "{vault://env/my-secret}".
 * Phases: all. MsgPack:1 only.
 * KONG_E_KONG: no reference, or Kong could not get it. */
int kong_vault_get(struct kong *kong, const char *reference, struct kong_str *secret)
    KONG_NONNULL(1, 3);

/* kong.vault.is_reference: whether a text looks like one.
 * Phases: all. MsgPack:1 only. */
int kong_vault_is_reference(struct kong *kong, const char *text, bool *is_reference)
    KONG_NONNULL(1, 3);

/* The parts of "{vault://name/resource/key?config#version}". */
struct kong_vault_reference {
    struct kong_str name;
    struct kong_str resource;
    struct kong_str key;      /* nil: none */
    struct kong_value config; /* a map, or nil */
    int64_t version;          /* 0: none */
};

/* kong.vault.parse_reference: cuts a reference into its parts.
 * Phases: all. MsgPack:1 only.
 * KONG_E_KONG: it is none. */
int kong_vault_parse_reference(struct kong *kong, const char *reference,
                               struct kong_vault_reference *parts) KONG_NONNULL(1, 3);

#ifdef __cplusplus
}
#endif

#endif
