/* kong.vault.*: references as Kong and LuaSocket take them apart. */
#include <stdlib.h>

#include "sim_pdk_call.h"

static bool is_reference(const struct kong_value *value) {
    return is_string(value) && value->string.len >= 10 &&
           memcmp(value->string.data, "{vault://", 9) == 0 &&
           value->string.data[value->string.len - 1] == '}';
}

PDK_FUNCTION(VAULT_IS_REFERENCE) {
    return call_value(call, kong_boolean(is_reference(call_arg(call, 0))));
}

static int no_reference(struct call *call) {
    struct kong_str text = lua_tostring(call->arena, call_arg(call, 0));
    return call_fail(call, "not a reference [%s]", text.data == NULL ? "nil" : text.data);
}

/* Cuts the text at a character; what is behind it, or NULL. */
static char *cut(char *text, char at) {
    char *found = strchr(text, at);
    if (found != NULL) {
        *found++ = '\0';
    }
    return found;
}

/* The host in "user@host:port". */
static char *host_of(char *authority) {
    char *at = strchr(authority, '@');
    char *host = at == NULL ? authority : at + 1;
    char *colon = strrchr(host, ':');
    if (colon != NULL && strchr(colon, ']') == NULL) {
        *colon = '\0';
    }
    return host;
}

/* "a//b/c" without empty segments, each decoded; a slash at the end stays out. *last: the last
 * segment, when there are several and the path does not end in a slash. False when out of memory.
 */
static bool split_path(struct arena *arena, char *path, struct kong_str *resource,
                       struct kong_str *last) {
    bool directory = path[0] != '\0' && path[strlen(path) - 1] == '/';
    size_t count = 0;
    *resource = *last = (struct kong_str){NULL, 0};
    for (char *save = NULL, *part = strtok_r(path, "/", &save); part != NULL;
         part = strtok_r(NULL, "/", &save)) {
        struct kong_str text = uri_unescape(arena, kong_str(part), false);
        if (last->data != NULL) {
            *resource =
                count == 1 ? *last : arena_printf(arena, "%s/%s", resource->data, last->data);
        }
        *last = text;
        count++;
        if (text.data == NULL || (count > 1 && resource->data == NULL)) {
            return false;
        }
    }
    if (count == 1 || directory) {
        *resource = count <= 1 ? *last : arena_printf(arena, "%s/%s", resource->data, last->data);
        *last = (struct kong_str){NULL, 0};
    }
    return true;
}

struct reference {
    struct kong_str name, resource, key;
    char *query, *version;
};

/* SIM_RESULT; SIM_FAILED with Kong's text; SIM_RAISED when out of memory. */
static int take_apart(struct call *call, struct reference *to) {
    const char *whole = call_arg(call, 0)->string.data;
    struct kong_str text = arena_copy(call->arena, whole + 9, strlen(whole) - 10);
    if (text.data == NULL) {
        return call_nomem(call);
    }
    char *authority = (char *)(uintptr_t)text.data;
    to->version = cut(authority, '#');
    char *path = strchr(authority, '/');
    struct kong_str rest =
        arena_copy(call->arena, path == NULL ? "" : path, path == NULL ? 0 : strlen(path));
    if (rest.data == NULL) {
        return call_nomem(call);
    }
    if (path != NULL) {
        *path = '\0';
    }
    path = (char *)(uintptr_t)rest.data;
    to->query = cut(path, '?');
    cut(path, ';');
    to->name = kong_str(host_of(authority));
    if (to->name.len == 0) {
        return call_fail(call, "reference url is missing host [%s]", whole);
    }
    if (path[0] == '\0') {
        return call_fail(call, "reference url is missing path [%s]", whole);
    }
    if (path[1] == '\0') {
        return call_fail(call, "reference url has empty path [%s]", whole);
    }
    if (!split_path(call->arena, path, &to->resource, &to->key)) {
        return call_nomem(call);
    }
    return to->resource.data == NULL ? call_fail(call, "reference url has invalid path [%s]", whole)
                                     : SIM_RESULT;
}

/* "{vault://env/cert/key?prefix=SSL_#1}": name, resource, and where they are there key, config and
 * version. */
PDK_FUNCTION(VAULT_PARSE_REFERENCE) {
    struct reference reference = {0};
    struct fields config;
    struct kong_pair *pairs = arena_array(call->arena, 5, sizeof *pairs);
    size_t count = 0;
    if (!is_reference(call_arg(call, 0))) {
        return no_reference(call);
    }
    int outcome = pairs == NULL ? call_nomem(call) : take_apart(call, &reference);
    if (outcome != SIM_RESULT) {
        return outcome;
    }
    pairs[count++] = kong_pair("name", kong_bytes(reference.name.data, reference.name.len));
    struct kong_str resource = uri_unescape(call->arena, reference.resource, true);
    pairs[count++] = kong_pair("resource", kong_bytes(resource.data, resource.len));
    if (reference.key.data != NULL) {
        struct kong_str key = uri_unescape(call->arena, reference.key, true);
        pairs[count++] = kong_pair("key", kong_bytes(key.data, key.len));
    }
    if (reference.version != NULL) {
        char *end = NULL;
        long version = strtol(reference.version, &end, 10);
        if (end == reference.version || *end != '\0') {
            return call_fail(call, "reference url has invalid version [%s]",
                             call_arg(call, 0)->string.data);
        }
        pairs[count++] = kong_pair("version", kong_integer(version));
    }
    if (reference.query != NULL && reference.query[0] != '\0') {
        fields_init(&config, call->arena);
        pairs[count].key = kong_str("config");
        if (!query_parse(&config, kong_str(reference.query)) ||
            !query_to_map(&config, 100, call->arena, &pairs[count++].value)) {
            return call_nomem(call);
        }
    }
    return call_value(call, kong_map(pairs, count));
}

PDK_FUNCTION(VAULT_GET) {
    const struct kong_value *reference = call_arg(call, 0);
    if (!is_reference(reference)) {
        return no_reference(call);
    }
    const struct kong_value *secret = sim_map_get(&call->pdk->vault, reference->string);
    return secret == NULL ? call_fail(call, "could not get value from external vault")
                          : call_value(call, *secret);
}
