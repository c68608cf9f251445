/* MsgPack:1: what Kong asks. */
#include "msgpack_fixture.h"

#include "frame.h"

/* A message made of a value, decoded as a call. */
static int decode_call(struct fixture *f, struct kong_value message, struct rpc_call *call) {
    pack(f, message);
    return msgpack_decode_call(&f->arena, f->out.data, f->out.len, call);
}

static void test_handle_event(void **state) {
    struct fixture *f = *state;
    struct rpc_call call;
    assert_int_equal(decode_call(f,
                                 LIST(NUM(0), NUM(7), STR("plugin.HandleEvent"),
                                      LIST(MAP(kong_pair("Later", LIST(NUM(1))),
                                               kong_pair("InstanceId", kong_number(2147483647)),
                                               kong_pair("EventName", STR("access"))))),
                                 &call),
                     CODEC_OK);
    assert_int_equal(call.command, RPC_HANDLE_EVENT);
    assert_int_equal(call.sequence, 7);
    assert_int_equal(call.instance_id, INT32_MAX);
    assert_str(call.event, "access");
    assert_str(call.method, "plugin.HandleEvent");
    /* nothing of it points into the message */
    memset(f->out.data, 0, f->out.len);
    assert_str(call.event, "access");
    assert_str(call.method, "plugin.HandleEvent");
}

static void test_commands(void **state) {
    struct fixture *f = *state;
    struct rpc_call call;
    assert_int_equal(decode_call(f,
                                 LIST(NUM(0), NUM(UINT32_MAX), STR("plugin.StartInstance"),
                                      LIST(MAP(kong_pair("Config", STR("{}")),
                                               kong_pair("Name", STR("api-version"))))),
                                 &call),
                     CODEC_OK);
    assert_int_equal(call.command, RPC_START_INSTANCE);
    assert_int_equal(call.sequence, UINT32_MAX);
    assert_str(call.name, "api-version");
    assert_str(call.config, "{}");

    static const struct {
        const char *method;
        enum rpc_command command;
    } ids[] = {{"plugin.InstanceStatus", RPC_INSTANCE_STATUS},
               {"plugin.CloseInstance", RPC_CLOSE_INSTANCE}};
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(
            decode_call(f, LIST(NUM(0), kong_number(3), STR(ids[i].method), LIST(NUM(-5), NUM(6))),
                        &call),
            CODEC_OK);
        assert_int_equal(call.command, ids[i].command);
        assert_int_equal(call.sequence, 3);
        assert_int_equal(call.instance_id, -5);
    }
    assert_int_equal(
        decode_call(f, LIST(NUM(0), NUM(0), STR("plugin.GetPluginInfo"), LIST(STR("api-version"))),
                    &call),
        CODEC_OK);
    assert_int_equal(call.command, RPC_PLUGIN_INFO);
    assert_str(call.name, "api-version");
    static const struct {
        const char *method;
        enum rpc_command command;
    } without[] = {{"plugin.GetPluginNames", RPC_PLUGIN_NAMES},
                   {"plugin.GetStatus", RPC_GET_STATUS}};
    for (size_t i = 0; i < 2; i++) {
        struct kong_value arguments[] = {NO_ARGUMENTS, LIST(NUM(1)), kong_nil(), kong_map(NULL, 0)};
        for (size_t j = 0; j < 4; j++) {
            assert_int_equal(
                decode_call(f, LIST(NUM(0), NUM(1), STR(without[i].method), arguments[j]), &call),
                CODEC_OK);
            assert_int_equal(call.command, without[i].command);
        }
    }
}

