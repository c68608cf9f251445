/* The recorded ProtoBuf:1 conversation: every frame of both sides is decoded as what its place in
 * the conversation says it is, encoded again and compared; the results of the getters are held
 * against what the peer's plugin saw. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "limit.h"
#include "protobuf_rpc.h"
#include "protobuf_samples.h"
#include "sim_protobuf.h"
#include "trace.h"
#include "value.h"
#include "value_equal.h"

#define TRACE "kong-3.9.1-protobuf.trace"

/* Whose frame comes next, and what it is. */
enum expected {
    CALL,   /* Kong: RpcCall */
    METHOD, /* server: a PDK method's name, or the empty frame */
    ARGS,   /* server */
    RESULT, /* Kong */
    RETURN, /* server: RpcReturn */
};

struct conversation {
    enum expected expected;
    struct buffer kong; /* what came from each side and is no whole frame yet */
    struct buffer server;
    struct rpc_call call;
    bool access; /* its event is of this phase */
    const struct pdk_method *method;
    struct kong_value args;
    bool closed;
};

struct replay {
    struct arena arena;
    struct buffer out;
    json_t *access; /* what the peer's plugin saw in each phase */
    json_t *response;
    size_t calls;
    size_t pdk_calls;
    size_t results;
    size_t returns;
    size_t getters;
};

/* --- What the getters gave ----------------------------------------------------------- */

/* go-pdk shows what is absent as the zero value of its type. */
static bool is_void(json_t *json) {
    size_t i;
    const char *key;
    json_t *part;

    switch (json_typeof(json)) {
    case JSON_OBJECT:
        json_object_foreach(json, key, part) {
            if (!is_void(part)) {
                return false;
            }
        }
        return true;
    case JSON_ARRAY:
        json_array_foreach(json, i, part) {
            if (!is_void(part)) {
                return false;
            }
        }
        return true;
    case JSON_STRING:
        return json_string_length(json) == 0;
    case JSON_INTEGER:
        return json_integer_value(json) == 0;
    case JSON_REAL:
        return json_real_value(json) == 0;
    default:
        return !json_is_true(json);
    }
}

static bool matches(json_t *json, const struct kong_value *value);

static bool matches_map(json_t *json, const struct kong_value *map) {
    const char *key;
    json_t *part;

    json_object_foreach(json, key, part) {
        const struct kong_value *value = value_get(map, key);

        if (value == NULL ? !is_void(part) : !matches(part, value)) {
            return false;
        }
    }
    for (size_t i = 0; i < map->map.count; i++) {
        const struct kong_pair *pair = &map->map.pairs[i];

        /* go-pdk drops flags (`?b`) */
        if (json_object_get(json, pair->key.data) == NULL && pair->value.type != KONG_BOOLEAN) {
            return false;
        }
    }
    return true;
}

static bool matches_list(json_t *json, const struct kong_value *list) {
    if (json_array_size(json) != list->list.count) {
        return false;
    }
    for (size_t i = 0; i < list->list.count; i++) {
        if (!matches(json_array_get(json, i), &list->list.items[i])) {
            return false;
        }
    }
    return true;
}

static bool matches(json_t *json, const struct kong_value *value) {
    switch (value->type) {
    case KONG_NIL:
        return is_void(json);
    case KONG_BOOLEAN:
        return json_is_boolean(json) && json_is_true(json) == value->boolean;
    case KONG_INTEGER:
        return json_is_integer(json) && json_integer_value(json) == value->integer;
    case KONG_NUMBER:
        return json_is_real(json) && json_real_value(json) == value->number;
    case KONG_STRING:
        if (json_is_array(json) && json_array_size(json) == 1) {
            json = json_array_get(json, 0); /* go-pdk makes all headers lists */
        }
        return json_is_string(json) &&
               kong_str_equal((struct kong_str){json_string_value(json), json_string_length(json)},
                              value->string);
    case KONG_LIST:
        return json_is_array(json) && matches_list(json, value);
    case KONG_MAP:
        return json_is_object(json) && matches_map(json, value);
    }
    return false;
}

