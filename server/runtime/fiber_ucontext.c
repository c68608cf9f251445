/* Fibers on <ucontext.h>, for machines without Boost.Context: each switch also saves and sets the
 * signal mask, two system calls. */
#include "fiber.h"
#include "fiber_switch.h"

#include <stdint.h>
#include <stdlib.h>
#include <ucontext.h>

/* A suspended flow's ucontext_t lies on its own stack, at the switch that it is in; that of a flow
 * that never ran lies at the top. makecontext passes ints only. */
static void begin(unsigned high, unsigned low) {
    struct fiber_context *self = (struct fiber_context *)(uintptr_t)(((uint64_t)high << 32) | low);

    self->entry(self->arg);
    abort();
}

void fiber_context_make(struct fiber_context *context, void *low, size_t size, fiber_entry *entry,
                        void *arg) {
    uintptr_t top = ((uintptr_t)low + size - sizeof(ucontext_t)) & ~(uintptr_t)63;
    ucontext_t *first = (ucontext_t *)top;
    uint64_t self = (uintptr_t)context;

    context->entry = entry;
    context->arg = arg;
    context->at = first;
    getcontext(first); /* fails for a bad address only */
    first->uc_stack.ss_sp = low;
    first->uc_stack.ss_size = top - (uintptr_t)low;
    first->uc_link = NULL;
    makecontext(first, (void (*)(void))begin, 2, (unsigned)(self >> 32), (unsigned)self);
}

void fiber_context_switch(struct fiber_context *from, struct fiber_context *to) {
    ucontext_t here;

    /* Not set by swapcontext, but read by AddressSanitizer's, which takes garbage for a stack. */
    here.uc_stack = (stack_t){0};
    from->at = &here;
    if (swapcontext(&here, to->at) != 0)
        abort(); /* going on would run the wrong flow */
}
