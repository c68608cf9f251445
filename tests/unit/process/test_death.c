/* What is read out of the record that a dead server process left behind. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include "checkers.h"
#include "death.h"

#define EXITED(status) ((status) << 8) /* as waitpid gives them, on Linux */
#define KILLED(number) (number)

/* of a traced process; it takes some hundred */
#define MOST_STEPS 1000000

static const struct kong_plugin plugin = {.name = "mine", .version = "1.0"};
static struct plugin hosted = {.what = &plugin};
static const struct plugins table = {.name = "mine", .count = 1, .list = &hosted};

struct bench {
    struct running running;
    struct death death;
    char text[512];
};

static int setup(void **state) {
    struct bench *bench = calloc(1, sizeof *bench);
    if (bench != NULL) {
        running_clear(&bench->running);
    }
    *state = bench;
    return bench == NULL;
}

static int teardown(void **state) {
    free(*state);
    return 0;
}

static const char *describe(struct bench *bench, int status) {
    death_examine(&bench->death, status, &bench->running);
    death_describe(&bench->death, &table, bench->text, sizeof bench->text);
    return bench->text;
}

static void nothing_ran(void **state) {
    struct bench *bench = *state;
    assert_string_equal(describe(bench, KILLED(SIGKILL)),
                        "was killed by signal 9 (Killed) between handlers");
    assert_int_equal(bench->death.count, 0);
    assert_false(bench->death.served);
    running_enter(&bench->running.slots[3], 0, 1, KONG_PHASE_LOG, 1);
    running_leave(&bench->running.slots[3]);
    assert_string_equal(describe(bench, EXITED(3)), "exited with status 3 between handlers");
    assert_true(bench->death.served);
}

static void the_only_one_is_the_cause_of_a_fault(void **state) {
    static const struct {
        int status;
        bool certain;
    } cases[] = {{KILLED(SIGSEGV), true}, {KILLED(SIGABRT), true},  {KILLED(SIGFPE), true},
                 {EXITED(0), true},       {KILLED(SIGKILL), false}, {KILLED(SIGTERM), false}};
    struct bench *bench = *state;
    running_enter(&bench->running.slots[2], 0, 7, KONG_PHASE_ACCESS, 99);
    running_note_request(&bench->running.slots[2], "abc");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        describe(bench, cases[i].status);
        assert_int_equal(bench->death.count, 1);
        const struct death_suspect *suspect = &bench->death.suspects[0];
        assert_int_equal(suspect->crash.certain, cases[i].certain);
        assert_int_equal(suspect->crash.config, 99);
        assert_int_equal(suspect->crash.phase, KONG_PHASE_ACCESS);
        assert_string_equal(suspect->crash.request, "abc");
        assert_int_equal(suspect->instance, 7);
    }
    /* The next run is another request's. */
    running_enter(&bench->running.slots[2], 0, 7, KONG_PHASE_ACCESS, 99);
    describe(bench, KILLED(SIGSEGV));
    assert_string_equal(bench->death.suspects[0].crash.request, "");
}

static void of_several_the_one_that_said_so(void **state) {
    struct bench *bench = *state;
    running_enter(&bench->running.slots[0], 0, 10, KONG_PHASE_ACCESS, 1);
    running_enter(&bench->running.slots[1], 0, 11, KONG_PHASE_REWRITE, 2);
    struct running_slot *blocking =
        running_take(&bench->running, 0, 12, KONG_PHASE_LOG, 3, "request");
    assert_non_null(blocking);
    assert_string_equal(describe(bench, KILLED(SIGSEGV)),
                        "was killed by signal 11 (Segmentation fault) while mine ran access for "
                        "instance 10, rewrite for instance 11, log for instance 12");
    for (size_t i = 0; i < 3; i++) {
        assert_false(bench->death.suspects[i].crash.certain);
    }
    atomic_store(&bench->running.fault, (int32_t)(blocking - bench->running.slots));
    assert_string_equal(describe(bench, KILLED(SIGSEGV)),
                        "was killed by signal 11 (Segmentation fault) while mine ran log for "
                        "instance 12");
    assert_true(bench->death.suspects[0].crash.certain);
    assert_string_equal(bench->death.suspects[0].crash.request, "request");
    running_leave(blocking); /* what was named does not run: it is not taken for the cause */
    describe(bench, KILLED(SIGSEGV));
    assert_int_equal(bench->death.count, 2);
}

