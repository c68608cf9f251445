/* Memory of one event: allocated piece by piece, freed at once. */
#ifndef PROTO_ARENA_H
#define PROTO_ARENA_H

#include "budget.h"
#include "kong_value.h"

struct arena_chunk;

/* Bytes of the first piece that is taken from the system, by malloc. */
#define ARENA_USUAL ((size_t)4 << 10) /* all that a usual event needs */
#define ARENA_SMALL ((size_t)128)     /* a small configuration */

/* Owned by whoever embeds it. All fields are private. */
struct arena {
    struct arena_chunk *chunks; /* newest first; the oldest survives arena_reset */
    char *next;
    char *end;
    size_t used;                 /* bytes handed out, padding included */
    size_t limit;                /* at most so many bytes are handed out between two resets */
    size_t first;                /* ARENA_USUAL or ARENA_SMALL */
    const struct budget *budget; /* of all pieces taken from the system but the first; or NULL */
};

/* No allocation happens before the first arena_alloc. */
void arena_init(struct arena *arena, size_t limit);

/* The same for one of which there are many, each filled once with little. */
void arena_init_small(struct arena *arena, size_t limit);

/* Charges a budget (borrowed) for all memory but the first piece. To be called before the first
 * allocation. */
static inline void arena_set_budget(struct arena *arena, const struct budget *budget) {
    arena->budget = budget;
}

/* size bytes, aligned for any type, not zeroed; NULL when out of memory or over the limit. size 0
 * gives a valid pointer. */
void *arena_alloc(struct arena *arena, size_t size);

/* count * size bytes, overflow checked; NULL as above. */
void *arena_array(struct arena *arena, size_t count, size_t size);

/* A copy with a NUL behind it; {NULL, 0} when out of memory, and for nil. */
struct kong_str arena_copy(struct arena *arena, const void *data, size_t len);

/* printf into the arena; {NULL, 0} when out of memory. */
struct kong_str arena_printf(struct arena *arena, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

void arena_reset_used(struct arena *arena);

/* Everything handed out is gone; one small chunk is kept for the next use. */
static inline void arena_reset(struct arena *arena) {
    if (arena->used != 0) { /* mostly nothing was */
        arena_reset_used(arena);
    }
}

/* Everything is gone; the arena can be used again as after arena_init. */
void arena_free(struct arena *arena);

#endif