static void test_steps(void **state) {
    struct fixture *f = *state;
    struct rpc_call call;
    static const char *names[] = {"plugin.Step",         "plugin.StepCredential",
                                  "plugin.StepConsumer", "plugin.StepMemoryStats",
                                  "plugin.StepRoute",    "plugin.StepService",
                                  "plugin.StepMultiMap", "plugin.StepWhateverComesNext"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        assert_int_equal(decode_call(f,
                                     LIST(NUM(0), NUM(1), STR(names[i]),
                                          LIST(MAP(kong_pair("EventId", NUM(INT64_MAX)),
                                                   kong_pair("Data", LIST(STR("x")))))),
                                     &call),
                         CODEC_OK);
        memset(f->out.data, 0, f->out.len);
        assert_int_equal(call.command, RPC_STEP);
        assert_str(call.method, names[i]);
        assert_int_equal(call.event_id, INT64_MAX);
        assert_int_equal(call.data.list.count, 1);
        assert_str(call.data.list.items[0].string, "x");
        assert_null(call.error.data);
    }
    static const uint8_t above[] = "\x94\x00\x01\xabplugin.Step\x91\x81\xa7"
                                   "EventId\xcf\xff\xff\xff\xff\xff\xff\xff\xfe";
    assert_int_equal(msgpack_decode_call(&f->arena, above, sizeof above - 1, &call), CODEC_OK);
    assert_true(call.event_id == UINT64_MAX - 1);
    assert_int_equal(call.data.type, KONG_NIL);
    assert_int_equal(decode_call(f,
                                 LIST(NUM(0), NUM(1), STR("plugin.Step"),
                                      LIST(MAP(kong_pair("Data", kong_boolean(false)),
                                               kong_pair("EventId", NUM(0))))),
                                 &call),
                     CODEC_OK);
    assert_int_equal(call.data.type, KONG_BOOLEAN);
}

static void test_step_error(void **state) {
    struct fixture *f = *state;
    struct rpc_call call;
    assert_int_equal(decode_call(f,
                                 LIST(NUM(0), NUM(1), STR("plugin.StepError"),
                                      LIST(MAP(kong_pair("EventId", NUM(5)),
                                               kong_pair("Data", STR("it failed"))))),
                                 &call),
                     CODEC_OK);
    assert_int_equal(call.command, RPC_STEP);
    assert_str(call.error, "it failed");
    assert_int_equal(call.data.type, KONG_NIL);
    assert_int_equal(
        decode_call(f,
                    LIST(NUM(0), NUM(1), STR("plugin.StepError"),
                         LIST(MAP(kong_pair("EventId", NUM(5)), kong_pair("Data", LIST(NUM(1)))))),
                    &call),
        CODEC_OK);
    assert_str(call.error, "");
    assert_int_equal(call.data.type, KONG_LIST);
}

static void test_notifications(void **state) {
    struct fixture *f = *state;
    struct rpc_call call;
    struct kong_value id = NUM(9);
    for (int in_list = 0; in_list < 2; in_list++) {
        assert_int_equal(
            decode_call(f,
                        LIST(NUM(2), STR("plugin.CloseInstance"), in_list ? kong_list(&id, 1) : id),
                        &call),
            CODEC_OK);
        assert_true(call.notification);
        assert_int_equal(call.command, RPC_CLOSE_INSTANCE);
        assert_int_equal(call.instance_id, 9);
        assert_int_equal(call.sequence, -1);
    }
    struct rpc_call sent = {.command = RPC_CLOSE_INSTANCE, .notification = true, .instance_id = 4};
    buffer_clear(&f->out, 4096);
    assert_int_equal(msgpack_encode_call(&f->out, &sent), CODEC_OK);
    assert_int_equal(msgpack_decode_call(&f->arena, f->out.data, f->out.len, &call), CODEC_OK);
    assert_true(call.notification);
    assert_int_equal(call.instance_id, 4);
}

static void test_unknown_methods(void **state) {
    struct fixture *f = *state;
    struct rpc_call call;
    static const char *names[] = {"plugin.Ste", "plugin.handleEvent", "kong.log", "", "lugin.Step"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        assert_int_equal(
            decode_call(f, LIST(NUM(0), NUM(8), STR(names[i]), LIST(MAP(kong_pair("a", NUM(1))))),
                        &call),
            CODEC_OK);
        memset(f->out.data, 0, f->out.len);
        assert_int_equal(call.command, RPC_UNKNOWN);
        assert_int_equal(call.sequence, 8);
        assert_str(call.method, names[i]);
    }
}

