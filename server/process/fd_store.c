#include "fd_store.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define SWEEP_MS  1000u /* so often ended connections are looked for */
#define SWEEP_NEW 256u  /* … and behind so many new ones */
#define LINGER_MS 500u  /* so long a peer has to close */
/* Thrown away of one connection at a time: the others have their turn. */
#define DRAIN_TURNS 16

enum message_kind { MESSAGE_KEEP, MESSAGE_RELEASE, MESSAGE_SOCKET };

/* From the child; both sides are the same program. KEEP and SOCKET come with a descriptor. */
struct message {
    uint32_t kind;
    uint64_t device; /* SOCKET: of the file */
    uint64_t inode;  /* SOCKET: of the file; RELEASE: of the connection */
};

/* A list of connections as poll() takes it. */
struct list {
    struct pollfd *polls;
    uint64_t *inodes; /* NULL: not wanted */
    size_t count;
    size_t room;
};

struct fd_store {
    int to_supervisor; /* the child's end: a stream of messages; non-blocking */
    int from_child;    /* -1 in the child */
    struct socket_file *socket;
    struct list kept;
    struct list ending; /* the first two are the caller's descriptor and from_child */
    uint64_t end_by_ms; /* of all that are ending */
    uint64_t swept_ms;
    size_t new_count; /* kept since then */
};

#define FIRST_ENDING 2

static uint64_t now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* --- lists --- */

static int list_make_room(struct list *list, bool inodes) {
    size_t room = list->room == 0 ? 64 : list->room * 2;
    if (list->count < list->room) {
        return 0;
    }
    struct pollfd *polls = reallocarray(list->polls, room, sizeof *polls);
    if (polls == NULL) {
        return -1;
    }
    list->polls = polls;
    if (inodes) {
        uint64_t *more = reallocarray(list->inodes, room, sizeof *more);
        if (more == NULL) {
            return -1;
        }
        list->inodes = more;
    }
    list->room = room;
    return 0;
}

static void list_remove(struct list *list, size_t index) {
    list->count--;
    list->polls[index] = list->polls[list->count];
    if (list->inodes != NULL) {
        list->inodes[index] = list->inodes[list->count];
    }
}

static void list_close(struct list *list, size_t first) {
    for (size_t i = first; i < list->count; i++) {
        close(list->polls[i].fd);
    }
    free(list->polls);
    free(list->inodes);
    *list = (struct list){0};
}

struct fd_store *fd_store_create(struct socket_file *socket) {
    struct fd_store *store = calloc(1, sizeof *store);
    int ends[2];
    if (store == NULL || list_make_room(&store->ending, false) != 0) {
        free(store);
        return NULL;
    }
    store->ending.count = FIRST_ENDING;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) != 0) {
        free(store->ending.polls);
        free(store);
        return NULL;
    }
    store->to_supervisor = ends[0];
    store->from_child = ends[1];
    store->socket = socket;
    store->swept_ms = now_ms();
    return store;
}

void fd_store_destroy(struct fd_store *store) {
    if (store == NULL) {
        return;
    }
    list_close(&store->kept, 0);
    list_close(&store->ending, FIRST_ENDING);
    if (store->from_child >= 0) {
        close(store->from_child);
    }
    close(store->to_supervisor);
    free(store);
}

/* --- the child --- */

void fd_store_enter_child(struct fd_store *store) {
    if (store == NULL) {
        return;
    }
    list_close(&store->kept, 0);
    list_close(&store->ending, FIRST_ENDING);
    close(store->from_child);
    store->from_child = -1;
}

/* `fd` is duplicated into the message; -1: none. False: the supervisor is gone, or too slow. */
static bool send_message(const struct fd_store *store, const struct message *message, int fd) {
    struct message copy = *message;
    struct iovec bytes = {.iov_base = &copy, .iov_len = sizeof copy};
    union {
        struct cmsghdr align;
        char space[CMSG_SPACE(sizeof(int))];
    } control = {0};
    struct msghdr head = {.msg_iov = &bytes, .msg_iovlen = 1};
    ssize_t sent;
    if (fd >= 0) {
        head.msg_control = control.space;
        head.msg_controllen = sizeof control.space;
        struct cmsghdr *rights = CMSG_FIRSTHDR(&head);
        rights->cmsg_level = SOL_SOCKET;
        rights->cmsg_type = SCM_RIGHTS;
        rights->cmsg_len = CMSG_LEN(sizeof fd);
        memcpy(CMSG_DATA(rights), &fd, sizeof fd);
    }
    do {
        sent = sendmsg(store->to_supervisor, &head, MSG_NOSIGNAL | MSG_DONTWAIT);
    } while (sent < 0 && errno == EINTR);
    return sent == (ssize_t)sizeof copy;
}

