/* The program as a server: its socket, its log, its recording, and a supervisor where one is
 * wanted.
 */
#ifndef SERVER_SERVE_H
#define SERVER_SERVE_H

#include "options.h"
#include "plugins.h"

/* Serves until the end. The program's exit status; what went wrong stands on stderr. All is
 * borrowed. */
int serve_run(const char *program, const struct options *options, struct plugins *plugins);

#endif
