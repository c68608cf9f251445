/* What the stacks of fibers cost, and what is given back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "fiber_player.h"
#include "limit.h"

/* Those that begin in [from, to): a checker has others elsewhere. */
static size_t count_mappings(uintptr_t from, uintptr_t to) {
    FILE *maps = fopen("/proc/self/maps", "re");
    char line[512];
    size_t count = 0;

    assert_non_null(maps);
    while (fgets(line, sizeof line, maps)) {
        unsigned long long at = strtoull(line, NULL, 16);

        count += at >= from && at < to;
    }
    fclose(maps);
    return count;
}

/* Linux allows a process 65,530: enough for all events that a server takes on. */
static void test_a_stack_is_two_mappings(void **state) {
    struct fiber_pool *pool = fiber_pool_create(STACK, 0);
    static struct player players[200];
    struct fiber *fibers[200];
    uintptr_t from = UINTPTR_MAX, to = 0;

    (void)state;
#ifdef __SANITIZE_THREAD__
    fiber_pool_destroy(pool);
    skip(); /* ThreadSanitizer puts others between the stacks, and leaves them there */
#endif
    for (size_t i = 0; i < 200; i++) {
        fibers[i] = parked(pool, &players[i]);
        from = players[i].stack < from ? players[i].stack : from;
        to = players[i].stack > to ? players[i].stack : to;
    }
    from -= STACK + LIMIT_STACK_GUARD;
    assert_in_range(count_mappings(from, to), 200, 2 * 200 + 4);
    for (size_t i = 0; i < 200; i++)
        assert_true(fiber_resume(fibers[i]));
    assert_in_range(count_mappings(from, to), 0, 4);
    fiber_pool_destroy(pool);
}

#define PAGE ((size_t)4096)

struct diver {
    struct fiber_pool *pool;
    uintptr_t from, to; /* pages that were touched */
    bool parks;         /* back at the top */
    bool intact;
};

static void __attribute__((noinline)) dive(struct diver *diver, unsigned depth) {
    volatile unsigned char frame[2048];

    for (size_t i = 0; i < sizeof frame; i++)
        frame[i] = (unsigned char)(depth + i);
    if (depth > 0)
        dive(diver, depth - 1);
    else
        diver->from = (uintptr_t)__builtin_frame_address(0) & ~(PAGE - 1);
    diver->intact = diver->intact && frame[100] == (unsigned char)(depth + 100);
}

static void dive_and_park(void *arg) {
    struct diver *diver = arg;
    volatile unsigned char frame[3000];

    for (size_t i = 0; i < sizeof frame; i++)
        frame[i] = (unsigned char)i;
    diver->to = (uintptr_t)__builtin_frame_address(0) & ~(PAGE - 1);
    diver->intact = true;
    dive(diver, 80);
    if (diver->parks)
        fiber_park(fiber_current(diver->pool));
    for (size_t i = 0; i < sizeof frame; i++)
        diver->intact = diver->intact && frame[i] == (unsigned char)i;
}

static size_t resident(const struct diver *diver) {
    static unsigned char pages[STACK / PAGE];
    size_t count = 0;

    assert_int_equal(mincore((void *)diver->from, diver->to - diver->from, pages), 0);
    for (size_t i = 0; i < (diver->to - diver->from) / PAGE; i++)
        count += pages[i] & 1;
    return count;
}

static void test_depth_is_given_back_while_parked(void **state) {
    struct fiber_pool *pool = fiber_pool_create(STACK, 1);
    struct diver diver = {.pool = pool, .parks = true};
    bool finished;
    struct fiber *fiber;

    (void)state;
    fiber = fiber_start(pool, dive_and_park, &diver, &finished);
    assert_false(finished);
    assert_in_range(resident(&diver), 40, STACK / PAGE);
    fiber_trim(fiber);
    assert_in_range(resident(&diver), 0, 6);
    fiber_trim(fiber);
    assert_true(fiber_resume(fiber));
    assert_true(diver.intact);
    fiber_pool_destroy(pool);
}

static void test_depth_is_given_back_while_idle(void **state) {
    struct fiber_pool *pool = fiber_pool_create(STACK, 1);
    struct diver diver = {.pool = pool};
    bool finished;

    (void)state;
    for (int turn = 0; turn < 2; turn++) {
        fiber_start(pool, dive_and_park, &diver, &finished);
        assert_true(finished);
        assert_true(diver.intact);
        assert_in_range(resident(&diver), 40, STACK / PAGE);
        fiber_pool_trim_unused(pool, 1);
        assert_int_equal(fiber_pool_mapped(pool), 1);
        assert_in_range(resident(&diver), 0, ((size_t)64 << 10) / PAGE);
    }
    fiber_pool_destroy(pool);
}

static void test_what_only_a_burst_needed_goes(void **state) {
    struct fiber_pool *pool = fiber_pool_create(STACK, 8);
    struct player players[6];
    struct fiber *fibers[6];

    (void)state;
    for (size_t i = 0; i < 6; i++)
        fibers[i] = parked(pool, &players[i]);
    fiber_pool_trim_unused(pool, 1);
    for (size_t i = 0; i < 6; i++)
        assert_true(fiber_resume(fibers[i]));
    fiber_pool_trim_unused(pool, 6);
    assert_int_equal(fiber_pool_mapped(pool), 6);
    for (int turn = 0; turn < 3; turn++) { /* two at a time are used */
        fibers[0] = parked(pool, &players[0]);
        fibers[1] = parked(pool, &players[1]);
        assert_true(fiber_resume(fibers[0]));
        assert_true(fiber_resume(fibers[1]));
        fiber_pool_trim_unused(pool, 1);
        assert_int_equal(fiber_pool_mapped(pool), 2);
    }
    fiber_pool_trim_unused(pool, 1);
    assert_int_equal(fiber_pool_mapped(pool), 1);
    fiber_pool_trim_unused(pool, 1);
    assert_int_equal(fiber_pool_mapped(pool), 1);
    fiber_pool_destroy(pool);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_only_a_burst_needed_goes),
        cmocka_unit_test(test_a_stack_is_two_mappings),
        cmocka_unit_test(test_depth_is_given_back_while_parked),
        cmocka_unit_test(test_depth_is_given_back_while_idle),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
