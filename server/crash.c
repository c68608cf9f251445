#include "crash.h"

#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "kong_phase.h"

/* A signal handler is given nothing of ours: what it has to know must be found without an argument.
 * Written by crash_watch and crash_forget only. */
static struct {
    struct events *_Atomic events;
    const char *plugin;
    char stack[64 << 10]; /* a handler's own may be the one that is full */
} watched;

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

static void describe(struct events *events, int number, const void *address) {
    struct running *running = events_running(events);
    int32_t phase = atomic_load(&running->phase);
    bool overflow = events_is_guard(events, address);
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
        put_number(&line, (long)atomic_load(&running->instance));
    }
    put(&line, "\n");
    if (overflow) {
        atomic_store(&running->overflow, 1);
    }
    say(&line);
}

/* SA_RESETHAND: the fault that happens again when this returns ends the process. */
static void on_fault(int number, siginfo_t *info, void *context) {
    struct events *events = atomic_load(&watched.events);
    (void)context;
    if (events != NULL) {
        describe(events, number, info->si_code > 0 ? info->si_addr : NULL);
    }
    if (info->si_code <= 0) {
        raise(number); /* sent by somebody: nothing happens again by itself */
    }
}

void crash_watch(struct events *events, const char *plugin) {
    stack_t stack = {.ss_sp = watched.stack, .ss_size = sizeof watched.stack};
    struct sigaction action = {.sa_sigaction = on_fault,
                               .sa_flags = SA_SIGINFO | SA_ONSTACK | (int)SA_RESETHAND};
    sigemptyset(&action.sa_mask);
    watched.plugin = plugin;
    atomic_store(&watched.events, events);
    sigaltstack(&stack, NULL);
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) {
        sigaction(signals[i], &action, NULL);
    }
}

void crash_forget(void) {
    const stack_t none = {.ss_flags = SS_DISABLE};
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) {
        signal(signals[i], SIG_DFL);
    }
    sigaltstack(&none, NULL);
    atomic_store(&watched.events, NULL);
}
