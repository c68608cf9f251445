/* MsgPack:1: what Kong is told. */
#include "msgpack_fixture.h"

#include "frame.h"
#include "sim_reply.h"
#include "value_equal.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void assert_bytes(const struct fixture *f, const char *bytes, size_t len) {
    assert_int_equal(f->out.len, len);
    assert_memory_equal(f->out.data, bytes, len);
}

#define BYTES(text) text, sizeof(text) - 1

/* Encoded alone, then decoded as the answer to `asked`. */
static int there_and_back(struct fixture *f, const struct rpc_reply *reply, enum rpc_command asked,
                          struct rpc_reply *again) {
    buffer_clear(&f->out, 4096);
    assert_int_equal(msgpack_encode_reply(&f->out, reply), CODEC_OK);
    return sim_msgpack_decode_reply(&f->arena, f->out.data, f->out.len, asked, again);
}

static void test_return(void **state) {
    struct fixture *f = *state;
    struct rpc_reply again, reply = {.kind = RPC_REPLY_RETURN, .sequence = 4, .event_id = 9};
    assert_int_equal(there_and_back(f, &reply, RPC_STEP, &again), CODEC_OK);
    assert_bytes(f, BYTES("\x94\x01\x04\xc0\x82\xa4"
                          "Data\xa3ret\xa7"
                          "EventId\x09"));
    assert_int_equal(again.kind, RPC_REPLY_RETURN);
    assert_int_equal(again.sequence, 4);
    assert_int_equal(again.event_id, 9);
    reply.event_id = UINT64_MAX;
    assert_int_equal(there_and_back(f, &reply, RPC_HANDLE_EVENT, &again), CODEC_OK);
    assert_true(again.event_id == UINT64_MAX);
}

static void test_pdk_call(void **state) {
    struct fixture *f = *state;
    struct kong_value args[] = {STR("Version"), STR("0.1")};
    struct rpc_reply again, reply = {.kind = RPC_REPLY_PDK_CALL,
                                     .sequence = UINT32_MAX,
                                     .event_id = 1,
                                     .method = kong_str("kong.response.set_header"),
                                     .args = args,
                                     .arg_count = 2};
    assert_int_equal(there_and_back(f, &reply, RPC_HANDLE_EVENT, &again), CODEC_OK);
    assert_bytes(f, BYTES("\x94\x01\xce\xff\xff\xff\xff\xc0\x82\xa4"
                          "Data\x82\xa6Method\xb8kong.response.set_header\xa4"
                          "Args\x92\xa7Version\xa3"
                          "0.1\xa7"
                          "EventId\x01"));
    assert_same_reply(&reply, &again);
    memset(f->out.data, 0, f->out.len);
    assert_str(again.method, "kong.response.set_header"); /* with a memory of its own */
    reply.arg_count = 0;
    assert_int_equal(there_and_back(f, &reply, RPC_HANDLE_EVENT, &again), CODEC_OK);
    assert_int_equal(again.arg_count, 0);
}

/* The last of two counts, and nothing of the first is left. */
static void test_data_twice(void **state) {
    struct fixture *f = *state;
    static const char returns[] = "\x94\x01\x04\xc0\x82\xa4"
                                  "Data\x82\xa6Method\xa6kong.a\xa4"
                                  "Args\x91\x07\xa4"
                                  "Data\xa3ret";
    static const char calls[] = "\x94\x01\x04\xc0\x82\xa4"
                                "Data\x82\xa6Method\xa6kong.a\xa4"
                                "Args\x91\x07\xa4"
                                "Data\x81\xa6Method\xa6kong.b";
    static const char nothing[] = "\x94\x01\x04\xc0\x82\xa4"
                                  "Data\x81\xa6Method\xa6kong.a\xa4"
                                  "Data\x80";
    struct rpc_reply reply;
    assert_int_equal(
        sim_msgpack_decode_reply(&f->arena, (const uint8_t *)BYTES(returns), RPC_STEP, &reply),
        CODEC_OK);
    assert_int_equal(reply.kind, RPC_REPLY_RETURN);
    assert_null(reply.method.data);
    assert_int_equal(reply.arg_count, 0);
    assert_int_equal(
        sim_msgpack_decode_reply(&f->arena, (const uint8_t *)BYTES(calls), RPC_STEP, &reply),
        CODEC_OK);
    assert_int_equal(reply.kind, RPC_REPLY_PDK_CALL);
    assert_str(reply.method, "kong.b");
    assert_int_equal(reply.arg_count, 0);
    assert_int_equal(
        sim_msgpack_decode_reply(&f->arena, (const uint8_t *)BYTES(nothing), RPC_STEP, &reply),
        CODEC_E_SHAPE);
}

