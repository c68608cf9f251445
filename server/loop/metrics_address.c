#include "metrics_address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

static bool is_loopback(const struct sockaddr_storage *address) {
    if (address->ss_family == AF_INET) {
        const struct sockaddr_in *v4 = (const struct sockaddr_in *)address;
        return ntohl(v4->sin_addr.s_addr) >> 24 == 127;
    }
    return IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *)address)->sin6_addr);
}

/* "127.0.0.1:9542", "[::1]:9542". */
static bool parse_ip(const char *text, struct sockaddr_storage *address) {
    char host[64];
    char *end;
    const char *colon = strrchr(text, ':');
    bool v6 = text[0] == '[';
    if (colon == NULL || (v6 && (colon == text || colon[-1] != ']'))) {
        return false;
    }
    size_t len = (size_t)(colon - text) - (v6 ? 2 : 0);
    long port = strtol(colon + 1, &end, 10);
    if (len >= sizeof host || colon[1] < '0' || colon[1] > '9' || *end != '\0' || port < 1 ||
        port > 65535) {
        return false;
    }
    memcpy(host, text + v6, len);
    host[len] = '\0';
    in_port_t network_port = htons((uint16_t)port);
    if (v6) {
        struct sockaddr_in6 *to = (struct sockaddr_in6 *)address;
        *to = (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_port = network_port};
        return inet_pton(AF_INET6, host, &to->sin6_addr) == 1;
    }
    struct sockaddr_in *to = (struct sockaddr_in *)address;
    *to = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = network_port};
    return inet_pton(AF_INET, host, &to->sin_addr) == 1;
}

static int parse_path(const char *path, struct metrics_address *address, char *error,
                      size_t error_size) {
    const size_t most = sizeof((struct sockaddr_un *)0)->sun_path - 1;
    if (strlen(path) > most) {
        snprintf(error, error_size, "a path of %zu bytes, at most %zu are possible", strlen(path),
                 most);
        return -1;
    }
    address->path = path;
    return 0;
}

int metrics_address_parse(const char *text, struct metrics_address *address, char *error,
                          size_t error_size) {
    bool public = strncmp(text, "public:", 7) == 0;
    *address = (struct metrics_address){0};
    if (strncmp(text, "unix:", 5) == 0 && text[5] != '\0') {
        return parse_path(text + 5, address, error, error_size);
    }
    if (!parse_ip(text + (public ? 7 : 0), &address->ip)) {
        snprintf(error, error_size, "not an address like 127.0.0.1:9542, [::1]:9542 or unix:/path");
        return -1;
    }
    if (!public && !is_loopback(&address->ip)) {
        snprintf(error, error_size,
                 "anyone who reaches this address could read the figures; if that is meant: "
                 "public:%.200s",
                 text);
        return -1;
    }
    return 0;
}
