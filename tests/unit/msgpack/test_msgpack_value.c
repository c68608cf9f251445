/* MessagePack values: all families, and our decoder and encoder held against msgpack-c's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <inttypes.h>
#include <math.h>
#include <msgpack.h>
#include <stdio.h>
#include <stdlib.h>

#include "frame.h"
#include "limit.h"
#include "msgpack_rpc.h"
#include "msgpack_value.h"
#include "value.h"
#include "value_equal.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define BYTES(text)  (const uint8_t *)(text), sizeof(text) - 1

static void test_families(void **state) {
    (void)state;
    static const struct {
        const char *bytes;
        size_t len;
        struct kong_value value;
    } cases[] = {
#define CASE(text, ...) {text, sizeof(text) - 1, __VA_ARGS__}
        CASE("\xc0", {.type = KONG_NIL}),
        CASE("\xc2", {.type = KONG_BOOLEAN, .boolean = false}),
        CASE("\xc3", {.type = KONG_BOOLEAN, .boolean = true}),
        CASE("\x7f", {.type = KONG_INTEGER, .integer = 127}),
        CASE("\xe0", {.type = KONG_INTEGER, .integer = -32}),
        CASE("\xcc\xff", {.type = KONG_INTEGER, .integer = 255}),
        CASE("\xcd\xff\xfe", {.type = KONG_INTEGER, .integer = 65534}),
        CASE("\xce\xff\xff\xff\xfe", {.type = KONG_INTEGER, .integer = 4294967294}),
        CASE("\xcf\x7f\xff\xff\xff\xff\xff\xff\xff", {.type = KONG_INTEGER, .integer = INT64_MAX}),
        CASE("\xcf\x80\0\0\0\0\0\0\0", {.type = KONG_NUMBER, .number = 0x1p63}),
        CASE("\xcf\xff\xff\xff\xff\xff\xff\xff\xff", {.type = KONG_NUMBER, .number = 0x1p64}),
        CASE("\xd0\x80", {.type = KONG_INTEGER, .integer = -128}),
        CASE("\xd1\x80\0", {.type = KONG_INTEGER, .integer = -32768}),
        CASE("\xd2\x80\0\0\0", {.type = KONG_INTEGER, .integer = INT32_MIN}),
        CASE("\xd3\x80\0\0\0\0\0\0\0", {.type = KONG_INTEGER, .integer = INT64_MIN}),
        CASE("\xd3\0\0\0\0\0\0\0\x01", {.type = KONG_INTEGER, .integer = 1}),
        CASE("\xca\x3f\xc0\0\0", {.type = KONG_NUMBER, .number = 1.5}),
        CASE("\xcb\x3f\xf1\x99\x99\x99\x99\x99\x9a", {.type = KONG_NUMBER, .number = 1.1}),
        CASE("\xa0", {.type = KONG_STRING, .string = {"", 0}}),
        CASE("\xa3"
             "a\0b",
             {.type = KONG_STRING, .string = {"a\0b", 3}}),
        CASE("\xd9\x01x", {.type = KONG_STRING, .string = {"x", 1}}),
        CASE("\xda\0\x01x", {.type = KONG_STRING, .string = {"x", 1}}),
        CASE("\xdb\0\0\0\x01x", {.type = KONG_STRING, .string = {"x", 1}}),
        CASE("\xc4\x01\xff", {.type = KONG_STRING, .string = {"\xff", 1}}),
        CASE("\xc5\0\x01\xff", {.type = KONG_STRING, .string = {"\xff", 1}}),
        CASE("\xc6\0\0\0\x01\xff", {.type = KONG_STRING, .string = {"\xff", 1}}),
        CASE("\x90", {.type = KONG_LIST}),
        CASE("\xdc\0\0", {.type = KONG_LIST}),
        CASE("\xdd\0\0\0\0", {.type = KONG_LIST}),
        CASE("\x80", {.type = KONG_MAP}),
        CASE("\xde\0\0", {.type = KONG_MAP}),
        CASE("\xdf\0\0\0\0", {.type = KONG_MAP}),
    };
    struct arena arena;
    arena_init(&arena, 4096);
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct kong_value value;
        const uint8_t *bytes = (const uint8_t *)cases[i].bytes;
        assert_int_equal(msgpack_decode_value(&arena, bytes, cases[i].len, &value), CODEC_OK);
        assert_int_equal(value.type, cases[i].value.type);
        assert_true(value_equal(&value, &cases[i].value));
        if (value.type == KONG_STRING) {
            assert_int_equal(value.string.data[value.string.len], '\0');
        }
        for (size_t cut = 0; cut < cases[i].len; cut++) {
            assert_int_equal(msgpack_decode_value(&arena, bytes, cut, &value), CODEC_E_MALFORMED);
        }
    }
    arena_free(&arena);
}

/* Keys are text, whatever they were; their order stays, and those that repeat. */
static void test_keys(void **state) {
    (void)state;
    static const char *keys[] = {
        "5", "-1", "18446744073709551615", "0.5", "true", "false", "nil", "", "5", "1e+15", "b"};
    struct arena arena;
    struct kong_value value;
    arena_init(&arena, 4096);
    assert_int_equal(msgpack_decode_value(&arena,
                                          BYTES("\x8b\x05\x00\xff\x01"
                                                "\xcf\xff\xff\xff\xff\xff\xff\xff\xff\x02"
                                                "\xca\x3f\0\0\0\x03\xc3\x04\xc2\x05\xc0\x06\xa0\x07"
                                                "\xa1"
                                                "5\x08\xcb\x43\x0c\x6b\xf5\x26\x34\0\0\x09"
                                                "\xc4\x01"
                                                "b\x0a"),
                                          &value),
                     CODEC_OK);
    assert_int_equal(value.type, KONG_MAP);
    assert_int_equal(value.map.count, COUNT(keys));
    for (size_t i = 0; i < COUNT(keys); i++) {
        assert_string_equal(value.map.pairs[i].key.data, keys[i]);
        assert_int_equal(value.map.pairs[i].key.len, strlen(keys[i]));
        assert_int_equal(value.map.pairs[i].value.integer, i);
    }
    arena_free(&arena);
}

