#include "pdk_call.h"

#include <strings.h>

#define DEFAULT_HEADERS 100

/* --- From Kong --- */

static bool same_name(const struct kong_headers *headers, struct kong_str a, struct kong_str b) {
    return headers->exact ? kong_str_equal(a, b) : pdk_same_header(a, b);
}

const struct kong_header *kong_headers_find(const struct kong_headers *headers, const char *name) {
    struct kong_str wanted = kong_str(name);
    for (size_t i = 0; i < headers->count; i++) {
        if (same_name(headers, headers->items[i].name, wanted)) {
            return &headers->items[i];
        }
    }
    return NULL;
}

struct kong_str kong_headers_get(const struct kong_headers *headers, const char *name) {
    const struct kong_header *header = kong_headers_find(headers, name);
    return header == NULL ? (struct kong_str){NULL, 0} : header->values[0];
}

/* One value: a string, or true for an argument without `=`. */
static bool take_value(const struct kong_value *value, struct kong_header *header,
                       struct kong_str *to) {
    if (value->type == KONG_STRING) {
        *to = value->string;
        return true;
    }
    *to = (struct kong_str){"", 0};
    header->flag = true;
    return value->type == KONG_BOOLEAN && value->boolean;
}

/* The values of one name. ProtoBuf:1 has a string, true, or a list of them; MsgPack:1 has a list,
 * which is empty for an argument without `=`. */
static int take_values(struct kong *kong, enum pdk_id id, const struct kong_pair *pair,
                       struct kong_header *header) {
    static const struct kong_value flag = {.type = KONG_BOOLEAN, .boolean = true};
    const struct kong_value *from = &pair->value;
    size_t count = 1;
    if (from->type == KONG_LIST) {
        count = from->list.count;
        from = from->list.items;
    }
    if (count == 0) {
        count = 1;
        from = &flag;
    }
    struct kong_str *values = arena_array(pdk_arena(kong), count, sizeof *values);
    if (values == NULL) {
        return pdk_no_memory(kong);
    }
    *header = (struct kong_header){.name = pair->key, .values = values, .count = count};
    for (size_t i = 0; i < count; i++) {
        if (!take_value(&from[i], header, &values[i])) {
            return pdk_fail_type(kong, id, "a value", &from[i]);
        }
    }
    return KONG_OK;
}

int pdk_to_headers(struct kong *kong, enum pdk_id id, const struct kong_value *map, bool exact,
                   struct kong_headers *headers) {
    *headers = (struct kong_headers){.exact = exact};
    if (map->type == KONG_NIL || (map->type == KONG_LIST && map->list.count == 0)) {
        return KONG_OK; /* Lua does not tell an empty map from an empty list */
    }
    if (map->type != KONG_MAP) {
        return pdk_fail_type(kong, id, "the answer", map);
    }
    struct kong_header *items = arena_array(pdk_arena(kong), map->map.count, sizeof *items);
    size_t count = 0;
    if (items == NULL) {
        return pdk_no_memory(kong);
    }
    for (size_t i = 0; i < map->map.count; i++) {
        if (map->map.pairs[i].value.type == KONG_NIL) {
            continue;
        }
        int error = take_values(kong, id, &map->map.pairs[i], &items[count]);
        if (error != 0) {
            return error;
        }
        count++;
    }
    headers->items = items;
    headers->count = count;
    return KONG_OK;
}

/* On ProtoBuf:1 the number must be there: without it Kong reads 0, which it refuses. */
int pdk_get_headers(struct kong *kong, enum pdk_id id, unsigned most, bool exact,
                    struct kong_headers *headers) {
    *headers = (struct kong_headers){.exact = exact};
    if (most > PDK_MOST_HEADERS) {
        return pdk_fail(kong, id, KONG_E_INVALID, "at most %u, not %u", PDK_MOST_HEADERS, most);
    }
    struct kong_value number = kong_integer(most == 0 ? DEFAULT_HEADERS : most);
    bool leave_off = most == 0 && pdk_is_msgpack(kong);
    struct kong_value map;
    int error = pdk_get(kong, id, &number, leave_off ? 0 : 1, &map);
    return error != 0 ? error : pdk_to_headers(kong, id, &map, exact, headers);
}

