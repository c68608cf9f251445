/* Any function by its name. Its arguments are not checked by a typed function: where the table
 * knows their shape, this refuses what Kong would raise an error on. */
#include "pdk_call.h"

#include "printable.h"
#include "value.h"

static const struct kong_value nil = {.type = KONG_NIL};

static bool is_map(const struct kong_value *value) {
    return value->type == KONG_MAP || (value->type == KONG_LIST && value->list.count == 0);
}

static bool is_nil_or(const struct kong_value *value, enum kong_type type) {
    return value->type == KONG_NIL || value->type == type;
}

static bool is_integer(const struct kong_value *value, int64_t least, int64_t most) {
    int64_t integer;
    return value_to_integer(value, &integer) && integer >= least && integer <= most;
}

/* How many headers or arguments: Kong's own limits. On ProtoBuf:1 Kong reads a number that is left
 * off as 0. */
static const char *check_count(const struct kong_value *value, bool msgpack) {
    return (msgpack && value->type == KONG_NIL) || is_integer(value, 1, PDK_MOST_HEADERS)
               ? NULL
               : "the first argument must be an integer from 1 to 1000";
}

static const char *check_string(const struct kong_value *value) {
    return value->type == KONG_STRING ? NULL : "the first argument must be a string";
}

/* What Lua takes as a mode of kong.log.set_serialize_value. */
static const char *check_options(const struct kong_value *options) {
    static const char *const modes[] = {"set", "add", "replace"};
    const struct kong_value *mode = kong_map_get(options, "mode");
    if (options->type == KONG_NIL || (is_map(options) && mode == NULL)) {
        return NULL;
    }
    for (size_t i = 0; i < 3; i++) {
        if (kong_str_equal(kong_to_str(mode), kong_str(modes[i]))) {
            return NULL;
        }
    }
    return "the third argument must be a map whose mode is set, add or replace";
}

static const char *check_exit(enum pdk_id id, const struct kong_value *const *args, bool table,
                              enum kong_phase phase) {
    bool error = id == PDK_RESPONSE_ERROR;
    if (!is_integer(args[0], error ? 400 : PDK_LEAST_STATUS, 599) ||
        (phase == KONG_PHASE_PREREAD && !pdk_is_stream_status(args[0]))) {
        return "the first argument must be a status";
    }
    if (!is_nil_or(args[1], KONG_STRING) && !(table && is_map(args[1]))) {
        return "the second argument must be a body";
    }
    return args[2]->type == KONG_NIL || is_map(args[2])
               ? pdk_wrong_length(args[2], error ? NULL : args[1])
               : "the third argument must be a map";
}

static const char *check_telemetry(const struct kong_value *const *args) {
    bool good = args[0]->type == KONG_STRING && is_map(args[1]) && args[2]->type == KONG_STRING &&
                is_nil_or(args[3], KONG_STRING) && (args[4]->type == KONG_NIL || is_map(args[4]));
    return good ? NULL : "the arguments must be a name, a map, a type, a text, and a map";
}

static const char *check_integer(const struct pdk_method *method, const struct kong_value *value,
                                 bool msgpack) {
    int64_t integer;
    if (method->result == PDK_RESULT_STRUCT) {
        return check_count(value, msgpack);
    }
    return value_to_integer(value, &integer) && integer >= 0
               ? NULL
               : "the first argument must be an integer, 0 or more";
}

/* The argument that is a header's value or a map of headers; PDK_MOST_ARGS: none is. */
static size_t headers_place(enum pdk_id id) {
    switch ((int)id) {
    case PDK_RESPONSE_SET_HEADERS:
    case PDK_SERVICE_REQUEST_SET_HEADERS:
        return 0;
    case PDK_RESPONSE_SET_HEADER:
    case PDK_RESPONSE_ADD_HEADER:
    case PDK_SERVICE_REQUEST_SET_HEADER:
    case PDK_SERVICE_REQUEST_ADD_HEADER:
        return 1;
    case PDK_RESPONSE_EXIT:
    case PDK_RESPONSE_ERROR:
        return 2;
    default:
        return PDK_MOST_ARGS;
    }
}

