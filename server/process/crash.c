#include "crash.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kong_phase.h"

#define STACK_SIZE ((size_t)64 << 10)

/* What the signal handler needs; it gets no argument. Written by crash_watch and crash_forget. */
static struct {
    struct running *_Atomic running; /* NULL: nothing is watched */
    const struct plugins *plugins;
} watched;

/* The events that this thread runs, and a stack for signals: a handler's own may be full. */
static _Thread_local struct events *volatile events_here;
static _Thread_local void *stack_here;

static const struct {
    int number;
    const char *what;
} signals[] = {{SIGSEGV, "invalid access"},
               {SIGBUS, "bus error"},
               {SIGFPE, "arithmetic error"},
               {SIGILL, "illegal instruction"},
               {SIGABRT, "abort"}};

/* No printf in a signal handler. */
struct line {
    char text[256];
    size_t len;
};

static void put(struct line *line, const char *text) {
    size_t len = strlen(text);
    size_t room = sizeof line->text - line->len;
    len = len < room ? len : room;
    memcpy(line->text + line->len, text, len);
    line->len += len;
}

static void put_number(struct line *line, long number) {
    char digits[24];
    char *at = digits + sizeof digits - 1;
    unsigned long left = number < 0 ? 0 - (unsigned long)number : (unsigned long)number;
    *at = '\0';
    do {
        *--at = (char)('0' + left % 10);
        left /= 10;
    } while (left > 0);
    if (number < 0) {
        *--at = '-';
    }
    put(line, at);
}

/* Never waits: the line is lost when the pipe is full. */
static void say(const struct line *line) {
    struct pollfd room = {.fd = STDERR_FILENO, .events = POLLOUT};
    struct stat status;
    if (poll(&room, 1, 0) != 1 || room.revents != POLLOUT) {
        return;
    }
    /* Other processes may fill the pipe now, so it is written through a description of its own,
     * which does not block. */
    bool is_pipe = fstat(STDERR_FILENO, &status) == 0 && S_ISFIFO(status.st_mode);
    int own = is_pipe ? open("/proc/self/fd/2", O_WRONLY | O_NONBLOCK | O_CLOEXEC) : -1;
    (void)!write(own >= 0 ? own : STDERR_FILENO, line->text, line->len);
    if (own >= 0) {
        close(own);
    }
}

/* What this thread runs; NULL: no handler. */
static struct running_slot *slot_at_work(void) {
    struct running_slot *slot = running_here();
    return slot != NULL && running_phase_name(slot) != NULL ? slot : NULL;
}

static void blame(struct running *running, const struct running_slot *slot) {
    if (slot >= running->slots && slot < running->slots + RUNNING_SLOTS) {
        int32_t none = RUNNING_NONE; /* when several threads fault, the first is named */
        atomic_compare_exchange_strong(&running->fault, &none, (int32_t)(slot - running->slots));
    }
}

static const char *name_of(int number) {
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) {
        if (signals[i].number == number) {
            return signals[i].what;
        }
    }
    return "signal";
}

static void describe(struct running *running, int number, const void *address) {
    struct running_slot *slot = slot_at_work();
    bool overflow = events_here != NULL && events_is_guard(events_here, address);
    struct line line = {.len = 0};
    put(&line, slot == NULL ? watched.plugins->name
                            : plugins_name_of(watched.plugins, atomic_load(&slot->plugin)));
    put(&line, "[");
    put_number(&line, (long)getpid());
    put(&line, "]: ");
    put(&line, overflow ? "stack overflow" : name_of(number));
    if (slot != NULL) {
        bool job = atomic_load(&slot->phase) == QUARANTINE_JOB;
        put(&line, job ? " in " : " in a handler of phase ");
        put(&line, running_phase_name(slot));
        put(&line, job ? " " : ", instance ");
        put_number(&line, (long)atomic_load(&slot->instance));
        blame(running, slot);
    }
    put(&line, "\n");
    if (overflow) {
        atomic_store(&running->overflow, 1);
    }
    say(&line);
}

/* The default action is restored at the end, not by SA_RESETHAND: a second thread that faults must
 * not end the process before the first is noted. The fault that happens again when this returns
 * ends the process. A signal that another process sent, or another thread (the watch for handlers
 * that hang), says nothing about the handler that this thread runs. */
static void on_fault(int number, siginfo_t *info, void *context) {
    struct running *running = atomic_load(&watched.running);
    bool own = info->si_code > 0 || info->si_code == SI_TKILL; /* SI_TKILL: abort() */
    (void)context;
    if (running != NULL && own) {
        describe(running, number, info->si_code > 0 ? info->si_addr : NULL);
    }
    signal(number, SIG_DFL);
    if (info->si_code <= 0) {
        raise(number); /* it does not happen again by itself */
    }
}

/* exit() in a handler. After the server's own end no thread is in a handler. */
static void on_exit_in_handler(void) {
    struct running *running = atomic_load(&watched.running);
    struct running_slot *slot = slot_at_work();
    if (running != NULL && slot != NULL) {
        blame(running, slot);
    }
}

void crash_watch(const struct plugins *plugins, struct running *running) {
    static atomic_flag hears_exit = ATOMIC_FLAG_INIT;
    struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    sigemptyset(&action.sa_mask);
    watched.plugins = plugins;
    atomic_store(&watched.running, running);
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) {
        sigaction(signals[i].number, &action, NULL);
    }
    if (!atomic_flag_test_and_set(&hears_exit)) {
        atexit(on_exit_in_handler); /* without memory for it exit() is not told apart */
    }
}

void crash_forget(void) {
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) {
        signal(signals[i].number, SIG_DFL);
    }
    atomic_store(&watched.running, NULL);
}

void crash_enter(struct events *events) {
    stack_here = malloc(STACK_SIZE);
    if (stack_here != NULL) {
        const stack_t stack = {.ss_sp = stack_here, .ss_size = STACK_SIZE};
        sigaltstack(&stack, NULL);
    }
    events_here = events;
    running_set_here(events_running(events));
}

void crash_leave(void) {
    const stack_t none = {.ss_flags = SS_DISABLE};
    events_here = NULL;
    running_set_here(NULL);
    sigaltstack(&none, NULL);
    free(stack_here);
    stack_here = NULL;
}

bool crash_is_watched_here(void) {
    return events_here != NULL;
}
