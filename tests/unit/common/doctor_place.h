/* A directory in which --doctor is tried: kong.conf, a server that listens, and scripts for the
 * server's program and for the command kong. Include behind <cmocka.h>: all of this fails the test
 * when it can't. */
#ifndef TESTS_UNIT_DOCTOR_PLACE_H
#define TESTS_UNIT_DOCTOR_PLACE_H

#include <limits.h>
#include <sys/types.h>

#include "doctor.h"
#include "rig.h"
#include "scratch.h"

/* {dir} is the directory with all files, {sock} the server's socket, {uid} and
 * {pid} this user's and this process'. */
struct row {
    const char *settings; /* behind the usual ones: the last of a key counts */
    const char *says[6];
    const char *variable; /* set meanwhile, NAME=VALUE */
    const char *dump;     /* what the program prints; NULL: the usual */
    const char *kong;     /* its version; NULL: 3.9.1 */
    bool well;            /* no fault */
};

#define KEY "pluginserver_doctored_"

/* What a program prints, and its parts. */
#define DUMP(protocol, version, priority, schema, phases)                                          \
    "{" protocol "\"Plugins\":[{\"Name\":\"rig\",\"Version\":" version ",\"Priority\":" priority   \
    "," schema "\"Phases\":[" phases "]}]}"
#define PROTOBUF "\"Protocol\":\"ProtoBuf:1\","
#define SCHEMA   "\"Schema\":{\"name\":\"rig\"},"

/* 1,280 bytes of a list, and 5,120 */
#define LIST_OF_4 "one-more-plugin,one-more-plugin,one-more-plugin,one-more-plugin,"
#define LONG_LIST                                                                                  \
    LIST_OF_4 LIST_OF_4 LIST_OF_4 LIST_OF_4 LIST_OF_4 LIST_OF_4 LIST_OF_4 LIST_OF_4 LIST_OF_4      \
        LIST_OF_4 LIST_OF_4 LIST_OF_4 LIST_OF_4 LIST_OF_4 LIST_OF_4 LIST_OF_4 LIST_OF_4 LIST_OF_4  \
            LIST_OF_4 LIST_OF_4

struct place {
    char scratch[SCRATCH_PATH];
    char directory[PATH_MAX], program[PATH_MAX + 16], conf[PATH_MAX + 16];
    char path[PATH_MAX];
    struct sim_server *server;
    struct plugins plugins;
    const char *settings, *dump; /* the usual ones */
    const char *dumped;          /* the file that a row's dump is written to */
};

/* A server of these plugins, with its program. Without settings and a dump: the caller's. */
struct place *place_make(const struct kong_plugin *const *list, size_t count);
/* Setup: the server "doctored" with rig's plugin, set up well. */
int place_of_one(void **state);
/* Teardown. */
int place_remove(void **state);

/* A file in the directory. */
void place_write(const struct place *place, const char *name, const char *text, mode_t mode);

/* malloc'ed: what the doctor says. */
char *place_examine(const struct doctor_options *options, bool *well);
/* False: it does not say what it should; that was printed. */
bool place_check(const struct place *place, const struct row *row);
/* Fails the test unless all are right. */
void place_check_all(const struct place *place, const struct row *rows, size_t count);

#endif