static void test_what_is_no_value(void **state) {
    (void)state;
    struct arena arena;
    struct kong_value value;
    arena_init(&arena, 4096);
    const struct {
        const uint8_t *bytes;
        size_t len;
        int error;
    } cases[] = {
        {BYTES(""), CODEC_E_MALFORMED},
        {BYTES("\xc1"), CODEC_E_MALFORMED},
        {BYTES("\x01\x01"), CODEC_E_MALFORMED}, /* one value too many */
        {BYTES("\x92\x01"), CODEC_E_MALFORMED}, /* one too few */
        {BYTES("\x81\x01"), CODEC_E_MALFORMED}, /* a pair without a value */
        {BYTES("\xdd\xff\xff\xff\xff\x01"),
         CODEC_E_MALFORMED}, /* as if frame_next had not looked */
        {BYTES("\xdf\xff\xff\xff\xff\x01"), CODEC_E_MALFORMED},
        {BYTES("\xdb\xff\xff\xff\xff\x01"), CODEC_E_MALFORMED},
        {BYTES("\xd4\x01\x01"), CODEC_E_SHAPE}, /* an ext */
        {BYTES("\x91\xc7\x01\x01\x01"), CODEC_E_SHAPE},
        {BYTES("\x81\xd4\x01\x01\x01"), CODEC_E_SHAPE},
        {BYTES("\x81\x90\x01"), CODEC_E_SHAPE}, /* a list as a key */
        {BYTES("\x81\x80\x01"), CODEC_E_SHAPE},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        assert_int_equal(msgpack_decode_value(&arena, cases[i].bytes, cases[i].len, &value),
                         cases[i].error);
    }
    assert_int_equal(msgpack_decode_value(&arena, NULL, 0, &value), CODEC_E_MALFORMED);
    arena_free(&arena);
}

static void test_decoding_at_every_memory_limit(void **state) {
    (void)state;
    struct arena arena;
    struct kong_value value;
    size_t limit = 0;
    int error = CODEC_E_NOMEM;
    for (; error != CODEC_OK; limit++) {
        assert_in_range(limit, 0, 1000);
        arena_init(&arena, limit);
        error =
            msgpack_decode_value(&arena, BYTES("\x83\xa1k\x92\xa1v\x01\x05\xc3\xa1x\x80"), &value);
        assert_true(error == CODEC_OK || error == CODEC_E_NOMEM);
        arena_free(&arena);
    }
    assert_true(limit > 3 * sizeof(struct kong_pair));
}

