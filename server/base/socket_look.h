/* Whether a server listens at a socket's path. */
#ifndef SERVER_SOCKET_LOOK_H
#define SERVER_SOCKET_LOOK_H

#include <sys/types.h>
#include <sys/un.h>

/* The longest path that a socket's address holds. */
#define SOCKET_PATH_BYTES (sizeof((struct sockaddr_un *)0)->sun_path - 1)

/* What a path is to a process that wants to listen there. */
enum socket_path {
    SOCKET_PATH_FREE, /* nothing is there, or a file that a server left */
    SOCKET_PATH_LIVE,
    SOCKET_PATH_UNKNOWN, /* we may not connect */
};

/* Connects to find out: a server that listens there accepts a connection that ends at once. *pid is
 * the process that made it listen, 0 when that is not known. */
enum socket_path socket_look(const char *path, pid_t *pid);

/* The same for an address, which may name the file in another way. */
enum socket_path socket_look_at(const struct sockaddr_un *address, pid_t *pid);

#endif
