/* The memory of one event. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "arena.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define WITH_ASAN 1
#endif
#elif defined(__SANITIZE_ADDRESS__)
#define WITH_ASAN 1
#endif

#ifdef WITH_ASAN
#include <sanitizer/asan_interface.h>
#endif

#define PLENTY ((size_t)64 << 20)

static void test_allocates_nothing_before_it_is_asked(void **state) {
    (void)state;
    struct arena arena;
    arena_init(&arena, PLENTY);
    assert_null(arena.chunks);
    arena_reset(&arena);
    assert_null(arena.chunks);
    arena_free(&arena);
    assert_null(arena.chunks);
}

static void test_pieces_are_aligned_and_apart(void **state) {
    (void)state;
    struct arena arena;
    uint8_t *pieces[300];
    arena_init(&arena, PLENTY);
    for (size_t size = 0; size < 300; size++) {
        pieces[size] = arena_alloc(&arena, size);
        assert_non_null(pieces[size]);
        assert_int_equal((uintptr_t)pieces[size] % _Alignof(max_align_t), 0);
        memset(pieces[size], (int)(size & 0xff), size);
        assert_non_null(arena_copy(&arena, "odd", 3).data); /* leaves it unaligned */
    }
    for (size_t size = 0; size < 300; size++) {
        for (size_t i = 0; i < size; i++) {
            assert_int_equal(pieces[size][i], size & 0xff);
        }
    }
    arena_free(&arena);
}

/* Sizes around those of the chunks, so that each way to get a piece is taken. */
static void test_pieces_of_all_sizes_keep_what_is_in_them(void **state) {
    (void)state;
    struct arena arena;
    enum { COUNT = 200 };
    uint8_t *pieces[COUNT];
    size_t sizes[COUNT];
    arena_init(&arena, PLENTY);
    for (size_t i = 0; i < COUNT; i++) {
        sizes[i] = i * i * i % 100003;
        pieces[i] = arena_alloc(&arena, sizes[i]);
        assert_non_null(pieces[i]);
        memset(pieces[i], (int)i, sizes[i]);
    }
    for (size_t i = 0; i < COUNT; i++) {
        for (size_t at = 0; at < sizes[i]; at++) {
            assert_int_equal(pieces[i][at], i);
        }
    }
    arena_free(&arena);
}

/* Pieces that end at, before and behind the end of a chunk, with and without padding. */
static void test_ends_of_chunks(void **state) {
    (void)state;
    static char text[8192];
    struct arena arena;
    arena_init(&arena, PLENTY);
    memset(text, 't', sizeof text);
    for (size_t len = 3900; len < 4200; len++) {
        for (size_t size = 0; size < 40; size += 8) {
            struct kong_str before = arena_copy(&arena, text, len);
            uint8_t *piece = arena_alloc(&arena, size);
            struct kong_str after = arena_copy(&arena, text, 16);
            assert_non_null(before.data);
            assert_non_null(piece);
            assert_true(arena.next <= arena.end);
            memset(piece, 0xff, size);
            assert_non_null(after.data);
            assert_memory_equal(before.data, text, len);
            assert_int_equal(before.data[len], '\0');
            assert_memory_equal(after.data, text, 16);
            assert_true(arena.next <= arena.end);
            arena_reset(&arena);
        }
        arena_free(&arena); /* the next round's first chunk can be elsewhere */
    }
}

static void test_large_piece_does_not_cost_the_rest_of_a_chunk(void **state) {
    (void)state;
    struct arena arena;
    arena_init(&arena, PLENTY);
    char *before = arena_alloc(&arena, 16);
    assert_non_null(arena_alloc(&arena, 100000));
    char *after = arena_alloc(&arena, 16);
    assert_non_null(before);
    assert_non_null(after);
    assert_in_range(after - before, 16, 64);
    arena_free(&arena);
}

static void test_limit_is_exact(void **state) {
    (void)state;
    struct arena arena;
    arena_init(&arena, 1000);
    assert_null(arena_alloc(&arena, 1001));
    assert_non_null(arena_alloc(&arena, 1000));
    assert_int_equal(arena.used, 1000);
    assert_null(arena_alloc(&arena, 1));
    assert_null(arena_copy(&arena, "", 0).data);
    arena_reset(&arena);
    assert_int_equal(arena.used, 0);
    arena_free(&arena);

    const size_t align = _Alignof(max_align_t);
    arena_init(&arena, 61 * align + 4);
    assert_non_null(arena_alloc(&arena, 60 * align + 4));
    assert_null(arena_alloc(&arena, 5)); /* padding comes before it */
    assert_non_null(arena_alloc(&arena, 4));
    arena_free(&arena);

    arena_init(&arena, 4);
    struct kong_str copy = arena_copy(&arena, "1234", 4);
    struct kong_str printed = arena_printf(&arena, "%d", 1234);
    assert_null(copy.data);
    assert_int_equal(copy.len, 0);
    assert_null(printed.data);
    assert_int_equal(printed.len, 0);
    assert_non_null(arena_copy(&arena, "123", 3).data);
    arena_free(&arena);

    arena_init(&arena, 0);
    assert_null(arena_alloc(&arena, 1));
    assert_null(arena.chunks);
    arena_free(&arena);
}

static void test_sizes_that_overflow_fail(void **state) {
    (void)state;
    struct arena arena;
    arena_init(&arena, SIZE_MAX);
    assert_null(arena_alloc(&arena, SIZE_MAX));
    assert_null(arena_alloc(&arena, SIZE_MAX - 8));
    assert_null(arena_array(&arena, SIZE_MAX / 2, 3));
    assert_null(arena_array(&arena, SIZE_MAX / 8, 8));
    assert_null(arena_copy(&arena, "x", SIZE_MAX).data);
    assert_non_null(arena_alloc(&arena, 1)); /* and it can go on */
    assert_null(arena_alloc(&arena, SIZE_MAX));
    assert_non_null(arena_array(&arena, 0, SIZE_MAX));
    assert_non_null(arena_array(&arena, 3, 5));
    arena_free(&arena);
}

