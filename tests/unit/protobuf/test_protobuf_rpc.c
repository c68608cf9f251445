/* ProtoBuf:1's commands and answers, there and back; what is written by hand against protobuf-c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdlib.h>

#include "protobuf_fixture.h"
#include "sim_reply.h"
#include "value.h"
#include "value_equal.h"

/* --- Commands ------------------------------------------------------------------------- */

static void assert_text(struct kong_str actual, const char *expected) {
    assert_non_null(actual.data);
    assert_int_equal(actual.len, strlen(expected));
    assert_string_equal(actual.data, expected);
}

static const struct rpc_call calls[] = {
    {.command = RPC_UNKNOWN, .sequence = 1},
    {.command = RPC_PLUGIN_NAMES, .sequence = 0},
    {.command = RPC_PLUGIN_INFO, .sequence = 7, .name = {"api-version", 11}},
    {.command = RPC_START_INSTANCE,
     .sequence = INT64_MAX,
     .name = {"api-version", 11},
     .config = {"{\"a\":\"\"}", 8}},
    {.command = RPC_START_INSTANCE, .sequence = 3},
    {.command = RPC_INSTANCE_STATUS, .sequence = -1, .instance_id = INT32_MAX},
    {.command = RPC_CLOSE_INSTANCE, .sequence = INT64_MIN, .instance_id = -5},
    {.command = RPC_HANDLE_EVENT, .sequence = 128, .instance_id = 300, .event = {"access", 6}},
    {.command = RPC_HANDLE_EVENT, .sequence = 128},
};

static void test_calls(void **state) {
    struct fixture *fixture = *state;

    for (size_t i = 0; i < LENGTH(calls); i++) {
        const struct rpc_call *call = &calls[i];
        struct rpc_call decoded;
        size_t offset = 0;

        buffer_clear(&fixture->out, SIZE_MAX);
        assert_int_equal(protobuf_encode_call(&fixture->out, call), CODEC_OK);
        struct kong_str frame = take_frame(&fixture->out, &offset);
        assert_true(repacks(&kong_plugin_protocol__rpc_call__descriptor, frame));
        memset(&decoded, 0xa5, sizeof(decoded));
        assert_int_equal(
            protobuf_decode_call(&fixture->arena, bytes_of(frame), frame.len, &decoded), CODEC_OK);
        assert_int_equal(decoded.command, call->command);
        assert_int_equal(decoded.sequence, call->sequence);
        assert_int_equal(decoded.instance_id, call->instance_id);
        assert_true(kong_str_equal(decoded.name, call->name));
        assert_true(kong_str_equal(decoded.config, call->config));
        assert_true(kong_str_equal(decoded.event, call->event));
        assert_text(decoded.method, "");
        assert_false(decoded.notification);
        assert_null(decoded.error.data);
        assert_int_equal(decoded.data.type, KONG_NIL);
    }
}

static int decode_call(struct fixture *fixture, const char *bytes, size_t len,
                       struct rpc_call *call) {
    return protobuf_decode_call(&fixture->arena, (const uint8_t *)bytes, len, call);
}

#define DECODE_CALL(fixture, text, call) decode_call(fixture, text, sizeof(text) - 1, call)

