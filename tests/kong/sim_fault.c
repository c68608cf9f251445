#include "sim_fault.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>

#include "crash.h"
#include "scratch.h"

/* Those of crash.h. */
static const int numbers[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};
#define COUNT (sizeof numbers / sizeof *numbers)

/* A signal handler finds what it needs here only. */
static atomic_flag claimed = ATOMIC_FLAG_INIT;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct sigaction before[COUNT];
static struct sigaction servers[COUNT];
static bool armed;

static void pass_on(const struct sigaction *action, int number, siginfo_t *info, void *context) {
    if ((action->sa_flags & SA_SIGINFO) != 0) {
        action->sa_sigaction(number, info, context);
    } else if (action->sa_handler == SIG_DFL) {
        signal(number, SIG_DFL);
        if (info->si_code <= 0) {
            raise(number); /* it does not happen again by itself */
        }
    } else if (action->sa_handler != SIG_IGN) {
        action->sa_handler(number);
    }
}

static void on_fault(int number, siginfo_t *info, void *context) {
    bool ours = crash_is_watched_here();
    const struct sigaction *actions = ours ? servers : before;
    if (ours) { /* that ends the process */
        scratch_remove_at_fault();
    }
    for (size_t i = 0; i < COUNT; i++) {
        if (numbers[i] == number) {
            pass_on(&actions[i], number, info, context);
        }
    }
}

bool sim_fault_claim(void) {
    if (atomic_flag_test_and_set(&claimed)) {
        return false;
    }
    for (size_t i = 0; i < COUNT; i++) {
        sigaction(numbers[i], NULL, &before[i]);
    }
    return true;
}

void sim_fault_arm(void) {
    struct sigaction ours = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    sigemptyset(&ours.sa_mask);
    pthread_mutex_lock(&lock);
    for (size_t i = 0; i < COUNT; i++) {
        struct sigaction now;
        sigaction(numbers[i], NULL, &now);
        if ((now.sa_flags & SA_SIGINFO) == 0 || now.sa_sigaction != on_fault) {
            *(armed ? &before[i] : &servers[i]) = now;
            sigaction(numbers[i], &ours, NULL);
        }
    }
    armed = true;
    pthread_mutex_unlock(&lock);
}

void sim_fault_release(void) {
    pthread_mutex_lock(&lock);
    for (size_t i = 0; i < COUNT; i++) {
        sigaction(numbers[i], &before[i], NULL);
    }
    armed = false;
    pthread_mutex_unlock(&lock);
    atomic_flag_clear(&claimed);
}
