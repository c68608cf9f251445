/* One limit for memory that many holders share. They charge what grows with a peer's bytes. The
 * first few KiB of each holder are free, so that a small answer never fails. */
#ifndef PROTO_BUDGET_H
#define PROTO_BUDGET_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One for each thread; `used` is shared by all. */
struct budget {
    _Atomic size_t *used;
    size_t limit;
    uint64_t *refused; /* how often this thread was refused; read by others */
};

/* Pieces larger than this leave the last sixteenth to smaller ones, so that an error can still be
 * sent when a large piece is refused. */
#define BUDGET_SMALL ((size_t)64 << 10)

/* False: less than `size` is left. NULL is no limit. */
static inline bool budget_take(const struct budget *budget, size_t size) {
    if (budget == NULL || size == 0) {
        return true;
    }
    size_t most = size > BUDGET_SMALL ? budget->limit - budget->limit / 16 : budget->limit;
    size_t before = atomic_fetch_add_explicit(budget->used, size, memory_order_relaxed);
    if (size <= most && before <= most - size) {
        return true;
    }
    atomic_fetch_sub_explicit(budget->used, size, memory_order_relaxed);
    __atomic_store_n(budget->refused, *budget->refused + 1, __ATOMIC_RELAXED);
    return false;
}

/* Takes it though less is left: for a few bytes that must not be missing. */
static inline void budget_overdraw(const struct budget *budget, size_t size) {
    if (budget != NULL && size != 0) {
        atomic_fetch_add_explicit(budget->used, size, memory_order_relaxed);
    }
}

static inline void budget_give(const struct budget *budget, size_t size) {
    if (budget != NULL && size != 0) {
        atomic_fetch_sub_explicit(budget->used, size, memory_order_relaxed);
    }
}

#endif
