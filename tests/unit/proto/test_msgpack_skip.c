/* Steps that are passed over: in pieces of any size, and what is found in them is what the decoder
 * finds. */
#include "msgpack_fixture.h"

#include "msgpack_skip.h"

#define LENGTH(array) (sizeof(array) / sizeof(array)[0])

/* Takes `len` bytes and some that belong to the next message, a piece at a time. */
static int take(struct msgpack_skip *skip, const uint8_t *data, size_t len, size_t piece,
                size_t *total) {
    *skip = (struct msgpack_skip){0};
    *total = 0;
    int rc = 0;
    while (rc == 0 && *total < len) {
        size_t rest = len - *total;
        size_t used;
        rc = msgpack_skip_take(skip, data + *total, rest < piece ? rest : piece, &used);
        *total += used;
    }
    return rc;
}

static void check_call(struct fixture *f, const struct rpc_call *call) {
    assert_int_equal(msgpack_encode_call(&f->out, call), CODEC_OK);
    size_t len = f->out.len;
    buffer_append(&f->out, "\x94\x00\x01\xabplugin.Step", 15); /* the next one */
    for (size_t piece = 1; piece <= f->out.len; piece++) {
        struct msgpack_skip skip;
        size_t total;
        assert_int_equal(take(&skip, f->out.data, f->out.len, piece, &total), 1);
        assert_int_equal(total, len);
        assert_int_equal(skip.sequence, call->notification ? -1 : call->sequence);
        assert_true(skip.has_event_id);
        assert_int_equal(skip.event_id, call->event_id);
    }
    /* no end before the end */
    struct msgpack_skip skip;
    size_t total;
    assert_int_equal(take(&skip, f->out.data, len - 1, 3, &total), 0);
    buffer_clear(&f->out, 4096);
}

static void steps(void **state) {
    struct fixture *f = *state;
    static char text[300];
    memset(text, 'x', sizeof text);
    const struct kong_value data[] = {
        kong_nil(),
        STR("text"),
        kong_bytes(text, sizeof text),
        kong_number(1.5),
        LIST(NUM(1), LIST(), MAP({kong_str("EventId"), NUM(7)}), kong_nil()),
        MAP({kong_str("EventId"), NUM(8)}, {kong_str("b"), LIST(LIST(LIST(STR("deep"))))}),
    };
    static const uint64_t ids[] = {0, 127, 128, 70000, (uint64_t)1 << 40, ((uint64_t)1 << 53) - 1};
    for (size_t i = 0; i < LENGTH(data); i++) {
        struct rpc_call call = {.command = RPC_STEP,
                                .sequence = (int64_t)(i * 1000003 % UINT32_MAX),
                                .event_id = ids[i],
                                .data = data[i]};
        check_call(f, &call);
        call.notification = true;
        check_call(f, &call);
        call.notification = false;
        call.method = kong_str("plugin.StepMultiMap");
        check_call(f, &call);
    }
}

/* What Kong does not send, in the order and with the keys that Lua could. */
static void odd_steps(void **state) {
    static const struct {
        const char *bytes;
        size_t len;
        uint64_t id;
    } odd[] = {
#define ODD(bytes, id) {bytes, sizeof(bytes) - 1, id}
        ODD("\x94\x00\x01\xabplugin.Step\x91\x82\xa4"
            "Data\xc7\x02\x01xx\xa7"
            "EventId\x05",
            5), /* an ext */
        ODD("\x94\x00\x01\xabplugin.Step\x91\x83\xa4"
            "Data\x81\x92\x01\x02\x03\xa7"
            "EventId\x05\xa7"
            "EventId\x06",
            6), /* a list as a key; the last id counts */
        ODD("\x94\x00\x01\xabplugin.Step\x93\x81\xa7"
            "EventId\xcb\x40\x14\x00\x00\x00\x00\x00\x00\x92\x01\x02\xc0",
            5), /* arguments behind the first, an id that is a float */
        ODD("\x93\x02\xabplugin.Step\x81\xa7"
            "EventId\x05",
            5), /* a notification without a list */
        ODD("\x94\x00\xce\xff\xff\xff\xff\xabplugin.Step\x91\x81\xa7"
            "EventId\x05",
            5), /* the last msgid */
    };
    (void)state;
    for (size_t i = 0; i < LENGTH(odd); i++) {
        for (size_t piece = 1; piece <= odd[i].len; piece++) {
            struct msgpack_skip skip;
            size_t total;
            assert_int_equal(take(&skip, (const uint8_t *)odd[i].bytes, odd[i].len, piece, &total),
                             1);
            assert_int_equal(total, odd[i].len);
            assert_true(skip.has_event_id);
            assert_int_equal(skip.event_id, odd[i].id);
        }
    }
}

