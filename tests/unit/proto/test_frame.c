/* Messages cut out of a byte stream: every split, every limit, hostile bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "frame.h"
#include "limit.h"
#include "trace.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* frame_next on a copy of exactly these bytes: sanitizers see a look behind them. Of ProtoBuf:1 the
 * short way sees the same messages. */
static int next(struct frame_reader *reader, const uint8_t *data, size_t len, struct frame *frame,
                size_t *missing, struct codec_reason *reason) {
    uint8_t *copy = malloc(len);
    assert_true(copy != NULL || len == 0);
    if (len > 0) {
        memcpy(copy, data, len);
    }
    struct frame whole;
    bool seen = frame_protobuf_whole(reader, copy, len, &whole);
    int result = frame_next(reader, copy, len, LIMIT_FRAME, frame, missing, reason);
    assert_int_equal(seen, reader->protocol == PROTOCOL_PROTOBUF && result == 1);
    if (seen) {
        assert_ptr_equal(whole.data, frame->data);
        assert_int_equal(whole.len, frame->len);
        assert_int_equal(whole.total, frame->total);
    }
    if (result == 1) {
        frame->data = data + (frame->data - copy);
    }
    free(copy);
    return result;
}

/* A fresh reader, everything at once. */
static int once(enum protocol protocol, size_t limit, const uint8_t *data, size_t len,
                struct codec_reason *reason) {
    struct frame_reader reader;
    struct frame frame;
    size_t missing = 0;
    frame_reader_init(&reader, protocol, limit);
    int result = next(&reader, data, len, &frame, &missing, reason);
    if (result == 0) {
        assert_true(missing >= 1);
    }
    return result;
}

/* One whole message, cut at every byte: in two, and byte by byte. */
static void assert_splits(enum protocol protocol, const uint8_t *data, size_t total) {
    struct frame_reader by_byte;
    struct frame frame;
    struct codec_reason reason;
    size_t missing;
    frame_reader_init(&by_byte, protocol, LIMIT_FRAME);
    for (size_t cut = 0; cut < total; cut++) {
        struct frame_reader in_two;
        frame_reader_init(&in_two, protocol, LIMIT_FRAME);
        missing = 0;
        assert_int_equal(next(&in_two, data, cut, &frame, &missing, &reason), 0);
        assert_in_range(missing, 1, total - cut);
        assert_int_equal(next(&in_two, data, total, &frame, &missing, &reason), 1);
        assert_int_equal(frame.total, total);
        missing = 0;
        assert_int_equal(next(&by_byte, data, cut, &frame, &missing, &reason), 0);
        assert_in_range(missing, 1, total - cut);
    }
    assert_int_equal(next(&by_byte, data, total, &frame, &missing, &reason), 1);
    assert_int_equal(frame.total, total);
    assert_int_equal(by_byte.scanned, 0); /* ready for the next one */
    assert_int_equal(by_byte.depth, 0);
    assert_int_equal(by_byte.elements, 0);
}

/* How many messages the recorded stream holds; each is cut at every byte. */
static size_t split_stream(enum protocol protocol, const uint8_t *stream, size_t len) {
    struct frame_reader reader;
    size_t messages = 0;
    frame_reader_init(&reader, protocol, LIMIT_FRAME);
    for (size_t at = 0; at < len; messages++) {
        struct frame frame;
        struct codec_reason reason;
        size_t missing;
        assert_int_equal(next(&reader, stream + at, len - at, &frame, &missing, &reason), 1);
        size_t head = protocol == PROTOCOL_PROTOBUF ? 4 : 0;
        assert_ptr_equal(frame.data, stream + at + head);
        assert_int_equal(frame.total, frame.len + head);
        assert_splits(protocol, stream + at, frame.total);
        at += frame.total;
    }
    return messages;
}

static size_t split_trace(const char *name, enum protocol protocol, enum trace_kind side) {
    struct trace trace;
    size_t messages = 0, len;
    assert_true(trace_read(&trace, name));
    for (unsigned i = 0; i <= trace_last_connection(&trace); i++) {
        uint8_t *stream = trace_stream(&trace, i, side, &len);
        assert_non_null(stream);
        if (len > 0 && side == TRACE_KONG) {
            assert_int_equal(frame_detect(stream, len), protocol);
        }
        messages += split_stream(protocol, stream, len);
        free(stream);
    }
    trace_free(&trace);
    return messages;
}

