#include "socket_rights.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef SYS_fchmodat2
#define SYS_fchmodat2 452 /* the same on all architectures here */
#endif

#define GROUP_BYTES_MOST ((size_t)1 << 24)

/* 0, an errno, or -1 when there is no such group. */
static int group_by_name(const char *name, gid_t *gid) {
    size_t size = 1024;

    for (;;) {
        struct group group, *found = NULL;
        char *buffer = malloc(size);

        if (buffer == NULL) {
            return ENOMEM;
        }
        int error = getgrnam_r(name, &group, buffer, size, &found);
        if (found != NULL) {
            *gid = group.gr_gid;
        }
        free(buffer);
        if (error != ERANGE || size > GROUP_BYTES_MOST) {
            return found != NULL ? 0 : error == ENOMEM || error == ERANGE ? error : -1;
        }
        size *= 2;
    }
}

int socket_find_group(const char *name, gid_t *gid, const struct socket_failure *failure) {
    char *end;
    int error = group_by_name(name, gid);

    if (error == 0) {
        return 0;
    }
    if (error > 0) {
        return socket_fail(failure, "group %s: %s", name, strerror(error));
    }
    unsigned long long number = strtoull(name, &end, 10);
    bool digits = *name >= '0' && *name <= '9' && *end == '\0';
    if (!digits || number >= UINT32_MAX) { /* (gid_t)-1 means "leave it" */
        return socket_fail(
            failure, "unknown group \"%s\": give --socket-group a name from /etc/group or a number",
            name);
    }
    *gid = (gid_t)number;
    return 0;
}

/* A descriptor of the socket itself; it stays right when the name is given to another file. */
static int open_socket(const struct socket_place *place, const char *name, struct stat *status,
                       const struct socket_failure *failure) {
    int fd = openat(place->fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);

    if (fd >= 0 && fstat(fd, status) == 0 && S_ISSOCK(status->st_mode)) {
        return fd;
    }
    int error = fd < 0 ? errno : 0;
    if (fd >= 0) {
        close(fd);
    }
    return socket_fail(failure,
                       "the new socket in directory %s is gone%s%s: another process removes or "
                       "replaces files there, choose another path with --socket",
                       place->directory, error != 0 ? ": " : "", error != 0 ? strerror(error) : "");
}

/* fchmod does not take such a descriptor. /proc has a name for it; where there is no /proc, Linux
 * from 6.6 on has a system call, which glibc before 2.39 does not know. */
static int change_mode(int fd, mode_t mode) {
    char path[32];

    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    if (chmod(path, mode) == 0) {
        return 0;
    }
    return errno == ENOENT ? (int)syscall(SYS_fchmodat2, fd, "", mode, AT_EMPTY_PATH) : -1;
}

int socket_give_rights(const struct socket_place *place, const char *name,
                       const struct socket_rights *rights, struct stat *status,
                       const struct socket_failure *failure) {
    int result = 0;
    int fd = open_socket(place, name, status, failure);

    if (fd < 0) {
        return -1;
    }
    if (rights->group != NULL && fchownat(fd, "", (uid_t)-1, rights->gid, AT_EMPTY_PATH) != 0) {
        result = socket_fail(failure,
                             "cannot give the socket to group %s: %s: the user of this process "
                             "must be a member of it",
                             rights->group, strerror(errno));
    } else if ((status->st_mode & 07777) != rights->mode && change_mode(fd, rights->mode) != 0) {
        result = socket_fail(failure, "cannot set the socket's mode to %04o: %s",
                             (unsigned)rights->mode, strerror(errno));
    }
    close(fd);
    return result;
}
