/* What C++ keeps for each thread of the exceptions that are being handled: it belongs to the flow
 * of control, so it changes with the stack. Without that, `throw;` after a wait in a catch block
 * would throw the exception of another handler. Private to fiber.c. */
#ifndef SERVER_FIBER_EXCEPTIONS_H
#define SERVER_FIBER_EXCEPTIONS_H

/* __cxa_eh_globals of the C++ ABI (2.2.2, "Caught Exception Stack"), the same in libstdc++ and
 * libc++abi. */
struct exceptions {
    void *caught;      /* the innermost exception that is being handled */
    unsigned uncaught; /* thrown, and not yet caught: destructors run */
#ifdef __ARM_EABI__
    void *propagating;
#endif
};

/* Those of the calling thread, never NULL. There is no such function in a program without C++. */
struct exceptions *exceptions_of_thread(void) __asm__("__cxa_get_globals") __attribute__((weak));

/* The flow that is left or entered and the thread exchange what they have. */
static inline void exceptions_exchange(struct exceptions *others) {
    if (exceptions_of_thread) {
        struct exceptions *current = exceptions_of_thread();
        struct exceptions left = *current;

        *current = *others;
        *others = left;
    }
}

#endif
