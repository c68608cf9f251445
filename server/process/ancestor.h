/* Who started this process. */
#ifndef SERVER_ANCESTOR_H
#define SERVER_ANCESTOR_H

#include <stdbool.h>
#include <sys/types.h>

/* Whether `parent`, this process' parent, is a worker of nginx: Kong starts its plugin servers from
 * one. A server ends with Kong; a shell, systemd or a container's init is no reason to end with. */
bool ancestor_is_kong(pid_t parent);

/* The same, with others between: a start command may be a script. */
bool ancestor_has_kong(void);

#endif