void fd_store_keep(struct fd_store *store, int fd) {
    if (store != NULL) {
        send_message(store, &(struct message){.kind = MESSAGE_KEEP}, fd);
    }
}

void fd_store_close(struct fd_store *store, int fd, bool orderly) {
    struct stat status;
    if (store != NULL) {
        if (orderly || fstat(fd, &status) != 0 ||
            !send_message(
                store, &(struct message){.kind = MESSAGE_RELEASE, .inode = (uint64_t)status.st_ino},
                -1)) {
            shutdown(fd, SHUT_RDWR);
        }
    }
    close(fd);
}

void fd_store_keep_socket(struct fd_store *store, const struct socket_file *socket) {
    if (store != NULL) {
        send_message(store,
                     &(struct message){.kind = MESSAGE_SOCKET,
                                       .device = (uint64_t)socket->device,
                                       .inode = (uint64_t)socket->inode},
                     socket->fd);
    }
}

/* --- the supervisor: messages --- */

static void keep(struct fd_store *store, int fd) {
    struct stat status;
    struct list *kept = &store->kept;
    if (fstat(fd, &status) != 0 || list_make_room(kept, true) != 0) {
        close(fd);
        return;
    }
    kept->polls[kept->count] = (struct pollfd){.fd = fd};
    kept->inodes[kept->count++] = (uint64_t)status.st_ino;
    store->new_count++;
}

/* The last of that number: an earlier one has ended, and the kernel gave its number again. */
static void let_go(struct fd_store *store, uint64_t inode) {
    for (size_t i = store->kept.count; i-- > 0;) {
        if (store->kept.inodes[i] == inode) {
            close(store->kept.polls[i].fd);
            list_remove(&store->kept, i);
            return;
        }
    }
}

static void replace_socket(struct fd_store *store, const struct message *message, int fd) {
    struct socket_file *socket = store->socket;
    if (socket->fd >= 0) {
        close(socket->fd);
    }
    (void)!listen(fd, socket->options.backlog); /* peers see the process that did this last */
    socket->fd = fd;
    socket->device = (dev_t)message->device;
    socket->inode = (ino_t)message->inode;
}

/* The descriptor of a message; -1: it has none. */
static int descriptor_of(struct msghdr *head) {
    struct cmsghdr *rights = CMSG_FIRSTHDR(head);
    int fd = -1;
    if (rights != NULL && rights->cmsg_level == SOL_SOCKET && rights->cmsg_type == SCM_RIGHTS &&
        rights->cmsg_len == CMSG_LEN(sizeof fd)) {
        memcpy(&fd, CMSG_DATA(rights), sizeof fd);
    }
    return fd;
}

static void carry_out(struct fd_store *store, const struct message *message, int fd) {
    if (message->kind == MESSAGE_RELEASE) {
        let_go(store, message->inode);
    } else if (fd >= 0 && message->kind == MESSAGE_KEEP) {
        keep(store, fd);
        return;
    } else if (fd >= 0 && message->kind == MESSAGE_SOCKET) {
        replace_socket(store, message, fd);
        return;
    }
    if (fd >= 0) {
        close(fd);
    }
}

