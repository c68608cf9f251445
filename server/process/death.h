/* Why a server process died: read from its wait status and from the record of running handlers that
 * it left behind. It may have damaged that record, so each value is checked. */
#ifndef SERVER_DEATH_H
#define SERVER_DEATH_H

#include <stdbool.h>
#include <stddef.h>

#include "plugins.h"
#include "running.h"

/* A handler that was running. */
struct death_suspect {
    uint32_t plugin;  /* index, as it was found: perhaps of none */
    int32_t instance; /* 0: of none yet, its configuration was being configured */
    struct quarantine_crash crash;
};

struct death {
    int status; /* as of waitpid */
    bool overflow;
    bool served;                                  /* it had run a handler */
    size_t count;                                 /* of suspects */
    struct death_suspect suspects[RUNNING_SLOTS]; /* the one that is certain, or all that ran */
};

/* A handler is certainly the cause when the process said so (crash.h), when the supervisor ended it
 * because that handler hung (running->fault), or when no other ran and the process faulted or
 * exited. A signal that somebody sent may have found any handler at work. */
void death_examine(struct death *death, int status, const struct running *running);

/* "was killed by signal 11 (Segmentation fault) while mine ran access for instance 3", or "…
 * between handlers"; cut to size. */
void death_describe(const struct death *death, const struct plugins *plugins, char *out,
                    size_t size);

#endif
