/* --print-conf: what to write into kong.conf for this binary, by the path that it has. */
#ifndef SERVER_PRINT_CONF_H
#define SERVER_PRINT_CONF_H

#include <stdbool.h>
#include <stdio.h>

#include "options.h"

struct print_conf {
    const char *executable; /* its path, from / on */
    const char *name;       /* of one plugin: the server's, for Kong: letters, digits, - and _ */
    bool in_place;          /* /usr/local/bin/<name> is this executable: Kong's defaults find it */
    const struct plugins *plugins; /* of several, each is a plugin server of its own to Kong, called
                                      as the plugin (options->name: the one of options->plugin) */
    const struct options *options; /* the form, and all that is said to start_cmd and query_cmd */
};

/* The lines, each with a comment that says what it is for; those that Kong's defaults make
 * superfluous are left out (Kong: conf_loader, pluginserver_*: the socket <prefix>/<name>.socket,
 * the commands of /usr/local/bin/<name>). Kong runs both commands by /bin/sh ("exec <start_cmd>"
 * and io.popen), so their words are quoted for it. A start command always names its socket, and
 * then Kong is told the same one. Of several plugins all have the same socket, and the first one
 * the start command. 0; or -1 with one line in `error`. */
int print_conf(const struct print_conf *wanted, FILE *out, char *error, size_t error_size);

#endif
