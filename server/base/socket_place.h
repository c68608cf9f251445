/* The directory of a socket's path, and the name in it: checked, opened, locked. Private to
 * socket_file.c and the files beside it. */
#ifndef SERVER_SOCKET_PLACE_H
#define SERVER_SOCKET_PLACE_H

#include <stdbool.h>
#include <stddef.h>

#include "printable.h"
#include "socket_look.h"

/* Where the caller wants to read what went wrong. */
struct socket_failure {
    char *text;
    size_t size;
};

/* Writes one line, and returns -1. */
#define socket_fail(failure_, ...) printable_error((failure_)->text, (failure_)->size, __VA_ARGS__)

/* What the user can do about an errno that a missing directory or its rights gave; "" when there is
 * nothing to say. Begins with ": ". */
const char *socket_advice(int error);

struct socket_place {
    int fd;           /* the directory; owned by whoever opened the place */
    bool readable;    /* it can be listed and locked; else only searched */
    const char *name; /* points into the path */
    char directory[SOCKET_PATH_BYTES + 1];
};

/* Opens the directory of a path of at most SOCKET_PATH_BYTES. 0, and place->fd is to be closed; or
 * -1 with a line. */
int socket_place_open(const char *path, struct socket_place *place,
                      const struct socket_failure *failure);

/* The path is short enough, and not empty. 0, or -1 with a line. */
int socket_place_check_length(const char *path, const struct socket_failure *failure);

/* Nothing stands at the path, or a socket, which may be replaced. 0, or -1 with a line. */
int socket_place_check_occupant(const struct socket_place *place, const char *path,
                                const struct socket_failure *failure);

/* The address of a name in the directory, through /proc where the plain path is too long. */
void socket_place_address(const struct socket_place *place, const char *name,
                          struct sockaddr_un *address);

enum socket_lock {
    SOCKET_LOCK_WAIT, /* up to 200 ms */
    SOCKET_LOCK_TRY,
    SOCKET_LOCK_SKIP, /* go on without it */
};

/* Locks the directory until place->fd is closed. Servers on one path do this one after the other: a
 * server that ends must not look whose file it is, and then unlink the next one's. The lock is
 * advice. A server has it for less than a millisecond, while any process that can read the
 * directory can keep it for ever: after SOCKET_LOCK_WAIT the caller goes on without it.
 *
 * False: SOCKET_LOCK_TRY found it taken. */
bool socket_place_lock(const struct socket_place *place, enum socket_lock how);

#endif
