#include "socket_file.h"

#include "printable.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define PATH_BYTES (sizeof((struct sockaddr_un *)0)->sun_path - 1)
#define TRIES      100

/* The directory of the path, and the name in it. */
struct place {
    int fd;           /* the directory */
    bool can_lock;    /* it could be opened for reading */
    const char *name; /* points into the path */
    char directory[PATH_BYTES + 1];
};

struct failure {
    char *text;
    size_t size;
};

__attribute__((format(printf, 2, 3))) static int fail(const struct failure *failure,
                                                      const char *format, ...) {
    char text[1024];
    va_list args;

    va_start(args, format);
    if (vsnprintf(text, sizeof text, format, args) < 0)
        text[0] = '\0';
    va_end(args);
    printable_copy(failure->text, failure->size, text, strlen(text));
    return -1;
}

/* --- Where --- */

static int check_length(const char *path, const struct failure *failure) {
    size_t len = strlen(path);

    if (len == 0)
        return fail(failure, "the socket's path is empty: name one with --socket");
    if (len > PATH_BYTES)
        return fail(failure,
                    "the socket's path has %zu bytes, the system takes at most %zu: choose a "
                    "shorter one with --socket: %s",
                    len, PATH_BYTES, path);
    return 0;
}

/* What to do about an errno that the directory's rights or its absence gave. */
static const char *advice(int error) {
    if (error == ENOENT)
        return ": create it, or choose another path with --socket";
    if (error == EACCES || error == EPERM || error == EROFS)
        return ": let this user write there, or choose another path with --socket";
    return "";
}

