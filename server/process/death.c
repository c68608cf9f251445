#include "death.h"

#include <signal.h>
#include <string.h>
#include <sys/wait.h>

#include "text.h"

/* The process caused it itself: other processes do not send these signals. */
static bool is_own_doing(int status) {
    static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGSYS, SIGTRAP};
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
        if (WIFSIGNALED(status) && WTERMSIG(status) == faults[i]) {
            return true;
        }
    }
    return WIFEXITED(status);
}

static void add_suspect(struct death *death, const struct running_slot *slot) {
    struct death_suspect *suspect = &death->suspects[death->count++];
    *suspect = (struct death_suspect){
        .plugin = atomic_load(&slot->plugin),
        .instance = atomic_load(&slot->instance),
        .crash = {.config = slot->config, .phase = atomic_load(&slot->phase)}};
    if (slot->request_run == atomic_load(&slot->runs)) {
        memcpy(suspect->crash.request, slot->request, sizeof suspect->crash.request - 1);
    }
}

static bool is_running(const struct running_slot *slot) {
    return running_is_phase(atomic_load(&slot->phase));
}

void death_examine(struct death *death, int status, const struct running *running) {
    int32_t fault = atomic_load(&running->fault);
    *death = (struct death){.status = status, .overflow = atomic_load(&running->overflow) != 0};
    for (size_t i = 0; i < RUNNING_SLOTS; i++) {
        death->served = death->served || atomic_load(&running->slots[i].runs) > 0;
    }
    if (fault >= 0 && fault < RUNNING_SLOTS && is_running(&running->slots[fault])) {
        add_suspect(death, &running->slots[fault]);
        death->suspects[0].crash.certain = true;
        return;
    }
    for (size_t i = 0; i < RUNNING_SLOTS; i++) {
        if (is_running(&running->slots[i])) {
            add_suspect(death, &running->slots[i]);
        }
    }
    death->suspects[0].crash.certain = death->count == 1 && is_own_doing(status);
}

void death_describe(const struct death *death, const struct plugins *plugins, char *out,
                    size_t size) {
    struct text text = text_in(out, size);
    if (WIFSIGNALED(death->status)) {
        int number = WTERMSIG(death->status);
        text_add(&text, "was killed by signal %d (%s%s)", number, strsignal(number),
                 death->overflow ? ", stack overflow" : "");
    } else {
        text_add(&text, "exited with status %d", WEXITSTATUS(death->status));
    }
    if (death->count == 0) {
        text_add(&text, " between handlers");
    }
    for (size_t i = 0; i < death->count; i++) {
        const struct death_suspect *suspect = &death->suspects[i];
        bool named = i == 0 || plugins->count > 1;
        text_add(&text, "%s%s%s%s%s%d", i == 0 ? " while " : ", ",
                 named ? plugins_name_of(plugins, suspect->plugin) : "", named ? " ran " : "",
                 running_name_of(suspect->crash.phase),
                 suspect->crash.phase == QUARANTINE_JOB ? " " : " for instance ",
                 (int)suspect->instance);
    }
}