/* Lua's unpack cuts a list at its first nil. */
static void test_nils_in_arguments(void **state) {
    struct fixture *f = *state;
    struct kong_value nil = kong_nil();
    const struct {
        struct kong_value args, sent;
    } cases[] = {
        {LIST(nil), NO_ARGUMENTS},
        {LIST(NUM(1), nil, nil), LIST(NUM(1))},
        {LIST(nil, NUM(1)), LIST(STR(""), NUM(1))},
        {LIST(NUM(1), nil, STR("x"), nil), LIST(NUM(1), STR(""), STR("x"))},
        {LIST(LIST(nil, nil)), LIST(NO_ARGUMENTS)},
        {LIST(LIST(nil, NUM(2), nil)), LIST(LIST(STR(""), NUM(2)))},
        {LIST(MAP(kong_pair("a", nil), kong_pair("b", LIST(NUM(1), nil)), kong_pair("c", nil))),
         LIST(MAP(kong_pair("b", LIST(NUM(1)))))},
        {LIST(MAP(kong_pair("a", nil))), LIST(kong_map(NULL, 0))},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct rpc_reply again, reply = {.kind = RPC_REPLY_PDK_CALL,
                                         .method = kong_str("kong.log"),
                                         .args = cases[i].args.list.items,
                                         .arg_count = cases[i].args.list.count};
        assert_int_equal(there_and_back(f, &reply, RPC_STEP, &again), CODEC_OK);
        struct kong_value sent = kong_list(again.args, again.arg_count);
        if (!value_equal(&sent, &cases[i].sent)) {
            fail_msg("case %zu", i);
        }
    }
}

static void test_instance(void **state) {
    struct fixture *f = *state;
    static const enum rpc_command asked[] = {RPC_START_INSTANCE, RPC_INSTANCE_STATUS,
                                             RPC_CLOSE_INSTANCE};
    struct rpc_reply again,
        reply = {.kind = RPC_REPLY_INSTANCE,
                 .sequence = 1,
                 .instance = {.name = kong_str("api-version"),
                              .id = INT32_MAX,
                              .config = MAP(kong_pair("version", STR("0.1")),
                                            kong_pair("request_header", kong_nil())),
                              .started_at = 1795374100.58}};
    for (size_t i = 0; i < COUNT(asked); i++) {
        assert_int_equal(there_and_back(f, &reply, asked[i], &again), CODEC_OK);
        assert_same_reply(&reply, &again);
    }
    reply.instance.config = kong_nil();
    assert_int_equal(there_and_back(f, &reply, RPC_START_INSTANCE, &again), CODEC_OK);
    assert_int_equal(again.instance.config.type, KONG_NIL);
}

