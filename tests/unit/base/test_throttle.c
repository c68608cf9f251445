/* Lines that a peer decides the number of: ten in a second, and how many were left out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "throttle.h"

static void ten_in_a_second(void **state) {
    struct throttle throttle = {0};
    uint64_t silenced = 77;
    (void)state;
    for (uint64_t second = 5; second < 8; second++) {
        for (unsigned i = 0; i < THROTTLE_LINES; i++) {
            assert_true(throttle_due(&throttle, second * 1000 + i, &silenced));
            assert_int_equal(silenced, i == 0 && second > 5 ? 90 : 0);
        }
        for (unsigned i = 0; i < 90; i++) {
            assert_false(throttle_due(&throttle, second * 1000 + 999, &silenced));
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(ten_in_a_second)};
    return cmocka_run_group_tests_name("test_throttle", tests, NULL, NULL);
}
