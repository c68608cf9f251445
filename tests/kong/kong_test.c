/* The request of a test, and what Kong knows. */
#include "kong_test.h"

#include <stdio.h>
#include <stdlib.h>

#include "kong_test_inside.h"
#include "sim_json.h"
#include "sim_pdk_call.h"

void test_mistake(struct kong_test *test, const char *what, const char *text) {
    if (test->mistake[0] == '\0') {
        snprintf(test->mistake, sizeof test->mistake, "%s: %s", what, text == NULL ? "" : text);
    }
}

/* What Kong writes, among the plugin's own lines. */
void test_log(struct kong_test *test, const char *method, const char *text) {
    struct kong_value line = kong_string(text);
    struct kong_value result;
    const struct pdk_method *row = pdk_method_find(kong_str(method));
    sim_pdk_call(test->pdk, NULL, kong_str(method), &line, 1, &test->pdk->memory, &result);
    test->pdk->calls--;
    test->pdk->called[row - pdk_methods]--;
}

static void apply(struct kong_test *test, enum knowledge what) {
    struct sim_pdk *pdk = test->pdk;
    struct kong_value *fields[] = {
        [KNOWS_ROUTE] = &pdk->route,
        [KNOWS_SERVICE] = &pdk->service_entity,
        [KNOWS_CONSUMERS] = &pdk->consumers,
        [KNOWS_UPSTREAMS] = &pdk->upstreams,
        [KNOWS_TRUSTED_IPS] = &pdk->trusted_ips,
        [KNOWS_SECRETS] = &pdk->vault,
    };
    *fields[what] = kong_nil();
    if (test->knowledge[what] != NULL &&
        !sim_pdk_set_json(pdk, fields[what], test->knowledge[what])) {
        test_mistake(test, "no JSON", test->knowledge[what]);
    }
}

void test_learn(struct kong_test *test, enum knowledge what, const char *json) {
    free(test->knowledge[what]);
    test->knowledge[what] = json == NULL ? NULL : strdup(json);
    if (json != NULL && test->knowledge[what] == NULL) {
        test_mistake(test, "not enough memory", NULL);
    }
    apply(test, what);
}

void kong_test_route(struct kong_test *test, const char *json) {
    test_learn(test, KNOWS_ROUTE, json);
}

void kong_test_service(struct kong_test *test, const char *json) {
    test_learn(test, KNOWS_SERVICE, json);
}

void kong_test_consumers(struct kong_test *test, const char *json) {
    test_learn(test, KNOWS_CONSUMERS, json);
}

void kong_test_upstreams(struct kong_test *test, const char *json) {
    test_learn(test, KNOWS_UPSTREAMS, json);
}

void kong_test_trusted_ips(struct kong_test *test, const char *json) {
    test_learn(test, KNOWS_TRUSTED_IPS, json);
}

void kong_test_secrets(struct kong_test *test, const char *json) {
    test_learn(test, KNOWS_SECRETS, json);
}

static void check(struct kong_test *test, bool ok, const char *what, const char *text) {
    if (!ok) {
        test_mistake(test, what, text);
    }
}

void kong_test_request(struct kong_test *test, const char *method, const char *url) {
    bool ok = sim_pdk_reset(test->pdk) && sim_pdk_set_request(test->pdk, method, url);
    test->mistake[0] = '\0';
    test->error[0] = '\0';
    test->reached_upstream = false;
    test->delay_ms = 0;
    test->answer = KONG_TEST_ANSWERS;
    check(test, ok, "no URL", url);
    for (unsigned i = 0; i < KNOWLEDGE_COUNT; i++) {
        apply(test, (enum knowledge)i);
    }
    test->pdk->service.status = 200;
    test->pdk->service.body = kong_str("");
}

void kong_test_request_header(struct kong_test *test, const char *name, const char *value) {
    check(test, sim_pdk_add_request_header(test->pdk, name, value), "header", name);
}

void kong_test_request_body(struct kong_test *test, const void *data, size_t len) {
    check(test, sim_pdk_set_request_body(test->pdk, data, len), "body", NULL);
}

/* A C string in the state's memory. */
static struct kong_str keep(struct kong_test *test, const char *text) {
    struct kong_str own = arena_copy(&test->pdk->memory, text, strlen(text));
    check(test, own.data != NULL, "not enough memory", NULL);
    return own.data == NULL ? kong_str("") : own;
}

void kong_test_client(struct kong_test *test, const char *ip, int port) {
    test->pdk->request.client_ip = keep(test, ip);
    test->pdk->request.forwarded_ip = test->pdk->request.client_ip;
    test->pdk->request.client_port = port;
    test->pdk->request.forwarded_port = port;
}

void kong_test_http_version(struct kong_test *test, double version) {
    test->pdk->request.http_version = version;
}

static void set_json(struct kong_test *test, struct kong_value *field, const char *json) {
    *field = kong_nil();
    check(test, json == NULL || sim_pdk_set_json(test->pdk, field, json), "no JSON", json);
}

void kong_test_consumer(struct kong_test *test, const char *json) {
    set_json(test, &test->pdk->consumer, json);
}

void kong_test_credential(struct kong_test *test, const char *json) {
    set_json(test, &test->pdk->credential, json);
}

void kong_test_captures(struct kong_test *test, const char *json) {
    set_json(test, &test->pdk->uri_captures, json);
}

void kong_test_ctx_set(struct kong_test *test, const char *key, const char *json) {
    struct kong_value value;
    set_json(test, &value, json);
    check(test, sim_map_set(&test->pdk->memory, &test->pdk->shared, kong_str(key), &value),
          "not enough memory", NULL);
}

void kong_test_var(struct kong_test *test, const char *name, const char *text) {
    struct kong_value value = kong_string(text);
    check(test, sim_map_set(&test->pdk->memory, &test->pdk->ngx_vars, kong_str(name), &value),
          "not enough memory", NULL);
}

void kong_test_upstream(struct kong_test *test, int status, const char *body) {
    test->pdk->service.status = status;
    test->pdk->service.body = keep(test, body == NULL ? "" : body);
}

void kong_test_upstream_body(struct kong_test *test, const void *data, size_t len) {
    struct kong_str own = state_copy(test->pdk, (struct kong_str){data, len});
    check(test, own.data != NULL, "not enough memory", NULL);
    test->pdk->service.body = own.data == NULL ? kong_str("") : own;
}

void kong_test_upstream_header(struct kong_test *test, const char *name, const char *value) {
    check(test, fields_add(&test->pdk->service.headers, kong_str(name), kong_str(value), false),
          "not enough memory", NULL);
}