static void assert_encodes(struct kong_value value, const uint8_t *bytes, size_t len) {
    struct buffer out;
    buffer_init(&out, 1000);
    assert_int_equal(msgpack_encode_value(&out, &value), CODEC_OK);
    assert_int_equal(out.len, len);
    assert_memory_equal(out.data, bytes, len);
    buffer_free(&out);
}

static void test_encoding(void **state) {
    (void)state;
    struct kong_value items[] = {kong_nil(), kong_boolean(true), kong_nil()};
    struct kong_pair pairs[] = {kong_pair("a", kong_nil()), kong_pair("a", kong_integer(-1))};
    assert_encodes(kong_nil(), BYTES("\xc0"));
    assert_encodes(kong_boolean(false), BYTES("\xc2"));
    assert_encodes(kong_integer(-129), BYTES("\xd1\xff\x7f"));
    assert_encodes(kong_integer(65536), BYTES("\xce\0\x01\0\0"));
    assert_encodes(kong_number(2), BYTES("\xcb\x40\0\0\0\0\0\0\0"));
    assert_encodes(kong_number(INFINITY), BYTES("\xcb\x7f\xf0\0\0\0\0\0\0"));
    assert_encodes(kong_bytes("a\0", 2), BYTES("\xa2"
                                               "a\0"));
    assert_encodes(kong_bytes(NULL, 0), BYTES("\xa0"));
    assert_encodes(kong_list(items, 3), BYTES("\x93\xc0\xc3\xc0"));
    assert_encodes(kong_map(pairs, 2), BYTES("\x82\xa1"
                                             "a\xc0\xa1"
                                             "a\xff"));
    struct buffer out;
    struct kong_value nan_value = kong_number(NAN), again;
    struct arena arena;
    buffer_init(&out, 1000);
    arena_init(&arena, 1000);
    assert_int_equal(msgpack_encode_value(&out, &nan_value), CODEC_OK);
    assert_int_equal(out.len, 9);
    assert_int_equal(msgpack_decode_value(&arena, out.data, out.len, &again), CODEC_OK);
    assert_true(again.type == KONG_NUMBER && isnan(again.number));
    buffer_free(&out);
    arena_free(&arena);
}

/* values[0] is `count` lists or maps deep. */
static void nest(struct kong_value *values, struct kong_pair *pairs, size_t count, bool maps) {
    values[count] = kong_string("deep");
    for (size_t i = count; i > 0; i--) {
        pairs[i] = kong_pair("k", values[i]);
        values[i - 1] = maps ? kong_map(&pairs[i], 1) : kong_list(&values[i], 1);
    }
}

static void test_nesting(void **state) {
    (void)state;
    for (int maps = 0; maps < 2; maps++) {
        struct kong_value values[LIMIT_NESTING + 2], again;
        struct kong_pair pairs[LIMIT_NESTING + 2];
        struct buffer out;
        struct arena arena;
        buffer_init(&out, 1 << 20);
        arena_init(&arena, 1 << 20);
        buffer_append(&out, "\x81\xa1k", 3); /* one level more, of the same kind or not */
        nest(values, pairs, LIMIT_NESTING + 1, maps);
        assert_int_equal(msgpack_encode_value(&out, &values[0]), CODEC_E_LIMIT);
        assert_int_equal(out.len, 3);
        assert_int_equal(msgpack_encode_value(&out, &values[1]), CODEC_OK);
        assert_int_equal(msgpack_decode_value(&arena, out.data + 3, out.len - 3, &again), CODEC_OK);
        assert_true(value_equal(&again, &values[1]));
        assert_int_equal(msgpack_decode_value(&arena, out.data, out.len, &again), CODEC_E_LIMIT);
        buffer_free(&out);
        arena_free(&arena);
    }
}

/* MessagePack's lengths have 32 bits; nothing is read of what is longer. */
static void test_lengths_over_32_bits(void **state) {
    (void)state;
    struct buffer out;
    buffer_init(&out, SIZE_MAX);
    const size_t many = SIZE_MAX / 2 + 1; /* more than 32 bits hold, where a size has more */
    if (many <= UINT32_MAX) {
        skip();
    }
    const struct kong_value values[] = {kong_bytes("x", many), kong_list(NULL, many),
                                        kong_map(NULL, many)};
    for (size_t i = 0; i < COUNT(values); i++) {
        assert_int_equal(msgpack_encode_value(&out, &values[i]), CODEC_E_LIMIT);
        assert_int_equal(out.len, 0);
    }
    buffer_free(&out);
}

