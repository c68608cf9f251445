/* --doctor: is Kong set up so that this plugin server works? */
#ifndef SERVER_DOCTOR_H
#define SERVER_DOCTOR_H

#include <linux/limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "buffer.h"
#include "plugins.h"
#include "protocol.h"
#include "settings.h"

struct doctor_options {
    const struct plugins *plugins;
    const struct kong_plugin *only; /* of several: the one to look at; NULL: all */
    const char *executable;         /* the real path of this one */
    const char *called;             /* the path that it was called by, which may be a link */
    const char *name;      /* of the plugin server in kong.conf; of several plugins each is called
                              as itself, where this one is not given */
    bool name_given;       /* by --name; else another name that runs this program is taken for it */
    const char *conf;      /* kong.conf; NULL: where Kong looks, or none */
    const char *admin_url; /* of Kong's Admin API; NULL: it is not asked */
    const char *prefix;    /* of `kong start -p`, which wins over all settings; NULL: none */
};

/* Examines everything and prints a line for each finding: "ok …", "FAIL …" with a line that says
 * how to mend it, or "note …" for what is worth knowing but no fault. True: nothing failed. The
 * query command is run as Kong would; a running server gets one instance and one event over each
 * protocol, whose calls are answered with nothing. */
bool doctor_run(const struct doctor_options *options, FILE *out);

/* --- its parts: private to doctor*.c --- */

#define DOCTOR_NAME    1024              /* an item of a list of names */
#define DOCTOR_COMMAND 160               /* "/usr/local/bin/NAME -dump" */
#define DOCTOR_SOCKET  (PATH_MAX + 80)   /* PREFIX "/NAME.socket" */
#define DOCTOR_MOST    ((size_t)1 << 20) /* of a mend */

enum doctor_kind { DOCTOR_OK, DOCTOR_NOTE, DOCTOR_FAIL };

/* What is examined, filled in on the way. */
struct patient {
    const struct doctor_options *options;
    FILE *out;
    bool colours;         /* a terminal shows it */
    unsigned findings[3]; /* how many of each enum doctor_kind */
    struct buffer mend;   /* of doctor_mend and the like */

    const struct kong_plugin *plugin; /* that is looked at; what follows is of its plugin server */
    struct settings settings;
    char name[64];                      /* the plugin server's, as Kong has it */
    char prefix[PATH_MAX + 1];          /* too long for a path as it is, if the setting is */
    const char *socket, *start, *query; /* of the settings, or the usual ones; start "": Kong starts
                                           nothing */
    char usual_socket[DOCTOR_SOCKET], usual_start[DOCTOR_COMMAND], usual_query[DOCTOR_COMMAND];
    char phase[32];               /* one that Kong calls; "": not known */
    unsigned phases;              /* that Kong calls, as KONG_PHASE_BITs; 0: not known */
    bool control_plane;           /* of a hybrid Kong: proxies nothing, starts nothing */
    int kong_major;               /* 0: not known */
    char examined[DOCTOR_SOCKET]; /* the last socket that was looked at, */
    bool listening;               /* and whether a server is there */
    unsigned servers, starts;     /* of several plugins: plugin servers so far, start commands, */
    char shared[DOCTOR_SOCKET];   /* the socket of all, and what all are to speak: what one of them
                                    needs, else what the first one speaks */
    char speaks[16];
    char log_file[PATH_MAX]; /* --log-file of a start command; "": none */
    char protocol[16];       /* of the query command's answer; "": not known */
    const char *user;
    uid_t uid; /* of Kong's workers */
    gid_t gid;
};

/* Prints a finding. `mend`: the command or line that mends it; only a FAIL has one. */
__attribute__((format(printf, 4, 5))) void doctor_say(struct patient *p, enum doctor_kind kind,
                                                      const char *mend, const char *format, ...);
#define doctor_ok(p_, ...)          doctor_say((p_), DOCTOR_OK, NULL, __VA_ARGS__)
#define doctor_note(p_, ...)        doctor_say((p_), DOCTOR_NOTE, NULL, __VA_ARGS__)
#define doctor_fail(p_, mend_, ...) doctor_say((p_), DOCTOR_FAIL, (mend_), __VA_ARGS__)

const char *doctor_get(const struct patient *p, const char *key, const char *otherwise);