static void receive(struct fd_store *store) {
    for (;;) {
        struct message message;
        struct iovec bytes = {.iov_base = &message, .iov_len = sizeof message};
        union {
            struct cmsghdr align;
            char space[CMSG_SPACE(sizeof(int))];
        } control;
        struct msghdr head = {.msg_iov = &bytes,
                              .msg_iovlen = 1,
                              .msg_control = control.space,
                              .msg_controllen = sizeof control.space};
        ssize_t count = recvmsg(store->from_child, &head, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
        if (count != (ssize_t)sizeof message) {
            if (count < 0 && errno == EINTR) {
                continue;
            }
            return;
        }
        if ((head.msg_flags & MSG_CTRUNC) != 0) {
            store->new_count = SWEEP_NEW; /* out of descriptors: ended ones give theirs back */
        }
        carry_out(store, &message, descriptor_of(&head));
    }
}

/* --- the supervisor: ended connections --- */

/* Closes those whose peer has gone, or that the child has shut down. Nothing is read: the child may
 * still want it. */
static void sweep(struct fd_store *store) {
    struct list *kept = &store->kept;
    store->swept_ms = now_ms();
    store->new_count = 0;
    if (kept->count == 0 || poll(kept->polls, (nfds_t)kept->count, 0) <= 0) {
        return;
    }
    for (size_t i = kept->count; i-- > 0;) {
        if (kept->polls[i].revents != 0) {
            close(kept->polls[i].fd);
            list_remove(kept, i);
        }
    }
}

/* False: the peer has closed. */
static bool drain(int fd) {
    char nobody_reads[4096];
    for (int i = 0; i < DRAIN_TURNS; i++) {
        ssize_t count = recv(fd, nobody_reads, sizeof nobody_reads, MSG_DONTWAIT);
        if (count == 0 || (count < 0 && errno != EAGAIN && errno != EINTR)) {
            return false;
        }
        if (count < 0 && errno == EAGAIN) {
            return true;
        }
    }
    return true;
}

/* The peer's next bytes are still taken: "broken pipe" is nothing that Kong tries again. */
static void end(struct fd_store *store, int fd) {
    struct list *ending = &store->ending;
    shutdown(fd, SHUT_WR);
    if (!drain(fd) || list_make_room(ending, false) != 0) {
        close(fd);
        return;
    }
    ending->polls[ending->count++] = (struct pollfd){.fd = fd, .events = POLLIN};
}

void fd_store_end_all(struct fd_store *store) {
    if (store == NULL) {
        return;
    }
    receive(store); /* what the child still said */
    for (size_t i = 0; i < store->kept.count; i++) {
        end(store, store->kept.polls[i].fd);
    }
    store->kept.count = 0;
    store->end_by_ms = now_ms() + LINGER_MS;
}

static void drain_ending(struct fd_store *store) {
    struct list *ending = &store->ending;
    bool late = now_ms() >= store->end_by_ms;
    for (size_t i = ending->count; i-- > FIRST_ENDING;) {
        struct pollfd *peer = &ending->polls[i];
        bool open = peer->revents == 0 || drain(peer->fd);
        if (!open || late) {
            close(peer->fd);
            list_remove(ending, i);
        }
    }
}

static int timeout_of(const struct fd_store *store, uint64_t timeout_ms) {
    uint64_t now = now_ms();
    if (store->ending.count > FIRST_ENDING) {
        uint64_t left = store->end_by_ms > now ? store->end_by_ms - now : 0;
        timeout_ms = left < timeout_ms ? left : timeout_ms;
    }
    return timeout_ms < INT_MAX ? (int)timeout_ms : INT_MAX;
}

void fd_store_wait(struct fd_store *store, int fd, uint64_t timeout_ms) {
    struct pollfd alone = {.fd = fd, .events = POLLIN};
    if (store == NULL) {
        poll(&alone, 1, timeout_ms < INT_MAX ? (int)timeout_ms : INT_MAX);
        return;
    }
    struct list *ending = &store->ending;
    ending->polls[0] = alone;
    ending->polls[1] = (struct pollfd){.fd = store->from_child, .events = POLLIN};
    if (poll(ending->polls, (nfds_t)ending->count, timeout_of(store, timeout_ms)) < 0) {
        return;
    }
    if (ending->polls[1].revents != 0) {
        receive(store);
    }
    drain_ending(store);
    if (store->new_count >= SWEEP_NEW || now_ms() - store->swept_ms >= SWEEP_MS) {
        sweep(store);
    }
}

size_t fd_store_count(const struct fd_store *store) {
    return store == NULL ? 0 : store->kept.count + store->ending.count - FIRST_ENDING;
}
