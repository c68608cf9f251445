#include "seeds.h"

#include <string.h>

#include "pdk_methods.h"
#include "rpc_plugin.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const char *const configs[] = {
    "{}",
    "{\"text\":\"a\",\"bytes\":\"a\\u0000b\",\"chosen\":\"one\",\"three\":\"abc\",\"some\":\"ab\"}",
    "{\"own\":\"abc\",\"plain\":\"y\",\"any\":\"b1\",\"none\":\"ab\",\"prefixed\":\"/x\"}",
    "{\"all\":\"a1\",\"id\":\"0e8400e2-9b41-4d11-a716-446655440000\"}",
    "{\"secret\":\"{vault://env/x}\"}",
    "{\"secret\":\"\",\"words\":[\"a\",\"1\"],\"names\":{\"n\":\"\"},\"$refs\":{\"secret\":\"{"
    "vault://"
    "env/x}\",\"words\":[null,\"{vault://env/y}\"],\"names\":{\"n\":\"{vault://env/z}\"}}}",
    "{\"words\":[\"2\"],\"$refs\":{\"words\":{\"1\":\"{vault://env/"
    "y}\"}},\"redis\":{\"token\":\"x\","
    "\"$refs\":{\"token\":\"{vault://env/"
    "t}\"}},\"nodes\":[{\"token\":\"\",\"$refs\":{\"token\":\"{vault:"
    "//env/u}\"}}],\"__new\":{}}",
    "{\"integer\":7,\"level\":5,\"more\":3,\"number\":1.5,\"rate\":0.5,\"flag\":false}",
    "{\"text\":null,\"bytes\":\"x\",\"maybe\":true,\"words\":[\"a\",\"b\"],\"tags\":[\"q\",\"q\"]}",
    "{\"groups\":[[\"a\",\"b\"]],\"names\":{\"a\":\"\",\"b\":\"c\"}}",
    "{\"peers\":{\"p\":{\"host\":\"h\",\"port\":1}},\"nodes\":[{\"weights\":{\"a\":1e3}}]}",
    "{\"chosen\":\"two\",\"redis\":{\"host\":\"ab\",\"port\":6379},\"spare\":{}}",
    "{\"chosen\":\"two\",\"redis\":{\"port\":0,\"weights\":{\"abcde\":1}}}",
    "{\"text\":1,\"integer\":\"7\",\"flag\":0,\"words\":{},\"names\":[],\"redis\":[],\"x\":1}",
    "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[",
    "{\"text\":\"\\ud800\\udc00\\n\",\"number\":1e999,\"__seq__\":1,\"route_id\":null}",
};

static const struct {
    const char *pattern, *subject;
} patterns[] = {
    {"^[%w_-]+$", "X-Api_Version-2"},
    {"%d-c", "ab123c45"},
    {"[a-c%]-]+", "x]a-b"},
    {"%f[%w]%w+", "  word two"},
    {"%b()", "f(a(b)c)d"},
    {"(%w+) %1", "x hey hey"},
    {"()a%1", "aa"},
    {"[^%s%c]*", "abc def"},
    {"(a*(.)%w(%s*))", "aab  x"},
    {"a.-b", "aXXXXb"},
    {"%g+%z?", " a!b "},
    {"^%l%u%p%x%X%D$", "aB!f-x"},
    {"((((((((((x))))))))))", "x"},
    {"[]-]", "]"},
    {"%", "a"},
    {"[a", "a"},
    {"(()", "a"},
    {"%f", "a"},
    {".-.-.-.-b", "aaaaaaaaaaaaaaa"},
    {"^(%d+)%.(%d+)$", "1.25"},
};

/* Operations of the connection fuzzer (fuzz_rpc.c): peers 0 and 1 speak ProtoBuf:1, 2 and 3
 * MsgPack:1. */
