#include "pdk_entities.h"

static const struct pdk_field route_fields[] = {
    PDK_FIELD(STR, kong_route, id),
    PDK_FIELD(INT64, kong_route, created_at),
    PDK_FIELD(INT64, kong_route, updated_at),
    PDK_FIELD(STR, kong_route, name),
    PDK_FIELD(STRINGS, kong_route, protocols),
    PDK_FIELD(STRINGS, kong_route, methods),
    PDK_FIELD(STRINGS, kong_route, hosts),
    PDK_FIELD(STRINGS, kong_route, paths),
    PDK_FIELD(HEADERS, kong_route, headers),
    PDK_FIELD(INT, kong_route, https_redirect_status_code),
    PDK_FIELD(INT64, kong_route, regex_priority),
    PDK_FIELD(BOOL, kong_route, strip_path),
    PDK_FIELD(BOOL, kong_route, preserve_host),
    PDK_FIELD(STRINGS, kong_route, snis),
    PDK_FIELD(ADDRESSES, kong_route, sources),
    PDK_FIELD(ADDRESSES, kong_route, destinations),
    PDK_FIELD(STRINGS, kong_route, tags),
    {"service", PDK_FIELD_KEY, offsetof(struct kong_route, service_id)},
};

static const struct pdk_field service_fields[] = {
    PDK_FIELD(STR, kong_service, id),
    PDK_FIELD(INT64, kong_service, created_at),
    PDK_FIELD(INT64, kong_service, updated_at),
    PDK_FIELD(STR, kong_service, name),
    PDK_FIELD(INT, kong_service, retries),
    PDK_FIELD(STR, kong_service, protocol),
    PDK_FIELD(STR, kong_service, host),
    PDK_FIELD(INT, kong_service, port),
    PDK_FIELD(STR, kong_service, path),
    PDK_FIELD(INT, kong_service, connect_timeout),
    PDK_FIELD(INT, kong_service, write_timeout),
    PDK_FIELD(INT, kong_service, read_timeout),
    PDK_FIELD(STRINGS, kong_service, tags),
    {"client_certificate", PDK_FIELD_KEY, offsetof(struct kong_service, client_certificate_id)},
};

int kong_router_get_route(struct kong *kong, struct kong_route *route) {
    return pdk_get_entity(kong, PDK_ROUTER_GET_ROUTE, NO_ARGS, route_fields, COUNT(route_fields),
                          route, sizeof *route, &route->fields);
}

int kong_router_get_service(struct kong *kong, struct kong_service *service) {
    return pdk_get_entity(kong, PDK_ROUTER_GET_SERVICE, NO_ARGS, service_fields,
                          COUNT(service_fields), service, sizeof *service, &service->fields);
}
