/* The command line: one table of options gives the parsing, --help and the man page. */
#ifndef SERVER_OPTIONS_H
#define SERVER_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include "kong.h"
#include "log.h"
#include "protocol.h"

enum options_action { OPTIONS_RUN, OPTIONS_DUMP, OPTIONS_HELP, OPTIONS_MAN, OPTIONS_VERSION };

enum option_switch { OPTION_AUTO, OPTION_YES, OPTION_NO };

/* Strings are owned by the struct, or point into argv. */
struct options {
    enum options_action action;
    const char *kong_prefix;
    char *socket; /* path, made from the prefix and the program's name unless given */
    mode_t socket_mode;
    const char *socket_group; /* NULL: the process' own */
    enum log_level log_level;
    enum option_switch watch_parent;
    enum option_switch supervise;
    unsigned phases; /* KONG_PHASE_BITs */
    int priority;
    enum protocol protocol;
    int kong_major;
    uint64_t drain_ms;
    uint64_t event_ms;
    uint64_t stall_ms;
    uint64_t instance_idle_ms; /* 0: never */
    size_t max_connections, max_instances, max_events, max_frame;
};

/* The last part of argv[0], "apiversion-server" when there is none. Points into argv0. */
const char *options_program_name(const char *argv0);

/* 0, or -1 with one line in `error` that says what is wrong and what to do (without the program's
 * name). Prints nothing, ends nothing. To be called once, at the start: getopt has state of its
 * own. The plugin decides which phases can be named and the default priority. After 0,
 * options_free. */
int options_parse(struct options *options, const struct kong_plugin *plugin, int argc, char **argv,
                  char *error, size_t error_size);
void options_free(struct options *options);

/* What --help prints: 80 columns. 0, or -1 when it could not be written. */
int options_print_help(const char *program, const struct kong_plugin *plugin, FILE *file);

/* The man page, in roff. */
int options_print_man(const char *program, const struct kong_plugin *plugin, FILE *file);

#endif
