/* Waiting without holding up others: for time, for a descriptor, for another thread, for a function
 * that blocks. Part of kong.h.
 *
 * What holds for all of it:
 *
 * - The handler is suspended, other events go on. Its stack stays as it is, so its local variables
 *   may be used meanwhile by whatever it waits for.
 * - Times are in milliseconds; KONG_NO_LIMIT waits for as long as the event lasts.
 * - A wait ends early with its event: KONG_E_GONE (Kong closed the connection, or the server ends)
 *   and KONG_E_TIMEOUT (the event's own time is up, --event-timeout). All later calls fail with the
 *   same code: the handler frees what it has, and returns. An event whose time is up has failed,
 *   whatever the handler returns. Behind a terminal function (kong_response_exit) nothing is waited
 *   for: KONG_E_ENDED, at once.
 * - That the time of the wait itself is up is no error: the result is 0, *ready is 0 and *woken
 *   false.
 * - KONG_E_IO: the loop has no memory or no descriptor for it; kong_error_text says which. */
#ifndef KONG_WAIT_H
#define KONG_WAIT_H

#include "kong_event.h"

#ifdef __cplusplus
extern "C" {
#endif

#define KONG_NO_LIMIT UINT64_MAX

/* Suspends this handler for at least so many milliseconds. */
int kong_sleep(struct kong *kong, uint64_t ms);

/* --- Descriptors: client libraries that do not block --- */

enum kong_readiness {
    KONG_READABLE = 1, /* a read would not block: there are bytes, an end, a connection, an error */
    KONG_WRITABLE = 2, /* a write would not block; a connect has come to its end, well or not */
};

/* Suspends this handler until the descriptor (a socket, a pipe, an eventfd, a terminal …) is
 * readable or writable, as `wanted` asks (KONG_READABLE, KONG_WRITABLE, or both with |), and says
 * in *ready which of them it is. A hang-up or an error of the descriptor counts as all that was
 * wanted: the next read or write tells it. *ready is 0 when the time is up first, and on an error.
 * With timeout_ms 0 it looks, and does not wait.
 *
 * So a library that hands out its descriptor and says what it waits for runs in a handler: hiredis
 * (redisContext.fd), libpq (PQsocket), libcurl (the multi interface's sockets), c-ares.
 *
 * The descriptor is the caller's; it is made non-blocking. It must not be closed while a handler
 * waits for it: that is not noticed, and the wait lasts for its time. One handler of a thread waits
 * for a descriptor at a time. With --threads those of other threads may as well, and all of them go
 * on when it is ready: share one connection by handing it from handler to handler.
 *
 * KONG_E_INVALID, with a text: `wanted` is neither; the descriptor is not open, or a file or
 * directory (they are always ready, and reading blocks: kong_run_blocking), or another handler of
 * the thread waits for it. */
int kong_wait_fd(struct kong *kong, int fd, unsigned wanted, uint64_t timeout_ms, unsigned *ready);

/* --- Other threads: libraries that call back --- */

/* What a handler waits on and another thread wakes: a callback of librdkafka or gRPC, a thread of
 * the plugin's. It belongs to two: to the handler until that returns, and to whoever wakes it until
 * that is done. So it may be woken before, while and after the handler waits, and after the
 * handler's end; the last of the two frees it. */
struct kong_waiter;

/* Makes a waiter for this handler. From here on it must be woken exactly once, also when its
 * handler does not wait for it any more; until then it takes some 150 bytes.
 *
 * discard(result) frees what the waiter is woken with when the handler does not take it, because it
 * has returned; on either thread. NULL: there is nothing to free.
 *
 * KONG_E_NOMEM: *waiter is NULL. */
int kong_waiter_open(struct kong *kong, void (*discard)(void *result), struct kong_waiter **waiter);

/* Suspends this handler until the waiter is woken: *woken is true, and *result what it was woken
 * with, which is the handler's from here on. When that happened before, it returns at once. *woken
 * is false and *result NULL when the time is up first, and on an error: it may be waited for again.
 * KONG_E_INVALID: it was woken and waited for before, or is another handler's. */
int kong_waiter_wait(struct kong *kong, struct kong_waiter *waiter, uint64_t timeout_ms,
                     bool *woken, void **result);

/* From any thread, once: the waiter is the caller's no more. Hands `result` (NULL, if there is
 * none) to the handler, or to discard. The handler sees all that this thread wrote before. It does
 * not wait for the handler, and allocates nothing. */
void kong_waiter_wake(struct kong_waiter *waiter, void *result);

/* --- Functions that block --- */

/* Calls fn(arg) on another thread and suspends this handler until it has returned. For what only
 * blocks: clients without a non-blocking interface, DNS, files, long computations.
 *
 * While fn runs, the handler stands still. So fn may read and write what the handler could: the
 * handler's local variables, memory of kong_alloc. It may read what the library gave the handler
 * before (the request's body and headers, results of kong_call) and the configuration. It calls no
 * function that takes a struct kong; kong_waiter_wake, kong_strerror and the look-ups
 * (kong_map_get, kong_to_str …) are fine. Several fn run at the same time: what handlers share
 * (state of configure, data of open, variables) needs a lock there, also in a plugin that is not
 * thread_safe.
 *
 * The process has --blocking-threads of these threads (16), with stacks of 8 MiB. When all are
 * busy, fn waits for its turn, for at most --blocking-wait seconds (10).
 *
 * 0: fn was called and has returned. KONG_E_GONE or KONG_E_TIMEOUT: the event ended meanwhile; fn
 * has returned, or was never called. KONG_E_IO: it was not called, no thread was free in time.
 * KONG_E_FAILED: in C++, fn ended by an exception. The server's own end waits for fn: give what
 * blocks a time limit of its own. */
int kong_run_blocking(struct kong *kong, void (*fn)(void *arg), void *arg);

#ifdef __cplusplus
}
#endif

#endif
