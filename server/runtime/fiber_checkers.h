/* What AddressSanitizer, ThreadSanitizer and valgrind must be told about stacks and switches;
 * without them nothing, or next to nothing, is compiled. Private to fiber.c. */
#ifndef SERVER_FIBER_CHECKERS_H
#define SERVER_FIBER_CHECKERS_H

#include <stdbool.h>
#include <stddef.h>

#if defined(__has_feature)
#define FIBER_HAS_FEATURE(feature) __has_feature(feature)
#else
#define FIBER_HAS_FEATURE(feature) 0
#endif

#if defined(__SANITIZE_ADDRESS__) || FIBER_HAS_FEATURE(address_sanitizer)
#define FIBER_ASAN 1
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

#if defined(__SANITIZE_THREAD__) || FIBER_HAS_FEATURE(thread_sanitizer)
#define FIBER_TSAN 1
#include <sanitizer/tsan_interface.h>
#endif

#if defined(__has_include)
#if __has_include(<valgrind/memcheck.h>)
#define FIBER_VALGRIND 1
#include <valgrind/memcheck.h>
#endif
#endif

/* What checkers keep of one flow of control. */
struct checker {
    const void *low; /* its stack */
    size_t size;
    void *fake;        /* ASan's fake stack while it is suspended */
    void *tsan;        /* TSan's idea of it */
    unsigned valgrind; /* id of the stack */
    bool valgrind_mapped;
    bool memcheck; /* it runs, and keeps a note of each byte */
};

/* The stack exists; it is nobody's until checker_begin. */
static inline void checker_map(struct checker *checker, const void *low, size_t size) {
    checker->low = low;
    checker->size = size;
#ifdef FIBER_VALGRIND
    checker->valgrind = (unsigned)VALGRIND_STACK_REGISTER(low, (const char *)low + size - 1);
    checker->valgrind_mapped = true;
    checker->memcheck = VALGRIND_MAKE_MEM_NOACCESS(low, size) != 0;
#endif
}

static inline void checker_unmap(struct checker *checker) {
#ifdef FIBER_ASAN
    /* The addresses may be mapped again, by others. */
    ASAN_UNPOISON_MEMORY_REGION(checker->low, checker->size);
#endif
#ifdef FIBER_VALGRIND
    if (checker->valgrind_mapped)
        VALGRIND_STACK_DEREGISTER(checker->valgrind);
#endif
    checker->valgrind_mapped = false;
}

/* A new flow will use the stack. */
static inline void checker_begin(struct checker *checker) {
    checker->fake = NULL;
#ifdef FIBER_ASAN
    ASAN_UNPOISON_MEMORY_REGION(checker->low, checker->size);
#endif
#ifdef FIBER_TSAN
    checker->tsan = __tsan_create_fiber(0);
#endif
#ifdef FIBER_VALGRIND
    if (checker->memcheck)
        (void)VALGRIND_MAKE_MEM_UNDEFINED(checker->low, checker->size);
#endif
}

/* The flow is gone: a pointer to its stack is an error from here on. */
static inline void checker_end(struct checker *checker) {
#ifdef FIBER_ASAN
    ASAN_POISON_MEMORY_REGION(checker->low, checker->size);
#endif
#ifdef FIBER_TSAN
    __tsan_destroy_fiber(checker->tsan);
#endif
#ifdef FIBER_VALGRIND
    if (checker->memcheck)
        (void)VALGRIND_MAKE_MEM_NOACCESS(checker->low, checker->size);
#endif
    (void)checker;
}

/* Right before a switch; `last`: from never runs again. */
static inline void checker_leave(struct checker *from, const struct checker *to, bool last) {
#ifdef FIBER_ASAN
    __sanitizer_start_switch_fiber(last ? NULL : &from->fake, to->low, to->size);
#endif
#ifdef FIBER_TSAN
    __tsan_switch_to_fiber(to->tsan, 0);
#endif
    (void)from;
    (void)to;
    (void)last;
}

/* Right after one. `came_from`, unless NULL, learns the stack that was left. */
static inline void checker_arrive(struct checker *self, struct checker *came_from) {
#ifdef FIBER_ASAN
    __sanitizer_finish_switch_fiber(self->fake, came_from ? &came_from->low : NULL,
                                    came_from ? &came_from->size : NULL);
#endif
    (void)self;
    (void)came_from;
}

/* The flow that runs now, before it leaves for a fiber. */
static inline void checker_of_running(struct checker *checker) {
#ifdef FIBER_TSAN
    checker->tsan = __tsan_get_current_fiber();
#endif
    (void)checker;
}

#endif
