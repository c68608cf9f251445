/* What the tests of ProtoBuf:1 share. */
#ifndef TESTS_UNIT_PROTOBUF_FIXTURE_H
#define TESTS_UNIT_PROTOBUF_FIXTURE_H

#include "limit.h"
#include "protobuf_rpc.h"
#include "protobuf_samples.h"

#define LENGTH(array)  (sizeof(array) / sizeof(array)[0])
#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

/* What each test works with. */
struct fixture {
    struct arena arena;
    struct buffer out;
};

static inline int setup(void **state) {
    static struct fixture fixture;

    arena_init(&fixture.arena, LIMIT_EVENT_MEMORY);
    buffer_init(&fixture.out, LIMIT_OUT);
    *state = &fixture;
    return 0;
}

static inline int teardown(void **state) {
    struct fixture *fixture = *state;

    arena_free(&fixture->arena);
    buffer_free(&fixture->out);
    return 0;
}

static inline const uint8_t *bytes_of(struct kong_str frame) {
    return (const uint8_t *)frame.data;
}

#endif
