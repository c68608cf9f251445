/* One client's request, as Kong 3.9.1 carries it out. "no plugin instance": an instance is started
 * anew and the event sent again, without end. The same on ProtoBuf:1 when the plugin server closes
 * the connection; on MsgPack:1, and on Kong 2.8, the request then goes on without the plugin. A
 * StartInstance that fails ends the request with 500. Include behind <cmocka.h>. */
#ifndef TESTS_UNIT_KONG_RETRY_H
#define TESTS_UNIT_KONG_RETRY_H

#include <pthread.h>

#include "process_peer.h"

struct kong_retry {
    const struct process *process;
    enum protocol protocol;
    const char *config;     /* of the plugin "hurt" */
    const char *mode;       /* the request's X-Mode; NULL: none */
    const char *request_id; /* NULL: Kong has none */
    bool old_kong;          /* Kong 2.8: it knows the request by its connection and number only */
    const char *phase;      /* NULL: "access" */
    struct kong_peer *peer; /* whose connections are used; NULL: one of its own */
    int64_t instance;       /* of this peer and configuration, kept up to date; 0: none */
    /* What became of it: */
    enum sim_event_outcome outcome; /* SIM_EVENT_CLOSED: went on without the plugin */
    int status;                     /* the client's, 0: the request went on to the upstream */
    bool not_started;               /* the server crashed under its StartInstance: 500 */
    unsigned again;                 /* times that it was sent again */
    unsigned asked;                 /* times that the server asked for its id, the last time */
    char said[512];                 /* the last line of kong.log.err; "" */
    char text[256];                 /* what the client says went wrong, the last time; "" */
    double seconds;
    pthread_t thread;
};

/* Runs until it ends, or for a minute. */
void kong_retry_run(struct kong_retry *request);
/* The same on a thread. */
void kong_retry_start(struct kong_retry *request);
void kong_retry_join(struct kong_retry *request);

#endif
