/* Who started this process. */
#ifndef SERVER_ANCESTOR_H
#define SERVER_ANCESTOR_H

#include <stdbool.h>

/* Kong starts its plugin servers from an nginx worker; a shell, systemd or a container's init is no
 * reason to end with. */
bool ancestor_parent_is_kong(void);

/* The same, with others between: a start command may be a script. */
bool ancestor_has_kong(void);

#endif