static void test_call_order(void **state) {
    struct fixture *fixture = *state;
    struct rpc_call call;

    /* the command first, its fields the other way round, unknown fields of every type between */
    assert_int_equal(DECODE_CALL(fixture,
                                 "\xa2\x02\x0f\x12\x06"
                                 "access\x18\x05\x22\x01x\x08\x02"
                                 "\x50\x01\x59"
                                 "12345678\x62\x02hi\x6d"
                                 "1234\x08\x03",
                                 &call),
                     CODEC_OK);
    assert_int_equal(call.command, RPC_HANDLE_EVENT);
    assert_int_equal(call.sequence, 3);
    assert_int_equal(call.instance_id, 2);
    assert_text(call.event, "access");

    /* of two commands the last one counts, with nothing left of the first */
    assert_int_equal(DECODE_CALL(fixture,
                                 "\x08\x01\xa2\x02\x0a\x08\x02\x12\x06"
                                 "access\x9a\x02\x02\x08\x07\x08\x09",
                                 &call),
                     CODEC_OK);
    assert_int_equal(call.command, RPC_CLOSE_INSTANCE);
    assert_int_equal(call.sequence, 9);
    assert_int_equal(call.instance_id, 7);
    assert_text(call.event, "");
    assert_int_equal(DECODE_CALL(fixture, "\xa2\x02\x02\x08\x02\xa2\x02\x00", &call), CODEC_OK);
    assert_int_equal(call.instance_id, 0);

    /* a command of a newer Kong */
    assert_int_equal(DECODE_CALL(fixture, "\x08\x01\xaa\x02\x02\x08\x02", &call), CODEC_OK);
    assert_int_equal(call.command, RPC_UNKNOWN);
    assert_int_equal(call.sequence, 1);
    assert_text(call.method, "");
    assert_int_equal(decode_call(fixture, NULL, 0, &call), CODEC_OK);
    assert_int_equal(call.command, RPC_UNKNOWN);

    /* known fields of another wire type */
    assert_int_equal(DECODE_CALL(fixture, "\x0a\x00", &call), CODEC_E_MALFORMED);
    assert_int_equal(DECODE_CALL(fixture, "\xa0\x02\x01", &call), CODEC_E_MALFORMED);
    assert_int_equal(DECODE_CALL(fixture, "\xa2\x02\x02\x10\x02", &call), CODEC_E_MALFORMED);
    assert_int_equal(DECODE_CALL(fixture, "\xa2\x02\x02\x0a\x00", &call), CODEC_E_MALFORMED);
    /* a tag and a length of six bytes: protobuf-c reads five */
    assert_int_equal(DECODE_CALL(fixture, "\x88\x80\x80\x80\x80\x00\x01", &call),
                     CODEC_E_MALFORMED);
    assert_int_equal(DECODE_CALL(fixture, "\x88\x80\x80\x80\x00\x01", &call), CODEC_OK);
    assert_int_equal(call.sequence, 1);
    assert_int_equal(DECODE_CALL(fixture, "\x62\x81\x80\x80\x80\x80\x00x", &call),
                     CODEC_E_MALFORMED);
    /* a group, the field 0, a number that is too large, a varint without end */
    assert_int_equal(DECODE_CALL(fixture, "\x53\x54", &call), CODEC_E_MALFORMED);
    assert_int_equal(DECODE_CALL(fixture, "\x00\x01", &call), CODEC_E_MALFORMED);
    assert_int_equal(DECODE_CALL(fixture, "\xf8\xff\xff\xff\x1f\x01", &call), CODEC_E_MALFORMED);
    assert_int_equal(DECODE_CALL(fixture, "\xf8\xff\xff\xff\x0f\x01", &call),
                     CODEC_OK); /* it is not */
    assert_int_equal(
        DECODE_CALL(fixture, "\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", &call),
        CODEC_E_MALFORMED);
    assert_int_equal(DECODE_CALL(fixture, "\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", &call),
                     CODEC_OK);
    assert_int_equal(call.sequence, -1);
}

static void assert_event(struct kong_str frame, const struct rpc_call *call) {
    struct rpc_call decoded;

    assert_true(protobuf_decode_event(bytes_of(frame), frame.len, &decoded));
    assert_int_equal(decoded.command, RPC_HANDLE_EVENT);
    assert_int_equal(decoded.sequence, call->sequence);
    assert_int_equal(decoded.instance_id, call->instance_id);
    assert_ptr_not_equal(decoded.event.data, call->event.data);
    assert_true(kong_str_equal(decoded.event, call->event));
}

/* The call that stands before every event is known at a glance, whatever bytes its numbers take. */
static void test_events(void **state) {
    static const int64_t numbers[] = {0,     1,       127,           128,           255,
                                      16383, 16384,   16384 + 16383, (1 << 21) - 1, 1 << 21,
                                      70000, 1 << 28, INT32_MAX};
    struct fixture *fixture = *state;

    for (size_t i = 0; i < LENGTH(numbers) * LENGTH(numbers); i++) {
        struct rpc_call call = {.command = RPC_HANDLE_EVENT,
                                .sequence = numbers[i / LENGTH(numbers)],
                                .instance_id = numbers[i % LENGTH(numbers)],
                                .event = {"access", 6}};
        struct rpc_call decoded;
        size_t offset = 0;

        buffer_clear(&fixture->out, SIZE_MAX);
        arena_reset(&fixture->arena);
        assert_int_equal(protobuf_encode_call(&fixture->out, &call), CODEC_OK);
        struct kong_str frame = take_frame(&fixture->out, &offset);
        assert_event(frame, &call);
        assert_int_equal(
            protobuf_decode_call(&fixture->arena, bytes_of(frame), frame.len, &decoded), CODEC_OK);
        assert_int_equal(decoded.sequence, call.sequence);
        assert_int_equal(decoded.instance_id, call.instance_id);
        assert_true(kong_str_equal(decoded.event, call.event));
    }
}

