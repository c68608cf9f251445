#include "histogram.h"

#define SUB       ((uint64_t)1 << HISTOGRAM_SUB_BITS)
#define MAX_VALUE (((uint64_t)1 << HISTOGRAM_MAX_BITS) - 1)

/* Values below SUB have a bucket each; of larger ones the top HISTOGRAM_SUB_BITS + 1 bits count:
 * the first bit is always set, so each doubling takes SUB buckets. */
static size_t bucket_of(uint64_t ns) {
    if (ns > MAX_VALUE) {
        ns = MAX_VALUE;
    }
    if (ns < SUB) {
        return (size_t)ns;
    }
    unsigned shift = (unsigned)(63 - __builtin_clzll(ns)) - HISTOGRAM_SUB_BITS;
    return (size_t)(((uint64_t)(shift + 1) << HISTOGRAM_SUB_BITS) + ((ns >> shift) - SUB));
}

static uint64_t bucket_end(size_t bucket) {
    if (bucket < SUB) {
        return bucket;
    }
    unsigned shift = (unsigned)(bucket >> HISTOGRAM_SUB_BITS) - 1;
    return (((bucket & (SUB - 1)) + SUB + 1) << shift) - 1;
}

void histogram_add(struct histogram *histogram, uint64_t ns) {
    histogram->buckets[bucket_of(ns)]++;
    histogram->count++;
    histogram->sum += ns;
    if (ns > histogram->max) {
        histogram->max = ns;
    }
}

uint64_t histogram_percentile(const struct histogram *histogram, double percent) {
    if (histogram->count == 0) {
        return 0;
    }
    double wanted = percent / 100.0 * (double)histogram->count;
    uint64_t seen = 0;
    for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
        seen += histogram->buckets[i];
        if (seen > 0 && (double)seen >= wanted) {
            uint64_t end = bucket_end(i);
            return end < histogram->max ? end : histogram->max;
        }
    }
    return histogram->max;
}

double histogram_mean(const struct histogram *histogram) {
    return histogram->count == 0 ? 0 : (double)histogram->sum / (double)histogram->count;
}
