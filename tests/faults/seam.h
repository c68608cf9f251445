/* Calls that fail when a test says so, in the place of the C library's and libuv's (linked with
 * --wrap: our code and the static libraries). Counted are calls of all threads but the one that
 * called seam_guard, and those that this one makes between seam_enter and seam_leave. */
#ifndef TESTS_FAULTS_SEAM_H
#define TESTS_FAULTS_SEAM_H

#include <stdbool.h>
#include <stddef.h>

enum seam_kind {
    SEAM_MEMORY, /* malloc, calloc, realloc (but not libuv's), strdup, asprintf, mmap */
    SEAM_UV, /* every function of libuv that can fail and that the server calls; pthread_create */
};

/* How bytes go through sockets. */
enum seam_transfer {
    SEAM_WHOLE,
    SEAM_BYTEWISE,    /* one byte a call */
    SEAM_AGAIN,       /* every other call EAGAIN, the others one byte */
    SEAM_INTERRUPTED, /* every other call EINTR, the others at most three bytes */
};

/* This thread is the test's own: its calls do not count. */
void seam_guard(void);

/* The nth call of this kind from now on fails (from 1), and so many in all; SIZE_MAX: all behind it
 * too. */
void seam_arm(enum seam_kind kind, size_t nth, size_t count);
/* Nothing fails any more. True when something had. */
bool seam_disarm(void);
/* What failed last, "malloc". Static. */
const char *seam_failed(void);

/* The calling thread's calls count, though it is the test's: in nested pairs. */
void seam_enter(void);
void seam_leave(void);

void seam_transfer(enum seam_transfer how);

/* Fails the program when there is memory that nobody has; where a sanitizer or valgrind can tell.
 */
void seam_check_leaks(const char *when);

#endif
