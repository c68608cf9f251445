/* Descriptors that outlive the server process: a supervisor keeps a duplicate of each connection
 * that its child accepts.
 *
 * Why: when a process dies, the kernel closes its sockets. A peer whose bytes it had not read then
 * gets "connection reset", and Kong answers such a request with 500. A peer that reads an orderly
 * end gets "closed", and Kong sends the request again (ProtoBuf:1; OBSERVED.md). So the supervisor,
 * once its child is dead, ends each connection in order: it ends its own side, and throws away what
 * comes until the peer has closed.
 *
 * A duplicate costs a descriptor of the supervisor, which has no other use for them, and one
 * message when the connection is accepted; nothing after that. Where it cannot be had (no memory,
 * no descriptor, a supervisor that is too slow) the connection is not kept, and all else works.
 *
 * As long as there is a duplicate, close() in the child is no end that a peer sees: the child
 * closes by fd_store_close. The supervisor looks for ended connections once a second and closes its
 * duplicates.
 *
 * The same way the child hands back the listening socket when it makes a new one. */
#ifndef SERVER_FD_STORE_H
#define SERVER_FD_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "socket_file.h"

struct fd_store;

/* Before the first fork. *socket is the supervisor's, borrowed: fd_store_keep_socket in the child
 * changes it. NULL: no memory or no descriptor. NULL is allowed in all functions below: then
 * nothing is kept. */
struct fd_store *fd_store_create(struct socket_file *socket);
void fd_store_destroy(struct fd_store *store);

/* --- In the child. None of these ever waits. --- */

/* Right after the fork: gives up what is the supervisor's alone. */
void fd_store_enter_child(struct fd_store *store);

/* Keeps a connection that was just accepted. From any thread. */
void fd_store_keep(struct fd_store *store, int fd);

/* Closes a connection, kept or not. From any thread. `orderly`: its peer reads the end, also where
 * it has sent bytes that nobody read. Else it reads what close() means without a store. */
void fd_store_close(struct fd_store *store, int fd, bool orderly);

/* The listening socket is another one from now on: the supervisor gets a duplicate of it, and gives
 * it to the next child. */
void fd_store_keep_socket(struct fd_store *store, const struct socket_file *socket);

/* --- In the supervisor --- */

/* Waits until `fd` is readable, for at most timeout_ms, or until there is other work, and does what
 * there is to do for kept descriptors. */
void fd_store_wait(struct fd_store *store, int fd, uint64_t timeout_ms);

/* The child is dead: ends all connections that it had. Peers have half a second to close them. */
void fd_store_end_all(struct fd_store *store);

/* Connections that are kept, and those that are being ended. */
size_t fd_store_count(const struct fd_store *store);

#endif
