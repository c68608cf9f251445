/* One state of the simulated PDK, for tests that call its functions one by one. Included behind
 * <cmocka.h>. */
#ifndef TESTS_UNIT_SIM_BENCH_H
#define TESTS_UNIT_SIM_BENCH_H

#include "sim_json.h"
#include "sim_pdk.h"
#include "value.h"
#include "value_equal.h"

#define LENGTH(array) (sizeof(array) / sizeof *(array))

struct sim_bench {
    struct sim_pdk *pdk;
    struct arena arena;
    struct kong_value result;
};

/* For cmocka: *state becomes the bench. */
int sim_bench_setup(void **state);
int sim_bench_teardown(void **state);

/* Calls a function of the PDK; args is a JSON list. The result is in the bench. */
int sim_call(struct sim_bench *bench, const char *name, const char *args);

/* The last result as JSON, in the bench's arena. */
const char *sim_json_of(struct sim_bench *bench);

#define assert_call(bench, name, args, json)                                                       \
    do {                                                                                           \
        assert_int_equal(sim_call(bench, name, args), SIM_RESULT);                                 \
        struct kong_value expected_;                                                               \
        assert_true(json_to_value(&(bench)->arena, kong_str(json), &expected_));                   \
        if (!value_equal(&(bench)->result, &expected_)) {                                          \
            fail_msg("%s%s gave %s, not %s", name, args, sim_json_of(bench), json);                \
        }                                                                                          \
    } while (0)

#define assert_outcome(bench, name, args, outcome, text)                                           \
    do {                                                                                           \
        assert_int_equal(sim_call(bench, name, args), outcome);                                    \
        assert_int_equal((bench)->result.type, KONG_STRING);                                       \
        assert_string_equal((bench)->result.string.data, text);                                    \
    } while (0)

#define SIM_TEST(name) cmocka_unit_test_setup_teardown(name, sim_bench_setup, sim_bench_teardown)

#endif
