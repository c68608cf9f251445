/* The route and the service of the request. Part of kong.h. */
#ifndef KONG_ROUTER_H
#define KONG_ROUTER_H

#include "kong_headers.h"

#ifdef __cplusplus
extern "C" {
#endif

/* --- Route and service --- */

/* An address and a port of a stream route. */
struct kong_address {
    struct kong_str ip; /* maybe with a prefix length; nil: any */
    int port;           /* 0: any */
};

struct kong_addresses {
    const struct kong_address *items;
    size_t count;
};

/* A route of Kong. Fields that it has not are nil, 0, false, empty. */
struct kong_route {
    struct kong_str id; /* data NULL: there is no route */
    int64_t created_at; /* seconds since the epoch */
    int64_t updated_at;
    struct kong_str name;
    struct kong_strings protocols;
    struct kong_strings methods;
    struct kong_strings hosts;
    struct kong_strings paths;
    struct kong_headers headers; /* always empty on ProtoBuf:1, where Kong's message has no room for
                                    their values */
    int https_redirect_status_code;
    int64_t regex_priority;
    bool strip_path;
    bool preserve_host;
    struct kong_strings snis;
    struct kong_addresses sources;
    struct kong_addresses destinations;
    struct kong_strings tags;
    struct kong_str service_id;
    struct kong_value fields; /* all that Kong sent, a map by Kong's names: on MsgPack:1 more than
                                 the above; nil without a route */
};

/* A service of Kong. Fields that it has not are nil, 0, empty. */
struct kong_service {
    struct kong_str id; /* data NULL: there is no service */
    int64_t created_at; /* seconds since the epoch */
    int64_t updated_at;
    struct kong_str name;
    int retries;
    struct kong_str protocol;
    struct kong_str host;
    int port;
    struct kong_str path;
    int connect_timeout; /* milliseconds */
    int write_timeout;
    int read_timeout;
    struct kong_strings tags;
    struct kong_str client_certificate_id;
    struct kong_value fields; /* all that Kong sent, as above */
};

/* kong.router.get_route: the route that the request matched.
 * Phases: access, response, header_filter, log (on ProtoBuf:1 not of a stream). Kong 2.8: not in
 * log.
 * No route is no error: route->id is nil. On ProtoBuf:1 Kong fails the request with a 500 for a
 * route with sources or destinations (those of streams). */
int kong_router_get_route(struct kong *kong, struct kong_route *route) KONG_NONNULL(1, 2);

/* kong.router.get_service: the service that the request goes to.
 * Phases: access, response, header_filter, log. Kong 2.8: not in log.
 * No service is no error: service->id is nil. */
int kong_router_get_service(struct kong *kong, struct kong_service *service) KONG_NONNULL(1, 2);

#ifdef __cplusplus
}
#endif

#endif