/* The names that the getters' files give to calls: "request.get_header host". */
static const struct getter {
    const char *key;
    enum pdk_id id;
    const char *text; /* the argument, where there are several calls */
    int64_t number;
} getters[] = {
    {"client.get_consumer", PDK_CLIENT_GET_CONSUMER, NULL, 0},
    {"client.get_credential", PDK_CLIENT_GET_CREDENTIAL, NULL, 0},
    {"client.get_ip", PDK_CLIENT_GET_IP, NULL, 0},
    {"client.get_protocol", PDK_CLIENT_GET_PROTOCOL, NULL, 0},
    {"ctx.get_shared k1", PDK_CTX_SHARED_GET, "k1", 0},
    {"ctx.get_shared nope", PDK_CTX_SHARED_GET, "nope", 0},
    {"ctx.set_shared", PDK_CTX_SHARED_SET, NULL, 0},
    {"ip.is_trusted", PDK_IP_IS_TRUSTED, NULL, 0},
    {"log.info", PDK_LOG_INFO, NULL, 0},
    {"nginx.get_subsystem", PDK_NGINX_GET_SUBSYSTEM, NULL, 0},
    {"nginx.get_var", PDK_NGINX_GET_VAR, NULL, 0},
    {"node.get_id", PDK_NODE_GET_ID, NULL, 0},
    {"node.get_memory_stats", PDK_NODE_GET_MEMORY_STATS, NULL, 0},
    {"request.get_header host", PDK_REQUEST_GET_HEADER, "host", 0},
    {"request.get_header missing", PDK_REQUEST_GET_HEADER, "x-missing", 0},
    {"request.get_header x-multi", PDK_REQUEST_GET_HEADER, "x-multi", 0},
    {"request.get_headers(-1)", PDK_REQUEST_GET_HEADERS, NULL, 100},
    {"request.get_headers(2)", PDK_REQUEST_GET_HEADERS, NULL, 2},
    {"request.get_http_version", PDK_REQUEST_GET_HTTP_VERSION, NULL, 0},
    {"request.get_method", PDK_REQUEST_GET_METHOD, NULL, 0},
    {"request.get_port", PDK_REQUEST_GET_PORT, NULL, 0},
    {"request.get_query(-1)", PDK_REQUEST_GET_QUERY, NULL, 100},
    {"request.get_uri_captures", PDK_REQUEST_GET_URI_CAPTURES, NULL, 0},
    {"router.get_route", PDK_ROUTER_GET_ROUTE, NULL, 0},
    {"router.get_service", PDK_ROUTER_GET_SERVICE, NULL, 0},
    {"response.add_header", PDK_RESPONSE_ADD_HEADER, NULL, 0},
    {"response.clear_header", PDK_RESPONSE_CLEAR_HEADER, NULL, 0},
    {"response.get_header Foo", PDK_RESPONSE_GET_HEADER, "Foo", 0},
    {"response.get_header missing", PDK_RESPONSE_GET_HEADER, "x-missing", 0},
    {"response.get_headers(-1)", PDK_RESPONSE_GET_HEADERS, NULL, 100},
    {"response.get_headers(1)", PDK_RESPONSE_GET_HEADERS, NULL, 1},
    {"response.get_source", PDK_RESPONSE_GET_SOURCE, NULL, 0},
    {"response.get_status", PDK_RESPONSE_GET_STATUS, NULL, 0},
    {"response.set_header", PDK_RESPONSE_SET_HEADER, NULL, 0},
    {"response.set_headers", PDK_RESPONSE_SET_HEADERS, NULL, 0},
    {"service.response.get_header Foo", PDK_SERVICE_RESPONSE_GET_HEADER, "Foo", 0},
    {"service.response.get_headers", PDK_SERVICE_RESPONSE_GET_HEADERS, NULL, 0},
    {"service.response.get_status", PDK_SERVICE_RESPONSE_GET_STATUS, NULL, 0},
    /* service.response.get_raw_body stands there as Go prints it: see check_body */
};

static bool is_call(const struct getter *getter, const struct conversation *on) {
    const struct kong_value *first = on->args.list.items;

    if (on->method != &pdk_methods[getter->id]) {
        return false;
    }
    if (getter->text != NULL) {
        return kong_str_equal(first->string, kong_str(getter->text));
    }
    return getter->number == 0 || first->integer == getter->number;
}

static void check_getter(struct replay *replay, const struct conversation *on,
                         const struct kong_value *result) {
    json_t *seen = on->access ? replay->access : replay->response;

    for (size_t i = 0; i < sizeof(getters) / sizeof(getters[0]); i++) {
        json_t *json = json_object_get(seen, getters[i].key);

        if (json != NULL && is_call(&getters[i], on)) {
            if (!matches(json, result)) {
                fail_msg("%s differs", getters[i].key);
            }
            replay->getters++;
        }
    }
    if (on->method == &pdk_methods[PDK_SERVICE_RESPONSE_GET_RAW_BODY]) {
        assert_int_equal(result->type, KONG_STRING);
        assert_int_equal(result->string.len, 466); /* the answer's content-length */
        assert_string_equal(result->string.data + 463, "\"}\n");
        replay->getters++;
    }
}

