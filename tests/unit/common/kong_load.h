/* Workers of Kong under load: threads, each a simulated client with a pool of its own, each with
 * one event at a time. They do what Kong 3.9.1 does when a call fails: an instance that the server
 * does not know is started anew and the event sent again; so is (ProtoBuf:1) an event whose
 * connection was closed, but not one that reads "connection reset"; Kong 2.8 sends neither again. A
 * write that fails counts as closed, where Kong would say "broken pipe" and answer 500:
 * tests/gateway shows that. */
#ifndef TESTS_UNIT_KONG_LOAD_H
#define TESTS_UNIT_KONG_LOAD_H

#include <stdbool.h>
#include <stdint.h>

#include "protocol.h"

#define KONG_LOAD_THREADS 16

struct kong_load_options {
    const char *path; /* of the socket; must outlive the load */
    enum protocol protocol;
    bool kong_2_8;
    unsigned threads;
    unsigned rate;        /* events/s of all threads together; 0: as fast as they can */
    const char *mode;     /* of the plugin "hurt" */
    unsigned connections; /* MsgPack: each call goes over the next of so many; 0: one */
    unsigned instances; /* a thread changes its configuration so often: a new instance each so many
                           events, the old one closed. 0: never */
};

struct kong_load_counts {
    uint64_t events;  /* that ended, each counted once */
    uint64_t good;    /* with the header that the plugin sets */
    uint64_t hit;     /* connections closed under an event or a command */
    uint64_t retried; /* sent again: closed, or no instance */
    uint64_t lost;    /* ended without the header */
    uint64_t reset;   /* of these, by "connection reset" */
    uint64_t refused; /* connects that were refused */
    char first[200];  /* what was wrong with the first that was lost; "" */
};

struct kong_load;

struct kong_load *kong_load_start(const struct kong_load_options *options);
/* What has happened by now. */
struct kong_load_counts kong_load_counts(struct kong_load *load);
/* Waits until so many events have ended in all. */
void kong_load_wait(struct kong_load *load, uint64_t events);
/* Each thread ends with its event. Frees the load. */
struct kong_load_counts kong_load_stop(struct kong_load *load);

#endif
