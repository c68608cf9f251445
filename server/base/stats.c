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

static void gather_phase(struct stats_phase *sum, const struct stats_phase *one) {
    sum->started += stats_read(&one->started);
    sum->running += stats_read(&one->running);
    sum->failed += stats_read(&one->failed);
    sum->timed_out += stats_read(&one->timed_out);
    sum->refused += stats_read(&one->refused);
    sum->orphaned += stats_read(&one->orphaned);
    gather_histogram(&sum->latency, &one->latency);
}

void stats_gather(struct stats *sum, const struct stats *one) {
    sum->connections += stats_read(&one->connections);
    sum->unknown_instances += stats_read(&one->unknown_instances);
    sum->bytes_in += stats_read(&one->bytes_in);
    sum->bytes_out += stats_read(&one->bytes_out);
    sum->prefetched += stats_read(&one->prefetched);
    sum->prefetch_used += stats_read(&one->prefetch_used);
    sum->busy_ns += stats_read(&one->busy_ns);
    sum->busy_hits += stats_read(&one->busy_hits);
    sum->answers_kept += stats_read(&one->answers_kept);
    for (unsigned i = 0; i < STATS_LIMIT_COUNT; i++) {
        sum->limits[i] += stats_read(&one->limits[i]);
    }
}

void stats_gather_plugin(struct stats_plugin *sum, const struct stats_plugin *one) {
    sum->instances_started += stats_read(&one->instances_started);
    sum->instances_refused += stats_read(&one->instances_refused);
    sum->instances_closed += stats_read(&one->instances_closed);
    for (unsigned i = 0; i < KONG_PHASE_COUNT; i++) {
        gather_phase(&sum->phases[i], &one->phases[i]);
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
        const struct stats_phase *phase = &stats->phases[i];
        sum->started += phase->started;
        sum->running += phase->running;
        sum->failed += phase->failed;
        sum->timed_out += phase->timed_out;
        sum->refused += phase->refused;
        sum->orphaned += phase->orphaned;
    }
}
