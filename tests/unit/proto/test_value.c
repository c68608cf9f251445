/* Work on values; and the names of phases and errors. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>

#include "kong_phase.h"
#include "limit.h"
#include "phase.h"
#include "protocol.h"
#include "value.h"
#include "value_equal.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void assert_equal(struct kong_value a, struct kong_value b, bool expected) {
    assert_int_equal(value_equal(&a, &b), expected);
    assert_int_equal(value_equal(&b, &a), expected);
}

static void test_scalars_equal(void **state) {
    (void)state;
    const struct kong_value different[] = {
        kong_nil(),          kong_boolean(false),     kong_boolean(true),      kong_integer(0),
        kong_integer(1),     kong_integer(INT64_MAX), kong_integer(INT64_MIN), kong_number(0.5),
        kong_number(0x1p63), /* INT64_MAX as a double, but not the same */
        kong_number(NAN),    kong_number(INFINITY),   kong_number(-INFINITY),  kong_string(""),
        kong_string("0"),    kong_bytes("0\0", 2),    kong_list(NULL, 0),      kong_map(NULL, 0),
    };
    for (size_t i = 0; i < COUNT(different); i++) {
        for (size_t j = 0; j < COUNT(different); j++) {
            assert_equal(different[i], different[j], i == j);
        }
    }
    assert_equal(kong_integer(5), kong_number(5), true);
    assert_equal(kong_integer(0), kong_number(-0.0), true);
    assert_equal(kong_integer(INT64_MIN), kong_number(-0x1p63), true);
    assert_equal(kong_integer(5), kong_number(5.5), false);
    assert_equal(kong_integer((1LL << 53) + 1), kong_number(0x1p53), false);
}

static void test_lists_equal_in_order(void **state) {
    (void)state;
    struct kong_value ab[] = {kong_string("a"), kong_integer(2)};
    struct kong_value same[] = {kong_string("a"), kong_number(2)};
    struct kong_value ba[] = {kong_integer(2), kong_string("a")};
    assert_equal(kong_list(ab, 2), kong_list(same, 2), true);
    assert_equal(kong_list(ab, 2), kong_list(ba, 2), false);
    assert_equal(kong_list(ab, 2), kong_list(ab, 1), false);
}

static void test_maps_equal_in_any_order(void **state) {
    (void)state;
    struct kong_value in[] = {kong_integer(1)};
    struct kong_pair a[] = {kong_pair("x", kong_integer(1)), kong_pair("y", kong_nil()),
                            kong_pair("z", kong_list(in, 1))};
    struct kong_pair b[] = {kong_pair("z", kong_list(in, 1)), kong_pair("x", kong_number(1)),
                            kong_pair("y", kong_nil())};
    struct kong_pair other[] = {kong_pair("z", kong_list(in, 0)), kong_pair("x", kong_integer(1)),
                                kong_pair("y", kong_nil())};
    assert_equal(kong_map(a, 3), kong_map(b, 3), true);
    assert_equal(kong_map(a, 3), kong_map(other, 3), false);
    assert_equal(kong_map(a, 3), kong_map(a, 2), false);
}

/* The same pairs at the start, others in another order behind them. */
static void test_maps_equal_behind_a_common_start(void **state) {
    (void)state;
    struct kong_pair a[] = {kong_pair("k", kong_integer(1)), kong_pair("x", kong_integer(2)),
                            kong_pair("y", kong_integer(3)), kong_pair("k", kong_integer(1))};
    struct kong_pair b[] = {a[0], a[3], a[1], a[2]};
    struct kong_pair c[] = {a[0], a[2], a[1], a[2]};
    assert_equal(kong_map(a, 4), kong_map(b, 4), true);
    assert_equal(kong_map(a, 4), kong_map(c, 4), false);
    assert_equal(kong_map(b, 4), kong_map(c, 4), false);
}

/* Keys that repeat: the first is what value_get finds, so their order counts. */
static void test_maps_with_repeated_keys(void **state) {
    (void)state;
    struct kong_pair k1 = kong_pair("k", kong_integer(1)), k2 = kong_pair("k", kong_integer(2)),
                     x = kong_pair("x", kong_nil());
    struct kong_pair a[] = {k1, k2, x}, b[] = {x, k1, k2}, c[] = {k2, k1, x}, d[] = {k1, x, x},
                     e[] = {x, k1, k1};
    assert_equal(kong_map(a, 3), kong_map(b, 3), true);
    assert_equal(kong_map(a, 3), kong_map(c, 3), false);
    assert_equal(kong_map(a, 3), kong_map(d, 3), false);
    assert_equal(kong_map(a, 3), kong_map(e, 3), false);
    assert_equal(kong_map(d, 3), kong_map(e, 3), false);
}

