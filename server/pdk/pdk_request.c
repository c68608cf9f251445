#include "pdk_entities.h"

#include <stdlib.h>

PDK_GET_STR(kong_request_get_scheme, PDK_REQUEST_GET_SCHEME, scheme)
PDK_GET_STR(kong_request_get_host, PDK_REQUEST_GET_HOST, host)
PDK_GET_INT(kong_request_get_port, PDK_REQUEST_GET_PORT, port)
PDK_GET_STR(kong_request_get_forwarded_scheme, PDK_REQUEST_GET_FORWARDED_SCHEME, scheme)
PDK_GET_STR(kong_request_get_forwarded_host, PDK_REQUEST_GET_FORWARDED_HOST, host)
PDK_GET_INT(kong_request_get_forwarded_port, PDK_REQUEST_GET_FORWARDED_PORT, port)
PDK_GET_STR(kong_request_get_forwarded_path, PDK_REQUEST_GET_FORWARDED_PATH, path)
PDK_GET_STR(kong_request_get_forwarded_prefix, PDK_REQUEST_GET_FORWARDED_PREFIX, prefix)
PDK_GET_NUMBER(kong_request_get_http_version, PDK_REQUEST_GET_HTTP_VERSION, version)
PDK_GET_STR(kong_request_get_method, PDK_REQUEST_GET_METHOD, method)
PDK_GET_STR(kong_request_get_path, PDK_REQUEST_GET_PATH, path)
PDK_GET_STR(kong_request_get_raw_path, PDK_REQUEST_GET_RAW_PATH, path)
PDK_GET_STR(kong_request_get_path_with_query, PDK_REQUEST_GET_PATH_WITH_QUERY, path)
PDK_GET_NUMBER(kong_request_get_start_time, PDK_REQUEST_GET_START_TIME, ms)

int kong_request_get_raw_query(struct kong *kong, struct kong_str *query) {
    int error = pdk_get_str(kong, PDK_REQUEST_GET_RAW_QUERY, NO_ARGS, query);
    if (error == 0 && query->data == NULL) { /* what ProtoBuf:1 makes of "" */
        *query = (struct kong_str){"", 0};
    }
    return error;
}

/* On ProtoBuf:1 Kong's own function raises on an argument without `=`, which any client can send,
 * and gives nil for an empty one. */
static int get_query_arg_of_all(struct kong *kong, const char *name, struct kong_str *value) {
    struct kong_headers query;
    if (name == NULL) {
        return pdk_fail(kong, PDK_REQUEST_GET_QUERY_ARG, KONG_E_INVALID,
                        "the first argument must be a string");
    }
    int error = kong_request_get_query(kong, PDK_MOST_HEADERS, &query);
    if (error == 0) {
        *value = kong_headers_get(&query, name);
    }
    return error;
}

int kong_request_get_query_arg(struct kong *kong, const char *name, struct kong_str *value) {
    struct kong_value answer;
    *value = (struct kong_str){NULL, 0};
    if (!pdk_is_msgpack(kong)) {
        return get_query_arg_of_all(kong, name, value);
    }
    int error = pdk_get(kong, PDK_REQUEST_GET_QUERY_ARG, ARGS(kong_string(name)), &answer);
    if (error != 0 || answer.type == KONG_NIL) {
        return error;
    }
    if (answer.type == KONG_BOOLEAN && answer.boolean) { /* an argument without `=` */
        answer = kong_bytes("", 0);
    }
    return pdk_to_str(kong, PDK_REQUEST_GET_QUERY_ARG, "the answer", &answer, value);
}

int kong_request_get_query(struct kong *kong, unsigned most, struct kong_headers *query) {
    return pdk_get_headers(kong, PDK_REQUEST_GET_QUERY, most, true, query);
}

PDK_GET_STR_OF(kong_request_get_header, PDK_REQUEST_GET_HEADER)
PDK_GET_HEADERS(kong_request_get_headers, PDK_REQUEST_GET_HEADERS)

/* --- What the router cut out of the path --- */

