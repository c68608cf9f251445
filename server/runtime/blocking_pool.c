#include "blocking_pool.h"

#include <assert.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "stats.h"

/* As a main thread has it. Address space: memory is taken by what is touched. */
#define STACK_SIZE (sizeof(void *) > 4 ? (size_t)8 << 20 : (size_t)1 << 20)

struct blocking_pool {
    pthread_mutex_t lock; /* of all that follows */
    pthread_cond_t wanted;
    TAILQ_HEAD(, blocking_work) queue;
    size_t idle;
    bool ending;
    struct blocking_stats stats;
    pthread_t threads[];
};

struct blocking_pool *blocking_pool_create(size_t most_threads) {
    assert(most_threads > 0 && most_threads <= BLOCKING_THREADS_MOST);
    struct blocking_pool *pool = calloc(1, sizeof *pool + most_threads * sizeof pool->threads[0]);
    if (pool != NULL) {
        pthread_mutex_init(&pool->lock, NULL); /* default attributes: cannot fail on Linux */
        pthread_cond_init(&pool->wanted, NULL);
        TAILQ_INIT(&pool->queue);
        pool->stats.most = most_threads;
    }
    return pool;
}

static void take_out(struct blocking_pool *pool, struct blocking_work *work) {
    TAILQ_REMOVE(&pool->queue, work, link);
    work->queued = false;
    pool->stats.waiting--;
}

static void note_wait(struct blocking_stats *stats, const struct blocking_work *work) {
    uint64_t waited = clock_ns() - work->queued_ns;
    if (waited > stats->longest_wait_ns) {
        stats->longest_wait_ns = waited;
    }
}

static void *run_thread(void *arg) {
    struct blocking_pool *pool = arg;
    pthread_mutex_lock(&pool->lock);
    while (!pool->ending) {
        struct blocking_work *work = TAILQ_FIRST(&pool->queue);
        if (work == NULL) {
            pool->idle++;
            pthread_cond_wait(&pool->wanted, &pool->lock);
            pool->idle--;
            continue;
        }
        take_out(pool, work);
        note_wait(&pool->stats, work);
        pool->stats.running++;
        pool->stats.ran++;
        pthread_mutex_unlock(&pool->lock);
        work->run(work); /* which is gone from here on */
        pthread_mutex_lock(&pool->lock);
        pool->stats.running--;
    }
    pthread_mutex_unlock(&pool->lock);
    return NULL;
}

/* The signals that the server hears are for its own thread. No others are blocked: a program that
 * is started from here gets the same mask. */
static int start_thread(struct blocking_pool *pool, pthread_t *thread) {
    static const int heard[] = {SIGTERM, SIGINT, SIGUSR1, SIGUSR2, SIGHUP};
    pthread_attr_t attributes;
    sigset_t blocked;
    sigset_t before;
    sigemptyset(&blocked);
    for (size_t i = 0; i < sizeof heard / sizeof *heard; i++) {
        sigaddset(&blocked, heard[i]);
    }
    if (pthread_attr_init(&attributes) != 0) {
        return -1;
    }
    pthread_attr_setstacksize(&attributes, STACK_SIZE);
    pthread_sigmask(SIG_BLOCK, &blocked, &before);
    int rc = pthread_create(thread, &attributes, run_thread, pool);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
    if (rc == 0) {
        pthread_setname_np(*thread, "blocking");
    }
    return rc;
}

bool blocking_pool_submit(struct blocking_pool *pool, struct blocking_work *work) {
    pthread_mutex_lock(&pool->lock);
    assert(!pool->ending);
    if (pool->idle <= pool->stats.waiting && pool->stats.threads < pool->stats.most &&
        start_thread(pool, &pool->threads[pool->stats.threads]) == 0) {
        pool->stats.threads++;
    }
    bool possible = pool->stats.threads > 0;
    if (possible) {
        work->queued = true;
        work->queued_ns = clock_ns();
        TAILQ_INSERT_TAIL(&pool->queue, work, link);
        pool->stats.waiting++;
        pthread_cond_signal(&pool->wanted);
    }
    pthread_mutex_unlock(&pool->lock);
    return possible;
}

bool blocking_pool_withdraw(struct blocking_pool *pool, struct blocking_work *work) {
    pthread_mutex_lock(&pool->lock);
    bool queued = work->queued;
    if (queued) {
        take_out(pool, work);
        note_wait(&pool->stats, work);
        pool->stats.withdrawn++;
    }
    pthread_mutex_unlock(&pool->lock);
    return queued;
}

void blocking_pool_stats(struct blocking_pool *pool, struct blocking_stats *stats) {
    *stats = (struct blocking_stats){0};
    if (pool != NULL) {
        pthread_mutex_lock(&pool->lock);
        *stats = pool->stats;
        if (!TAILQ_EMPTY(&pool->queue)) {
            note_wait(stats, TAILQ_FIRST(&pool->queue));
        }
        pthread_mutex_unlock(&pool->lock);
    }
}

void blocking_pool_destroy(struct blocking_pool *pool) {
    if (pool == NULL) {
        return;
    }
    pthread_mutex_lock(&pool->lock);
    assert(TAILQ_EMPTY(&pool->queue));
    pool->ending = true;
    pthread_cond_broadcast(&pool->wanted);
    pthread_mutex_unlock(&pool->lock);
    for (size_t i = 0; i < pool->stats.threads; i++) {
        pthread_join(pool->threads[i], NULL);
    }
    pthread_cond_destroy(&pool->wanted);
    pthread_mutex_destroy(&pool->lock);
    free(pool);
}