/* A well-known method with an argument that is not its own can still be answered. */
static void test_wrong_arguments(void **state) {
    struct fixture *f = *state;
    struct rpc_call call;
    const struct {
        const char *method;
        struct kong_value arguments;
    } cases[] = {
        {"plugin.HandleEvent", NO_ARGUMENTS},
        {"plugin.HandleEvent", kong_nil()},
        {"plugin.HandleEvent", LIST(NUM(1))},
        {"plugin.HandleEvent", LIST(kong_map(NULL, 0))},
        {"plugin.HandleEvent", LIST(MAP(kong_pair("InstanceId", NUM(1))))},
        {"plugin.HandleEvent", LIST(MAP(kong_pair("EventName", STR("access"))))},
        {"plugin.HandleEvent",
         LIST(MAP(kong_pair("InstanceId", STR("1")), kong_pair("EventName", STR("access"))))},
        {"plugin.HandleEvent", LIST(MAP(kong_pair("InstanceId", kong_number(1.5)),
                                        kong_pair("EventName", STR("access"))))},
        {"plugin.HandleEvent",
         LIST(MAP(kong_pair("InstanceId", NUM(1)), kong_pair("EventName", kong_nil())))},
        {"plugin.Step", LIST(MAP(kong_pair("Data", NUM(1))))},
        {"plugin.Step", LIST(MAP(kong_pair("EventId", NUM(-1))))},
        {"plugin.Step", LIST(MAP(kong_pair("EventId", kong_number(0x1p70))))},
        {"plugin.StartInstance", LIST(MAP(kong_pair("Name", STR("x"))))},
        {"plugin.StartInstance", LIST(MAP(kong_pair("Config", STR("{}"))))},
        {"plugin.StartInstance",
         LIST(MAP(kong_pair("Name", STR("x")), kong_pair("Config", NUM(1))))},
        {"plugin.CloseInstance", LIST(STR("1"))},
        {"plugin.InstanceStatus", LIST(kong_boolean(true))},
        {"plugin.GetPluginInfo", LIST(kong_nil())},
        {"plugin.GetPluginInfo", LIST(NUM(1))},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int error =
            decode_call(f, LIST(NUM(0), NUM(6), STR(cases[i].method), cases[i].arguments), &call);
        if (error != CODEC_E_SHAPE) {
            fail_msg("case %zu: %s", i, codec_strerror(error));
        }
        assert_int_equal(call.sequence, 6);
        assert_str(call.method, cases[i].method);
    }
}

static void test_what_is_no_call(void **state) {
    struct fixture *f = *state;
    struct rpc_call call;
    const struct {
        struct kong_value message;
        int64_t sequence;
    } cases[] = {
        {NUM(0), -1},
        {kong_map(NULL, 0), -1},
        {NO_ARGUMENTS, -1},
        {LIST(NUM(0)), -1},
        {LIST(NUM(0), NUM(1), STR("plugin.Step")), -1},
        {LIST(NUM(0), NUM(1), STR("plugin.Step"), NO_ARGUMENTS, NUM(1)), -1},
        {LIST(NUM(0), STR("plugin.GetStatus"), NO_ARGUMENTS), -1},
        {LIST(NUM(2), STR("plugin.GetStatus"), NO_ARGUMENTS, NUM(1)), -1},
        {LIST(NUM(1), NUM(1), kong_nil(), kong_nil()), -1},
        {LIST(NUM(2), NUM(1), STR("plugin.Step"), NO_ARGUMENTS), -1},
        {LIST(NUM(3), NUM(1), STR("plugin.Step"), NO_ARGUMENTS), -1},
        {LIST(STR("0"), NUM(1), STR("plugin.Step"), NO_ARGUMENTS), -1},
        {LIST(NUM(0), NUM(-1), STR("plugin.Step"), NO_ARGUMENTS), -1},
        {LIST(NUM(0), NUM(1LL << 32), STR("plugin.Step"), NO_ARGUMENTS), -1},
        {LIST(NUM(0), kong_number(1.5), STR("plugin.Step"), NO_ARGUMENTS), -1},
        {LIST(NUM(0), STR("1"), STR("plugin.Step"), NO_ARGUMENTS), -1},
        {LIST(NUM(0), NUM(1), NUM(1), NO_ARGUMENTS), 1},
        {LIST(NUM(0), NUM(1), kong_nil(), NO_ARGUMENTS), 1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int error = decode_call(f, cases[i].message, &call);
        if (error != CODEC_E_SHAPE) {
            fail_msg("case %zu: %s", i, codec_strerror(error));
        }
        assert_int_equal(call.sequence, cases[i].sequence);
        assert_null(call.method.data);
    }
    /* one value behind the message */
    assert_int_equal(
        decode_call(f, LIST(NUM(0), NUM(1), STR("plugin.GetStatus"), NO_ARGUMENTS), &call),
        CODEC_OK);
    buffer_append_byte(&f->out, 0xc0);
    assert_int_equal(msgpack_decode_call(&f->arena, f->out.data, f->out.len, &call),
                     CODEC_E_MALFORMED);
    assert_int_equal(msgpack_decode_call(&f->arena, NULL, 0, &call), CODEC_E_MALFORMED);
}

static void test_calls_there_and_back(void **state) {
    struct fixture *f = *state;
    const struct rpc_call calls[] = {
        {.command = RPC_PLUGIN_NAMES},
        {.command = RPC_GET_STATUS, .sequence = UINT32_MAX},
        {.command = RPC_PLUGIN_INFO, .sequence = 1, .name = kong_str("api-version")},
        {.command = RPC_START_INSTANCE, .name = kong_str("x"), .config = kong_str("{\"a\":1}")},
        {.command = RPC_INSTANCE_STATUS, .instance_id = 5},
        {.command = RPC_CLOSE_INSTANCE, .instance_id = INT32_MIN},
        {.command = RPC_HANDLE_EVENT, .instance_id = 70000, .event = kong_str("response")},
        {.command = RPC_STEP, .event_id = UINT64_MAX, .data = kong_nil()},
        {.command = RPC_STEP, .event_id = 1, .data = kong_boolean(false)},
        {.command = RPC_STEP, .method = kong_str("plugin.StepRoute"), .data = STR("")},
        {.command = RPC_STEP, .error = kong_str("no")},
        {.command = RPC_STEP, .error = kong_str(""), .data = NUM(1)},
        {.command = RPC_UNKNOWN, .method = kong_str("plugin.New"), .data = NUM(5)},
    };
    for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++) {
        struct rpc_call call, expected = calls[i];
        buffer_clear(&f->out, 4096);
        assert_int_equal(msgpack_encode_call(&f->out, &calls[i]), CODEC_OK);
        assert_int_equal(msgpack_decode_call(&f->arena, f->out.data, f->out.len, &call), CODEC_OK);
        assert_non_null(call.method.data);
        expected.method = call.method;
        if (calls[i].method.data != NULL) {
            assert_same_str(call.method, calls[i].method);
        }
        if (calls[i].command == RPC_UNKNOWN) {
            expected.data = kong_nil(); /* not looked at */
        }
        assert_same_call(&call, &expected);
    }
    struct rpc_call call = {.command = RPC_GET_STATUS, .sequence = 1LL << 32};
    assert_int_equal(msgpack_encode_call(&f->out, &call), CODEC_E_SHAPE);
    call.sequence = -1;
    assert_int_equal(msgpack_encode_call(&f->out, &call), CODEC_E_SHAPE);
}

