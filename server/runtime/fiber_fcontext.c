/* Fibers on the assembly of Boost.Context: it saves the callee-saved registers, no signal mask, so
 * no system call. On x86 it saves the control words of floating point too, on arm64 that is done
 * here. Only its two C symbols are used. */
#include "fiber.h"
#include "fiber_switch.h"

#include <stdint.h>
#include <stdlib.h>

typedef void *fcontext_t;

/* Two words, returned in two registers (rax:rdx, x0:x1). */
struct transfer {
    fcontext_t fctx; /* the flow that jumped here, suspended */
    void *data;      /* what it gave to jump_fcontext */
};

struct transfer jump_fcontext(fcontext_t to, void *vp);
fcontext_t make_fcontext(void *sp, size_t size, void (*fn)(struct transfer));

/* Who jumps where. Lives on the stack of the one that jumps, which is suspended meanwhile. */
struct jump {
    struct fiber_context *from;
    struct fiber_context *to;
};

/* The control word of floating point (the rounding mode …), where the assembly leaves it to us. */
#ifdef __aarch64__
static inline uint64_t float_control(void) {
    uint64_t control;
    __asm__ volatile("mrs %0, fpcr" : "=r"(control));
    return control;
}

static inline void float_control_set(uint64_t control) {
    if (control != float_control()) { /* writing it is slow */
        __asm__ volatile("msr fpcr, %0" : : "r"(control));
    }
}
#else
static inline uint64_t float_control(void) {
    return 0;
}

static inline void float_control_set(uint64_t control) {
    (void)control;
}
#endif

static void begin(struct transfer arrived) {
    const struct jump *jump = arrived.data;
    struct fiber_context *self = jump->to;

    jump->from->at = arrived.fctx;
    self->entry(self->arg);
    abort();
}

void fiber_context_make(struct fiber_context *context, void *low, size_t size, fiber_entry *entry,
                        void *arg) {
    context->entry = entry;
    context->arg = arg;
    context->at = make_fcontext((char *)low + size, size, begin);
}

void fiber_context_switch(struct fiber_context *from, struct fiber_context *to) {
    struct jump jump = {.from = from, .to = to};
    uint64_t control = float_control();
    struct transfer arrived = jump_fcontext(to->at, &jump);

    /* Whoever jumped back here is known only by what it brought along. */
    ((const struct jump *)arrived.data)->from->at = arrived.fctx;
    float_control_set(control);
}
