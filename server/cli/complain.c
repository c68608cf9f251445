#include "complain.h"

#include <stdio.h>
#include <unistd.h>

int complain(const char *program, const char *text, int status) {
    char line[1024];
    int len = snprintf(line, sizeof line, "%s: %s\n", program, text);
    /* In one write: stdio writes an unbuffered stream in pieces, between which another process that
     * has the same pipe may write. */
    if (len > 0) {
        size_t size = (size_t)len < sizeof line ? (size_t)len : sizeof line - 1;
        line[size - 1] = '\n';
        (void)!write(STDERR_FILENO, line, size);
    }
    return status;
}
