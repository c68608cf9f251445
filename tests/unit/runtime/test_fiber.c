/* Stacks of their own, of the backend that was built. cmocka's asserts jump: none runs on a fiber,
 * what fibers see is written down and looked at after them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fenv.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "checkers.h"
#include "fiber_player.h"
#include "limit.h"

/* --- Park and resume --- */

static void test_ping_pong(void **state) {
    struct fiber_pool *pool = fiber_pool_create(STACK, 4);
    struct player player = {.pool = pool, .rounds = 10000};
    bool finished = true;
    struct fiber *fiber;
    unsigned turns = 1;

    (void)state;
    fiber = fiber_start(pool, count_rounds, &player, &finished);
    assert_non_null(fiber);
    assert_false(finished);
    assert_int_equal(player.done, 1);
    assert_null(fiber_current(pool));
    while (!fiber_resume(fiber)) {
        turns++;
        if (player.done != turns)
            fail_msg("turn %u: the fiber is at %u", turns, player.done);
    }
    assert_int_equal(turns, 10000);
    assert_int_equal(fiber_pool_alive(pool), 0);
    fiber_pool_destroy(pool);
}

static void test_returns_at_once(void **state) {
    struct fiber_pool *pool = fiber_pool_create(STACK, 4);
    struct player player = {.pool = pool, .rounds = 0};
    bool finished = false;

    (void)state;
    assert_null(fiber_start(pool, count_rounds, &player, &finished));
    assert_true(finished);
    assert_int_not_equal(player.stack, 0);
    assert_int_equal(fiber_pool_alive(pool), 0);
    assert_int_equal(fiber_pool_mapped(pool), 1);
    fiber_pool_destroy(pool);
}

struct identity {
    struct fiber_pool *pool;
    struct fiber *seen[2];
};

static void look_at_self(void *arg) {
    struct identity *identity = arg;

    identity->seen[0] = fiber_current(identity->pool);
    fiber_park(identity->seen[0]);
    identity->seen[1] = fiber_current(identity->pool);
}

static void test_current(void **state) {
    struct identity identity = {.pool = fiber_pool_create(STACK, 4)};
    bool finished;
    struct fiber *fiber;

    (void)state;
    assert_null(fiber_current(identity.pool));
    fiber = fiber_start(identity.pool, look_at_self, &identity, &finished);
    assert_ptr_equal(identity.seen[0], fiber);
    assert_true(fiber_resume(fiber));
    assert_ptr_equal(identity.seen[1], fiber);
    assert_null(fiber_current(identity.pool));
    fiber_pool_destroy(identity.pool);
}

/* --- Many at once, each with its own stack content --- */

#define MANY  1000
#define DEPTH 20

/* Fills a frame at each depth, parks at the deepest, and looks at all frames on the way back. */
static bool dig(struct player *player, unsigned char mark, unsigned depth) {
    volatile unsigned char frame[200];
    bool intact = true;

    for (size_t i = 0; i < sizeof frame; i++)
        frame[i] = (unsigned char)(mark + depth + i);
    if (depth > 0)
        intact = dig(player, mark, depth - 1);
    else
        fiber_park(fiber_current(player->pool));
    for (size_t i = 0; i < sizeof frame; i++)
        intact = intact && frame[i] == (unsigned char)(mark + depth + i);
    return intact;
}

static void dig_and_check(void *arg) {
    struct player *player = arg;

    player->intact = dig(player, (unsigned char)player->rounds, DEPTH);
    player->done++;
}

static void test_many_alive(void **state) {
    struct fiber_pool *pool = fiber_pool_create(STACK, MANY / 10);
    struct player *players = calloc(MANY, sizeof *players);
    struct fiber **fibers = calloc(MANY, sizeof(struct fiber *));

    (void)state;
    assert_non_null(players);
    assert_non_null(fibers);
    for (unsigned i = 0; i < MANY; i++) {
        bool finished = true;

        players[i].pool = pool;
        players[i].rounds = i;
        fibers[i] = fiber_start(pool, dig_and_check, &players[i], &finished);
        assert_non_null(fibers[i]);
        assert_false(finished);
    }
    assert_int_equal(fiber_pool_alive(pool), MANY);
    assert_int_equal(fiber_pool_mapped(pool), MANY);
    /* 7 and MANY have no common divisor: every fiber, in another order than they started. */
    for (unsigned i = 0; i < MANY; i++) {
        unsigned turn = i * 7 % MANY;

        assert_true(fiber_resume(fibers[turn]));
        assert_int_equal(players[turn].done, 1);
        assert_true(players[turn].intact);
    }
    assert_int_equal(fiber_pool_alive(pool), 0);
    assert_int_equal(fiber_pool_mapped(pool), MANY / 10);
    fiber_pool_destroy(pool);
    free(fibers);
    free(players);
}

