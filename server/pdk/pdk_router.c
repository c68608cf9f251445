#include "pdk_entities.h"

static const struct pdk_field route_fields[] = {
    {"id", PDK_FIELD_STR, offsetof(struct kong_route, id)},
    {"created_at", PDK_FIELD_INT64, offsetof(struct kong_route, created_at)},
    {"updated_at", PDK_FIELD_INT64, offsetof(struct kong_route, updated_at)},
    {"name", PDK_FIELD_STR, offsetof(struct kong_route, name)},
    {"protocols", PDK_FIELD_STRINGS, offsetof(struct kong_route, protocols)},
    {"methods", PDK_FIELD_STRINGS, offsetof(struct kong_route, methods)},
    {"hosts", PDK_FIELD_STRINGS, offsetof(struct kong_route, hosts)},
    {"paths", PDK_FIELD_STRINGS, offsetof(struct kong_route, paths)},
    {"headers", PDK_FIELD_HEADERS, offsetof(struct kong_route, headers)},
    {"https_redirect_status_code", PDK_FIELD_INT,
     offsetof(struct kong_route, https_redirect_status_code)},
    {"regex_priority", PDK_FIELD_INT64, offsetof(struct kong_route, regex_priority)},
    {"strip_path", PDK_FIELD_BOOL, offsetof(struct kong_route, strip_path)},
    {"preserve_host", PDK_FIELD_BOOL, offsetof(struct kong_route, preserve_host)},
    {"snis", PDK_FIELD_STRINGS, offsetof(struct kong_route, snis)},
    {"sources", PDK_FIELD_ADDRESSES, offsetof(struct kong_route, sources)},
    {"destinations", PDK_FIELD_ADDRESSES, offsetof(struct kong_route, destinations)},
    {"tags", PDK_FIELD_STRINGS, offsetof(struct kong_route, tags)},
    {"service", PDK_FIELD_KEY, offsetof(struct kong_route, service_id)},
};

static const struct pdk_field service_fields[] = {
    {"id", PDK_FIELD_STR, offsetof(struct kong_service, id)},
    {"created_at", PDK_FIELD_INT64, offsetof(struct kong_service, created_at)},
    {"updated_at", PDK_FIELD_INT64, offsetof(struct kong_service, updated_at)},
    {"name", PDK_FIELD_STR, offsetof(struct kong_service, name)},
    {"retries", PDK_FIELD_INT, offsetof(struct kong_service, retries)},
    {"protocol", PDK_FIELD_STR, offsetof(struct kong_service, protocol)},
    {"host", PDK_FIELD_STR, offsetof(struct kong_service, host)},
    {"port", PDK_FIELD_INT, offsetof(struct kong_service, port)},
    {"path", PDK_FIELD_STR, offsetof(struct kong_service, path)},
    {"connect_timeout", PDK_FIELD_INT, offsetof(struct kong_service, connect_timeout)},
    {"write_timeout", PDK_FIELD_INT, offsetof(struct kong_service, write_timeout)},
    {"read_timeout", PDK_FIELD_INT, offsetof(struct kong_service, read_timeout)},
    {"tags", PDK_FIELD_STRINGS, offsetof(struct kong_service, tags)},
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