/* levels[0] is nested `count` deep. */
static void nest(struct kong_value *levels, size_t count) {
    levels[count] = kong_string("deep");
    for (size_t i = count; i > 0; i--) {
        levels[i - 1] = kong_list(&levels[i], 1);
    }
}

/* The same with maps. */
static void nest_maps(struct kong_value *levels, struct kong_pair *pairs, size_t count) {
    levels[count] = kong_string("deep");
    for (size_t i = count; i > 0; i--) {
        pairs[i] = kong_pair("k", levels[i]);
        levels[i - 1] = kong_map(&pairs[i], 1);
    }
}

static void assert_deepest(const struct kong_value *deepest, const struct kong_value *deeper) {
    struct arena arena;
    struct kong_value copy;
    arena_init(&arena, 1 << 20);
    assert_equal(*deepest, *deepest, true);
    assert_equal(*deeper, *deeper, false);
    assert_true(value_copy(&arena, deepest, &copy));
    assert_true(value_equal(&copy, deepest));
    assert_false(value_copy(&arena, deeper, &copy));
    assert_int_equal(value_depth(deepest), LIMIT_NESTING);
    assert_int_equal(value_depth(deeper), LIMIT_NESTING + 1);
    arena_free(&arena);
}

static void test_nesting_is_bounded(void **state) {
    (void)state;
    struct kong_value deepest[LIMIT_NESTING + 1], deeper[LIMIT_NESTING + 2];
    struct kong_pair pairs[LIMIT_NESTING + 2];
    nest_maps(deepest, pairs, LIMIT_NESTING);
    struct kong_pair more = kong_pair("k", deepest[0]);
    struct kong_value around = kong_map(&more, 1);
    assert_deepest(&deepest[0], &around);
    nest(deepest, LIMIT_NESTING);
    nest(deeper, LIMIT_NESTING + 1);
    assert_deepest(&deepest[0], &deeper[0]);

    static struct kong_value far[100001];
    nest(far, 100000);
    struct kong_pair pair = kong_pair("k", deepest[1]);
    struct kong_value wide[] = {kong_nil(), deepest[LIMIT_NESTING - 1], kong_list(NULL, 0)};
    assert_int_equal(value_depth(&deepest[LIMIT_NESTING]), 0);
    assert_int_equal(value_depth(&wide[2]), 1);
    assert_int_equal(value_depth(&(struct kong_value){.type = KONG_LIST, .list = {wide, 3}}), 2);
    assert_int_equal(value_depth(&(struct kong_value){.type = KONG_MAP, .map = {&pair, 1}}),
                     LIMIT_NESTING);
    assert_int_equal(value_depth(&far[0]), LIMIT_NESTING + 1);
}

static void test_copy_is_deep(void **state) {
    (void)state;
    struct arena arena;
    char text[] = "text", key[] = "key";
    struct kong_value items[] = {kong_bytes(text, 2), kong_number(0.5), kong_boolean(true)};
    struct kong_pair pairs[] = {{{key, 3}, kong_list(items, 3)},
                                {{NULL, 0}, kong_bytes(NULL, 0)},
                                kong_pair("n", kong_nil())};
    struct kong_value from = kong_map(pairs, 3), copy;
    arena_init(&arena, 1 << 20);
    assert_true(value_copy(&arena, &from, &copy));
    assert_true(value_equal(&from, &copy));
    memset(text, '-', sizeof text);
    memset(key, '-', sizeof key);
    items[1] = pairs[2].value;
    const struct kong_value *list = value_get(&copy, "key");
    assert_non_null(list);
    assert_int_equal(list->list.items[0].string.len, 2);
    assert_string_equal(list->list.items[0].string.data, "te"); /* with a NUL of its own */
    assert_true(list->list.items[1].number == 0.5);
    assert_string_equal(copy.map.pairs[0].key.data, "key");
    assert_string_equal(copy.map.pairs[1].key.data, ""); /* nil has a type: this is "" */
    assert_string_equal(copy.map.pairs[1].value.string.data, "");
    arena_free(&arena);
}