static void nothing_that_may_be_skipped(void **state) {
    static const struct {
        const char *bytes;
        size_t len;
        int error;
    } wrong[] = {
#define WRONG(bytes, error) {bytes, sizeof(bytes) - 1, error}
        WRONG("\x01", CODEC_E_SHAPE),
        WRONG("\x90", CODEC_E_SHAPE),         /* an empty list */
        WRONG("\x82\x00\x01", CODEC_E_SHAPE), /* a map with as much in it as a request */
        WRONG("\xdd\xff\xff\xff\xff\x00", CODEC_E_SHAPE),
        WRONG("\x94\x01\x01", CODEC_E_SHAPE),  /* an answer */
        WRONG("\x93\x00\x01", CODEC_E_SHAPE),  /* too short for a request */
        WRONG("\x94\x02\x01", CODEC_E_SHAPE),  /* too long for a notification */
        WRONG("\x94\x00\xa1x", CODEC_E_SHAPE), /* a msgid that is a text */
        WRONG("\x94\x00\xff", CODEC_E_SHAPE),  /* below 0 */
        WRONG("\x94\x00\xcf\x00\x00\x00\x01\x00\x00\x00\x00", CODEC_E_SHAPE), /* 2^32 */
        WRONG("\x94\x00\x01\xb2plugin.HandleEvent\x91", CODEC_E_SHAPE),
        WRONG("\x94\x00\x01\xaaplugin.Ste\x91", CODEC_E_SHAPE),
        WRONG("\x94\x00\x01\xa0\x91", CODEC_E_SHAPE),
        WRONG("\x94\x00\x01\xdb\xff\xff\xff\xff", CODEC_E_SHAPE),
        WRONG("\x94\x00\x01\xabplugin.Step\x91\xc1", CODEC_E_MALFORMED),
    };
    (void)state;
    for (size_t i = 0; i < LENGTH(wrong); i++) {
        for (size_t piece = 1; piece <= wrong[i].len; piece++) {
            struct msgpack_skip skip;
            size_t total;
            assert_int_equal(
                take(&skip, (const uint8_t *)wrong[i].bytes, wrong[i].len, piece, &total),
                wrong[i].error);
        }
    }
}

/* More values announced than can be counted: refused before the count is wrong. */
static void endless(void **state) {
    static const uint8_t list[] = {0xdd, 0xff, 0xff, 0xff, 0xff};
    struct msgpack_skip skip = {0};
    size_t used;
    int rc = 0;
    (void)state;
    assert_int_equal(msgpack_skip_take(&skip,
                                       (const uint8_t *)"\x94\x00\x01\xabplugin.Step\x91"
                                                        "\x81\xa4"
                                                        "Data",
                                       22, &used),
                     0);
    skip.left = ((uint64_t)1 << 62) - 10;
    rc = msgpack_skip_take(&skip, list, sizeof list, &used);
    assert_int_equal(rc, CODEC_E_LIMIT);
}

/* A Step without an id, or with one that is none: nobody's. */
static void no_event_id(void **state) {
    static const char *const texts[] = {"\x94\x00\x07\xabplugin.Step\x91\x81\xa7"
                                        "EventId\xa1x",
                                        "\x94\x00\x07\xabplugin.Step\x91\x81\xa7"
                                        "EventId\xff",
                                        "\x94\x00\x07\xabplugin.Step\x91\x81\xa1x\x01",
                                        "\x94\x00\x07\xabplugin.Step\x91\x80",
                                        "\x94\x00\x07\xabplugin.Step\x90",
                                        "\x94\x00\x07\xabplugin.Step\x81\xa7"
                                        "EventId\x05",
                                        "\x94\x00\x07\xabplugin.Step\x05"};
    static const size_t lens[] = {27, 26, 20, 17, 16, 25, 16};
    (void)state;
    for (size_t i = 0; i < LENGTH(texts); i++) {
        struct msgpack_skip skip;
        size_t total;
        assert_int_equal(take(&skip, (const uint8_t *)texts[i], lens[i], 4, &total), 1);
        assert_int_equal(total, lens[i]);
        assert_int_equal(skip.sequence, 7);
        assert_false(skip.has_event_id);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(steps),   TEST(odd_steps),   TEST(nothing_that_may_be_skipped),
        TEST(endless), TEST(no_event_id),
    };
    return cmocka_run_group_tests_name("test_msgpack_skip", tests, NULL, NULL);
}