/* Whatever comes instead of an event is left to the general code, and nothing is read behind its
 * end: each piece of an event, each byte another one, in memory of its own. */
static void test_events_and_others(void **state) {
    static const char *const events[] = {
        "\x08\xf0\xa2\x04\xa2\x02\x0e\x08\x95\x9a\xef\xba\x01\x12\x06"
        "access",
        "\xa2\x02\x0e\x12\x06"
        "access\x08\x95\x9a\xef\xba\x01\x08\xf0\xa2\x04"};
    struct fixture *fixture = *state;

    for (size_t i = 0; i < 2 * 22 * 256; i++) {
        size_t len = strlen(events[i & 1]);
        size_t cut = i % 3 == 0 ? (i / 2) % (len + 1) : len;
        uint8_t *bytes = malloc(cut == 0 ? 1 : cut);
        struct rpc_call quick, decoded;

        assert_non_null(bytes);
        memcpy(bytes, events[i & 1], cut);
        if (cut > 0 && i >= 100) {
            bytes[(i / 2 / 256) % cut] = (uint8_t)(i / 2);
        }
        memset(&quick, 0xa5, sizeof quick);
        bool is_event = protobuf_decode_event(bytes, cut, &quick);
        int rc = protobuf_decode_call(&fixture->arena, bytes, cut, &decoded);
        if (is_event) {
            assert_int_equal(rc, CODEC_OK);
            assert_int_equal(decoded.command, RPC_HANDLE_EVENT);
            assert_int_equal(quick.command, decoded.command);
            assert_int_equal(quick.sequence, decoded.sequence);
            assert_int_equal(quick.instance_id, decoded.instance_id);
            assert_true(kong_str_equal(quick.event, decoded.event));
        }
        assert_true(is_event || cut < len || i >= 100);
        arena_reset(&fixture->arena);
        free(bytes);
    }
}

/* A short CmdHandleEvent that stands first is left to the general code: nothing is read before the
 * first byte. */
static void test_short_events_first(void **state) {
    static const char event[] = "\x08\x05\x08\x06\x08\x07";
    static const char rest[] = "\x08\x01\x08\x02";
    struct fixture *fixture = *state;

    for (uint8_t len = 0; len < sizeof event; len += 2) {
        const uint8_t head[] = {0xa2, 0x02, len};
        size_t size = sizeof head + len + sizeof rest - 1;
        uint8_t *bytes = malloc(size);
        struct rpc_call quick, decoded;

        assert_non_null(bytes);
        memcpy(bytes, head, sizeof head);
        memcpy(bytes + sizeof head, event, len);
        memcpy(bytes + sizeof head + len, rest, sizeof rest - 1);
        bool is_event = protobuf_decode_event(bytes, size, &quick);
        assert_int_equal(is_event, sizeof head + len >= 8);
        assert_int_equal(protobuf_decode_call(&fixture->arena, bytes, size, &decoded), CODEC_OK);
        assert_int_equal(decoded.sequence, 2);
        assert_int_equal(decoded.instance_id, len == 0 ? 0 : 4 + len / 2);
        free(bytes);
    }
}

/* A message in a oneof twice: the last one counts, whole, at a glance too. */
static void test_two_events(void **state) {
    static const char two[] = "\x08\x07\xa2\x02\x0a\x08\x05\x12\x06"
                              "access\xa2\x02\x05\x12\x03log";
    struct fixture *fixture = *state;
    struct rpc_call quick, decoded;
    size_t len = sizeof two - 1;

    assert_true(protobuf_decode_event((const uint8_t *)two, len, &quick));
    assert_int_equal(protobuf_decode_call(&fixture->arena, (const uint8_t *)two, len, &decoded),
                     CODEC_OK);
    assert_int_equal(decoded.sequence, 7);
    assert_int_equal(decoded.instance_id, 0);
    assert_true(kong_str_equal(decoded.event, kong_str("log")));
    assert_int_equal(quick.sequence, 7);
    assert_int_equal(quick.instance_id, 0);
    assert_true(kong_str_equal(quick.event, decoded.event));
}

