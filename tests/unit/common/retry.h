/* System calls of tests go on after a signal: the Makefile puts this in front of each file of
 * tests/. recv and the like give EINTR where a receive time-out is set, whatever SA_RESTART says
 * (signal(7)), and poll always does. */
#ifndef TESTS_RETRY_H
#define TESTS_RETRY_H

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* As glibc's TEMP_FAILURE_RETRY, but of the call's own type. */
#define RETRY(call)                                                                                \
    __extension__({                                                                                \
        __typeof__(call) retried;                                                                  \
        do {                                                                                       \
            retried = (call);                                                                      \
        } while (retried == -1 && errno == EINTR);                                                 \
        retried;                                                                                   \
    })

#define accept(...)  RETRY(accept(__VA_ARGS__))
#define accept4(...) RETRY(accept4(__VA_ARGS__))
#define poll(...)    RETRY(poll(__VA_ARGS__))
#define read(...)    RETRY(read(__VA_ARGS__))
#define recv(...)    RETRY(recv(__VA_ARGS__))
#define send(...)    RETRY(send(__VA_ARGS__))
#define waitpid(...) RETRY(waitpid(__VA_ARGS__))
#define write(...)   RETRY(write(__VA_ARGS__))

#endif