/* --- Held against msgpack-c ----------------------------------------------------------------- */

static uint64_t random_next(uint64_t *state) {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static size_t random_below(uint64_t *state, size_t bound) {
    return (size_t)(random_next(state) >> 16) % bound;
}

static bool same_string(struct kong_str ours, const char *data, size_t len) {
    return kong_str_equal(ours, (struct kong_str){data, len});
}

/* Keys of ours are text. */
static bool same_key(struct kong_str ours, const msgpack_object *theirs) {
    char text[40];
    switch (theirs->type) {
    case MSGPACK_OBJECT_STR:
        return same_string(ours, theirs->via.str.ptr, theirs->via.str.size);
    case MSGPACK_OBJECT_BIN:
        return same_string(ours, theirs->via.bin.ptr, theirs->via.bin.size);
    case MSGPACK_OBJECT_POSITIVE_INTEGER:
        snprintf(text, sizeof text, "%" PRIu64, theirs->via.u64);
        break;
    case MSGPACK_OBJECT_NEGATIVE_INTEGER:
        snprintf(text, sizeof text, "%" PRId64, theirs->via.i64);
        break;
    case MSGPACK_OBJECT_FLOAT32:
    case MSGPACK_OBJECT_FLOAT64:
        snprintf(text, sizeof text, "%.14g", theirs->via.f64);
        break;
    case MSGPACK_OBJECT_BOOLEAN:
        snprintf(text, sizeof text, "%s", theirs->via.boolean ? "true" : "false");
        break;
    case MSGPACK_OBJECT_NIL:
        snprintf(text, sizeof text, "nil");
        break;
    default:
        return false;
    }
    return kong_str_equal(ours, kong_str(text));
}

static bool same_number(const struct kong_value *ours, double theirs) {
    return ours->type == KONG_NUMBER &&
           (ours->number == theirs || (isnan(ours->number) && isnan(theirs)));
}

static bool same(const struct kong_value *ours, const msgpack_object *theirs) {
    switch (theirs->type) {
    case MSGPACK_OBJECT_NIL:
        return ours->type == KONG_NIL;
    case MSGPACK_OBJECT_BOOLEAN:
        return ours->type == KONG_BOOLEAN && ours->boolean == theirs->via.boolean;
    case MSGPACK_OBJECT_POSITIVE_INTEGER:
        if (theirs->via.u64 > INT64_MAX) {
            return same_number(ours, (double)theirs->via.u64);
        }
        return ours->type == KONG_INTEGER && ours->integer == (int64_t)theirs->via.u64;
    case MSGPACK_OBJECT_NEGATIVE_INTEGER:
        return ours->type == KONG_INTEGER && ours->integer == theirs->via.i64;
    case MSGPACK_OBJECT_FLOAT32:
    case MSGPACK_OBJECT_FLOAT64:
        return same_number(ours, theirs->via.f64);
    case MSGPACK_OBJECT_STR:
        return ours->type == KONG_STRING &&
               same_string(ours->string, theirs->via.str.ptr, theirs->via.str.size);
    case MSGPACK_OBJECT_BIN:
        return ours->type == KONG_STRING &&
               same_string(ours->string, theirs->via.bin.ptr, theirs->via.bin.size);
    case MSGPACK_OBJECT_ARRAY:
        if (ours->type != KONG_LIST || ours->list.count != theirs->via.array.size) {
            return false;
        }
        for (size_t i = 0; i < ours->list.count; i++) {
            if (!same(&ours->list.items[i], &theirs->via.array.ptr[i])) {
                return false;
            }
        }
        return true;
    case MSGPACK_OBJECT_MAP:
        if (ours->type != KONG_MAP || ours->map.count != theirs->via.map.size) {
            return false;
        }
        for (size_t i = 0; i < ours->map.count; i++) {
            if (!same_key(ours->map.pairs[i].key, &theirs->via.map.ptr[i].key) ||
                !same(&ours->map.pairs[i].value, &theirs->via.map.ptr[i].val)) {
                return false;
            }
        }
        return true;
    default:
        return false; /* an ext */
    }
}

/* Does it hold something that is a value of MessagePack's, but none of ours? */
static bool foreign(const msgpack_object *theirs) {
    bool found = theirs->type == MSGPACK_OBJECT_EXT;
    if (theirs->type == MSGPACK_OBJECT_ARRAY) {
        for (size_t i = 0; i < theirs->via.array.size; i++) {
            found = found || foreign(&theirs->via.array.ptr[i]);
        }
    }
    if (theirs->type == MSGPACK_OBJECT_MAP) {
        for (size_t i = 0; i < theirs->via.map.size; i++) {
            const msgpack_object *key = &theirs->via.map.ptr[i].key;
            found = found || key->type == MSGPACK_OBJECT_ARRAY || key->type == MSGPACK_OBJECT_MAP ||
                    foreign(key) || foreign(&theirs->via.map.ptr[i].val);
        }
    }
    return found;
}

struct tally {
    size_t equal, foreign, incomplete, malformed, limited;
};

/* frame_next, our decoder and theirs must agree on these bytes. */
static void compare(const uint8_t *data, size_t len, struct tally *tally) {
    struct frame_reader reader;
    struct frame frame;
    struct codec_reason reason;
    size_t missing, at = 0;
    struct arena arena;
    struct kong_value value;
    arena_init(&arena, LIMIT_EVENT_MEMORY);
    frame_reader_init(&reader, PROTOCOL_MSGPACK, 1 << 20);
    int cut = frame_next(&reader, data, len, 0, &frame, &missing, &reason);
    int decoded = msgpack_decode_value(&arena, data, cut == 1 ? frame.len : len, &value);
    if (cut == CODEC_E_LIMIT) {
        tally->limited++; /* theirs has no limits: such bytes are kept from it */
        assert_int_not_equal(decoded, CODEC_OK);
        arena_free(&arena);
        return;
    }
    msgpack_unpacked theirs;
    msgpack_unpacked_init(&theirs);
    msgpack_unpack_return unpacked = msgpack_unpack_next(&theirs, (const char *)data, len, &at);
    if (cut == 1) {
        assert_int_equal(unpacked, MSGPACK_UNPACK_SUCCESS);
        assert_int_equal(at, frame.len);
        if (foreign(&theirs.data)) {
            tally->foreign++;
            assert_int_equal(decoded, CODEC_E_SHAPE);
        } else {
            tally->equal++;
            assert_int_equal(decoded, CODEC_OK);
            assert_true(same(&value, &theirs.data));
        }
    } else if (cut == 0) {
        tally->incomplete++;
        /* theirs goes a little less deep than a message may, and calls it NOMEM */
        assert_true(unpacked == MSGPACK_UNPACK_CONTINUE ||
                    (unpacked == MSGPACK_UNPACK_NOMEM_ERROR && reader.depth >= LIMIT_NESTING));
        assert_int_not_equal(decoded, CODEC_OK);
    } else {
        tally->malformed++;
        assert_int_equal(unpacked, MSGPACK_UNPACK_PARSE_ERROR);
        assert_int_not_equal(decoded, CODEC_OK);
    }
    msgpack_unpacked_destroy(&theirs);
    arena_free(&arena);
}

/* Random bytes where every first byte is equally likely, but large containers are not. */
static size_t random_bytes(uint64_t *state, uint8_t *data, size_t max) {
    size_t len = 1 + random_below(state, max);
    for (size_t i = 0; i < len; i++) {
        size_t what = random_below(state, 4);
        data[i] = what == 0   ? (uint8_t)random_below(state, 8)
                  : what == 1 ? (uint8_t)(0x80 + random_below(state, 5))
                  : what == 2 ? (uint8_t)(0x90 + random_below(state, 5))
                              : (uint8_t)random_below(state, 256);
    }
    return len;
}

static void test_random_bytes_as_msgpack_c_sees_them(void **state) {
    (void)state;
    uint64_t seed = 0x9e3779b97f4a7c15;
    struct tally tally = {0};
    for (int i = 0; i < 100000; i++) {
        uint8_t bytes[64];
        size_t len = random_bytes(&seed, bytes, sizeof bytes);
        uint8_t *exact = malloc(len); /* so that sanitizers see a look behind the end */
        assert_non_null(exact);
        memcpy(exact, bytes, len);
        compare(exact, len, &tally);
        free(exact);
    }
    print_message("%zu equal, %zu foreign, %zu incomplete, %zu malformed, %zu over a limit\n",
                  tally.equal, tally.foreign, tally.incomplete, tally.malformed, tally.limited);
    assert_true(tally.equal > 1000 && tally.foreign > 100 && tally.incomplete > 1000 &&
                tally.malformed > 100 && tally.limited > 100);
}

static struct kong_value random_value(uint64_t *state, struct arena *arena, unsigned levels) {
    static const char text[] = "\xff\0 a text that is longer than the shortest families of strings";
    size_t shift = random_below(state, 64), count = random_below(state, 20);
    uint64_t bits = random_next(state);
    switch (random_below(state, levels == 0 ? 5 : 8)) {
    case 0:
        return kong_nil();
    case 1:
        return kong_boolean(bits & 1);
    case 2:
        return kong_integer((int64_t)(bits >> shift));
    case 3:
        return kong_integer(-(int64_t)(bits >> shift >> 1));
    case 4:
        return bits & 1 ? kong_bytes(text, random_below(state, sizeof text))
                        : kong_number(ldexp((double)bits, (int)shift - 90));
    case 5:
    case 6: {
        struct kong_value *items = arena_array(arena, count, sizeof *items);
        assert_non_null(items);
        for (size_t i = 0; i < count; i++) {
            items[i] = random_value(state, arena, levels - 1);
        }
        return kong_list(items, count);
    }
    default: {
        struct kong_pair *pairs = arena_array(arena, count, sizeof *pairs);
        assert_non_null(pairs);
        for (size_t i = 0; i < count; i++) {
            pairs[i].key = (struct kong_str){text, random_below(state, sizeof text)};
            pairs[i].value = random_value(state, arena, levels - 1);
        }
        return kong_map(pairs, count);
    }
    }
}

static int write_to(void *data, const char *bytes, size_t len) {
    buffer_append(data, bytes, len);
    return 0;
}

/* What we encode they read as the same, and would have written so. */
static void test_random_values_as_msgpack_c_writes_them(void **state) {
    (void)state;
    uint64_t seed = 0x2545f4914f6cdd1d;
    struct tally tally = {0};
    struct arena arena;
    struct buffer ours, theirs;
    arena_init(&arena, LIMIT_EVENT_MEMORY);
    buffer_init(&ours, LIMIT_OUT);
    buffer_init(&theirs, LIMIT_OUT);
    for (int i = 0; i < 2000; i++) {
        struct kong_value value = random_value(&seed, &arena, 3), again;
        assert_int_equal(msgpack_encode_value(&ours, &value), CODEC_OK);
        assert_int_equal(msgpack_decode_value(&arena, ours.data, ours.len, &again), CODEC_OK);
        assert_true(value_equal(&value, &again));
        compare(ours.data, ours.len, &tally);
        msgpack_unpacked object;
        msgpack_packer packer;
        msgpack_unpacked_init(&object);
        msgpack_packer_init(&packer, &theirs, write_to);
        assert_int_equal(msgpack_unpack_next(&object, (const char *)ours.data, ours.len, NULL),
                         MSGPACK_UNPACK_SUCCESS);
        assert_int_equal(msgpack_pack_object(&packer, object.data), 0);
        assert_int_equal(theirs.len, ours.len);
        assert_memory_equal(theirs.data, ours.data, ours.len);
        msgpack_unpacked_destroy(&object);
        arena_reset(&arena);
        buffer_clear(&ours, LIMIT_OUT);
        buffer_clear(&theirs, LIMIT_OUT);
    }
    assert_int_equal(tally.equal, 2000);
    arena_free(&arena);
    buffer_free(&ours);
    buffer_free(&theirs);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_families),
        cmocka_unit_test(test_keys),
        cmocka_unit_test(test_what_is_no_value),
        cmocka_unit_test(test_decoding_at_every_memory_limit),
        cmocka_unit_test(test_encoding),
        cmocka_unit_test(test_nesting),
        cmocka_unit_test(test_lengths_over_32_bits),
        cmocka_unit_test(test_random_bytes_as_msgpack_c_sees_them),
        cmocka_unit_test(test_random_values_as_msgpack_c_writes_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
