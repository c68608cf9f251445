#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include "protobuf_samples.h"

#define SAMPLES(array) (*count = sizeof(array) / sizeof(array)[0], (array))

/* --- Values of all kinds ------------------------------------------------------------ */

static const struct kong_value words[] = {STRING("a"), STRING(""), STRING("nul\0inside"),
                                          STRING("\xff\xfe\x80 not UTF-8")};
static const struct kong_value mixed[] = {INTEGER(1),        NUMBER(-2.5), BOOLEAN(false),
                                          BOOLEAN(true),     LIST(words),  STRING("x"),
                                          INTEGER(-4000000), NIL,          NUMBER(1e300)};
static const struct kong_pair deeper[] = {PAIR("list", LIST(mixed)), PAIR("", INTEGER(0)),
                                          PAIR("key with \0", STRING("v"))};
static const struct kong_pair headers[] = {
    PAIR("Version", STRING("0.1")), PAIR("X-Multi", LIST(words)), PAIR("X-Number", NUMBER(1.5)),
    PAIR("flag", BOOLEAN(true)),    PAIR("off", BOOLEAN(false)),  PAIR("deep", MAP(deeper)),
    PAIR("none", LIST(words))};

static const struct kong_value values[] = {
    STRING("v1"),
    STRING(""),
    STRING("\0"),
    INTEGER(42),
    INTEGER(-1),
    INTEGER(0),
    NUMBER(0.5),
    NUMBER(-1e-9),
    BOOLEAN(true),
    BOOLEAN(false),
    LIST(mixed),
    MAP(headers),
    {.type = KONG_LIST},
    {.type = KONG_MAP},
    NIL,
    INTEGER(9007199254740992),
    INTEGER(-9007199254740992),
    NUMBER(1e17),
};

/* --- Arguments ------------------------------------------------------------------------ */

static const struct args_sample no_args[] = {{.count = 0}};
static const struct args_sample strings[] = {
    {{STRING("host")}, 1}, {{STRING("")}, 1}, {{STRING("nul\0inside")}, 1}};
static const struct args_sample integers[] = {{{INTEGER(100)}, 1},       {{INTEGER(0)}, 1},
                                              {{INTEGER(-1)}, 1},        {{INTEGER(INT32_MAX)}, 1},
                                              {{INTEGER(INT32_MIN)}, 1}, {{NUMBER(300.0)}, 1}};
static const struct args_sample booleans[] = {{{BOOLEAN(true)}, 1}, {{BOOLEAN(false)}, 1}};
static const struct args_sample lists[] = {
    {{STRING("hello "), INTEGER(1), BOOLEAN(true), MAP(headers)}, 4},
    {{LIST(mixed)}, 1},
    {.count = 0},
    {{STRING("")}, 1}};
static const struct args_sample structs[] = {{{MAP(headers)}, 1}, {{{.type = KONG_MAP}}, 1}};
static const struct args_sample pairs[] = {
    {{STRING("Version"), STRING("0.1")}, 2}, {{STRING("k"), STRING("")}, 2},
    {{STRING(""), STRING("v")}, 2},          {{STRING("k"), INTEGER(0)}, 2},
    {{STRING("k"), INTEGER(-7)}, 2},         {{STRING("k"), NUMBER(0.25)}, 2},
    {{STRING("k"), BOOLEAN(false)}, 2},      {{STRING("k"), BOOLEAN(true)}, 2},
    {{STRING("k"), LIST(words)}, 2},         {{STRING("k"), MAP(headers)}, 2},
    {{STRING("k"), {.type = KONG_LIST}}, 2}, {{STRING("k"), NIL}, 2},
    {{STRING("n\0k"), STRING("\0\0")}, 2},   {{STRING(""), NIL}, 2}};
static const struct args_sample exits[] = {{{INTEGER(403), STRING("denied"), MAP(headers)}, 3},
                                           {{INTEGER(204), NIL, NIL}, 3},
                                           {{INTEGER(500), NIL, {.type = KONG_MAP}}, 3},
                                           {{INTEGER(200), STRING("\0\1\2"), NIL}, 3}};
