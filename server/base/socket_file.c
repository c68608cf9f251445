#include "socket_file.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "identity.h"
#include "socket_rights.h"

#define NAME_TRIES 100

/* Without --take-over a path that a server listens at is refused. */
static int check_free(const char *path, const struct socket_failure *failure) {
    char who[32] = "";
    pid_t pid;

    switch (socket_look(path, &pid)) {
    case SOCKET_PATH_FREE:
        return 0;
    case SOCKET_PATH_LIVE:
        if (pid > 0) {
            snprintf(who, sizeof who, " (process %ld)", (long)pid);
        }
        socket_fail(failure,
                    "a server%s already listens at %s: end it, choose another path with --socket, "
                    "or take this one over with --take-over",
                    who, path);
        break;
    case SOCKET_PATH_UNKNOWN:
        socket_fail(failure,
                    "this user may not connect to %s, and so cannot tell whether a server listens: "
                    "choose another path with --socket, or take this one over with --take-over",
                    path);
        break;
    }
    return SOCKET_FILE_BUSY;
}

/* --- Made beside the path --- */

/* Binds under a name that is not taken. */
static int bind_temporary(const struct socket_place *place, int fd, char temp[SOCKET_TEMP_BYTES]) {
    for (int i = 0; i < NAME_TRIES; i++) {
        struct sockaddr_un address;

        socket_temp_name(temp, identity_random());
        socket_place_address(place, temp, &address);
        if (bind(fd, (const struct sockaddr *)&address, sizeof address) == 0) {
            return 0;
        }
        if (errno != EADDRINUSE) {
            break;
        }
    }
    temp[0] = '\0';
    return -1;
}

/* Listens under the temporary name in file->temp, with its final rights. */
static int listen_beside(const struct socket_place *place, gid_t gid, struct socket_file *file,
                         const struct socket_failure *failure) {
    const struct socket_file_options *options = &file->options;
    struct socket_rights rights = {.mode = options->mode, .group = options->group, .gid = gid};
    struct stat status;

    file->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    /* A socket's own mode is that of the file that bind makes (less the umask, which is the whole
     * process' and so left alone): at no time has it more rights than asked for. */
    if (file->fd < 0 || fchmod(file->fd, options->mode & 0700) != 0) {
        return socket_fail(failure, "cannot make a socket: %s", strerror(errno));
    }
    if (bind_temporary(place, file->fd, file->temp) != 0) {
        return socket_fail(failure, "cannot make a socket in directory %s: %s%s", place->directory,
                           strerror(errno), socket_advice(errno));
    }
    if (socket_give_rights(place, file->temp, &rights, &status, failure) != 0) {
        return -1;
    }
    if (listen(file->fd, options->backlog) != 0) {
        return socket_fail(failure, "cannot listen: %s", strerror(errno));
    }
    file->device = status.st_dev;
    file->inode = status.st_ino;
    return 0;
}

int socket_file_prepare(const struct socket_file_options *options, struct socket_file *file,
                        char *error, size_t error_size) {
    const struct socket_failure failure = {.text = error, .size = error_size};
    struct socket_place place = {.fd = -1};
    gid_t gid = (gid_t)-1;
    int result = -1;

    assert((options->mode & ~(mode_t)0777) == 0);
    *file = (struct socket_file){.fd = -1};
    if (socket_place_check_length(options->path, &failure) != 0 ||
        (options->group != NULL && socket_find_group(options->group, &gid, &failure) != 0)) {
        return -1;
    }
    file->path = strdup(options->path);
    if (file->path == NULL) {
        return socket_fail(&failure, "out of memory");
    }
    file->options = *options;
    file->options.path = file->path;
    if (socket_place_open(file->path, &place, &failure) != 0 ||
        socket_place_check_occupant(&place, file->path, &failure) != 0) {
        goto undo;
    }
    if (!options->take_over && (result = check_free(file->path, &failure)) != 0) {
        goto undo;
    }
    socket_sweep_leftovers(&place);
    result = listen_beside(&place, gid, file, &failure);
    if (result != 0) {
        goto undo;
    }
    close(place.fd);
    return 0;

undo:
    if (file->temp[0] != '\0') {
        unlinkat(place.fd, file->temp, 0);
    }
    if (place.fd >= 0) {
        close(place.fd);
    }
    if (file->fd >= 0) {
        close(file->fd);
    }
    free(file->path);
    *file = (struct socket_file){.fd = -1};
    return result;
}

/* --- Put onto the path --- */

