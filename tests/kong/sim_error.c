/* Answers that Kong gives itself: kong.response.exit, kong.response.error, nginx' error pages. */
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "sim_json.h"
#include "sim_pdk_call.h"
#include "value.h"

#define HTML  "text/html; charset=utf-8"
#define JSON  "application/json; charset=utf-8"
#define PLAIN "text/plain; charset=utf-8"
#define XML   "application/xml; charset=utf-8"
#define GRPC  "application/grpc"

struct status_text {
    int status;
    const char *text;
};

static const char *text_for(const struct status_text *texts, size_t count, int status) {
    for (size_t i = 0; i < count; i++) {
        if (texts[i].status == status) {
            return texts[i].text;
        }
    }
    return NULL;
}

/* Kong's text for a status; {NULL, 0} when out of memory. */
static struct kong_str error_message(struct arena *arena, int status) {
    static const struct status_text texts[] = {
        {400, "Bad request"},
        {401, "Unauthorized"},
        {402, "Payment required"},
        {403, "Forbidden"},
        {404, "Not found"},
        {405, "Method not allowed"},
        {406, "Not acceptable"},
        {407, "Proxy authentication required"},
        {408, "Request timeout"},
        {409, "Conflict"},
        {410, "Gone"},
        {411, "Length required"},
        {412, "Precondition failed"},
        {413, "Payload too large"},
        {414, "URI too long"},
        {415, "Unsupported media type"},
        {416, "Range not satisfiable"},
        {417, "Expectation failed"},
        {418, "I'm a teapot"},
        {421, "Misdirected request"},
        {422, "Unprocessable entity"},
        {423, "Locked"},
        {424, "Failed dependency"},
        {425, "Too early"},
        {426, "Upgrade required"},
        {428, "Precondition required"},
        {429, "Too many requests"},
        {431, "Request header fields too large"},
        {451, "Unavailable for legal reasons"},
        {494, "Request header or cookie too large"},
        {500, "An unexpected error occurred"},
        {501, "Not implemented"},
        {502, "An invalid response was received from the upstream server"},
        {503, "The upstream server is currently unavailable"},
        {504, "The upstream server is timing out"},
        {505, "HTTP version not supported"},
        {506, "Variant also negotiates"},
        {507, "Insufficient storage"},
        {508, "Loop detected"},
        {510, "Not extended"},
        {511, "Network authentication required"},
    };
    const char *known = text_for(texts, sizeof texts / sizeof *texts, status);
    return known != NULL ? kong_str(known)
                         : arena_printf(arena, "The upstream server responded with %d", status);
}

/* The media type of one element of Accept, without its parameters. */
static const char *known_type(const char *text, size_t len) {
    static const struct {
        const char *name;
        const char *type;
    } types[] = {
        {"application/grpc", ""},   {"text/html", HTML},
        {"application/json", JSON}, {"text/plain", PLAIN},
        {"application/xml", XML},   {"application/*", JSON},
        {"text/*", PLAIN},          {"*/*", JSON},
    };
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        if (strlen(types[i].name) == len && strncasecmp(text, types[i].name, len) == 0) {
            return types[i].type;
        }
    }
    return JSON;
}

static double quality_of(const char *text, size_t len) {
    const char *q = memmem(text, len, "q=", 2);
    return q == NULL ? 1 : strtod(q + 2, NULL);
}

const char *sim_error_type(struct kong_str accept) {
    const char *best = JSON;
    double most = 0;
    for (size_t at = 0; at < accept.len;) {
        const char *from = accept.data + at;
        size_t len = strcspn(from, ",");
        size_t skip = strspn(from, " ");
        size_t type_len = strcspn(from + (skip < len ? skip : len), "; ,");
        double quality = quality_of(from, len);
        if (skip < len && memchr(from + skip, '/', type_len) != NULL && quality > most) {
            most = quality;
            best = known_type(from + skip, type_len);
        }
        at += len + 1;
    }
    return best;
}

struct kong_str sim_error_body(struct sim_pdk *pdk, struct arena *arena, const char *media_type,
                               struct kong_str message) {
    const char *format = "%.*s\nrequest_id: %s\n";
    const char *id = pdk->request_id.data == NULL ? "" : pdk->request_id.data;
    if (media_type[0] == '\0') {
        return kong_str("");
    }
    if (strcmp(media_type, JSON) == 0) {
        format = "{\n  \"message\":\"%.*s\",\n  \"request_id\":\"%s\"\n}";
    } else if (strcmp(media_type, HTML) == 0) {
        format = "<!doctype html>\n<html>\n  <head>\n    <meta charset=\"utf-8\">\n"
                 "    <title>Error</title>\n  </head>\n  <body>\n    <h1>Error</h1>\n"
                 "    <p>%.*s.</p>\n    <p>request_id: %s</p>\n  </body>\n</html>\n";
    } else if (strcmp(media_type, XML) == 0) {
        format = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<error>\n  <message>%.*s</message>\n"
                 "  <requestid>%s</requestid>\n</error>\n";
    }
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    return arena_printf(arena, format, (int)message.len, message.data, id);
#pragma GCC diagnostic pop
}