static void test_call_misfits(void **state) {
    struct fixture *fixture = *state;
    struct rpc_call step = {.command = RPC_STEP};
    struct rpc_call wide_id = {.command = RPC_CLOSE_INSTANCE,
                               .instance_id = (int64_t)INT32_MAX + 1};

    assert_int_equal(protobuf_encode_call(&fixture->out, &step), CODEC_E_SHAPE);
    assert_int_equal(protobuf_encode_call(&fixture->out, &wide_id), CODEC_E_SHAPE);
    assert_int_equal(fixture->out.len, 0);
}

/* --- Headers that are merged ------------------------------------------------------------ */

static void put_header(struct buffer *out, const char *name, const char *value) {
    struct kong_value args[] = {kong_string(name), kong_string(value)};

    assert_int_equal(protobuf_encode_pdk_call(out, &pdk_methods[PDK_RESPONSE_SET_HEADER], args, 2),
                     CODEC_OK);
}

static bool merge_header(struct buffer *out, size_t from, uint32_t *names, const char *name,
                         const char *value) {
    return protobuf_merge_header(out, from, names, &pdk_methods[PDK_RESPONSE_SET_HEADER],
                                 &pdk_methods[PDK_RESPONSE_SET_HEADERS], kong_str(name),
                                 kong_str(value));
}

/* The bytes are those that protobuf-c makes of the map, behind other frames too. */
static void test_merged_headers(void **state) {
    struct fixture *fixture = *state;
    char value[400];
    uint32_t names = 0;
    size_t offset = 0;

    memset(value, 'v', sizeof value);
    value[sizeof value - 1] = '\0';
    put_header(&fixture->out, "Other", "o");
    size_t from = fixture->out.len;
    put_header(&fixture->out, "A", value);
    assert_true(merge_header(&fixture->out, from, &names, "B", ""));
    assert_true(merge_header(&fixture->out, from, &names, "C", value));
    assert_false(merge_header(&fixture->out, from, &names, "b", "again"));
    take_frame(&fixture->out, &offset);
    take_frame(&fixture->out, &offset);
    assert_int_equal(offset, from);
    assert_true(
        kong_str_equal(take_frame(&fixture->out, &offset), kong_str("kong.response.set_headers")));
    struct kong_str content = take_frame(&fixture->out, &offset);
    assert_int_equal(offset, fixture->out.len);
    assert_true(repacks(&kong_plugin_protocol__struct__descriptor, content));
    KongPluginProtocol__Struct *map =
        kong_plugin_protocol__struct__unpack(NULL, content.len, bytes_of(content));
    assert_non_null(map);
    assert_int_equal(map->n_fields, 3);
    assert_memory_equal(map->fields[1]->key.data, "B", 1);
    assert_int_equal(map->fields[1]->value->string_value.len, 0);
    assert_int_equal(map->fields[2]->value->string_value.len, strlen(value));
    kong_plugin_protocol__struct__free_unpacked(map, NULL);
}

/* Without memory for one more nothing has changed. */
static void test_merged_without_room(void **state) {
    struct fixture *fixture = *state;

    put_header(&fixture->out, "A", "1");
    for (size_t room = 0; room < 20; room++) {
        struct buffer out;
        uint32_t names = 0;
        buffer_init(&out, fixture->out.len + room);
        put_header(&out, "A", "1");
        bool merged = merge_header(&out, 0, &names, "B", "2");
        assert_int_equal(merged, room >= 13);
        assert_false(out.failed);
        assert_int_equal(names != 0, merged);
        if (!merged) {
            assert_int_equal(out.len, fixture->out.len);
            assert_memory_equal(out.data, fixture->out.data, out.len);
        }
        buffer_free(&out);
    }
}

/* --- Answers --------------------------------------------------------------------------- */

static void round_trip(struct fixture *fixture, const struct rpc_reply *reply,
                       struct rpc_reply *decoded) {
    size_t offset = 0;

    buffer_clear(&fixture->out, SIZE_MAX);
    assert_int_equal(protobuf_encode_reply(&fixture->out, reply), CODEC_OK);
    struct kong_str frame = take_frame(&fixture->out, &offset);
    assert_int_equal(offset, fixture->out.len);
    assert_true(repacks(&kong_plugin_protocol__rpc_return__descriptor, frame));
    assert_int_equal(
        sim_protobuf_decode_reply(&fixture->arena, bytes_of(frame), frame.len, decoded), CODEC_OK);
    assert_int_equal(decoded->kind, reply->kind);
    assert_int_equal(decoded->sequence, reply->sequence);
}