#define OP(operation, peer) (unsigned char)((operation) | (peer) << 3)
enum { RAW, LONG_RAW, CALL, ANSWER, PASS, CLOSE, WAKE, MODE };
#define START(peer, actions) OP(CALL, peer), 3, 1, actions
#define EVENT(peer, id)      OP(CALL, peer), 6, 2, (id)
#define LOG_EVENT(peer, id)  OP(CALL, peer), 6 | 3 << 4, 2, (id)
#define STOP(peer, id)       OP(CALL, peer), 5, 3, (id)
#define EMPTY(peer)          OP(ANSWER, peer), 0
#define TEXT(peer)           OP(ANSWER, peer), 4, 0x0a, 2, 'i', 'n' /* String{v = "in"} */
#define PACKED_TEXT(peer)    OP(ANSWER, peer), 3, 0xa2, 'i', 'n'
#define TEXT_MAP(peer)       OP(ANSWER, peer), 5, 0x81, 0xa1, 'k', 0xa1, 'v'
#define SPEND(tenths)        OP(PASS, 0), (tenths)

static const unsigned char waits_protobuf[] = {
    0,           START(0, 2), 0x8a,        PDK_RESPONSE_SET_HEADER,
    EVENT(0, 2), TEXT(0),     EMPTY(0),    EMPTY(0),
    EMPTY(0),    EMPTY(0),    EVENT(0, 2), SPEND(60),
    STOP(0, 2),  EVENT(0, 2)};
static const unsigned char waits_msgpack[] = {1,
                                              START(2, 2),
                                              0x8a,
                                              PDK_RESPONSE_SET_HEADER,
                                              EVENT(2, 2),
                                              PACKED_TEXT(3),
                                              PACKED_TEXT(2),
                                              EMPTY(2),
                                              EMPTY(2),
                                              EMPTY(2),
                                              EMPTY(2),
                                              EVENT(2, 2),
                                              OP(CLOSE, 2),
                                              SPEND(60),
                                              STOP(3, 2)};
static const unsigned char sleeps[] = {
    2,           START(1, 3), SCRIPT_SLEEP, SCRIPT_SLEEP, 0x8a,      EVENT(1, 2),
    EVENT(2, 2), OP(WAKE, 0), OP(CLOSE, 1), OP(WAKE, 0),  SPEND(70), EVENT(3, 2)};
static const unsigned char exits[] = {3,           START(0, 3), 0x8c,        0x80,     SCRIPT_FAIL,
                                      EVENT(0, 2), EVENT(2, 2), EMPTY(0),    EMPTY(2), START(1, 1),
                                      SCRIPT_FAIL, EVENT(1, 3), EVENT(3, 3), EMPTY(3), EMPTY(1)};
static const unsigned char merges[] = {1,
                                       START(2, 4),
                                       PDK_RESPONSE_SET_HEADER,
                                       PDK_RESPONSE_SET_HEADER,
                                       SCRIPT_LARGE,
                                       0x8b,
                                       EVENT(2, 2),
                                       EMPTY(2),
                                       EMPTY(2),
                                       TEXT_MAP(2),
                                       EMPTY(2),
                                       EMPTY(2),
                                       LOG_EVENT(3, 2),
                                       EMPTY(3)};
static const unsigned char stalls[] = {0,
                                       START(0, 3),
                                       SCRIPT_LARGE,
                                       SCRIPT_LARGE,
                                       0x83,
                                       EVENT(0, 2),
                                       OP(MODE, 0) | 0x20,
                                       EMPTY(0),
                                       OP(MODE, 0) | 0x40,
                                       EMPTY(0),
                                       OP(MODE, 2) | 0x60,
                                       EVENT(2, 2),
                                       OP(MODE, 2),
                                       EVENT(2, 2)};

/* What is asked for ahead (options 8: declared, 16: learned): answers before the handler asks, in
 * the middle of an event whose time is up, behind an exit, behind its end. */
#define ANSWERS(peer) TEXT(peer), EMPTY(peer), TEXT(peer), EMPTY(peer)
static const unsigned char ahead_used[] = {8,          START(0, 4), 0x83,        0x84,
                                           0x85,       0x8a,        EVENT(0, 2), ANSWERS(0),
                                           ANSWERS(0), ANSWERS(0),  ANSWERS(0),  EVENT(0, 2),
                                           ANSWERS(0), ANSWERS(0),  ANSWERS(0)};
