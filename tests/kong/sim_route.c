/* From the request to the upstream and back: what Kong itself does between the plugins' phases. */
#include <arpa/inet.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>

#include "sim_pdk_call.h"
#include "value.h"

static struct kong_str text_of(const struct kong_value *map, const char *key) {
    const struct kong_value *value = value_get(map, key);
    return value != NULL && is_string(value) ? value->string : (struct kong_str){NULL, 0};
}

static bool flag_of(const struct kong_value *map, const char *key, bool otherwise) {
    const struct kong_value *value = value_get(map, key);
    return value == NULL || value->type != KONG_BOOLEAN ? otherwise : value->boolean;
}

int sim_server_port(const struct sim_pdk *pdk) {
    const struct kong_value *list = value_get(&pdk->route, "destinations");
    int64_t port = pdk->request.port;
    if (!sim_pdk_is_stream(pdk)) {
        return pdk->request.port;
    }
    if (sim_tls_version(pdk).data != NULL) {
        return 0;
    }
    if (list != NULL && list->type == KONG_LIST && list->list.count > 0) {
        const struct kong_value *named = value_get(&list->list.items[0], "port");
        if (named == NULL || !value_to_integer(named, &port)) {
            port = pdk->request.port;
        }
    }
    return (int)port;
}

struct kong_str sim_tls_version(const struct sim_pdk *pdk) {
    const struct kong_value *protocols = value_get(&pdk->route, "protocols");
    bool tls = protocols != NULL && protocols->type == KONG_LIST && protocols->list.count > 0 &&
               is_string(&protocols->list.items[0]) &&
               kong_str_equal(protocols->list.items[0].string, kong_str("tls"));
    return pdk->tls_version.data == NULL && tls ? kong_str("TLSv1.3") : pdk->tls_version;
}

/* A route's regular expression as POSIX writes it: no names of groups, no \d. {NULL, 0} when out of
 * memory. */
static struct kong_str posix_regex(struct arena *arena, struct kong_str pattern) {
    char *out = arena_array(arena, pattern.len + 8, 5);
    size_t n = 0;
    if (out == NULL) {
        return (struct kong_str){NULL, 0};
    }
    out[n++] = '^';
    for (size_t i = 0; i < pattern.len; i++) {
        const char *at = pattern.data + i;
        if (at[0] == '(' && at[1] == '?') {
            out[n++] = '(';
            size_t skip = strcspn(at, at[2] == ':' ? ":" : ">");
            i += skip;
        } else if (at[0] == '\\' && at[1] == 'd') {
            memcpy(out + n, "[0-9]", 5);
            n += 5;
            i++;
        } else if (at[0] == '\\' && at[1] != '\0') {
            out[n++] = *at;
            out[n++] = at[1];
            i++;
        } else {
            out[n++] = *at;
        }
    }
    out[n] = '\0';
    return (struct kong_str){out, n};
}

/* How much of the path a route's path matches; -1: it does not, or out of memory. */
static long matched(struct arena *arena, struct kong_str pattern, struct kong_str path) {
    regex_t regex;
    regmatch_t match;
    if (pattern.len == 0 || pattern.data[0] != '~') {
        bool same = pattern.len <= path.len && memcmp(pattern.data, path.data, pattern.len) == 0;
        return same ? (long)pattern.len : -1;
    }
    struct kong_str text = posix_regex(arena, (struct kong_str){pattern.data + 1, pattern.len - 1});
    if (text.data == NULL || regcomp(&regex, text.data, REG_EXTENDED) != 0) {
        return -1;
    }
    long result = regexec(&regex, path.data, 1, &match, 0) == 0 ? (long)match.rm_eo : -1;
    regfree(&regex);
    return result;
}

/* The start of the path that the route matches: of the longest of its paths, a regular expression
 * before all others. {NULL, 0}: none. */
