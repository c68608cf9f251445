/* The messages of every event, read and written in one pass: the same as by the general code. */
#include "msgpack_fixture.h"

#include "frame.h"
#include "msgpack_fast.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* Longer messages are not changed byte by byte. */
#define CHANGED_MOST 100

static char long_text[70000];

static struct kong_value text_of(size_t len) {
    memset(long_text, 'x', sizeof long_text);
    return kong_bytes(long_text, len);
}

/* --- what comes --- */

/* The fields that a command has: of a fast call, only those are filled. */
static struct rpc_call fields_of(const struct rpc_call *hot) {
    struct rpc_call call = {.command = hot->command,
                            .sequence = hot->sequence,
                            .notification = hot->notification,
                            .method = hot->method};
    if (hot->command == RPC_HANDLE_EVENT) {
        call.instance_id = hot->instance_id;
        call.event = hot->event;
    } else {
        call.event_id = hot->event_id;
        call.data = hot->data;
        call.error = hot->error;
        call.data_error = hot->data_error;
    }
    return call;
}

/* What the fast way says of these bytes, the general way says as well. True: the fast way knows
 * them. */
static bool holds(struct fixture *f, const uint8_t *data, size_t len, size_t limit) {
    struct rpc_call hot;
    struct rpc_call call;
    struct frame_reader reader;
    struct frame frame;
    struct codec_reason reason;
    size_t missing;
    memset(&hot, 0x5a, sizeof hot);
    size_t total = msgpack_fast_call(data, len, limit, &hot);
    if (total == 0) {
        return false;
    }
    frame_reader_init(&reader, PROTOCOL_MSGPACK, limit);
    assert_int_equal(frame_next(&reader, data, len, limit, &frame, &missing, &reason), 1);
    assert_int_equal(frame.total, total);
    assert_ptr_equal(frame.data, data);
    arena_reset(&f->arena);
    assert_int_equal(msgpack_decode_call(&f->arena, frame.data, frame.len, &call), CODEC_OK);
    hot = fields_of(&hot);
    assert_same_call(&hot, &call);
    return true;
}

/* The message in f->out is known, whole only; nothing that becomes of it by changing one byte or by
 * cutting it is taken for something else. */
static size_t check_request(struct fixture *f) {
    size_t len = f->out.len;
    size_t known = 0;
    uint8_t *data = malloc(len + 1); /* so that reading behind it is seen */
    assert_non_null(data);
    memcpy(data, f->out.data, len);
    assert_true(holds(f, data, len, LIMIT_FRAME));
    assert_true(holds(f, data, len, len));
    assert_false(holds(f, data, len, len - 1));
    data[len] = 0x94;
    assert_true(holds(f, data, len + 1, LIMIT_FRAME));
    free(data);
    for (size_t cut = 0; cut < len && len < CHANGED_MOST; cut++) {
        uint8_t *piece = malloc(cut == 0 ? 1 : cut);
        assert_non_null(piece);
        memcpy(piece, f->out.data, cut);
        assert_false(holds(f, piece, cut, LIMIT_FRAME));
        free(piece);
    }
    for (size_t at = 0; at < len && len < CHANGED_MOST; at++) {
        uint8_t was = f->out.data[at];
        for (unsigned byte = 0; byte < 256; byte++) {
            f->out.data[at] = (uint8_t)byte;
            known += holds(f, f->out.data, len, LIMIT_FRAME);
        }
        f->out.data[at] = was;
    }
    return known;
}

static void test_handle_event(void **state) {
    struct fixture *f = *state;
    static const int64_t numbers[] = {0, 127, 128, 255, 256, 65535, 65536, INT32_MAX, UINT32_MAX};
    for (size_t i = 0; i < COUNT(numbers); i++) {
        struct kong_pair pairs[] = {kong_pair("EventName", STR("header_filter")),
                                    kong_pair("InstanceId", NUM(numbers[COUNT(numbers) - 1 - i]))};
        struct kong_pair turned[] = {pairs[1], pairs[0]};
        struct kong_pair *orders[] = {pairs, turned};
        for (size_t order = 0; order < 2; order++) {
            struct kong_value argument = kong_map(orders[order], 2);
            pack(f, LIST(NUM(0), NUM(numbers[i]), STR("plugin.HandleEvent"), LIST(argument)));
            assert_true(check_request(f) > f->out.len);
        }
    }
}