/* --- Sending --- */

static bool given(const struct kong_value *headers, const char *name) {
    for (size_t i = 0; headers->type == KONG_MAP && i < headers->map.count; i++) {
        if (header_name_equal(headers->map.pairs[i].key, kong_str(name))) {
            return true;
        }
    }
    return false;
}

static bool set_text(struct call *call, const char *name, struct kong_str value) {
    return headers_set(&call->pdk->client.headers, kong_str(name), value);
}

/* The gRPC status of an HTTP status. */
static int grpc_status(int status) {
    static const int codes[][2] = {{200, 0}, {400, 3}, {401, 16}, {403, 7},  {404, 5},  {409, 6},
                                   {429, 8}, {499, 1}, {500, 13}, {501, 12}, {503, 14}, {504, 4}};
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
        if (codes[i][0] == status) {
            return codes[i][1];
        }
    }
    return status >= 500 ? 13 : status >= 400 ? 3 : status >= 200 && status <= 299 ? 0 : 2;
}

static const char *grpc_message(int code) {
    static const char *const names[] = {
        "OK",       "Canceled",       "Unknown",          "InvalidArgument",   "DeadlineExceeded",
        "NotFound", "AlreadyExists",  "PermissionDenied", "ResourceExhausted", "FailedPrecondition",
        "Aborted",  "OutOfRange",     "Unimplemented",    "Internal",          "Unavailable",
        "DataLoss", "Unauthenticated"};
    return names[code];
}

static bool is_grpc(const struct field *type) {
    return type != NULL && strncmp(type->value.data, GRPC, sizeof GRPC - 1) == 0;
}

static bool grpc_request(const struct sim_pdk *pdk) {
    return pdk->request.http_version == 2.0 &&
           is_grpc(headers_find(&pdk->request.headers, kong_str("Content-Type")));
}

/* grpc-status and grpc-message: of an answer of this type, or of a gRPC request without an answer's
 * type, whose body then goes as the message. False when out of memory. */
static bool grpc_headers(struct call *call, int status, struct kong_str *body) {
    struct sim_pdk *pdk = call->pdk;
    const struct field *type = headers_find(&pdk->client.headers, kong_str("Content-Type"));
    bool output = is_grpc(type);
    bool asked = type == NULL && grpc_request(pdk);
    int code = grpc_status(status);
    if (!output && !asked) {
        return true;
    }
    struct kong_str number = arena_printf(call->arena, "%d", code);
    struct kong_str message = kong_str(grpc_message(code));
    if (asked && body->data != NULL) {
        message = *body;
    }
    if (asked) {
        *body = kong_str("");
    }
    return number.data != NULL &&
           (headers_find(&pdk->client.headers, kong_str("grpc-status")) != NULL ||
            set_text(call, "grpc-status", number)) &&
           (headers_find(&pdk->client.headers, kong_str("grpc-message")) != NULL ||
            set_text(call, "grpc-message", message));
}

static int over(struct call *call, int status, struct kong_str body) {
    struct sim_pdk *pdk = call->pdk;
    pdk->client.status = status;
    pdk->client.body = state_copy(pdk, body);
    pdk->exited = true;
    if (pdk->client.body.data == NULL) {
        return call_nomem(call);
    }
    call_nil(call);
    return SIM_EXITED;
}

static int send_body(struct call *call, int status, struct kong_str body, bool json,
                     const struct kong_value *headers) {
    if (!grpc_headers(call, status, &body)) {
        return call_nomem(call);
    }
    struct kong_str length = arena_printf(call->arena, "%zu", body.len);
    if (length.data == NULL ||
        (!given(headers, "Content-Length") && !set_text(call, "Content-Length", length)) ||
        (json && !given(headers, "Content-Type") &&
         !set_text(call, "Content-Type", kong_str(JSON)))) {
        return call_nomem(call);
    }
    call->pdk->source = SIM_SOURCE_EXIT;
    return over(call, status, body);
}

int sim_send(struct call *call, int status, const struct kong_value *body,
             const struct kong_value *headers) {
    struct kong_str text = is_string(body) ? body->string : kong_str("");
    int outcome = headers->type == KONG_NIL ? SIM_RESULT : response_set_all(call, headers);
    if (outcome != SIM_RESULT) {
        return outcome;
    }
    if (body->type == KONG_NIL && status >= 300) {
        call->pdk->source = SIM_SOURCE_EXIT;
        return sim_pdk_error_page(call->pdk, status) ? (call_nil(call), SIM_EXITED)
                                                     : call_nomem(call);
    }
    if (is_table(body)) {
        text = json_from_value(call->arena, body);
        if (text.data == NULL) {
            return call_nomem(call);
        }
    }
    return send_body(call, status, text, is_table(body), headers);
}

