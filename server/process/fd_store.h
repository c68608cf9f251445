/* Descriptors that outlive the server process: a supervisor keeps a duplicate of each connection
 * that its child accepts.
 *
 * Why: when a process dies, the kernel closes its sockets. A peer whose bytes it had not read then
 * gets "connection reset", and Kong answers such a request with 500. So the supervisor does two
 * things when its child is dead:
 * - A connection on which nothing was under way goes on to the next child, with the bytes that
 *   nobody has read. If it ended, Kong could still take it out of its pool for a StartInstance: it
 *   reads "closed" in answer to that, and this is a 500, too.
 * - Any other one ends in order: the supervisor ends its own side, and throws away what comes until
 *   the peer has closed. Kong reads "closed", and sends the event again (ProtoBuf:1).
 *
 * A duplicate costs a descriptor of the supervisor, which has no other use for them, and one
 * message when the connection is accepted; after that the child writes a byte before it reads and
 * one when it has answered. Where a duplicate cannot be had (no memory, no descriptor, a supervisor
 * that is too slow) the connection ends with the child, and all else works.
 *
 * As long as there is a duplicate, close() in the child is no end that a peer sees: the child
 * closes by fd_store_close. The supervisor looks for ended connections once a second and closes its
 * duplicates.
 *
 * The same way the child hands back the listening socket when it makes a new one. */
#ifndef SERVER_FD_STORE_H
#define SERVER_FD_STORE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "socket_file.h"

struct fd_store;

/* What is under way on a connection, in a byte that outlives the child: nothing, but for so many
 * results of PDK calls that the peer still owes (0 to FD_RESULTS_MOST); or more than that. */
#define FD_RESULTS_MOST 254
#define FD_BUSY         255

/* Before the first fork. *socket is the supervisor's, borrowed: fd_store_keep_socket in the child
 * changes it. NULL: no memory or no descriptor. NULL is allowed in all functions below: then
 * nothing is kept. */
struct fd_store *fd_store_create(struct socket_file *socket);
void fd_store_destroy(struct fd_store *store);

/* --- In the child. None of these ever waits. --- */

/* Right after the fork: gives up what is the supervisor's alone. */
void fd_store_enter_child(struct fd_store *store);

/* A connection of the child before, not busy, which is the caller's from now on. -1: there is no
 * other. */
int fd_store_take(struct fd_store *store);

/* The connection's byte. The child writes FD_BUSY before it reads from the connection, and less
 * than that when all is answered. NULL: nobody wants to know. */
_Atomic uint8_t *fd_store_state(struct fd_store *store, int fd);

/* Keeps a connection that was just accepted. From any thread. */
void fd_store_keep(struct fd_store *store, int fd);

/* Closes a connection, kept or not. From any thread. `orderly`: its peer reads the end, also where
 * it has sent bytes that nobody read. Else it reads what close() means without a store. */
void fd_store_close(struct fd_store *store, int fd, bool orderly);

/* The listening socket is another one from now on: the supervisor gets a duplicate of it, and gives
 * it to the next child. */
void fd_store_keep_socket(struct fd_store *store, const struct socket_file *socket);

/* --- In the supervisor --- */

/* Before a fork: what is kept will be that child's. */
void fd_store_before_child(struct fd_store *store);

/* Waits until `fd` is readable, for at most timeout_ms, or until there is other work, and does what
 * there is to do for kept descriptors. */
void fd_store_wait(struct fd_store *store, int fd, uint64_t timeout_ms);

/* The child is dead: ends its connections, but for those that go on to a next child. Peers have
 * half a second to close them. */
void fd_store_on_death(struct fd_store *store, bool next_child);

/* Connections that are kept, and those that are being ended. */
size_t fd_store_count(const struct fd_store *store);

#endif
