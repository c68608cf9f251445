/* What exceptions.cc offers to test_exceptions.c. */
#ifndef TESTS_CXX_EXCEPTIONS_H
#define TESTS_CXX_EXCEPTIONS_H

#include "kong.h"

#ifdef __cplusplus
extern "C" {
#endif

#include "fiber.h"

/* One flow: throws `text`, waits while it handles that, and then throws it on. */
struct thrower {
    struct fiber_pool *pool;
    const char *text;
    char caught[32]; /* what was thrown on */
    int uncaught;    /* exceptions that were thrown and not caught where it waited */
};

void throw_on_after_wait(void *arg);
/* Waits in a destructor, while the exception is on its way. */
void wait_while_unwinding(void *arg);

/* Each throws somewhere: an access handler, a handler's other thread, configure, open. */
extern const struct kong_plugin throws_in_handler, throws_in_thread, throws_in_configure,
    throws_in_open, throws_a_number;

/* Matches a text of 500 characters with std::regex, which recurses for each. */
extern const struct kong_plugin matches;

/* Objects on the stacks of the handlers of these plugins that exist. */
int live_objects(void);

#ifdef __cplusplus
}
#endif

#endif
