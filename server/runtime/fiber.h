/* A stack of its own for a handler, so that it can wait in the middle of plain C. Two backends with
 * one meaning: Boost.Context's assembly (fiber_fcontext.c) and ucontext (fiber_ucontext.c); the
 * build takes the first where it is installed. Switching is symmetric and cheap: about 14 ns, or
 * 600 ns with ucontext (a system call for the signal mask).
 *
 * A fiber runs on the thread that started it. A suspended fiber cannot be freed: resume it and let
 * its function return. */
#ifndef SERVER_FIBER_H
#define SERVER_FIBER_H

#include <stdbool.h>
#include <stddef.h>

struct fiber;
struct fiber_pool;

typedef void fiber_fn(void *arg);

/* Stacks of stack_size usable bytes (rounded up to pages), each with a guard of LIMIT_STACK_GUARD
 * bytes below it that faults: an overflow does not reach another's memory, unless one frame is
 * larger than that. A stack takes address space, two of the process's mappings, and memory for
 * the pages that were touched. At most max_idle unused ones are kept mapped, the one used last is
 * taken first. A pool belongs to one thread at a time. NULL when out of memory. */
struct fiber_pool *fiber_pool_create(size_t stack_size, size_t max_idle);

/* No fiber of the pool may be alive (asserted). NULL is allowed. */
void fiber_pool_destroy(struct fiber_pool *pool);

/* Unmaps idle stacks until at most `keep` are left: for quiet moments after a burst. */
void fiber_pool_trim(struct fiber_pool *pool, size_t keep);

/* Called now and then, it gives back what only a burst needed: stacks that were idle all the time
 * since the last call, but for `keep` of them, and of those that it leaves, all that was touched
 * deeper than 64 KiB. */
void fiber_pool_trim_unused(struct fiber_pool *pool, size_t keep);

/* Runs fn(arg) on a stack of the pool until it parks or returns. *finished says which: true, and
 * the fiber is back in the pool already (NULL is returned); false, and the return value is the
 * parked fiber. NULL and *finished == false when no stack can be mapped: fn was not called. Not
 * from a fiber of the same pool (asserted). */
struct fiber *fiber_start(struct fiber_pool *pool, fiber_fn *fn, void *arg, bool *finished);

/* Called on the fiber: back to whoever started or resumed it, until the next fiber_resume. `self`
 * is the running fiber. */
void fiber_park(struct fiber *self);

/* Continues a parked fiber until it parks again (false) or its function returns (true: it is back
 * in the pool, the pointer is dead). On the thread that started it, and not from a fiber of the
 * same pool (both asserted). */
bool fiber_resume(struct fiber *fiber);

/* Gives back what a parked fiber has touched below the place where it stands. Cheap when it has not
 * run since the last time. */
void fiber_trim(struct fiber *fiber);

/* The fiber of this pool that runs now; NULL on the loop's own stack. */
struct fiber *fiber_current(struct fiber_pool *pool);

/* Fibers started and not yet returned; stacks mapped. */
size_t fiber_pool_alive(const struct fiber_pool *pool);
size_t fiber_pool_mapped(const struct fiber_pool *pool);

/* Whether an address (of a fault) lies in the guard of the pool's running fiber: its stack
 * overflowed. Async-signal-safe. */
bool fiber_pool_is_guard(const struct fiber_pool *pool, const void *address);

#endif