static void test_names_and_info(void **state) {
    struct fixture *f = *state;
    struct kong_str names[] = {kong_str("api-version"), kong_str("b")};
    struct rpc_reply again, reply = {.kind = RPC_REPLY_NAMES, .names = names, .name_count = 2};
    assert_int_equal(there_and_back(f, &reply, RPC_PLUGIN_NAMES, &again), CODEC_OK);
    assert_int_equal(again.kind, RPC_REPLY_NAMES);
    assert_int_equal(again.name_count, 2);
    assert_str(again.names[0], "api-version");
    assert_str(again.names[1], "b");

    struct kong_str phases[] = {kong_str("access"), kong_str("response")};
    reply = (struct rpc_reply){.kind = RPC_REPLY_INFO,
                               .info = {.name = names[0],
                                        .version = kong_str("0.1"),
                                        .priority = -5,
                                        .phases = phases,
                                        .phase_count = 2,
                                        .schema = kong_str("{}"),
                                        .updated_at = 1795374098,
                                        .loaded_at = 1795374099}};
    assert_int_equal(there_and_back(f, &reply, RPC_PLUGIN_INFO, &again), CODEC_OK);
    assert_int_equal(again.kind, RPC_REPLY_INFO);
    assert_str(again.info.name, "api-version");
    assert_str(again.info.version, "0.1");
    assert_int_equal(again.info.priority, -5);
    assert_int_equal(again.info.phase_count, 2);
    assert_str(again.info.phases[0], "access");
    assert_str(again.info.phases[1], "response");
    assert_str(again.info.schema, "{}");
    assert_int_equal(again.info.updated_at, 1795374098);
    assert_int_equal(again.info.loaded_at, 1795374099);
}

static void test_status_and_error(void **state) {
    struct fixture *f = *state;
    struct rpc_reply again,
        reply = {.kind = RPC_REPLY_STATUS, .status = MAP(kong_pair("Pid", NUM(1)))};
    assert_int_equal(there_and_back(f, &reply, RPC_GET_STATUS, &again), CODEC_OK);
    assert_int_equal(again.kind, RPC_REPLY_STATUS);
    assert_true(value_equal(&again.status, &reply.status));

    reply = (struct rpc_reply){.kind = RPC_REPLY_ERROR, .sequence = 3, .error = kong_str("no")};
    for (int asked = RPC_UNKNOWN; asked <= RPC_GET_STATUS; asked++) {
        assert_int_equal(there_and_back(f, &reply, (enum rpc_command)asked, &again), CODEC_OK);
        assert_int_equal(again.kind, RPC_REPLY_ERROR);
        assert_int_equal(again.sequence, 3);
        assert_str(again.error, "no");
    }
    assert_bytes(f, BYTES("\x94\x01\x03\xa2no\xc0"));
    reply.error = (struct kong_str){NULL, 0}; /* an error is never nil on the wire */
    assert_int_equal(there_and_back(f, &reply, RPC_STEP, &again), CODEC_OK);
    assert_int_equal(again.kind, RPC_REPLY_ERROR);
}

static void test_what_is_no_reply(void **state) {
    struct fixture *f = *state;
    struct kong_value nil = kong_nil(), event = NUM(1);
    const struct {
        struct kong_value message;
        enum rpc_command asked;
    } cases[] = {
        {NUM(1), RPC_STEP},
        {LIST(NUM(1), NUM(1), nil), RPC_GET_STATUS},
        {LIST(NUM(1), NUM(1), nil, nil, nil), RPC_GET_STATUS},
        {LIST(NUM(0), NUM(1), nil, nil), RPC_GET_STATUS},
        {LIST(NUM(1), NUM(-1), nil, nil), RPC_GET_STATUS},
        {LIST(NUM(1), NUM(1LL << 32), nil, nil), RPC_GET_STATUS},
        {LIST(NUM(1), NUM(1), NUM(5), nil), RPC_GET_STATUS}, /* an error that is no string */
        {LIST(NUM(2), STR("serverPid"), NUM(5)), RPC_GET_STATUS},
        {LIST(NUM(1), NUM(1), nil, nil), RPC_STEP},
        {LIST(NUM(1), NUM(1), nil, MAP(kong_pair("EventId", event))), RPC_STEP},
        {LIST(NUM(1), NUM(1), nil, MAP(kong_pair("Data", nil))), RPC_STEP},
        {LIST(NUM(1), NUM(1), nil, MAP(kong_pair("Data", STR("retry")))), RPC_STEP},
        {LIST(NUM(1), NUM(1), nil, MAP(kong_pair("Data", kong_map(NULL, 0)))), RPC_STEP},
        {LIST(
             NUM(1), NUM(1), nil,
             MAP(kong_pair("Data", MAP(kong_pair("Method", STR("m")), kong_pair("Args", NUM(1)))))),
         RPC_STEP},
        {LIST(NUM(1), NUM(1), nil, MAP(kong_pair("Id", NUM(1LL << 31)))), RPC_START_INSTANCE},
        {LIST(NUM(1), NUM(1), nil, MAP(kong_pair("StartTime", STR("1")))), RPC_START_INSTANCE},
        {LIST(NUM(1), NUM(1), nil, LIST(NUM(1))), RPC_PLUGIN_NAMES},
        {LIST(NUM(1), NUM(1), nil, LIST(nil)), RPC_PLUGIN_NAMES},
        {LIST(NUM(1), NUM(1), nil, nil), RPC_PLUGIN_NAMES},
        {LIST(NUM(1), NUM(1), nil, LIST(nil)), RPC_PLUGIN_INFO},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct rpc_reply reply;
        pack(f, cases[i].message);
        int error =
            sim_msgpack_decode_reply(&f->arena, f->out.data, f->out.len, cases[i].asked, &reply);
        if (error != CODEC_E_SHAPE) {
            fail_msg("case %zu: %s", i, codec_strerror(error));
        }
    }
    struct rpc_reply reply;
    pack(f, LIST(NUM(1), NUM(1), nil, nil));
    buffer_append_byte(&f->out, 0xc0);
    assert_int_equal(
        sim_msgpack_decode_reply(&f->arena, f->out.data, f->out.len, RPC_GET_STATUS, &reply),
        CODEC_E_MALFORMED);
}

