#include "socket_look.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum socket_path socket_look_at(const struct sockaddr_un *address, pid_t *pid) {
    struct ucred peer = {0};
    socklen_t len = sizeof peer;
    enum socket_path result = SOCKET_PATH_LIVE;

    *pid = 0;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return SOCKET_PATH_UNKNOWN;
    }
    if (connect(fd, (const struct sockaddr *)address, sizeof *address) == 0) {
        if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0) {
            *pid = peer.pid;
        }
    } else if (errno == ENOENT || errno == ECONNREFUSED || errno == ENOTDIR) {
        result = SOCKET_PATH_FREE;
    } else if (errno != EAGAIN && errno != EPROTOTYPE) {
        /* EAGAIN: its queue is full. EPROTOTYPE: it takes datagrams. */
        result = SOCKET_PATH_UNKNOWN;
    }
    close(fd);
    return result;
}

enum socket_path socket_look(const char *path, pid_t *pid) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t len = strlen(path);

    *pid = 0;
    if (len > SOCKET_PATH_BYTES) {
        return SOCKET_PATH_FREE; /* no server can be there */
    }
    memcpy(address.sun_path, path, len + 1);
    return socket_look_at(&address, pid);
}
