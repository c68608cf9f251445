/* What the two sides of a store share: fd_store.c is the supervisor's, fd_store_child.c the
 * child's. Private to them. */
#ifndef SERVER_FD_STORE_INTERNAL_H
#define SERVER_FD_STORE_INTERNAL_H

#include <poll.h>

#include "fd_store.h"
#include "running.h"

/* Of descriptors of the child from this number on it is not known what is under way. Linux has no
 * higher ones unless it is told so (fs.nr_open). */
#define FD_STORE_MOST 1048576

enum fd_message_kind { FD_MESSAGE_NONE, FD_MESSAGE_KEEP, FD_MESSAGE_RELEASE, FD_MESSAGE_SOCKET };

/* From the child; both sides are the same program. KEEP and SOCKET come with a descriptor. */
struct fd_message {
    uint32_t kind;
    int32_t number;  /* KEEP: the descriptor's in the child */
    uint64_t device; /* SOCKET: of the file */
    uint64_t inode;  /* SOCKET: of the file; RELEASE: of the connection */
};

/* What is known of a connection that is kept. */
struct fd_about {
    uint64_t inode;
    int32_t number; /* of the child's descriptor */
    uint8_t owed;   /* results of PDK calls, to a dead child */
};

/* Connections, as poll() takes them. */
struct fd_list {
    struct pollfd *polls;
    struct fd_about *about; /* of those that are ending nothing is known */
    size_t count;
    size_t room;
};

/* Memory of both; of most of it no page is ever touched. */
struct fd_shared {
    struct in_flight in_flight[FD_STORE_MOST]; /* by the number of the child's descriptor. An entry
                                                  counts while its connection is kept */
    char read[RUNNING_WORKERS][FD_STORE_READ_SIZE];
};

/* The first two entries of `ending` are the caller's descriptor and from_child. */
#define FD_STORE_FIRST_ENDING 2

struct fd_store {
    int to_supervisor;        /* the child's end of a stream of messages; non-blocking */
    int from_child;           /* -1 in the child */
    int room;                 /* for messages in the kernel, in bytes as SIOCOUTQ counts */
    struct fd_shared *shared; /* with the child */
    struct socket_file *socket;
    fd_store_answer *answer;
    void *answer_arg;
    struct fd_list kept;
    struct fd_list ending;
    uint64_t end_by_ms; /* of all that are ending */
    uint64_t swept_ms;
    size_t new_count; /* kept since then */
};

/* Closes what is in the list from `first` on, and frees it. */
void fd_list_close(struct fd_list *list, size_t first);

#endif