static const struct args_sample targets[] = {{{STRING("127.0.0.1"), INTEGER(8080)}, 2},
                                             {{STRING("host"), INTEGER(0)}, 2}};
static const struct args_sample specs[] = {{{STRING("id-1"), BOOLEAN(true)}, 2},
                                           {{STRING("id-1"), BOOLEAN(false)}, 2}};

static const struct kong_value tags[] = {STRING("gold"), STRING("beta")};
static const struct kong_pair consumer[] = {
    PAIR("id", STRING("c-1")), PAIR("created_at", INTEGER(1795374237)),
    PAIR("username", STRING("ann")), PAIR("custom_id", STRING("42")), PAIR("tags", LIST(tags))};
static const struct kong_pair credential[] = {PAIR("id", STRING("k-1")),
                                              PAIR("consumer_id", STRING("c-1"))};
static const struct args_sample authentications[] = {{{MAP(consumer), MAP(credential)}, 2},
                                                     {{NIL, MAP(credential)}, 2},
                                                     {{MAP(consumer), NIL}, 2},
                                                     {{{.type = KONG_MAP}, NIL}, 2},
                                                     {{NIL, NIL}, 2}};

const struct args_sample *sample_args(enum pdk_args shape, size_t *count) {
    switch (shape) {
    case PDK_ARGS_EMPTY:
        return SAMPLES(no_args);
    case PDK_ARGS_STRING:
    case PDK_ARGS_BYTES:
        return SAMPLES(strings);
    case PDK_ARGS_INT:
        return SAMPLES(integers);
    case PDK_ARGS_BOOL:
        return SAMPLES(booleans);
    case PDK_ARGS_LIST:
        return SAMPLES(lists);
    case PDK_ARGS_STRUCT:
        return SAMPLES(structs);
    case PDK_ARGS_KV:
        return SAMPLES(pairs);
    case PDK_ARGS_EXIT:
        return SAMPLES(exits);
    case PDK_ARGS_TARGET:
        return SAMPLES(targets);
    case PDK_ARGS_CONSUMER_SPEC:
        return SAMPLES(specs);
    case PDK_ARGS_AUTHENTICATE:
        return SAMPLES(authentications);
    case PDK_ARGS_ANY:
        break;
    }
    *count = 0;
    return NULL;
}

/* --- Results --------------------------------------------------------------------------- */

static const struct kong_value nothing[] = {NIL};
static const struct kong_value texts[] = {STRING("127.0.0.1"), STRING("nul\0inside"), NIL};
static const struct kong_value counts[] = {INTEGER(8000), INTEGER(-1), INTEGER(INT32_MIN), NIL};
static const struct kong_value numbers[] = {NUMBER(1.1), INTEGER(2), NUMBER(-1e300), NIL};
static const struct kong_value truths[] = {BOOLEAN(true), BOOLEAN(false), NIL};
static const struct kong_value tables[] = {MAP(headers), NIL};

static const struct kong_pair content[] = {PAIR("content", STRING("hello \0 body"))};
static const struct kong_pair no_content[] = {PAIR("content", STRING(""))};
static const struct kong_pair path[] = {PAIR("body_filepath", STRING("/tmp/0000000001"))};
static const struct kong_pair unreadable[] = {PAIR("error", STRING("Can't read request body"))};
static const struct kong_value bodies[] = {MAP(content), MAP(no_content), MAP(path),
                                           MAP(unreadable), NIL};

static const struct kong_pair named[] = {PAIR("user", STRING("ann")), PAIR("empty", STRING(""))};
static const struct kong_pair captures[] = {PAIR("unnamed", LIST(words)),
                                            PAIR("named", MAP(named))};
static const struct kong_pair only_named[] = {PAIR("named", MAP(named))};
static const struct kong_value all_captures[] = {MAP(captures), MAP(only_named), NIL};

