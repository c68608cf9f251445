#include "socket_place.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "printable.h"

#define LOCK_TRIES    100
#define LOCK_PAUSE_NS (2L * 1000 * 1000)

const char *socket_advice(int error) {
    if (error == ENOENT) {
        return ": create it, or choose another path with --socket";
    }
    if (error == EACCES || error == EPERM || error == EROFS) {
        return ": let this user write there, or choose another path with --socket";
    }
    return "";
}

int socket_place_check_length(const char *path, const struct socket_failure *failure) {
    size_t len = strlen(path);

    if (len == 0) {
        return socket_fail(failure, "the socket's path is empty: name one with --socket");
    }
    if (len > SOCKET_PATH_BYTES) {
        return socket_fail(failure,
                           "the socket's path has %zu bytes, the system takes at most %zu: choose "
                           "a shorter one with --socket: %s",
                           len, SOCKET_PATH_BYTES, path);
    }
    return 0;
}

static int open_directory(struct socket_place *place, const struct socket_failure *failure) {
    place->fd = open(place->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    place->readable = place->fd >= 0;
    if (place->fd < 0 && errno == EACCES) { /* the right to search it is enough */
        place->fd = open(place->directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
    }
    if (place->fd >= 0) {
        return 0;
    }
    return socket_fail(failure, "directory of the socket, %s: %s%s", place->directory,
                       strerror(errno), socket_advice(errno));
}

int socket_place_open(const char *path, struct socket_place *place,
                      const struct socket_failure *failure) {
    const char *slash = strrchr(path, '/');
    size_t len = slash != NULL ? (size_t)(slash - path) : 0;

    place->name = slash != NULL ? slash + 1 : path;
    if (*place->name == '\0') {
        return socket_fail(failure, "the socket's path ends with a slash: %s", path);
    }
    if (slash == NULL) {
        memcpy(place->directory, ".", 2);
    } else if (len == 0) {
        memcpy(place->directory, "/", 2);
    } else {
        memcpy(place->directory, path, len);
        place->directory[len] = '\0';
    }
    return open_directory(place, failure);
}

static const char *kind_of(mode_t mode) {
    return S_ISDIR(mode)   ? "a directory"
           : S_ISREG(mode) ? "a file"
           : S_ISLNK(mode) ? "a symbolic link"
                           : "something";
}

int socket_place_check_occupant(const struct socket_place *place, const char *path,
                                const struct socket_failure *failure) {
    struct stat status;

    if (fstatat(place->fd, place->name, &status, AT_SYMLINK_NOFOLLOW) != 0) {
        if (errno == ENOENT) {
            return 0;
        }
        return socket_fail(failure, "socket %s: %s%s", path, strerror(errno), socket_advice(errno));
    }
    if (!S_ISSOCK(status.st_mode)) {
        return socket_fail(
            failure, "%s is %s, not a socket: remove it, or choose another path with --socket",
            path, kind_of(status.st_mode));
    }
    return 0;
}

void socket_place_address(const struct socket_place *place, const char *name,
                          struct sockaddr_un *address) {
    *address = (struct sockaddr_un){.sun_family = AF_UNIX};
    int len =
        snprintf(address->sun_path, sizeof address->sun_path, "%s/%s", place->directory, name);
    if (len < 0 || (size_t)len >= sizeof address->sun_path) {
        snprintf(address->sun_path, sizeof address->sun_path, "/proc/self/fd/%d/%.31s", place->fd,
                 name);
    }
}

bool socket_place_lock(const struct socket_place *place, enum socket_lock how) {
    const struct timespec pause = {.tv_nsec = LOCK_PAUSE_NS};

    if (how == SOCKET_LOCK_SKIP || !place->readable) {
        return true;
    }
    if (how == SOCKET_LOCK_TRY) {
        return flock(place->fd, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK;
    }
    for (int i = 0; i < LOCK_TRIES && flock(place->fd, LOCK_EX | LOCK_NB) != 0; i++) {
        nanosleep(&pause, NULL);
    }
    return true;
}
