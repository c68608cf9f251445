/* Where --metrics-listen is: an address that is checked before anything is opened. */
#ifndef SERVER_METRICS_ADDRESS_H
#define SERVER_METRICS_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

struct metrics_address {
    const char *path; /* of a Unix socket, in the text that was parsed; NULL: it is `ip` */
    struct sockaddr_storage ip;
};

/* "127.0.0.1:9542", "[::1]:9542" or "unix:/path". Whoever reaches the port can read the figures, so
 * an address that is not of the loopback is refused, unless it is written "public:0.0.0.0:9542". 0;
 * or -1 with one line in `error` that says what is wrong with the text and what would be right, to
 * stand behind the text itself. */
int metrics_address_parse(const char *text, struct metrics_address *address, char *error,
                          size_t error_size);

#endif
