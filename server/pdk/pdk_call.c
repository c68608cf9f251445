#include "pdk_call.h"

#include <limits.h>
#include <stdarg.h>
#include <stdio.h>

#include "value.h"

static const char *type_name(enum kong_type type) {
    static const char *const names[] = {
        [KONG_NIL] = "nil",         [KONG_BOOLEAN] = "a boolean", [KONG_INTEGER] = "an integer",
        [KONG_NUMBER] = "a number", [KONG_STRING] = "a string",   [KONG_LIST] = "a list",
        [KONG_MAP] = "a map",
    };
    return names[type];
}

int pdk_fail(struct kong *kong, enum pdk_id id, int error, const char *format, ...) {
    char text[256];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return event_fail(pdk_event(kong), error,
                      arena_printf(pdk_arena(kong), "%s: %s", pdk_methods[id].name.data, text));
}

int pdk_no_memory(struct kong *kong) {
    return event_fail(pdk_event(kong), KONG_E_NOMEM, (struct kong_str){NULL, 0});
}

int pdk_fail_type(struct kong *kong, enum pdk_id id, const char *what,
                  const struct kong_value *value) {
    return pdk_fail(kong, id, KONG_E_TYPE, "%s is %s", what, type_name(value->type));
}

static inline int check(struct kong *kong, enum pdk_id id, const struct kong_value *args,
                        size_t count) {
    const struct pdk_method *method = &pdk_methods[id];
    int error = pdk_check_phase(kong, method);
    if (error != 0) {
        return error;
    }
    if (method->args >= PDK_ARGS_STRING && (count == 0 || args[0].type != KONG_STRING)) {
        return pdk_fail(kong, id, KONG_E_INVALID, "the first argument must be a string");
    }
    return KONG_OK;
}

int pdk_post(struct kong *kong, enum pdk_id id, const struct kong_value *args, size_t count) {
    int error = check(kong, id, args, count);
    return error != 0 ? error : event_post(pdk_event(kong), &pdk_methods[id], args, count);
}

int pdk_end(struct kong *kong, int error) {
    struct event *event = pdk_event(kong);
    event->unended = error != event_call_error(event) ? error : KONG_OK;
    return error;
}

int pdk_get(struct kong *kong, enum pdk_id id, const struct kong_value *args, size_t count,
            struct kong_value *value) {
    const struct pdk_method *method = &pdk_methods[id];
    *value = kong_nil();
    int error = check(kong, id, args, count);
    return error != 0 ? error
                      : event_call(pdk_event(kong), method, method->name, args, count, value);
}

int pdk_to_str(struct kong *kong, enum pdk_id id, const char *what, const struct kong_value *value,
               struct kong_str *string) {
    if (value->type != KONG_STRING) {
        return pdk_fail_type(kong, id, what, value);
    }
    *string = value->string;
    return KONG_OK;
}

int pdk_to_int(struct kong *kong, enum pdk_id id, const char *what, const struct kong_value *value,
               int *integer) {
    int64_t wide;
    if (!value_to_integer(value, &wide)) {
        return pdk_fail_type(kong, id, what, value);
    }
    if (wide < INT_MIN || wide > INT_MAX) {
        return pdk_fail(kong, id, KONG_E_TYPE, "%s is out of range: %lld", what, (long long)wide);
    }
    *integer = (int)wide;
    return KONG_OK;
}

static int to_number(struct kong *kong, enum pdk_id id, const char *what,
                     const struct kong_value *value, double *number) {
    return kong_to_number(value, number) ? KONG_OK : pdk_fail_type(kong, id, what, value);
}

int pdk_to_bool(struct kong *kong, enum pdk_id id, const char *what, const struct kong_value *value,
                bool *boolean) {
    if (value->type != KONG_BOOLEAN) {
        return pdk_fail_type(kong, id, what, value);
    }
    *boolean = value->boolean;
    return KONG_OK;
}

/* The result is `nothing_` for nil, and with an error. */
#define GETTER(name_, type_, result_, convert_, nothing_)                                          \
    int name_(struct kong *kong, enum pdk_id id, const struct kong_value *args, size_t count,      \
              type_ *result_) {                                                                    \
        struct kong_value value;                                                                   \
        *result_ = nothing_;                                                                       \
        int error = pdk_get(kong, id, args, count, &value);                                        \
        return error != 0 || value.type == KONG_NIL                                                \
                   ? error                                                                         \
                   : convert_(kong, id, "the answer", &value, result_);                            \
    }

GETTER(pdk_get_str, struct kong_str, string, pdk_to_str, kong_str(NULL))
GETTER(pdk_get_int, int, integer, pdk_to_int, 0)
GETTER(pdk_get_number, double, number, to_number, 0)
GETTER(pdk_get_bool, bool, boolean, pdk_to_bool, false)

int pdk_confirm(struct kong *kong, enum pdk_id id, const struct kong_value *args, size_t count,
                const char *refused) {
    bool done;
    int error = pdk_get_bool(kong, id, args, count, &done);
    if (error == 0 && !done) {
        return pdk_fail(kong, id, KONG_E_KONG, "%s", refused);
    }
    return error;
}

int pdk_to_strings(struct kong *kong, enum pdk_id id, const char *what,
                   const struct kong_value *value, struct kong_strings *strings) {
    *strings = (struct kong_strings){NULL, 0};
    if (value->type == KONG_NIL || (value->type == KONG_MAP && value->map.count == 0)) {
        return KONG_OK; /* Lua does not tell an empty map from an empty list */
    }
    if (value->type != KONG_LIST) {
        return pdk_fail_type(kong, id, what, value);
    }
    struct kong_str *items = arena_array(pdk_arena(kong), value->list.count, sizeof *items);
    if (items == NULL) {
        return pdk_no_memory(kong);
    }
    for (size_t i = 0; i < value->list.count; i++) {
        if (value->list.items[i].type != KONG_STRING) {
            return pdk_fail_type(kong, id, what, &value->list.items[i]);
        }
        items[i] = value->list.items[i].string;
    }
    *strings = (struct kong_strings){items, value->list.count};
    return KONG_OK;
}