static void test_copy_closes_with_a_nul(void **state) {
    (void)state;
    struct arena arena;
    arena_init(&arena, PLENTY);
    struct kong_str copy = arena_copy(&arena, "a\0b-", 3);
    assert_int_equal(copy.len, 3);
    assert_memory_equal(copy.data, "a\0b", 4);
    copy = arena_copy(&arena, "", 0);
    assert_int_equal(copy.len, 0);
    assert_string_equal(copy.data, "");
    copy = arena_copy(&arena, NULL, 0);
    assert_null(copy.data);
    assert_int_equal(copy.len, 0);
    arena_free(&arena);
}

static void test_printf(void **state) {
    (void)state;
    struct arena arena;
    arena_init(&arena, PLENTY);
    struct kong_str text = arena_printf(&arena, "%s=%d", "limit", 5);
    assert_int_equal(text.len, 7);
    assert_string_equal(text.data, "limit=5");
    text = arena_printf(&arena, "%5000d", 1); /* larger than a chunk */
    assert_int_equal(text.len, 5000);
    assert_string_equal(text.data + 4998, " 1");
    text = arena_printf(&arena, "%s", "");
    assert_int_equal(text.len, 0);
    assert_non_null(text.data);
    arena_free(&arena);
}

static void test_reset_keeps_the_first_chunk_only(void **state) {
    (void)state;
    struct arena arena;
    arena_init(&arena, PLENTY);
    for (int round = 0; round < 3; round++) {
        void *first = arena_alloc(&arena, 100);
        struct arena_chunk *kept = arena.chunks;
        for (size_t i = 0; i < 100; i++) {
            assert_non_null(arena_alloc(&arena, i * 100));
        }
        assert_ptr_not_equal(arena.chunks, kept);
        arena_reset(&arena);
        assert_ptr_equal(arena.chunks, kept);
        assert_ptr_equal(arena_alloc(&arena, 100), first);
        arena_reset(&arena);
    }
    arena_free(&arena);
    arena_init(&arena, PLENTY); /* a large piece first: it is not what stays */
    assert_non_null(arena_alloc(&arena, 1 << 20));
    struct arena_chunk *large = arena.chunks;
    arena_reset(&arena);
    assert_ptr_not_equal(arena.chunks, large);
    arena_free(&arena);
}

static void test_usable_again_after_free(void **state) {
    (void)state;
    struct arena arena;
    arena_init(&arena, 64);
    assert_non_null(arena_alloc(&arena, 64));
    arena_free(&arena);
    assert_int_equal(arena.limit, 64);
    assert_non_null(arena_alloc(&arena, 64));
    assert_null(arena_alloc(&arena, 1));
    arena_free(&arena);
}

/* With AddressSanitizer the byte behind a piece, and a piece after a reset, must not be touched. */
static void test_free_space_is_poisoned(void **state) {
    (void)state;
#ifdef WITH_ASAN
    struct arena arena;
    arena_init(&arena, PLENTY);
    for (size_t size = 0; size < 100; size++) {
        char *piece = arena_alloc(&arena, size);
        const char *text = arena_copy(&arena, "text", 4).data;
        assert_null(__asan_region_is_poisoned(piece, size));
        assert_null(__asan_region_is_poisoned((void *)(uintptr_t)text, 5));
        assert_true(__asan_address_is_poisoned(piece + size));
        assert_true(__asan_address_is_poisoned(text + 5));
    }
    arena_reset(&arena);
    char *piece = arena_alloc(&arena, 8); /* in the chunk that stays */
    arena_reset(&arena);
    assert_true(__asan_address_is_poisoned(piece));
    arena_free(&arena);
#else
    skip();
#endif
}

/* Takes little from the system, also when it is used again, and grows as any other. */
static void test_a_small_one(void **state) {
    (void)state;
    struct arena arena;
    arena_init_small(&arena, PLENTY);
    for (int turn = 0; turn < 3; turn++) {
        assert_non_null(arena_alloc(&arena, 24));
        assert_non_null(arena.end);
        assert_true((size_t)(arena.end - (char *)arena.chunks) <= ARENA_SMALL);
        for (size_t i = 0; i < 3000; i++) {
            char *piece = arena_alloc(&arena, 40);
            assert_non_null(piece);
            memset(piece, 1, 40);
        }
        if (turn == 0) {
            arena_free(&arena);
        } else {
            arena_reset(&arena);
        }
    }
    arena_free(&arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_allocates_nothing_before_it_is_asked),
        cmocka_unit_test(test_pieces_are_aligned_and_apart),
        cmocka_unit_test(test_pieces_of_all_sizes_keep_what_is_in_them),
        cmocka_unit_test(test_ends_of_chunks),
        cmocka_unit_test(test_large_piece_does_not_cost_the_rest_of_a_chunk),
        cmocka_unit_test(test_limit_is_exact),
        cmocka_unit_test(test_sizes_that_overflow_fail),
        cmocka_unit_test(test_copy_closes_with_a_nul),
        cmocka_unit_test(test_printf),
        cmocka_unit_test(test_reset_keeps_the_first_chunk_only),
        cmocka_unit_test(test_usable_again_after_free),
        cmocka_unit_test(test_free_space_is_poisoned),
        cmocka_unit_test(test_a_small_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
