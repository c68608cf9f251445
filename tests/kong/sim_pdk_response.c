/* kong.response.* and kong.service.response.* */
#include <stdio.h>
#include <strings.h>

#include "sim_json.h"
#include "sim_pdk_call.h"
#include "value.h"

PDK_FUNCTION(RESPONSE_GET_STATUS) {
    return call_integer(call, call->pdk->client.status);
}

PDK_FUNCTION(RESPONSE_GET_HEADER) {
    const struct kong_value *name = call_arg(call, 0);
    if (!is_string(name)) {
        return call_raise(call, "header name must be a string");
    }
    const struct field *field = headers_find(&call->pdk->client.headers, name->string);
    return field == NULL ? call_nil(call) : call_string(call, field->value);
}

/* nginx keeps these apart from the other headers: they are outside of the limit. */
static const char *const apart[] = {"content-type", "connection", NULL};

PDK_FUNCTION(RESPONSE_GET_HEADERS) {
    struct sim_pdk *pdk = call->pdk;
    struct fields all;
    size_t max = 0;
    int outcome = pdk->phase == KONG_PHASE_LOG ? SIM_RESULT : call_max(call, "max_headers", &max);
    if (outcome != SIM_RESULT) {
        return outcome;
    }
    fields_init(&all, call->arena);
    for (size_t i = 0; i < pdk->client.headers.count; i++) {
        const struct field *field = &pdk->client.headers.items[i];
        if (!fields_add(&all, field->name, field->value, false)) {
            return call_nomem(call);
        }
    }
    if (headers_find(&all, kong_str("connection")) == NULL &&
        !fields_add(&all, kong_str("connection"), kong_str("keep-alive"), false)) {
        return call_nomem(call);
    }
    return headers_to_map(&all, max, apart, call->arena, call->result) ? SIM_RESULT
                                                                       : call_nomem(call);
}

PDK_FUNCTION(RESPONSE_GET_SOURCE) {
    static const char *const names[] = {
        [SIM_SOURCE_SERVICE] = "service", [SIM_SOURCE_EXIT] = "exit", [SIM_SOURCE_ERROR] = "error"};
    return call_string(call, kong_str(names[call->pdk->source]));
}

/* A status between low and 599. SIM_RESULT, or SIM_RAISED. */
static int check_status(struct call *call, const struct kong_value *status, int low) {
    if (!is_number(status)) {
        return call_raise(call, "code must be a number");
    }
    if (to_number(status) < low || to_number(status) > 599) {
        return call_raise(call, "code must be a number between %d and 599", low);
    }
    return SIM_RESULT;
}

PDK_FUNCTION(RESPONSE_SET_STATUS) {
    const struct kong_value *status = call_arg(call, 0);
    int outcome = check_status(call, status, 100);
    if (outcome == SIM_RESULT) {
        call->pdk->client.status = (int)to_number(status);
        call_nil(call);
    }
    return outcome;
}

static bool is_transfer_encoding(struct kong_str name) {
    return header_name_equal(name, kong_str("transfer-encoding"));
}

static int warn_transfer_encoding(struct call *call) {
    struct kong_value text = kong_string("manually setting Transfer-Encoding. Ignored.");
    struct call warning = *call;
    warning.args = &text;
    warning.count = 1;
    return log_append(&warning, "warn");
}

static int set_header(struct call *call, struct kong_str name, const struct kong_value *value) {
    if (is_transfer_encoding(name)) {
        return warn_transfer_encoding(call);
    }
    return header_write(&call->pdk->client.headers, call->arena, name, value, true)
               ? call_nil(call)
               : call_nomem(call);
}

static int set_headers(struct call *call, const struct kong_value *map) {
    for (size_t i = 0; map->type == KONG_MAP && i < map->map.count; i++) {
        const struct kong_pair *pair = &map->map.pairs[i];
        if (pair->value.type == KONG_NIL) {
            continue;
        }
        int outcome = set_header(call, pair->key, &pair->value);
        if (outcome != SIM_RESULT) {
            return outcome;
        }
    }
    return call_nil(call);
}

PDK_FUNCTION(RESPONSE_SET_HEADER) {
    int outcome = check_header(call, call_arg(call, 0), call_arg(call, 1));
    return outcome == SIM_RESULT ? set_header(call, call_arg(call, 0)->string, call_arg(call, 1))
                                 : outcome;
}

PDK_FUNCTION(RESPONSE_ADD_HEADER) {
    const struct kong_value *name = call_arg(call, 0);
    int outcome = check_header(call, name, call_arg(call, 1));
    if (outcome != SIM_RESULT) {
        return outcome;
    }
    return header_write(&call->pdk->client.headers, call->arena, name->string, call_arg(call, 1),
                        false)
               ? call_nil(call)
               : call_nomem(call);
}

