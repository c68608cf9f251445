/* Who is quarantined for a crash, for how long, and what a configuration is known by. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "identity.h"
#include "quarantine.h"

#define CONFIG 77u
#define NOW    1000000u

static int setup(void **state) {
    *state = calloc(1, sizeof(struct quarantine));
    return *state == NULL;
}

static int teardown(void **state) {
    free(*state);
    return 0;
}

static struct quarantine_effect crash(struct quarantine *q, int32_t phase, const char *request,
                                      bool certain, uint64_t now) {
    struct quarantine_crash crash = {.config = CONFIG, .phase = phase, .certain = certain};
    snprintf(crash.request, sizeof crash.request, "%s", request);
    return quarantine_add(q, &crash, now);
}

static enum quarantine_verdict judge(struct quarantine *q, int32_t phase, uint64_t now) {
    struct quarantine_handler *handler;
    return quarantine_judge(q, CONFIG, phase, now, &handler);
}

static bool refuses(struct quarantine *q, const char *request, uint64_t now) {
    struct quarantine_handler *handler;
    quarantine_judge(q, CONFIG, KONG_PHASE_ACCESS, now, &handler);
    assert_non_null(handler);
    return quarantine_has_request(q, handler, request, now);
}

static void one_request_is_refused_at_its_second_crash(void **state) {
    struct quarantine *q = *state;
    assert_false(quarantine_active(q, NOW));
    assert_int_equal(judge(q, KONG_PHASE_ACCESS, NOW), QUARANTINE_FREE);
    struct quarantine_effect effect = crash(q, KONG_PHASE_ACCESS, "", true, NOW);
    assert_false(effect.request_refused || effect.handler_refused_ms > 0 || effect.crowded);
    assert_true(quarantine_active(q, NOW));
    assert_int_equal(judge(q, KONG_PHASE_ACCESS, NOW + 5), QUARANTINE_WATCH);
    assert_int_equal(judge(q, KONG_PHASE_REWRITE, NOW + 5), QUARANTINE_FREE);
    assert_false(refuses(q, "a", NOW + 5));
    effect = crash(q, KONG_PHASE_ACCESS, "a", true, NOW + 10);
    assert_true(effect.request_refused);
    assert_int_equal(effect.handler_refused_ms, 0);
    assert_true(refuses(q, "a", NOW + 15));
    assert_false(refuses(q, "b", NOW + 15));
    /* Some seconds without a crash, and nobody is asked any more. */
    assert_int_equal(judge(q, KONG_PHASE_ACCESS, NOW + 10 + QUARANTINE_WATCH_MS), QUARANTINE_FREE);
    assert_false(quarantine_active(q, NOW + 10 + QUARANTINE_WATCH_MS));
}

/* kill -9 finds any handler at work: twice the same one is no chance. */
static void what_ran_by_chance_is_not_refused(void **state) {
    struct quarantine *q = *state;
    assert_false(crash(q, KONG_PHASE_ACCESS, "", false, NOW).request_refused);
    assert_false(crash(q, KONG_PHASE_ACCESS, "a", false, NOW + 1).request_refused);
    assert_false(crash(q, KONG_PHASE_ACCESS, "b", false, NOW + 2).request_refused);
    assert_false(refuses(q, "a", NOW + 3) || refuses(q, "b", NOW + 3));
    assert_true(crash(q, KONG_PHASE_ACCESS, "a", false, NOW + 4).request_refused);
    assert_true(refuses(q, "a", NOW + 5));
    assert_false(refuses(q, "b", NOW + 5));
    for (int i = 0; i < 3; i++) {
        assert_int_equal(crash(q, KONG_PHASE_LOG, "", false, NOW + 6).handler_refused_ms, 0);
    }
    assert_int_equal(judge(q, KONG_PHASE_LOG, NOW + 7), QUARANTINE_FREE);
}

static void without_an_id_the_handler_is_refused(void **state) {
    static const int32_t phases[] = {KONG_PHASE_CERTIFICATE, KONG_PHASE_PREREAD, KONG_PHASE_LOG,
                                     KONG_PHASE_ACCESS, QUARANTINE_CONFIGURE};
    struct quarantine *q = *state;
    for (size_t i = 0; i < sizeof phases / sizeof *phases; i++) {
        assert_int_equal(crash(q, phases[i], "", true, NOW).handler_refused_ms, 0);
        assert_int_not_equal(judge(q, phases[i], NOW), QUARANTINE_REFUSE);
        assert_int_equal(crash(q, phases[i], "", true, NOW + 1).handler_refused_ms, QUARANTINE_MS);
        assert_int_equal(judge(q, phases[i], NOW + QUARANTINE_MS), QUARANTINE_REFUSE);
        assert_int_not_equal(judge(q, phases[i], NOW + 1 + QUARANTINE_MS), QUARANTINE_REFUSE);
    }
}

/* Two crashes that have nothing to do with each other are not one handler's second. */
static void what_is_over_does_not_count(void **state) {
    struct quarantine *q = *state;
    uint64_t later = NOW + QUARANTINE_WATCH_MS;
    assert_int_equal(crash(q, KONG_PHASE_LOG, "", true, NOW).handler_refused_ms, 0);
    assert_int_equal(crash(q, KONG_PHASE_LOG, "", true, later).handler_refused_ms, 0);
    quarantine_prune(q, later + QUARANTINE_WATCH_MS);
    assert_int_equal(q->handler_count, 0);
}