static void test_step(void **state) {
    struct fixture *f = *state;
    const struct kong_value data[] = {
        kong_nil(),
        kong_boolean(false),
        kong_boolean(true),
        NUM(0),
        NUM(200),
        NUM(INT64_MAX),
        STR(""),
        STR("a value"),
        text_of(31),
        text_of(32),
        text_of(255),
        text_of(256),
        text_of(65535),
    };
    for (size_t i = 0; i < COUNT(data); i++) {
        struct kong_pair pairs[] = {kong_pair("EventId", NUM((int64_t)1 << 52 | (int64_t)i)),
                                    kong_pair("Data", data[i])};
        struct kong_pair turned[] = {pairs[1], pairs[0]};
        pack(f, LIST(NUM(0), NUM(70000), STR("plugin.Step"), LIST(kong_map(pairs, 2))));
        assert_true(check_request(f) > 0 || f->out.len >= CHANGED_MOST);
        pack(f, LIST(NUM(0), NUM(3), STR("plugin.Step"), LIST(kong_map(turned, 2))));
        assert_true(check_request(f) > 0 || f->out.len >= CHANGED_MOST);
        pack(f, LIST(NUM(0), NUM(3), STR("plugin.Step"), LIST(kong_map(pairs, 1))));
        assert_true(check_request(f) > 0);
    }
}

/* What stands behind a number that is too large is not taken for the value. */
static void test_value_behind_a_number(void **state) {
    static const uint8_t before[] = "\x94\x00\x07\xabplugin.Step\x91\x82\xa4"
                                    "Data\xcf\xff\xff\xff\xff\xff\xff\xff\xff";
    struct fixture *f = *state;
    buffer_append(&f->out, before, sizeof before - 1);
    buffer_append_text(&f->out, "\xa7"
                                "EventId");
    assert_false(holds(f, f->out.data, f->out.len, LIMIT_FRAME)); /* half a pair */
    buffer_append_text(&f->out, "\xa7"
                                "EventId\x05");
    assert_false(holds(f, f->out.data, f->out.len, LIMIT_FRAME));
}

/* All else is for the general code. */
static void test_what_is_left_alone(void **state) {
    struct fixture *f = *state;
    struct kong_pair id = kong_pair("EventId", NUM(5));
    const struct kong_value messages[] = {
        LIST(NUM(0), NUM(1), STR("plugin.StepMultiMap"), LIST(MAP(id))),
        LIST(NUM(0), NUM(1), STR("plugin.StepError"), LIST(MAP(id, kong_pair("Data", STR("no"))))),
        LIST(NUM(0), NUM(1), STR("plugin.Step"), LIST(MAP(id, id))),
        LIST(NUM(0), NUM(1), STR("plugin.Step"), LIST(MAP(kong_pair("Data", STR("x"))))),
        LIST(NUM(0), NUM(1), STR("plugin.Step"), LIST(MAP(id, kong_pair("Else", NUM(1))))),
        LIST(NUM(0), NUM(1), STR("plugin.Step"), LIST(MAP(id, kong_pair("Data", LIST(NUM(1)))))),
        LIST(NUM(0), NUM(1), STR("plugin.Step"), LIST(MAP(id, kong_pair("Data", NUM(-1))))),
        LIST(NUM(0), NUM(1), STR("plugin.Step"), LIST(MAP(id, kong_pair("Data", text_of(65536))))),
        LIST(NUM(0), NUM(1), STR("plugin.Step"), LIST(MAP(id), NUM(1))),
        LIST(NUM(0), NUM(1), STR("plugin.Step"), LIST(MAP(kong_pair("EventId", kong_number(5))))),
        LIST(NUM(0), NUM((int64_t)UINT32_MAX + 1), STR("plugin.Step"), LIST(MAP(id))),
        LIST(NUM(0), NUM(1), STR("plugin.GetStatus"), NO_ARGUMENTS),
        LIST(NUM(2), STR("plugin.HandleEvent"), MAP(id)),
        LIST(NUM(0), NUM(1), STR("plugin.HandleEvent"),
             LIST(MAP(kong_pair("EventName", STR("access")), kong_pair("InstanceId", NUM(-3))))),
        LIST(NUM(0), NUM(1), STR("plugin.HandleEvent"),
             LIST(MAP(kong_pair("EventName", kong_nil()), kong_pair("InstanceId", NUM(3))))),
    };
    struct rpc_call call;
    for (size_t i = 0; i < COUNT(messages); i++) {
        pack(f, messages[i]);
        assert_int_equal(msgpack_fast_call(f->out.data, f->out.len, LIMIT_FRAME, &call), 0);
    }
    assert_int_equal(msgpack_fast_call(NULL, 0, LIMIT_FRAME, &call), 0);
}

/* --- what goes --- */

/* The reply is the same as the value that it stands for, written by msgpack-c; `hot`: and written
 * here. */