static int open_directory(struct place *place, const struct failure *failure) {
    place->fd = open(place->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    place->can_lock = place->fd >= 0;
    if (place->fd < 0 && errno == EACCES) /* to search it is enough */
        place->fd = open(place->directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (place->fd >= 0)
        return 0;
    return fail(failure, "directory of the socket, %s: %s%s", place->directory, strerror(errno),
                advice(errno));
}

/* place->fd is open after success. */
static int find_place(const char *path, struct place *place, const struct failure *failure) {
    const char *slash = strrchr(path, '/');
    size_t len = slash ? (size_t)(slash - path) : 0;

    place->name = slash ? slash + 1 : path;
    if (*place->name == '\0')
        return fail(failure, "the socket's path ends with a slash: %s", path);
    if (!slash)
        memcpy(place->directory, ".", 2);
    else if (len == 0)
        memcpy(place->directory, "/", 2);
    else {
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

/* What stands at the path may be replaced if it is a socket. */
static int check_occupant(const struct place *place, const char *path,
                          const struct failure *failure) {
    struct stat status;

    if (fstatat(place->fd, place->name, &status, AT_SYMLINK_NOFOLLOW) != 0) {
        if (errno == ENOENT)
            return 0;
        return fail(failure, "socket %s: %s%s", path, strerror(errno), advice(errno));
    }
    if (!S_ISSOCK(status.st_mode))
        return fail(failure,
                    "%s is %s, not a socket: remove it, or choose another path with --socket", path,
                    kind_of(status.st_mode));
    return 0;
}

enum socket_path socket_file_look(const char *path, pid_t *pid) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct ucred peer = {0};
    socklen_t len = sizeof peer;
    enum socket_path result = SOCKET_PATH_LIVE;
    int fd = -1;

    *pid = 0;
    if (strlen(path) <= PATH_BYTES)
        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return strlen(path) > PATH_BYTES ? SOCKET_PATH_FREE : SOCKET_PATH_UNKNOWN;
    memcpy(address.sun_path, path, strlen(path) + 1);
    if (connect(fd, (const struct sockaddr *)&address, sizeof address) == 0) {
        if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0)
            *pid = peer.pid;
    } else if (errno == ENOENT || errno == ECONNREFUSED || errno == ENOTDIR) {
        result = SOCKET_PATH_FREE;
    } else if (errno != EAGAIN && errno != EPROTOTYPE) { /* as many wait there as can; datagrams */
        result = SOCKET_PATH_UNKNOWN;
    }
    close(fd);
    return result;
}

/* Only who means to takes a path from a server. */
static int check_free(const char *path, const struct failure *failure) {
    char who[32] = "";
    pid_t pid;

    switch (socket_file_look(path, &pid)) {
    case SOCKET_PATH_FREE:
        return 0;
    case SOCKET_PATH_LIVE:
        if (pid > 0)
            snprintf(who, sizeof who, " (process %ld)", (long)pid);
        fail(failure,
             "a server%s already listens at %s: end it, choose another path with --socket, or take "
             "this one over with --take-over",
             who, path);
        break;
    case SOCKET_PATH_UNKNOWN:
        fail(failure,
             "whether a server listens at %s cannot be told, it cannot be connected to: choose "
             "another path with --socket, or take this one over with --take-over",
             path);
        break;
    }
    return SOCKET_FILE_BUSY;
}

/* --- Whose --- */

/* 0, an errno, or -1 when there is no such group. */
static int group_by_name(const char *name, gid_t *gid) {
    size_t size = 1024;

    for (;;) {
        struct group group, *found = NULL;
        char *buffer = malloc(size);
        int error;

        if (!buffer)
            return ENOMEM;
        error = getgrnam_r(name, &group, buffer, size, &found);
        if (found)
            *gid = group.gr_gid;
        free(buffer);
        if (error != ERANGE || size > ((size_t)1 << 24))
            return found ? 0 : error == ENOMEM || error == ERANGE ? error : -1;
        size *= 2;
    }
}

static int find_group(const char *name, gid_t *gid, const struct failure *failure) {
    uint64_t number = 0;
    int error = group_by_name(name, gid);

    if (error == 0)
        return 0;
    if (error > 0)
        return fail(failure, "group %s: %s", name, strerror(error));
    for (const char *digit = name; *digit; digit++) {
        if (*digit < '0' || *digit > '9' || number >= UINT32_MAX)
            number = UINT64_MAX;
        else
            number = number * 10 + (uint64_t)(*digit - '0');
    }
    if (*name == '\0' || number >= UINT32_MAX) /* (gid_t)-1 means "leave it" */
        return fail(failure,
                    "unknown group \"%s\": give --socket-group a name from /etc/group or a number",
                    name);
    *gid = (gid_t)number;
    return 0;
}

/* --- The socket --- */

/* The address of a name in the directory, by way of /proc where the plain path is too long. */
static void make_address(const struct place *place, const char *temp, struct sockaddr_un *address) {
    int len;

    *address = (struct sockaddr_un){.sun_family = AF_UNIX};
    len = snprintf(address->sun_path, sizeof address->sun_path, "%s/%s", place->directory, temp);
    if (len < 0 || (size_t)len >= sizeof address->sun_path)
        snprintf(address->sun_path, sizeof address->sun_path, "/proc/self/fd/%d/%.31s", place->fd,
                 temp);
}

/* Binds under a name that nobody has; names that dead processes left are stepped over. */
static int bind_temporary(const struct place *place, int fd, char temp[SOCKET_FILE_TEMP_BYTES]) {
    for (int i = 0; i < TRIES; i++) {
        struct sockaddr_un address;
        uint32_t random = (uint32_t)i;

        /* Where there is no randomness the pid and the count must do. */
        (void)!getrandom(&random, sizeof random, GRND_NONBLOCK);
        snprintf(temp, SOCKET_FILE_TEMP_BYTES, ".new-%ld-%08x", (long)getpid(), random);
        make_address(place, temp, &address);
        if (bind(fd, (const struct sockaddr *)&address, sizeof address) == 0)
            return 0;
        if (errno != EADDRINUSE)
            break;
    }
    temp[0] = '\0';
    return -1;
}

static int give_rights(const struct place *place, const char *temp,
                       const struct socket_file_options *options, gid_t gid,
                       const struct failure *failure) {
    if (options->group && fchownat(place->fd, temp, (uid_t)-1, gid, AT_SYMLINK_NOFOLLOW) != 0)
        return fail(failure,
                    "cannot give the socket to group %s: %s: the user of this process must be a "
                    "member of it",
                    options->group, strerror(errno));
    if (fchmodat(place->fd, temp, options->mode, 0) != 0)
        return fail(failure, "cannot set the socket's mode to %04o: %s", (unsigned)options->mode,
                    strerror(errno));
    return 0;
}

/* Listens under the temporary name in temp, with its final rights. On failure nothing is left. */
static int listen_beside(const struct place *place, const struct socket_file_options *options,
                         gid_t gid, struct socket_file *file, char temp[SOCKET_FILE_TEMP_BYTES],
                         const struct failure *failure) {
    struct stat status;

    temp[0] = '\0';
    file->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    /* A socket's own mode is that of the file that bind makes (less the umask, which is the whole
     * process' and so left alone): at no time has it more rights than asked for. */
    if (file->fd < 0 || fchmod(file->fd, options->mode & 0700) != 0)
        return fail(failure, "cannot make a socket: %s", strerror(errno));
    if (bind_temporary(place, file->fd, temp) != 0)
        return fail(failure, "cannot make a socket in directory %s: %s%s", place->directory,
                    strerror(errno), advice(errno));
    if (give_rights(place, temp, options, gid, failure) != 0)
        return -1;
    if (listen(file->fd, options->backlog) != 0 ||
        fstatat(place->fd, temp, &status, AT_SYMLINK_NOFOLLOW) != 0)
        return fail(failure, "cannot listen: %s", strerror(errno));
    file->device = status.st_dev;
    file->inode = status.st_ino;
    return 0;
}

/* Between servers that come and go on one path: the one that goes must not look whose file it is,
 * and then unlink the next one's. Not worth waiting long for: others may lock a directory too. */
static void lock_directory(const struct place *place) {
    const struct timespec pause = {.tv_nsec = 2 * 1000 * 1000};

    if (!place->can_lock)
        return;
    for (int i = 0; i < TRIES && flock(place->fd, LOCK_EX | LOCK_NB) != 0; i++)
        nanosleep(&pause, NULL);
}

int socket_file_prepare(const struct socket_file_options *options, struct socket_file *file,
                        char *error, size_t error_size) {
    const struct failure failure = {.text = error, .size = error_size};
    struct place place = {.fd = -1};
    gid_t gid = (gid_t)-1;
    int result = -1;

    assert((options->mode & ~(mode_t)0777) == 0);
    *file = (struct socket_file){.fd = -1};
    if (check_length(options->path, &failure) != 0 ||
        (options->group && find_group(options->group, &gid, &failure) != 0))
        return -1;
    file->path = strdup(options->path);
    if (!file->path)
        return fail(&failure, "out of memory");
    file->options = *options;
    file->options.path = file->path;
    if (find_place(file->path, &place, &failure) != 0 ||
        check_occupant(&place, file->path, &failure) != 0)
        goto undo;
    if (!options->take_over && (result = check_free(file->path, &failure)) != 0)
        goto undo;
    result = -1;
    if (listen_beside(&place, options, gid, file, file->temp, &failure) != 0)
        goto undo;
    close(place.fd);
    return 0;

undo:
    if (file->temp[0])
        unlinkat(place.fd, file->temp, 0);
    if (place.fd >= 0)
        close(place.fd);
    if (file->fd >= 0)
        close(file->fd);
    free(file->path);
    *file = (struct socket_file){.fd = -1};
    return result;
}

static bool is_ours(const struct socket_file *file, int directory, const char *name) {
    struct stat status;

    return fstatat(directory, name, &status, AT_SYMLINK_NOFOLLOW) == 0 &&
           S_ISSOCK(status.st_mode) && status.st_dev == file->device &&
           status.st_ino == file->inode;
}

int socket_file_publish(struct socket_file *file, bool *replaced, char *error, size_t error_size) {
    const struct failure failure = {.text = error, .size = error_size};
    struct place place = {.fd = -1};
    int result = 0;

    if (replaced)
        *replaced = false;
    if (!file->temp[0])
        return 0;
    if (find_place(file->path, &place, &failure) != 0)
        return -1;
    lock_directory(&place); /* until the directory is closed */
    if (!is_ours(file, place.fd, file->temp)) {
        close(place.fd);
        file->temp[0] = '\0'; /* a process that shares it with us was first */
        return 0;
    }
    pid_t pid;
    bool live = replaced && socket_file_look(file->path, &pid) == SOCKET_PATH_LIVE;
    if (!file->options.take_over && (result = check_free(file->path, &failure)) != 0) {
        close(place.fd);
        return result;
    }
    if (renameat(place.fd, file->temp, place.fd, place.name) == 0) {
        if (replaced)
            *replaced = live;
    } else {
        result = fail(&failure, "cannot put the socket at %s: %s%s", file->path, strerror(errno),
                      advice(errno));
    }
    close(place.fd);
    if (result == 0)
        file->temp[0] = '\0';
    return result;
}

int socket_file_open(const struct socket_file_options *options, struct socket_file *file,
                     bool *replaced, char *error, size_t error_size) {
    int result = socket_file_prepare(options, file, error, error_size);

    if (result == 0 && (result = socket_file_publish(file, replaced, error, error_size)) != 0)
        socket_file_close(file);
    return result;
}

int socket_file_renew(struct socket_file *file, char *error, size_t error_size) {
    struct socket_file next;
    struct socket_file_options options = file->options;
    int result;

    options.take_over = false;
    result = socket_file_open(&options, &next, NULL, error, error_size);
    if (result != 0)
        return result;
    if (file->fd >= 0)
        close(file->fd); /* after the next one is made: it has another inode */
    free(file->path);
    next.options.take_over = file->options.take_over;
    *file = next;
    return 0;
}

bool socket_file_is_ours(const struct socket_file *file) {
    return file->inherited || (file->path && is_ours(file, AT_FDCWD, file->path));
}

void socket_file_remove(struct socket_file *file) {
    char nobody_reads[8];
    const struct failure failure = {.text = nobody_reads, .size = sizeof nobody_reads};
    struct place place = {0};

    if (file->path && !file->inherited && find_place(file->path, &place, &failure) == 0) {
        lock_directory(&place);
        if (is_ours(file, place.fd, place.name))
            unlinkat(place.fd, place.name, 0);
        if (file->temp[0] && is_ours(file, place.fd, file->temp))
            unlinkat(place.fd, file->temp, 0);
        close(place.fd);
    }
    free(file->path);
    file->path = NULL;
}

void socket_file_close(struct socket_file *file) {
    socket_file_remove(file);
    if (file->fd >= 0)
        close(file->fd);
    *file = (struct socket_file){.fd = -1};
}
