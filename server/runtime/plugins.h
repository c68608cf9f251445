/* The plugins of a server: one table, made by whoever starts the server, and passed to all that ask
 * which plugin an instance, an event or a crash belongs to. One plugin is the usual case. */
#ifndef SERVER_PLUGINS_H
#define SERVER_PLUGINS_H

#include "kong.h"
#include "stats.h"

struct plugin {
    const struct kong_plugin *what;       /* the author's; borrowed */
    uint32_t index;                       /* its place in the table */
    kong_handler *handlers[STATS_PHASES]; /* what->handlers, and event_job.c's for QUARANTINE_JOB */
    void *data;                           /* what `open` left, once it is open */
    bool open;
    bool told; /* that Kong speaks a protocol that does not do for it; threads exchange it */
    uint64_t instances, expired; /* live ones; forgotten ones. Changed by the registry, under its
                                    lock; others read them by stats_read */
    struct stats_job jobs[KONG_JOBS_MOST]; /* written by the thread that runs them */
};

struct plugins {
    const char *name; /* for lines about the whole process: that of the only plugin, or the
                         program's. Borrowed */
    size_t count;
    struct plugin *list; /* owned */
};

void plugin_init(struct plugin *plugin, const struct kong_plugin *what, uint32_t index);

/* A table of these plugins, none of them open; `program` names it where there are several. 0, or -1
 * when out of memory. */
int plugins_init(struct plugins *plugins, const char *program,
                 const struct kong_plugin *const *list, size_t count);
void plugins_free(struct plugins *plugins);

/* NULL: there is none of this name. */
struct plugin *plugins_find(const struct plugins *plugins, struct kong_str name);

/* The name of the plugin of an index; that of the table where there is none: a dying process may
 * have damaged the index. Async-signal-safe. */
const char *plugins_name_of(const struct plugins *plugins, uint32_t index);

/* Makes an identity (identity.h), or a job's number, one of this plugin: two plugins with the same
 * configuration are told apart. */
static inline uint64_t plugin_identity(const struct plugin *plugin, uint64_t of) {
    return of + plugin->index * (uint64_t)0x9e3779b97f4a7c15;
}

#endif