/* Headers as the typed functions check them, and as these send them in *checked. */
static int check_headers(struct kong *kong, enum pdk_id id, const struct kong_value *args,
                         size_t place, struct kong_value *checked) {
    const struct kong_value *headers = &args[place];
    int error = KONG_OK;
    *checked = *headers;
    if (place == 1) {
        error = pdk_check_header(kong, id, args[0].string, headers, checked);
        return error == 0 && checked->type == KONG_LIST && !pdk_takes_list(kong, id)
                   ? pdk_fail(kong, id, KONG_E_INVALID, "Kong takes no list here")
                   : error;
    }
    if (headers->type == KONG_MAP) { /* else nil, or an empty table of Lua */
        error = pdk_check_headers(kong, id, *headers, false, checked);
    }
    return error == 0 && id == PDK_RESPONSE_ERROR ? pdk_check_format(kong, checked) : error;
}

/* *args become others where headers are sent in another form. */
static int take_headers(struct kong *kong, enum pdk_id id, const struct kong_value **args,
                        size_t count) {
    size_t place = headers_place(id);
    if (place >= count) {
        return KONG_OK;
    }
    struct kong_value *copies = arena_array(pdk_arena(kong), count, sizeof *copies);
    if (copies == NULL) {
        return pdk_no_memory(kong);
    }
    memcpy(copies, *args, count * sizeof *copies);
    int error = check_headers(kong, id, *args, place, &copies[place]);
    *args = copies;
    return error;
}

/* NULL, or what is wrong. args has PDK_MOST_ARGS places, nil where there is no argument. */
static const char *check_shape(const struct pdk_method *method,
                               const struct kong_value *const *args, size_t count, bool msgpack,
                               enum kong_phase phase) {
    enum pdk_id id = (enum pdk_id)method->id;
    switch (method->args) {
    case PDK_ARGS_EMPTY:
        return count > 0 && id != PDK_REQUEST_GET_RAW_BODY ? "it takes no argument" : NULL;
    case PDK_ARGS_STRING:
    case PDK_ARGS_BYTES:
        return check_string(args[0]);
    case PDK_ARGS_KV:
        if (headers_place(id) == 1 && args[1]->type == KONG_NIL) {
            return "a header must have a value";
        }
        return args[0]->type == KONG_STRING && id == PDK_LOG_SET_SERIALIZE_VALUE
                   ? check_options(args[2])
                   : check_string(args[0]);
    case PDK_ARGS_TARGET:
        return is_integer(args[1], 0, 65535) ? check_string(args[0])
                                             : "the second argument must be a port";
    case PDK_ARGS_CONSUMER_SPEC:
        return args[0]->type != KONG_STRING ||
                       (args[1]->type == KONG_BOOLEAN && args[1]->boolean) ||
                       pdk_is_uuid(args[0]->string)
                   ? check_string(args[0])
                   : "the id is no UUID";
    case PDK_ARGS_INT:
        return id != PDK_RESPONSE_SET_STATUS || is_integer(args[0], PDK_LEAST_STATUS, 599)
                   ? check_integer(method, args[0], msgpack)
                   : "the first argument must be a status";
    case PDK_ARGS_BOOL:
        return is_nil_or(args[0], KONG_BOOLEAN) ? NULL : "the first argument must be a boolean";
    case PDK_ARGS_STRUCT:
        return is_map(args[0]) ? NULL : "the first argument must be a map";
    case PDK_ARGS_EXIT:
        return count > 3 ? "it takes three arguments" : check_exit(id, args, msgpack, phase);
    case PDK_ARGS_AUTHENTICATE:
        if (msgpack && args[0]->type == KONG_NIL && args[1]->type != KONG_NIL) {
            return "the first argument must be a map: Lua would cut the arguments at nil";
        }
        return (args[0]->type == KONG_NIL || is_map(args[0])) &&
                       (args[1]->type == KONG_NIL || is_map(args[1]))
                   ? NULL
                   : "the arguments must be maps or nil";
    case PDK_ARGS_ANY:
        return id == PDK_TELEMETRY_LOG ? check_telemetry(args) : NULL;
    case PDK_ARGS_LIST:
        break;
    }
    return NULL;
}

