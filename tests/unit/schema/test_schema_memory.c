/* Every allocation of the JSON library fails in turn, that one or all from that one on: the answer
 * is "no memory" or, after one failure, perhaps the right one; never a wrong one, and nothing is
 * lost (the leak checkers look). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "protocol.h"
#include "schema.h"
#include "schema_sample.h"

static size_t allocations_left; /* the next one fails when it is 0 */
static bool for_good;           /* and so do all behind it */
static bool failed;

static void *counting_malloc(size_t size) {
    if (allocations_left == 0) {
        allocations_left = for_good ? 0 : SIZE_MAX;
        failed = true;
        return NULL;
    }
    allocations_left--;
    return malloc(size);
}

static int count_allocations(void **state) {
    (void)state;
    for_good = false;
    json_set_alloc_funcs(counting_malloc, free);
    return 0;
}

static int fail_for_good(void **state) {
    count_allocations(state);
    for_good = true;
    return 0;
}

static int count_no_more(void **state) {
    (void)state;
    json_set_alloc_funcs(malloc, free);
    return 0;
}

/* Decodes with the nth allocation failing, for each n, until none fails. */
static void decode_all(const char *json, size_t violations) {
    for (size_t n = 0;; n++) {
        struct arena arena;
        struct schema_result result;

        arena_init(&arena, (size_t)1 << 20);
        allocations_left = n;
        failed = false;
        int rc = schema_decode(&schema, kong_str(json), SCHEMA_FROM_USER, &arena, &result);
        if (failed && (for_good || rc == CODEC_E_NOMEM)) {
            assert_int_equal(rc, CODEC_E_NOMEM);
            assert_null(result.config);
            assert_int_equal(result.count, 0);
        } else {
            assert_int_equal(rc, violations > 0 ? 1 : 0);
            assert_int_equal(result.count, violations);
            assert_int_equal(result.config != NULL, violations == 0);
        }
        json_decref(result.tree);
        arena_free(&arena);
        if (!failed) {
            assert_true(n > 10);
            return;
        }
    }
}

static void decoding_says_no_memory(void **state) {
    (void)state;
    decode_all("{\"name\":\"x\",\"tags\":[\"b\",\"a\",\"b\"],\"limits\":{\"a\":1,\"b\":2},"
               "\"nodes\":[{},{\"host\":\"h\"},[]],\"main_node\":[]}",
               0);
    decode_all("{\"name\":\"x\",\"tags\":{},\"nodes\":[{\"port\":0},7],\"main_node\":[1],\"y\":1,"
               "\"rate\":\"fast\"}",
               8);
}

static void dumping_says_no_memory(void **state) {
    (void)state;
    allocations_left = SIZE_MAX;
    json_t *right = schema_to_json(&schema, "x", 1u << KONG_PHASE_ACCESS, 3);
    assert_non_null(right);
    for (size_t n = 0;; n++) {
        allocations_left = n;
        failed = false;
        json_t *json = schema_to_json(&schema, "x", 1u << KONG_PHASE_ACCESS, 3);
        assert_true(json == NULL ? failed : !failed || (!for_good && json_equal(json, right)));
        json_decref(json);
        if (!failed) {
            assert_true(n > 100);
            break;
        }
    }
    json_decref(right);
}

static void checking_says_no_memory(void **state) {
    (void)state;
    for (size_t n = 0;; n++) {
        char error[200] = "";
        allocations_left = n;
        failed = false;
        int rc = schema_check(&schema, error, sizeof error);
        assert_true(rc == 0 ? !failed || !for_good : failed);
        assert_int_equal(strstr(error, "out of memory") != NULL, rc != 0);
        if (!failed) {
            assert_true(n > 10);
            return;
        }
    }
}

#define ONCE(test) cmocka_unit_test_setup_teardown(test, count_allocations, count_no_more)
#define EVER(test) cmocka_unit_test_setup_teardown(test, fail_for_good, count_no_more)

int main(void) {
    const struct CMUnitTest tests[] = {
        ONCE(decoding_says_no_memory), EVER(decoding_says_no_memory), ONCE(dumping_says_no_memory),
        EVER(dumping_says_no_memory),  ONCE(checking_says_no_memory), EVER(checking_says_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
