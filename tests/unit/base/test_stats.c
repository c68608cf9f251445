/* Histograms and counters, alone and in the running server. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include "stats.h"

static void percentiles_are_close(void **state) {
    (void)state;
    struct stats_histogram *h = calloc(1, sizeof *h);
    assert_non_null(h);
    assert_int_equal(stats_percentile(h, 50), 0);
    for (uint64_t i = 1; i <= 100000; i++) {
        stats_add(h, i * 1000);
    }
    static const double percents[] = {0.1, 1, 10, 50, 90, 99, 99.9};
    for (size_t i = 0; i < sizeof percents / sizeof *percents; i++) {
        double truth = percents[i] * 1e6;
        double found = (double)stats_percentile(h, percents[i]);
        assert_true(found >= truth && found <= truth * 1.125);
    }
    assert_int_equal(stats_percentile(h, 100), 100000000);
    assert_int_equal(h->max, 100000000);
    assert_int_equal(h->count, 100000);
    assert_int_equal(h->sum, UINT64_C(5000050000000));
    free(h);
}

/* Each value alone: its percentile is itself, whatever its bucket's end. */
static void ends_of_the_scale(void **state) {
    (void)state;
    static const uint64_t values[] = {
        0, 1, 7, 8, 9, 15, 16, 17, (UINT64_C(1) << 42) - 1, UINT64_C(1) << 42, UINT64_MAX};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        struct stats_histogram *h = calloc(1, sizeof *h);
        assert_non_null(h);
        stats_add(h, values[i]);
        assert_true(stats_percentile(h, 50) == values[i]);
        assert_true(h->max == values[i]);
        free(h);
    }
}

static void counts_below_a_power_of_two_are_exact(void **state) {
    (void)state;
    struct stats_histogram *h = calloc(1, sizeof *h);
    assert_non_null(h);
    for (unsigned bits = 0; bits < 44; bits++) {
        stats_add(h, (UINT64_C(1) << bits) - 1);
        stats_add(h, UINT64_C(1) << bits);
    }
    for (unsigned bits = 0; bits < STATS_MAX_BITS; bits++) {
        assert_int_equal(stats_below(h, bits), 2 * (uint64_t)bits + 1);
    }
    assert_int_equal(stats_below(h, STATS_MAX_BITS), 88);
    assert_int_equal(stats_below(h, 63), 88);
    free(h);
}

static void phases_are_summed(void **state) {
    (void)state;
    struct stats_plugin *stats = calloc(1, sizeof *stats);
    struct stats_phase sum;
    assert_non_null(stats);
    for (unsigned i = 0; i < KONG_PHASE_COUNT; i++) {
        stats->phases[i] = (struct stats_phase){
            .started = 1, .failed = 10, .timed_out = 100, .refused = 1000, .orphaned = 10000};
    }
    stats_sum(stats, &sum);
    assert_int_equal(sum.started, KONG_PHASE_COUNT);
    assert_int_equal(sum.failed, KONG_PHASE_COUNT * 10);
    assert_int_equal(sum.timed_out, KONG_PHASE_COUNT * 100);
    assert_int_equal(sum.refused, KONG_PHASE_COUNT * 1000);
    assert_int_equal(sum.orphaned, KONG_PHASE_COUNT * 10000);
    free(stats);
}

/* Each word is another number. */
static void fill(void *place, size_t size) {
    uint64_t *words = place;
    for (size_t i = 0; i < size / sizeof *words; i++) {
        words[i] = i + 1;
    }
}

static void assert_doubled(const void *sum, const void *one, size_t size) {
    const uint64_t *words = one;
    for (size_t i = 0; i < size / sizeof *words; i++) {
        assert_int_equal(((const uint64_t *)sum)[i], 2 * words[i]);
    }
}

/* Of two threads that counted the same; the longest duration stays. */
static void assert_histogram_doubled(const struct stats_histogram *sum,
                                     const struct stats_histogram *one) {
    assert_int_equal(one->count, 3);
    assert_int_equal(sum->count, 6);
    assert_int_equal(sum->sum, 2 * one->sum);
    assert_int_equal(sum->max, one->max);
    assert_doubled(sum->buckets, one->buckets, sizeof one->buckets);
}

/* Each counter, those that are new too. */
static void all_is_gathered(void **state) {
    (void)state;
    struct stats one, sum = {0};
    struct stats_plugin *of_one = calloc(1, sizeof *of_one);
    struct stats_plugin *of_all = calloc(1, sizeof *of_all);
    assert_true(of_one != NULL && of_all != NULL);
    fill(&one, sizeof one);
    fill(of_one, offsetof(struct stats_plugin, phases));
    for (unsigned i = 0; i < KONG_PHASE_COUNT; i++) {
        fill(&of_one->phases[i], offsetof(struct stats_phase, latency));
        for (uint64_t ns = 1; ns <= 3; ns++) {
            stats_add(&of_one->phases[i].latency, ns * 1000 * (i + 1));
        }
    }
    for (unsigned i = 0; i < PDK_COUNT; i++) {
        for (uint64_t ns = 1; ns <= 3; ns++) {
            stats_add(&of_one->calls[i], ns * 1000 * (i + 1));
        }
    }
    for (int thread = 0; thread < 2; thread++) {
        stats_gather(&sum, &one);
        stats_gather_plugin(of_all, of_one);
    }
    assert_doubled(&sum, &one, sizeof sum);
    assert_doubled(of_all, of_one, offsetof(struct stats_plugin, phases));
    for (unsigned i = 0; i < KONG_PHASE_COUNT; i++) {
        assert_doubled(&of_all->phases[i], &of_one->phases[i],
                       offsetof(struct stats_phase, latency));
        assert_histogram_doubled(&of_all->phases[i].latency, &of_one->phases[i].latency);
    }
    for (unsigned i = 0; i < PDK_COUNT; i++) {
        assert_histogram_doubled(&of_all->calls[i], &of_one->calls[i]);
    }
    free(of_one);
    free(of_all);
}

static void limits_have_names(void **state) {
    (void)state;
    for (int i = 0; i < STATS_LIMIT_COUNT; i++) {
        assert_non_null(stats_limit_name((enum stats_limit)i));
    }
    assert_string_equal(stats_limit_name(STATS_LIMIT_EVENTS), "max-events");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(percentiles_are_close),
        cmocka_unit_test(ends_of_the_scale),
        cmocka_unit_test(counts_below_a_power_of_two_are_exact),
        cmocka_unit_test(phases_are_summed),
        cmocka_unit_test(all_is_gathered),
        cmocka_unit_test(limits_have_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
