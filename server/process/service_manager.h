/* systemd's protocol with a service: it passes the listening socket (sd_listen_fds(3)) and is told
 * states (sd_notify(3)). Both are a few environment variables and one datagram: no library is
 * needed. */
#ifndef SERVER_SERVICE_MANAGER_H
#define SERVER_SERVICE_MANAGER_H

#include <stddef.h>

#include "socket_file.h"

/* Takes the socket that was passed to this process: 1, and *file is it, marked `inherited` (close
 * it by socket_file_close). 0: none was, *file is as it was. -1, with one line in `error`
 * (error_size >= 4): what was passed is not one listening stream socket of Unix; *file is as it was
 * and all descriptors stay open.
 *
 * Passed to this process means: LISTEN_PID is its id, LISTEN_FDS counts descriptors from 3 on. The
 * variables are taken out of the environment unless they are another process'. To be called once,
 * at the start, by the only thread, before anything else may open descriptor 3. */
int service_manager_socket(struct socket_file *file, char *error, size_t error_size);

/* Sends a state, "READY=1" or the like, to the socket that NOTIFY_SOCKET names; nothing happens
 * where nobody asked for it, or nobody listens. Never waits. */
void service_manager_notify(const char *state);

#endif
