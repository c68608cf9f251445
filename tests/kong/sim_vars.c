/* nginx' variables, as kong.nginx.get_var gives them. */
#include <strings.h>

#include "sim_pdk_call.h"

static int text_result(struct call *call, struct kong_str text) {
    return text.data == NULL ? call_nomem(call) : call_string(call, text);
}

/* $arg_NAME: raw, the name in any case, and only where there is a '='. */
static int argument(struct call *call, struct kong_str name) {
    struct kong_str args = call->pdk->request.args;
    for (size_t at = 0; at < args.len;) {
        const char *from = args.data + at;
        const char *amp = memchr(from, '&', args.len - at);
        size_t len = amp == NULL ? args.len - at : (size_t)(amp - from);
        if (len > name.len && from[name.len] == '=' &&
            strncasecmp(from, name.data, name.len) == 0) {
            return text_result(call,
                               arena_copy(call->arena, from + name.len + 1, len - name.len - 1));
        }
        at += len + 1;
    }
    return call_nil(call);
}

static int header(struct call *call, const struct fields *headers, struct kong_str name) {
    struct kong_str value;
    if (!header_variable(headers, name, call->arena, &value)) {
        return call_nomem(call);
    }
    return call_string(call, value);
}

/* $cookie_NAME: the name in any case. */
static int cookie(struct call *call, struct kong_str name) {
    struct kong_str all;
    if (!header_variable(&call->pdk->request.headers, kong_str("cookie"), call->arena, &all)) {
        return call_nomem(call);
    }
    for (size_t at = 0; at < all.len;) {
        const char *from = all.data + at;
        size_t len = strcspn(from, ";,");
        size_t skip = strspn(from, " ");
        if (len > skip + name.len && from[skip + name.len] == '=' &&
            strncasecmp(from + skip, name.data, name.len) == 0) {
            return text_result(call, arena_copy(call->arena, from + skip + name.len + 1,
                                                len - skip - name.len - 1));
        }
        at += len + 1;
    }
    return call_nil(call);
}

static bool has_prefix(struct kong_str *name, const char *prefix) {
    size_t len = strlen(prefix);
    if (name->len <= len || strncasecmp(name->data, prefix, len) != 0) {
        return false;
    }
    *name = (struct kong_str){name->data + len, name->len - len};
    return true;
}

static struct kong_str or_empty(struct kong_str text) {
    return text.data == NULL ? kong_str("") : text;
}

static struct kong_str or_nil(struct kong_str text) {
    return text.len == 0 ? (struct kong_str){NULL, 0} : text;
}

static struct kong_str protocol(const struct sim_pdk *pdk) {
    return kong_str(pdk->request.http_version == 1.0   ? "HTTP/1.0"
                    : pdk->request.http_version == 2.0 ? "HTTP/2.0"
                                                       : "HTTP/1.1");
}

/* $upstream_uri: with the query, once the balancer has run. */
static struct kong_str upstream_uri(struct call *call) {
    const struct sim_pdk *pdk = call->pdk;
    struct kong_str uri = pdk->request.request_uri;
    bool mark = pdk->request.args.len > 0 || (uri.len > 0 && uri.data[uri.len - 1] == '?');
    if (!pdk->upstream.query_joined || !mark) {
        return or_empty(pdk->upstream.path);
    }
    return arena_printf(call->arena, "%s?%s", pdk->upstream.path.data, pdk->request.args.data);
}

static bool request_text(struct call *call, struct kong_str name, int *outcome) {
    const struct sim_pdk *pdk = call->pdk;
    const struct {
        const char *name;
        struct kong_str value;
    } texts[] = {
        {"request_uri", pdk->request.request_uri},
        {"args", or_nil(pdk->request.args)},
        {"query_string", or_nil(pdk->request.args)},
        {"request_method", pdk->request.method},
        {"scheme", pdk->request.scheme},
        {"host", pdk->request.host},
        {"realip_remote_addr", pdk->request.client_ip},
        {"is_args", kong_str(pdk->request.args.len > 0 ? "?" : "")},
        {"server_protocol", protocol(pdk)},
        {"upstream_scheme", or_empty(pdk->upstream.scheme)},
        {"upstream_host", or_empty(pdk->upstream.host_header)},
        {"request_id", pdk->request_id},
        {"kong_request_id", pdk->request_id},
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        if (kong_str_equal(name, kong_str(texts[i].name))) {
            *outcome = call_string(call, texts[i].value);
            return true;
        }
    }
    if (kong_str_equal(name, kong_str("uri"))) {
        *outcome = text_result(call, path_decode(call->arena, raw_path(pdk->request.request_uri)));
        return true;
    }
    if (kong_str_equal(name, kong_str("upstream_uri"))) {
        *outcome = text_result(call, upstream_uri(call));
        return true;
    }
    if (kong_str_equal(name, kong_str("status"))) {
        *outcome = text_result(call, arena_printf(call->arena, "%03d", pdk->client.status));
        return true;
    }
    return false;
}

/* Those of the connection, which streams have, too. */
static bool connection_text(struct call *call, struct kong_str name, int *outcome) {
    const struct sim_pdk *pdk = call->pdk;
    const struct sim_request *request = &pdk->request;
    int port = sim_server_port(pdk);
    const struct {
        const char *name;
        int value; /* 0: "" */
    } ports[] = {{"server_port", port},
                 {"remote_port", request->forwarded_port},
                 {"realip_remote_port", request->client_port}};
    const struct {
        const char *name;
        struct kong_str value;
    } texts[] = {
        {"remote_addr", request->forwarded_ip},
        /* streams with TLS reach Kong's inner block by a Unix socket */
        {"server_addr", kong_str(port == 0 ? "unix:" : "127.0.0.1")},
        {"ssl_protocol", sim_tls_version(pdk)},
        {"ssl_cipher", pdk->tls_cipher},
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        if (kong_str_equal(name, kong_str(texts[i].name))) {
            *outcome = call_string(call, texts[i].value);
            return true;
        }
    }
    for (size_t i = 0; i < sizeof ports / sizeof *ports; i++) {
        if (kong_str_equal(name, kong_str(ports[i].name))) {
            *outcome = ports[i].value == 0
                           ? call_string(call, kong_str(""))
                           : text_result(call, arena_printf(call->arena, "%d", ports[i].value));
            return true;
        }
    }
    return false;
}

int sim_variable(struct call *call, struct kong_str name) {
    const struct sim_pdk *pdk = call->pdk;
    const struct kong_value *own = sim_map_get(&pdk->ngx_vars, name);
    int outcome = SIM_RESULT;
    if (own != NULL) {
        return call_value(call, *own);
    }
    if (connection_text(call, name, &outcome)) {
        return outcome;
    }
    if (sim_pdk_is_stream(pdk)) {
        return call_nil(call);
    }
    if (request_text(call, name, &outcome)) {
        return outcome;
    }
    if (kong_str_equal(name, kong_str("content_type")) ||
        kong_str_equal(name, kong_str("content_length"))) {
        return header(call, &pdk->request.headers, name);
    }
    if (has_prefix(&name, "http_")) {
        return header(call, &pdk->request.headers, name);
    }
    if (has_prefix(&name, "arg_")) {
        return argument(call, name);
    }
    if (has_prefix(&name, "cookie_")) {
        return cookie(call, name);
    }
    /* a buffered answer is a subrequest's: the variables are that one's */
    if (has_prefix(&name, "upstream_http_") && !pdk->upstream.buffered) {
        return header(call, &pdk->service.headers, name);
    }
    return call_nil(call);
}
