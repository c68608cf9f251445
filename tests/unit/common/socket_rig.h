/* A socket's path in a directory of its own, which must be empty at the end of a test; and the
 * other side of the socket. Include behind <cmocka.h>: all of this fails the test when it can't. */
#ifndef TESTS_UNIT_SOCKET_RIG_H
#define TESTS_UNIT_SOCKET_RIG_H

#include <stdbool.h>
#include <sys/stat.h>

#include "scratch.h"
#include "socket_file.h"

struct place {
    char directory[SCRATCH_PATH];
    char path[128];
    char error[256];
    struct socket_file_options options; /* mode 0600, takes over */
    struct socket_file file;
    unsigned descriptors; /* open before the test */
};

/* For cmocka; *state is the place. The teardown fails when a file or a descriptor is left. */
int place_setup(void **state);
int place_teardown(void **state);

#define PLACE_TEST(name) cmocka_unit_test_setup_teardown(name, place_setup, place_teardown)

/* The files in the directory. */
size_t place_count(const struct place *place);
/* Of a file that is there; links are not followed. */
struct stat file_status(const char *path);

/* socket_file_open succeeds. */
void place_open(struct place *place, struct socket_file *file, bool *replaced);
/* It fails, says all of `what` and `more`, in one line, and leaves nothing. */
void place_open_fails(struct place *place, const char *what, const char *more);

/* A connection; -1 when there is none. */
int socket_connect(const char *path);
/* Accepts all who wait, says one byte to each. How many there were. */
unsigned socket_serve_waiting(int listener, char byte);
/* Which of the servers answers at the path; 0 when none does. */
char socket_who_answers(const char *path, int listener, char byte);

#endif