static void test_unknown_calls_carry_their_argument(void **state) {
    struct fixture *f = *state;
    static const char with[] = "\x94\x00\x00\xa1m\x91\x05", without[] = "\x94\x00\x00\xa1m\x90";
    struct rpc_call call = {.command = RPC_UNKNOWN, .method = kong_str("m"), .data = NUM(5)};
    assert_int_equal(msgpack_encode_call(&f->out, &call), CODEC_OK);
    assert_int_equal(f->out.len, sizeof with - 1);
    assert_memory_equal(f->out.data, with, sizeof with - 1);
    buffer_clear(&f->out, 0);
    call.data = kong_nil();
    assert_int_equal(msgpack_encode_call(&f->out, &call), CODEC_OK);
    assert_int_equal(f->out.len, sizeof without - 1);
    assert_memory_equal(f->out.data, without, sizeof without - 1);
}

/* Hot messages find all they need in the arena's first chunk. */
static void test_hot_calls_cost_little_memory(void **state) {
    struct fixture *f = *state;
    struct rpc_call call;
    assert_int_equal(decode_call(f,
                                 LIST(NUM(0), NUM(7), STR("plugin.HandleEvent"),
                                      LIST(MAP(kong_pair("InstanceId", NUM(1)),
                                               kong_pair("EventName", STR("access"))))),
                                 &call),
                     CODEC_OK);
    assert_int_equal(f->arena.used, sizeof "access");
    arena_reset(&f->arena);
    assert_int_equal(
        decode_call(f,
                    LIST(NUM(0), NUM(7), STR("plugin.Step"),
                         LIST(MAP(kong_pair("EventId", NUM(1)), kong_pair("Data", NUM(200))))),
                    &call),
        CODEC_OK);
    assert_int_equal(f->arena.used, 0);
}

