#include "kong_test.h"

#include <stdio.h>
#include <stdlib.h>

#include "dump.h"
#include "kong_test_inside.h"
#include "plugin_check.h"
#include "sim_json.h"
#include "sim_pdk_call.h"

void test_mistake(struct kong_test *test, const char *what, const char *text) {
    if (test->mistake[0] == '\0') {
        snprintf(test->mistake, sizeof test->mistake, "%s: %s", what, text == NULL ? "" : text);
    }
}

int kong_test_configure(struct kong_test *test, const char *config, char *error,
                        size_t error_size) {
    const char *text = config == NULL ? "{}" : config;
    int result = test_check_config(test->plugin, text, error, error_size);
    if (result != 0) {
        return result;
    }
    char *own = strdup(text);
    if (own == NULL) {
        snprintf(error, error_size, "not enough memory");
        return -1;
    }
    free(test->config);
    test->config = own;
    test->seq++;
    return 0;
}

static int start(struct kong_test *test, const struct kong_test_options *options, char *error,
                 size_t error_size) {
    /* What a raised error has left waiting for a Step is given up at once in the end. */
    struct sim_server_options server = {
        .plugin = options->plugin, .event_ms = options->event_ms, .drain_ms = 50};
    int result = kong_test_configure(test, options->config, error, error_size);
    if (result != 0) {
        return result;
    }
    test->server = sim_server_start(&server, error, error_size);
    if (test->server == NULL) {
        return -1;
    }
    snprintf(error, error_size, "not enough memory");
    test->pdk = sim_pdk_create();
    struct sim_client_options client = {
        .protocol = options->msgpack ? PROTOCOL_MSGPACK : PROTOCOL_PROTOBUF,
        .connect = sim_connect_unix,
        .connect_ctx = sim_server_path(test->server),
        .pdk = sim_pdk_call,
        .pdk_ctx = test->pdk,
        .timeout_ms = options->timeout_ms == 0 ? 10000 : options->timeout_ms};
    test->client = test->pdk == NULL ? NULL : sim_client_create(&client);
    if (test->client == NULL) {
        return -1;
    }
    kong_test_request(test, "GET", "/");
    error[0] = '\0';
    return 0;
}

int kong_test_open(const struct kong_test_options *options, struct kong_test **out, char *error,
                   size_t error_size) {
    struct kong_test *test = calloc(1, sizeof *test);
    *out = NULL;
    if (test == NULL) {
        snprintf(error, error_size, "not enough memory");
        return -1;
    }
    if (plugin_check(options->plugin, error, error_size) != 0) {
        free(test);
        return -1;
    }
    test->plugin = options->plugin;
    test->msgpack = options->msgpack;
    test->phases = options->phases == 0 ? dump_default_phases(options->plugin) : options->phases;
    int result = start(test, options, error, error_size);
    if (result != 0) {
        kong_test_close(test);
        return result;
    }
    *out = test;
    return 0;
}

void kong_test_close(struct kong_test *test) {
    if (test == NULL) {
        return;
    }
    sim_client_destroy(test->client);
    sim_server_stop(test->server);
    sim_pdk_destroy(test->pdk);
    free(test->config);
    for (size_t i = 0; i < KNOWLEDGE_COUNT; i++) {
        free(test->knowledge[i]);
    }
    free(test);
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

static void learn(struct kong_test *test, enum knowledge what, const char *json) {
    free(test->knowledge[what]);
    test->knowledge[what] = json == NULL ? NULL : strdup(json);
    if (json != NULL && test->knowledge[what] == NULL) {
        test_mistake(test, "not enough memory", NULL);
    }
    apply(test, what);
}

void kong_test_route(struct kong_test *test, const char *json) {
    learn(test, KNOWS_ROUTE, json);
}

void kong_test_service(struct kong_test *test, const char *json) {
    learn(test, KNOWS_SERVICE, json);
}

void kong_test_consumers(struct kong_test *test, const char *json) {
    learn(test, KNOWS_CONSUMERS, json);
}

void kong_test_upstreams(struct kong_test *test, const char *json) {
    learn(test, KNOWS_UPSTREAMS, json);
}

void kong_test_trusted_ips(struct kong_test *test, const char *json) {
    learn(test, KNOWS_TRUSTED_IPS, json);
}

void kong_test_secrets(struct kong_test *test, const char *json) {
    learn(test, KNOWS_SECRETS, json);
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
