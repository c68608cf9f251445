/* What is said in the place of a process that has died (rpc_in_flight.c). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "rpc.h"
#include "three.h"

#define LENGTH(array) (sizeof(array) / sizeof *(array))
#define HALF(what)    ((what) | IN_FLIGHT_HALF)

/* One of them fails closed. */
static struct plugins three;

static int setup(void **state) {
    (void)state;
    return plugins_init(&three, "three", three_plugins, 3);
}

static int teardown(void **state) {
    (void)state;
    plugins_free(&three);
    return 0;
}

/* "": there is no answer. */
static void assert_said(const uint8_t *said, size_t len, const char *wanted) {
    if (wanted[0] == '\0') {
        assert_int_equal(len, 0);
    } else {
        assert_non_null(memmem(said, len, wanted, strlen(wanted)));
    }
}

/* An answer to MsgPack's request 7. */
static void assert_answers(const uint8_t *said, size_t len) {
    assert_true(len > 4);
    assert_memory_equal(said, "\x94\x01\x07", 3);
}

static void what_was_noted(void **state) {
    static const char again[] = "no plugin instance";
    static const char exits[] = "kong.response.exit";
    static const struct {
        uint8_t what;
        const char *with_next, *without;
    } rows[] = {
        {IN_FLIGHT_MSGPACK_EVENT, again, exits},
        {IN_FLIGHT_MSGPACK_EVENT_OPEN, again, ""},
        {IN_FLIGHT_MSGPACK_START, "three", ""},
        {IN_FLIGHT_READING, "", ""},
        {IN_FLIGHT_OTHER, "", ""},
        {HALF(IN_FLIGHT_MSGPACK_EVENT), again, exits},
        {HALF(IN_FLIGHT_MSGPACK_START), "three", ""},
    };
    uint8_t said[512];
    (void)state;
    for (size_t i = 0; i < LENGTH(rows); i++) {
        for (int next = 0; next < 2; next++) {
            const char *wanted = next ? rows[i].with_next : rows[i].without;
            size_t len =
                rpc_answer_orphan(&three, rows[i].what, 7, NULL, next != 0, said, sizeof said);
            assert_said(said, len, wanted);
            if (len > 0) {
                assert_answers(said, len);
            }
        }
    }
}

/* What nobody has looked at: the start of a message, and where nothing came what no message begins
 * with. */
static void what_was_only_read(void **state) {
    static const struct {
        const char *read;
        size_t len;
        const char *wanted;
    } rows[] = {
        {"\x94\x00\x07\xabplugin.Step\x91\x82\xa7", 18, "no plugin instance"},
        {"\x94\x00\x07\xb2plugin.HandleEvent\x91", 23, "no plugin instance"},
        {"\x94\x00\xcd\x00\x07\xb2plugin.HandleEvent\x91\x82\xa7Inst", 31, "no plugin instance"},
        {"\x94\x00\x07\xb4plugin.StartInstance\x91\x82\xa6", 27, "three"},
        {"\x94\x00\x07\xb4plugin.CloseInstance\x91\x01", 26, ""},
        {"\x94\x00\x07\xb2plugin.Handle", 17, ""}, /* more is to come */
        {"\x94\x00\x07", 3, ""},
        {"\x94\x00\x00\x00\x08\x01", 6, ""}, /* a frame of ProtoBuf's */
        {"\x94\x02\x07\xabplugin.Step", 15, ""},
    };
    uint8_t said[512];
    (void)state;
    for (size_t i = 0; i < LENGTH(rows); i++) {
        uint8_t *read = malloc(IN_FLIGHT_HEAD); /* exactly so many: a look behind them is seen */
        assert_non_null(read);
        memset(read, IN_FLIGHT_UNREAD, IN_FLIGHT_HEAD);
        memcpy(read, rows[i].read, rows[i].len);
        size_t len = rpc_answer_orphan(&three, IN_FLIGHT_READING, 3, read, true, said, sizeof said);
        assert_said(said, len, rows[i].wanted);
        if (len > 0) {
            assert_answers(said, len);
        }
        free(read);
    }
}