/* --- Floating point: values in registers, and the rounding mode, belong to each side --- */

struct sum {
    struct fiber_pool *pool;
    double start;
    double result;
    int rounding;
};

static double add_up(struct sum *sum, double value, int left) {
    double half = value / 2;

    fiber_park(fiber_current(sum->pool));
    return left == 0 ? half : half + add_up(sum, half, left - 1);
}

static void halve(void *arg) {
    struct sum *sum = arg;

    fesetround(FE_UPWARD);
    sum->result = add_up(sum, sum->start, 10);
    sum->rounding = fegetround();
}

static void test_floating_point(void **state) {
    struct fiber_pool *pool = fiber_pool_create(STACK, 4);
    struct sum sums[3] = {{.start = 1024}, {.start = -2048}, {.start = 3e300}};
    struct fiber *fibers[3];
    bool finished;
    double own = 1.25;
    bool last = false;

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        sums[i].pool = pool;
        fibers[i] = fiber_start(pool, halve, &sums[i], &finished);
    }
    while (!last) {
        for (size_t i = 0; i < 3; i++)
            last = fiber_resume(fibers[i]);
        own *= 2;
    }
    assert_int_equal(fegetround(), FE_TONEAREST);
    assert_true(own == 1.25 * 2048);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(sums[i].rounding, FE_UPWARD);
        assert_true(sums[i].result == sums[i].start * (1 - 1.0 / 2048));
    }
    fiber_pool_destroy(pool);
}

/* --- Fibers of another pool, started and resumed from a fiber --- */

struct outer {
    struct fiber_pool *pool;
    struct player inner;
    struct fiber *fiber;
    bool finished;
};

static void run_inner(void *arg) {
    struct outer *outer = arg;
    bool finished;

    outer->fiber = fiber_start(outer->inner.pool, count_rounds, &outer->inner, &finished);
    fiber_park(fiber_current(outer->pool));
    outer->finished = fiber_resume(outer->fiber);
}

static void test_pools_nest(void **state) {
    struct outer outer = {.pool = fiber_pool_create(STACK, 4)};
    struct fiber *fiber;
    bool finished;

    (void)state;
    outer.inner = (struct player){.pool = fiber_pool_create(STACK, 4), .rounds = 2};
    fiber = fiber_start(outer.pool, run_inner, &outer, &finished);
    assert_false(finished);
    assert_int_equal(outer.inner.done, 1);
    /* started from a fiber, resumed from here, then from the fiber again */
    assert_false(fiber_resume(outer.fiber));
    assert_int_equal(outer.inner.done, 2);
    assert_true(fiber_resume(fiber));
    assert_true(outer.finished);
    fiber_pool_destroy(outer.inner.pool);
    fiber_pool_destroy(outer.pool);
}

/* --- The pool --- */

static void test_last_used_stack_first(void **state) {
    struct fiber_pool *pool = fiber_pool_create(STACK, 4);
    struct player first, second, again;
    struct fiber *a = parked(pool, &first);
    struct fiber *b = parked(pool, &second);

    (void)state;
    assert_true(first.stack != second.stack);
    assert_true(fiber_resume(b));
    assert_true(fiber_resume(a));
    a = parked(pool, &again);
    assert_true(again.stack == first.stack);
    b = parked(pool, &again);
    assert_true(again.stack == second.stack);
    assert_int_equal(fiber_pool_mapped(pool), 2);
    assert_true(fiber_resume(a));
    assert_true(fiber_resume(b));
    fiber_pool_destroy(pool);
}

