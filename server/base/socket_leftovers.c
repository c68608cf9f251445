#include "socket_leftovers.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define PREFIX     ".new-"
#define NUMBER_LEN 8
#define YOUNG_S    10

void socket_temp_name(char name[SOCKET_TEMP_BYTES], uint32_t number) {
    snprintf(name, SOCKET_TEMP_BYTES, PREFIX "%ld-%0*x", (long)getpid(), NUMBER_LEN,
             (unsigned)number);
}

static bool is_temp_name(const char *name) {
    static const char digits[] = "0123456789";

    if (strncmp(name, PREFIX, sizeof PREFIX - 1) != 0 || strlen(name) >= SOCKET_TEMP_BYTES) {
        return false;
    }
    const char *pid = name + sizeof PREFIX - 1;
    size_t pid_len = strspn(pid, digits);
    const char *number = pid + pid_len + 1;
    return pid_len > 0 && pid[pid_len] == '-' && strlen(number) == NUMBER_LEN &&
           strspn(number, "0123456789abcdef") == NUMBER_LEN;
}

static bool is_left(const struct socket_place *place, const char *name) {
    struct sockaddr_un address;
    struct stat status;
    struct stat there;
    pid_t pid;

    if (!is_temp_name(name) || fstatat(place->fd, name, &status, AT_SYMLINK_NOFOLLOW) != 0 ||
        !S_ISSOCK(status.st_mode) || status.st_uid != geteuid() ||
        time(NULL) - status.st_mtime < YOUNG_S) {
        return false;
    }
    socket_place_address(place, name, &address);
    return lstat(address.sun_path, &there) == 0 && there.st_dev == status.st_dev &&
           there.st_ino == status.st_ino && socket_look_at(&address, &pid) == SOCKET_PATH_FREE;
}

void socket_sweep_leftovers(const struct socket_place *place) {
    int fd = place->readable ? openat(place->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    DIR *directory = fd >= 0 ? fdopendir(fd) : NULL;
    const struct dirent *entry;

    if (directory == NULL) {
        if (fd >= 0) {
            close(fd);
        }
        return;
    }
    while ((entry = readdir(directory)) != NULL) {
        if (is_left(place, entry->d_name)) {
            unlinkat(place->fd, entry->d_name, 0);
        }
    }
    closedir(directory);
}