/* The process may have written anything before it died. */
static void a_damaged_record(void **state) {
    struct bench *bench = *state;
    for (int byte = 0; byte < 256; byte++) {
        memset(&bench->running, byte, sizeof bench->running);
        const char *text = describe(bench, KILLED(SIGSEGV));
        assert_true(strlen(text) < sizeof bench->text);
        assert_in_range(bench->death.count, 0, RUNNING_SLOTS);
        for (size_t i = 0; i < bench->death.count; i++) {
            const struct quarantine_crash *crash = &bench->death.suspects[i].crash;
            assert_true(running_is_phase(crash->phase));
            assert_true(strlen(crash->request) < sizeof crash->request);
        }
    }
}

/* Enters its handlers one instruction at a time. */
static void enter_traced(struct running *running) {
    if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0) {
        _exit(1);
    }
    raise(SIGSTOP);
    running_enter(&running->slots[0], 0, 2, KONG_PHASE_LOG, 22);
    running_take(running, 0, 2, KONG_PHASE_LOG, 22, "new");
    _exit(0);
}

/* Wherever the process dies, nothing of what ran before is blamed. */
static void death_at_any_instruction(void **state) {
    struct death death;
    int status;
    size_t steps = 0;
    (void)state;
    if (under_valgrind()) {
        skip();
    }
    struct running *running =
        mmap(NULL, sizeof *running, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(running, MAP_FAILED);
    running_clear(running);
    for (size_t i = 0; i < 2; i++) {
        struct running_slot *slot = &running->slots[i * RUNNING_WORKERS];
        running_enter(slot, 0, 1, KONG_PHASE_ACCESS, 11);
        running_note_request(slot, "old");
        running_leave(slot);
    }
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        enter_traced(running);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    while (WIFSTOPPED(status) && steps++ < MOST_STEPS) {
        death_examine(&death, KILLED(SIGKILL), running);
        for (size_t i = 0; i < death.count; i++) {
            assert_int_equal(death.suspects[i].instance, 2);
            assert_int_equal(death.suspects[i].crash.phase, KONG_PHASE_LOG);
            assert_int_equal(death.suspects[i].crash.config, 22);
            assert_string_not_equal(death.suspects[i].crash.request, "old");
        }
        if (ptrace(PTRACE_SINGLESTEP, child, NULL, NULL) != 0) {
            break;
        }
        assert_int_equal(waitpid(child, &status, 0), child);
    }
    if (!WIFEXITED(status)) {
        kill(child, SIGKILL);
        waitpid(child, &status, 0);
    }
    munmap(running, sizeof *running);
    if (steps < 2) {
        skip(); /* nobody may trace here */
    }
    assert_int_equal(death.count, 2);
}

static void slots_run_out(void **state) {
    struct bench *bench = *state;
    for (size_t i = 0; i < RUNNING_BLOCKING; i++) {
        assert_non_null(running_take(&bench->running, 0, 1, KONG_PHASE_ACCESS, 1, NULL));
    }
    assert_null(running_take(&bench->running, 0, 1, KONG_PHASE_ACCESS, 1, NULL));
    running_leave(&bench->running.slots[RUNNING_WORKERS + 5]);
    assert_ptr_equal(running_take(&bench->running, 0, 1, KONG_PHASE_ACCESS, 1, NULL),
                     &bench->running.slots[RUNNING_WORKERS + 5]);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(nothing_ran),
        TEST(the_only_one_is_the_cause_of_a_fault),
        TEST(of_several_the_one_that_said_so),
        TEST(a_damaged_record),
        cmocka_unit_test(death_at_any_instruction),
        TEST(slots_run_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
