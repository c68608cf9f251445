/* The socket's file: bound, handed over, taken away. No libuv: it gives a listening descriptor.
 *
 * Reload: Kong starts the next server on the same path while the last one still serves. So the
 * socket is bound under a temporary name beside the path, gets its mode and group, listens, and is
 * then renamed onto the path: there is no moment without a socket, and nobody unlinks another's.
 *
 * Only a server that means to takes a path over: a second one, started by mistake, would leave the
 * first without new connections. */
#ifndef SERVER_SOCKET_FILE_H
#define SERVER_SOCKET_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "socket_leftovers.h"
#include "socket_look.h"
#include "socket_place.h"

struct socket_file_options {
    const char *path; /* absolute or relative; at most SOCKET_PATH_BYTES. The temporary name may use
                         a shorter alias (a directory descriptor through /proc/self/fd) */
    mode_t mode;      /* the file gets exactly this, whatever the umask; permission bits only */
    const char *group; /* name or number; NULL: that of the process. Outlives the object */
    int backlog;
    bool take_over;        /* the path, from a server that listens there */
    enum socket_lock lock; /* how publishing locks the directory. 0: SOCKET_LOCK_WAIT, for a process
                              that serves nobody yet */
};

/* Owned by whoever embeds it. */
struct socket_file {
    int fd; /* listening, non-blocking, close-on-exec; owned by this object until the caller takes
               it (sets it to -1) */
    char *path;
    struct socket_file_options options; /* as it was made; for another one like it */
    char temp[SOCKET_TEMP_BYTES];       /* its name until it is published; else "" */
    dev_t device;
    ino_t inode;
    bool inherited; /* from a service manager, which passed it listening (service_manager.h): its
                       file is left alone, `path` is for people, others may go on listening */
};

/* A negative code beside -1: a server listens at the path, and take_over is not set. */
#define SOCKET_FILE_BUSY (-2)
/* … and another: with SOCKET_LOCK_TRY, somebody has the directory locked. */
#define SOCKET_FILE_LOCKED (-3)

/* 0, or a negative code with one line in `error` (error_size >= 4) that says what is wrong and what
 * to do (path too long, directory missing, no permission, path holds something that is not a
 * socket, unknown group); then *file holds nothing and nothing is left in the directory. *replaced
 * (may be NULL) tells whether a socket with a live listener was there before: the normal case of a
 * reload, or a second server started by mistake. It is found out by connecting: the other server
 * sees a connection that ends at once.
 *
 * Clients that connected to the replaced socket and were not accepted yet wait in that server: it
 * goes on accepting until nobody waits any more, then closes. Asserts that mode has only permission
 * bits. Not async-signal-safe; the umask is neither used nor changed. What dead servers left under
 * temporary names in the directory is removed (socket_leftovers.h). */
int socket_file_open(const struct socket_file_options *options, struct socket_file *file,
                     bool *replaced, char *error, size_t error_size);

/* The two halves of it. Prepared, the socket listens under a name of its own, where nobody looks:
 * what can still fail fails without taking the path from the server that has it. Published, it is
 * at the path, which cannot be taken back. Publishing again, also in another process that has a
 * copy of the object, does nothing. Both look whether the path is live, publishing with the
 * directory locked. *replaced as above. 0, or a negative code with a line in `error`; after a
 * failed prepare *file holds nothing. */
int socket_file_prepare(const struct socket_file_options *options, struct socket_file *file,
                        char *error, size_t error_size);
int socket_file_publish(struct socket_file *file, bool *replaced, char *error, size_t error_size);

/* Whether the file at the path is still ours (device and inode); an inherited one always is. */
bool socket_file_is_ours(const struct socket_file *file);

/* Makes another one of the same kind on the same path, which is free: file->fd is then the new
 * one's, the old one is closed. 0; or a negative code, a line in `error`, and all is as it was. */
int socket_file_renew(struct socket_file *file, enum socket_lock lock, char *error,
                      size_t error_size);

/* Unlinks the path if it is still ours and not inherited; the descriptor goes on listening, for
 * those who have connected already. False: SOCKET_LOCK_TRY found the directory locked, and nothing
 * was done. Idempotent. */
bool socket_file_remove(struct socket_file *file, enum socket_lock lock);

/* Unlinks the path as socket_file_remove, waiting for the lock; closes fd unless taken; frees.
 * Idempotent; a zeroed object with fd -1 is allowed. A caller that took fd closes it after this,
 * not before: as long as the descriptor is open nobody else's file can get the same inode. */
void socket_file_close(struct socket_file *file);

#endif
