/* kong.response.* and kong.service.response.* */
#include "sim_json.h"
#include "sim_pdk_call.h"
#include "value.h"

PDK_FUNCTION(RESPONSE_GET_STATUS) {
    return call_integer(call, call->pdk->client.status);
}

PDK_FUNCTION(RESPONSE_GET_HEADER) {
    struct sim_pdk *pdk = call->pdk;
    const struct kong_value *name = call_arg(call, 0);
    struct kong_value map = pdk->saved.response_headers;
    if (!is_string(name)) {
        return call_raise(call, "header name must be a string");
    }
    if (pdk->phase != KONG_PHASE_LOG && !response_table(pdk, call->arena, 100, &map)) {
        return call_nomem(call);
    }
    return call_string(call, table_header(&map, name->string, call->arena));
}

PDK_FUNCTION(RESPONSE_GET_HEADERS) {
    size_t max = 0;
    if (call->pdk->phase == KONG_PHASE_LOG) {
        return call_value(call, call->pdk->saved.response_headers);
    }
    int outcome = call_max(call, "max_headers", &max);
    if (outcome != SIM_RESULT) {
        return outcome;
    }
    return response_table(call->pdk, call->arena, max, call->result) ? SIM_RESULT
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

PDK_FUNCTION(RESPONSE_SET_HEADER) {
    int outcome = check_header(call, call_arg(call, 0), call_arg(call, 1));
    return outcome == SIM_RESULT ? response_set(call, call_arg(call, 0)->string, call_arg(call, 1))
                                 : outcome;
}

PDK_FUNCTION(RESPONSE_ADD_HEADER) {
    const struct kong_value *name = call_arg(call, 0);
    int outcome = check_header(call, name, call_arg(call, 1));
    if (outcome != SIM_RESULT) {
        return outcome;
    }
    struct kong_str sent = response_name(call->arena, name->string);
    return sent.data != NULL && header_write(&call->pdk->client.headers, call->arena, sent,
                                             call_arg(call, 1), false)
               ? call_nil(call)
               : call_nomem(call);
}

PDK_FUNCTION(RESPONSE_CLEAR_HEADER) {
    const struct kong_value *name = call_arg(call, 0);
    if (!is_string(name)) {
        return call_raise(call, "header name must be a string");
    }
    struct kong_str sent = response_name(call->arena, name->string);
    if (sent.data == NULL) {
        return call_nomem(call);
    }
    headers_clear(&call->pdk->client.headers, sent);
    return call_nil(call);
}

PDK_FUNCTION(RESPONSE_SET_HEADERS) {
    int outcome = check_headers(call, call_arg(call, 0));
    return outcome == SIM_RESULT ? response_set_all(call, call_arg(call, 0)) : outcome;
}

/* In a stream: a few statuses only, and a body that reaches the client below 400 only. */
static int exit_stream(struct call *call, const struct kong_value *body) {
    static const int statuses[] = {200, 400, 403, 500, 502, 503};
    int status = (int)to_number(call_arg(call, 0));
    bool known = false;
    for (size_t i = 0; i < sizeof statuses / sizeof *statuses; i++) {
        known = known || statuses[i] == status;
    }
    if (!known) {
        return call_raise(call, "unacceptable code, only 200, 400, 403, 500, 502 and 503 are "
                                "accepted");
    }
    struct kong_value none = kong_string("");
    struct kong_value headers = kong_nil();
    return sim_send(call, status, status < 400 && body->type != KONG_NIL ? body : &none, &headers);
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
    return sim_pdk_is_stream(call->pdk) ? exit_stream(call, body)
                                        : sim_send(call, (int)to_number(status), body, headers);
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
