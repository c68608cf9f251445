#include "stats.h"

#include <assert.h>

#define SUB       ((uint64_t)1 << STATS_SUB_BITS)
#define MAX_VALUE (((uint64_t)1 << STATS_MAX_BITS) - 1)

static const char *const limit_names[STATS_LIMIT_COUNT] = {
    [STATS_LIMIT_CONNECTIONS] = "max-connections", [STATS_LIMIT_INSTANCES] = "max-instances",
    [STATS_LIMIT_EVENTS] = "max-events",           [STATS_LIMIT_POSTED] = "posted-calls",
    [STATS_LIMIT_OUTPUT] = "unread-output",        [STATS_LIMIT_MEMORY] = "max-memory",
    [STATS_LIMIT_MESSAGE] = "refused-message",
};

const char *stats_limit_name(enum stats_limit limit) {
    assert(limit < STATS_LIMIT_COUNT);
    return limit_names[limit];
}

/* Values below SUB have a bucket each; of larger ones the first bit, which is always set, and
 * STATS_SUB_BITS behind it count. */
static size_t bucket_of(uint64_t ns) {
    if (ns > MAX_VALUE) {
        ns = MAX_VALUE;
    }
    if (ns < SUB) {
        return (size_t)ns;
    }
    unsigned shift = 63u - (unsigned)__builtin_clzll(ns) - STATS_SUB_BITS;
    return (size_t)(((uint64_t)(shift + 1) << STATS_SUB_BITS) + ((ns >> shift) - SUB));
}

/* The largest value in it. */
static uint64_t bucket_end(size_t bucket) {
    if (bucket < SUB) {
        return bucket;
    }
    unsigned shift = (unsigned)(bucket >> STATS_SUB_BITS) - 1;
    return (((bucket & (SUB - 1)) + SUB + 1) << shift) - 1;
}

void stats_add(struct stats_histogram *histogram, uint64_t ns) {
    stats_count(&histogram->buckets[bucket_of(ns)], 1);
    stats_count(&histogram->count, 1);
    stats_count(&histogram->sum, ns);
    if (ns > histogram->max) {
        __atomic_store_n(&histogram->max, ns, __ATOMIC_RELAXED);
    }
}

static void gather_histogram(struct stats_histogram *sum, const struct stats_histogram *one) {
    if (stats_read(&one->count) == 0) {
        return;
    }
    for (size_t i = 0; i < STATS_BUCKETS; i++) {
        uint64_t count = stats_read(&one->buckets[i]);
        sum->buckets[i] += count;
        sum->count += count;
    }
    sum->sum += stats_read(&one->sum);
    uint64_t max = stats_read(&one->max);
    sum->max = max > sum->max ? max : sum->max;
}

/* The counters in the first `size` bytes of two structs. */
static void gather_counters(void *sum, const void *one, size_t size) {
    uint64_t *to = sum;
    const uint64_t *from = one;
    for (size_t i = 0; i < size / sizeof *to; i++) {
        to[i] += stats_read(&from[i]);
    }
}

void stats_gather(struct stats *sum, const struct stats *one) {
    gather_counters(sum, one, sizeof *sum);
}

void stats_gather_plugin(struct stats_plugin *sum, const struct stats_plugin *one) {
    gather_counters(sum, one, offsetof(struct stats_plugin, phases));
    for (unsigned i = 0; i < KONG_PHASE_COUNT; i++) {
        gather_counters(&sum->phases[i], &one->phases[i], offsetof(struct stats_phase, latency));
        gather_histogram(&sum->phases[i].latency, &one->phases[i].latency);
    }
    for (unsigned i = 0; i < PDK_COUNT; i++) {
        gather_histogram(&sum->calls[i], &one->calls[i]);
    }
}

uint64_t stats_percentile(const struct stats_histogram *histogram, double percent) {
    uint64_t seen = 0;
    double wanted = percent / 100.0 * (double)histogram->count;
    if (histogram->count == 0) {
        return 0;
    }
    /* The last bucket has no end: what is in it is as long as the longest. */
    for (size_t i = 0; i < STATS_BUCKETS - 1; i++) {
        seen += histogram->buckets[i];
        if (seen > 0 && (double)seen >= wanted) {
            uint64_t end = bucket_end(i);
            return end < histogram->max ? end : histogram->max;
        }
    }
    return histogram->max;
}

uint64_t stats_below(const struct stats_histogram *histogram, unsigned bits) {
    uint64_t count = 0;
    if (bits >= STATS_MAX_BITS) {
        return histogram->count;
    }
    size_t end = bucket_of((uint64_t)1 << bits);
    for (size_t i = 0; i < end; i++) {
        count += histogram->buckets[i];
    }
    return count;
}

void stats_sum(const struct stats_plugin *stats, struct stats_phase *sum) {
    *sum = (struct stats_phase){0};
    for (unsigned i = 0; i < KONG_PHASE_COUNT; i++) {
        gather_counters(sum, &stats->phases[i], offsetof(struct stats_phase, latency));
    }
}
