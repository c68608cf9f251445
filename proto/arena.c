#include "arena.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ARENA_ASAN 1
#endif
#elif defined(__SANITIZE_ADDRESS__)
#define ARENA_ASAN 1
#endif

/* Under AddressSanitizer what is not handed out is poisoned, and a gap is left behind each piece,
 * so that running over its end is seen. Poison works in steps of 8 bytes. */
#ifdef ARENA_ASAN
#include <sanitizer/asan_interface.h>
#ifndef __clang__ /* gcc takes poisoning for reading */
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif
#define GAP                16
#define ALIGN_LEAST        8
#define POISON(at, size)   __asan_poison_memory_region(at, size)
#define UNPOISON(at, size) __asan_unpoison_memory_region(at, size)
#else
#define GAP                0
#define ALIGN_LEAST        1
#define POISON(at, size)   ((void)(at), (void)(size))
#define UNPOISON(at, size) ((void)(at), (void)(size))
#endif

#define ALIGN      _Alignof(max_align_t)
#define ALIGN_TEXT 1

/* Sizes of chunks, header included. */
#define CHUNK_MAX ((size_t)64 << 10)

struct arena_chunk {
    struct arena_chunk *older;
    char *end;
    _Alignas(max_align_t) char data[];
};

_Static_assert(ARENA_SMALL >= 2 * sizeof(struct arena_chunk), "a chunk holds more than its header");

void arena_init_small(struct arena *arena, size_t limit) {
    *arena = (struct arena){.limit = limit, .first = ARENA_SMALL};
}

void arena_init(struct arena *arena, size_t limit) {
    *arena = (struct arena){.limit = limit, .first = ARENA_USUAL};
}

/* A chunk with room for `size` bytes, the newest in the list; NULL when out of memory. */
static struct arena_chunk *add_chunk(struct arena *arena, size_t size) {
    if (size > PTRDIFF_MAX - sizeof(struct arena_chunk)) {
        return NULL;
    }
    size_t charged = arena->chunks == NULL ? 0 : sizeof(struct arena_chunk) + size;
    if (!budget_take(arena->budget, charged)) {
        return NULL;
    }
    struct arena_chunk *chunk = malloc(sizeof *chunk + size);
    if (chunk == NULL) {
        budget_give(arena->budget, charged);
        return NULL;
    }
    chunk->older = arena->chunks;
    chunk->end = chunk->data + size;
    arena->chunks = chunk;
    POISON(chunk->data, size);
    return chunk;
}

/* How many bytes the next chunk shall hold: as many as were used so far, within bounds. */
static size_t next_size(const struct arena *arena) {
    size_t size = arena->chunks == NULL ? arena->first : 2 * arena->first;
    while (size < arena->used && size < CHUNK_MAX) {
        size *= 2;
    }
    return size - sizeof(struct arena_chunk);
}

/* Cuts `size` bytes out of the current chunk; NULL when they do not fit. */
static inline char *cut(struct arena *arena, size_t size, size_t align) {
    if (arena->next == NULL) {
        return NULL;
    }
    size_t mask = (align < ALIGN_LEAST ? ALIGN_LEAST : align) - 1;
    size_t pad = (size_t)(-(uintptr_t)arena->next & mask);
    size_t room = (size_t)(arena->end - arena->next);
    if (pad > room || size > room - pad) {
        return NULL;
    }
    char *piece = arena->next + pad;
    size_t rest = room - pad - size;
    arena->next = piece + size + (rest > GAP ? GAP : rest);
    return piece;
}

/* A piece that does not fit and would fill half of the next chunk gets one of its own, so that the
 * rest of the current one is not lost. The first chunk is always a usual one: it is what
 * arena_reset keeps. */
static __attribute__((noinline)) char *cut_new(struct arena *arena, size_t size, size_t align) {
    if (arena->chunks != NULL && size > next_size(arena) / 2) {
        struct arena_chunk *own = add_chunk(arena, size);
        return own == NULL ? NULL : own->data;
    }
    struct arena_chunk *chunk = add_chunk(arena, next_size(arena));
    if (chunk == NULL) {
        return NULL;
    }
    arena->next = chunk->data;
    arena->end = chunk->end;
    char *piece = cut(arena, size, align);
    return piece != NULL ? piece : cut_new(arena, size, align);
}

/* Inlined, for `align` is constant then. `used` is never above the limit. */
static inline __attribute__((always_inline)) char *take(struct arena *arena, size_t size,
                                                        size_t align) {
    size_t pad = -arena->used & (align - 1);
    size_t left = arena->limit - arena->used;
    if (pad > left || size > left - pad) {
        return NULL;
    }
    char *piece = cut(arena, size, align);
    if (piece == NULL) {
        piece = cut_new(arena, size, align);
    }
    if (piece != NULL) {
        arena->used += pad + size;
        UNPOISON(piece, size);
    }
    return piece;
}

void *arena_alloc(struct arena *arena, size_t size) {
    return take(arena, size, ALIGN);
}

void *arena_array(struct arena *arena, size_t count, size_t size) {
    size_t total;
    if (__builtin_mul_overflow(count, size, &total)) {
        return NULL;
    }
    return take(arena, total, ALIGN);
}

struct kong_str arena_copy(struct arena *arena, const void *data, size_t len) {
    if (data == NULL || len == SIZE_MAX) {
        return (struct kong_str){NULL, 0};
    }
    char *copy = take(arena, len + 1, ALIGN_TEXT);
    if (copy == NULL) {
        return (struct kong_str){NULL, 0};
    }
    memcpy(copy, data, len);
    copy[len] = '\0';
    return (struct kong_str){copy, len};
}

struct kong_str arena_printf(struct arena *arena, const char *format, ...) {
    va_list args;
    va_start(args, format);
    int len = vsnprintf(NULL, 0, format, args);
    va_end(args);
    char *text = len < 0 ? NULL : take(arena, (size_t)len + 1, ALIGN_TEXT);
    if (text == NULL) {
        return (struct kong_str){NULL, 0};
    }
    va_start(args, format);
    vsnprintf(text, (size_t)len + 1, format, args);
    va_end(args);
    return (struct kong_str){text, (size_t)len};
}

void arena_reset_used(struct arena *arena) {
    struct arena_chunk *chunk = arena->chunks;
    while (chunk != NULL && chunk->older != NULL) {
        struct arena_chunk *older = chunk->older;
        budget_give(arena->budget, (size_t)(chunk->end - (char *)chunk));
        free(chunk);
        chunk = older;
    }
    arena->chunks = chunk;
    arena->used = 0;
    arena->next = NULL;
    arena->end = NULL;
    if (chunk != NULL) {
        arena->next = chunk->data;
        arena->end = chunk->end;
        POISON(chunk->data, (size_t)(chunk->end - chunk->data));
    }
}

void arena_free(struct arena *arena) {
    arena_reset_used(arena);
    free(arena->chunks);
    *arena = (struct arena){.limit = arena->limit, .first = arena->first, .budget = arena->budget};
}
