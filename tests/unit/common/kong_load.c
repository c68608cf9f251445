#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "kong_load.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "sim_client.h"

/* Kong has no bound; a test must come to its end. */
#define MOST_TRIES 200

struct worker {
    struct kong_load *load;
    unsigned index;
    pthread_t thread;
    bool started;
    struct sim_client *client;
    struct sim_pdk *pdk;
    int64_t instance; /* 0: none */
};

struct kong_load {
    struct kong_load_options options;
    char path[108];
    _Atomic bool stop;
    pthread_mutex_t lock;
    struct kong_load_counts counts; /* under the lock */
    struct worker workers[KONG_LOAD_THREADS];
};

static void sleep_until(const struct timespec *when) {
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, when, NULL) != 0) {
    }
}

/* --- One event, as Kong carries it out --- */

struct tally {
    unsigned hit, retried, refused;
    bool good, reset;
    char why[200];
};

static enum sim_event_outcome start_instance(struct worker *worker) {
    char config[128];
    snprintf(config, sizeof config, "{\"mode\":\"%s\",\"__seq__\":%u}", worker->load->options.mode,
             worker->index);
    enum sim_event_outcome outcome =
        sim_client_start(worker->client, "hurt", config, &worker->instance);
    if (outcome != SIM_EVENT_OK) {
        worker->instance = 0;
    }
    return outcome;
}

static enum sim_event_outcome try_once(struct worker *worker, struct sim_event *event) {
    *event = (struct sim_event){.outcome = SIM_EVENT_OK};
    if (worker->instance == 0) {
        event->outcome = start_instance(worker);
    }
    if (event->outcome != SIM_EVENT_OK) {
        snprintf(event->text, sizeof event->text, "%s", sim_client_text(worker->client));
        return event->outcome;
    }
    return sim_client_event(worker->client, worker->instance, "access", event);
}

static bool is_marked(const struct worker *worker) {
    return headers_find(&worker->pdk->client.headers, kong_str("X-Pid")) != NULL;
}

static void carry_out(struct worker *worker, struct tally *tally) {
    const struct kong_load_options *options = &worker->load->options;
    bool repeats = options->protocol == PROTOCOL_PROTOBUF && !options->kong_2_8;
    struct sim_event event;
    bool ready = sim_pdk_reset(worker->pdk) && sim_pdk_set_request(worker->pdk, "GET", "/p") &&
                 sim_pdk_add_request_header(worker->pdk, "X-In", "in");
    for (int i = 0; ready && i < MOST_TRIES; i++) {
        enum sim_event_outcome outcome = try_once(worker, &event);
        tally->hit += outcome == SIM_EVENT_CLOSED;
        tally->refused += outcome == SIM_EVENT_REFUSED;
        tally->reset =
            outcome == SIM_EVENT_CLOSED && strcmp(event.text, "connection reset by peer") == 0;
        bool again = outcome == SIM_EVENT_NO_INSTANCE ||
                     (outcome == SIM_EVENT_CLOSED && repeats && !tally->reset);
        if (!again) {
            tally->good = outcome == SIM_EVENT_OK && is_marked(worker);
            snprintf(tally->why, sizeof tally->why, "%s: %.100s", sim_event_outcome_name(outcome),
                     event.text);
            return;
        }
        worker->instance = 0;
        tally->retried++;
    }
    snprintf(tally->why, sizeof tally->why, "given up");
}

static void count(struct kong_load *load, const struct tally *tally) {
    struct kong_load_counts *counts = &load->counts;
    pthread_mutex_lock(&load->lock);
    counts->events++;
    counts->good += tally->good;
    counts->hit += tally->hit;
    counts->retried += tally->retried;
    counts->refused += tally->refused;
    counts->reset += tally->reset;
    if (!tally->good && counts->lost++ == 0) {
        snprintf(counts->first, sizeof counts->first, "%s", tally->why);
    }
    pthread_mutex_unlock(&load->lock);
}

/* Another configuration: the new instance is started, then the old one closed. */
static void change_instance(struct worker *worker) {
    int64_t old = worker->instance;
    worker->instance = 0;
    if (old != 0 && start_instance(worker) == SIM_EVENT_OK) {
        sim_client_stop(worker->client, old);
    }
}

static void *work(void *arg) {
    struct worker *worker = arg;
    const struct kong_load_options *options = &worker->load->options;
    struct timespec due;
    clock_gettime(CLOCK_MONOTONIC, &due);
    for (uint64_t i = 1; !worker->load->stop; i++) {
        struct tally tally = {.good = false};
        if (options->rate > 0) {
            uint64_t nanoseconds =
                (uint64_t)due.tv_nsec + 1000000000ull * options->threads / options->rate;
            due.tv_sec += (time_t)(nanoseconds / 1000000000);
            due.tv_nsec = (long)(nanoseconds % 1000000000);
            sleep_until(&due);
        }
        if (options->instances > 0 && i % options->instances == 0) {
            change_instance(worker);
        }
        carry_out(worker, &tally);
        count(worker->load, &tally);
    }
    return NULL;
}

/* --- The load --- */

static void start_worker(struct kong_load *load, unsigned index) {
    struct worker *worker = &load->workers[index];
    struct sim_client_options options = {.protocol = load->options.protocol,
                                         .connect = sim_connect_unix,
                                         .connect_ctx = load->path,
                                         .pdk = sim_pdk_call,
                                         .timeout_ms = 60000};
    worker->load = load;
    worker->index = index;
    worker->pdk = options.pdk_ctx = sim_pdk_create();
    assert_non_null(worker->pdk);
    worker->client = sim_client_create(&options);
    assert_non_null(worker->client);
    sim_client_behaviour(worker->client)->connections = load->options.connections;
    assert_int_equal(pthread_create(&worker->thread, NULL, work, worker), 0);
    worker->started = true;
}

struct kong_load *kong_load_start(const struct kong_load_options *options) {
    struct kong_load *load = calloc(1, sizeof *load);
    assert_non_null(load);
    assert_in_range(options->threads, 1, KONG_LOAD_THREADS);
    load->options = *options;
    snprintf(load->path, sizeof load->path, "%s", options->path);
    pthread_mutex_init(&load->lock, NULL);
    for (unsigned i = 0; i < options->threads; i++) {
        start_worker(load, i);
    }
    return load;
}

struct kong_load_counts kong_load_counts(struct kong_load *load) {
    pthread_mutex_lock(&load->lock);
    struct kong_load_counts counts = load->counts;
    pthread_mutex_unlock(&load->lock);
    return counts;
}

void kong_load_wait(struct kong_load *load, uint64_t events) {
    for (int i = 0; kong_load_counts(load).events < events; i++) {
        if (i == 60000) {
            fail_msg("the load has come to a halt");
        }
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
}

struct kong_load_counts kong_load_stop(struct kong_load *load) {
    load->stop = true;
    for (unsigned i = 0; i < load->options.threads; i++) {
        struct worker *worker = &load->workers[i];
        pthread_join(worker->thread, NULL);
        sim_client_destroy(worker->client);
        sim_pdk_destroy(worker->pdk);
    }
    struct kong_load_counts counts = load->counts;
    pthread_mutex_destroy(&load->lock);
    free(load);
    return counts;
}