static void test_replies(void **state) {
    static const struct kong_str names[] = {{"api-version", 11}, {"", 0}, {"b", 1}};
    static const int64_t sequences[] = {0, 1, 127, 128, 16383, 16384, INT64_MAX, -1, INT64_MIN};
    struct fixture *fixture = *state;
    struct rpc_reply reply = {.kind = RPC_REPLY_RETURN};
    struct rpc_reply decoded;
    size_t count;

    for (size_t i = 0; i < LENGTH(sequences); i++) {
        reply.sequence = sequences[i];
        round_trip(fixture, &reply, &decoded);
    }

    reply =
        (struct rpc_reply){.kind = RPC_REPLY_NAMES, .sequence = 4, .names = names, .name_count = 3};
    round_trip(fixture, &reply, &decoded);
    assert_int_equal(decoded.name_count, 3);
    for (size_t i = 0; i < 3; i++) {
        assert_true(kong_str_equal(decoded.names[i], names[i]));
    }
    reply.name_count = 0;
    round_trip(fixture, &reply, &decoded);
    assert_int_equal(decoded.name_count, 0);

    reply = (struct rpc_reply){.kind = RPC_REPLY_INFO,
                               .sequence = 5,
                               .info = {.name = names[0],
                                        .version = {"0.1.0", 5},
                                        .priority = -10,
                                        .phases = names,
                                        .phase_count = 2,
                                        .schema = {"{}", 2},
                                        .updated_at = 1795374237,
                                        .loaded_at = INT64_MIN}};
    round_trip(fixture, &reply, &decoded);
    assert_text(decoded.info.name, "api-version");
    assert_text(decoded.info.version, "0.1.0");
    assert_text(decoded.info.schema, "{}");
    assert_int_equal(decoded.info.priority, -10);
    assert_int_equal(decoded.info.phase_count, 2);
    assert_text(decoded.info.phases[0], "api-version");
    assert_int_equal(decoded.info.updated_at, 1795374237);
    assert_int_equal(decoded.info.loaded_at, INT64_MIN);

    const struct kong_value *configs = sample_results(PDK_RESULT_VALUE, &count);
    for (size_t i = 0; i < count; i++) {
        reply = (struct rpc_reply){.kind = RPC_REPLY_INSTANCE,
                                   .sequence = 6,
                                   .instance = {.name = names[0],
                                                .id = INT32_MAX,
                                                .config = configs[i],
                                                .started_at = 1795374239.75}};
        round_trip(fixture, &reply, &decoded);
        assert_text(decoded.instance.name, "api-version");
        assert_int_equal(decoded.instance.id, INT32_MAX);
        assert_true(decoded.instance.started_at == 1795374239.0);
        assert_true(value_equal(&decoded.instance.config, &configs[i]));
    }
}

static void test_reply_misfits(void **state) {
    static const enum rpc_reply_kind kinds[] = {RPC_REPLY_PDK_CALL, RPC_REPLY_STATUS,
                                                RPC_REPLY_ERROR};
    static const double times[] = {1e300, -1e300, (double)INFINITY, (double)NAN};
    struct fixture *fixture = *state;

    for (size_t i = 0; i < LENGTH(kinds); i++) {
        struct rpc_reply reply = {.kind = kinds[i]};

        assert_int_equal(protobuf_encode_reply(&fixture->out, &reply), CODEC_E_SHAPE);
    }
    for (size_t i = 0; i < LENGTH(times); i++) {
        struct rpc_reply reply = {.kind = RPC_REPLY_INSTANCE, .instance.started_at = times[i]};

        assert_int_equal(protobuf_encode_reply(&fixture->out, &reply), CODEC_E_SHAPE);
    }
    assert_int_equal(fixture->out.len, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_calls),          TEST(test_call_order),
        TEST(test_two_events),     TEST(test_short_events_first),
        TEST(test_replies),        TEST(test_reply_misfits),
        TEST(test_events),         TEST(test_events_and_others),
        TEST(test_merged_headers), TEST(test_merged_without_room),
        TEST(test_call_misfits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
