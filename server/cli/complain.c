#include "complain.h"

#include <stdio.h>
#include <unistd.h>

#include "log_file.h"

int complain_to(int fd, const char *program, const char *text, int status) {
    char line[1024];
    int len = snprintf(line, sizeof line, "%s%s: %s\n", log_file_is_journal(fd) ? "<3>" : "",
                       program, text);
    /* In one write: stdio writes an unbuffered stream in pieces, between which another process that
     * has the same pipe may write. */
    if (len > 0) {
        size_t size = (size_t)len < sizeof line ? (size_t)len : sizeof line - 1;
        line[size - 1] = '\n';
        (void)!write(fd, line, size);
    }
    return status;
}

int complain(const char *program, const char *text, int status) {
    return complain_to(STDERR_FILENO, program, text, status);
}