static void test_recorded_messages_at_every_split(void **state) {
    (void)state;
    const char *msgpack = "kong-3.9.1-msgpack.trace", *protobuf = "kong-3.9.1-protobuf.trace";
    assert_int_equal(split_trace(msgpack, PROTOCOL_MSGPACK, TRACE_KONG), 90);
    assert_int_equal(split_trace(msgpack, PROTOCOL_MSGPACK, TRACE_SERVER), 90);
    assert_int_equal(split_trace(protobuf, PROTOCOL_PROTOBUF, TRACE_KONG), 101);
    assert_int_equal(split_trace(protobuf, PROTOCOL_PROTOBUF, TRACE_SERVER), 203);
}

static enum protocol detect(uint64_t bytes, size_t len) {
    uint8_t data[8];
    for (size_t i = 0; i < len; i++) {
        data[i] = (uint8_t)(bytes >> 8 * (len - 1 - i));
    }
    return frame_detect(data, len);
}

static void test_detects_msgpack(void **state) {
    (void)state;
    assert_int_equal(frame_detect(NULL, 0), PROTOCOL_UNKNOWN);
    assert_int_equal(detect(0x94, 1), PROTOCOL_UNKNOWN);
    assert_int_equal(detect(0x93, 1), PROTOCOL_UNKNOWN);
    assert_int_equal(detect(0x9400, 2), PROTOCOL_UNKNOWN);
    assert_int_equal(detect(0x940001, 3), PROTOCOL_UNKNOWN);
    /* the smallest and the largest msgid of each family, a method of 11 to 65535 bytes behind it */
    static const uint64_t starts[] = {
        0x940000ab, 0x94007fbf, 0x9400ccff, 0x9400cc80, 0x940001d9, 0x940001da,
        0x9400cd01, 0x9400cdff, 0x9400ce00, 0x9400ceff, 0x9302a973, 0x9302d920,
    };
    for (size_t i = 0; i < COUNT(starts); i++) {
        assert_int_equal(detect(starts[i], 4), PROTOCOL_MSGPACK);
    }
}

/* No first frame of ProtoBuf:1 that we take is mistaken, whatever its length. */
static void test_detects_protobuf(void **state) {
    (void)state;
    for (uint32_t length = 0; length <= LIMIT_FIRST_FRAME; length++) {
        uint8_t head[] = {(uint8_t)length, (uint8_t)(length >> 8), (uint8_t)(length >> 16),
                          (uint8_t)(length >> 24)};
        if (frame_detect(head, sizeof head) != PROTOCOL_PROTOBUF) {
            fail_msg("a frame of %u bytes", length);
        }
    }
    assert_int_equal(detect(0x94000000, 4), PROTOCOL_PROTOBUF); /* 148 bytes */
    assert_int_equal(detect(0x93020000, 4), PROTOCOL_PROTOBUF);
    assert_int_equal(detect(0x00, 1), PROTOCOL_PROTOBUF);
    assert_int_equal(detect(0x9401, 2), PROTOCOL_PROTOBUF); /* a response: not from Kong */
    assert_int_equal(detect(0x9300, 2), PROTOCOL_PROTOBUF);
    assert_int_equal(detect(0x47455420, 4), PROTOCOL_PROTOBUF); /* "GET " */
}

static void test_protobuf_lengths(void **state) {
    (void)state;
    struct frame_reader reader;
    struct frame frame;
    struct codec_reason reason = {""};
    size_t missing = 0;
    static const uint8_t empty_then_one[] = {0, 0, 0, 0, 1, 0, 0, 0, 0xaa};
    frame_reader_init(&reader, PROTOCOL_PROTOBUF, 0);
    assert_int_equal(frame_next(&reader, empty_then_one, 9, 1, &frame, &missing, &reason), 1);
    assert_int_equal(frame.len, 0);
    assert_int_equal(frame.total, 4);
    assert_int_equal(frame_next(&reader, empty_then_one + 4, 5, 0, &frame, &missing, &reason), 1);
    assert_int_equal(frame.len, 1);
    assert_ptr_equal(frame.data, empty_then_one + 8);
    /* the limit for the next one was 0 */
    assert_int_equal(frame_next(&reader, empty_then_one + 4, 5, 0, &frame, &missing, &reason),
                     CODEC_E_LIMIT);
    assert_string_equal(reason.text, "frame of 1 bytes, limit 0");

    static const uint8_t huge[] = {0xff, 0xff, 0xff, 0xff};
    assert_int_equal(once(PROTOCOL_PROTOBUF, LIMIT_FIRST_FRAME, huge, 4, &reason), CODEC_E_LIMIT);
    assert_string_equal(reason.text, "frame of 4294967295 bytes, limit 8388608");
    static const uint8_t at_limit[] = {0x00, 0x00, 0x80, 0x00}, over[] = {0x01, 0x00, 0x80, 0x00};
    frame_reader_init(&reader, PROTOCOL_PROTOBUF, LIMIT_FIRST_FRAME);
    assert_int_equal(frame_next(&reader, at_limit, 4, 0, &frame, &missing, &reason), 0);
    assert_int_equal(missing, LIMIT_FIRST_FRAME);
    assert_int_equal(frame_next(&reader, NULL, 0, 0, &frame, &missing, &reason), 0);
    assert_int_equal(missing, 4);
    assert_int_equal(once(PROTOCOL_PROTOBUF, LIMIT_FIRST_FRAME, over, 4, &reason), CODEC_E_LIMIT);
    /* also when all of it is there */
    static const uint8_t two[] = {2, 0, 0, 0, 0xaa, 0xbb};
    assert_int_equal(once(PROTOCOL_PROTOBUF, 2, two, sizeof two, &reason), 1);
    assert_int_equal(once(PROTOCOL_PROTOBUF, 1, two, sizeof two, &reason), CODEC_E_LIMIT);
}

