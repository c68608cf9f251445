#include "supervisor.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "stall.h"

#define STEADY_MS      10000u /* a child that lived so long was all right */
#define FIRST_DELAY_MS 5u
#define MOST_DELAY_MS  5000u
#define GRACE_MS       1000u /* for the child's end behind its drain time-out */

/* What the parent's death sends to the child. Not SIGTERM itself: that is heard by the loop, which
 * a handler may keep from running. */
#define PARENT_DIED SIGRTMIN

struct shared {
    struct running running;
    _Atomic int32_t returned; /* serve() came to its end */
};

struct supervisor {
    const struct supervisor_options *options;
    int (*serve)(void *arg, struct running *running);
    void *arg;
    struct shared *shared; /* with the child */
    sigset_t waited;       /* blocked in the parent */
    pid_t parent;
    pid_t child; /* 0: none */
    uint64_t child_since;
    uint64_t delay_ms;
    uint64_t next_start;
    bool ending;
    uint64_t kill_at;
    /* the watch for a handler that hangs */
    uint64_t poll_ms;
    size_t threads;
    struct stall_options stall_options;
    struct stall stall;
    bool aborted;
};

static uint64_t now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* NULL: no handler runs on that thread. */
static const char *phase_text(const struct supervisor *s, size_t worker_index) {
    return stall_phase(&s->shared->running.workers[worker_index]);
}

static int instance(const struct supervisor *s, size_t worker_index) {
    return (int)atomic_load(&s->shared->running.workers[worker_index].instance);
}

/* The thread whose handler the child died of, as far as that can be known: the one that faulted, or
 * the first that ran one. *certain: no other can have been it. */
static size_t fatal_lane(const struct supervisor *s, bool *certain) {
    int32_t fault = atomic_load(&s->shared->running.fault);
    size_t first = 0;
    size_t count = 0;
    *certain = true;
    if (fault >= 0 && (size_t)fault < s->threads) {
        return (size_t)fault;
    }
    for (size_t i = s->threads; i-- > 0;) {
        if (phase_text(s, i) != NULL) {
            first = i;
            count++;
        }
    }
    *certain = count <= 1;
    return first;
}

/* --- the child --- */

/* Set once, before the handler is installed: it is given no argument. */
static unsigned seconds_to_drain;

static void on_parent_died(int number) {
    (void)number;
    alarm(seconds_to_drain); /* nobody else is left to end what hangs */
    kill(getpid(), SIGTERM);
}

static void run_child(const struct supervisor *s, pid_t parent) {
    sigset_t none;
    seconds_to_drain = (unsigned)((s->options->drain_ms + GRACE_MS + 999) / 1000);
    signal(SIGALRM, SIG_DFL);
    signal(PARENT_DIED, on_parent_died);
    prctl(PR_SET_PDEATHSIG, PARENT_DIED);
    if (getppid() != parent) {
        _exit(EXIT_SUCCESS); /* it went before the line above */
    }
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    int status = s->serve(s->arg, &s->shared->running);
    atomic_store(&s->shared->returned, 1);
    exit(status);
}

static int start_child(struct supervisor *s) {
    pid_t self = getpid();
    running_clear(&s->shared->running);
    atomic_store(&s->shared->returned, 0);
    pid_t child = fork();
    if (child < 0) {
        return -1;
    }
    if (child == 0) {
        run_child(s, self);
    }
    s->child = child;
    s->child_since = now_ms();
    stall_init(&s->stall, &s->stall_options, &s->shared->running, s->child_since);
    s->aborted = false;
    return 0;
}

/* --- the parent --- */

static bool parent_is_gone(const struct supervisor *s) {
    return s->options->watch_parent && getppid() != s->parent;
}

/* Asked to end; a second SIGINT means at once. A second SIGTERM does not: Kong sends one and may be
 * gone the next moment, which sends another. */
static void end_child(struct supervisor *s, bool impatient) {
    if (!s->ending) {
        s->ending = true;
        s->kill_at = now_ms() + s->options->drain_ms + GRACE_MS;
        if (s->child != 0) {
            kill(s->child, SIGTERM);
        }
    } else if (impatient) {
        s->kill_at = now_ms();
    }
}

/* "while mine ran access for instance 3", and whatever else ran where it could have been that. */
static void describe_death(const struct supervisor *s, char *out, size_t size) {
    bool certain;
    size_t fatal = fatal_lane(s, &certain);
    size_t len = 0;
    snprintf(out, size, "between handlers");
    for (size_t i = 0; i < s->threads && len < size; i++) {
        const char *phase = phase_text(s, i);
        if (phase == NULL || (certain && i != fatal)) {
            continue;
        }
        int more = len == 0 ? snprintf(out, size, "while %s ran %s for instance %d",
                                       s->options->plugin, phase, instance(s, i))
                            : snprintf(out + len, size - len, ", %s for instance %d", phase,
                                       instance(s, i));
        len += more > 0 ? (size_t)more : size;
    }
}

/* What the child left behind says what it was doing. */
static void report_death(struct supervisor *s, int status) {
    const struct supervisor_options *options = s->options;
    char doing[400];
    describe_death(s, doing, sizeof doing);
    if (WIFSIGNALED(status)) {
        log_write(options->log, LOG_LEVEL_ERROR,
                  "server process %d was killed by signal %d (%s%s) %s", (int)s->child,
                  WTERMSIG(status), strsignal(WTERMSIG(status)),
                  atomic_load(&s->shared->running.overflow) != 0 ? ", stack overflow" : "", doing);
    } else {
        log_write(options->log, LOG_LEVEL_ERROR, "server process %d exited with status %d %s",
                  (int)s->child, WEXITSTATUS(status), doing);
    }
}

