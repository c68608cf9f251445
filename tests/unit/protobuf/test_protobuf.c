/* PDK calls by ProtoBuf:1: every method's arguments and results there and back, and what is written
 * by hand against protobuf-c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "protobuf_fixture.h"
#include "sim_protobuf.h"
#include "value.h"
#include "value_equal.h"

/* --- PDK calls --------------------------------------------------------------------- */

static void check_args(struct fixture *fixture, const struct pdk_method *method,
                       const struct args_sample *sample) {
    const ProtobufCMessageDescriptor *type = args_message_of(method->args);
    const struct kong_value expected = kong_list(sample->args, sample->count);
    struct kong_value decoded;
    size_t offset = 0;

    buffer_clear(&fixture->out, SIZE_MAX);
    assert_int_equal(protobuf_encode_pdk_call(&fixture->out, method, sample->args, sample->count),
                     CODEC_OK);
    assert_true(kong_str_equal(take_frame(&fixture->out, &offset), method->name));
    struct kong_str frame = take_frame(&fixture->out, &offset);
    assert_int_equal(offset, fixture->out.len);
    if (type == NULL) {
        assert_int_equal(frame.len, 0);
    } else {
        assert_true(repacks(type, frame));
    }
    assert_int_equal(
        sim_protobuf_decode_args(&fixture->arena, method, bytes_of(frame), frame.len, &decoded),
        CODEC_OK);
    assert_true(value_equal(&decoded, &expected));
}

static void test_args(void **state) {
    struct fixture *fixture = *state;
    size_t checked = 0;

    for (size_t i = 0; i < PDK_COUNT; i++) {
        const struct pdk_method *method = &pdk_methods[i];
        size_t count;
        const struct args_sample *samples = sample_args(method->args, &count);

        if (method->flags & PDK_MSGPACK_ONLY) {
            continue;
        }
        assert_true(count > 0);
        for (size_t k = 0; k < count; k++) {
            check_args(fixture, method, &samples[k]);
        }
        checked++;
    }
    assert_int_equal(checked, 74);
}

static void check_result(struct fixture *fixture, const struct pdk_method *method,
                         const struct kong_value *sample) {
    const ProtobufCMessageDescriptor *type = result_message_of(method->result);
    struct kong_value decoded;
    size_t offset = 0;

    buffer_clear(&fixture->out, SIZE_MAX);
    assert_int_equal(sim_protobuf_encode_result(&fixture->out, method, sample), CODEC_OK);
    struct kong_str frame = take_frame(&fixture->out, &offset);
    assert_int_equal(offset, fixture->out.len);
    /* a false that is written although it is the default is Kong's, not protobuf-c's */
    if (type != NULL && method->result != PDK_RESULT_BOOL) {
        assert_true(repacks(type, frame));
    }
    if (sample->type == KONG_NIL && method->result != PDK_RESULT_VALUE) {
        assert_int_equal(frame.len, 0);
    }
    assert_int_equal(
        protobuf_decode_pdk_result(&fixture->arena, method, bytes_of(frame), frame.len, &decoded),
        CODEC_OK);
    assert_int_equal(decoded.type == KONG_NIL, sample->type == KONG_NIL);
    assert_true(value_equal(&decoded, sample));
}

static void test_results(void **state) {
    struct fixture *fixture = *state;
    size_t checked = 0;

    for (size_t i = 0; i < PDK_COUNT; i++) {
        const struct pdk_method *method = &pdk_methods[i];
        size_t count;
        const struct kong_value *samples = sample_results(method->result, &count);

        if (method->flags & PDK_MSGPACK_ONLY) {
            continue;
        }
        assert_true(count > 0);
        for (size_t k = 0; k < count; k++) {
            check_result(fixture, method, &samples[k]);
        }
        checked++;
    }
    assert_int_equal(checked, 74);
}

static void test_msgpack_only(void **state) {
    struct fixture *fixture = *state;
    struct kong_value nil = kong_nil();

    for (size_t i = 0; i < PDK_COUNT; i++) {
        const struct pdk_method *method = &pdk_methods[i];
        struct kong_value decoded;

        if (!(method->flags & PDK_MSGPACK_ONLY)) {
            continue;
        }
        assert_int_equal(protobuf_encode_pdk_call(&fixture->out, method, NULL, 0), CODEC_E_SHAPE);
        assert_int_equal(sim_protobuf_encode_result(&fixture->out, method, &nil), CODEC_E_SHAPE);
        assert_int_equal(sim_protobuf_decode_args(&fixture->arena, method, NULL, 0, &decoded),
                         CODEC_E_SHAPE);
        assert_int_equal(protobuf_decode_pdk_result(&fixture->arena, method, NULL, 0, &decoded),
                         CODEC_E_SHAPE);
    }
    assert_int_equal(fixture->out.len, 0);
}

