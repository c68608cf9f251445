/* What a test can see of a request. */
#include <strings.h>

#include "kong_test_inside.h"
#include "sim_pdk_call.h"

const char *kong_test_error(const struct kong_test *test) {
    return test->error;
}

bool kong_test_reached_upstream(const struct kong_test *test) {
    return test->reached_upstream;
}

static const char *text(struct kong_str str) {
    return str.data == NULL ? "" : str.data;
}

const char *kong_test_sent_method(const struct kong_test *test) {
    return text(sim_pdk_sent_method(test->pdk));
}

const char *kong_test_sent_scheme(const struct kong_test *test) {
    return text(test->pdk->upstream.scheme);
}

const char *kong_test_sent_to(const struct kong_test *test) {
    return text(test->pdk->upstream.host);
}

int kong_test_sent_port(const struct kong_test *test) {
    return test->pdk->upstream.port;
}

/* nginx would drop a '?' with nothing behind it: Kong puts it back. */
const char *kong_test_sent_path(const struct kong_test *test) {
    const struct sim_pdk *pdk = test->pdk;
    struct kong_str uri = pdk->request.request_uri;
    bool mark =
        pdk->upstream.query_joined && pdk->request.args.len == 0 && uri.data[uri.len - 1] == '?';
    return mark ? text(arena_printf(&test->pdk->memory, "%s?", text(pdk->upstream.path)))
                : text(pdk->upstream.path);
}

const char *kong_test_sent_query(const struct kong_test *test) {
    return text(test->pdk->request.args);
}

static const char *body(struct kong_str str, size_t *len) {
    if (len != NULL) {
        *len = str.len;
    }
    return text(str);
}

const char *kong_test_sent_body(const struct kong_test *test, size_t *len) {
    return body(test->pdk->request.body, len);
}

/* A reader of HTTP takes no spaces in front of a value for a part of it; Kong sends " " for "". */
static const char *value_at(const struct fields *headers, const char *name, size_t index) {
    for (size_t i = 0; i < headers->count; i++) {
        if (header_name_equal(headers->items[i].name, kong_str(name)) && index-- == 0) {
            const char *value = headers->items[i].value.data;
            return value + strspn(value, " ");
        }
    }
    return NULL;
}

/* What Kong sends in place of what came; NULL for another name. */
static const struct kong_str *forwarded(const struct kong_test *test, const char *name) {
    static const char *const names[SIM_FORWARDED_COUNT] = {
        [SIM_FORWARDED_FOR] = "X-Forwarded-For",       [SIM_FORWARDED_PROTO] = "X-Forwarded-Proto",
        [SIM_FORWARDED_HOST] = "X-Forwarded-Host",     [SIM_FORWARDED_PORT] = "X-Forwarded-Port",
        [SIM_FORWARDED_PATH] = "X-Forwarded-Path",     [SIM_REAL_IP] = "X-Real-IP",
        [SIM_FORWARDED_PREFIX] = "X-Forwarded-Prefix",
    };
    for (size_t i = 0; i < SIM_FORWARDED_COUNT && test->pdk->upstream.routed; i++) {
        if (strcasecmp(name, names[i]) == 0) {
            return &test->pdk->upstream.forwarded[i];
        }
    }
    return NULL;
}

/* What belongs to one connection goes to no other. */
static bool hop_by_hop(const char *name) {
    return strcasecmp(name, "transfer-encoding") == 0 || strcasecmp(name, "keep-alive") == 0 ||
           strcasecmp(name, "expect") == 0;
}

/* The Host that goes out is the service's, unless a plugin or the route wants it otherwise. */
const char *kong_test_sent_header_at(const struct kong_test *test, const char *name, size_t index) {
    const struct kong_str *own = forwarded(test, name);
    if (strcasecmp(name, "host") == 0 && test->pdk->upstream.host_header.data != NULL) {
        return index == 0 ? test->pdk->upstream.host_header.data : NULL;
    }
    if (own != NULL) {
        return index == 0 ? own->data : NULL;
    }
    return hop_by_hop(name) ? NULL : value_at(&test->pdk->request.headers, name, index);
}

const char *kong_test_sent_header(const struct kong_test *test, const char *name) {
    return kong_test_sent_header_at(test, name, 0);
}

int kong_test_response_status(const struct kong_test *test) {
    return test->pdk->client.status;
}

const char *kong_test_response_body(const struct kong_test *test, size_t *len) {
    return body(test->pdk->client.body, len);
}

const char *kong_test_response_header_at(const struct kong_test *test, const char *name,
                                         size_t index) {
    return value_at(&test->pdk->client.headers, name, index);
}

const char *kong_test_response_header(const struct kong_test *test, const char *name) {
    return kong_test_response_header_at(test, name, 0);
}

const char *kong_test_log(const struct kong_test *test, size_t index, const char **level) {
    if (index >= test->pdk->log_count) {
        return NULL;
    }
    if (level != NULL) {
        *level = test->pdk->logs[index].level.data;
    }
    return test->pdk->logs[index].text.data;
}

bool kong_test_logged(const struct kong_test *test, const char *level, const char *part) {
    const char *found = NULL;
    const char *line;
    for (size_t i = 0; (line = kong_test_log(test, i, &found)) != NULL; i++) {
        if (strcmp(found, level) == 0 && strstr(line, part) != NULL) {
            return true;
        }
    }
    return false;
}

const char *kong_test_serialized(struct kong_test *test) {
    struct kong_str error;
    return sim_serialize(test->pdk, &test->pdk->memory, &error).data;
}

struct kong_value kong_test_ctx(const struct kong_test *test, const char *key) {
    const struct kong_value *value = sim_map_get(&test->pdk->shared, kong_str(key));
    return value == NULL ? kong_nil() : *value;
}

struct kong_value kong_test_authenticated_consumer(const struct kong_test *test) {
    return test->pdk->consumer;
}

struct kong_value kong_test_authenticated_credential(const struct kong_test *test) {
    return test->pdk->credential;
}

size_t kong_test_called(const struct kong_test *test, const char *method) {
    const struct pdk_method *found = pdk_method_find(kong_str(method));
    return found == NULL ? 0 : test->pdk->called[found - pdk_methods];
}

size_t kong_test_pdk_calls(const struct kong_test *test) {
    return test->pdk->calls;
}