static uint64_t doomed(struct quarantine *q, unsigned *count, uint64_t now) {
    char id[32];
    snprintf(id, sizeof id, "doomed-%u", (*count)++);
    return crash(q, KONG_PHASE_ACCESS, id, true, now).handler_refused_ms;
}

/* Each time for twice as long, until an event survives. */
static void a_quarantine_ends_and_is_renewed(void **state) {
    struct quarantine *q = *state;
    uint64_t now = NOW;
    unsigned count = 0;
    for (unsigned i = 1; i < QUARANTINE_CRASHES; i++) {
        assert_int_equal(doomed(q, &count, now), 0);
    }
    for (unsigned i = 0; i < 6; i++) {
        uint64_t ms = (uint64_t)QUARANTINE_MS
                      << (i < QUARANTINE_DOUBLINGS ? i : QUARANTINE_DOUBLINGS);
        assert_int_equal(doomed(q, &count, now), ms);
        quarantine_prune(q, now);
        assert_int_equal(judge(q, KONG_PHASE_ACCESS, now + ms - 1), QUARANTINE_REFUSE);
        assert_int_equal(judge(q, KONG_PHASE_ACCESS, now + ms), QUARANTINE_WATCH);
        now += ms;
    }
    struct quarantine *copy = malloc(sizeof *copy);
    assert_non_null(copy);
    memcpy(copy, q, sizeof *copy);
    atomic_store(&copy->handlers[0].survived, 1);
    copy->handlers[0].refused_until = UINT64_MAX; /* as a child may leave it behind */
    copy->handler_count = UINT32_MAX;
    quarantine_collect(q, copy);
    free(copy);
    assert_int_equal(doomed(q, &count, now), 0);
    assert_int_equal(judge(q, KONG_PHASE_ACCESS, now), QUARANTINE_WATCH);
}

/* Requests of one configuration that crash again and again, beside others that survive. */
static void too_many_are_too_many(void **state) {
    struct quarantine *q = *state;
    unsigned count = 0;
    assert_int_equal(doomed(q, &count, NOW), 0);
    atomic_store(&q->handlers[0].survived, 1000);
    while (count < QUARANTINE_MOST_CRASHES - 1) {
        assert_int_equal(doomed(q, &count, NOW + count), 0);
    }
    assert_int_equal(doomed(q, &count, NOW + count), QUARANTINE_MS);
}

static void seldom_ones_are_not(void **state) {
    struct quarantine *q = *state;
    unsigned count = 0;
    assert_int_equal(doomed(q, &count, NOW), 0);
    atomic_store(&q->handlers[0].survived, 1000);
    while (count < 3 * QUARANTINE_MOST_CRASHES) {
        assert_int_equal(doomed(q, &count, NOW + count * 1000u), 0);
    }
    assert_true(q->request_count <= QUARANTINE_REQUESTS);
}

/* Who is over first makes room; and that one still counted is said. */
static void there_is_room_for_so_many(void **state) {
    struct quarantine *q = *state;
    struct quarantine_crash crash = {.phase = KONG_PHASE_ACCESS, .certain = true};
    for (unsigned i = 0; i < QUARANTINE_HANDLERS; i++) {
        crash.config = i;
        assert_false(quarantine_add(q, &crash, NOW + i).crowded);
    }
    crash.config = 100000;
    assert_true(quarantine_add(q, &crash, NOW + 1000).crowded);
    struct quarantine_handler *handler;
    assert_int_equal(quarantine_judge(q, 0, KONG_PHASE_ACCESS, NOW + 1000, &handler),
                     QUARANTINE_FREE);
    assert_int_equal(quarantine_judge(q, 1, KONG_PHASE_ACCESS, NOW + 1000, &handler),
                     QUARANTINE_WATCH);
    crash.config = 100001;
    assert_false(quarantine_add(q, &crash, NOW + QUARANTINE_WATCH_MS + 2).crowded);
}

/* Where a crash takes long, so does the watch. */
static void the_watch_is_as_long_as_a_crash_takes(void **state) {
    struct quarantine *q = *state;
    q->watch_ms = QUARANTINE_WATCH_MS + 60000;
    crash(q, KONG_PHASE_LOG, "", true, NOW);
    assert_int_equal(crash(q, KONG_PHASE_LOG, "", true, NOW + 61000).handler_refused_ms,
                     QUARANTINE_MS);
}

static uint64_t identity(const char *text) {
    return config_identity(kong_str(text));
}

static void a_configuration_is_known_by_its_text(void **state) {
    (void)state;
    uint64_t one = identity("{\"a\":1,\"__seq__\":1,\"b\":2}");
    assert_true(one == identity("{\"a\":1,\"__seq__\":1234,\"b\":2}"));
    assert_true(one != identity("{\"a\":2,\"__seq__\":1,\"b\":2}"));
    assert_true(one != identity("{\"a\":1,\"__seq__\":1,\"b\":3}"));
    assert_true(identity("{\"__seq__\":") == identity("{\"__seq__\":7"));
    assert_true(identity("") == config_identity((struct kong_str){NULL, 0}));
    assert_true(identity("") != identity("{}"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(one_request_is_refused_at_its_second_crash),
        TEST(what_ran_by_chance_is_not_refused),
        TEST(without_an_id_the_handler_is_refused),
        TEST(what_is_over_does_not_count),
        TEST(a_quarantine_ends_and_is_renewed),
        TEST(too_many_are_too_many),
        TEST(seldom_ones_are_not),
        TEST(there_is_room_for_so_many),
        TEST(the_watch_is_as_long_as_a_crash_takes),
        cmocka_unit_test(a_configuration_is_known_by_its_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