int sim_error_answer(struct call *call, int status, struct kong_str message,
                     const struct kong_value *headers) {
    const struct field *accept = headers_find(&call->pdk->request.headers, kong_str("Accept"));
    const char *type = sim_error_type(accept == NULL ? (struct kong_str){NULL, 0} : accept->value);
    struct kong_value nil = kong_nil();
    if (strcmp(type, "") != 0 && !given(headers, "Content-Type") && grpc_request(call->pdk)) {
        type = "";
    }
    if (given(headers, "Content-Type")) {
        const struct kong_value *named = sim_map_get(headers, kong_str("Content-Type"));
        /* Kong has templates for these only: for another type string.format raises */
        type = named == NULL || !is_string(named) ? "" : named->string.data;
        const char *known = known_type(type, strcspn(type, ";"));
        if (known[0] != '\0' && strncmp(known, type, strlen(type)) != 0) {
            return call_raise(call, "bad argument #1 to 'fmt' (string expected, got nil)");
        }
        type = known;
    }
    if (message.data == NULL) {
        message = error_message(call->arena, status);
    }
    struct kong_str body =
        message.data == NULL ? message : sim_error_body(call->pdk, call->arena, type, message);
    if (body.data == NULL) {
        return call_nomem(call);
    }
    struct kong_value text = kong_bytes(body.data, body.len);
    if (headers->type == KONG_MAP) {
        int outcome = sim_send(call, status, &text, headers);
        return given(headers, "Content-Type") || type[0] == '\0' || outcome != SIM_EXITED ||
                       set_text(call, "Content-Type", kong_str(type))
                   ? outcome
                   : call_nomem(call);
    }
    if (type[0] != '\0' && !set_text(call, "Content-Type", kong_str(type))) {
        return call_nomem(call);
    }
    return sim_send(call, status, &text, &nil);
}

/* --- Error pages --- */

static bool has_page(int status) {
    static const int pages[] = {400, 404, 405, 408, 411, 412, 413,
                                414, 417, 494, 500, 502, 503, 504};
    for (size_t i = 0; i < sizeof pages / sizeof *pages; i++) {
        if (pages[i] == status) {
            return true;
        }
    }
    return false;
}

/* nginx' own page, for the statuses that it knows. {NULL, 0} when out of memory. */
static struct kong_str nginx_page(struct arena *arena, int status) {
    static const struct status_text texts[] = {
        {301, "Moved Permanently"},
        {302, "Found"},
        {303, "See Other"},
        {307, "Temporary Redirect"},
        {308, "Permanent Redirect"},
        {401, "Authorization Required"},
        {402, "Payment Required"},
        {403, "Forbidden"},
        {406, "Not Acceptable"},
        {409, "Conflict"},
        {410, "Gone"},
        {415, "Unsupported Media Type"},
        {416, "Requested Range Not Satisfiable"},
        {421, "Misdirected Request"},
        {429, "Too Many Requests"},
        {501, "Not Implemented"},
        {505, "HTTP Version Not Supported"},
        {507, "Insufficient Storage"},
    };
    const char *text = text_for(texts, sizeof texts / sizeof *texts, status);
    return text == NULL ? kong_str("")
                        : arena_printf(arena,
                                       "<html>\r\n<head><title>%d %s</title></head>\r\n<body>\r\n"
                                       "<center><h1>%d %s</h1></center>\r\n</body>\r\n</html>\r\n",
                                       status, text, status, text);
}

bool sim_pdk_error_page(struct sim_pdk *pdk, int status) {
    struct kong_value result;
    struct call call = {.pdk = pdk, .arena = &pdk->memory, .result = &result};
    struct kong_str body;
    const char *type = HTML;
    int seen = status == 494 ? 400 : status;
    if (has_page(status)) {
        const struct fields *headers = &pdk->request.headers;
        const struct field *wanted = headers_find(headers, kong_str("Accept"));
        if (wanted == NULL) {
            wanted = headers_find(headers, kong_str("Content-Type"));
        }
        type = wanted == NULL ? PLAIN : sim_error_type(wanted->value);
        struct kong_str message = error_message(&pdk->memory, status);
        body = message.data == NULL ? message : sim_error_body(pdk, &pdk->memory, type, message);
        pdk->source = SIM_SOURCE_ERROR;
    } else {
        type = "text/html";
        body = nginx_page(&pdk->memory, status);
    }
    if (body.len == 0) {
        headers_clear(&pdk->client.headers, kong_str("Content-Type"));
    }
    struct kong_str length = arena_printf(&pdk->memory, "%zu", body.len);
    if (body.data == NULL || length.data == NULL || !set_text(&call, "Content-Length", length) ||
        (body.len > 0 && !set_text(&call, "Content-Type", kong_str(type)))) {
        return false;
    }
    return over(&call, seen, body) == SIM_EXITED;
}

bool sim_pdk_fail(struct sim_pdk *pdk, int status) {
    struct kong_value nil = kong_nil();
    struct kong_value result;
    struct call call = {.pdk = pdk, .arena = &pdk->memory, .result = &result};
    return sim_error_answer(&call, status, (struct kong_str){NULL, 0}, &nil) == SIM_EXITED;
}

bool sim_pdk_raised(struct sim_pdk *pdk) {
    bool ok =
        pdk->phase == KONG_PHASE_ACCESS ? sim_pdk_fail(pdk, 500) : sim_pdk_error_page(pdk, 500);
    pdk->source = SIM_SOURCE_ERROR;
    return ok;
}
