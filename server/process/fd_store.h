/* Descriptors that outlive the server process: a supervisor keeps a duplicate of each connection
 * that its child accepts.
 *
 * Why: when a process dies, the kernel closes its sockets. A peer whose bytes it had not read then
 * gets "connection reset", and Kong answers such a request with 500. So the supervisor does two
 * things when its child is dead:
 * - A connection on which nothing was under way goes on to the next child, with the bytes that
 *   nobody has read. If it ended, Kong could still take it out of its pool for a StartInstance: it
 *   reads "closed" in answer to that, and this is a 500, too.
 * - A request that the child had read is answered, where its msgid or sequence is known
 *   (in_flight.h) and an answer makes Kong send it again, or ends it as the plugin says. The
 *   connection then goes on to the next child, too.
 * - An event of ProtoBuf:1, which Kong drops its connection for, and any other connection ends in
 *   order: the supervisor ends its own side, and throws away what comes until the peer has closed.
 *
 * A duplicate costs a descriptor of the supervisor, which has no other use for them, and one
 * message when the connection is accepted; after that the child writes a few bytes of shared memory
 * when it reads and when it has answered. Where a duplicate cannot be had (no memory, no
 * descriptor, a supervisor that is too slow) the connection ends with the child, and all else
 * works. The server accepts no new one for some seconds while the supervisor is behind.
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

#include "in_flight.h"
#include "socket_file.h"

struct fd_store;

/* What a child reads with one call, from any of its connections. */
#define FD_STORE_READ_SIZE ((size_t)64 << 10)

/* The bytes that answer a request of a dead child, in `out`; how many, 0: there is no answer to it.
 * `read`: its first IN_FLIGHT_HEAD bytes, where `what` and `id` say nothing of it; else NULL.
 * next_child: the request can go on in another one. */
typedef size_t fd_store_answer(void *arg, uint8_t what, uint32_t id, const uint8_t *read,
                               bool next_child, uint8_t *out, size_t size);

/* Before the first fork. *socket is the supervisor's, borrowed: fd_store_keep_socket in the child
 * changes it. answer may be NULL: there is none. NULL: no memory or no descriptor. NULL is allowed
 * in all functions below: then nothing is kept. */
struct fd_store *fd_store_create(struct socket_file *socket, fd_store_answer *answer, void *arg);
void fd_store_destroy(struct fd_store *store);

/* --- In the child. None of these ever waits. --- */

/* Right after the fork: gives up what is the supervisor's alone. */
void fd_store_enter_child(struct fd_store *store);

/* A connection of the child before on which no request is under way. It is the caller's from now
 * on. -1: there is no other. */
int fd_store_take(struct fd_store *store);

/* What is under way on a connection that is kept. The child writes IN_FLIGHT_READING or
 * IN_FLIGHT_OTHER before it reads from it, then what it has read, and IN_FLIGHT_RESULTS_MOST or
 * less when all is answered. NULL: nobody wants to know. */
struct in_flight *fd_store_in_flight(struct fd_store *store, int fd);

/* Where the child's thread of this number reads to, FD_STORE_READ_SIZE bytes: the supervisor looks
 * there for what was not noted yet. NULL: anywhere. */
char *fd_store_read_buffer(struct fd_store *store, uint32_t number);

/* Whether the supervisor has so much left to take that it could miss the next connection. */
bool fd_store_is_behind(const struct fd_store *store);

/* Keeps a connection that was just accepted. From any thread. */
void fd_store_keep(struct fd_store *store, int fd);

/* Closes a connection, kept or not. From any thread. `orderly`: its peer reads the end, also where
 * it has sent bytes that nobody read. Else it reads what close() means without a store. */
void fd_store_close(struct fd_store *store, int fd, bool orderly);

/* The listening socket is another one from now on: the supervisor gets a duplicate of it, and gives
 * it to the next child. False: the supervisor is too slow, try again later. */
bool fd_store_keep_socket(struct fd_store *store, const struct socket_file *socket);

/* --- In the supervisor --- */

/* Before a fork: what is kept will be that child's. */
void fd_store_before_child(struct fd_store *store);

/* Waits until `fd` is readable, for at most timeout_ms, or until there is other work, and does what
 * there is to do for kept descriptors. */
void fd_store_wait(struct fd_store *store, int fd, uint64_t timeout_ms);

/* The child is dead: answers its requests, and ends its connections, but for those that go on to a
 * next child. Peers have half a second to close them. */
void fd_store_on_death(struct fd_store *store, bool next_child);

#endif
