#include "supervisor.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clock.h"
#include "death.h"
#include "printable.h"

#define STEADY_MS      10000u /* a child that lived this long started well */
#define FIRST_DELAY_MS 5u
#define MOST_DELAY_MS  5000u
#define GRACE_MS       1000u /* for the child's end behind its drain time-out */

/* The signal that the child gets when the parent dies. Not SIGTERM, which only the loop handles: a
 * handler may keep the loop from running. */
#define PARENT_DIED SIGRTMIN

/* No number that damaged memory is likely to hold. */
#define RETURNED 0x5e7e0d1e

struct shared {
    struct running running;
    _Atomic int32_t returned; /* RETURNED: serve() came to its end */
};

struct supervisor {
    const struct supervisor_options *options;
    int (*serve)(void *arg, struct running *running);
    void *arg;
    struct shared *shared; /* with the child */
    sigset_t waited;       /* blocked in the parent */
    int signal_fd;         /* of these */
    pid_t child;           /* 0: none */
    uint64_t child_since;
    uint64_t delay_ms;
    uint64_t next_start;
    uint32_t restarts;
    struct quarantine quarantine; /* the child gets a copy: it may damage what it can write to */
    bool ending;
    uint64_t kill_at;
    /* the watch for a handler that hangs */
    struct stall stall;
    bool aborted;
};

/* --- the child --- */

/* Set once, before the handler is installed: it is given no argument. */
static unsigned seconds_to_drain;

static void on_parent_died(int number) {
    (void)number;
    alarm(seconds_to_drain); /* no other process is left to end a handler that hangs */
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
    atomic_store(&s->shared->returned, RETURNED);
    exit(status);
}

static int start_child(struct supervisor *s) {
    pid_t self = getpid();
    running_clear(&s->shared->running);
    quarantine_prune(&s->quarantine, clock_ms());
    memcpy(&s->shared->running.quarantine, &s->quarantine, sizeof s->quarantine);
    atomic_store(&s->shared->returned, 0);
    fd_store_before_child(s->options->store);
    pid_t child = fork();
    if (child < 0) {
        return -1;
    }
    if (child == 0) {
        close(s->signal_fd);
        fd_store_enter_child(s->options->store);
        run_child(s, self);
    }
    s->child = child;
    s->child_since = clock_ms();
    stall_init(&s->stall, &s->options->stall, &s->shared->running, s->child_since);
    s->aborted = false;
    return 0;
}

/* --- the parent --- */

static bool parent_is_gone(const struct supervisor *s) {
    return s->options->watch_parent && getppid() != s->options->parent;
}

/* Asks the child to end; a second SIGINT ends it at once. A second SIGTERM does not: Kong sends
 * one, and its exit sends another. */
static void end_child(struct supervisor *s, bool impatient) {
    if (!s->ending) {
        s->ending = true;
        s->kill_at = clock_ms() + s->options->drain_ms + GRACE_MS;
        if (s->child != 0) {
            kill(s->child, SIGTERM);
        }
    } else if (impatient) {
        s->kill_at = clock_ms();
    }
}

static void report_death(const struct supervisor *s, const struct death *death) {
    char text[512];
    death_describe(death, s->options->stall.plugins, text, sizeof text);
    log_write(s->options->stall.log, LOG_LEVEL_ERROR, "server process %d %s", (int)s->child, text);
}

static void report_quarantine(const struct supervisor *s, const struct death_suspect *suspect,
                              const struct quarantine_effect *effect) {
    char request[QUARANTINE_ID_SIZE];
    const char *plugin = plugins_name_of(s->options->stall.plugins, suspect->plugin);
    if (effect->handler_refused_ms > 0 && suspect->crash.phase == QUARANTINE_JOB) {
        log_write_for(
            s->options->stall.log, plugin, LOG_LEVEL_ERROR, NULL,
            "job %d crashes the server process again and again: it does not run for %llu s",
            (int)suspect->instance, (unsigned long long)(effect->handler_refused_ms / 1000));
    } else if (effect->handler_refused_ms > 0) {
        log_write_for(
            s->options->stall.log, plugin, LOG_LEVEL_ERROR, NULL,
            "instance %d: requests with its configuration crash the server process again and "
            "again: %s does not run for them for %llu s",
            (int)suspect->instance, running_name_of(suspect->crash.phase),
            (unsigned long long)(effect->handler_refused_ms / 1000));
    } else if (effect->request_refused) {
        printable_copy(request, sizeof request, suspect->crash.request,
                       strlen(suspect->crash.request));
        log_write_for(s->options->stall.log, plugin, LOG_LEVEL_ERROR, NULL,
                      "request %s crashed the server process: it does not run again", request);
    }
}

/* False: too many handlers crash for all of them to be remembered. */
static bool note_crashes(struct supervisor *s, const struct death *death, uint64_t now) {
    bool remembered = true;
    quarantine_collect(&s->quarantine, &s->shared->running.quarantine);
    for (size_t i = 0; i < death->count; i++) {
        const struct death_suspect *suspect = &death->suspects[i];
        struct quarantine_effect effect = quarantine_add(&s->quarantine, &suspect->crash, now);
        report_quarantine(s, suspect, &effect);
        remembered = remembered && !effect.crowded;
    }
    return remembered;
}