static struct kong_str route_prefix(struct sim_pdk *pdk, struct kong_str path) {
    const struct kong_value *paths = value_get(&pdk->route, "paths");
    long best = -1;
    for (size_t i = 0; paths != NULL && paths->type == KONG_LIST && i < paths->list.count; i++) {
        const struct kong_value *item = &paths->list.items[i];
        long length = is_string(item) ? matched(&pdk->memory, item->string, path) : -1;
        best = length > best ? length : best;
    }
    return best < 0 ? (struct kong_str){NULL, 0} : (struct kong_str){path.data, (size_t)best};
}

/* The service's path and what strip_path leaves of the request's, one slash between them, escaped.
 */
static struct kong_str upstream_path(struct sim_pdk *pdk, struct kong_str path) {
    struct kong_str base = text_of(&pdk->service_entity, "path");
    size_t skip = pdk->upstream.prefix.len;
    path = (struct kong_str){path.data + skip, path.len - skip};
    while (path.len > 0 && path.data[0] == '/') {
        path = (struct kong_str){path.data + 1, path.len - 1};
    }
    while (base.len > 0 && base.data[base.len - 1] == '/') {
        base.len--;
    }
    if (path.len == 0 && base.len > 0) {
        return path_escape(&pdk->memory, text_of(&pdk->service_entity, "path"));
    }
    struct kong_str joined =
        arena_printf(&pdk->memory, "%.*s/%.*s", (int)base.len, base.data == NULL ? "" : base.data,
                     (int)path.len, path.data);
    return joined.data == NULL ? joined : path_escape(&pdk->memory, joined);
}

/* A header of the request that a trusted proxy has set. */
static struct kong_str trusted_header(const struct sim_pdk *pdk, const char *name) {
    const struct field *field = ip_trusted(pdk, pdk->request.client_ip)
                                    ? headers_find(&pdk->request.headers, kong_str(name))
                                    : NULL;
    return field == NULL ? (struct kong_str){NULL, 0} : field->value;
}

static struct kong_str either(struct kong_str first, struct kong_str second) {
    return first.data == NULL ? second : first;
}

/* X-Forwarded-* and X-Real-IP as they go to the upstream. False when out of memory. */
static bool forward(struct sim_pdk *pdk) {
    struct kong_str *to = pdk->upstream.forwarded;
    const struct sim_request *request = &pdk->request;
    struct kong_str prefix = pdk->upstream.prefix;
    struct kong_str chain = {NULL, 0};
    struct kong_str port = arena_printf(&pdk->memory, "%d", request->port);
    if (port.data == NULL ||
        !header_variable(&request->headers, kong_str("X-Forwarded-For"), &pdk->memory, &chain)) {
        return false;
    }
    to[SIM_FORWARDED_FOR] = chain.data == NULL ? request->forwarded_ip
                                               : arena_printf(&pdk->memory, "%s, %s", chain.data,
                                                              request->client_ip.data);
    to[SIM_FORWARDED_PROTO] = either(trusted_header(pdk, "X-Forwarded-Proto"), request->scheme);
    to[SIM_FORWARDED_HOST] = either(trusted_header(pdk, "X-Forwarded-Host"), request->host);
    to[SIM_FORWARDED_PORT] = either(trusted_header(pdk, "X-Forwarded-Port"), port);
    to[SIM_FORWARDED_PATH] = either(trusted_header(pdk, "X-Forwarded-Path"),
                                    state_copy(pdk, raw_path(request->request_uri)));
    to[SIM_FORWARDED_PREFIX] = trusted_header(pdk, "X-Forwarded-Prefix");
    if (to[SIM_FORWARDED_PREFIX].data == NULL && prefix.data != NULL && prefix.len > 1) {
        to[SIM_FORWARDED_PREFIX] = state_copy(pdk, prefix);
    }
    to[SIM_REAL_IP] = request->forwarded_ip;
    return to[SIM_FORWARDED_FOR].data != NULL && to[SIM_FORWARDED_PATH].data != NULL;
}

