/* The server under load: started, watched, ended. */
#ifndef LOAD_SERVER_H
#define LOAD_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "scratch.h"

/* What its --dump says. The texts are owned by it. */
struct load_plugin {
    char *name, *version;
    char *phases; /* " access log " */
};

/* 0, or -1 with a line in `error`. options: the server's, ended by NULL. */
int load_plugin_ask(const char *server, char *const *options, struct load_plugin *plugin,
                    char *error, size_t error_size);
void load_plugin_free(struct load_plugin *plugin);

/* What --check-config says of this JSON, in *said (owned by the caller; NULL for a server that does
 * not check). True: it may be used. */
bool load_check_config(const char *server, char *const *options, const char *config, char **said);

struct load_server {
    pid_t pid;
    char directory[SCRATCH_PATH]; /* of its own; "" when it was not made */
    char socket[SCRATCH_PATH + 8];
    char log[SCRATCH_PATH + 8]; /* what it wrote to stderr */
};

/* It listens when this returns. 0, or -1 with a line in `error`; load_server_end in any case. */
int load_server_start(struct load_server *server, const char *program, char *const *options,
                      char *error, size_t error_size);
void load_server_end(struct load_server *server);

#endif