static const struct kong_pair service_key[] = {PAIR("id", STRING("7a267194"))};
static const struct kong_pair route[] = {
    PAIR("id", STRING("eeb325b8")),
    PAIR("created_at", INTEGER(1795374237)),
    PAIR("updated_at", INTEGER(1795374238)),
    PAIR("name", STRING("example-route")),
    PAIR("protocols", LIST(tags)),
    PAIR("methods", LIST(tags)),
    PAIR("hosts", LIST(tags)),
    PAIR("paths", LIST(tags)),
    PAIR("headers", LIST(tags)),
    PAIR("https_redirect_status_code", INTEGER(426)),
    PAIR("regex_priority", INTEGER(-3)),
    PAIR("strip_path", BOOLEAN(true)),
    PAIR("preserve_host", BOOLEAN(true)),
    PAIR("snis", LIST(tags)),
    PAIR("sources", LIST(tags)),
    PAIR("destinations", LIST(tags)),
    PAIR("tags", LIST(tags)),
    PAIR("service", MAP(service_key)),
};
static const struct kong_pair service[] = {
    PAIR("id", STRING("7a267194")),
    PAIR("created_at", INTEGER(1795374237)),
    PAIR("updated_at", INTEGER(1795374238)),
    PAIR("name", STRING("example-service")),
    PAIR("retries", INTEGER(5)),
    PAIR("protocol", STRING("http")),
    PAIR("host", STRING("127.0.0.1")),
    PAIR("port", INTEGER(9000)),
    PAIR("path", STRING("/")),
    PAIR("connect_timeout", INTEGER(60000)),
    PAIR("write_timeout", INTEGER(60001)),
    PAIR("read_timeout", INTEGER(60002)),
    PAIR("tags", LIST(tags)),
    PAIR("client_certificate", MAP(service_key)),
};
static const struct kong_value routes[] = {MAP(route), NIL};
static const struct kong_value services[] = {MAP(service), NIL};
static const struct kong_value consumers[] = {MAP(consumer), NIL};
static const struct kong_value credentials[] = {MAP(credential), NIL};

static const struct kong_pair dict[] = {PAIR("allocated_slabs", INTEGER(40960)),
                                        PAIR("capacity", INTEGER(INT64_MAX))};
static const struct kong_pair dicts[] = {PAIR("kong", MAP(dict)), PAIR("kong_db_cache", MAP(dict))};
static const struct kong_pair worker[] = {PAIR("http_allocated_gc", INTEGER(54226945)),
                                          PAIR("pid", INTEGER(21389))};
static const struct kong_value workers[] = {MAP(worker), MAP(worker)};
static const struct kong_pair memory[] = {PAIR("lua_shared_dicts", MAP(dicts)),
                                          PAIR("workers_lua_vms", LIST(workers))};
static const struct kong_value memories[] = {MAP(memory), NIL};

const struct kong_value *sample_results(enum pdk_result shape, size_t *count) {
    switch (shape) {
    case PDK_RESULT_EMPTY:
        return SAMPLES(nothing);
    case PDK_RESULT_STRING:
    case PDK_RESULT_BYTES:
        return SAMPLES(texts);
    case PDK_RESULT_INT:
        return SAMPLES(counts);
    case PDK_RESULT_NUMBER:
        return SAMPLES(numbers);
    case PDK_RESULT_BOOL:
        return SAMPLES(truths);
    case PDK_RESULT_VALUE:
        return SAMPLES(values);
    case PDK_RESULT_STRUCT:
        return SAMPLES(tables);
    case PDK_RESULT_RAW_BODY:
        return SAMPLES(bodies);
    case PDK_RESULT_URI_CAPTURES:
        return SAMPLES(all_captures);
    case PDK_RESULT_ROUTE:
        return SAMPLES(routes);
    case PDK_RESULT_SERVICE:
        return SAMPLES(services);
    case PDK_RESULT_CONSUMER:
        return SAMPLES(consumers);
    case PDK_RESULT_CREDENTIAL:
        return SAMPLES(credentials);
    case PDK_RESULT_MEMORY_STATS:
        return SAMPLES(memories);
    case PDK_RESULT_ANY:
        break;
    }
    *count = 0;
    return NULL;
}

