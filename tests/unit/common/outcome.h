/* What a whole program prints and ends with, and this test program as another process. Include
 * behind <cmocka.h>: all of this fails the test when it can't. */
#ifndef TESTS_UNIT_OUTCOME_H
#define TESTS_UNIT_OUTCOME_H

#include <stddef.h>
#include <stdio.h>
#include <sys/types.h>

struct outcome {
    int status;
    char out[65536];
    char err[4096];
};

/* Runs `program`, which gives the status, in a process of its own. Its standard input has these
 * bytes. `path`: its standard output; NULL: what it prints is kept. */
void outcome_of(struct outcome *outcome, int (*program)(void *data), void *data, const char *input,
                size_t len, const char *path);

/* What was written into a file, as a text of at most size - 1 bytes; closes it. */
void outcome_read_back(FILE *file, char *text, size_t size);

/* The status of a process that ends by itself. */
int outcome_status(pid_t child);

/* This test program, executed again with these words, the first of which is its name. Returns when
 * it has written a byte to its standard output. It is killed when the test ends. */
pid_t outcome_execute_self(char *const argv[]);

#endif