/* One value of each family, of a length that needs its head. */
static void test_msgpack_families_at_every_split(void **state) {
    (void)state;
    static const struct {
        uint8_t head[10];
        size_t head_len, body;
    } values[] = {
        {{0x00}, 1, 0},
        {{0x7f}, 1, 0},
        {{0xe0}, 1, 0},
        {{0xff}, 1, 0},
        {{0xc0}, 1, 0},
        {{0xc2}, 1, 0},
        {{0xc3}, 1, 0},
        {{0xcc, 1}, 2, 0},
        {{0xcd, 1, 2}, 3, 0},
        {{0xce, 1, 2, 3, 4}, 5, 0},
        {{0xcf, 1, 2, 3, 4, 5, 6, 7, 8}, 9, 0},
        {{0xd0, 1}, 2, 0},
        {{0xd1, 1, 2}, 3, 0},
        {{0xd2, 1, 2, 3, 4}, 5, 0},
        {{0xd3, 1, 2, 3, 4, 5, 6, 7, 8}, 9, 0},
        {{0xca, 1, 2, 3, 4}, 5, 0},
        {{0xcb, 1, 2, 3, 4, 5, 6, 7, 8}, 9, 0},
        {{0xa0}, 1, 0},
        {{0xbf}, 1, 31},
        {{0xd9, 0}, 2, 0},
        {{0xd9, 200}, 2, 200},
        {{0xda, 1, 2}, 3, 258},
        {{0xdb, 0, 0, 1, 2}, 5, 258},
        {{0xc4, 200}, 2, 200},
        {{0xc5, 1, 2}, 3, 258},
        {{0xc6, 0, 0, 1, 2}, 5, 258},
        {{0xc7, 200, 9}, 3, 200},
        {{0xc8, 1, 2, 9}, 4, 258},
        {{0xc9, 0, 0, 1, 2, 9}, 6, 258},
        {{0xd4, 9}, 2, 1},
        {{0xd5, 9}, 2, 2},
        {{0xd6, 9}, 2, 4},
        {{0xd7, 9}, 2, 8},
        {{0xd8, 9}, 2, 16},
        {{0x90}, 1, 0},
        {{0x9f}, 1, 15},
        {{0xdc, 1, 2}, 3, 258},
        {{0xdd, 0, 0, 1, 2}, 5, 258},
        {{0x80}, 1, 0},
        {{0x8f}, 1, 30},
        {{0xde, 1, 2}, 3, 516},
        {{0xdf, 0, 0, 1, 2}, 5, 516},
    };
    for (size_t i = 0; i < COUNT(values); i++) {
        /* alone, and as both elements of a list with another behind it */
        uint8_t data[1200] = {0}; /* the body: zeros are integers, too */
        size_t len = values[i].head_len + values[i].body;
        memcpy(data, values[i].head, values[i].head_len);
        assert_splits(PROTOCOL_MSGPACK, data, len);
        memmove(data + 1, data, len);
        memcpy(data + 1 + len, data + 1, len);
        data[0] = 0x92;
        assert_splits(PROTOCOL_MSGPACK, data, 1 + 2 * len);
    }
}

static void assert_refused(const char *bytes, size_t len, size_t limit, int error,
                           const char *reason_text) {
    struct codec_reason reason = {""};
    assert_int_equal(once(PROTOCOL_MSGPACK, limit, (const uint8_t *)bytes, len, &reason), error);
    assert_string_equal(reason.text, reason_text);
}

#define BYTES(text) text, sizeof(text) - 1