/* What Kong's authentication plugins tell the upstream of a consumer and a credential that the test
 * says they have found. False when out of memory. */
static bool tell_consumer(struct sim_pdk *pdk) {
    static const struct {
        const char *header;
        const char *field;
    } told[] = {{"X-Consumer-ID", "id"},
                {"X-Consumer-Custom-ID", "custom_id"},
                {"X-Consumer-Username", "username"}};
    struct fields *headers = &pdk->request.headers;
    for (size_t i = 0; i < sizeof told / sizeof *told; i++) {
        struct kong_str value = text_of(&pdk->consumer, told[i].field);
        if (value.len > 0 && !headers_set(headers, kong_str(told[i].header), value)) {
            return false;
        }
    }
    struct kong_str id = text_of(&pdk->credential, "id");
    return id.len == 0 || headers_set(headers, kong_str("X-Credential-Identifier"), id);
}

bool sim_pdk_route(struct sim_pdk *pdk) {
    struct sim_upstream *upstream = &pdk->upstream;
    const struct kong_value *port = value_get(&pdk->service_entity, "port");
    struct kong_str host = pdk->request.sent_host;
    struct kong_str path = path_normalize(&pdk->memory, raw_path(pdk->request.request_uri));
    int64_t number = 0;
    if (path.data == NULL) {
        return false;
    }
    upstream->scheme = either(text_of(&pdk->service_entity, "protocol"), kong_str("http"));
    upstream->host = text_of(&pdk->service_entity, "host");
    upstream->port = port != NULL && value_to_integer(port, &number) ? (int)number : 0;
    upstream->prefix = (struct kong_str){NULL, 0};
    if (pdk->route.type == KONG_MAP && flag_of(&pdk->route, "strip_path", true)) {
        upstream->prefix = route_prefix(pdk, path);
    }
    if (flag_of(&pdk->route, "preserve_host", false) && host.data != NULL) {
        upstream->host_header = host;
    }
    upstream->path = upstream_path(pdk, path);
    upstream->routed = forward(pdk) && tell_consumer(pdk);
    return upstream->routed && upstream->path.data != NULL;
}

static bool is_ip(struct kong_str host) {
    unsigned char address[16];
    return host.data != NULL && (inet_pton(AF_INET, host.data, address) == 1 ||
                                 inet_pton(AF_INET6, host.data, address) == 1);
}

bool sim_pdk_balance(struct sim_pdk *pdk, int *status, const char **why) {
    struct sim_upstream *upstream = &pdk->upstream;
    *status = 0;
    *why = "";
    if (!upstream->routed && !sim_pdk_route(pdk)) {
        return false;
    }
    upstream->query_joined = true;
    if (upstream->target_set && !is_ip(upstream->host) &&
        is_ip(text_of(&pdk->service_entity, "host"))) {
        *status = 500;
        *why = "no host allowed: the service's own host is an IP address";
    } else if (upstream->target_set && is_ip(upstream->host) && upstream->port == 0) {
        *status = 502;
        *why = "no connection to port 0";
    }
    if (upstream->host_header.len > 0 || upstream->host.data == NULL) {
        return true;
    }
    bool tls = kong_str_equal(upstream->scheme, kong_str("https")) ||
               kong_str_equal(upstream->scheme, kong_str("grpcs"));
    bool usual = upstream->port == 0 || upstream->port == (tls ? 443 : 80);
    upstream->host_header =
        usual ? upstream->host
              : arena_printf(&pdk->memory, "%s:%d", upstream->host.data, upstream->port);
    return upstream->host_header.data != NULL;
}

/* Nothing of a body follows these, whatever the upstream's server sends. */
static bool has_no_body(const struct sim_pdk *pdk, int status) {
    return kong_str_equal(pdk->request.method, kong_str("HEAD")) || status == 204 || status == 304;
}

