#include "log_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int log_file_open(const char *path, int fd) {
    /* A pipe that nobody reads is an error rather than a wait. */
    int file = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0640);
    if (file < 0) {
        return errno;
    }
    int flags = fcntl(file, F_GETFL);
    int error = 0;
    if (flags < 0 || fcntl(file, F_SETFL, flags & ~O_NONBLOCK) != 0 || dup2(file, fd) < 0) {
        error = errno;
    }
    if (file != fd) {
        close(file);
    }
    return error;
}

bool log_file_is_journal(int fd) {
    struct stat status;
    char own[64];
    const char *stream = getenv("JOURNAL_STREAM");
    if (stream == NULL || fstat(fd, &status) != 0) {
        return false;
    }
    snprintf(own, sizeof own, "%llu:%llu", (unsigned long long)status.st_dev,
             (unsigned long long)status.st_ino);
    return strcmp(stream, own) == 0;
}
