#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "printable.h"

static void check(const char *text, const char *expected) {
    char out[256];
    size_t n = printable_copy(out, sizeof out, text, strlen(text));

    assert_string_equal(out, expected);
    assert_int_equal(n, strlen(expected));
}

static void test_plain(void **state) {
    (void)state;
    check("", "");
    check("plain \\ text~", "plain \\ text~");
    check("gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x90\x88",
          "gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x90\x88");
    check("\xc2\xa0 \xdf\xbf \xe0\xa0\x80 \xed\x9f\xbf \xee\x80\x80 \xf0\x90\x80\x80 "
          "\xf4\x8f\xbf\xbf",
          "\xc2\xa0 \xdf\xbf \xe0\xa0\x80 \xed\x9f\xbf \xee\x80\x80 \xf0\x90\x80\x80 "
          "\xf4\x8f\xbf\xbf");
}

static void test_control(void **state) {
    (void)state;
    check("a\nb\tc\r", "a\\x0Ab\\x09c\\x0D");
    check("\x1b[31m\x7f", "\\x1B[31m\\x7F");
    check("\xc2\x80\xc2\x9b\xc2\x9f", "\\xC2\\x80\\xC2\\x9B\\xC2\\x9F"); /* ESC [ in one */
}

static void test_nul(void **state) {
    char out[16];

    (void)state;
    assert_int_equal(printable_copy(out, sizeof out, "a\0b", 3), 6);
    assert_string_equal(out, "a\\x00b");
}

static void test_text_ends_where_len_says(void **state) {
    char out[16];

    (void)state;
    printable_copy(out, sizeof out, "\xe2\x82\xac", 2);
    assert_string_equal(out, "\\xE2\\x82");
}

static void test_not_utf8(void **state) {
    (void)state;
    check("\x80", "\\x80");
    check("\xff\xfe", "\\xFF\\xFE");
    check("\xc0\xaf \xc1\xbf", "\\xC0\\xAF \\xC1\\xBF"); /* too long forms */
    check("\xe0\x9f\xbf", "\\xE0\\x9F\\xBF");
    check("\xf0\x8f\xbf\xbf", "\\xF0\\x8F\\xBF\\xBF");
    check("\xed\xa0\x80\xed\xbf\xbf", "\\xED\\xA0\\x80\\xED\\xBF\\xBF"); /* surrogates */
    check("\xf4\x90\x80\x80\xf5", "\\xF4\\x90\\x80\\x80\\xF5");          /* behind the last */
    check("\xc3(", "\\xC3(");
    check("\xe2\x82", "\\xE2\\x82");
    check("\xf0\x9f\x90", "\\xF0\\x9F\\x90");
    check("\xe2\x82\xc3\xbc", "\\xE2\\x82\xc3\xbc");
}

/* Every size: never a broken character or escape, the cut marked, all that fits is there. The
 * buffer is of exactly that size, for the checkers. */
static void test_cut(void **state) {
    const char text[] = "ab\xe2\x82\xac\x01"
                        "cd\xc3\xbc"
                        "efgh";
    const char whole[] = "ab\xe2\x82\xac\\x01"
                         "cd\xc3\xbc"
                         "efgh";
    const char *ends[] = {"",
                          "a",
                          "ab",
                          "ab\xe2\x82\xac",
                          "ab\xe2\x82\xac\\x01",
                          "ab\xe2\x82\xac\\x01"
                          "c",
                          "ab\xe2\x82\xac\\x01"
                          "cd",
                          "ab\xe2\x82\xac\\x01"
                          "cd\xc3\xbc",
                          "ab\xe2\x82\xac\\x01"
                          "cd\xc3\xbc"
                          "e",
                          "ab\xe2\x82\xac\\x01"
                          "cd\xc3\xbc"
                          "ef"};

    (void)state;
    for (size_t size = 4; size <= sizeof whole; size++) {
        char *out = malloc(size);
        char expected[sizeof whole];
        size_t best = 0;
        size_t n;

        assert_non_null(out);
        n = printable_copy(out, size, text, sizeof text - 1);
        for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
            if (strlen(ends[i]) + 3 < size)
                best = i;
        memcpy(expected, ends[best], strlen(ends[best]));
        memcpy(expected + strlen(ends[best]), "...", 4);
        assert_string_equal(out, size == sizeof whole ? whole : expected);
        assert_int_equal(n, strlen(out));
        free(out);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain),    cmocka_unit_test(test_control),
        cmocka_unit_test(test_nul),      cmocka_unit_test(test_text_ends_where_len_says),
        cmocka_unit_test(test_not_utf8), cmocka_unit_test(test_cut),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