/* --- Messages --------------------------------------------------------------------------- */

#define MESSAGE(name) (&kong_plugin_protocol__##name##__descriptor)

const ProtobufCMessageDescriptor *args_message_of(enum pdk_args shape) {
    static const ProtobufCMessageDescriptor *const messages[] = {
        [PDK_ARGS_EMPTY] = NULL,
        [PDK_ARGS_STRING] = MESSAGE(string),
        [PDK_ARGS_INT] = MESSAGE(int),
        [PDK_ARGS_BOOL] = MESSAGE(bool),
        [PDK_ARGS_LIST] = MESSAGE(list_value),
        [PDK_ARGS_STRUCT] = MESSAGE(struct),
        [PDK_ARGS_KV] = MESSAGE(kv),
        [PDK_ARGS_BYTES] = MESSAGE(byte_string),
        [PDK_ARGS_EXIT] = MESSAGE(exit_args),
        [PDK_ARGS_TARGET] = MESSAGE(target),
        [PDK_ARGS_CONSUMER_SPEC] = MESSAGE(consumer_spec),
        [PDK_ARGS_AUTHENTICATE] = MESSAGE(authenticate_args),
        [PDK_ARGS_ANY] = NULL,
    };

    return messages[shape];
}

const ProtobufCMessageDescriptor *result_message_of(enum pdk_result shape) {
    static const ProtobufCMessageDescriptor *const messages[] = {
        [PDK_RESULT_EMPTY] = NULL,
        [PDK_RESULT_STRING] = MESSAGE(string),
        [PDK_RESULT_INT] = MESSAGE(int),
        [PDK_RESULT_NUMBER] = MESSAGE(number),
        [PDK_RESULT_BOOL] = MESSAGE(bool),
        [PDK_RESULT_BYTES] = MESSAGE(byte_string),
        [PDK_RESULT_VALUE] = MESSAGE(value),
        [PDK_RESULT_STRUCT] = MESSAGE(struct),
        [PDK_RESULT_RAW_BODY] = MESSAGE(raw_body_result),
        [PDK_RESULT_URI_CAPTURES] = MESSAGE(uri_captures_result),
        [PDK_RESULT_ROUTE] = MESSAGE(route),
        [PDK_RESULT_SERVICE] = MESSAGE(service),
        [PDK_RESULT_CONSUMER] = MESSAGE(consumer),
        [PDK_RESULT_CREDENTIAL] = MESSAGE(authenticated_credential),
        [PDK_RESULT_MEMORY_STATS] = MESSAGE(memory_stats),
        [PDK_RESULT_ANY] = NULL,
    };

    return messages[shape];
}

/* --- Frames ------------------------------------------------------------------------------ */

struct kong_str take_frame(const struct buffer *buffer, size_t *offset) {
    assert_true(buffer->len - *offset >= 4);
    const uint8_t *at = buffer->data + *offset;
    size_t len = (size_t)at[0] | (size_t)at[1] << 8 | (size_t)at[2] << 16 | (size_t)at[3] << 24;

    assert_true(buffer->len - *offset - 4 >= len);
    *offset += 4 + len;
    return (struct kong_str){(const char *)at + 4, len};
}

bool repacks(const ProtobufCMessageDescriptor *type, struct kong_str bytes) {
    ProtobufCMessage *message =
        protobuf_c_message_unpack(type, NULL, bytes.len, (const uint8_t *)bytes.data);

    if (message == NULL) {
        return false;
    }
    size_t len = protobuf_c_message_get_packed_size(message);
    uint8_t *again = malloc(len + 1);
    assert_non_null(again);
    protobuf_c_message_pack(message, again);
    bool same = len == bytes.len && (len == 0 || memcmp(again, bytes.data, len) == 0);
    free(again);
    protobuf_c_message_free_unpacked(message, NULL);
    return same;
}