static void check_reply(struct fixture *f, const struct rpc_reply *reply, bool hot) {
    struct buffer out;
    struct kong_pair call[] = {
        kong_pair("Method", kong_bytes(reply->method.data, reply->method.len)),
        kong_pair("Args", kong_list(reply->args, reply->arg_count))};
    bool ends = reply->kind == RPC_REPLY_RETURN;
    pack(f, LIST(NUM(1), NUM(reply->sequence), kong_nil(),
                 MAP(kong_pair("Data", ends ? STR("ret") : kong_map(call, 2)),
                     kong_pair("EventId", NUM((int64_t)reply->event_id)))));
    buffer_init(&out, LIMIT_OUT);
    buffer_append(&out, "before", 6);
    assert_int_equal(msgpack_fast_reply(&out, reply), hot);
    assert_false(out.failed);
    if (!hot) {
        assert_int_equal(out.len, 6);
        assert_int_equal(msgpack_encode_reply(&out, reply), CODEC_OK);
    }
    assert_int_equal(out.len, 6 + f->out.len);
    assert_memory_equal(out.data + 6, f->out.data, f->out.len);
    buffer_free(&out);
    /* room for what it takes, and for no byte more or less */
    buffer_init(&out, f->out.len);
    assert_int_equal(msgpack_encode_reply(&out, reply), CODEC_OK);
    assert_int_equal(out.len, f->out.len);
    assert_memory_equal(out.data, f->out.data, f->out.len);
    buffer_free(&out);
    buffer_init(&out, f->out.len - 1);
    assert_int_equal(msgpack_encode_reply(&out, reply), CODEC_E_NOMEM);
    assert_int_equal(out.len, 0);
    assert_false(out.failed);
    buffer_free(&out);
}

static void test_return(void **state) {
    static const int64_t numbers[] = {0,
                                      127,
                                      128,
                                      255,
                                      256,
                                      65535,
                                      65536,
                                      UINT32_MAX,
                                      INT32_MAX,
                                      (int64_t)1 << 32,
                                      (int64_t)1 << 52};
    for (size_t i = 0; i < COUNT(numbers); i++) {
        struct rpc_reply reply = {.kind = RPC_REPLY_RETURN,
                                  .sequence = numbers[i] & UINT32_MAX,
                                  .event_id = (uint64_t)numbers[i]};
        check_reply(*state, &reply, true);
    }
}

static void test_pdk_call(void **state) {
    static const size_t lengths[] = {0, 1, 31, 32, 255, 256, 65535};
    for (size_t i = 0; i < COUNT(lengths); i++) {
        struct kong_pair headers[] = {{text_of(lengths[i]).string, STR("v")},
                                      kong_pair("x-b", text_of(lengths[i]))};
        struct kong_value args[] = {
            text_of(lengths[i]),  kong_boolean(true), kong_boolean(false), NUM((int64_t)lengths[i]),
            kong_map(headers, 2), kong_map(NULL, 0),  NUM(INT64_MAX),      STR("end")};
        struct rpc_reply reply = {.kind = RPC_REPLY_PDK_CALL,
                                  .sequence = 9,
                                  .event_id = (uint64_t)1 << 50,
                                  .method = text_of(lengths[i]).string,
                                  .args = args};
        for (reply.arg_count = 0; reply.arg_count <= COUNT(args); reply.arg_count++) {
            check_reply(*state, &reply, true);
        }
    }
}

static void test_calls_that_are_left_to_the_general_code(void **state) {
    struct kong_value many[16];
    for (size_t i = 0; i < COUNT(many); i++) {
        many[i] = NUM((int64_t)i);
    }
    struct kong_pair deep = kong_pair("x", LIST(STR("a"), STR("b")));
    const struct kong_value args[] = {NUM(-1), kong_number(0.5), text_of(65536), LIST(STR("a")),
                                      kong_map(&deep, 1)};
    struct rpc_reply reply = {.kind = RPC_REPLY_PDK_CALL,
                              .method = kong_str("kong.response.exit"),
                              .args = many,
                              .arg_count = COUNT(many)};
    check_reply(*state, &reply, false);
    reply.arg_count = 1;
    for (size_t i = 0; i < COUNT(args); i++) {
        reply.args = &args[i];
        check_reply(*state, &reply, false);
    }
    struct fixture *f = *state;
    reply.args = many;
    reply.method = text_of(65536).string;
    check_reply(f, &reply, false);
    reply.method = (struct kong_str){NULL, 0};
    buffer_clear(&f->out, 0);
    assert_false(msgpack_fast_reply(&f->out, &reply));
    reply.method = kong_str("kong.response.exit");
    reply.sequence = (int64_t)UINT32_MAX + 1;
    assert_false(msgpack_fast_reply(&f->out, &reply));
    reply.sequence = -1;
    assert_false(msgpack_fast_reply(&f->out, &reply));
    reply.sequence = 1;
    reply.kind = RPC_REPLY_INSTANCE;
    assert_false(msgpack_fast_reply(&f->out, &reply));
    assert_int_equal(f->out.len, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_handle_event),
        TEST(test_step),
        TEST(test_value_behind_a_number),
        TEST(test_what_is_left_alone),
        TEST(test_return),
        TEST(test_pdk_call),
        TEST(test_calls_that_are_left_to_the_general_code),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