static void test_idle_stacks_are_capped_and_trimmed(void **state) {
    struct fiber_pool *pool = fiber_pool_create(STACK, 3);
    struct player players[5], again;
    struct fiber *fibers[5];
    struct fiber *fiber;

    (void)state;
    for (size_t i = 0; i < 5; i++)
        fibers[i] = parked(pool, &players[i]);
    assert_int_equal(fiber_pool_alive(pool), 5);
    for (size_t i = 0; i < 5; i++) {
        assert_true(fiber_resume(fibers[i]));
        assert_int_equal(fiber_pool_alive(pool), 4 - i);
        assert_int_equal(fiber_pool_mapped(pool), i < 3 ? 5 : 7 - i);
    }
    fiber_pool_trim(pool, 1);
    assert_int_equal(fiber_pool_mapped(pool), 1);
    fiber = parked(pool, &again);
    assert_true(again.stack == players[2].stack); /* the one used last is kept */
    fiber_pool_trim(pool, 0);
    assert_int_equal(fiber_pool_mapped(pool), 1); /* alive: not touched */
    assert_true(fiber_resume(fiber));
    fiber_pool_trim(pool, 0);
    assert_int_equal(fiber_pool_mapped(pool), 0);
    fiber_pool_destroy(pool);
}

static void test_a_stack_is_mapped_once(void **state) {
    struct fiber_pool *pool = fiber_pool_create(STACK, 2);
    struct player player;

    (void)state;
    for (size_t i = 0; i < 10; i++) {
        assert_true(fiber_resume(parked(pool, &player)));
        assert_int_equal(fiber_pool_mapped(pool), 1);
    }
    fiber_pool_destroy(pool);
}

static void test_no_idle_at_all(void **state) {
    struct fiber_pool *pool = fiber_pool_create(1, 0);
    struct player player;

    (void)state;
    assert_true(fiber_resume(parked(pool, &player)));
    assert_int_equal(fiber_pool_mapped(pool), 0);
    fiber_pool_destroy(pool);
    fiber_pool_destroy(NULL);
}

static void test_no_address_space(void **state) {
    struct fiber_pool *pool = fiber_pool_create(SIZE_MAX / 4 * 3, 4);
    struct player player = {.pool = pool};
    bool finished = true;

    (void)state;
    assert_non_null(pool);
    assert_null(fiber_start(pool, count_rounds, &player, &finished));
    assert_false(finished);
    assert_int_equal(player.stack, 0);
    assert_int_equal(fiber_pool_alive(pool), 0);
    assert_int_equal(fiber_pool_mapped(pool), 0);
    fiber_pool_destroy(pool);
    assert_null(fiber_pool_create(SIZE_MAX, 4));
    assert_null(fiber_pool_create(SIZE_MAX - 4096, 4));
}

/* All of stack_size can be used. */
static void use_all(void *arg) {
    struct player *player = arg;
    char *here = __builtin_frame_address(0);
    volatile char *low = here - (STACK - 8192);

    /* Below the frame, where nothing lives yet; kept clear of the part that an interrupting signal
     * would use. */
    for (size_t i = 0; i < STACK - 16384; i += 4096)
        low[i] = 1;
    player->done++;
}

static void test_whole_stack_is_usable(void **state) {
    struct fiber_pool *pool = fiber_pool_create(STACK, 1);
    struct player player = {.pool = pool};
    bool finished = false;

    (void)state;
    fiber_start(pool, use_all, &player, &finished);
    assert_true(finished);
    assert_int_equal(player.done, 1);
    fiber_pool_destroy(pool);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ping_pong),
        cmocka_unit_test(test_returns_at_once),
        cmocka_unit_test(test_current),
        cmocka_unit_test(test_many_alive),
        cmocka_unit_test(test_floating_point),
        cmocka_unit_test(test_pools_nest),
        cmocka_unit_test(test_last_used_stack_first),
        cmocka_unit_test(test_idle_stacks_are_capped_and_trimmed),
        cmocka_unit_test(test_a_stack_is_mapped_once),
        cmocka_unit_test(test_no_idle_at_all),
        cmocka_unit_test(test_no_address_space),
        cmocka_unit_test(test_whole_stack_is_usable),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
