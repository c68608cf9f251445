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

struct node {
    const char *host;
    int64_t port;
};
struct config {
    const char *name;
    const double *rate;
    KONG_ARRAY_OF(const char *) tags;
    KONG_MAP_OF(int64_t) limits;
    KONG_ARRAY_OF(struct node) nodes;
    struct node main_node;
};

static const struct kong_field node_fields[] = {
    KONG_STRING_FIELD(struct node, host, .default_json = KONG_TEXT("local")),
    KONG_INTEGER_FIELD(struct node, port, .default_json = "1", .gt = KONG_GT(0)),
};
static const struct kong_field fields[] = {
    KONG_STRING_FIELD(struct config, name, .required = true, .match = "^%l"),
    KONG_NUMBER_FIELD(struct config, rate, .default_json = "0.5"),
    KONG_SET_FIELD(struct config, tags, KONG_STRING_ITEM(.one_of = KONG_STRINGS("a", "b")),
                   .default_json = "[\"a\",\"a\",\"b\"]"),
    KONG_MAP_FIELD(struct config, limits, KONG_STRING_ITEM(.len_max = 2), KONG_INTEGER_ITEM()),
    KONG_ARRAY_FIELD(struct config, nodes,
                     KONG_RECORD_ITEM(KONG_RECORD_OF(struct node, node_fields))),
    KONG_RECORD_FIELD(struct config, main_node, KONG_RECORD_OF(struct node, node_fields),
                      .required = true),
};
static const struct kong_schema schema =
    KONG_SCHEMA(struct config, fields, .no_consumer = true,
                KONG_CONFIG_CHECKS(KONG_DISTINCT("name", "main_node.host"),
                                   KONG_CONDITIONAL("name", KONG_RULES(.eq_json = KONG_TEXT("x")),
                                                    "limits", KONG_RULES(.required = true))));

/* Decodes with the nth allocation failing, for each n, until none fails. */
static void decode_all(const char *json, size_t violations) {
    for (size_t n = 0;; n++) {
        struct arena arena;
        struct schema_report report;
        void *config;

        arena_init(&arena, (size_t)1 << 20);
        allocations_left = n;
        failed = false;
        int rc = schema_decode(&schema, kong_str(json), &arena, &config, &report);
        if (failed && (for_good || rc == CODEC_E_NOMEM)) {
            assert_int_equal(rc, CODEC_E_NOMEM);
            assert_null(config);
            assert_int_equal(report.count, 0);
        } else {
            assert_int_equal(rc, violations > 0 ? 1 : 0);
            assert_int_equal(report.count, violations);
            assert_int_equal(config != NULL, violations == 0);
        }
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
    json_t *right = schema_to_json(&schema, "x", 3);
    assert_non_null(right);
    for (size_t n = 0;; n++) {
        allocations_left = n;
        failed = false;
        json_t *json = schema_to_json(&schema, "x", 3);
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