PDK_FUNCTION(RESPONSE_CLEAR_HEADER) {
    const struct kong_value *name = call_arg(call, 0);
    if (!is_string(name)) {
        return call_raise(call, "header name must be a string");
    }
    headers_clear(&call->pdk->client.headers, name->string);
    return call_nil(call);
}

PDK_FUNCTION(RESPONSE_SET_HEADERS) {
    int outcome = check_headers(call, call_arg(call, 0));
    return outcome == SIM_RESULT ? set_headers(call, call_arg(call, 0)) : outcome;
}

/* Sets a header of the final answer unless it is there already among those just given. */
static bool default_header(struct call *call, const struct kong_value *given, const char *name,
                           struct kong_str value) {
    for (size_t i = 0; given->type == KONG_MAP && i < given->map.count; i++) {
        if (header_name_equal(given->map.pairs[i].key, kong_str(name))) {
            return true;
        }
    }
    return headers_set(&call->pdk->client.headers, kong_str(name), value);
}

/* The answer leaves: the request ends with it. */
static int finish(struct call *call, int status, struct kong_str body, bool json,
                  const struct kong_value *headers) {
    struct sim_pdk *pdk = call->pdk;
    int outcome = set_headers(call, headers);
    if (outcome != SIM_RESULT) {
        return outcome;
    }
    struct kong_str length = arena_printf(call->arena, "%zu", body.len);
    struct kong_str own = state_copy(pdk, body);
    if (length.data == NULL || own.data == NULL ||
        !default_header(call, headers, "Content-Length", length) ||
        (json && !default_header(call, headers, "Content-Type",
                                 kong_str("application/json; charset=utf-8")))) {
        return call_nomem(call);
    }
    pdk->client.status = status;
    pdk->client.body = own;
    pdk->source = SIM_SOURCE_EXIT;
    pdk->exited = true;
    call_nil(call);
    return SIM_EXITED;
}

PDK_FUNCTION(RESPONSE_EXIT) {
    const struct kong_value *status = call_arg(call, 0);
    const struct kong_value *body = call_arg(call, 1);
    const struct kong_value *headers = call_arg(call, 2);
    int outcome = check_status(call, status, 100);
    if (outcome != SIM_RESULT) {
        return outcome;
    }
    if (body->type != KONG_NIL && !is_string(body) && !is_table(body)) {
        return call_raise(call, "body must be a nil, string or table");
    }
    if (headers->type != KONG_NIL) {
        if (!is_table(headers)) {
            return call_raise(call, "headers must be a nil or table");
        }
        outcome = check_headers(call, headers);
    }
    if (outcome != SIM_RESULT) {
        return outcome;
    }
    struct kong_str text = is_string(body) ? body->string : kong_str("");
    if (is_table(body)) {
        text = json_from_value(call->arena, body);
        if (text.data == NULL) {
            return call_raise(call, "body encoding failed while flushing response");
        }
    }
    return finish(call, (int)to_number(status), text, is_table(body), headers);
}

static const char *error_message(int status) {
    static const struct {
        int status;
        const char *text;
    } messages[] = {
        {400, "Bad request"},
        {401, "Unauthorized"},
        {402, "Payment required"},
        {403, "Forbidden"},
        {404, "Not found"},
        {405, "Method not allowed"},
        {406, "Not acceptable"},
        {408, "Request timeout"},
        {409, "Conflict"},
        {410, "Gone"},
        {411, "Length required"},
        {412, "Precondition failed"},
        {413, "Payload too large"},
        {414, "URI too long"},
        {415, "Unsupported media type"},
        {422, "Unprocessable entity"},
        {426, "Upgrade required"},
        {428, "Precondition required"},
        {429, "Too many requests"},
        {431, "Request header fields too large"},
        {494, "Request header or cookie too large"},
        {500, "An unexpected error occurred"},
        {501, "Not implemented"},
        {502, "An invalid response was received from the upstream server"},
        {503, "The upstream server is currently unavailable"},
        {504, "The upstream server is timing out"},
    };
    for (size_t i = 0; i < sizeof messages / sizeof *messages; i++) {
        if (messages[i].status == status) {
            return messages[i].text;
        }
    }
    return NULL;
}

