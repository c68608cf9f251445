/* What a printed status has in it. Include behind <cmocka.h>. */
#ifndef TESTS_UNIT_STATUS_SAYS_H
#define TESTS_UNIT_STATUS_SAYS_H

#include <string.h>

static inline void assert_says(const char *text, const char *const *wanted, size_t count) {
    for (size_t i = 0; i < count; i++) {
        if (strstr(text, wanted[i]) == NULL) {
            fail_msg("no \"%s\" in:\n%s", wanted[i], text);
        }
    }
}

#endif