static const unsigned char ahead_late[] = {8,           START(0, 2), SCRIPT_SLEEP, 0x84,
                                           EVENT(0, 2), ANSWERS(0),  OP(WAKE, 0),  TEXT(0),
                                           SPEND(60),   ANSWERS(0),  ANSWERS(0),   ANSWERS(0),
                                           EVENT(0, 2), SPEND(60),   OP(WAKE, 0),  ANSWERS(0)};
static const unsigned char ahead_exit[] = {8 | 2,       START(0, 2), 0x8c,       SCRIPT_FAIL,
                                           EVENT(0, 2), ANSWERS(0),  ANSWERS(0), ANSWERS(0),
                                           ANSWERS(0),  EVENT(0, 2)};
static const unsigned char ahead_gone[] = {
    8,           START(0, 2),        0x83,       0x87,      EVENT(0, 2), ANSWERS(0), OP(CLOSE, 0),
    EVENT(0, 2), OP(MODE, 0) | 0x40, ANSWERS(0), ANSWERS(0)};
static const unsigned char ahead_learned[] = {
    16,        START(0, 2), 0x8a,        0x8a,       EVENT(0, 2), TEXT(0),     EMPTY(0),
    SPEND(60), ANSWERS(0),  EVENT(0, 2), ANSWERS(0), ANSWERS(0),  EVENT(0, 1), ANSWERS(0)};

static const char *const json_texts[] = {
    "null",
    " [true, false , -0, 12.5e-3, 9223372036854775808]",
    "{\"a\":1,\"b\":{\"c\":[[],{}]},\"a\":\"\\u0000\\ud83d\\ude00\\n\"}",
    "\"caf\xc3\xa9 \xf0\x9f\x98\x80\"",
    "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]",
    "[1e999]",
    "\"\\ud83d\"",
    "{\"a\" 1}",
};

#define SCRIPT_SEED(array) seed_write("rpc", NULL, 0, array, sizeof(array))

/* Each typed function, over either protocol. */
static void each_action(void) {
    for (unsigned action = SCRIPT_TYPED; action < SCRIPT_TYPED + 13; action++) {
        unsigned char protobuf[] = {0,           START(0, 1), (unsigned char)action,
                                    EVENT(0, 2), TEXT(0),     TEXT(0),
                                    EMPTY(0),    EMPTY(0)};
        unsigned char msgpack[] = {1,           START(2, 1), (unsigned char)action,
                                   EVENT(2, 2), TEXT_MAP(2), TEXT_MAP(2),
                                   EMPTY(2),    EMPTY(2)};
        SCRIPT_SEED(protobuf);
        SCRIPT_SEED(msgpack);
    }
}

void seeds_by_hand(void) {
    for (size_t i = 0; i < COUNT(configs); i++) {
        seed_write("config", NULL, 0, configs[i], strlen(configs[i]));
    }
    for (size_t i = 0; i < COUNT(patterns); i++) {
        unsigned char head[64];
        size_t len = strlen(patterns[i].pattern);
        head[0] = (unsigned char)len;
        memcpy(head + 1, patterns[i].pattern, len);
        seed_write("pattern", head, 1 + len, patterns[i].subject, strlen(patterns[i].subject));
    }
    for (size_t i = 0; i < COUNT(json_texts); i++) {
        seed_write("json", NULL, 0, json_texts[i], strlen(json_texts[i]));
    }
    SCRIPT_SEED(waits_protobuf);
    SCRIPT_SEED(waits_msgpack);
    SCRIPT_SEED(sleeps);
    SCRIPT_SEED(exits);
    SCRIPT_SEED(merges);
    SCRIPT_SEED(stalls);
    SCRIPT_SEED(ahead_used);
    SCRIPT_SEED(ahead_late);
    SCRIPT_SEED(ahead_exit);
    SCRIPT_SEED(ahead_gone);
    SCRIPT_SEED(ahead_learned);
    each_action();
}
