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
#include "fiber.h"
#include "limit.h"

#define STACK ((size_t)256 << 10)

struct player {
    struct fiber_pool *pool;
    unsigned rounds;
    unsigned done;
    uintptr_t stack; /* an address on the fiber's stack */
    bool intact;
};

/* --- Park and resume --- */

static void count_rounds(void *arg) {
    struct player *player = arg;

    player->stack = (uintptr_t)__builtin_frame_address(0);
    while (player->done < player->rounds) {
        player->done++;
        fiber_park(fiber_current(player->pool));
    }
}

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

static struct fiber *parked(struct fiber_pool *pool, struct player *player) {
    bool finished;

    *player = (struct player){.pool = pool, .rounds = 1};
    return fiber_start(pool, count_rounds, player, &finished);
}

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

/* --- Overflow: in a child process, which ends with what its handler of SIGSEGV saw --- */

enum { IN_GUARD = 40, ELSEWHERE = 41, NO_FAULT = 42 };

/* The handler gets no argument of ours. */
static struct fiber_pool *overflowing;

static void on_segv(int number, siginfo_t *info, void *context) {
    (void)number;
    (void)context;
    _exit(fiber_pool_is_guard(overflowing, info->si_addr) ? IN_GUARD : ELSEWHERE);
}

static unsigned recurse(unsigned depth) {
    volatile unsigned char frame[512];

    frame[depth % sizeof frame] = (unsigned char)depth;
    /* not a tail call: the frame is read after it */
    return (depth == 0 ? 0 : recurse(depth - 1)) + frame[depth % sizeof frame];
}

static void overflow(void *arg) {
    unsigned *sum = arg;

    *sum = recurse(1000000);
}

/* Read-only: valgrind has nothing against this write before it faults. */
static void write_to_constant(void *arg) {
    volatile char *page = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    (void)arg;
    page[100] = 1;
}

/* Of the one that overflows: the stacks that a large frame would reach. */
static struct player neighbours[4];

