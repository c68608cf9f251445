#include "fiber.h"

#include "fiber_checkers.h"
#include "fiber_exceptions.h"
#include "fiber_switch.h"
#include "limit.h"

#include <assert.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

/* Of an idle stack, so much is kept at its top: what most handlers touch. */
#define KEPT ((size_t)64 << 10)
/* A parked fiber may have something of its own below the place where it stands: what the switch
 * itself saved, and the part below the stack pointer that the machine lets functions use. */
#define BELOW ((size_t)8 << 10)

enum state { IDLE, RUNNING, PARKED, RETURNED };

struct fiber {
    struct fiber_context context;
    struct fiber_context caller; /* who started or resumed it */
    struct checker checker;
    struct checker caller_checker;
    struct exceptions exceptions; /* while it runs, those of the caller */
    struct fiber_pool *pool;
    struct fiber *next; /* while idle */
    fiber_fn *fn;
    void *arg;
    char *map; /* the guard, then the stack */
    pthread_t thread;
    enum state state;
    bool trimmed; /* it has not run since what it does not need was given back */
};

struct fiber_pool {
    struct fiber *idle; /* the one used last first */
    struct fiber *running;
    size_t stack_size;
    size_t guard_size;
    size_t page;
    size_t max_idle;
    size_t idle_count;
    size_t idle_least; /* since fiber_pool_trim_unused */
    size_t alive;
    size_t mapped;
};

/* 0 when there is no such size. */
static size_t round_up(size_t size, size_t page) {
    return size > SIZE_MAX - (page - 1) ? 0 : (size + page - 1) / page * page;
}

struct fiber_pool *fiber_pool_create(size_t stack_size, size_t max_idle) {
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t rounded = round_up(stack_size, page);
    size_t guard = round_up(LIMIT_STACK_GUARD, page);
    struct fiber_pool *pool;

    assert(stack_size > 0);
    if (rounded == 0 || rounded > SIZE_MAX - guard)
        return NULL;
    pool = calloc(1, sizeof *pool);
    if (!pool)
        return NULL;
    pool->stack_size = rounded;
    pool->guard_size = guard;
    pool->page = page;
    pool->max_idle = max_idle;
    return pool;
}

static struct fiber *map_fiber(struct fiber_pool *pool) {
    struct fiber *fiber = calloc(1, sizeof *fiber);

    if (!fiber)
        return NULL;
    /* NORESERVE: a stack costs what is touched of it, not its size (unless vm.overcommit_memory is
     * 2, where its size counts as well). One mapping for guard and stack: two entries of the
     * 65,530 that vm.max_map_count allows. */
    fiber->map = mmap(NULL, pool->guard_size + pool->stack_size, PROT_NONE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
    if (fiber->map == MAP_FAILED)
        goto free_fiber;
    if (mprotect(fiber->map + pool->guard_size, pool->stack_size, PROT_READ | PROT_WRITE) != 0)
        goto unmap;
    /* One touched page must not cost 2 MiB. Fails where the kernel has no such pages. */
    madvise(fiber->map + pool->guard_size, pool->stack_size, MADV_NOHUGEPAGE);
    fiber->pool = pool;
    fiber->state = IDLE;
    fiber->trimmed = true;
    checker_map(&fiber->checker, fiber->map + pool->guard_size, pool->stack_size);
    pool->mapped++;
    return fiber;

unmap:
    munmap(fiber->map, pool->guard_size + pool->stack_size);
free_fiber:
    free(fiber);
    return NULL;
}

static void unmap_fiber(struct fiber *fiber) {
    struct fiber_pool *pool = fiber->pool;

    assert(fiber->state == IDLE);
    checker_unmap(&fiber->checker);
    munmap(fiber->map, pool->guard_size + pool->stack_size);
    pool->mapped--;
    free(fiber);
}

static struct fiber *pop_idle(struct fiber_pool *pool) {
    struct fiber *fiber = pool->idle;

