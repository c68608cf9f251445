/* One instance of a plugin: a configuration, decoded, and what the plugin made of it. The
 * registry keeps them. */
#ifndef SERVER_INSTANCE_H
#define SERVER_INSTANCE_H

#include "arena.h"
#include "kong.h"
#include "notices.h"
#include "plugins.h"
#include "scope.h"

/* Read-only outside the registry. Who holds a reference may read what does not change while the
 * instance lives: id, plugin, config, state, failure, started_at, scope; the rest with the registry
 * held. What each event touches comes first: among many instances each line of it is a miss. */
struct instance {
    int32_t id;
    unsigned refs; /* 1 while listed, 1 for each event that uses it */
    struct instance *next_in_bucket;
    uint64_t used_ms; /* on the caller's clock: last start or acquire */
    uint64_t events;  /* acquired so often */
    uint64_t
        placed_ms; /* when it took its place in the order of use: used_ms, or a little earlier */
    uint64_t identity; /* of its configuration, identity.h */
    void *config;      /* decoded; NULL without a schema */
    struct plugin *plugin;
    const char
        *failure; /* why no event can run: refused configuration, failed configure. NULL: fine */
    void *state;  /* what the plugin's configure left */
    struct instance *older; /* in order of use */
    struct instance *newer;
    uint64_t failed_until_ms;   /* `failure` is for so long, of CLOCK_MONOTONIC; 0: for ever */
    uint64_t failed;            /* of the events: registry_failed */
    struct recurrence failures; /* … and when it was told of last */
    double started_at;          /* seconds since the epoch */
    struct scope scope;         /* its texts are in the arena */
    struct arena arena;         /* owns config and failure */
};

/* Why an instance must not be configured. */
struct instance_refusal {
    const char *why;   /* NULL: it may */
    uint64_t until_ms; /* of CLOCK_MONOTONIC */
};

/* What an instance is made of, and what was noticed on the way. */
struct instance_source {
    struct plugin *plugin;
    struct kong_str config; /* Kong's JSON text */
    size_t max_config;      /* bytes of it; 0: no limit */
    struct instance_refusal refusal;
    size_t ignored_count; /* out: keys that were let pass, schema.h */
    char ignored[64];     /* out: the first of them, printable, cut */
};

/* A refused configuration, or one that `configure` refuses, gives an instance with `failure` set:
 * at most 2 KiB, and nothing else of the text is kept. The caller sets the id. NULL, with a line in
 * `error`, when out of memory. */
struct instance *instance_create(struct instance_source *source, char *error, size_t error_size);

/* Calls the plugin's `destroy`. Not 0: that failed, with a text in `error`. */
int instance_destroy(struct instance *instance, char *error, size_t error_size);

#endif