static void assert_bytes(const struct buffer *out, const char *expected, size_t len) {
    assert_int_equal(out->len, len);
    assert_memory_equal(out->data, expected, len);
}

#define ASSERT_BYTES(out, text) assert_bytes(out, text, sizeof(text) - 1)

/* The bytes that go-pdk sent to Kong 3.9.1 for the same calls. */
static void test_known_bytes(void **state) {
    struct fixture *fixture = *state;
    struct buffer *out = &fixture->out;
    const struct kong_value header[] = {STRING("Version"), STRING("0.1")};
    const struct kong_value max = INTEGER(100);
    const struct kong_value log[] = {STRING("hello from go"), INTEGER(1), BOOLEAN(true)};
    struct rpc_reply done = {.kind = RPC_REPLY_RETURN, .sequence = 3};

    assert_int_equal(
        protobuf_encode_pdk_call(out, &pdk_methods[PDK_RESPONSE_SET_HEADER], header, 2), CODEC_OK);
    assert_int_equal(protobuf_encode_empty(out), CODEC_OK);
    assert_int_equal(protobuf_encode_reply(out, &done), CODEC_OK);
    ASSERT_BYTES(out, "\x18\0\0\0kong.response.set_header"
                      "\x10\0\0\0\x0a\x07Version\x12\x05\x1a\x03"
                      "0.1"
                      "\0\0\0\0"
                      "\x02\0\0\0\x08\x03");

    buffer_clear(out, 0);
    assert_int_equal(protobuf_encode_pdk_call(out, &pdk_methods[PDK_REQUEST_GET_HEADERS], &max, 1),
                     CODEC_OK);
    ASSERT_BYTES(out, "\x18\0\0\0kong.request.get_headers\x02\0\0\0\x08\x64");

    buffer_clear(out, 0);
    assert_int_equal(protobuf_encode_pdk_call(out, &pdk_methods[PDK_LOG_INFO], log, 3), CODEC_OK);
    ASSERT_BYTES(out, "\x0d\0\0\0kong.log.info\x20\0\0\0"
                      "\x0a\x0f\x1a\x0dhello from go"
                      "\x0a\x09\x11\0\0\0\0\0\0\xf0\x3f"
                      "\x0a\x02\x20\x01");

    buffer_clear(out, 0);
    assert_int_equal(protobuf_encode_method_error(out, kong_str("no plugin instance")), CODEC_OK);
    ASSERT_BYTES(out, "\x12\0\0\0no plugin instance\0\0\0\0");
}

/* What Kong writes for values that are hard to tell apart. */
static void test_known_results(void **state) {
    struct fixture *fixture = *state;
    struct buffer *out = &fixture->out;
    const struct kong_value no = BOOLEAN(false);
    const struct kong_value zero = INTEGER(0);
    const struct kong_value empty = STRING("");
    const struct kong_value nil = NIL;
    struct kong_value value;

    assert_int_equal(sim_protobuf_encode_result(out, &pdk_methods[PDK_IP_IS_TRUSTED], &no), 0);
    ASSERT_BYTES(out, "\x02\0\0\0\x08\0");
    buffer_clear(out, 0);
    assert_int_equal(sim_protobuf_encode_result(out, &pdk_methods[PDK_CLIENT_GET_PORT], &zero), 0);
    assert_int_equal(sim_protobuf_encode_result(out, &pdk_methods[PDK_CLIENT_GET_IP], &empty), 0);
    ASSERT_BYTES(out, "\0\0\0\0\0\0\0\0");
    buffer_clear(out, 0);
    assert_int_equal(sim_protobuf_encode_result(out, &pdk_methods[PDK_CTX_SHARED_GET], &nil), 0);
    ASSERT_BYTES(out, "\x02\0\0\0\x08\x01");

    /* a list and a struct without content stay apart; a number without fraction is an integer */
    const struct pdk_method *get = &pdk_methods[PDK_CTX_SHARED_GET];
    assert_int_equal(
        protobuf_decode_pdk_result(&fixture->arena, get, (const uint8_t *)"\x32\0", 2, &value), 0);
    assert_int_equal(value.type, KONG_LIST);
    assert_int_equal(
        protobuf_decode_pdk_result(&fixture->arena, get, (const uint8_t *)"\x2a\0", 2, &value), 0);
    assert_int_equal(value.type, KONG_MAP);
    assert_int_equal(
        protobuf_decode_pdk_result(&fixture->arena, get, (const uint8_t *)"\x20\0", 2, &value), 0);
    assert_int_equal(value.type, KONG_BOOLEAN);
    assert_false(value.boolean);
    assert_int_equal(protobuf_decode_pdk_result(&fixture->arena, get,
                                                (const uint8_t *)"\x11\0\0\0\0\0\0\xf0\x3f", 9,
                                                &value),
                     0);
    assert_int_equal(value.type, KONG_INTEGER);
    assert_int_equal(value.integer, 1);
    assert_int_equal(protobuf_decode_pdk_result(&fixture->arena, get,
                                                (const uint8_t *)"\x11\0\0\0\0\0\0\xf8\x7f", 9,
                                                &value),
                     0);
    assert_int_equal(value.type, KONG_NUMBER); /* not a number */
}