/* Lengths that no memory may be spent on: refused by the head alone. */
static void test_msgpack_bombs(void **state) {
    (void)state;
    assert_refused(BYTES("\xdd\x04\0\0\0"), LIMIT_FRAME, CODEC_E_LIMIT,
                   "message of 67108864 elements, limit 1048576");
    assert_refused(BYTES("\xdf\xff\xff\xff\xff"), LIMIT_FRAME, CODEC_E_LIMIT,
                   "message of 4294967295 elements, limit 1048576");
    assert_refused(BYTES("\xdb\xff\xff\xff\xff"), LIMIT_FRAME, CODEC_E_LIMIT,
                   "message of at least 4294967300 bytes, limit 67108864");
    assert_refused(BYTES("\xc6\x04\0\0\0"), LIMIT_FRAME, CODEC_E_LIMIT,
                   "message of at least 67108869 bytes, limit 67108864");
    assert_refused(BYTES("\xc9\xff\xff\xff\xff\x01"), LIMIT_FRAME, CODEC_E_LIMIT,
                   "message of at least 4294967301 bytes, limit 67108864");
    assert_refused(BYTES("\x94\x00\x01\xdb\x04\0\0\0"), LIMIT_FRAME, CODEC_E_LIMIT,
                   "message of at least 67108873 bytes, limit 67108864");
    /* elements that are not refused by their number, but cannot fit */
    assert_refused(BYTES("\xdc\xff\xff"), 1000, CODEC_E_LIMIT,
                   "message of at least 65538 bytes, limit 1000");
    assert_refused(BYTES("\xde\xff\xff"), 100000, CODEC_E_LIMIT,
                   "message of at least 131073 bytes, limit 100000");
    assert_refused(BYTES("\xdc\x01\x00\xdc\x01\x00"), 516, CODEC_E_LIMIT,
                   "message of at least 517 bytes, limit 516");
    assert_refused(BYTES("\xc1"), LIMIT_FRAME, CODEC_E_MALFORMED,
                   "byte c1, which MessagePack reserves");
    assert_refused(BYTES("\x92\x01\xc1"), LIMIT_FRAME, CODEC_E_MALFORMED,
                   "byte c1, which MessagePack reserves");
}

static void test_msgpack_limit_is_exact(void **state) {
    (void)state;
    struct codec_reason reason;
    uint8_t data[] = {0x93, 0xa3, 'a', 'b', 'c', 0xcd, 0x01, 0x02, 0x81, 0x01, 0xc0};
    for (size_t limit = 0; limit < sizeof data; limit++) {
        assert_int_equal(once(PROTOCOL_MSGPACK, limit, data, sizeof data, &reason), CODEC_E_LIMIT);
    }
    assert_int_equal(once(PROTOCOL_MSGPACK, sizeof data, data, sizeof data, &reason), 1);
}

/* `levels` lists around a list that is empty: the innermost counts as a level, too. */
static int nested(uint8_t opener, size_t levels, struct codec_reason *reason) {
    uint8_t data[4096];
    size_t len = 0;
    for (size_t i = 0; i < levels; i++) {
        data[len++] = opener;
        if (opener == 0x81) {
            data[len++] = 0xa0;
        }
    }
    data[len++] = 0xc0;
    return once(PROTOCOL_MSGPACK, LIMIT_FRAME, data, len, reason);
}

static void test_msgpack_nesting(void **state) {
    (void)state;
    struct codec_reason reason = {""};
    for (int i = 0; i < 2; i++) {
        uint8_t opener = i == 0 ? 0x91 : 0x81;
        assert_int_equal(nested(opener, LIMIT_NESTING + 4, &reason), 1);
        assert_int_equal(nested(opener, LIMIT_NESTING + 5, &reason), CODEC_E_LIMIT);
        assert_string_equal(reason.text, "message nested deeper than 36 levels");
        assert_int_equal(nested(opener, 2000, &reason), CODEC_E_LIMIT);
    }
    /* a level is free again when its list is over */
    uint8_t data[4096];
    size_t len = 0;
    data[len++] = 0xdc;
    data[len++] = 0;
    data[len++] = 100;
    for (int i = 0; i < 100; i++) {
        for (int level = 0; level < 30; level++) {
            data[len++] = 0x91;
        }
        data[len++] = 0xc0;
    }
    assert_int_equal(once(PROTOCOL_MSGPACK, LIMIT_FRAME, data, len, &reason), 1);
    /* an empty list too deep is too deep */
    memset(data, 0x91, LIMIT_NESTING + 4);
    data[LIMIT_NESTING + 4] = 0x90;
    assert_int_equal(once(PROTOCOL_MSGPACK, LIMIT_FRAME, data, (size_t)LIMIT_NESTING + 5, &reason),
                     CODEC_E_LIMIT);
}

