/* Inside of kong_test.h; only for kong_test*.c. */
#ifndef KONG_TEST_INSIDE_H
#define KONG_TEST_INSIDE_H

#include "kong_test.h"
#include "sim_client.h"
#include "sim_server.h"

/* What Kong knows, beyond one request. */
enum knowledge {
    KNOWS_ROUTE,
    KNOWS_SERVICE,
    KNOWS_CONSUMERS,
    KNOWS_UPSTREAMS,
    KNOWS_TRUSTED_IPS,
    KNOWS_SECRETS,
    KNOWLEDGE_COUNT
};

struct kong_test {
    const struct kong_plugin *plugin;
    unsigned phases;
    bool msgpack;
    struct sim_server *server;
    struct sim_client *client;
    struct sim_pdk *pdk;
    char *config;                     /* JSON object, checked */
    int seq;                          /* of the configuration: a new one with each change */
    int started_seq;                  /* with which the instance was started; 0: there is none */
    int64_t instance;                 /* its id */
    char *knowledge[KNOWLEDGE_COUNT]; /* JSON texts, or NULL */
    bool reached_upstream;
    char error[640];   /* of the last run */
    char mistake[640]; /* of the test; "" while there is none */
};

void test_mistake(struct kong_test *test, const char *what, const char *text);

/* What the Admin API would say: 0, 1 with its lines, -1. */
int test_check_config(const struct kong_plugin *plugin, const char *config, char *error,
                      size_t error_size);

/* The text of StartInstance; {NULL, 0} when out of memory. */
struct kong_str test_instance_config(struct kong_test *test);

/* What Kong writes, by "kong.log.err" or another, among the plugin's own lines. */
void test_log(struct kong_test *test, const char *method, const char *text);

/* One phase's event, with all that Kong does when it fails. */
enum kong_test_outcome test_event(struct kong_test *test, enum kong_phase phase);

#endif
