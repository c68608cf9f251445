#include <errno.h>
#include <limits.h>
#include <linux/sockios.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "clock.h"
#include "fd_store_internal.h"

#define SWEEP_MS  1000u /* how often ended connections are looked for */
#define SWEEP_NEW 256u  /* … and behind so many new ones */
#define LINGER_MS 500u  /* how long a peer has to close its side */
/* Reads of one connection in a row, before the others have their turn. */
#define DRAIN_TURNS 16
/* Taken of a living child at a time: signals have their turn, whatever it says. */
#define RECEIVE_MOST 64
/* Of an answer. */
#define ANSWER_SIZE 512

/* --- lists --- */

static int list_make_room(struct fd_list *list) {
    size_t room = list->room == 0 ? 64 : list->room * 2;
    if (list->count < list->room) {
        return 0;
    }
    struct pollfd *polls = reallocarray(list->polls, room, sizeof *polls);
    list->polls = polls != NULL ? polls : list->polls;
    struct fd_about *about = reallocarray(list->about, room, sizeof *about);
    list->about = about != NULL ? about : list->about;
    if (polls == NULL || about == NULL) {
        return -1;
    }
    list->room = room;
    return 0;
}

static void list_remove(struct fd_list *list, size_t index) {
    list->count--;
    list->polls[index] = list->polls[list->count];
    list->about[index] = list->about[list->count];
}

void fd_list_close(struct fd_list *list, size_t first) {
    for (size_t i = first; i < list->count; i++) {
        close(list->polls[i].fd);
    }
    free(list->polls);
    free(list->about);
    *list = (struct fd_list){0};
}

struct fd_store *fd_store_create(struct socket_file *socket, fd_store_answer *answer, void *arg) {
    struct fd_store *store = calloc(1, sizeof *store);
    int ends[2] = {-1, -1};
    if (store == NULL) {
        return NULL;
    }
    store->shared = mmap(NULL, sizeof *store->shared, PROT_READ | PROT_WRITE,
                         MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    bool made = store->shared != MAP_FAILED && list_make_room(&store->ending) == 0 &&
                socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) == 0;
    store->ending.count = FD_STORE_FIRST_ENDING;
    store->to_supervisor = ends[0];
    store->from_child = ends[1];
    store->socket = socket;
    store->answer = answer;
    store->answer_arg = arg;
    store->swept_ms = clock_ms();
    if (!made) {
        fd_store_destroy(store);
        return NULL;
    }
    socklen_t len = sizeof store->room;
    getsockopt(ends[0], SOL_SOCKET, SO_SNDBUF, &store->room, &len);
    return store;
}

void fd_store_destroy(struct fd_store *store) {
    if (store == NULL) {
        return;
    }
    fd_list_close(&store->kept, 0);
    fd_list_close(&store->ending, FD_STORE_FIRST_ENDING);
    if (store->from_child >= 0) {
        close(store->from_child);
    }
    if (store->to_supervisor >= 0) {
        close(store->to_supervisor);
    }
    if (store->shared != MAP_FAILED) {
        munmap(store->shared, sizeof *store->shared);
    }
    free(store);
}

/* --- the supervisor: messages --- */

static void keep(struct fd_store *store, const struct fd_message *message, int fd) {
    struct stat status;
    struct fd_list *kept = &store->kept;
    if (fstat(fd, &status) != 0 || list_make_room(kept) != 0) {
        close(fd);
        return;
    }
    bool known = message->number >= 0 && message->number < FD_STORE_MOST;
    kept->polls[kept->count] = (struct pollfd){.fd = fd};
    kept->about[kept->count++] = (struct fd_about){
        .inode = (uint64_t)status.st_ino, .number = known ? message->number : FD_STORE_MOST};
    store->new_count++;
}

