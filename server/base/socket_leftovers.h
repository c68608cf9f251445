/* Sockets under temporary names that servers left which died before they published them. Private to
 * socket_file.c. */
#ifndef SERVER_SOCKET_LEFTOVERS_H
#define SERVER_SOCKET_LEFTOVERS_H

#include <stdint.h>

#include "socket_place.h"

#define SOCKET_TEMP_BYTES 32

/* ".new-PID-NUMBER" */
void socket_temp_name(char name[SOCKET_TEMP_BYTES], uint32_t number);

/* Unlinks this user's sockets of such names in the directory that nobody listens at. One of the
 * last ten seconds is left alone: its server may be about to listen. */
void socket_sweep_leftovers(const struct socket_place *place);

#endif
