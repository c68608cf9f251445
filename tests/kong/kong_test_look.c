/* What a test can see of a request. */
#include <strings.h>

#include "kong_test_inside.h"

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
    return text(test->pdk->request.method);
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

const char *kong_test_sent_path(const struct kong_test *test) {
    return text(test->pdk->upstream.path);
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

/* Kong sends " " for an empty value, which a reader of HTTP takes for "". */
static const char *value_at(const struct fields *headers, const char *name, size_t index) {
    for (size_t i = 0; i < headers->count; i++) {
        if (header_name_equal(headers->items[i].name, kong_str(name)) && index-- == 0) {
            struct kong_str value = headers->items[i].value;
            return value.len == 1 && value.data[0] == ' ' ? "" : value.data;
        }
    }
    return NULL;
}

/* The Host that goes out is the service's, unless a plugin or the route wants it otherwise. */
const char *kong_test_sent_header_at(const struct kong_test *test, const char *name, size_t index) {
    if (strcasecmp(name, "host") == 0 && test->pdk->upstream.host_header.data != NULL) {
        return index == 0 ? test->pdk->upstream.host_header.data : NULL;
    }
    return value_at(&test->pdk->request.headers, name, index);
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
