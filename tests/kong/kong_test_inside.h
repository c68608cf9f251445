/* Inside of kong_test.h; only for kong_test*.c. */
#ifndef KONG_TEST_INSIDE_H
#define KONG_TEST_INSIDE_H

#include <pthread.h>

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

/* A plugin of a gateway. */
struct hosted {
    struct kong_plugin plugin; /* the test's, with the options' stack_size */
    unsigned phases;           /* in which Kong calls it */
    char id[37];               /* its entity's */
    /* under the gateway's lock */
    char *config;     /* JSON object, checked; owned */
    int seq;          /* of the configuration: a new one with each change */
    int started_seq;  /* with which the instance was started; 0: there is none */
    int64_t instance; /* its id */
};

/* What all requests of a gateway have in common. */
struct gateway {
    size_t count;
    struct hosted *plugins;                              /* as the options list them; owned */
    struct hosted *order[KONG_PLUGINS_MOST];             /* as Kong calls them */
    const struct kong_plugin *served[KONG_PLUGINS_MOST]; /* as the server takes them */
    unsigned phases;                                     /* in which Kong calls one of them */
    bool msgpack;
    bool kong_2_8;
    int timeout_ms;
    struct sim_server *server;
    struct log *log;      /* the server's */
    int log_fd;           /* the file in memory that it writes to; -1 */
    pthread_mutex_t lock; /* of what follows, where requests run at the same time */
    size_t users;         /* struct kong_test */
    off_t log_told;       /* up to here its failures after an exit have been given to a test */
};

struct kong_test {
    struct gateway *gateway;
    struct sim_client *client; /* a worker of Kong */
    struct sim_pdk *pdk;
    char *knowledge[KNOWLEDGE_COUNT]; /* JSON texts, or NULL */
    bool reached_upstream;
    kong_test_answer_fn *answers; /* NULL: as kong_test_upstream says */
    void *answers_ctx;
    unsigned delay_ms;            /* before the upstream answers */
    enum kong_test_answer answer; /* what it does, where no function says */
    pthread_t thread;             /* of kong_test_start */
    bool started;
    enum kong_test_outcome outcome; /* of that thread */
    char error[640];                /* of the last run */
    char mistake[640];              /* of the test; "" while there is none */
    char server_line[4096];         /* of the server's log, given last */
};

void test_mistake(struct kong_test *test, const char *what, const char *text);

/* A JSON text that Kong knows from now on; NULL takes it away. */
void test_learn(struct kong_test *test, enum knowledge what, const char *json);

/* What the Admin API would say: 0, 1 with its lines, -1. */
int test_check_config(const struct kong_plugin *plugin, const char *config, char *error,
                      size_t error_size);

/* The server's log, before its start. False when there is no memory or no descriptor. */
bool test_open_log(struct gateway *gateway);
void test_close_log(struct gateway *gateway);

/* The end of the log. */
off_t test_log_end(const struct gateway *gateway);
/* A handler's failure after an exit, logged behind `from` and not given before, in test->error as
 * "NAME: access failed after its exit: TEXT". False: there is none. */
bool test_failed_after_exit(struct kong_test *test, const char *plugin, int64_t instance,
                            enum kong_phase phase, off_t from);

/* The text of StartInstance; {NULL, 0} when out of memory. */
struct kong_str test_instance_config(struct kong_test *test, const struct hosted *hosted);

/* What Kong writes, by "kong.log.err" or another, among the plugin's own lines. */
void test_log(struct kong_test *test, const char *method, const char *text);

/* The upstream is asked. False when Kong answers itself: it could not ask, or got no answer.
 * *outcome becomes worse where the plugin has asked for what cannot be. */
bool test_ask_upstream(struct kong_test *test, bool buffered, enum kong_test_outcome *outcome);

/* The worse of two. */
static inline enum kong_test_outcome test_worse(enum kong_test_outcome a,
                                                enum kong_test_outcome b) {
    return a > b ? a : b;
}

/* One phase's event of one plugin, with all that Kong does when it fails. test->error is "" where
 * it does not. */
enum kong_test_outcome test_event(struct kong_test *test, struct hosted *hosted,
                                  enum kong_phase phase);

#endif
