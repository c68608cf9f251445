/* Memory that buffers and arenas share: what is charged, what is refused, and that all of it comes
 * back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include "arena.h"
#include "buffer.h"

#define LIMIT ((size_t)1 << 20)

struct fixture {
    _Atomic size_t used;
    uint64_t refused;
    struct budget budget;
};

static struct fixture fixture_of(void) {
    return (struct fixture){.used = 0};
}

#define BEGIN(f)                                                                                   \
    struct fixture f = fixture_of();                                                               \
    (f).budget = (struct budget) {                                                                 \
        &(f).used, LIMIT, &(f).refused                                                             \
    }

static void pieces(void **state) {
    BEGIN(f);
    (void)state;
    assert_true(budget_take(&f.budget, LIMIT / 2));
    assert_false(budget_take(&f.budget, LIMIT / 2)); /* a large one leaves the last sixteenth */
    assert_int_equal(f.refused, 1);
    assert_true(budget_take(&f.budget, LIMIT / 2 - LIMIT / 16));
    assert_true(budget_take(&f.budget, LIMIT / 16)); /* a small one does not */
    assert_int_equal(f.used, LIMIT);
    assert_false(budget_take(&f.budget, 1));
    assert_false(budget_take(&f.budget, SIZE_MAX));
    assert_int_equal(f.used, LIMIT);
    assert_int_equal(f.refused, 3);
    budget_give(&f.budget, LIMIT);
    assert_int_equal(f.used, 0);
    assert_true(budget_take(NULL, SIZE_MAX));
}

static void buffers(void **state) {
    BEGIN(f);
    struct buffer buffer;
    struct buffer other;
    static uint8_t bytes[LIMIT];
    (void)state;
    buffer_init(&buffer, 4 * LIMIT);
    buffer_set_budget(&buffer, &f.budget);
    buffer_append(&buffer, bytes, BUFFER_FREE);
    assert_int_equal(f.used, 0); /* a little is free */
    buffer_append(&buffer, bytes, LIMIT / 4);
    assert_int_equal(f.used, buffer.capacity);
    buffer_append(&buffer, bytes, LIMIT); /* over the budget, not over its own limit */
    assert_true(buffer.failed);
    assert_int_equal(buffer.len, BUFFER_FREE + LIMIT / 4);
    assert_int_equal(f.used, buffer.capacity);
    assert_int_equal(f.refused, 1);
    buffer_truncate(&buffer, buffer.len);
    buffer_move(&other, &buffer);
    assert_int_equal(buffer.len, 0);
    assert_null(buffer.data);
    assert_int_equal(f.used, other.capacity);
    buffer_append(&buffer, bytes, 2 * BUFFER_FREE);
    assert_int_equal(f.used, other.capacity + buffer.capacity);
    buffer_clear(&buffer, 2 * BUFFER_FREE);
    assert_int_equal(f.used, other.capacity + buffer.capacity);
    buffer_clear(&buffer, 100);
    assert_int_equal(f.used, other.capacity);
    buffer_free(&other);
    assert_int_equal(f.used, 0);
    buffer_append(&other, bytes, 2 * BUFFER_FREE); /* it still belongs to the budget */
    assert_true(f.used > 0);
    buffer_free(&other);
    buffer_free(&buffer);
    assert_int_equal(f.used, 0);
}

static void arenas(void **state) {
    BEGIN(f);
    struct arena arena;
    size_t pieces = 0;
    (void)state;
    arena_init(&arena, 4 * LIMIT);
    arena_set_budget(&arena, &f.budget);
    assert_non_null(arena_alloc(&arena, 100));
    assert_int_equal(f.used, 0); /* a usual event */
    while (arena_alloc(&arena, 10000) != NULL) {
        pieces++;
    }
    assert_in_range(f.used, LIMIT - LIMIT / 8, LIMIT);
    assert_true(pieces > 80);
    assert_true(f.refused > 0);
    arena_reset(&arena);
    assert_int_equal(f.used, 0);
    assert_non_null(arena_alloc(&arena, LIMIT / 2));
    assert_true(f.used >= LIMIT / 2);
    arena_free(&arena);
    assert_int_equal(f.used, 0);
    assert_non_null(arena_alloc(&arena, 100));
    assert_non_null(arena_alloc(&arena, LIMIT / 2));
    assert_true(f.used >= LIMIT / 2);
    arena_free(&arena);
    assert_int_equal(f.used, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pieces),
        cmocka_unit_test(buffers),
        cmocka_unit_test(arenas),
    };
    return cmocka_run_group_tests_name("test_budget", tests, NULL, NULL);
}
