/* For tests that a checker cannot run, or runs too slowly. */
#ifndef TESTS_CHECKERS_H
#define TESTS_CHECKERS_H

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static inline bool under_valgrind(void) {
    const char *preload = getenv("LD_PRELOAD");
    return preload != NULL && strstr(preload, "vgpreload") != NULL;
}

#endif