/* A double tells integers apart up to 2^53: from there on a number is a number. */
static void test_large_numbers(void **state) {
    static const struct {
        double number;
        enum kong_type type;
    } numbers[] = {
        {9007199254740992.0, KONG_INTEGER},
        {-9007199254740992.0, KONG_INTEGER},
        {9007199254740994.0, KONG_NUMBER},
        {-9007199254740994.0, KONG_NUMBER},
        {0.5, KONG_NUMBER},
        {0.0, KONG_INTEGER},
        {1e308, KONG_NUMBER},
    };
    struct fixture *fixture = *state;
    const struct pdk_method *get = &pdk_methods[PDK_CTX_SHARED_GET];

    for (size_t i = 0; i < LENGTH(numbers); i++) {
        const struct kong_value sent = kong_number(numbers[i].number);
        struct kong_value value;
        size_t offset = 0;

        buffer_clear(&fixture->out, SIZE_MAX);
        assert_int_equal(sim_protobuf_encode_result(&fixture->out, get, &sent), CODEC_OK);
        struct kong_str frame = take_frame(&fixture->out, &offset);
        assert_int_equal(
            protobuf_decode_pdk_result(&fixture->arena, get, bytes_of(frame), frame.len, &value),
            CODEC_OK);
        assert_int_equal(value.type, numbers[i].type);
        assert_true(value_equal(&value, &sent));
    }
}

/* Lua's tables hold no nil; in a list its place is kept, by a Value of no kind. */
static void test_nil_inside(void **state) {
    static const struct kong_pair pairs[] = {PAIR("gone", NIL), PAIR("k", INTEGER(0))};
    static const struct kong_value items[] = {NIL, BOOLEAN(true)};
    struct fixture *fixture = *state;
    const struct kong_value map = MAP(pairs);
    const struct kong_value list = LIST(items);
    const struct pdk_method *get = &pdk_methods[PDK_CTX_SHARED_GET];

    assert_int_equal(sim_protobuf_encode_result(&fixture->out, get, &map), CODEC_OK);
    ASSERT_BYTES(&fixture->out, "\x12\0\0\0\x2a\x10\x0a\x0e\x0a\x01k\x12\x09\x11\0\0\0\0\0\0\0\0");
    buffer_clear(&fixture->out, 0);
    assert_int_equal(sim_protobuf_encode_result(&fixture->out, get, &list), CODEC_OK);
    ASSERT_BYTES(&fixture->out, "\x08\0\0\0\x32\x06\x0a\0\x0a\x02\x20\x01");
}

/* Strings that are handed out have a NUL behind them. */
static void test_closing_nul(void **state) {
    struct fixture *fixture = *state;
    const uint8_t text[] = {0x0a, 3, 'a', 'b', 'c', 0x12, 1, 'x'};
    const uint8_t table[] = {0x0a, 9, 0x0a, 2, 'k', 'k', 0x12, 3, 0x1a, 1, 'v', 0x7f, 0x7f};
    struct kong_value value;

    assert_int_equal(protobuf_decode_pdk_result(&fixture->arena, &pdk_methods[PDK_CLIENT_GET_IP],
                                                text, sizeof(text), &value),
                     CODEC_OK);
    assert_string_equal(value.string.data, "abc");
    assert_int_equal(protobuf_decode_pdk_result(&fixture->arena,
                                                &pdk_methods[PDK_REQUEST_GET_HEADERS], table,
                                                sizeof(table) - 2, &value),
                     CODEC_OK);
    assert_int_equal(value.map.count, 1);
    assert_string_equal(value.map.pairs[0].key.data, "kk");
    assert_string_equal(value.map.pairs[0].value.string.data, "v");
}

