/* A supervised server of the plugin "hurt" and one client of it, over ProtoBuf:1. Include behind
 * <cmocka.h>. */
#ifndef TESTS_UNIT_SUPERVISED_H
#define TESTS_UNIT_SUPERVISED_H

#include <pthread.h>

#include "process_peer.h"

#define LENGTH(array) (sizeof(array) / sizeof *(array))

struct supervised {
    struct process process;
    struct sim_client *client;
    struct sim_pdk *pdk;
};

/* NULL: --supervise yes. */
void bench_begin(struct supervised *bench, const char *const *options);
/* For a process that was started otherwise. */
void bench_open_client(struct supervised *bench);
/* Sends the signal (0: none) and waits for the end; the status as of waitpid. */
int bench_end(struct supervised *bench, int signal_number);

/* An instance of the mode, with "ms": 300. */
int64_t bench_instance(struct supervised *bench, const char *mode);
/* One event, GET /p. */
enum sim_event_outcome bench_event(struct supervised *bench, int64_t id, const char *phase);
/* Fails the test unless an event goes through. */
void bench_serves(struct supervised *bench);

void process_kill_child(const struct process *process, int signal_number);

/* An event that takes its time, from a thread. */
struct slow {
    struct supervised *bench;
    int64_t id;
    pthread_t thread;
    enum sim_event_outcome outcome;
};

/* Returns when the handler is at work; it takes 300 ms. */
void slow_begin(struct slow *slow, struct supervised *bench);
/* The same on an instance of yours of "sleep" or "hang" (slow->bench and slow->id are set). */
void slow_start(struct slow *slow);
enum sim_event_outcome slow_end(struct slow *slow);

#endif