/* Written for the next child, which reports it to Kong. */
static void note_death(struct supervisor *s, const struct death *death) {
    struct running *running = &s->shared->running;
    const struct death_suspect *first = &death->suspects[0];
    atomic_store(&running->died_signal, WIFSIGNALED(death->status) ? WTERMSIG(death->status) : 0);
    atomic_store(&running->died_plugin, first->plugin);
    atomic_store(&running->died_instance, death->count > 0 ? first->instance : 0);
    atomic_store(&running->died_phase, death->count > 0 ? first->crash.phase : RUNNING_NONE);
    atomic_store(&running->restarts, ++s->restarts);
}

/* One that has served must not keep others waiting: what crashed in a handler is quarantined. */
static uint64_t next_delay(const struct supervisor *s, const struct death *death, bool remembered,
                           uint64_t now) {
    if (death->served && remembered && death->count > 0) {
        return 0;
    }
    if ((death->served && remembered) || now - s->child_since >= STEADY_MS || s->delay_ms == 0) {
        return FIRST_DELAY_MS;
    }
    return s->delay_ms * 4 < MOST_DELAY_MS ? s->delay_ms * 4 : MOST_DELAY_MS;
}

/* True when the supervisor is done; *result is its exit status. */
static bool child_is_gone(struct supervisor *s, int status, int *result) {
    bool returned = WIFEXITED(status) && atomic_load(&s->shared->returned) == RETURNED;
    fd_store_on_death(s->options->store, !returned && !s->ending); /* first of all: peers wait */
    if (returned || s->ending) {
        s->child = 0;
        *result = returned ? WEXITSTATUS(status) : EXIT_SUCCESS;
        return true;
    }
    struct death death;
    uint64_t now = clock_ms();
    death_examine(&death, status, &s->shared->running);
    report_death(s, &death);
    bool remembered = note_crashes(s, &death, now);
    note_death(s, &death);
    s->child = 0;
    s->delay_ms = next_delay(s, &death, remembered, now);
    s->next_start = now + s->delay_ms;
    log_write(s->options->stall.log, LOG_LEVEL_NOTICE, "starting another in %llu ms",
              (unsigned long long)s->delay_ms);
    return false;
}

static void watch_for_stall(struct supervisor *s) {
    int worker_index = stall_look(&s->stall, clock_ms());
    if (worker_index >= 0) {
        kill(s->child, s->aborted ? SIGKILL : SIGABRT);
        s->aborted = true;
        atomic_store(&s->shared->running.fault, (int32_t)worker_index);
    }
}

static uint64_t time_to_wait(const struct supervisor *s) {
    if (s->child != 0) {
        return stall_poll_ms(&s->options->stall);
    }
    uint64_t now = clock_ms();
    return s->next_start > now ? s->next_start - now : 0;
}

static void on_time(struct supervisor *s) {
    if (parent_is_gone(s) && !s->ending) {
        log_write(s->options->stall.log, LOG_LEVEL_INFO,
                  "ending: the process that started this one is gone");
        end_child(s, false);
    }
    if (s->child == 0) {
        return;
    }
    if (s->ending && clock_ms() >= s->kill_at) {
        kill(s->child, SIGKILL);
    } else {
        watch_for_stall(s);
    }
}

/* Waits for a signal, for at most so long. Its number; 0: none came. */
static int wait_for_signal(const struct supervisor *s, uint64_t timeout_ms) {
    struct signalfd_siginfo info;
    fd_store_wait(s->options->store, s->signal_fd, timeout_ms);
    return read(s->signal_fd, &info, sizeof info) == (ssize_t)sizeof info ? (int)info.ssi_signo : 0;
}

/* A signal for the log: for the child's, and for ours, which is the next child's. */
static void pass_on(const struct supervisor *s, int number) {
    if (number == SIGHUP) {
        log_reopen(s->options->stall.log);
    } else {
        log_shift_level(s->options->stall.log, number == SIGUSR1 ? -1 : 1);
    }
    if (s->child != 0) {
        kill(s->child, number);
    }
}

static int supervise(struct supervisor *s) {
    for (;;) {
        if (s->child == 0) {
            if (s->ending) {
                return EXIT_SUCCESS;
            }
            if (clock_ms() >= s->next_start && start_child(s) != 0) {
                log_write(s->options->stall.log, LOG_LEVEL_ERROR, "fork: %s", strerror(errno));
                s->next_start = clock_ms() + 1000;
            }
        }
        int number = wait_for_signal(s, time_to_wait(s));
        int status;
        int result = 0;
        if (number == SIGTERM || number == SIGINT) {
            end_child(s, number == SIGINT);
        } else if (number != 0 && number != SIGCHLD) {
            pass_on(s, number);
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
    static const int heard[] = {SIGTERM, SIGINT, SIGCHLD, SIGUSR1, SIGUSR2, SIGHUP};
    struct supervisor s = {.options = options, .serve = serve, .arg = arg};
    s.quarantine.watch_ms = QUARANTINE_WATCH_MS + options->stall.stall_ms;
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
    for (size_t i = 0; i < sizeof heard / sizeof *heard; i++) {
        if (heard[i] != SIGHUP || log_has_file(options->stall.log)) {
            sigaddset(&s.waited, heard[i]);
        }
    }
    s.signal_fd = signalfd(-1, &s.waited, SFD_NONBLOCK | SFD_CLOEXEC);
    if (s.signal_fd < 0) {
        snprintf(error, error_size, "supervisor: %s", strerror(errno));
        munmap(s.shared, sizeof *s.shared);
        return -1;
    }
    sigprocmask(SIG_BLOCK, &s.waited, NULL);
    int result = supervise(&s);
    close(s.signal_fd);
    munmap(s.shared, sizeof *s.shared);
    return result;
}
