#include "log_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
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
    const char *stream = getenv("JOURNAL_STREAM");
    unsigned long long device;
    unsigned long long inode;
    int end = 0;
    return stream != NULL && sscanf(stream, "%llu:%llu%n", &device, &inode, &end) == 2 &&
           stream[end] == '\0' && fstat(fd, &status) == 0 &&
           (unsigned long long)status.st_dev == device &&
           (unsigned long long)status.st_ino == inode;
}
