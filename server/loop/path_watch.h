/* A server whose socket's path was taken away, or taken over by another, hears nobody new: it says
 * so, and listens there again as soon as nobody else does. */
#ifndef SERVER_PATH_WATCH_H
#define SERVER_PATH_WATCH_H

#include "acceptor.h"
#include "fd_store.h"
#include "socket_file.h"

/* Zeroed, but for the first four. */
struct path_watch {
    struct socket_file
        *socket; /* becomes the new one where it is made again; borrowed; may be NULL */
    struct acceptor *listener; /* at that socket; who waits at the old one is accepted before */
    struct fd_store *store;    /* told of the new socket; borrowed; may be NULL */
    struct log *log;           /* borrowed; may be NULL */
    uint64_t looked_ms;
    bool told;              /* that another has the path, or that it cannot be had again */
    bool not_accepting_yet; /* the path is ours again, and the listener not yet there */
    bool untold;            /* the store, of the new socket, yet */
    bool locked;            /* the last look found the directory locked */
};

/* On the loop's timer, while the server serves; looks every 3 s. */
void path_watch_tick(struct path_watch *watch, uint64_t now_ms);

#endif
