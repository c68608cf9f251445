/* What all PDK functions share: arguments, results, checks. */
#include "sim_pdk_call.h"

#include <stdarg.h>
#include <stdio.h>

#include "value.h"

const struct kong_value *call_arg(const struct call *call, size_t index) {
    static const struct kong_value nil = {.type = KONG_NIL};
    return index < call->count ? &call->args[index] : &nil;
}

__attribute__((format(printf, 2, 0))) static void set_text(struct call *call, const char *format,
                                                           va_list list) {
    char text[1024];
    int len = vsnprintf(text, sizeof text, format, list);
    size_t used = len < 0 ? 0 : (size_t)len;
    if (used >= sizeof text) {
        used = sizeof text - 1;
    }
    struct kong_str own = arena_copy(call->arena, text, used);
    *call->result =
        own.data == NULL ? kong_string("not enough memory") : kong_bytes(own.data, own.len);
}

int call_raise(struct call *call, const char *format, ...) {
    va_list list;
    va_start(list, format);
    set_text(call, format, list);
    va_end(list);
    return SIM_RAISED;
}

int call_fail(struct call *call, const char *format, ...) {
    va_list list;
    va_start(list, format);
    set_text(call, format, list);
    va_end(list);
    return SIM_FAILED;
}

int call_nomem(struct call *call) {
    *call->result = kong_string("not enough memory");
    return SIM_RAISED;
}

int call_value(struct call *call, struct kong_value value) {
    *call->result = value;
    return SIM_RESULT;
}

int call_nil(struct call *call) {
    return call_value(call, kong_nil());
}

int call_string(struct call *call, struct kong_str text) {
    return call_value(call, text.data == NULL ? kong_nil() : kong_bytes(text.data, text.len));
}

int call_integer(struct call *call, int64_t integer) {
    return call_value(call, kong_integer(integer));
}

bool is_table(const struct kong_value *value) {
    return value->type == KONG_LIST || value->type == KONG_MAP;
}

bool is_number(const struct kong_value *value) {
    return value->type == KONG_INTEGER || value->type == KONG_NUMBER;
}

double to_number(const struct kong_value *value) {
    return value->type == KONG_INTEGER ? (double)value->integer : value->number;
}

bool is_string(const struct kong_value *value) {
    return value->type == KONG_STRING;
}

int call_max(struct call *call, const char *what, size_t *max) {
    const struct kong_value *arg = call_arg(call, 0);
    *max = 100;
    if (arg->type == KONG_NIL) {
        return SIM_RESULT;
    }
    if (!is_number(arg)) {
        return call_raise(call, "%s must be a number", what);
    }
    if (to_number(arg) < 1) {
        return call_raise(call, "%s must be >= 1", what);
    }
    if (to_number(arg) > 1000) {
        return call_raise(call, "%s must be <= 1000", what);
    }
    *max = (size_t)to_number(arg);
    return SIM_RESULT;
}

static struct kong_str joined(struct call *call) {
    struct kong_str text = kong_str("");
    for (size_t i = 0; i < call->count; i++) {
        struct kong_str part = lua_tostring(call->arena, &call->args[i]);
        if (part.data == NULL) {
            part = kong_str(is_table(&call->args[i]) ? SIM_TABLE_TEXT : "nil");
        }
        char *both = arena_alloc(call->arena, text.len + part.len + 1);
        if (both == NULL) {
            return (struct kong_str){NULL, 0};
        }
        memcpy(both, text.data, text.len);
        memcpy(both + text.len, part.data, part.len);
        both[text.len + part.len] = '\0';
        text = (struct kong_str){both, text.len + part.len};
    }
    return text;
}

int log_append(struct call *call, const char *level) {
    struct sim_pdk *pdk = call->pdk;
    struct kong_str text = joined(call);
    if (text.data == NULL) {
        return call_nomem(call);
    }
    if (pdk->log_count == pdk->log_capacity) {
        size_t capacity = pdk->log_capacity == 0 ? 16 : pdk->log_capacity * 2;
        struct sim_log *logs = arena_array(&pdk->memory, capacity, sizeof *logs);
        if (logs == NULL) {
            return call_nomem(call);
        }
        if (pdk->log_count > 0) {
            memcpy(logs, pdk->logs, pdk->log_count * sizeof *logs);
        }
        pdk->logs = logs;
        pdk->log_capacity = capacity;
    }
    struct sim_log *log = &pdk->logs[pdk->log_count];
    *log = (struct sim_log){kong_str(level), state_copy(pdk, text)};
    if (log->text.data == NULL) {
        return call_nomem(call);
    }
    pdk->log_count++;
    return call_nil(call);
}