static void test_server_pid(void **state) {
    struct fixture *f = *state;
    int64_t pid = 0;
    assert_int_equal(msgpack_encode_server_pid(&f->out, 70000), CODEC_OK);
    assert_bytes(f, BYTES("\x93\x02\xa9serverPid\xce\x00\x01\x11\x70"));
    assert_true(msgpack_decode_server_pid(f->out.data, f->out.len, &pid));
    assert_int_equal(pid, 70000);
    const struct kong_value others[] = {
        NUM(1),
        LIST(NUM(2), STR("serverPid"), STR("1")),
        LIST(NUM(2), STR("serverpid"), NUM(1)),
        LIST(NUM(2), kong_nil(), NUM(1)),
        LIST(NUM(1), STR("serverPid"), NUM(1)),
        LIST(NUM(2), STR("serverPid"), NUM(1), NUM(1)),
    };
    for (size_t i = 0; i < COUNT(others); i++) {
        pack(f, others[i]);
        assert_false(msgpack_decode_server_pid(f->out.data, f->out.len, &pid));
    }
}

/* Whatever the limit of `out`: a whole message, or what was there before. */
static void test_encoding_at_every_limit(void **state) {
    struct fixture *f = *state;
    struct kong_value args[] = {STR("X-One"), LIST(STR("a"), MAP(kong_pair("k", NUM(300))))};
    struct rpc_reply reply = {.kind = RPC_REPLY_PDK_CALL,
                              .sequence = 1,
                              .method = kong_str("kong.response.set_header"),
                              .args = args,
                              .arg_count = 2};
    struct rpc_call call = {.command = RPC_STEP, .data = args[1]};
    assert_int_equal(msgpack_encode_reply(&f->out, &reply), CODEC_OK);
    size_t reply_len = f->out.len;
    buffer_clear(&f->out, 0);
    assert_int_equal(msgpack_encode_call(&f->out, &call), CODEC_OK);
    size_t call_len = f->out.len;
    for (size_t limit = 3; limit <= reply_len + 3; limit++) {
        struct buffer out;
        buffer_init(&out, limit);
        buffer_append(&out, "abc", 3);
        bool fits = limit >= reply_len + 3;
        assert_int_equal(msgpack_encode_reply(&out, &reply), fits ? CODEC_OK : CODEC_E_NOMEM);
        assert_int_equal(out.len, fits ? reply_len + 3 : 3);
        assert_memory_equal(out.data, "abc", 3);
        assert_false(out.failed);
        buffer_truncate(&out, 3);
        fits = limit >= call_len + 3;
        assert_int_equal(msgpack_encode_call(&out, &call), fits ? CODEC_OK : CODEC_E_NOMEM);
        assert_int_equal(out.len, fits ? call_len + 3 : 3);
        assert_false(out.failed);
        buffer_free(&out);
    }
    /* what had failed before stays failed */
    struct buffer out;
    buffer_init(&out, 1);
    buffer_append(&out, "ab", 2);
    assert_int_equal(msgpack_encode_reply(&out, &reply), CODEC_E_NOMEM);
    assert_true(out.failed);
    assert_int_equal(out.len, 0);
    buffer_free(&out);
    reply.sequence = -1;
    assert_int_equal(msgpack_encode_reply(&f->out, &reply), CODEC_E_SHAPE);
    reply.sequence = 1LL << 32;
    assert_int_equal(msgpack_encode_reply(&f->out, &reply), CODEC_E_SHAPE);
}