bool sim_pdk_upstream_answered(struct sim_pdk *pdk, bool buffered) {
    struct fields *ours = &pdk->client.headers;
    const struct fields *theirs = &pdk->service.headers;
    if (has_no_body(pdk, pdk->service.status)) {
        pdk->service.body = kong_str("");
    }
    for (size_t i = 0; i < theirs->count; i++) {
        /* nginx has one of these, the upstream's */
        bool single = header_name_equal(theirs->items[i].name, kong_str("Content-Type")) ||
                      header_name_equal(theirs->items[i].name, kong_str("Content-Length"));
        if (buffered || single) {
            headers_clear(ours, theirs->items[i].name);
        }
    }
    for (size_t i = 0; i < theirs->count; i++) {
        struct kong_str value = theirs->items[i].value;
        /* Kong sets them by kong.response.set_headers */
        value = buffered && value.len == 0 ? kong_str(" ") : value;
        if (!fields_add(ours, theirs->items[i].name, value, false)) {
            return false;
        }
    }
    pdk->upstream.buffered = pdk->upstream.buffered || buffered;
    pdk->client.status = pdk->service.status;
    pdk->client.body = pdk->service.body;
    pdk->source = SIM_SOURCE_SERVICE;
    return true;
}

/* The types whose text nginx gets a charset for. */
static bool takes_charset(struct kong_str type) {
    static const char *const types[] = {"text/html",
                                        "text/xml",
                                        "text/plain",
                                        "text/vnd.wap.wml",
                                        "application/javascript",
                                        "application/rss+xml"};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        if (kong_str_equal(type, kong_str(types[i]))) {
            return true;
        }
    }
    return false;
}

bool sim_pdk_sent(struct sim_pdk *pdk) {
    struct sim_response *client = &pdk->client;
    const struct field *type = headers_find(&client->headers, kong_str("Content-Type"));
    if (pdk->sent || client->status == 0) {
        return true;
    }
    pdk->sent = true;
    if (type != NULL && takes_charset(type->value)) {
        struct kong_str value = arena_printf(&pdk->memory, "%s; charset=UTF-8", type->value.data);
        if (value.data == NULL || !headers_set(&client->headers, kong_str("Content-Type"), value)) {
            return false;
        }
    }
    if (has_no_body(pdk, client->status)) {
        client->body = kong_str("");
        return true;
    }
    const struct field *length = headers_find(&client->headers, kong_str("Content-Length"));
    size_t most = length == NULL ? client->body.len : strtoul(length->value.data, NULL, 10);
    if (most < client->body.len) {
        /* the client reads no more */
        client->body = arena_copy(&pdk->memory, client->body.data, most);
        return client->body.data != NULL;
    }
    return length != NULL || pdk->request.http_version == 1.0 || pdk->request.http_version == 2.0 ||
           client->body.len == 0 ||
           headers_set(&client->headers, kong_str("Transfer-Encoding"), kong_str("chunked"));
}

bool sim_pdk_client_waits(const struct sim_pdk *pdk, char *why, size_t size) {
    const struct sim_response *client = &pdk->client;
    const struct field *length = headers_find(&client->headers, kong_str("Content-Length"));
    bool by_head = kong_str_equal(pdk->request.method, kong_str("HEAD"));
    size_t wanted = length != NULL ? strtoul(length->value.data, NULL, 10) : by_head ? 1 : 0;
    if (client->status == 0 || pdk->request.by_head || client->status == 204 ||
        client->status == 304 || (client->status >= 200 && wanted <= client->body.len)) {
        return false;
    }
    if (client->status < 200) {
        snprintf(why, size, "an answer with status %d ends no request", client->status);
    } else if (by_head) {
        snprintf(why, size, "for the body of an answer to HEAD, which it did not send");
    } else {
        snprintf(why, size, "Content-Length is %s, the body has %zu bytes", length->value.data,
                 client->body.len);
    }
    return true;
}
