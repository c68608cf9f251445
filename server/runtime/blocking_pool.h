/* Threads for what blocks: kong_run_blocking. Started as they are needed, up to a number, and kept
 * until the end. Work that finds them all busy waits in a queue, in order. Knows no loop. */
#ifndef SERVER_BLOCKING_POOL_H
#define SERVER_BLOCKING_POOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#define BLOCKING_THREADS_MOST 1024

struct blocking_pool;

/* One piece of work, embedded by whoever submits it; it stays where it is until run has returned,
 * or it was withdrawn. */
struct blocking_work {
    TAILQ_ENTRY(blocking_work) link;
    void (*run)(struct blocking_work *work); /* on a thread of the pool, once */
    uint64_t queued_ns;
    bool queued;
};

struct blocking_stats {
    size_t most;              /* threads that there may be */
    size_t threads;           /* that there are */
    size_t running, waiting;  /* pieces of work, now */
    uint64_t ran;             /* taken up so far */
    uint64_t withdrawn;       /* never taken up: their time or their event was over */
    uint64_t longest_wait_ns; /* for a thread; those that wait now included */
};

/* No thread is started yet. NULL when out of memory. */
struct blocking_pool *blocking_pool_create(size_t most_threads);

/* Ends the threads, and waits for that. Nothing may be submitted any more (asserted). NULL is
 * allowed. */
void blocking_pool_destroy(struct blocking_pool *pool);

/* From any thread. False: there is no thread, and none can be started; run will not be called. */
bool blocking_pool_submit(struct blocking_pool *pool, struct blocking_work *work);

/* True: it was still in the queue, and run will not be called. False: it runs, or has run. */
bool blocking_pool_withdraw(struct blocking_pool *pool, struct blocking_work *work);

/* From any thread. NULL: all figures are 0. */
void blocking_pool_stats(struct blocking_pool *pool, struct blocking_stats *stats);

#endif