static int status_of_child(fiber_fn *fn) {
    pid_t child = fork();
    int status = 0;

    assert_true(child >= 0);
    if (child == 0) {
        static char other_stack[65536];
        stack_t alternate = {.ss_sp = other_stack, .ss_size = sizeof other_stack};
        struct sigaction action = {.sa_sigaction = on_segv, .sa_flags = SA_SIGINFO | SA_ONSTACK};
        struct fiber *fibers[4];
        unsigned sum = 0;
        bool finished;

        overflowing = fiber_pool_create(STACK, 1);
        sigaltstack(&alternate, NULL);
        sigaction(SIGSEGV, &action, NULL);
        sigaction(SIGBUS, &action, NULL);
        for (size_t i = 0; i < 4; i++)
            fibers[i] = parked(overflowing, &neighbours[i]);
        fiber_resume(
            fibers[1]); /* its stack is the next one's, and there are others on both sides */
        fiber_start(overflowing, fn, &sum, &finished);
        _exit(NO_FAULT);
    }
    assert_true(waitpid(child, &status, 0) == child);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void test_overflow_hits_the_guard(void **state) {
    (void)state;
    assert_int_equal(status_of_child(overflow), IN_GUARD);
}

/* One frame of the whole stack and so much more, of which only the far end is written: what a
 * compiler makes of a large array, without -fstack-clash-protection. */
static size_t frame_beyond;

static void write_beyond(void *arg) {
    volatile char *here = __builtin_frame_address(0);

    (void)arg;
    here[-(ptrdiff_t)(STACK + frame_beyond)] = 1;
}

static void test_a_large_frame_hits_the_guard(void **state) {
    static const size_t beyond[] = {4096, (size_t)384 << 10, (size_t)512 << 10, (size_t)900 << 10,
                                    LIMIT_STACK_GUARD - 65536};

    (void)state;
    if (under_valgrind()) { /* it reports the write before the fault */
        return;
    }
    for (size_t i = 0; i < sizeof beyond / sizeof *beyond; i++) {
        frame_beyond = beyond[i];
        assert_int_equal(status_of_child(write_beyond), IN_GUARD);
    }
}

static void test_other_fault_is_not_the_guard(void **state) {
    (void)state;
    assert_int_equal(status_of_child(write_to_constant), ELSEWHERE);
}

struct guard {
    struct fiber_pool *pool;
    bool low, top, above, below;
};

static void look_at_guard(void *arg) {
    struct guard *guard = arg;
    char *here = __builtin_frame_address(0);

    guard->top = fiber_pool_is_guard(guard->pool, here - STACK - 4096);
    guard->low = fiber_pool_is_guard(guard->pool, here - STACK - (LIMIT_STACK_GUARD - 16384));
    guard->below = fiber_pool_is_guard(guard->pool, here - STACK - LIMIT_STACK_GUARD - 4096);
    guard->above = fiber_pool_is_guard(guard->pool, here - STACK + 16384);
}

static void test_guard_is_below_the_running_stack(void **state) {
    struct guard guard = {.pool = fiber_pool_create(STACK, 1)};
    int on_this_stack = 0;
    bool finished;

    (void)state;
    assert_false(fiber_pool_is_guard(guard.pool, &on_this_stack));
    fiber_start(guard.pool, look_at_guard, &guard, &finished);
    assert_true(guard.top);
    assert_true(guard.low);
    assert_false(guard.above);
    assert_false(guard.below);
    assert_false(fiber_pool_is_guard(guard.pool, &on_this_stack));
    fiber_pool_destroy(guard.pool);
}

/* --- Misuse is an assert: in a child process --- */

static void destroy_with_one_alive(struct player *player) {
    parked(player->pool, player);
    fiber_pool_destroy(player->pool);
}

static void resume_twice(struct player *player) {
    struct fiber *fiber = parked(player->pool, player);

    player->rounds = 0;
    fiber_resume(fiber);
    fiber_pool_trim(player->pool, 1); /* idle, still mapped */
    fiber_resume(fiber);
}

static void start_in_start(void *arg) {
    struct player *player = arg;
    bool finished;

    fiber_start(player->pool, count_rounds, player, &finished);
}

static void start_from_own_pool(struct player *player) {
    bool finished;

    fiber_start(player->pool, start_in_start, player, &finished);
}

static int signal_of_child(void (*misuse)(struct player *player)) {
    pid_t child = fork();
    int status = 0;

    assert_true(child >= 0);
    if (child == 0) {
        struct player player = {.pool = fiber_pool_create(STACK, 4)};

        signal(SIGABRT, SIG_DFL);
        close(STDERR_FILENO); /* the assert's text */
        misuse(&player);
        _exit(NO_FAULT);
    }
    assert_true(waitpid(child, &status, 0) == child);
    return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

static void test_misuse_is_asserted(void **state) {
    (void)state;
    assert_int_equal(signal_of_child(destroy_with_one_alive), SIGABRT);
    assert_int_equal(signal_of_child(resume_twice), SIGABRT);
    assert_int_equal(signal_of_child(start_from_own_pool), SIGABRT);
}

/* --- What a stack costs --- */

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
        cmocka_unit_test(test_ping_pong),
        cmocka_unit_test(test_returns_at_once),
        cmocka_unit_test(test_current),
        cmocka_unit_test(test_many_alive),
        cmocka_unit_test(test_floating_point),
        cmocka_unit_test(test_pools_nest),
        cmocka_unit_test(test_last_used_stack_first),
        cmocka_unit_test(test_idle_stacks_are_capped_and_trimmed),
        cmocka_unit_test(test_what_only_a_burst_needed_goes),
        cmocka_unit_test(test_a_stack_is_mapped_once),
        cmocka_unit_test(test_no_idle_at_all),
        cmocka_unit_test(test_no_address_space),
        cmocka_unit_test(test_whole_stack_is_usable),
        cmocka_unit_test(test_overflow_hits_the_guard),
        cmocka_unit_test(test_a_large_frame_hits_the_guard),
        cmocka_unit_test(test_a_stack_is_two_mappings),
        cmocka_unit_test(test_depth_is_given_back_while_parked),
        cmocka_unit_test(test_depth_is_given_back_while_idle),
        cmocka_unit_test(test_other_fault_is_not_the_guard),
        cmocka_unit_test(test_guard_is_below_the_running_stack),
        cmocka_unit_test(test_misuse_is_asserted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