/* --- One frame ------------------------------------------------------------------------- */

static const uint8_t *bytes_of(struct kong_str frame) {
    return (const uint8_t *)frame.data;
}

/* Kong writes fields in any order: the same content has the same length. */
static void check_call(struct replay *replay, struct conversation *on, struct kong_str frame) {
    struct rpc_call again;
    size_t offset = 0;

    assert_int_equal(protobuf_decode_call(&replay->arena, bytes_of(frame), frame.len, &on->call),
                     CODEC_OK);
    assert_int_not_equal(on->call.command, RPC_UNKNOWN);
    assert_int_equal(protobuf_encode_call(&replay->out, &on->call), CODEC_OK);
    struct kong_str encoded = take_frame(&replay->out, &offset);
    assert_int_equal(encoded.len, frame.len);
    assert_int_equal(protobuf_decode_call(&replay->arena, bytes_of(encoded), encoded.len, &again),
                     CODEC_OK);
    assert_int_equal(again.command, on->call.command);
    assert_int_equal(again.sequence, on->call.sequence);
    assert_int_equal(again.instance_id, on->call.instance_id);
    assert_true(kong_str_equal(again.name, on->call.name));
    assert_true(kong_str_equal(again.config, on->call.config));
    assert_true(kong_str_equal(again.event, on->call.event));
    on->access = kong_str_equal(on->call.event, kong_str("access"));
    on->call.event = (struct kong_str){NULL, 0}; /* it was in the frame */
    on->expected = on->call.command == RPC_HANDLE_EVENT ? METHOD : RETURN;
    replay->calls++;
}

static void check_method(struct conversation *on, struct kong_str frame) {
    if (frame.len == 0) {
        on->expected = RETURN;
        return;
    }
    on->method = pdk_method_find(frame);
    assert_non_null(on->method);
    on->expected = ARGS;
}

static void check_args(struct replay *replay, struct conversation *on, struct kong_str frame) {
    size_t offset = 0;

    assert_int_equal(
        sim_protobuf_decode_args(&replay->arena, on->method, bytes_of(frame), frame.len, &on->args),
        CODEC_OK);
    assert_int_equal(on->args.type, KONG_LIST);
    assert_int_equal(protobuf_encode_pdk_call(&replay->out, on->method, on->args.list.items,
                                              on->args.list.count),
                     CODEC_OK);
    assert_true(kong_str_equal(take_frame(&replay->out, &offset), on->method->name));
    assert_true(kong_str_equal(take_frame(&replay->out, &offset), frame));
    on->expected = RESULT;
    replay->pdk_calls++;
}

static void check_result(struct replay *replay, struct conversation *on, struct kong_str frame) {
    struct kong_value result;
    struct kong_value again;
    size_t offset = 0;

    assert_int_equal(
        protobuf_decode_pdk_result(&replay->arena, on->method, bytes_of(frame), frame.len, &result),
        CODEC_OK);
    check_getter(replay, on, &result);
    assert_int_equal(sim_protobuf_encode_result(&replay->out, on->method, &result), CODEC_OK);
    struct kong_str encoded = take_frame(&replay->out, &offset);
    if (on->method == &pdk_methods[PDK_ROUTER_GET_ROUTE]) {
        assert_int_equal(encoded.len, frame.len - 2); /* Kong wrote `preserve_host` false */
    } else {
        assert_int_equal(encoded.len, frame.len);
    }
    if (frame.len <= 16) {
        assert_memory_equal(encoded.data, frame.data, frame.len); /* one field: no order */
    }
    assert_int_equal(protobuf_decode_pdk_result(&replay->arena, on->method, bytes_of(encoded),
                                                encoded.len, &again),
                     CODEC_OK);
    assert_true(value_equal(&again, &result));
    on->expected = METHOD;
    replay->results++;
}