static int check_known(struct kong *kong, const struct pdk_method *method,
                       const struct kong_value **args, size_t count) {
    const struct kong_value *places[PDK_MOST_ARGS];
    for (size_t i = 0; i < PDK_MOST_ARGS; i++) {
        places[i] = i < count ? &(*args)[i] : &nil;
    }
    int error = pdk_check_phase(kong, method);
    if (error != 0) {
        return error;
    }
    bool msgpack = pdk_is_msgpack(kong);
    if (!msgpack && (method->flags & PDK_MSGPACK_ONLY) != 0) {
        return KONG_OK; /* it is refused for that */
    }
    const char *wrong = check_shape(method, places, count, msgpack, kong_get_phase(kong));
    return wrong == NULL ? take_headers(kong, (enum pdk_id)method->id, args, count)
                         : pdk_fail(kong, (enum pdk_id)method->id, KONG_E_INVALID, "%s", wrong);
}

static int check_unknown(struct kong *kong, struct kong_str name, unsigned flags) {
    struct event *event = pdk_event(kong);
    if (!pdk_is_msgpack(kong) || event->phase != KONG_PHASE_LOG ||
        (flags & KONG_CALL_SAFE_IN_LOG) != 0) {
        return KONG_OK;
    }
    return event_fail(event, KONG_E_PHASE,
                      arena_printf(&event->arena,
                                   "%.*s: this library does not know whether Kong allows it in "
                                   "the phase log; not sent (see KONG_CALL_SAFE_IN_LOG)",
                                   name.len < 200 ? (int)name.len : 200, name.data));
}

/* The texts of a line, as kong_log_err and the others make them. NULL: no memory. */
static const struct kong_value *make_printable(struct kong *kong, const struct kong_value *args,
                                               size_t count) {
    struct kong_value *copies = arena_array(pdk_arena(kong), count, sizeof *copies);
    for (size_t i = 0; copies != NULL && i < count; i++) {
        copies[i] = args[i];
        if (args[i].type == KONG_STRING) {
            char *text = arena_alloc(pdk_arena(kong), PRINTABLE_KONG_LINE);
            if (text == NULL) {
                return NULL;
            }
            copies[i].string.len =
                printable_copy(text, PRINTABLE_KONG_LINE, args[i].string.data, args[i].string.len);
            copies[i].string.data = text;
        }
    }
    return copies;
}

/* known: NULL where the method is none of the table's. */
static int call(struct kong *kong, const struct pdk_method *known, unsigned flags,
                struct kong_str name, const struct kong_value *args, size_t count,
                struct kong_value *result) {
    if (result != NULL) {
        *result = kong_nil();
    }
    int error = event_call_error(pdk_event(kong));
    if (error != 0) {
        return event_fail(pdk_event(kong), error, (struct kong_str){NULL, 0});
    }
    if (name.len == 0) {
        return event_fail(pdk_event(kong), KONG_E_INVALID, kong_str("a call must have a name"));
    }
    if (args == NULL && count > 0) {
        return event_fail(pdk_event(kong), KONG_E_INVALID,
                          kong_str("the arguments of a call are NULL"));
    }
    error =
        known != NULL ? check_known(kong, known, &args, count) : check_unknown(kong, name, flags);
    if (error == 0 && known != NULL && known->args == PDK_ARGS_LIST && count > 0) {
        args = make_printable(kong, args, count);
        error = args == NULL ? pdk_no_memory(kong) : KONG_OK;
    }
    return error != 0 ? error : event_call(pdk_event(kong), known, name, args, count, result);
}

int kong_call_flags(struct kong *kong, unsigned flags, const char *method,
                    const struct kong_value *args, size_t count, struct kong_value *result) {
    struct kong_str name = kong_str(method);
    const struct pdk_method *known = pdk_method_find(name);
    int error = call(kong, known, flags, name, args, count, result);
    return known != NULL && (known->flags & PDK_TERMINAL) != 0 ? pdk_end(kong, error) : error;
}

int kong_call(struct kong *kong, const char *method, const struct kong_value *args, size_t count,
              struct kong_value *result) {
    return kong_call_flags(kong, 0, method, args, count, result);
}