/* --- mends: each returns the text of p->mend, which the next one overwrites --- */

const char *doctor_mended(const struct patient *p);

/* "key = value", or, where a variable sets the key, that variable: the file would change nothing.
 */
const char *doctor_mend_setting(struct patient *p, const char *key, const char *value);
/* The same, of what buffer_printf has put together, which it frees. */
const char *doctor_mend_list(struct patient *p, const char *key, struct buffer *list);
/* The same of this plugin server's key, "socket" or "start_cmd". */
const char *doctor_mend_own(struct patient *p, const char *what, const char *value);
/* Appends to the mend. */
__attribute__((format(printf, 2, 3))) const char *doctor_mend_more(struct patient *p,
                                                                   const char *format, ...);
#define doctor_mend(p_, ...)                                                                       \
    (buffer_clear(&(p_)->mend, DOCTOR_MOST), doctor_mend_more((p_), __VA_ARGS__))
/* Who may look, where `error` is that this user may not (neither root nor Kong's user is that);
 * else NULL. */
const char *doctor_mend_user(struct patient *p, int error);
/* A whole line that starts (or, for `query`, asks) this server as it is set now, its misspelt
 * options mended and the socket of Kong's: with `option` in the place of what it says of that
 * option. option NULL: none. doctor_command.c has it. */
const char *doctor_mend_command(struct patient *p, bool query, const char *option,
                                const char *argument);

/* Whether Kong's user may do what the bits (as of the others: 2 write, 1 enter or run) say. */
bool doctor_may(const struct patient *p, const struct stat *status, unsigned bits);

/* doctor_others.c: quotes that Kong takes for part of a value, reported and taken away. */
void doctor_quotes(struct patient *p);
/* A command ("start_cmd" or "query_cmd") of the plugin server of that name, as Kong finds it, in
 * the settings or in `usual`; "" for none. */
const char *doctor_find_command(const struct patient *p, const char *name, const char *what,
                                char usual[DOCTOR_COMMAND]);
/* The name in pluginserver_names whose commands run this program, into p->name, when the name that
 * was taken for it is not there. */
void doctor_find_name(struct patient *p);
/* Other names in pluginserver_names: without a query command, or with the same plugin. */
void doctor_twins(struct patient *p);

/* doctor_names.c: the lists of names. */
void doctor_names(struct patient *p);
/* Keys that belong to none of them. */
void doctor_keys(struct patient *p);
/* How many letters must be changed for a to be b: 0 the same but for case, - and _; 99: many. */
size_t doctor_distance(const char *a, const char *b);

/* doctor_command.c: the start command. */
void doctor_start(struct patient *p);
/* Whether a word of a command is this program. */
bool doctor_is_own(const struct patient *p, const char *program);

/* doctor_socket.c: the socket, and a server that listens there. */
void doctor_server(struct patient *p);

/* What a command said. */
struct doctor_output {
    char *text;         /* malloc'ed, with a NUL at its end, at most 1 MiB; NULL: see `reason` */
    const char *reason; /* why there is no text */
    int status;         /* as of waitpid */
    char errors[300];   /* how standard error begins, as one printable line */
};

#define DOCTOR_SHELL_MS 10000

/* Runs a command by the shell, in its own process group, which is killed when the command has not
 * ended within the limit. */
void doctor_shell(const char *command, int limit_ms, struct doctor_output *output);

/* Whether the program has several plugins, so that a query command must say which. */
static inline bool doctor_has_several(const struct patient *p) {
    return p->options->plugins->count > 1;
}

/* doctor_headers.c: the plugin's header and an upstream's of the same name. */
void doctor_headers(struct patient *p);

/* doctor_query.c: what the query command prints. Sets p->phase and p->phases. */
void doctor_query(struct patient *p);

/* What one event showed; it goes through a pipe as it is. */
struct doctor_finding {
    int calls;    /* that the handler made and that were answered; -1: `error` says what failed */
    bool refused; /* the server does not let that user in; `error` says so */
    bool untried; /* the server refused the configuration {}: no handler ran */
    char error[400]; /* one line */
};

/* doctor_probe.c: one instance and one event, by `uid` and `gid` if this process may be another
 * (root), else by its own user. The instance is closed again. */
void doctor_probe(const struct patient *p, enum protocol protocol, struct doctor_finding *finding);

#endif