struct misfit {
    enum pdk_id id;
    struct kong_value args[3];
    size_t count;
};

static const struct kong_pair unknown_field[] = {PAIR("idd", STRING("x"))};
static const struct kong_pair wrong_type[] = {PAIR("id", INTEGER(1))};
static const struct kong_pair wrong_tags[] = {PAIR("tags", STRING("x"))};
static const struct kong_value one_number[] = {INTEGER(1)};
static const struct kong_pair wrong_tag[] = {PAIR("tags", LIST(one_number))};

static const struct misfit misfits[] = {
    {PDK_REQUEST_GET_METHOD, {STRING("x")}, 1},
    {PDK_REQUEST_GET_HEADER, {INTEGER(1)}, 1},
    {PDK_REQUEST_GET_HEADER, {NIL}, 0},
    {PDK_REQUEST_GET_HEADER, {STRING("a"), STRING("b")}, 2},
    {PDK_REQUEST_GET_HEADERS, {NIL}, 0},
    {PDK_REQUEST_GET_HEADERS, {INTEGER((int64_t)INT32_MAX + 1)}, 1},
    {PDK_REQUEST_GET_HEADERS, {INTEGER((int64_t)INT32_MIN - 1)}, 1},
    {PDK_REQUEST_GET_HEADERS, {NUMBER(1.5)}, 1},
    {PDK_REQUEST_GET_HEADERS, {STRING("1")}, 1},
    {PDK_CLIENT_GET_PROTOCOL, {INTEGER(1)}, 1},
    {PDK_RESPONSE_SET_HEADER, {NIL, STRING("v")}, 2},
    {PDK_RESPONSE_SET_HEADER, {LIST(one_number), LIST(one_number)}, 2},
    {PDK_RESPONSE_SET_HEADER, {STRING("k"), STRING("v"), STRING("w")}, 3},
    {PDK_RESPONSE_SET_HEADERS, {{.type = KONG_LIST}}, 1},
    {PDK_RESPONSE_SET_HEADERS, {NIL}, 0},
    {PDK_SERVICE_REQUEST_SET_RAW_BODY, {NIL}, 0},
    {PDK_RESPONSE_EXIT, {NIL}, 0},
    {PDK_RESPONSE_EXIT, {INTEGER(200), INTEGER(1)}, 2},
    {PDK_RESPONSE_EXIT, {INTEGER(200), NIL, STRING("x")}, 3},
    {PDK_SERVICE_SET_TARGET, {STRING("h"), STRING("80")}, 2},
    {PDK_SERVICE_SET_TARGET, {STRING("h")}, 1},
    {PDK_SERVICE_SET_TARGET, {INTEGER(1), INTEGER(80)}, 2},
    {PDK_CLIENT_LOAD_CONSUMER, {NIL, BOOLEAN(true)}, 2},
    {PDK_CLIENT_LOAD_CONSUMER, {STRING("x"), INTEGER(1)}, 2},
    {PDK_CLIENT_AUTHENTICATE, {STRING("x")}, 1},
    {PDK_CLIENT_AUTHENTICATE, {MAP(unknown_field)}, 1},
    {PDK_CLIENT_AUTHENTICATE, {MAP(wrong_type)}, 1},
    {PDK_CLIENT_AUTHENTICATE, {MAP(wrong_tags)}, 1},
    {PDK_CLIENT_AUTHENTICATE, {MAP(wrong_tag)}, 1},
    {PDK_CLIENT_AUTHENTICATE, {NIL, MAP(wrong_type)}, 2},
};

static void test_misfits(void **state) {
    struct fixture *fixture = *state;

    for (size_t i = 0; i < LENGTH(misfits); i++) {
        const struct misfit *misfit = &misfits[i];
        int error = protobuf_encode_pdk_call(&fixture->out, &pdk_methods[misfit->id], misfit->args,
                                             misfit->count);

        if (error != CODEC_E_SHAPE) {
            fail_msg("misfit %zu of %s: %d", i, pdk_methods[misfit->id].name.data, error);
        }
        assert_int_equal(fixture->out.len, 0);
    }
    assert_int_equal(protobuf_encode_method_error(&fixture->out, kong_str("")), CODEC_E_SHAPE);
}