/* A group that took no part is false in Lua, and nil where a list or map cannot hold that. */
static int take_capture(struct kong *kong, const struct kong_value *value, struct kong_str *to) {
    if (value->type == KONG_NIL || (value->type == KONG_BOOLEAN && !value->boolean)) {
        *to = (struct kong_str){NULL, 0};
        return KONG_OK;
    }
    return pdk_to_str(kong, PDK_REQUEST_GET_URI_CAPTURES, "a capture", value, to);
}

/* The groups by their numbers; 0, the whole match, is left out. */
static size_t group_of(struct kong_str key, size_t most) {
    char *end;
    unsigned long number = strtoul(key.data, &end, 10);
    return *end == '\0' && number <= most ? number : 0;
}

/* A Lua table with holes, or with a 0, travels as a map of numbers on MsgPack:1. */
static int take_numbered(struct kong *kong, const struct kong_value *map, struct kong_str *items,
                         size_t *count) {
    for (size_t i = 0; i < map->map.count; i++) {
        size_t number = group_of(map->map.pairs[i].key, *count);
        int error =
            number == 0 ? 0 : take_capture(kong, &map->map.pairs[i].value, &items[number - 1]);
        if (error != 0) {
            return error;
        }
    }
    while (*count > 0 && items[*count - 1].data == NULL) {
        (*count)--;
    }
    return KONG_OK;
}

/* The highest number is the number of groups, up to the most that a path can have. */
#define MOST_GROUPS 1024u

static size_t highest_group(const struct kong_value *map) {
    size_t highest = 0;
    for (size_t i = 0; i < map->map.count; i++) {
        size_t number = group_of(map->map.pairs[i].key, MOST_GROUPS);
        highest = number > highest ? number : highest;
    }
    return highest;
}

static int take_unnamed(struct kong *kong, const struct kong_value *from,
                        struct kong_strings *unnamed) {
    size_t count = from->type == KONG_LIST  ? from->list.count
                   : from->type == KONG_MAP ? highest_group(from)
                                            : 0;
    struct kong_str *items = arena_array(pdk_arena(kong), count, sizeof *items);
    if (items == NULL) {
        return pdk_no_memory(kong);
    }
    memset(items, 0, count * sizeof *items);
    int error = 0;
    if (from->type == KONG_MAP) {
        error = take_numbered(kong, from, items, &count);
    }
    for (size_t i = 0; from->type == KONG_LIST && i < count && error == 0; i++) {
        error = take_capture(kong, &from->list.items[i], &items[i]);
    }
    if (error == 0) {
        *unnamed = (struct kong_strings){items, count};
    }
    return error;
}

static int take_named(struct kong *kong, const struct kong_value *from,
                      struct kong_captures *captures) {
    size_t count = from->type == KONG_MAP ? from->map.count : 0;
    struct kong_capture *named = arena_array(pdk_arena(kong), count, sizeof *named);
    if (named == NULL) {
        return pdk_no_memory(kong);
    }
    for (size_t i = 0; i < count; i++) {
        named[i].name = from->map.pairs[i].key;
        int error = take_capture(kong, &from->map.pairs[i].value, &named[i].value);
        if (error != 0) {
            return error;
        }
    }
    captures->named = named;
    captures->named_count = count;
    return KONG_OK;
}

int kong_request_get_uri_captures(struct kong *kong, struct kong_captures *captures) {
    struct kong_value answer = kong_nil();
    int error = pdk_get_entity(kong, PDK_REQUEST_GET_URI_CAPTURES, NO_ARGS, NULL, 0, captures,
                               sizeof *captures, &answer);
    const struct kong_value *unnamed = kong_map_get(&answer, "unnamed");
    const struct kong_value *named = kong_map_get(&answer, "named");
    if (unnamed != NULL) {
        error = take_unnamed(kong, unnamed, &captures->unnamed);
    }
    if (error == 0 && named != NULL) {
        error = take_named(kong, named, captures);
    }
    if (error != 0) {
        memset(captures, 0, sizeof *captures);
    }
    return error;
}