/* --- To Kong --- */

static struct kong_value to_value(struct arena *arena, const struct kong_header *header) {
    if (header->flag && header->count == 1) {
        return kong_boolean(true);
    }
    if (header->count == 1) {
        return kong_bytes(header->values[0].data, header->values[0].len);
    }
    struct kong_value *items = arena_array(arena, header->count, sizeof *items);
    if (items == NULL) {
        return kong_nil();
    }
    for (size_t i = 0; i < header->count; i++) {
        items[i] = kong_bytes(header->values[i].data, header->values[i].len);
    }
    return kong_list(items, header->count);
}

int kong_headers_to_map(struct kong *kong, const struct kong_headers *headers,
                        struct kong_value *map) {
    struct kong_pair *pairs = arena_array(pdk_arena(kong), headers->count, sizeof *pairs);
    *map = kong_nil();
    if (pairs == NULL) {
        return pdk_no_memory(kong);
    }
    for (size_t i = 0; i < headers->count; i++) {
        pairs[i].key = headers->items[i].name;
        pairs[i].value = to_value(pdk_arena(kong), &headers->items[i]);
        if (pairs[i].value.type == KONG_NIL) {
            return pdk_no_memory(kong);
        }
    }
    *map = kong_map(pairs, headers->count);
    return KONG_OK;
}

int pdk_scalar(struct kong *kong, enum pdk_id id, const struct kong_value *value, bool booleans_too,
               struct kong_value *scalar) {
    struct kong_str text;
    *scalar = *value;
    switch (value->type) {
    case KONG_STRING:
    case KONG_NUMBER:
        return KONG_OK;
    case KONG_BOOLEAN:
        if (booleans_too) {
            *scalar = kong_string(value->boolean ? "true" : "false");
        }
        return KONG_OK;
    case KONG_INTEGER:
        text = arena_printf(pdk_arena(kong), "%lld", (long long)value->integer);
        *scalar = kong_bytes(text.data, text.len);
        return text.data == NULL ? pdk_no_memory(kong) : KONG_OK;
    default:
        return pdk_fail(kong, id, KONG_E_INVALID,
                        "a value must be a string, a number, a boolean, or a list of strings");
    }
}

/* Kong takes strings only in a list. */
static int check_value(struct kong *kong, enum pdk_id id, const struct kong_value *value,
                       struct kong_value *checked) {
    if (value->type != KONG_LIST) {
        return pdk_scalar(kong, id, value, true, checked);
    }
    *checked = *value;
    for (size_t i = 0; i < value->list.count; i++) {
        if (value->list.items[i].type != KONG_STRING) {
            return pdk_fail(kong, id, KONG_E_INVALID, "a list must be one of strings");
        }
    }
    return KONG_OK;
}

/* The upstream would see a list as "table: 0x7f…". */
static bool takes_one(enum pdk_id id, struct kong_str name) {
    return (id == PDK_SERVICE_REQUEST_SET_HEADER || id == PDK_SERVICE_REQUEST_ADD_HEADER ||
            id == PDK_SERVICE_REQUEST_SET_HEADERS) &&
           name.len == 4 && strncasecmp(name.data, "host", 4) == 0;
}

bool pdk_is_length(struct kong_str name) {
    return name.len == 14 && strncasecmp(name.data, "content", 7) == 0 &&
           (name.data[7] == '-' || name.data[7] == '_') &&
           strncasecmp(name.data + 8, "length", 6) == 0;
}

/* Kong sends the body as it is: what is more than the header says is taken for the next answer, or
 * for another request. */
static bool sets_length(enum pdk_id id, struct kong_str name) {
    return pdk_is_length(name) &&
           (id == PDK_RESPONSE_SET_HEADER || id == PDK_RESPONSE_ADD_HEADER ||
            id == PDK_RESPONSE_SET_HEADERS || id == PDK_SERVICE_REQUEST_SET_HEADER ||
            id == PDK_SERVICE_REQUEST_ADD_HEADER || id == PDK_SERVICE_REQUEST_SET_HEADERS);
}