/* The last one with that inode: an earlier one has ended, and the kernel has reused its number. */
static void let_go(struct fd_store *store, uint64_t inode) {
    for (size_t i = store->kept.count; i-- > 0;) {
        if (store->kept.about[i].inode == inode) {
            close(store->kept.polls[i].fd);
            list_remove(&store->kept, i);
            return;
        }
    }
}

static void replace_socket(struct fd_store *store, const struct fd_message *message, int fd) {
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

static void carry_out(struct fd_store *store, const struct fd_message *message, int fd) {
    if (message->kind == FD_MESSAGE_RELEASE) {
        let_go(store, message->inode);
    } else if (fd >= 0 && message->kind == FD_MESSAGE_KEEP) {
        keep(store, message, fd);
        return;
    } else if (fd >= 0 && message->kind == FD_MESSAGE_SOCKET) {
        replace_socket(store, message, fd);
        return;
    }
    if (fd >= 0) {
        close(fd);
    }
}

/* False: there is no more. */
static bool receive(struct fd_store *store) {
    for (int i = 0; i < RECEIVE_MOST; i++) {
        struct fd_message message;
        struct iovec bytes = {.iov_base = &message, .iov_len = sizeof message};
        union {
            struct cmsghdr align;
            char space[CMSG_SPACE(sizeof(int))];
        } control;
        struct msghdr head = {.msg_iov = &bytes,
                              .msg_iovlen = 1,
                              .msg_control = control.space,
                              .msg_controllen = CMSG_LEN(sizeof(int))}; /* of one, no more */
        ssize_t count = recvmsg(store->from_child, &head, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
        if (count < 0 && errno == EINTR) {
            continue;
        }
        if (count <= 0) {
            return false;
        }
        if ((head.msg_flags & MSG_CTRUNC) != 0) {
            store->new_count = SWEEP_NEW; /* out of descriptors: ended ones give theirs back */
        }
        if (count != (ssize_t)sizeof message) { /* of a child whose memory is damaged */
            message = (struct fd_message){.kind = FD_MESSAGE_NONE};
        }
        carry_out(store, &message, descriptor_of(&head));
    }
    return true;
}

/* --- the supervisor: ended connections --- */

/* Closes those whose peer has gone, or that the child has shut down. Nothing is read: the child may
 * still want it. */
static void sweep(struct fd_store *store) {
    struct fd_list *kept = &store->kept;
    store->swept_ms = clock_ms();
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

/* The peer's next bytes are still read: after "broken pipe" Kong does not try again. */
static void end(struct fd_store *store, int fd) {
    struct fd_list *ending = &store->ending;
    shutdown(fd, SHUT_WR);
    if (!drain(fd) || list_make_room(ending) != 0) {
        close(fd);
        return;
    }
    ending->polls[ending->count++] = (struct pollfd){.fd = fd, .events = POLLIN};
}

/* In the dead child's place. False: there is no answer to it. */
static bool answer(const struct fd_store *store, int fd, const struct in_flight *in_flight,
                   const uint8_t *read, bool next_child) {
    uint8_t bytes[ANSWER_SIZE];
    size_t len = store->answer == NULL
                     ? 0
                     : store->answer(store->answer_arg, in_flight->what, in_flight->id, read,
                                     next_child, bytes, sizeof bytes);
    return len > 0 && send(fd, bytes, len, MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)len;
}

/* The child wrote its answer, and died before it could note that: the peer has not read it yet, or
 * has sent its next request. Where it has read it and sent nothing, another answer is bytes that
 * nobody asked for, and nginx does not use that connection again. */
static bool is_answered(int fd) {
    int unsent = 0;
    int unread = 0;
    return (ioctl(fd, SIOCOUTQ, &unsent) == 0 && unsent > 0) ||
           (ioctl(fd, FIONREAD, &unread) == 0 && unread > 0);
}

/* The child died before it noted what it had read, if it had read anything: then that may be more
 * than one message, or less. True: it had not. */
static bool was_reading(const struct fd_store *store, struct fd_about *about, int fd,
                        const struct in_flight *in_flight, bool next_child) {
    uint8_t nothing[IN_FLIGHT_HEAD];
    uint8_t read[IN_FLIGHT_HEAD];
    memset(nothing, IN_FLIGHT_UNREAD, sizeof nothing);
    memcpy(read, store->shared->read[in_flight_buffer(in_flight)], sizeof read);
    if (memcmp(read, nothing, sizeof read) == 0) {
        about->owed = in_flight_results(in_flight);
        return next_child;
    }
    answer(store, fd, in_flight, read, next_child);
    return false;
}

/* What becomes of a connection: true when it goes on to the next child. */
static bool goes_on(struct fd_store *store, struct fd_about *about, int fd, bool next_child) {
    static const struct in_flight unknown = {.what = IN_FLIGHT_OTHER};
    const struct in_flight *in_flight =
        about->number < FD_STORE_MOST ? &store->shared->in_flight[about->number] : &unknown;
    about->owed = 0;
    if (in_flight->what <= IN_FLIGHT_RESULTS_MOST) {
        about->owed = in_flight->what;
        return next_child;
    }
    if (in_flight->what == IN_FLIGHT_READING && in_flight_buffer(in_flight) < RUNNING_WORKERS) {
        return was_reading(store, about, fd, in_flight, next_child);
    }
    if ((in_flight->what & IN_FLIGHT_HALF) != 0) {
        answer(store, fd, in_flight, NULL, next_child);
        return false;
    }
    return (is_answered(fd) || answer(store, fd, in_flight, NULL, next_child)) && next_child;
}

void fd_store_on_death(struct fd_store *store, bool next_child) {
    if (store == NULL) {
        return;
    }
    struct fd_list *kept = &store->kept;
    while (receive(store)) { /* what the child still said */
    }
    sweep(store); /* ended ones, whose numbers others may have by now */
    for (size_t i = kept->count; i-- > 0;) {
        if (!goes_on(store, &kept->about[i], kept->polls[i].fd, next_child)) {
            end(store, kept->polls[i].fd);
            list_remove(kept, i);
        }
    }
    store->end_by_ms = clock_ms() + LINGER_MS;
}

/* The child has the same descriptors under the same numbers. */
void fd_store_before_child(struct fd_store *store) {
    if (store == NULL) {
        return;
    }
    for (size_t i = 0; i < store->kept.count; i++) {
        int fd = store->kept.polls[i].fd;
        store->kept.about[i].number = fd < FD_STORE_MOST ? fd : FD_STORE_MOST;
        if (fd < FD_STORE_MOST) {
            in_flight_set(&store->shared->in_flight[fd], store->kept.about[i].owed);
        }
    }
}

static void drain_ending(struct fd_store *store) {
    struct fd_list *ending = &store->ending;
    bool late = clock_ms() >= store->end_by_ms;
    for (size_t i = ending->count; i-- > FD_STORE_FIRST_ENDING;) {
        struct pollfd *peer = &ending->polls[i];
        bool open = peer->revents == 0 || drain(peer->fd);
        if (!open || late) {
            close(peer->fd);
            list_remove(ending, i);
        }
    }
}

static int timeout_of(const struct fd_store *store, uint64_t timeout_ms) {
    uint64_t now = clock_ms();
    if (store->ending.count > FD_STORE_FIRST_ENDING) {
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
    struct fd_list *ending = &store->ending;
    ending->polls[0] = alone;
    ending->polls[1] = (struct pollfd){.fd = store->from_child, .events = POLLIN};
    if (poll(ending->polls, (nfds_t)ending->count, timeout_of(store, timeout_ms)) < 0) {
        return;
    }
    if (ending->polls[1].revents != 0) {
        (void)receive(store); /* what is left is readable again */
    }
    drain_ending(store);
    if (store->new_count >= SWEEP_NEW || clock_ms() - store->swept_ms >= SWEEP_MS) {
        sweep(store);
    }
}