static void check_return(struct replay *replay, struct conversation *on, struct kong_str frame) {
    struct rpc_reply reply;
    size_t offset = 0;

    assert_int_equal(protobuf_decode_reply(&replay->arena, bytes_of(frame), frame.len, &reply),
                     CODEC_OK);
    assert_int_equal(reply.sequence, on->call.sequence);
    assert_int_equal(reply.kind,
                     on->call.command == RPC_HANDLE_EVENT ? RPC_REPLY_RETURN : RPC_REPLY_INSTANCE);
    if (on->call.command == RPC_START_INSTANCE) {
        assert_true(kong_str_equal(reply.instance.name, on->call.name));
    }
    if (on->call.command == RPC_CLOSE_INSTANCE) {
        assert_int_equal(reply.instance.id, on->call.instance_id);
    }
    assert_int_equal(protobuf_encode_reply(&replay->out, &reply), CODEC_OK);
    assert_true(kong_str_equal(take_frame(&replay->out, &offset), frame));
    on->expected = CALL;
    replay->returns++;
}

static void check_frame(struct replay *replay, struct conversation *on, bool from_kong,
                        struct kong_str frame) {
    buffer_clear(&replay->out, SIZE_MAX);
    assert_int_equal(from_kong, on->expected == CALL || on->expected == RESULT);
    switch (on->expected) {
    case CALL:
        check_call(replay, on, frame);
        break;
    case METHOD:
        check_method(on, frame);
        break;
    case ARGS:
        check_args(replay, on, frame);
        break;
    case RESULT:
        check_result(replay, on, frame);
        break;
    case RETURN:
        check_return(replay, on, frame);
        break;
    }
}

/* --- The conversation -------------------------------------------------------------------- */

static bool whole_frame(const struct buffer *buffer) {
    if (buffer->len < 4) {
        return false;
    }
    const uint8_t *at = buffer->data;
    return buffer->len - 4 >= ((size_t)at[0] | (size_t)at[1] << 8 | (size_t)at[2] << 16);
}

static void feed(struct replay *replay, struct conversation *on, const struct trace_event *event) {
    bool from_kong = event->kind == TRACE_KONG;
    struct buffer *buffer = from_kong ? &on->kong : &on->server;

    buffer_append(buffer, event->data, event->len);
    assert_false(buffer->failed);
    while (whole_frame(buffer)) {
        size_t offset = 0;

        check_frame(replay, on, from_kong, take_frame(buffer, &offset));
        buffer_consume(buffer, offset);
    }
}

static json_t *load(const char *name) {
    const char *directory = getenv("TRACES");
    char path[4096];
    json_error_t error;

    snprintf(path, sizeof(path), "%s/%s", directory == NULL ? "tests/traces" : directory, name);
    json_t *json = json_load_file(path, 0, &error);
    if (json == NULL) {
        fail_msg("%s: %s", path, error.text);
    }
    return json;
}

static void test_trace(void **state) {
    struct trace trace;
    struct replay replay = {0};

    (void)state;
    assert_true(trace_read(&trace, TRACE));
    arena_init(&replay.arena, LIMIT_EVENT_MEMORY);
    buffer_init(&replay.out, LIMIT_OUT);
    replay.access = load("kong-3.9.1-protobuf-getters.json");
    replay.response = load("kong-3.9.1-protobuf-response-getters.json");
    unsigned last = trace_last_connection(&trace);
    struct conversation *all = calloc((size_t)last + 1, sizeof(*all));
    assert_non_null(all);
    for (unsigned i = 0; i <= last; i++) {
        buffer_init(&all[i].kong, LIMIT_FRAME);
        buffer_init(&all[i].server, LIMIT_FRAME);
    }

    for (size_t i = 0; i < trace.count; i++) {
        const struct trace_event *event = &trace.events[i];

        if (event->kind == TRACE_CLOSE) {
            all[event->connection].closed = true;
        } else if ((event->kind == TRACE_KONG || event->kind == TRACE_SERVER) &&
                   !all[event->connection].closed) {
            feed(&replay, &all[event->connection], event);
        }
    }

    /* one exit and one call in the wrong phase have no result, nor their events an end */
    assert_int_equal(replay.calls, 25);
    assert_int_equal(replay.pdk_calls, 78);
    assert_int_equal(replay.results, 76);
    assert_int_equal(replay.returns, 23);
    assert_int_equal(replay.getters,
                     json_object_size(replay.access) + json_object_size(replay.response));
    for (unsigned i = 0; i <= last; i++) {
        buffer_free(&all[i].kong);
        buffer_free(&all[i].server);
    }
    free(all);
    json_decref(replay.access);
    json_decref(replay.response);
    buffer_free(&replay.out);
    arena_free(&replay.arena);
    trace_free(&trace);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_trace)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