/* JSON, or plain text for a client that asks for that first. Kong knows HTML, XML and gRPC too. */
int sim_error_answer(struct call *call, int status, struct kong_str message,
                     const struct kong_value *headers) {
    const struct field *accept = headers_find(&call->pdk->request.headers, kong_str("Accept"));
    bool plain = accept != NULL && strncasecmp(accept->value.data, "text/plain", 10) == 0;
    const char *known = error_message(status);
    if (message.data == NULL) {
        message = known != NULL
                      ? kong_str(known)
                      : arena_printf(call->arena, "The upstream server responded with %d", status);
    }
    struct kong_str body =
        plain ? arena_printf(call->arena, "%.*s\nrequest_id: \n", (int)message.len, message.data)
              : arena_printf(call->arena, "{\n  \"message\":\"%.*s\",\n  \"request_id\":\"\"\n}",
                             (int)message.len, message.data);
    if (body.data == NULL || (plain && !default_header(call, headers, "Content-Type",
                                                       kong_str("text/plain; charset=utf-8")))) {
        return call_nomem(call);
    }
    return finish(call, status, body, !plain, headers);
}

PDK_FUNCTION(RESPONSE_ERROR) {
    const struct kong_value *message = call_arg(call, 1);
    const struct kong_value *headers = call_arg(call, 2);
    struct kong_str text = {NULL, 0};
    int outcome = check_status(call, call_arg(call, 0), 400);
    if (outcome != SIM_RESULT) {
        return outcome;
    }
    if (message->type != KONG_NIL) {
        text = is_table(message) ? json_from_value(call->arena, message) : message->string;
        if ((!is_table(message) && !is_string(message)) || text.data == NULL) {
            return call_raise(call, "message must be a nil, a string or a table");
        }
    }
    if (headers->type != KONG_NIL) {
        if (!is_table(headers)) {
            return call_raise(call, "headers must be a nil or table");
        }
        outcome = check_headers(call, headers);
    }
    return outcome == SIM_RESULT
               ? sim_error_answer(call, (int)to_number(call_arg(call, 0)), text, headers)
               : outcome;
}

/* body_filter only: never called out of process, the phase check refuses it first. */
PDK_FUNCTION(RESPONSE_GET_RAW_BODY) {
    return call_string(call, call->pdk->client.body);
}

PDK_FUNCTION(RESPONSE_SET_RAW_BODY) {
    const struct kong_value *body = call_arg(call, 0);
    if (!is_string(body)) {
        return call_raise(call, "body must be a string");
    }
    call->pdk->client.body = state_copy(call->pdk, body->string);
    return call->pdk->client.body.data == NULL ? call_nomem(call) : call_nil(call);
}

PDK_FUNCTION(SERVICE_RESPONSE_GET_STATUS) {
    int status = call->pdk->service.status;
    return status == 0 ? call_nil(call) : call_integer(call, status);
}

PDK_FUNCTION(SERVICE_RESPONSE_GET_HEADER) {
    const struct kong_value *name = call_arg(call, 0);
    if (!is_string(name)) {
        return call_raise(call, "name must be a string");
    }
    const struct field *field = headers_find(&call->pdk->service.headers, name->string);
    return field == NULL ? call_nil(call) : call_string(call, field->value);
}

/* Buffered, the Lua table has no keys of its own, only a metatable that finds them: what travels is
 * empty (seen on Kong 3.9.1, both protocols). */
PDK_FUNCTION(SERVICE_RESPONSE_GET_HEADERS) {
    size_t max = 0;
    int outcome = call_max(call, "max_headers", &max);
    if (outcome != SIM_RESULT) {
        return outcome;
    }
    if (call->pdk->upstream.buffered) {
        return call_value(call, kong_map(NULL, 0));
    }
    return sim_pdk_RESPONSE_GET_HEADERS(call);
}

static int check_buffered(struct call *call) {
    if (!call->pdk->upstream.buffered) {
        return call_raise(call, "service body is only available with buffered proxying (see: "
                                "kong.service.request.enable_buffering function)");
    }
    return SIM_RESULT;
}

PDK_FUNCTION(SERVICE_RESPONSE_GET_RAW_BODY) {
    int outcome = check_buffered(call);
    if (outcome != SIM_RESULT) {
        return outcome;
    }
    struct kong_str body = call->pdk->service.body;
    return call_string(call, body.data == NULL ? kong_str("") : body);
}

PDK_FUNCTION(SERVICE_RESPONSE_GET_BODY) {
    const struct kong_value *type = call_arg(call, 0);
    const struct field *field = headers_find(&call->pdk->service.headers, kong_str("Content-Type"));
    struct kong_str content_type = field == NULL ? (struct kong_str){NULL, 0} : field->value;
    int outcome = check_buffered(call);
    if (outcome != SIM_RESULT) {
        return outcome;
    }
    if (is_string(type)) {
        content_type = type->string;
    }
    if (content_type.data == NULL) {
        return call_fail(call, "missing content type");
    }
    return body_decode(call, call->pdk->service.body, content_type, call_arg(call, 1));
}
