/* What the tests of MsgPack:1 share. */
#ifndef TESTS_UNIT_MSGPACK_FIXTURE_H
#define TESTS_UNIT_MSGPACK_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>

#include "limit.h"
#include "msgpack_rpc.h"
#include "msgpack_value.h"
#include "value.h"
#include "value_equal.h"

struct fixture {
    struct arena arena;
    struct arena other;
    struct buffer out;
};

static inline int setup(void **state) {
    struct fixture *f = malloc(sizeof *f);
    assert_non_null(f);
    arena_init(&f->arena, LIMIT_EVENT_MEMORY);
    arena_init(&f->other, LIMIT_EVENT_MEMORY);
    buffer_init(&f->out, LIMIT_OUT);
    *state = f;
    return 0;
}

static inline int teardown(void **state) {
    struct fixture *f = *state;
    arena_free(&f->arena);
    arena_free(&f->other);
    buffer_free(&f->out);
    free(f);
    return 0;
}

static inline void assert_str(struct kong_str string, const char *text) {
    assert_non_null(string.data);
    assert_int_equal(string.len, strlen(text));
    assert_string_equal(string.data, text); /* the NUL is there, too */
}

static inline void assert_same_str(struct kong_str a, struct kong_str b) {
    assert_true(kong_str_equal(a, b));
    assert_int_equal(a.data == NULL, b.data == NULL);
}

static inline void assert_same_call(const struct rpc_call *a, const struct rpc_call *b) {
    assert_int_equal(a->command, b->command);
    assert_int_equal(a->sequence, b->sequence);
    assert_int_equal(a->notification, b->notification);
    assert_same_str(a->method, b->method);
    assert_same_str(a->name, b->name);
    assert_same_str(a->config, b->config);
    assert_int_equal(a->instance_id, b->instance_id);
    assert_same_str(a->event, b->event);
    assert_int_equal(a->event_id, b->event_id);
    assert_true(value_equal(&a->data, &b->data));
    assert_same_str(a->error, b->error);
    assert_int_equal(a->data_error, b->data_error);
}

static inline void assert_same_reply(const struct rpc_reply *a, const struct rpc_reply *b) {
    assert_int_equal(a->kind, b->kind);
    assert_int_equal(a->sequence, b->sequence);
    assert_same_str(a->instance.name, b->instance.name);
    assert_int_equal(a->instance.id, b->instance.id);
    assert_true(value_equal(&a->instance.config, &b->instance.config));
    assert_true(a->instance.started_at == b->instance.started_at);
    assert_int_equal(a->event_id, b->event_id);
    assert_same_str(a->method, b->method);
    assert_int_equal(a->arg_count, b->arg_count);
    for (size_t i = 0; i < a->arg_count; i++) {
        assert_true(value_equal(&a->args[i], &b->args[i]));
    }
    assert_same_str(a->error, b->error);
}

/* Messages are made of values. */
#define LIST(...)                                                                                  \
    kong_list((struct kong_value[]){__VA_ARGS__},                                                  \
              sizeof((struct kong_value[]){__VA_ARGS__}) / sizeof(struct kong_value))
#define MAP(...)                                                                                   \
    kong_map((struct kong_pair[]){__VA_ARGS__},                                                    \
             sizeof((struct kong_pair[]){__VA_ARGS__}) / sizeof(struct kong_pair))
#define NUM(number)  kong_integer(number)
#define STR(text)    kong_string(text)
#define NO_ARGUMENTS kong_list(NULL, 0)

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

/* A message made of a value, in f->out. */
static inline void pack(struct fixture *f, struct kong_value message) {
    buffer_clear(&f->out, 4096);
    assert_int_equal(msgpack_encode_value(&f->out, &message), CODEC_OK);
}

#endif
