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

/* One phase's event, with all that Kong does when it fails. */
enum kong_test_outcome test_event(struct kong_test *test, enum kong_phase phase);

#endif