    if (fiber) {
        pool->idle = fiber->next;
        pool->idle_count--;
        if (pool->idle_count < pool->idle_least)
            pool->idle_least = pool->idle_count;
    }
    return fiber;
}

/* Pages below `end` go back to the system; they read as zeros when they are touched again. */
static void give_back(struct fiber *fiber, char *end) {
    const struct fiber_pool *pool = fiber->pool;
    char *low = fiber->map + pool->guard_size;

    fiber->trimmed = true;
    end = (char *)((uintptr_t)end & ~(uintptr_t)(pool->page - 1));
    /* A checker may have put the place where the fiber stands elsewhere. */
    if (end > low && end <= low + pool->stack_size)
        madvise(low, (size_t)(end - low), MADV_DONTNEED);
}

void fiber_trim(struct fiber *fiber) {
    assert(fiber->state == PARKED);
    if (!fiber->trimmed)
        give_back(fiber, (char *)fiber->context.at - BELOW);
}

void fiber_pool_trim(struct fiber_pool *pool, size_t keep) {
    struct fiber **link = &pool->idle;

    for (size_t i = 0; i < keep && *link; i++)
        link = &(*link)->next;
    while (*link) {
        struct fiber *cold = *link;

        *link = cold->next;
        pool->idle_count--;
        unmap_fiber(cold);
    }
    if (pool->idle_least > pool->idle_count)
        pool->idle_least = pool->idle_count;
}

/* The list is in order of use: those that were never taken are at its end. */
void fiber_pool_trim_unused(struct fiber_pool *pool, size_t keep) {
    size_t used = pool->idle_count - pool->idle_least;

    fiber_pool_trim(pool, used > keep ? used : keep);
    for (struct fiber *fiber = pool->idle; fiber; fiber = fiber->next) {
        if (!fiber->trimmed && pool->stack_size > KEPT)
            give_back(fiber, fiber->map + pool->guard_size + pool->stack_size - KEPT);
    }
    pool->idle_least = pool->idle_count;
}

void fiber_pool_destroy(struct fiber_pool *pool) {
    if (!pool)
        return;
    assert(pool->alive == 0);
    fiber_pool_trim(pool, 0);
    free(pool);
}

/* The fiber returned: its stack is for the next one. */
static void release(struct fiber *fiber) {
    struct fiber_pool *pool = fiber->pool;

    checker_end(&fiber->checker);
    fiber->state = IDLE;
    pool->alive--;
    if (pool->idle_count >= pool->max_idle) {
        unmap_fiber(fiber);
        return;
    }
    fiber->next = pool->idle;
    pool->idle = fiber;
    pool->idle_count++;
}

static void leave(struct fiber *self, enum state state) {
    assert(self->state == RUNNING && self->pool->running == self);
    self->state = state;
    checker_leave(&self->checker, &self->caller_checker, state == RETURNED);
    fiber_context_switch(&self->context, &self->caller);
}

static void run(void *arg) {
    struct fiber *self = arg;

    checker_arrive(&self->checker, &self->caller_checker);
    self->fn(self->arg);
    leave(self, RETURNED);
    abort();
}

/* Until it parks (false) or returned (true). */
static bool enter(struct fiber *fiber) {
    struct fiber_pool *pool = fiber->pool;

    assert(!pool->running);
    pool->running = fiber;
    fiber->state = RUNNING;
    fiber->trimmed = false;
    checker_of_running(&fiber->caller_checker);
    checker_leave(&fiber->caller_checker, &fiber->checker, false);
    exceptions_exchange(&fiber->exceptions);
    fiber_context_switch(&fiber->caller, &fiber->context);
    exceptions_exchange(&fiber->exceptions);
    checker_arrive(&fiber->caller_checker, NULL);
    pool->running = NULL;
    if (fiber->state == PARKED)
        return false;
    assert(fiber->state == RETURNED);
    release(fiber);
    return true;
}

struct fiber *fiber_start(struct fiber_pool *pool, fiber_fn *fn, void *arg, bool *finished) {
    struct fiber *fiber = pop_idle(pool);

    *finished = false;
    if (!fiber)
        fiber = map_fiber(pool);
    if (!fiber)
        return NULL;
    fiber->fn = fn;
    fiber->arg = arg;
    fiber->exceptions = (struct exceptions){0};
    fiber->thread = pthread_self();
    checker_begin(&fiber->checker);
    fiber_context_make(&fiber->context, fiber->map + pool->guard_size, pool->stack_size, run,
                       fiber);
    pool->alive++;
    *finished = enter(fiber);
    return *finished ? NULL : fiber;
}

void fiber_park(struct fiber *self) {
    leave(self, PARKED);
    checker_arrive(&self->checker, &self->caller_checker);
}

bool fiber_resume(struct fiber *fiber) {
    assert(fiber->state == PARKED);
    assert(pthread_equal(fiber->thread, pthread_self()));
    return enter(fiber);
}

struct fiber *fiber_current(struct fiber_pool *pool) {
    return pool->running;
}

size_t fiber_pool_alive(const struct fiber_pool *pool) {
    return pool->alive;
}

size_t fiber_pool_mapped(const struct fiber_pool *pool) {
    return pool->mapped;
}

bool fiber_pool_is_guard(const struct fiber_pool *pool, const void *address) {
    const struct fiber *fiber = pool->running;
    uintptr_t at = (uintptr_t)address;

    return fiber && at >= (uintptr_t)fiber->map && at - (uintptr_t)fiber->map < pool->guard_size;
}
