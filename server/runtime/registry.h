/* Instances of all plugins: one for each configuration and worker of Kong. No I/O, no libuv.
 * Several threads may use one registry, when it is told so: an instance that one starts is found by
 * all, and one that is closed lives on until the last event that uses it is done, on whichever
 * thread.
 *
 * Ids are int32 > 0, start at random and never repeat in the life of the process: a repeated id
 * would run another service's configuration. An instance lives while it is listed or an event uses
 * it. */
#ifndef SERVER_REGISTRY_H
#define SERVER_REGISTRY_H

#include "instance.h"
#include "log.h"
#include "stats.h"

struct registry;

struct registry_options {
    struct log *log;      /* borrowed; may be NULL */
    struct stats *stats;  /* borrowed; may be NULL. Nobody else counts max-instances in it */
    bool threads;         /* several use it: they wait for each other, none for the plugin's hooks,
                             which are called outside of the lock */
    size_t max_instances; /* at the limit the one unused for longest, to within ten seconds, is
                             forgotten (Kong starts it again when needed) */
    size_t max_config;    /* bytes of a configuration's text; 0: no limit */
    uint64_t idle_ms;     /* registry_expire forgets what was unused for so long; 0: never */
};

/* NULL when out of memory. */
struct registry *registry_create(const struct registry_options *options);

/* No event may use an instance any more (asserted). NULL is allowed. */
void registry_destroy(struct registry *registry);

/* Starts an instance of a plugin (borrowed until the registry's end) from Kong's JSON text. With a
 * refusal (NULL: none) it fails with that text, and nothing of the configuration is looked at. A
 * configuration that the schema refuses, or that the plugin's configure refuses, gives an instance
 * all the same, with `failure` set: a failed start hangs Kong 2.8.5 for ever, a failing event does
 * not. 0: *out, listed, with a reference for the caller. -1: no memory, or the limit is reached and
 * all are in use; a line in `error`. */
int registry_start(struct registry *registry, struct plugin *plugin, struct kong_str config,
                   const struct instance_refusal *refusal, uint64_t now_ms, struct instance **out,
                   char *error, size_t error_size);

/* The instance with a reference for the caller, who does not use it; NULL when unknown. */
struct instance *registry_ref(struct registry *registry, int64_t id);

/* The instance with a reference for the caller, marked used now; NULL when unknown. */
struct instance *registry_use(struct registry *registry, int64_t id, uint64_t now_ms);
void registry_release(struct registry *registry, struct instance *instance);

/* An event of it failed, at now_ns (clock_ns): counted. True when that is to be told of, with
 * how often it happened since it was told last. */
bool registry_failed(struct registry *registry, struct instance *instance, uint64_t now_ns,
                     uint64_t *times);

/* Takes it off the list; it is destroyed when its last event is done. False when unknown. */
bool registry_close(struct registry *registry, int64_t id);

/* Forgets instances unused for idle_ms, never one that an event uses. Gives how many. */
size_t registry_expire(struct registry *registry, uint64_t now_ms);

size_t registry_count(struct registry *registry);

/* Between these two nothing changes, and no other function here is to be called: the instance used
 * last, whose ->older leads to all others; NULL: there is none. What is read of them is copied. */
const struct instance *registry_lock(struct registry *registry);
void registry_unlock(struct registry *registry);

#endif
