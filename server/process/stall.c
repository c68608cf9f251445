#include "stall.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"

#define LEAST_POLL_MS 10u
#define MOST_POLL_MS  1000u
#define LATE_MS       1000u

struct stall_watch {
    struct stall stall;
    struct running *running;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool stop;          /* under the lock */
    uint64_t end_at_ms; /* … too; 0: the process need not end */
};

uint64_t stall_poll_ms(const struct stall_options *options) {
    uint64_t shorter = options->stall_ms > 0 && options->stall_ms < options->report_ms
                           ? options->stall_ms
                           : options->report_ms;
    uint64_t poll = shorter / 8;
    return poll < LEAST_POLL_MS ? LEAST_POLL_MS : poll > MOST_POLL_MS ? MOST_POLL_MS : poll;
}

static void begin_anew(struct stall *stall, uint64_t now_ms) {
    for (size_t i = 0; i < stall->options.threads; i++) {
        stall->workers[i].seen_since = now_ms;
    }
}

void stall_init(struct stall *stall, const struct stall_options *options,
                const struct running *running, uint64_t now_ms) {
    *stall = (struct stall){.options = *options, .running = running, .looked_ms = now_ms};
    begin_anew(stall, now_ms);
}

/* Whether its handler has run for stall_ms. */
static bool look_at(struct stall *stall, size_t index, uint64_t now_ms) {
    const struct stall_options *options = &stall->options;
    const struct running_slot *slot = &stall->running->slots[index];
    struct stall_worker *seen = &stall->workers[index];
    uint32_t runs = atomic_load(&slot->runs);
    const char *phase = running_phase_name(slot);
    if (phase == NULL || runs != seen->seen_runs) {
        *seen = (struct stall_worker){.seen_runs = runs, .seen_since = now_ms};
        return false;
    }
    uint64_t stalled = now_ms - seen->seen_since;
    int instance = (int)atomic_load(&slot->instance);
    const char *plugin = plugins_name_of(options->plugins, atomic_load(&slot->plugin));
    if (stalled >= options->report_ms && !seen->reported) {
        seen->reported = true;
        log_write(options->log, LOG_LEVEL_ERROR,
                  "%s has been running %s for instance %d for %.3g s without a pause: all other "
                  "requests%s wait (see --stall-timeout)",
                  plugin, phase, instance, (double)stalled / 1000,
                  options->threads > 1 ? " of its thread" : "");
    }
    if (options->stall_ms == 0 || stalled < options->stall_ms) {
        return false;
    }
    log_write_for(options->log, plugin, LOG_LEVEL_ERROR, NULL,
                  "ending the server process: %s of instance %d hangs (--stall-timeout)", phase,
                  instance);
    return true;
}

/* Does not count the time in which this process did not run. */
static void pass_over(struct stall *stall, uint64_t now_ms) {
    uint64_t poll_ms = stall_poll_ms(&stall->options);
    uint64_t gap = now_ms - stall->looked_ms;
    stall->looked_ms = now_ms;
    if (gap <= poll_ms + LATE_MS) {
        return;
    }
    for (size_t i = 0; i < stall->options.threads; i++) {
        stall->workers[i].seen_since += gap - poll_ms;
    }
}

int stall_look(struct stall *stall, uint64_t now_ms) {
    pass_over(stall, now_ms);
    for (size_t i = 0; i < stall->options.threads; i++) {
        if (look_at(stall, i, now_ms)) {
            begin_anew(stall, now_ms);
            return (int)i;
        }
    }
    return -1;
}

/* --- in the process itself --- */

/* Not by exit(): threads that still run would go on while everything is freed. */
static _Noreturn void end_process(const struct stall_watch *watch) {
    log_write(watch->stall.options.log, LOG_LEVEL_WARN,
              "ending although a handler, or its function in kong_run_blocking, still runs "
              "(--drain-timeout)");
    _exit(EXIT_SUCCESS);
}

static void *watch_run(void *arg) {
    struct stall_watch *watch = arg;
    pthread_mutex_lock(&watch->lock);
    while (!watch->stop) {
        uint64_t now_ms = clock_ms();
        uint64_t next_ms = now_ms + stall_poll_ms(&watch->stall.options);
        int worker_index = stall_look(&watch->stall, now_ms);
        if (watch->end_at_ms != 0) {
            if (watch->end_at_ms <= now_ms) {
                end_process(watch);
            }
            next_ms = watch->end_at_ms < next_ms ? watch->end_at_ms : next_ms;
        }
        if (worker_index >= 0) {
            atomic_store(&watch->running->fault, (int32_t)worker_index);
            kill(getpid(), SIGABRT);
        }
        const struct timespec next = {.tv_sec = (time_t)(next_ms / 1000),
                                      .tv_nsec = (long)(next_ms % 1000) * 1000000};
        pthread_cond_timedwait(&watch->changed, &watch->lock, &next);
    }
    pthread_mutex_unlock(&watch->lock);
    return NULL;
}

/* Signals are for the loop's thread. */
static int start_thread(struct stall_watch *watch) {
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int rc = pthread_create(&watch->thread, NULL, watch_run, watch);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return rc;
}

static void free_watch(struct stall_watch *watch) {
    pthread_cond_destroy(&watch->changed);
    pthread_mutex_destroy(&watch->lock);
    free(watch);
}

struct stall_watch *stall_watch_start(const struct stall_options *options,
                                      struct running *running) {
    struct stall_watch *watch = calloc(1, sizeof *watch);
    pthread_condattr_t monotonic;
    if (watch == NULL) {
        return NULL;
    }
    stall_init(&watch->stall, options, running, clock_ms());
    watch->running = running;
    pthread_mutex_init(&watch->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&watch->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    if (start_thread(watch) != 0) {
        free_watch(watch);
        return NULL;
    }
    return watch;
}

void stall_watch_end_within(struct stall_watch *watch, uint64_t ms) {
    if (watch == NULL) {
        return;
    }
    pthread_mutex_lock(&watch->lock);
    watch->end_at_ms = clock_ms() + ms;
    pthread_cond_signal(&watch->changed);
    pthread_mutex_unlock(&watch->lock);
}

void stall_watch_stop(struct stall_watch *watch) {
    if (watch == NULL) {
        return;
    }
    pthread_mutex_lock(&watch->lock);
    watch->stop = true;
    pthread_cond_signal(&watch->changed);
    pthread_mutex_unlock(&watch->lock);
    pthread_join(watch->thread, NULL);
    free_watch(watch);
}
