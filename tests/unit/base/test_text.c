/* A text that is put together in an array. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "text.h"

static void pieces(void **state) {
    char array[32];
    struct text text = TEXT_IN(array);
    (void)state;
    assert_string_equal(array, "");
    text_add(&text, "%d of ", 2);
    text_add(&text, "%s", "these");
    assert_string_equal(array, "2 of these");
    assert_int_equal(text.len, strlen(array));
}

static void a_list(void **state) {
    char array[32];
    struct text text = TEXT_IN(array);
    (void)state;
    text_add_item(&text, ", ", "a");
    text_add_item(&text, ", ", "b");
    text_add_item(&text, ", ", "c");
    assert_string_equal(array, "a, b, c");
}

/* Nothing behind the array is touched, and what comes later is left out. */
static void what_does_not_fit_is_cut(void **state) {
    char array[12] = "abcdefghijk";
    struct text text = text_in(array, 8);
    (void)state;
    text_add(&text, "%s", "1234567");
    assert_string_equal(array, "1234567");
    text_add(&text, "%s", "8");
    assert_string_equal(array, "1234567");
    assert_int_equal(text.len, 7);
    text = text_in(array, 8);
    text_add(&text, "%s", "12345678");
    text_add_item(&text, ",", "9");
    assert_string_equal(array, "1234567");
    assert_int_equal(text.len, 7);
    assert_memory_equal(array + 8, "ijk", 4);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pieces),
        cmocka_unit_test(a_list),
        cmocka_unit_test(what_does_not_fit_is_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
