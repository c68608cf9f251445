/* Bytes that grow up to a limit. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <string.h>

#include "buffer.h"

static void test_grows_and_keeps(void **state) {
    (void)state;
    struct buffer buffer;
    buffer_init(&buffer, 1 << 20);
    assert_null(buffer.data);
    for (unsigned i = 0; i < 10000; i++) {
        buffer_append_byte(&buffer, (uint8_t)(i % 251));
        assert_in_range(buffer.capacity, buffer.len, 256 + 2 * buffer.len);
        uint8_t more[] = {(uint8_t)(i % 7), (uint8_t)(i % 13)};
        buffer_append(&buffer, more, sizeof more);
    }
    assert_false(buffer.failed);
    assert_int_equal(buffer.len, 30000);
    for (unsigned i = 0; i < 10000; i++) {
        assert_int_equal(buffer.data[3 * i], i % 251);
        assert_int_equal(buffer.data[3 * i + 1], i % 7);
        assert_int_equal(buffer.data[3 * i + 2], i % 13);
    }
    buffer_free(&buffer);
    assert_null(buffer.data);
    assert_int_equal(buffer.limit, 1 << 20);
}

static void test_appending_nothing_allocates_nothing(void **state) {
    (void)state;
    struct buffer buffer;
    buffer_init(&buffer, 0);
    buffer_append(&buffer, NULL, 0);
    assert_true(buffer_reserve(&buffer, 0));
    buffer_consume(&buffer, 0);
    buffer_clear(&buffer, 0);
    assert_null(buffer.data);
    assert_false(buffer.failed);
    buffer_free(&buffer);
}

static void test_limit_is_exact(void **state) {
    (void)state;
    struct buffer buffer;
    buffer_init(&buffer, 1000);
    uint8_t bytes[1001] = {0};
    buffer_append(&buffer, bytes, 1000);
    assert_false(buffer.failed);
    assert_int_equal(buffer.len, 1000);
    assert_int_equal(buffer.capacity, 1000);
    buffer_append_byte(&buffer, 1);
    assert_true(buffer.failed);
    assert_int_equal(buffer.len, 1000);
    buffer_free(&buffer);
    buffer_append(&buffer, bytes, 1001);
    assert_true(buffer.failed);
    assert_null(buffer.data);
    buffer_free(&buffer);
    assert_false(buffer.failed);
    assert_false(buffer_reserve(&buffer, SIZE_MAX));
    buffer_free(&buffer);
    buffer_append_byte(&buffer, 1);
    assert_false(buffer_reserve(&buffer, SIZE_MAX));
    assert_int_equal(buffer.len, 1);
    buffer_free(&buffer);
}

static void test_failure_sticks_until_truncated(void **state) {
    (void)state;
    struct buffer buffer;
    buffer_init(&buffer, 4);
    buffer_append(&buffer, "ab", 2);
    buffer_append(&buffer, "cde", 3);
    assert_true(buffer.failed);
    buffer_append(&buffer, "c", 1); /* it would fit */
    buffer_append_byte(&buffer, 'c');
    assert_false(buffer_reserve(&buffer, 1));
    assert_int_equal(buffer.len, 2);
    buffer_truncate(&buffer, 1);
    assert_false(buffer.failed);
    buffer_append(&buffer, "xyz", 3);
    assert_false(buffer.failed);
    assert_memory_equal(buffer.data, "axyz", 4);
    buffer_append_byte(&buffer, '!');
    assert_true(buffer.failed);
    buffer_clear(&buffer, 4);
    assert_false(buffer.failed);
    assert_int_equal(buffer.len, 0);
    buffer_free(&buffer);
}

static void test_reserve_gives_room_to_write_in(void **state) {
    (void)state;
    struct buffer buffer;
    buffer_init(&buffer, 1 << 16);
    buffer_append(&buffer, "head", 4);
    assert_true(buffer_reserve(&buffer, 5000));
    assert_true(buffer.capacity >= 5004);
    memset(buffer.data + buffer.len, 'x', 5000);
    buffer.len += 5000;
    assert_memory_equal(buffer.data, "headxx", 6);
    uint8_t *data = buffer.data;
    buffer_clear(&buffer, buffer.capacity);
    assert_true(buffer_reserve(&buffer, 5004));
    assert_ptr_equal(buffer.data, data); /* no new memory for what is there */
    buffer_free(&buffer);
}

static void test_consume_moves_the_rest_to_the_front(void **state) {
    (void)state;
    struct buffer buffer;
    buffer_init(&buffer, 100);
    buffer_append(&buffer, "0123456789", 10);
    buffer_consume(&buffer, 3);
    assert_int_equal(buffer.len, 7);
    assert_memory_equal(buffer.data, "3456789", 7);
    buffer_consume(&buffer, 7);
    assert_int_equal(buffer.len, 0);
    buffer_append(&buffer, "abc", 3);
    assert_memory_equal(buffer.data, "abc", 3);
    buffer_free(&buffer);
}

static void test_printf_appends_without_a_nul(void **state) {
    (void)state;
    struct buffer buffer;
    buffer_init(&buffer, 300);
    buffer_append_text(&buffer, "a");
    buffer_printf(&buffer, "%s-%d", "b", 7);
    assert_int_equal(buffer.len, 4);
    assert_memory_equal(buffer.data, "ab-7", 4);
    buffer_printf(&buffer, "%280d", 1);
    assert_int_equal(buffer.len, 284);
    buffer_printf(&buffer, "%20d", 1);
    assert_true(buffer.failed);
    assert_int_equal(buffer.len, 284);
    buffer_free(&buffer);
}

static void test_clear_gives_memory_back(void **state) {
    (void)state;
    struct buffer buffer;
    buffer_init(&buffer, 1 << 20);
    assert_true(buffer_reserve(&buffer, 100000));
    buffer_clear(&buffer, 4096);
    assert_int_equal(buffer.capacity, 4096);
    memset(buffer.data, 1, 4096);
    buffer_clear(&buffer, 8192);
    assert_int_equal(buffer.capacity, 4096);
    buffer_clear(&buffer, 0);
    assert_int_equal(buffer.capacity, 0);
    assert_null(buffer.data);
    buffer_free(&buffer);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_grows_and_keeps),
        cmocka_unit_test(test_appending_nothing_allocates_nothing),
        cmocka_unit_test(test_limit_is_exact),
        cmocka_unit_test(test_failure_sticks_until_truncated),
        cmocka_unit_test(test_reserve_gives_room_to_write_in),
        cmocka_unit_test(test_consume_moves_the_rest_to_the_front),
        cmocka_unit_test(test_printf_appends_without_a_nul),
        cmocka_unit_test(test_clear_gives_memory_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