static int check_name(struct kong *kong, enum pdk_id id, struct kong_str name) {
    if (name.data == NULL || name.len == 0) {
        return pdk_fail(kong, id, KONG_E_INVALID, "a header must have a name");
    }
    /* most names are not looked at */
    if (name.len == 14 && (name.data[0] | 32) == 'c' && sets_length(id, name)) {
        return pdk_fail(kong, id, KONG_E_INVALID, "Kong sets Content-Length by itself");
    }
    return KONG_OK;
}

int pdk_check_header(struct kong *kong, enum pdk_id id, struct kong_str name,
                     const struct kong_value *value, struct kong_value *checked) {
    *checked = *value;
    int error = check_name(kong, id, name);
    if (error == 0) {
        error = check_value(kong, id, value, checked);
    }
    if (error != 0 || checked->type != KONG_LIST || !takes_one(id, name)) {
        return error;
    }
    if (checked->list.count != 1) {
        return pdk_fail(kong, id, KONG_E_INVALID, "Host takes one value");
    }
    *checked = checked->list.items[0];
    return KONG_OK;
}

int pdk_check_headers(struct kong *kong, enum pdk_id id, struct kong_value headers, bool nil_too,
                      struct kong_value *checked) {
    *checked = headers;
    if (nil_too && headers.type == KONG_NIL) {
        return KONG_OK;
    }
    if (headers.type != KONG_MAP) {
        return pdk_fail(kong, id, KONG_E_INVALID, "headers must be a map");
    }
    struct kong_pair *pairs = arena_array(pdk_arena(kong), headers.map.count, sizeof *pairs);
    if (pairs == NULL) {
        return pdk_no_memory(kong);
    }
    for (size_t i = 0; i < headers.map.count; i++) {
        const struct kong_pair *from = &headers.map.pairs[i];
        pairs[i].key = from->key;
        int error = pdk_check_header(kong, id, from->key, &from->value, &pairs[i].value);
        if (error != 0) {
            return error;
        }
    }
    *checked = kong_map(pairs, headers.map.count);
    return KONG_OK;
}

bool pdk_takes_list(struct kong *kong, enum pdk_id id) {
    return id != PDK_SERVICE_REQUEST_ADD_HEADER &&
           !events_options(pdk_event(kong)->events)->kong_2_8;
}

/* Values that Kong does not take as a list: each is added by a call of its own; those that replace
 * a header go where Kong takes several headers. */
static int post_list(struct kong *kong, enum pdk_id id, const char *name,
                     const struct kong_value *values) {
    const struct pdk_method *many = pdk_merged(&pdk_methods[id]);
    int error = pdk_check_phase(kong, &pdk_methods[id]);
    if (error == 0 && many != NULL) {
        struct kong_pair pair = kong_pair(name, *values);
        return pdk_post(kong, (enum pdk_id)many->id, ARGS(kong_map(&pair, 1)));
    }
    for (size_t i = 0; error == 0 && i < values->list.count; i++) {
        error = pdk_post(kong, id, ARGS(kong_string(name), values->list.items[i]));
    }
    return error;
}

int pdk_post_header(struct kong *kong, enum pdk_id id, const char *name, struct kong_value value) {
    struct kong_value checked;
    int error = pdk_check_header(kong, id, kong_str(name), &value, &checked);
    if (error == 0 && checked.type == KONG_LIST && !pdk_takes_list(kong, id)) {
        return post_list(kong, id, name, &checked);
    }
    /* pdk_post, without a look at the name's type: it is the call that handlers make most */
    const struct pdk_method *method = &pdk_methods[id];
    error = error != 0 ? error : pdk_check_phase(kong, method);
    return error != 0 ? error
                      : event_post(pdk_event(kong), method, ARGS(kong_string(name), checked));
}

int pdk_post_header_name(struct kong *kong, enum pdk_id id, const char *name) {
    int error = check_name(kong, id, kong_str(name));
    return error != 0 ? error : pdk_post(kong, id, ARGS(kong_string(name)));
}
