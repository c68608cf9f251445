#include "crash.h"

#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kong_phase.h"

#define STACK_SIZE ((size_t)64 << 10)

/* A signal handler is given nothing of ours: what it has to know must be found without an argument.
 * Written by crash_watch and crash_forget only. */
static struct {
    struct running *_Atomic running; /* NULL: nothing is watched */
    const char *plugin;
} watched;

/* The handlers that this thread runs, and a stack: a handler's own may be the one that is full. */
static _Thread_local struct events *volatile events_here;
static _Thread_local void *stack_here;

static const int signals[] = {SIGSEGV, SIGBUS};

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

/* Waits for nobody: a full pipe gets nothing. */
static void say(const struct line *line) {
    struct pollfd room = {.fd = STDERR_FILENO, .events = POLLOUT};
    if (poll(&room, 1, 0) == 1 && room.revents == POLLOUT) {
        (void)!write(STDERR_FILENO, line->text, line->len);
    }
}

static void describe(struct running *running, int number, const void *address) {
    struct events *events = events_here;
    struct running_worker *worker_index = events == NULL ? NULL : events_running(events);
    int32_t phase = worker_index == NULL ? RUNNING_NONE : atomic_load(&worker_index->phase);
    bool overflow = events != NULL && events_is_guard(events, address);
    struct line line = {.len = 0};
    put(&line, watched.plugin);
    put(&line, "[");
    put_number(&line, (long)getpid());
    put(&line, "]: ");
    put(&line, overflow ? "stack overflow" : number == SIGBUS ? "bus error" : "invalid access");
    if (phase >= 0 && phase < KONG_PHASE_COUNT) {
        put(&line, " in a handler of phase ");
        put(&line, kong_phase_name((enum kong_phase)phase));
        put(&line, ", instance ");
        put_number(&line, (long)atomic_load(&worker_index->instance));
        atomic_store(&running->fault, (int32_t)events_options(events)->worker_index);
    }
    put(&line, "\n");
    if (overflow) {
        atomic_store(&running->overflow, 1);
    }
    say(&line);
}

/* SA_RESETHAND: the fault that happens again when this returns ends the process. */
static void on_fault(int number, siginfo_t *info, void *context) {
    struct running *running = atomic_load(&watched.running);
    (void)context;
    if (running != NULL) {
        describe(running, number, info->si_code > 0 ? info->si_addr : NULL);
    }
    if (info->si_code <= 0) {
        raise(number); /* sent by somebody: nothing happens again by itself */
    }
}

void crash_watch(const char *plugin, struct running *running) {
    struct sigaction action = {.sa_sigaction = on_fault,
                               .sa_flags = SA_SIGINFO | SA_ONSTACK | (int)SA_RESETHAND};
    sigemptyset(&action.sa_mask);
    watched.plugin = plugin;
    atomic_store(&watched.running, running);
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) {
        sigaction(signals[i], &action, NULL);
    }
}

void crash_forget(void) {
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) {
        signal(signals[i], SIG_DFL);
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
}

void crash_leave(void) {
    const stack_t none = {.ss_flags = SS_DISABLE};
    events_here = NULL;
    sigaltstack(&none, NULL);
    free(stack_here);
    stack_here = NULL;
}
