/* The end of a fiber's stack, and what is asserted: in child processes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "checkers.h"
#include "fiber_player.h"
#include "limit.h"

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

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_overflow_hits_the_guard),
        cmocka_unit_test(test_a_large_frame_hits_the_guard),
        cmocka_unit_test(test_other_fault_is_not_the_guard),
        cmocka_unit_test(test_guard_is_below_the_running_stack),
        cmocka_unit_test(test_misuse_is_asserted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
