#include "running.h"

_Static_assert(sizeof(struct running_slot) == 64, "slots do not share cache lines");

/* For a signal handler, which is given no argument. */
static _Thread_local struct running_slot *volatile slot_here;

void running_set_here(struct running_slot *slot) {
    slot_here = slot;
}

struct running_slot *running_here(void) {
    return slot_here;
}

const char *running_name_of(int32_t phase) {
    if (!running_is_phase(phase)) {
        return NULL;
    }
    return phase == QUARANTINE_CONFIGURE ? "configure"
           : phase == QUARANTINE_JOB     ? "job"
                                         : kong_phase_name((enum kong_phase)phase);
}

const char *running_phase_name(const struct running_slot *slot) {
    return running_name_of(atomic_load(&slot->phase));
}

void running_clear(struct running *running) {
    atomic_store(&running->overflow, 0);
    atomic_store(&running->fault, RUNNING_NONE);
    for (size_t i = 0; i < RUNNING_SLOTS; i++) {
        running_leave(&running->slots[i]);
        atomic_store(&running->slots[i].runs, 0);
        running->slots[i].request_run = 0;
    }
}

struct running_slot *running_take(struct running *running, uint32_t plugin, int32_t instance,
                                  int32_t phase, uint64_t config, const char *request) {
    for (size_t i = RUNNING_WORKERS; i < RUNNING_SLOTS; i++) {
        struct running_slot *slot = &running->slots[i];
        int32_t none = RUNNING_NONE;
        if (atomic_compare_exchange_strong(&slot->phase, &none, RUNNING_TAKEN)) {
            running_enter(slot, plugin, instance, phase, config);
            if (request != NULL) {
                running_note_request(slot, request);
            }
            return slot;
        }
    }
    return NULL;
}
