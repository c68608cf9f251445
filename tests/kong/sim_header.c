/* Headers as Kong checks them, nginx keeps them and Lua reads them. */
#include "sim_pdk_call.h"
#include "value.h"

static int check_value(struct call *call, const struct kong_value *name,
                       const struct kong_value *value) {
    if (!is_string(name)) {
        struct kong_str text = lua_tostring(call->arena, name);
        return call_raise(call, "invalid header name \"%s\": got %s, expected string",
                          text.data == NULL ? lua_type(name) : text.data, lua_type(name));
    }
    if (value->type == KONG_LIST) {
        for (size_t i = 0; i < value->list.count; i++) {
            if (!is_string(&value->list.items[i])) {
                return call_raise(
                    call, "invalid header value in array \"%.*s\": got %s, expected string",
                    (int)name->string.len, name->string.data, lua_type(&value->list.items[i]));
            }
        }
    } else if (value->type == KONG_NIL) {
        return call_raise(call,
                          "invalid header value for \"%.*s\": got nil, expected array of string, "
                          "string, number or boolean",
                          (int)name->string.len, name->string.data);
    }
    /* A table without a list part has nothing for ipairs to see: it passes. */
    return SIM_RESULT;
}

int check_header(struct call *call, const struct kong_value *name, const struct kong_value *value) {
    if (call->pdk->kong_2_8 && is_string(name) && is_table(value)) {
        return call_raise(
            call,
            "invalid header value for \"%.*s\": got table, expected string, number or boolean",
            (int)name->string.len, name->string.data);
    }
    return check_value(call, name, value);
}

int check_headers(struct call *call, const struct kong_value *map) {
    if (!is_table(map)) {
        return call_raise(call, "headers must be a table");
    }
    if (map->type == KONG_LIST && map->list.count > 0) {
        return call_raise(call, "invalid header name \"1\": got number, expected string");
    }
    for (size_t i = 0; map->type == KONG_MAP && i < map->map.count; i++) {
        const struct kong_pair *pair = &map->map.pairs[i];
        struct kong_value name = kong_bytes(pair->key.data, pair->key.len);
        if (pair->value.type == KONG_NIL) {
            continue; /* a table has no nil in it */
        }
        int outcome = check_value(call, &name, &pair->value);
        if (outcome != SIM_RESULT) {
            return outcome;
        }
    }
    return SIM_RESULT;
}

/* The bytes that OpenResty percent-encodes in a header that Lua sets. */
static bool odd_in_name(unsigned char c) {
    return c < 33 || c >= 127 || strchr("\"(),/:;<=>?@[\\]{}", c) != NULL;
}

static bool odd_in_value(unsigned char c) {
    return (c < 32 && c != '\t') || c == 127;
}

static struct kong_str encode(struct arena *arena, struct kong_str text,
                              bool odd(unsigned char byte)) {
    static const char digits[] = "0123456789ABCDEF";
    char *out = arena_array(arena, text.len + 1, 3);
    size_t n = 0;
    if (out == NULL) {
        return (struct kong_str){NULL, 0};
    }
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.data[i];
        if (odd(c)) {
            out[n++] = '%';
            out[n++] = digits[c >> 4];
            out[n++] = digits[c & 15];
        } else {
            out[n++] = (char)c;
        }
    }
    out[n] = '\0';
    return (struct kong_str){out, n};
}

static bool write_one(struct fields *headers, struct arena *scratch, struct kong_str name,
                      const struct kong_value *value, bool replace) {
    struct kong_str text = lua_tostring(scratch, value);
    if (text.data == NULL) {
        return false;
    }
    text = text.len == 0 ? kong_str(" ") : encode(scratch, text, odd_in_value);
    if (text.data == NULL) {
        return false;
    }
    return replace ? headers_set(headers, name, text) : fields_add(headers, name, text, false);
}

bool header_write(struct fields *headers, struct arena *scratch, struct kong_str raw_name,
                  const struct kong_value *value, bool replace) {
    struct kong_str name = encode(scratch, raw_name, odd_in_name);
    if (name.data == NULL) {
        return false;
    }
    if (!is_table(value)) {
        return write_one(headers, scratch, name, value, replace);
    }
    if (value->type == KONG_MAP || value->list.count == 0) {
        if (replace) {
            headers_clear(headers, name);
        }
        return true;
    }
    for (size_t i = 0; i < value->list.count; i++) {
        if (!write_one(headers, scratch, name, &value->list.items[i], replace && i == 0)) {
            return false;
        }
    }
    return true;
}

