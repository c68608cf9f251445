/* Directories for the files and sockets of a test. What a test that fails leaves behind goes when
 * its process ends. */
#ifndef TESTS_KONG_SCRATCH_H
#define TESTS_KONG_SCRATCH_H

#include <stdbool.h>

#define SCRATCH_PATH 48

/* The files of the simulated Kong. */
#define SCRATCH_SOCKET "socket"
#define SCRATCH_BODY   "body"

/* Makes one below $TMPDIR, or /tmp where that is too long: its path fits a socket's address with
 * room for a file name. False when it can't; path is "" then. */
bool scratch_make(char path[SCRATCH_PATH]);

/* Removes it with the files in it. False when something else is left in it. A path that
 * scratch_make did not give, or that was removed before, is left alone: true. */
bool scratch_remove(const char *path);

/* The same, of one that is empty; else it stays, and this is false. */
bool scratch_remove_empty(const char *path);

/* For a signal handler, of a process that then ends without exit(): removes the directories with
 * nothing in them but the simulated Kong's files. */
void scratch_remove_at_fault(void);

#endif