/* Whatever the arena's limit: decoded, or out of memory. */
static void test_decoding_at_every_memory_limit(void **state) {
    struct fixture *f = *state;
    const struct kong_value messages[] = {
        LIST(NUM(0), NUM(1), STR("plugin.StepNew"),
             LIST(MAP(kong_pair("EventId", NUM(1)),
                      kong_pair("Data", MAP(kong_pair("k", LIST(STR("v")))))))),
        LIST(NUM(0), NUM(1), STR("plugin.HandleEvent"),
             LIST(MAP(kong_pair("InstanceId", NUM(1)), kong_pair("EventName", STR("log"))))),
        LIST(NUM(0), NUM(1), STR("plugin.StartInstance"),
             LIST(MAP(kong_pair("Name", STR("x")), kong_pair("Config", STR("{}"))))),
        LIST(NUM(0), NUM(1), STR("plugin.GetPluginInfo"), LIST(STR("x"))),
        LIST(NUM(0), NUM(1), STR("plugin.New"), LIST(STR("x"))),
    };
    for (size_t i = 0; i < sizeof messages / sizeof messages[0]; i++) {
        int error = CODEC_E_NOMEM;
        size_t limit = 0;
        pack(f, messages[i]);
        for (; error != CODEC_OK; limit++) {
            struct arena arena;
            struct rpc_call call;
            arena_init(&arena, limit);
            error = msgpack_decode_call(&arena, f->out.data, f->out.len, &call);
            assert_true(error == CODEC_OK || error == CODEC_E_NOMEM);
            arena_free(&arena);
        }
        assert_in_range(limit, 3, 500);
    }
}

/* A value may nest as deep in a Step as anywhere; frame_next lets it through. */
static void test_deepest_step(void **state) {
    struct fixture *f = *state;
    struct kong_value levels[LIMIT_NESTING + 2];
    levels[LIMIT_NESTING + 1] = NUM(1);
    for (size_t i = LIMIT_NESTING + 1; i > 0; i--) {
        levels[i - 1] = kong_list(&levels[i], 1);
    }
    struct rpc_call call = {.command = RPC_STEP, .data = levels[1]}, again;
    assert_int_equal(msgpack_encode_call(&f->out, &call), CODEC_OK);
    struct frame_reader reader;
    struct frame frame;
    struct codec_reason reason;
    size_t missing;
    frame_reader_init(&reader, PROTOCOL_MSGPACK, LIMIT_FRAME);
    assert_int_equal(
        frame_next(&reader, f->out.data, f->out.len, LIMIT_FRAME, &frame, &missing, &reason), 1);
    assert_int_equal(msgpack_decode_call(&f->arena, frame.data, frame.len, &again), CODEC_OK);
    assert_same_call(&again, &(struct rpc_call){.command = RPC_STEP,
                                                .method = kong_str("plugin.Step"),
                                                .data = levels[1]});
    call.data = levels[0];
    size_t len = f->out.len;
    assert_int_equal(msgpack_encode_call(&f->out, &call), CODEC_E_LIMIT);
    assert_int_equal(f->out.len, len);
    /* one level more, made by hand: the empty list inside becomes a list in a list */
    assert_int_equal(f->out.data[len - 1], 0x01);
    f->out.data[len - 1] = 0x90;
    assert_int_equal(msgpack_decode_call(&f->arena, f->out.data, len, &again), CODEC_OK);
    assert_same_call(&again, &(struct rpc_call){.command = RPC_STEP,
                                                .method = kong_str("plugin.Step"),
                                                .data_error = CODEC_E_LIMIT});
}

/* What another thread or process is told of a Step that was over a limit. */
static void test_step_too_big(void **state) {
    struct fixture *f = *state;
    struct rpc_call call = {.command = RPC_STEP,
                            .sequence = 5,
                            .event_id = 6,
                            .method = kong_str("plugin.StepError"),
                            .error = kong_str("message of so many bytes"),
                            .data_error = CODEC_E_LIMIT};
    struct rpc_call again;
    assert_int_equal(msgpack_encode_call(&f->out, &call), CODEC_OK);
    assert_int_equal(msgpack_decode_call(&f->arena, f->out.data, f->out.len, &again), CODEC_OK);
    assert_int_equal(again.data_error, CODEC_E_LIMIT);
    assert_int_equal(again.event_id, 6);
    assert_int_equal(again.data.type, KONG_NIL);
    assert_str(again.error, "");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_handle_event),
        TEST(test_commands),
        TEST(test_steps),
        TEST(test_step_error),
        TEST(test_notifications),
        TEST(test_unknown_methods),
        TEST(test_wrong_arguments),
        TEST(test_what_is_no_call),
        TEST(test_calls_there_and_back),
        TEST(test_unknown_calls_carry_their_argument),
        TEST(test_hot_calls_cost_little_memory),
        TEST(test_decoding_at_every_memory_limit),
        TEST(test_deepest_step),
        TEST(test_step_too_big),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