struct kong_str response_name(struct arena *arena, struct kong_str name) {
    char *out = arena_alloc(arena, name.len + 1);
    if (out == NULL) {
        return (struct kong_str){NULL, 0};
    }
    for (size_t i = 0; i < name.len; i++) {
        out[i] = name.data[i] == '_' ? '-' : name.data[i];
    }
    out[name.len] = '\0';
    return (struct kong_str){out, name.len};
}

/* nginx joins the lines of a header that repeats by ", ", those of Cookie by "; ". */
bool header_variable(const struct fields *headers, struct kong_str name, struct arena *arena,
                     struct kong_str *value) {
    const char *between = header_name_equal(name, kong_str("cookie")) ? "; " : ", ";
    *value = (struct kong_str){NULL, 0};
    for (size_t i = 0; i < headers->count; i++) {
        const struct field *field = &headers->items[i];
        if (!header_name_equal(field->name, name)) {
            continue;
        }
        *value = value->data == NULL
                     ? field->value
                     : arena_printf(arena, "%s%s%s", value->data, between, field->value.data);
        if (value->data == NULL) {
            return false;
        }
    }
    return true;
}

static const struct kong_value *find_in_lower_case(const struct kong_value *map,
                                                   struct kong_str name, struct arena *arena) {
    char *lower = arena_alloc(arena, name.len + 1);
    if (lower == NULL) {
        return NULL;
    }
    for (size_t i = 0; i < name.len; i++) {
        char c = name.data[i];
        lower[i] = c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
    }
    lower[name.len] = '\0';
    const struct kong_value *value = sim_map_get(map, (struct kong_str){lower, name.len});
    if (value == NULL) {
        struct kong_str dashes = response_name(arena, (struct kong_str){lower, name.len});
        value = dashes.data == NULL ? NULL : sim_map_get(map, dashes);
    }
    return value;
}

struct kong_str table_header(const struct kong_value *map, struct kong_str name,
                             struct arena *arena) {
    const struct kong_value *value = sim_map_get(map, name);
    if (value == NULL) {
        value = find_in_lower_case(map, name, arena);
    }
    if (value != NULL && value->type == KONG_LIST) {
        value = &value->list.items[0];
    }
    return value == NULL || !is_string(value) ? (struct kong_str){NULL, 0} : value->string;
}

/* nginx keeps these apart from the other headers. They count for the limit, but are there in any
 * case, and with them one header at least. */
static const char *const apart[] = {"content-type", "connection", NULL};

bool response_table(struct sim_pdk *pdk, struct arena *arena, size_t max, struct kong_value *map) {
    struct fields all;
    fields_init(&all, arena);
    for (size_t i = 0; i < pdk->client.headers.count; i++) {
        const struct field *field = &pdk->client.headers.items[i];
        if (!fields_add(&all, field->name, field->value, false)) {
            return false;
        }
    }
    if (headers_find(&all, kong_str("connection")) == NULL &&
        !fields_add(&all, kong_str("connection"), kong_str("keep-alive"), false)) {
        return false;
    }
    size_t first = 0;
    for (size_t i = 0; apart[i] != NULL; i++) {
        first += headers_find(&all, kong_str(apart[i])) != NULL;
    }
    return headers_to_map(&all, max > first ? max - first : 1, apart, arena, map);
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

int response_set(struct call *call, struct kong_str name, const struct kong_value *value) {
    if (is_transfer_encoding(name)) {
        return warn_transfer_encoding(call);
    }
    struct kong_str sent = response_name(call->arena, name);
    return sent.data != NULL &&
                   header_write(&call->pdk->client.headers, call->arena, sent, value, true)
               ? call_nil(call)
               : call_nomem(call);
}

int response_set_all(struct call *call, const struct kong_value *map) {
    for (size_t i = 0; map->type == KONG_MAP && i < map->map.count; i++) {
        const struct kong_pair *pair = &map->map.pairs[i];
        if (pair->value.type == KONG_NIL) {
            continue;
        }
        int outcome = response_set(call, pair->key, &pair->value);
        if (outcome != SIM_RESULT) {
            return outcome;
        }
    }
    return call_nil(call);
}