static void test_copy_fails_at_every_limit(void **state) {
    (void)state;
    struct arena arena;
    struct kong_value items[] = {kong_string("a"), kong_string("b")};
    struct kong_pair pairs[] = {kong_pair("key", kong_list(items, 2)),
                                kong_pair("other", kong_string("text"))};
    struct kong_value from = kong_map(pairs, 2), copy;
    size_t limit = 0;
    for (;; limit++) {
        arena_init(&arena, limit);
        bool copied = value_copy(&arena, &from, &copy);
        if (copied) {
            assert_true(value_equal(&from, &copy));
        }
        arena_free(&arena);
        if (copied) {
            break;
        }
    }
    assert_in_range(limit, sizeof items + sizeof pairs, 1000);
}

static void test_get(void **state) {
    (void)state;
    struct kong_pair pairs[] = {kong_pair("a", kong_integer(1)), kong_pair("a", kong_integer(2)),
                                kong_pair("", kong_integer(3)), kong_pair("ab", kong_nil())};
    struct kong_value map = kong_map(pairs, 4), list = kong_list(NULL, 0);
    assert_ptr_equal(value_get(&map, "a"), &pairs[0].value);
    assert_ptr_equal(value_get(&map, ""), &pairs[2].value);
    assert_ptr_equal(value_get(&map, "ab"), &pairs[3].value);
    assert_null(value_get(&map, "b"));
    assert_null(value_get(&list, "a"));
}

static void test_to_integer(void **state) {
    (void)state;
    const struct {
        struct kong_value value;
        bool fits;
        int64_t integer;
    } cases[] = {
        {kong_integer(INT64_MIN), true, INT64_MIN},
        {kong_number(-3), true, -3},
        {kong_number(-0.0), true, 0},
        {kong_number(0x1p62), true, 1LL << 62},
        {kong_number(-0x1p63), true, INT64_MIN},
        {kong_number(nextafter(0x1p63, 0)), true, INT64_MAX - 1023},
        {kong_number(0x1p63), false, 0},
        {kong_number(nextafter(-0x1p63, -INFINITY)), false, 0},
        {kong_number(1.5), false, 0},
        {kong_number(NAN), false, 0},
        {kong_number(INFINITY), false, 0},
        {kong_number(-INFINITY), false, 0},
        {kong_string("1"), false, 0},
        {kong_boolean(true), false, 0},
        {kong_nil(), false, 0},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        int64_t out = 0;
        assert_int_equal(value_to_integer(&cases[i].value, &out), cases[i].fits);
        assert_true(out == cases[i].integer);
    }
}

static void test_phase_names(void **state) {
    (void)state;
    static const char *names[] = {"certificate",   "rewrite", "access", "response",
                                  "header_filter", "preread", "log"};
    assert_int_equal(COUNT(names), KONG_PHASE_COUNT);
    for (unsigned i = 0; i < KONG_PHASE_COUNT; i++) {
        assert_string_equal(kong_phase_name((enum kong_phase)i), names[i]);
        assert_int_equal(phase_by_name(kong_str(names[i])), i);
    }
    assert_string_equal(kong_phase_name(KONG_PHASE_HEADER_FILTER), "header_filter");
    assert_null(kong_phase_name(KONG_PHASE_COUNT));
    assert_null(kong_phase_name((enum kong_phase)99));
    assert_null(kong_phase_name((enum kong_phase) - 1));
    assert_int_equal(phase_by_name(kong_str("Access")), -1);
    assert_int_equal(phase_by_name((struct kong_str){"accessory", 5}), -1);
    assert_int_equal(phase_by_name((struct kong_str){NULL, 0}), -1);
}

static void test_every_error_has_a_text_of_its_own(void **state) {
    (void)state;
    for (int a = CODEC_E_SHAPE - 1; a <= CODEC_OK; a++) {
        assert_non_null(codec_strerror(a));
        for (int b = CODEC_E_SHAPE - 1; b < a; b++) {
            assert_string_not_equal(codec_strerror(a), codec_strerror(b));
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_scalars_equal),
        cmocka_unit_test(test_lists_equal_in_order),
        cmocka_unit_test(test_maps_equal_in_any_order),
        cmocka_unit_test(test_maps_equal_behind_a_common_start),
        cmocka_unit_test(test_maps_with_repeated_keys),
        cmocka_unit_test(test_nesting_is_bounded),
        cmocka_unit_test(test_copy_is_deep),
        cmocka_unit_test(test_copy_fails_at_every_limit),
        cmocka_unit_test(test_get),
        cmocka_unit_test(test_to_integer),
        cmocka_unit_test(test_phase_names),
        cmocka_unit_test(test_every_error_has_a_text_of_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
