#include "service_manager.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "printable.h"

#define FIRST_FD 3

/* The whole text a decimal number above 0; 0: it is not. */
static long number_of(const char *text) {
    char *end = NULL;
    if (text == NULL || *text < '0' || *text > '9') {
        return 0;
    }
    errno = 0;
    long number = strtol(text, &end, 10);
    return *end == '\0' && errno == 0 ? number : 0;
}

/* What keeps it from being served; NULL: nothing. */
static const char *flaw_of(int fd, struct sockaddr_un *address, socklen_t *len) {
    int type = 0;
    int listening = 0;
    socklen_t size = sizeof type;
    *len = sizeof *address;
    if (getsockname(fd, (struct sockaddr *)address, len) != 0) {
        return strerror(errno);
    }
    if (address->sun_family != AF_UNIX) {
        return "not a Unix socket: Kong connects to a path, use ListenStream=/a/path";
    }
    if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) != 0 || type != SOCK_STREAM) {
        return "not a stream socket: use ListenStream=";
    }
    size = sizeof listening;
    if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &size) != 0 || listening == 0) {
        return "a connection, not a listening socket: use Accept=no";
    }
    return NULL;
}

/* As people write it: a path, or "@name" of the abstract namespace. NULL: no memory. */
static char *name_of(const struct sockaddr_un *address, socklen_t len) {
    char text[sizeof address->sun_path + 1] = "";
    size_t start = offsetof(struct sockaddr_un, sun_path);
    if (len > start) {
        memcpy(text, address->sun_path, len - start);
        if (text[0] == '\0') {
            text[0] = '@';
        }
    }
    return strdup(text);
}

static int take(struct socket_file *file, char *error, size_t error_size) {
    struct sockaddr_un address = {0};
    socklen_t len;
    const char *flaw = flaw_of(FIRST_FD, &address, &len);
    int flags = flaw == NULL ? fcntl(FIRST_FD, F_GETFD) : 0;
    if (flaw == NULL && (flags < 0 || fcntl(FIRST_FD, F_SETFD, flags | FD_CLOEXEC) != 0)) {
        flaw = strerror(errno);
    }
    char *path = flaw == NULL ? name_of(&address, len) : NULL;
    if (path == NULL) {
        return printable_error(error, error_size,
                               "the socket that the service manager passed, descriptor %d: %s",
                               FIRST_FD, flaw != NULL ? flaw : "out of memory");
    }
    *file = (struct socket_file){.fd = FIRST_FD, .path = path, .inherited = true};
    return 1;
}

int service_manager_socket(struct socket_file *file, char *error, size_t error_size) {
    const char *pid = getenv("LISTEN_PID");
    const char *count = getenv("LISTEN_FDS");
    if (count == NULL || number_of(pid) != (long)getpid()) {
        return 0;
    }
    int result;
    if (number_of(count) == 1) {
        result = take(file, error, error_size);
    } else if (strcmp(count, "0") == 0) {
        result = 0;
    } else {
        const char *names = getenv("LISTEN_FDNAMES");
        result = printable_error(error, error_size,
                                 "the service manager passed %s sockets (%s), one can be served: "
                                 "keep one ListenStream= and one Sockets=",
                                 count, names != NULL ? names : "without names");
    }
    /* Not for processes that a plugin starts. */
    unsetenv("LISTEN_PID");
    unsetenv("LISTEN_FDS");
    unsetenv("LISTEN_FDNAMES");
    return result;
}

void service_manager_notify(const char *state) {
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t path_len = path != NULL ? strlen(path) : 0;
    if (path_len < 2 || path_len >= sizeof address.sun_path || (path[0] != '/' && path[0] != '@')) {
        return;
    }
    memcpy(address.sun_path, path, path_len);
    if (path[0] == '@') {
        address.sun_path[0] = '\0';
    }
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return;
    }
    socklen_t len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + path_len);
    (void)!sendto(fd, state, strlen(state), MSG_NOSIGNAL | MSG_DONTWAIT,
                  (const struct sockaddr *)&address, len);
    close(fd);
}
