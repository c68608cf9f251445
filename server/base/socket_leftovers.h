/* Sockets under temporary names, left by servers that died before they published them. Private to
 * socket_file.c. */
#ifndef SERVER_SOCKET_LEFTOVERS_H
#define SERVER_SOCKET_LEFTOVERS_H

#include <stdint.h>

#include "socket_place.h"

#define SOCKET_TEMP_BYTES 32

/* ".new-PID-NUMBER" */
void socket_temp_name(char name[SOCKET_TEMP_BYTES], uint32_t number);

/* Unlinks those of this user in the directory at which no process listens. A socket younger than
 * ten seconds stays: its server may be about to listen. */
void socket_sweep_leftovers(const struct socket_place *place);

#endif
