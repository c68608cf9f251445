/* Has one event run by a server, looks at everything it sends, and learns what the bytes of each
 * call look like, so that all later events can be compared byte for byte. */
#ifndef BENCH_LEARN_H
#define BENCH_LEARN_H

#include "script.h"

/* A connection to the server. -1 with errno. */
int learn_connect(const char *path, bool nonblocking);

/* What StartInstance carries: the plugin's fields (`fields`: JSON members without braces, may be
 * empty) among those that Kong adds. `number` makes configurations differ. */
void learn_config(char *config, size_t size, const char *fields, uint32_t number);

/* Starts an instance on a connection of its own, runs one event, checks that it does what the
 * script says: each getter once, setters in their order, alone or as one set_headers. 0, and
 * *learned has the calls in the order of this server; or -1 with a line in `error`. Waits at most
 * wait_ms for each answer. */
int learn_event(const char *path, enum wire_protocol protocol, const char *plugin,
                const char *fields, const struct script *script, struct canned *learned,
                int wait_ms, char *error, size_t error_size);

#endif
