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

#include "kong_phase.h"

#define POLL_MS 250u
#define STEADY_MS                                                                                  \
    10000u /* a child that lived so long was all right: the next one starts at once                \
            */
#define FIRST_DELAY_MS 5u
#define MOST_DELAY_MS  5000u

struct supervisor {
    const struct supervisor_options *options;
    int (*serve)(void *arg, struct running *running);
    void *arg;
    struct running *running; /* shared with the child */
    sigset_t waited;         /* blocked in the parent */
    sigset_t before;         /* the mask that the child gets */
    pid_t parent;
    pid_t child; /* 0: none */
    uint64_t child_since;
    uint64_t delay_ms;
    uint64_t next_start;
    bool ending;
    uint64_t kill_at;
    /* the watch for a handler that hangs */
    uint32_t seen_runs;
    uint64_t seen_since;
    bool reported;
};

static uint64_t now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static const char *phase_text(const struct supervisor *s) {
    int32_t phase = atomic_load(&s->running->phase);
    if (phase < 0 || phase >= KONG_PHASE_COUNT) {
        return NULL;
    }
    return kong_phase_name((enum kong_phase)phase);
}

static int start_child(struct supervisor *s) {
    pid_t self = getpid();
    atomic_store(&s->running->phase, RUNNING_NONE);
    pid_t child = fork();
    if (child < 0) {
        return -1;
    }
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGTERM);
        sigprocmask(SIG_SETMASK, &s->before, NULL);
        if (getppid() != self) {
            _exit(0); /* the parent went before the line above */
        }
        exit(s->serve(s->arg, s->running));
    }
    s->child = child;
    s->child_since = s->seen_since = now_ms();
    s->reported = false;
    return 0;
}

static void end_child(struct supervisor *s) {
    if (!s->ending) {
        s->ending = true;
        s->kill_at = now_ms() + s->options->drain_ms + 1000;
    }
    if (s->child != 0) {
        kill(s->child, SIGTERM);
    }
}

/* What the child left behind says what it was doing. */
static void report_death(struct supervisor *s, int status) {
    char doing[120] = "between handlers";
    const char *phase = phase_text(s);
    if (phase != NULL) {
        snprintf(doing, sizeof doing, "while %s ran %s for instance %d", s->options->plugin, phase,
                 (int)atomic_load(&s->running->instance));
    }
    if (WIFSIGNALED(status)) {
        log_write(s->options->log, LOG_LEVEL_ERROR,
                  "server process %d was killed by signal %d (%s) %s", (int)s->child,
                  WTERMSIG(status), strsignal(WTERMSIG(status)), doing);
    } else {
        log_write(s->options->log, LOG_LEVEL_ERROR, "server process %d ended with status %d %s",
                  (int)s->child, WEXITSTATUS(status), doing);
    }
}

/* True when the supervisor is done; *result is its exit status. */
static bool child_is_gone(struct supervisor *s, int status, int *result) {
    bool orderly = WIFEXITED(status) && WEXITSTATUS(status) == 0;
    if (s->ending || orderly) {
        s->child = 0;
        *result = WIFEXITED(status) ? WEXITSTATUS(status) : 0;
        return true;
    }
    report_death(s, status);
    atomic_fetch_add(&s->running->restarts, 1);
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
    uint32_t runs = atomic_load(&s->running->runs);
    const char *phase = phase_text(s);
    uint64_t now = now_ms();
    if (phase == NULL || runs != s->seen_runs) {
        s->seen_runs = runs;
        s->seen_since = now;
        s->reported = false;
        return;
    }
    uint64_t stalled = now - s->seen_since;
    if (stalled >= s->options->report_ms && !s->reported) {
        s->reported = true;
        log_write(s->options->log, LOG_LEVEL_ERROR,
                  "%s has been running %s for instance %d for %llu s without a pause: all other "
                  "requests wait (see --stall-timeout)",
                  s->options->plugin, phase, (int)atomic_load(&s->running->instance),
                  (unsigned long long)(stalled / 1000));
    }
    if (s->options->stall_ms > 0 && stalled >= s->options->stall_ms) {
        log_write(s->options->log, LOG_LEVEL_ERROR,
                  "ending the server process %d: %s of instance %d hangs", (int)s->child, phase,
                  (int)atomic_load(&s->running->instance));
        kill(s->child, SIGABRT);
        s->seen_since = now;
    }
}

static uint64_t time_to_wait(const struct supervisor *s) {
    if (s->child != 0) {
        return POLL_MS;
    }
    uint64_t now = now_ms();
    return s->next_start > now ? s->next_start - now : 0;
}

static void on_time(struct supervisor *s) {
    if (s->options->watch_parent && getppid() != s->parent && !s->ending) {
        log_write(s->options->log, LOG_LEVEL_INFO,
                  "ending: the process that started this one is gone");
        end_child(s);
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
                return 0;
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
            end_child(s);
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
    struct supervisor s = {.options = options, .serve = serve, .arg = arg, .parent = getppid()};
    s.running =
        mmap(NULL, sizeof *s.running, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (s.running == MAP_FAILED) {
        snprintf(error, error_size, "supervisor: %s", strerror(errno));
        return -1;
    }
    if (options->watch_parent) {
        prctl(PR_SET_PDEATHSIG, SIGTERM);
    }
    signal(SIGPIPE, SIG_IGN);
    signal(SIGCHLD,
           SIG_DFL); /* ignored, as one may inherit it, there would be nobody to wait for */
    sigemptyset(&s.waited);
    sigaddset(&s.waited, SIGTERM);
    sigaddset(&s.waited, SIGINT);
    sigaddset(&s.waited, SIGCHLD);
    sigprocmask(SIG_BLOCK, &s.waited, NULL);
    sigemptyset(&s.before); /* whatever mask we were started with, the server must hear SIGTERM */
    int result = supervise(&s);
    sigprocmask(SIG_SETMASK, &s.before, NULL);
    munmap(s.running, sizeof *s.running);
    return result;
}
