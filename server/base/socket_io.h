/* recv and send as each event calls them, without the C library's wrappers where it can be. Those
 * are cancellation points: in a process with several threads (the watch for handlers that hang is
 * one) each costs some 45 instructions more, and no thread here is ever cancelled. */
#ifndef SERVER_SOCKET_IO_H
#define SERVER_SOCKET_IO_H

#include <stddef.h>
#include <sys/types.h>

/* As recv(2) and send(2), errno too. */
ssize_t socket_recv(int fd, void *to, size_t len, int flags);
ssize_t socket_send(int fd, const void *from, size_t len, int flags);

#endif