static void test_decoding_at_every_memory_limit(void **state) {
    struct fixture *f = *state;
    const struct {
        struct kong_value result;
        enum rpc_command asked;
    } cases[] = {
        {MAP(kong_pair("Data",
                       MAP(kong_pair("Method", STR("m")), kong_pair("Args", LIST(STR("a"))))),
             kong_pair("EventId", NUM(1))),
         RPC_STEP},
        {MAP(kong_pair("Name", STR("n")), kong_pair("Config", MAP(kong_pair("k", STR("v"))))),
         RPC_START_INSTANCE},
        {LIST(STR("a"), STR("b")), RPC_PLUGIN_NAMES},
        {MAP(kong_pair("Phases", LIST(STR("access"))), kong_pair("Schema", STR("{}"))),
         RPC_PLUGIN_INFO},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        int error = CODEC_E_NOMEM;
        size_t limit = 0;
        pack(f, LIST(NUM(1), NUM(1), kong_nil(), cases[i].result));
        for (; error != CODEC_OK; limit++) {
            struct arena arena;
            struct rpc_reply reply;
            arena_init(&arena, limit);
            error =
                sim_msgpack_decode_reply(&arena, f->out.data, f->out.len, cases[i].asked, &reply);
            assert_true(error == CODEC_OK || error == CODEC_E_NOMEM);
            arena_free(&arena);
        }
        assert_in_range(limit, 3, 500);
    }
}

/* Each argument may nest as deep as a value may; frame_next and the decoder take it. */
static void test_deepest_argument(void **state) {
    struct fixture *f = *state;
    struct kong_value levels[LIMIT_NESTING + 2];
    levels[LIMIT_NESTING + 1] = NUM(1);
    for (size_t i = LIMIT_NESTING + 1; i > 0; i--) {
        levels[i - 1] = kong_list(&levels[i], 1);
    }
    struct rpc_reply again, reply = {.kind = RPC_REPLY_PDK_CALL,
                                     .method = kong_str("kong.ctx.shared.set"),
                                     .args = &levels[1],
                                     .arg_count = 1};
    assert_int_equal(there_and_back(f, &reply, RPC_STEP, &again), CODEC_OK);
    assert_same_reply(&reply, &again);
    struct frame_reader reader;
    struct frame frame;
    struct codec_reason reason;
    size_t missing, len = f->out.len;
    frame_reader_init(&reader, PROTOCOL_MSGPACK, LIMIT_FRAME);
    assert_int_equal(frame_next(&reader, f->out.data, len, LIMIT_FRAME, &frame, &missing, &reason),
                     1);
    assert_int_equal(frame.len, len);
    reply.args = &levels[0];
    assert_int_equal(msgpack_encode_reply(&f->out, &reply), CODEC_E_LIMIT);
    assert_int_equal(f->out.len, len);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_return),
        TEST(test_pdk_call),
        TEST(test_data_twice),
        TEST(test_nils_in_arguments),
        TEST(test_instance),
        TEST(test_names_and_info),
        TEST(test_status_and_error),
        TEST(test_what_is_no_reply),
        TEST(test_server_pid),
        TEST(test_encoding_at_every_limit),
        TEST(test_decoding_at_every_memory_limit),
        TEST(test_deepest_argument),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
