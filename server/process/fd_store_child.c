#include <errno.h>
#include <linux/sockios.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fd_store_internal.h"

void fd_store_enter_child(struct fd_store *store) {
    if (store == NULL) {
        return;
    }
    fd_list_close(&store->ending, FD_STORE_FIRST_ENDING);
    close(store->from_child);
    store->from_child = -1;
}

int fd_store_take(struct fd_store *store) {
    struct fd_list *kept = store != NULL ? &store->kept : NULL;
    return kept != NULL && kept->count > 0 ? kept->polls[--kept->count].fd : -1;
}

struct in_flight *fd_store_in_flight(struct fd_store *store, int fd) {
    return store != NULL && fd < FD_STORE_MOST ? &store->shared->in_flight[fd] : NULL;
}

char *fd_store_read_buffer(struct fd_store *store, uint32_t number) {
    return store != NULL && number < RUNNING_WORKERS ? store->shared->read[number] : NULL;
}

/* For a new connection of this number, or for the next one. */
static void clear_in_flight(struct fd_store *store, int fd) {
    struct in_flight *in_flight = fd_store_in_flight(store, fd);
    if (in_flight != NULL) {
        in_flight_set(in_flight, 0);
    }
}

/* `fd` is duplicated into the message; -1: none. False: the supervisor is gone, or too slow. */
static bool send_message(const struct fd_store *store, struct fd_message message, int fd) {
    struct iovec bytes = {.iov_base = &message, .iov_len = sizeof message};
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
    return sent == (ssize_t)sizeof message;
}

/* A quarter of the room is for what other threads say meanwhile. */
bool fd_store_is_behind(const struct fd_store *store) {
    int waiting = 0;
    return store != NULL && ioctl(store->to_supervisor, SIOCOUTQ, &waiting) == 0 &&
           waiting > store->room / 4 * 3;
}

void fd_store_keep(struct fd_store *store, int fd) {
    clear_in_flight(store, fd);
    if (store != NULL) {
        send_message(store, (struct fd_message){.kind = FD_MESSAGE_KEEP, .number = fd}, fd);
    }
}

static bool release(const struct fd_store *store, int fd) {
    struct stat status;
    return fstat(fd, &status) == 0 &&
           send_message(
               store,
               (struct fd_message){.kind = FD_MESSAGE_RELEASE, .inode = (uint64_t)status.st_ino},
               -1);
}

void fd_store_close(struct fd_store *store, int fd, bool orderly) {
    if (store != NULL && (orderly || !release(store, fd))) {
        shutdown(fd, SHUT_RDWR);
    }
    clear_in_flight(store, fd);
    close(fd);
}

bool fd_store_keep_socket(struct fd_store *store, const struct socket_file *socket) {
    struct fd_message message = {.kind = FD_MESSAGE_SOCKET,
                                 .device = (uint64_t)socket->device,
                                 .inode = (uint64_t)socket->inode};
    return store == NULL || send_message(store, message, socket->fd);
}
