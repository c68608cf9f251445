/* The command line. One table (options_table.c) has all options: parsing, --help and the manual
 * page use it. */
#ifndef SERVER_OPTIONS_H
#define SERVER_OPTIONS_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include "kong.h"
#include "limit.h"
#include "log.h"
#include "plugins.h"
#include "prefetch_mode.h"
#include "protocol.h"
#include "text.h"

enum options_action {
    OPTIONS_RUN,
    OPTIONS_DUMP,
    OPTIONS_CHECK_CONFIG,
    OPTIONS_DESCRIBE,
    OPTIONS_STATUS,
    OPTIONS_PRINT_CONF,
    OPTIONS_DOCTOR,
    OPTIONS_HELP,
    OPTIONS_HELP_ALL,
    OPTIONS_MAN,
    OPTIONS_VERSION
};

struct option_uids {
    size_t count; /* 0: any */
    uid_t list[LIMIT_ALLOWED_UIDS];
};

/* Of a node of Kong, as its setting `role` has it. */
enum option_role { OPTION_TRADITIONAL, OPTION_CONTROL_PLANE, OPTION_DATA_PLANE };

enum option_switch { OPTION_AUTO, OPTION_YES, OPTION_NO };

/* Owned by whoever embeds it; it owns its strings. */
struct options {
    enum options_action action;
    char *check_config; /* the file to check; "-": standard input; NULL: none */
    bool no_configure;  /* by the schema alone */

    bool json, watch, quiet; /* of STATUS */
    bool lua;                /* of DUMP: the schema as a Lua table */

    char *plugin_name;                /* as given by --plugin; NULL: it was not */
    const struct kong_plugin *plugin; /* of that name, or the only one; NULL: which of several is
                                         not said */
    char *name;       /* of the plugin server in kong.conf; NULL: the executable's, or, of several
                         plugins, the plugin's */
    bool env, docker; /* of PRINT_CONF */
    enum option_role role;
    char *replace_headers; /* of PRINT_CONF: upstream's headers to drop, commas between them; "":
                              the one that the plugin sets by default; NULL: none */
    char *kong_conf;       /* of DOCTOR: the file; NULL: where Kong looks */
    char *admin_url;       /* of DOCTOR: Kong's Admin API; NULL: it is not asked */

    /* serving */
    char *kong_prefix;
    bool prefix_given;  /* else it is Kong's default */
    char *socket;       /* path */
    mode_t socket_mode; /* permission bits only */
    struct option_uids allow_uids;
    char *socket_group; /* name or number; NULL: the process' own */
    bool take_over;     /* the path, from a server that listens there */
    enum log_level log_level;
    enum log_format log_format;
    char *log_file;               /* takes standard error's place; NULL: none */
    char *record;                 /* file; NULL: nothing is recorded */
    size_t record_size;           /* of it at most, in bytes */
    char *metrics_listen;         /* an address (metrics_address.h); NULL: none */
    size_t threads;               /* that run handlers; more than 1 only if the plugin allows it */
    size_t blocking_threads;      /* for kong_run_blocking */
    uint64_t blocking_wait_ms;    /* for one of them; 0: no limit */
    size_t busy_poll_us;          /* the loop does not sleep so soon after a write */
    enum prefetch_mode prefetch;  /* getters that are asked for before the handler does */
    uint64_t drain_ms;            /* how long after SIGTERM events at work are given up */
    enum option_switch supervise; /* a parent holds the socket, a child serves; AUTO as above */
    uint64_t stall_ms; /* how long a handler may hang before its process is ended; 0: for ever */
    enum option_switch
        watch_parent; /* end with the process that started us; AUTO: if that is Kong */

    /* what Kong is told */
    /* … of `plugin`; 0 without it */
    unsigned phases; /* KONG_PHASE_BITs; never RESPONSE together with HEADER_FILTER, only phases
                        that the plugin has a handler for, never none */
    int priority;
    enum protocol protocol;
    int kong_major; /* at least 2; 0: any */

    /* limits */
    uint64_t event_ms;
    uint64_t instance_idle_ms; /* 0: never forgotten */
    size_t max_connections, max_instances, max_events;
    size_t max_frame, max_config, max_memory; /* in bytes */
};

/* The last part of argv[0]'s path: how messages begin and what the socket is called. Points into
 * argv0, or is static when there is nothing in it. */
const char *options_program_name(const char *argv0);

/* Whether a plugin server can be called so in kong.conf: letters, digits, - and _, at most 63. 0,
 * or -1 with what is wrong in `error`. */
int options_check_name(const char *name, char *error, size_t error_size);

/* Defaults, then the command line over them. 0; or -1 with one printable line in `error`
 * (error_size >= 4; without the program's name) that says what is wrong and what would be right,
 * and nothing to free. --help, --help-all, --man and --version end parsing: options behind them are
 * ignored.
 *
 * No output, no exit; argv is left as it is. Uses getopt's global state: to be called once, at the
 * start, by one thread (tests call it again and again: it begins afresh each time). Reads the link
 * /proc/self/exe when argv[0] says nothing. */
int options_parse(struct options *options, const struct plugins *plugins, int argc, char **argv,
                  char *error, size_t error_size);

/* A copy for a command about this plugin of a program: what the options say of `options->plugin`,
 * the defaults of any other, and its name for --plugin where there are several. Its strings are
 * those of `options` and of the plugin. */
struct options options_for(const struct options *options, const struct plugins *plugins,
                           const struct kong_plugin *plugin);

/* Whether the list has it. */
bool options_has_uid(const struct option_uids *uids, uid_t uid);
/* "0,33" */
void options_list_uids(const struct option_uids *uids, struct text *out);

/* Idempotent; zeroed options are allowed. */
void options_free(struct options *options);

/* The text of --help (at most 60 lines: the common options) or of --help-all, at most 80 columns
 * wide; `program` as options_program_name gives it. Whether it could be written: ferror(out). */
void options_print_help(const char *program, const struct plugins *plugins, bool all, FILE *out);

/* The manual page, in roff. Else as options_print_help. */
void options_print_man(const char *program, const struct plugins *plugins, FILE *file);

#endif
