/* Bodies by content type: forms, JSON, multipart, read and written. */
#include <stdlib.h>
#include <strings.h>

#include "buffer.h"
#include "sim_json.h"
#include "sim_pdk_call.h"
#include "value.h"

#define FORM      "application/x-www-form-urlencoded"
#define JSON      "application/json"
#define MULTIPART "multipart/form-data"

static bool starts_with(struct kong_str text, const char *prefix) {
    size_t len = strlen(prefix);
    return text.len >= len && strncasecmp(text.data, prefix, len) == 0;
}

/* The type without its parameters, in the case that Kong writes. */
static bool is_type(struct kong_str text, const char *type) {
    const char *semicolon = memchr(text.data, ';', text.len);
    size_t len = semicolon == NULL ? text.len : (size_t)(semicolon - text.data);
    return len == strlen(type) && memcmp(text.data, type, len) == 0;
}

/* The boundary of a multipart content type; {NULL, 0} when it names none. */
static struct kong_str boundary_of(struct kong_str content_type) {
    const char *at = memmem(content_type.data, content_type.len, "boundary=", 9);
    if (at == NULL) {
        return (struct kong_str){NULL, 0};
    }
    at += 9;
    size_t left = content_type.len - (size_t)(at - content_type.data);
    if (left > 0 && *at == '"') {
        const char *quote = memchr(at + 1, '"', left - 1);
        return (struct kong_str){at + 1, quote == NULL ? 0 : (size_t)(quote - at) - 1};
    }
    return (struct kong_str){at, left};
}

/* One part, without its boundary: headers, an empty line, the content and a line's end. */
static bool part_read(struct fields *fields, const char *part, size_t len) {
    const char *empty = memmem(part, len, "\r\n\r\n", 4);
    if (empty == NULL) {
        return true;
    }
    size_t head = (size_t)(empty - part);
    const char *name = memmem(part, head, "name=\"", 6);
    if (name == NULL) {
        return true;
    }
    name += 6;
    const char *quote = memchr(name, '"', head - (size_t)(name - part));
    const char *content = empty + 4;
    size_t size = len - (size_t)(content - part);
    if (quote == NULL) {
        return true;
    }
    if (size >= 2 && memcmp(content + size - 2, "\r\n", 2) == 0) {
        size -= 2;
    }
    return fields_add(fields, (struct kong_str){name, (size_t)(quote - name)},
                      (struct kong_str){content, size}, false);
}

static int multipart_read(struct call *call, struct kong_str body, struct kong_str content_type) {
    struct kong_str boundary = boundary_of(content_type);
    struct kong_str mark = arena_printf(call->arena, "--%.*s", (int)boundary.len,
                                        boundary.data == NULL ? "" : boundary.data);
    struct fields fields;
    fields_init(&fields, call->arena);
    if (mark.data == NULL) {
        return call_nomem(call);
    }
    const char *end = body.data + body.len;
    const char *part = NULL;
    const char *at = body.data;
    while (boundary.len > 0 && at < end) {
        const char *next = memmem(at, (size_t)(end - at), mark.data, mark.len);
        if (part != NULL &&
            !part_read(&fields, part, (size_t)((next == NULL ? end : next) - part))) {
            return call_nomem(call);
        }
        if (next == NULL) {
            break;
        }
        part = next + mark.len;
        at = part;
    }
    bool ok = query_to_map(&fields, 0, call->arena, call->result);
    return ok ? SIM_RESULT : call_nomem(call);
}

int body_decode(struct call *call, struct kong_str body, struct kong_str content_type,
                const struct kong_value *max_args) {
    if (starts_with(content_type, FORM)) {
        struct call limited = *call;
        struct fields fields;
        size_t max = 0;
        limited.args = max_args;
        limited.count = 1;
        int outcome = call_max(&limited, "max_args", &max);
        if (outcome != SIM_RESULT) {
            return outcome;
        }
        fields_init(&fields, call->arena);
        bool ok =
            query_parse(&fields, body) && query_to_map(&fields, max, call->arena, call->result);
        return ok ? SIM_RESULT : call_nomem(call);
    }
    if (starts_with(content_type, JSON)) {
        if (!json_to_value(call->arena, body, call->result) || !is_table(call->result)) {
            return call_fail(call, "invalid json body");
        }
        return SIM_RESULT;
    }
    if (starts_with(content_type, MULTIPART)) {
        return multipart_read(call, body, content_type);
    }
    return call_fail(call, "unsupported content type '%.*s'", (int)content_type.len,
                     content_type.data);
}

