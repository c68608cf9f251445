#include <stdarg.h>
#include <stdio.h>

#include "event.h"

#define LOG_LINE_MOST 4000

/* A `struct kong` is an event, seen by a plugin. */
static struct event *event_of(struct kong *kong) {
    return (struct event *)kong;
}

const char *kong_strerror(int error) {
    switch (error) {
    case KONG_OK:
        return "no error";
    case KONG_E_GONE:
        return "Kong closed the connection";
    case KONG_E_ENDED:
        return "the request was ended by an exit before";
    case KONG_E_TIMEOUT:
        return "timed out";
    case KONG_E_NOMEM:
        return "out of memory";
    case KONG_E_UNSUPPORTED:
        return "unsupported by this protocol";
    case KONG_E_INVALID:
        return "invalid argument";
    case KONG_E_KONG:
        return "Kong answered with an error";
    case KONG_E_TYPE:
        return "Kong's answer is not of the expected type";
    case KONG_E_TOO_BIG:
        return "too big";
    case KONG_E_IO:
        return "input or output failed";
    case KONG_E_FAILED:
        return "the plugin failed";
    default:
        return "unknown error";
    }
}

const char *kong_error_text(struct kong *kong) {
    struct event *event = event_of(kong);
    return event->error.data != NULL ? event->error.data : kong_strerror(event->answer_rc);
}

void *kong_instance_state(struct kong *kong) {
    return event_of(kong)->instance->state;
}

void *kong_process_data(struct kong *kong) {
    return events_options(event_of(kong)->events)->process_data;
}

enum kong_phase kong_phase(struct kong *kong) {
    return event_of(kong)->phase;
}

static int call(struct kong *kong, enum pdk_id id, const struct kong_value *args, size_t count,
                struct kong_value *result) {
    const struct pdk_method *method = &pdk_methods[id];
    return event_call(event_of(kong), method, method->name, args, count, result);
}

int kong_call(struct kong *kong, const char *method, const struct kong_value *args, size_t count,
              struct kong_value *result) {
    struct kong_str name = kong_str(method);
    return event_call(event_of(kong), pdk_method_find(name), name, args, count, result);
}

static int set_header(struct kong *kong, enum pdk_id id, const char *name, const char *value) {
    if (name == NULL || value == NULL) {
        return KONG_E_INVALID;
    }
    struct kong_value args[] = {kong_string(name), kong_string(value)};
    return call(kong, id, args, 2, NULL);
}

int kong_response_set_header(struct kong *kong, const char *name, const char *value) {
    return set_header(kong, PDK_RESPONSE_SET_HEADER, name, value);
}

int kong_service_request_set_header(struct kong *kong, const char *name, const char *value) {
    return set_header(kong, PDK_SERVICE_REQUEST_SET_HEADER, name, value);
}

int kong_response_exit(struct kong *kong, int status, struct kong_str body,
                       struct kong_value headers) {
    struct kong_value args[] = {kong_integer(status),
                                body.data == NULL ? kong_nil() : kong_bytes(body.data, body.len),
                                headers};
    return call(kong, PDK_RESPONSE_EXIT, args, 3, NULL);
}

int kong_log_err(struct kong *kong, const char *format, ...) {
    char line[LOG_LINE_MOST + 1];
    va_list args;
    va_start(args, format);
    int len = vsnprintf(line, sizeof line, format, args);
    va_end(args);
    if (len < 0) {
        return KONG_E_INVALID;
    }
    struct kong_value arg =
        kong_bytes(line, (size_t)len < sizeof line ? (size_t)len : sizeof line - 1);
    return call(kong, PDK_LOG_ERR, &arg, 1, NULL);
}
