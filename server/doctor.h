/* --doctor: is Kong set up so that this plugin server works? */
#ifndef SERVER_DOCTOR_H
#define SERVER_DOCTOR_H

#include <stdbool.h>
#include <stdio.h>

#include "kong.h"
#include "protocol.h"

struct doctor_options {
    const struct kong_plugin *plugin;
    const char *executable; /* the real path of this one */
    const char *name;       /* of the plugin server in kong.conf */
    const char *conf;       /* kong.conf; NULL: where Kong looks, or none */
};

/* Looks at everything and prints a line for each thing: "ok   …", "FAIL …" with a line that mends
 * it, "note …" for what is no fault. True: nothing failed. The query command is run as Kong would;
 * a running server gets one instance and one event over each protocol, whose calls are answered
 * with nothing. */
bool doctor_run(const struct doctor_options *options, FILE *out);

/* --- its parts --- */

struct doctor {
    const struct doctor_options *options;
    FILE *out;
    unsigned failed;
};

__attribute__((format(printf, 2, 3))) void doctor_ok(struct doctor *doctor, const char *format,
                                                     ...);
__attribute__((format(printf, 2, 3))) void doctor_note(struct doctor *doctor, const char *format,
                                                       ...);
/* `mend`: the command or line. */
__attribute__((format(printf, 3, 4))) void doctor_fail(struct doctor *doctor, const char *mend,
                                                       const char *format, ...);

/* Runs a command by the shell, in its own process group, for at most 10 s. What it printed,
 * malloc'ed and NUL-terminated, at most 1 MiB; NULL with a reason. *status is as of waitpid. */
char *doctor_shell(const char *command, int *status, const char **reason);

/* doctor_query.c: what the query command prints. `phase` becomes one that Kong calls; false: it
 * cannot be used. kong_major 0: not known. */
bool doctor_query(struct doctor *doctor, const char *command, int kong_major, char *phase,
                  size_t size);

/* doctor_probe.c: one instance and one event. 0 and the number of calls that were answered; or -1
 * with a line in `error`. */
int doctor_probe(const char *socket, enum protocol protocol, const char *plugin, const char *phase,
                 char *error, size_t error_size);

#endif
