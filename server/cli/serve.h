/* The program as a server: its socket, its log, its recording, and a supervisor where one is
 * wanted.
 */
#ifndef SERVER_SERVE_H
#define SERVER_SERVE_H

#include "dump.h"
#include "options.h"

/* Serves until the end. The program's exit status; what went wrong stands on stderr. The options
 * are borrowed; `dump` is what --dump would print with them. */
int serve_run(const char *program, const struct options *options, const struct dump_options *dump);

#endif
