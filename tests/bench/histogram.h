/* Counts of latencies in nanoseconds, in buckets whose width grows with the value: 256 for each
 * doubling, so that a percentile is at most 0.4 % above the true one. Values from about 18 minutes
 * up count as the largest. */
#ifndef BENCH_HISTOGRAM_H
#define BENCH_HISTOGRAM_H

#include <stddef.h>
#include <stdint.h>

#define HISTOGRAM_SUB_BITS 8
#define HISTOGRAM_MAX_BITS 40
#define HISTOGRAM_BUCKETS                                                                          \
    ((size_t)(HISTOGRAM_MAX_BITS - HISTOGRAM_SUB_BITS + 1) << HISTOGRAM_SUB_BITS)

/* Zeroed is empty. */
struct histogram {
    uint64_t count;
    uint64_t sum;
    uint64_t max;
    uint64_t buckets[HISTOGRAM_BUCKETS];
};

void histogram_add(struct histogram *histogram, uint64_t ns);

/* The smallest value that at least `percent` (0–100) of all values do not exceed, as the upper end
 * of its bucket, and never above the maximum. 0 when empty. */
uint64_t histogram_percentile(const struct histogram *histogram, double percent);

/* 0 when empty. */
double histogram_mean(const struct histogram *histogram);

#endif