/* Beside the one integer that is written by hand (get_headers): one among other arguments. */
static void test_integers_of_32_bits(void **state) {
    static const int64_t fit[] = {INT32_MIN, -1, 0, INT32_MAX};
    static const int64_t too_wide[] = {(int64_t)INT32_MIN - 1, (int64_t)INT32_MAX + 1, INT64_MIN,
                                       INT64_MAX};
    struct fixture *fixture = *state;

    for (size_t i = 0; i < LENGTH(fit); i++) {
        const struct kong_value good = INTEGER(fit[i]);
        const struct kong_value bad = INTEGER(too_wide[i]);

        buffer_clear(&fixture->out, SIZE_MAX);
        assert_int_equal(
            protobuf_encode_pdk_call(&fixture->out, &pdk_methods[PDK_RESPONSE_EXIT], &bad, 1),
            CODEC_E_SHAPE);
        assert_int_equal(fixture->out.len, 0);
        assert_int_equal(
            protobuf_encode_pdk_call(&fixture->out, &pdk_methods[PDK_RESPONSE_EXIT], &good, 1),
            CODEC_OK);
    }
}

static const struct kong_pair two_bodies[] = {PAIR("content", STRING("a")),
                                              PAIR("error", STRING("b"))};
static const struct kong_pair wide[] = {PAIR("port", INTEGER((int64_t)1 << 40))};
static const struct kong_pair flag[] = {PAIR("strip_path", INTEGER(1))};
static const struct kong_pair no_key[] = {PAIR("service", STRING("id"))};
static const struct kong_pair no_names[] = {PAIR("named", {.type = KONG_LIST})};

static void test_result_misfits(void **state) {
    static const struct {
        enum pdk_id id;
        struct kong_value value;
    } results[] = {
        {PDK_RESPONSE_SET_HEADER, STRING("x")},
        {PDK_CLIENT_GET_IP, INTEGER(1)},
        {PDK_CLIENT_GET_PORT, STRING("1")},
        {PDK_REQUEST_GET_HTTP_VERSION, STRING("1.1")},
        {PDK_IP_IS_TRUSTED, INTEGER(1)},
        {PDK_REQUEST_GET_HEADERS, {.type = KONG_LIST}},
        {PDK_REQUEST_GET_RAW_BODY, STRING("x")},
        {PDK_REQUEST_GET_RAW_BODY, MAP(two_bodies)},
        {PDK_ROUTER_GET_SERVICE, MAP(wide)},
        {PDK_ROUTER_GET_ROUTE, MAP(flag)},
        {PDK_ROUTER_GET_ROUTE, MAP(no_key)},
        {PDK_REQUEST_GET_URI_CAPTURES, MAP(no_names)},
        {PDK_ROUTER_GET_SERVICE, LIST(one_number)},
    };
    struct fixture *fixture = *state;

    for (size_t i = 0; i < LENGTH(results); i++) {
        int error = sim_protobuf_encode_result(&fixture->out, &pdk_methods[results[i].id],
                                               &results[i].value);

        if (error != CODEC_E_SHAPE) {
            fail_msg("misfit %zu of %s: %d", i, pdk_methods[results[i].id].name.data, error);
        }
        assert_int_equal(fixture->out.len, 0);
    }
}

/* Nothing is appended to a buffer that is too small, and it can be used on. */
static void test_small_buffer(void **state) {
    struct buffer out;
    size_t count;
    const struct args_sample *samples = sample_args(PDK_ARGS_KV, &count);
    const struct pdk_method *method = &pdk_methods[PDK_RESPONSE_SET_HEADER];

    (void)state;
    for (size_t i = 0; i < count; i++) {
        buffer_init(&out, 5 + 4 + method->name.len + 4); /* room for a call without content */
        buffer_append(&out, "12345", 5);
        assert_int_equal(protobuf_encode_pdk_call(&out, method, samples[i].args, samples[i].count),
                         samples[i].args[0].string.len == 0 && samples[i].args[1].type == KONG_NIL
                             ? CODEC_OK
                             : CODEC_E_NOMEM);
        if (out.len == 5) {
            assert_int_equal(protobuf_encode_empty(&out), CODEC_OK);
            assert_int_equal(out.len, 9);
        }
        buffer_free(&out);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_args),           TEST(test_results),       TEST(test_msgpack_only),
        TEST(test_known_bytes),    TEST(test_known_results), TEST(test_large_numbers),
        TEST(test_nil_inside),     TEST(test_closing_nul),   TEST(test_misfits),
        TEST(test_result_misfits), TEST(test_small_buffer),  TEST(test_integers_of_32_bits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