static int compare_pairs(const void *a, const void *b) {
    const struct kong_pair *left = a;
    const struct kong_pair *right = b;
    return strcmp(left->key.data, right->key.data);
}

/* Text of a map as multipart/form-data, parts sorted by name. */
static int multipart_write(struct call *call, const struct kong_value *args,
                           struct kong_str boundary, struct kong_str *body) {
    size_t count = args->type == KONG_MAP ? args->map.count : 0;
    struct kong_pair *pairs = arena_array(call->arena, count, sizeof *pairs);
    struct buffer out;
    if (pairs == NULL) {
        return call_nomem(call);
    }
    if (count > 0) {
        memcpy(pairs, args->map.pairs, count * sizeof *pairs);
        qsort(pairs, count, sizeof *pairs, compare_pairs);
    }
    buffer_init(&out, (size_t)64 << 20);
    for (size_t i = 0; i < count; i++) {
        struct kong_str text = lua_tostring(call->arena, &pairs[i].value);
        if (text.data == NULL) {
            buffer_free(&out);
            return call_raise(call,
                              "invalid value \"%s\": got %s, expected string, number or boolean",
                              pairs[i].key.data, lua_type(&pairs[i].value));
        }
        struct kong_str head = arena_printf(
            call->arena, "--%.*s\r\nContent-Disposition: form-data; name=\"%s\"\r\n\r\n",
            (int)boundary.len, boundary.data, pairs[i].key.data);
        buffer_append(&out, head.data, head.len);
        buffer_append(&out, text.data, text.len);
        buffer_append(&out, "\r\n", 2);
    }
    struct kong_str tail =
        arena_printf(call->arena, "--%.*s--\r\n", (int)boundary.len, boundary.data);
    buffer_append(&out, tail.data, tail.len);
    *body = out.failed ? (struct kong_str){NULL, 0} : arena_copy(call->arena, out.data, out.len);
    buffer_free(&out);
    return SIM_RESULT;
}

/* The body as text, and its content type where it gets one of its own. */
static int encode(struct call *call, const struct kong_value *args, struct kong_str *type,
                  struct kong_str *body) {
    struct kong_str key = {NULL, 0};
    const char *bad = "";
    if (is_type(*type, FORM)) {
        int result = query_encode(args, call->arena, body, &key, &bad);
        return result > 0 ? call_raise(call, "attempt to use %s as query arg value", bad)
                          : SIM_RESULT;
    }
    if (is_type(*type, JSON)) {
        *body = json_from_value(call->arena, args);
        return SIM_RESULT;
    }
    if (is_type(*type, MULTIPART)) {
        struct kong_str boundary = boundary_of(*type);
        if (boundary.data == NULL) {
            boundary = kong_str("8721656041");
        }
        *type = arena_printf(call->arena, MULTIPART "; boundary=%.*s", (int)boundary.len,
                             boundary.data);
        return multipart_write(call, args, boundary, body);
    }
    return call_raise(call, "unsupported content type %.*s", (int)type->len, type->data);
}

PDK_FUNCTION(SERVICE_REQUEST_SET_BODY) {
    struct sim_pdk *pdk = call->pdk;
    const struct kong_value *args = call_arg(call, 0);
    const struct kong_value *mime = call_arg(call, 1);
    const struct field *header = headers_find(&pdk->request.headers, kong_str("Content-Type"));
    struct kong_str type = header == NULL ? (struct kong_str){NULL, 0} : header->value;
    struct kong_str body = {NULL, 0};
    if (!is_table(args)) {
        return call_raise(call, "args must be a table");
    }
    if (mime->type != KONG_NIL && !is_string(mime)) {
        return call_raise(call, "mime must be a string");
    }
    if (is_string(mime)) {
        type = mime->string;
    }
    if (type.data == NULL) {
        return call_fail(call, "content type was neither explicitly given as an argument or "
                               "received as a header");
    }
    int outcome = encode(call, args, &type, &body);
    if (outcome != SIM_RESULT) {
        return outcome;
    }
    if (body.data == NULL || type.data == NULL || !replace_body(pdk, call->arena, body) ||
        !headers_set(&pdk->request.headers, kong_str("Content-Type"), type)) {
        return call_nomem(call);
    }
    return call_value(call, kong_boolean(true));
}