/* Of ProtoBuf:1: a frame that names no function of Kong's, so that any Kong sends the event again.
 * Of what was only read a short frame is for an event. */
static void protobuf_event(void **state) {
    static const char again[] =
        "\x39\0\0\0no plugin instance: the server that had the event is gone"
        "\0\0\0\0";
    static const char exits[] = "\x12\0\0\0kong.response.exit";
    static const uint8_t event[IN_FLIGHT_HEAD] = "\x0f\0\0\0\x08\x07\xa2\x02";
    static const char goes_on[] = "\0\0\0\0\x02\0\0\0\x08\x07"; /* RpcReturn 7 */
    uint8_t said[512];
    (void)state;
    for (int read = 0; read < 2; read++) {
        uint8_t what = read ? IN_FLIGHT_READING : IN_FLIGHT_PROTOBUF_EVENT;
        size_t len =
            rpc_answer_orphan(&three, what, 7, read ? event : NULL, true, said, sizeof said);
        assert_int_equal(len, sizeof again - 1);
        assert_memory_equal(said, again, len);
        len = rpc_answer_orphan(&three, what, 7, read ? event : NULL, false, said, sizeof said);
        assert_true(len > sizeof exits);
        assert_memory_equal(said, exits, sizeof exits - 1);
    }
    const uint8_t open = IN_FLIGHT_PROTOBUF_EVENT_OPEN;
    assert_int_equal(rpc_answer_orphan(&three, open, 7, NULL, true, said, sizeof said),
                     sizeof again - 1);
    assert_memory_equal(said, again, sizeof again - 1);
    assert_int_equal(rpc_answer_orphan(&three, open, 7, NULL, false, said, sizeof said),
                     sizeof goes_on - 1);
    assert_memory_equal(said, goes_on, sizeof goes_on - 1);
}

/* Results of PDK calls, each empty, stand in front of the request that was read. */
static void protobuf_behind_results(void **state) {
    static const struct {
        const char *read;
        size_t len, results;
        bool answered;
    } rows[] = {
        {"\x0f\0\0\0\x08\x07\xa2\x02", 8, 0, true},
        {"\x0f\0\0\0", 4, 0, true}, /* Kong writes a frame's length and its content apart */
        {"\x0f\0", 2, 0, true},
        {"\x0f\0\0\0\x08\x07\xa2\x02", 8, 1, true},
        {"\x0f\0\0\0", 4, 9, true},
        {"", 0, 1, true},  /* the connection is idle, or Kong's request comes in this moment */
        {"", 0, 10, true}, /* what is behind them cannot be seen */
        {"\xe0\0\0\0\x08\x07\x8a\x02", 8, 0, false}, /* starts an instance */
        {"\xe0\0\0\0\x08\x07\x8a\x02", 8, 2, false},
        {"\xe0\0\0\0", 4, 9, false},
        {"\xff\0\0\0", 4, 1, false},
        {"", 0, 0, false},
    };
    uint8_t said[512];
    (void)state;
    for (size_t i = 0; i < LENGTH(rows); i++) {
        uint8_t *read = malloc(IN_FLIGHT_HEAD);
        assert_non_null(read);
        memset(read, IN_FLIGHT_UNREAD, IN_FLIGHT_HEAD);
        memset(read, 0, 4 * rows[i].results);
        memcpy(read + 4 * rows[i].results, rows[i].read, rows[i].len);
        size_t len = rpc_answer_orphan(&three, IN_FLIGHT_READING, 7, read, true, said, sizeof said);
        assert_int_equal(len > 0, rows[i].answered);
        free(read);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(protobuf_event),
        cmocka_unit_test(protobuf_behind_results),
        cmocka_unit_test(what_was_noted),
        cmocka_unit_test(what_was_only_read),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