/* True when the supervisor is done; *result is its exit status. */
static bool child_is_gone(struct supervisor *s, int status, int *result) {
    bool returned = WIFEXITED(status) && atomic_load(&s->shared->returned) != 0;
    if (returned || s->ending) {
        s->child = 0;
        *result = returned ? WEXITSTATUS(status) : EXIT_SUCCESS;
        return true;
    }
    report_death(s, status);
    struct running *running = &s->shared->running;
    atomic_store(&running->died_signal, WIFSIGNALED(status) ? WTERMSIG(status) : 0);
    bool certain;
    const struct running_worker *worker_index = &running->workers[fatal_lane(s, &certain)];
    atomic_store(&running->died_instance, atomic_load(&worker_index->instance));
    atomic_store(&running->died_phase, atomic_load(&worker_index->phase));
    atomic_fetch_add(&s->shared->running.restarts, 1);
    s->child = 0;
    uint64_t now = now_ms();
    if (now - s->child_since >= STEADY_MS || s->delay_ms == 0) {
        s->delay_ms = FIRST_DELAY_MS;
    } else {
        s->delay_ms = s->delay_ms * 4 < MOST_DELAY_MS ? s->delay_ms * 4 : MOST_DELAY_MS;
    }
    s->next_start = now + s->delay_ms;
    log_write(s->options->log, LOG_LEVEL_NOTICE, "starting another in %llu ms",
              (unsigned long long)s->delay_ms);
    return false;
}

static void watch_for_stall(struct supervisor *s) {
    int worker_index = stall_look(&s->stall, now_ms());
    if (worker_index >= 0) {
        kill(s->child, s->aborted ? SIGKILL : SIGABRT);
        s->aborted = true;
        atomic_store(&s->shared->running.fault, (int32_t)worker_index);
    }
}

static uint64_t time_to_wait(const struct supervisor *s) {
    if (s->child != 0) {
        return s->poll_ms;
    }
    uint64_t now = now_ms();
    return s->next_start > now ? s->next_start - now : 0;
}

static void on_time(struct supervisor *s) {
    if (parent_is_gone(s) && !s->ending) {
        log_write(s->options->log, LOG_LEVEL_INFO,
                  "ending: the process that started this one is gone");
        end_child(s, false);
    }
    if (s->child == 0) {
        return;
    }
    if (s->ending && now_ms() >= s->kill_at) {
        kill(s->child, SIGKILL);
    } else {
        watch_for_stall(s);
    }
}

static int supervise(struct supervisor *s) {
    for (;;) {
        if (s->child == 0) {
            if (s->ending) {
                return EXIT_SUCCESS;
            }
            if (now_ms() >= s->next_start && start_child(s) != 0) {
                log_write(s->options->log, LOG_LEVEL_ERROR, "fork: %s", strerror(errno));
                s->next_start = now_ms() + 1000;
            }
        }
        uint64_t wait_ms = time_to_wait(s);
        struct timespec timeout = {.tv_sec = (time_t)(wait_ms / 1000),
                                   .tv_nsec = (long)(wait_ms % 1000) * 1000000};
        int number = sigtimedwait(&s->waited, NULL, &timeout);
        int status;
        int result = 0;
        if (number == SIGTERM || number == SIGINT) {
            end_child(s, number == SIGINT);
        } else if (number == SIGUSR1 || number == SIGUSR2) {
            log_shift_level(s->options->log, number == SIGUSR1 ? -1 : 1); /* the next child's too */
            if (s->child != 0) {
                kill(s->child, number);
            }
        }
        if (s->child != 0 && waitpid(s->child, &status, WNOHANG) == s->child &&
            child_is_gone(s, status, &result)) {
            return result;
        }
        on_time(s);
    }
}

int supervisor_run(const struct supervisor_options *options,
                   int (*serve)(void *arg, struct running *running), void *arg, char *error,
                   size_t error_size) {
    struct supervisor s = {.options = options,
                           .serve = serve,
                           .arg = arg,
                           .parent = getppid(),
                           .threads = options->threads == 0 ? 1 : options->threads};
    s.stall_options = (struct stall_options){.log = options->log,
                                             .plugin = options->plugin,
                                             .threads = s.threads,
                                             .report_ms = options->report_ms,
                                             .stall_ms = options->stall_ms};
    s.poll_ms = stall_poll_ms(&s.stall_options);
    s.shared =
        mmap(NULL, sizeof *s.shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (s.shared == MAP_FAILED) {
        snprintf(error, error_size, "supervisor: %s", strerror(errno));
        return -1;
    }
    if (options->watch_parent) {
        prctl(PR_SET_PDEATHSIG, SIGTERM);
    }
    signal(SIGPIPE, SIG_IGN);
    signal(SIGCHLD, SIG_DFL); /* ignored, there would be nobody to wait for */
    sigemptyset(&s.waited);
    sigaddset(&s.waited, SIGTERM);
    sigaddset(&s.waited, SIGINT);
    sigaddset(&s.waited, SIGCHLD);
    sigaddset(&s.waited, SIGUSR1);
    sigaddset(&s.waited, SIGUSR2);
    sigprocmask(SIG_BLOCK, &s.waited, NULL);
    int result = supervise(&s);
    munmap(s.shared, sizeof *s.shared);
    return result;
}