static bool is_ours(const struct socket_file *file, int directory, const char *name) {
    struct stat status;

    return fstatat(directory, name, &status, AT_SYMLINK_NOFOLLOW) == 0 &&
           S_ISSOCK(status.st_mode) && status.st_dev == file->device &&
           status.st_ino == file->inode;
}

static int put_onto_path(struct socket_file *file, const struct socket_place *place, bool *replaced,
                         const struct socket_failure *failure) {
    pid_t pid;
    bool live = replaced != NULL && socket_look(file->path, &pid) == SOCKET_PATH_LIVE;
    int result = file->options.take_over ? 0 : check_free(file->path, failure);

    if (result != 0) {
        return result;
    }
    if (renameat(place->fd, file->temp, place->fd, place->name) != 0) {
        return socket_fail(failure, "cannot put the socket at %s: %s%s", file->path,
                           strerror(errno), socket_advice(errno));
    }
    if (replaced != NULL) {
        *replaced = live;
    }
    file->temp[0] = '\0';
    return 0;
}

int socket_file_publish(struct socket_file *file, bool *replaced, char *error, size_t error_size) {
    const struct socket_failure failure = {.text = error, .size = error_size};
    struct socket_place place = {.fd = -1};
    int result = 0;

    if (replaced != NULL) {
        *replaced = false;
    }
    if (file->temp[0] == '\0') {
        return 0;
    }
    if (socket_place_open(file->path, &place, &failure) != 0) {
        return -1;
    }
    /* Checked before waiting for the lock and again under it: another process with a copy of the
     * object may have published it meanwhile. */
    bool to_do = is_ours(file, place.fd, file->temp);
    if (to_do && !socket_place_lock(&place, file->options.lock)) {
        socket_fail(&failure, "directory %s is locked", place.directory);
        result = SOCKET_FILE_LOCKED;
    } else if (to_do && is_ours(file, place.fd, file->temp)) {
        result = put_onto_path(file, &place, replaced, &failure);
    } else {
        file->temp[0] = '\0';
    }
    close(place.fd);
    return result;
}

int socket_file_open(const struct socket_file_options *options, struct socket_file *file,
                     bool *replaced, char *error, size_t error_size) {
    int result = socket_file_prepare(options, file, error, error_size);

    if (result == 0 && (result = socket_file_publish(file, replaced, error, error_size)) != 0) {
        socket_file_close(file);
    }
    return result;
}

/* --- Made again, taken away --- */

/* No lock is needed: no other process uses a file under this temporary name. */
static void discard(struct socket_file *file) {
    socket_file_remove(file, SOCKET_LOCK_SKIP);
    close(file->fd);
}

int socket_file_renew(struct socket_file *file, enum socket_lock lock, char *error,
                      size_t error_size) {
    struct socket_file next;
    struct socket_file_options options = file->options;

    options.take_over = false;
    options.lock = lock;
    int result = socket_file_prepare(&options, &next, error, error_size);
    if (result != 0) {
        return result;
    }
    result = socket_file_publish(&next, NULL, error, error_size);
    if (result != 0) {
        discard(&next);
        return result;
    }
    if (file->fd >= 0) {
        close(file->fd); /* after the next one is made: it has another inode */
    }
    free(file->path);
    next.options.take_over = file->options.take_over;
    next.options.lock = file->options.lock;
    *file = next;
    return 0;
}

bool socket_file_is_ours(const struct socket_file *file) {
    return file->inherited || (file->path != NULL && is_ours(file, AT_FDCWD, file->path));
}

bool socket_file_remove(struct socket_file *file, enum socket_lock lock) {
    char nobody_reads[8];
    const struct socket_failure failure = {.text = nobody_reads, .size = sizeof nobody_reads};
    struct socket_place place = {0};

    if (file->path != NULL && !file->inherited &&
        socket_place_open(file->path, &place, &failure) == 0) {
        if (!socket_place_lock(&place, lock)) {
            close(place.fd);
            return false;
        }
        if (is_ours(file, place.fd, place.name)) {
            unlinkat(place.fd, place.name, 0);
        }
        if (file->temp[0] != '\0' && is_ours(file, place.fd, file->temp)) {
            unlinkat(place.fd, file->temp, 0);
        }
        close(place.fd);
    }
    free(file->path);
    file->path = NULL;
    return true;
}

void socket_file_close(struct socket_file *file) {
    socket_file_remove(file, SOCKET_LOCK_WAIT);
    if (file->fd >= 0) {
        close(file->fd);
    }
    *file = (struct socket_file){.fd = -1};
}
