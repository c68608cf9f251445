/* The group and the mode of a new socket's file. Private to socket_file.c. */
#ifndef SERVER_SOCKET_RIGHTS_H
#define SERVER_SOCKET_RIGHTS_H

#include <sys/stat.h>

#include "socket_place.h"

/* The id of a group, given by name or by number. 0, or -1 with a line. */
int socket_find_group(const char *name, gid_t *gid, const struct socket_failure *failure);

struct socket_rights {
    mode_t mode;
    const char *group; /* for people to read; NULL: the group stays as it is */
    gid_t gid;
};

/* Gives them to the socket of that name and never to another file, although anyone who may rename
 * files in the directory could put a link in its place. *status is the socket's. 0, or -1 with a
 * line. */
int socket_give_rights(const struct socket_place *place, const char *name,
                       const struct socket_rights *rights, struct stat *status,
                       const struct socket_failure *failure);

#endif