/* A list of two lists of so many integers; calloc'd. */
static uint8_t *two_lists(size_t first, size_t second, size_t *len) {
    size_t counts[] = {first, second};
    uint8_t *data = calloc(1, 11 + first + second);
    assert_non_null(data);
    data[0] = 0x92;
    *len = 1;
    for (int i = 0; i < 2; i++) {
        uint8_t head[] = {0xdd, (uint8_t)(counts[i] >> 24), (uint8_t)(counts[i] >> 16),
                          (uint8_t)(counts[i] >> 8), (uint8_t)counts[i]};
        memcpy(data + *len, head, sizeof head);
        *len += sizeof head + counts[i];
    }
    return data;
}

/* The elements of all lists of a message count together, and anew for each message. */
static void test_msgpack_elements(void **state) {
    (void)state;
    struct frame_reader reader;
    struct frame frame;
    struct codec_reason reason = {""};
    size_t missing, len, half = LIMIT_ELEMENTS / 2;
    uint8_t *data = two_lists(half, half - 2, &len);
    frame_reader_init(&reader, PROTOCOL_MSGPACK, LIMIT_FRAME);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(frame_next(&reader, data, len, LIMIT_FRAME, &frame, &missing, &reason), 1);
        assert_int_equal(frame.total, len);
    }
    free(data);
    data = two_lists(half, half - 1, &len);
    /* the last head is enough */
    assert_int_equal(once(PROTOCOL_MSGPACK, LIMIT_FRAME, data, 6 + half + 5, &reason),
                     CODEC_E_LIMIT);
    assert_string_equal(reason.text, "message of 1048577 elements, limit 1048576");
    free(data);
}

/* However small the pieces, no byte of a value that is done is looked at twice. */
static void test_msgpack_scan_goes_on_where_it_stopped(void **state) {
    (void)state;
    struct frame_reader reader;
    struct frame frame;
    struct codec_reason reason;
    size_t missing, len = 3 + 60000;
    uint8_t *data = calloc(1, len);
    assert_non_null(data);
    data[0] = 0xdc;
    data[1] = 60000 >> 8;
    data[2] = 60000 & 0xff;
    frame_reader_init(&reader, PROTOCOL_MSGPACK, LIMIT_FRAME);
    for (size_t have = 3; have < len; have++) {
        assert_int_equal(frame_next(&reader, data, have, LIMIT_FRAME, &frame, &missing, &reason),
                         0);
        assert_int_equal(reader.scanned, have);
        assert_int_equal(missing, len - have); /* every element is a byte */
        memset(data, 0xc1, have);              /* not needed any more */
    }
    assert_int_equal(frame_next(&reader, data, len, LIMIT_FRAME, &frame, &missing, &reason), 1);
    free(data);
}

static void test_messages_behind_each_other(void **state) {
    (void)state;
    struct frame_reader reader;
    struct frame frame;
    struct codec_reason reason = {""};
    size_t missing;
    static const uint8_t data[] = {0x91, 0x01, 0x92, 0x01, 0x02, 0x90, 0x91, 0x91};
    static const size_t totals[] = {2, 3, 1};
    size_t at = 0;
    frame_reader_init(&reader, PROTOCOL_MSGPACK, LIMIT_FRAME);
    for (size_t i = 0; i < COUNT(totals); i++) {
        assert_int_equal(
            frame_next(&reader, data + at, sizeof data - at, 2 + i, &frame, &missing, &reason), 1);
        assert_ptr_equal(frame.data, data + at);
        assert_int_equal(frame.total, totals[i]);
        assert_int_equal(reader.limit, 2 + i);
        at += frame.total;
        reader.limit = LIMIT_FRAME;
    }
    assert_int_equal(frame_next(&reader, data + at, sizeof data - at, 2, &frame, &missing, &reason),
                     0);
    assert_int_equal(missing, 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_recorded_messages_at_every_split),
        cmocka_unit_test(test_detects_msgpack),
        cmocka_unit_test(test_detects_protobuf),
        cmocka_unit_test(test_protobuf_lengths),
        cmocka_unit_test(test_msgpack_families_at_every_split),
        cmocka_unit_test(test_msgpack_bombs),
        cmocka_unit_test(test_msgpack_limit_is_exact),
        cmocka_unit_test(test_msgpack_nesting),
        cmocka_unit_test(test_msgpack_elements),
        cmocka_unit_test(test_msgpack_scan_goes_on_where_it_stopped),
        cmocka_unit_test(test_messages_behind_each_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
