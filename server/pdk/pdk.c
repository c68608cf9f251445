#include "pdk_call.h"

#include <stdarg.h>
#include <stdio.h>

#include "limit.h"
#include "printable.h"
#include "value.h"

const char *kong_error_text(struct kong *kong) {
    const struct event *event = pdk_event(kong);
    return event->error.data != NULL ? event->error.data : kong_strerror(event->error_rc);
}

void *kong_instance_state(struct kong *kong) {
    return pdk_event(kong)->instance->state;
}

void *kong_process_data(struct kong *kong) {
    return pdk_event(kong)->plugin->data;
}

enum kong_phase kong_get_phase(struct kong *kong) {
    const struct event *event = pdk_event(kong);
    return event->job == NULL ? event->phase : KONG_PHASE_COUNT;
}

/* --- Memory and values --- */

/* The text is static: there is no memory to make one. */
void *kong_alloc(struct kong *kong, size_t size) {
    const struct arena *arena = pdk_arena(kong);
    void *memory = arena_alloc(pdk_arena(kong), size);
    if (memory == NULL) {
        bool limited = arena->used > arena->limit || size > arena->limit - arena->used;
        const char *text = limited ? "an event may have 268,435,456 bytes of memory, and wants more"
                                   : "out of memory: the system gives no more";
        event_fail(pdk_event(kong), KONG_E_NOMEM, kong_str(text));
    }
    return memory;
}

int kong_fail(struct kong *kong, const char *format, ...) {
    char text[PRINTABLE_KONG_LINE];
    va_list args;
    va_start(args, format);
    int len = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    struct kong_str copy = {NULL, 0};
    if (len >= 0) {
        copy = arena_copy(pdk_arena(kong), text, strlen(text));
    }
    return event_fail(pdk_event(kong), KONG_E_FAILED, copy);
}

struct kong_str kong_printf(struct kong *kong, const char *format, ...) {
    va_list args;
    va_start(args, format);
    int len = vsnprintf(NULL, 0, format, args);
    va_end(args);
    char *text = len < 0 ? NULL : kong_alloc(kong, (size_t)len + 1);
    if (text == NULL) {
        return (struct kong_str){NULL, 0};
    }
    va_start(args, format);
    vsnprintf(text, (size_t)len + 1, format, args);
    va_end(args);
    return (struct kong_str){text, (size_t)len};
}

const struct kong_value *kong_map_get(const struct kong_value *map, const char *key) {
    return map == NULL ? NULL : value_get(map, key);
}

bool kong_to_integer(const struct kong_value *value, int64_t *integer) {
    *integer = 0;
    return value != NULL && value_to_integer(value, integer);
}

bool kong_to_number(const struct kong_value *value, double *number) {
    *number = 0;
    if (value != NULL && value->type == KONG_INTEGER) {
        *number = (double)value->integer;
        return true;
    }
    if (value != NULL && value->type == KONG_NUMBER) {
        *number = value->number;
        return true;
    }
    return false;
}

struct kong_str kong_to_str(const struct kong_value *value) {
    if (value == NULL || value->type != KONG_STRING) {
        return (struct kong_str){NULL, 0};
    }
    return value->string;
}

_Static_assert(KONG_LIMIT_MEMORY == LIMIT_EVENT_MEMORY && KONG_LIMIT_NESTING == LIMIT_NESTING &&
                   KONG_LIMIT_ELEMENTS == LIMIT_ELEMENTS && KONG_LIMIT_POSTED == LIMIT_POSTED,
               "what the headers say is so");
