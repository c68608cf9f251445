/* Values that fit the shapes of PDK calls, for the tests of the ProtoBuf:1 codec; and what such a
 * test needs besides. */
#ifndef TESTS_UNIT_PROTOBUF_SAMPLES_H
#define TESTS_UNIT_PROTOBUF_SAMPLES_H

#include "buffer.h"
#include "pdk_methods.h"
#include "pluginsocket.pb-c.h"
#include "protocol.h"

/* Values that can be written down as constants. */
#define STRING(text)                                                                               \
    {                                                                                              \
        .type = KONG_STRING, .string = { text, sizeof(text) - 1 }                                  \
    }
#define INTEGER(n)                                                                                 \
    { .type = KONG_INTEGER, .integer = (n) }
#define NUMBER(n)                                                                                  \
    { .type = KONG_NUMBER, .number = (n) }
#define BOOLEAN(b)                                                                                 \
    { .type = KONG_BOOLEAN, .boolean = (b) }
#define NIL                                                                                        \
    { .type = KONG_NIL }
#define LIST(array)                                                                                \
    {                                                                                              \
        .type = KONG_LIST, .list = { array, sizeof(array) / sizeof(array)[0] }                     \
    }
#define MAP(array)                                                                                 \
    {                                                                                              \
        .type = KONG_MAP, .map = { array, sizeof(array) / sizeof(array)[0] }                       \
    }
#define PAIR(name, ...)                                                                            \
    { .key = {name, sizeof(name) - 1}, .value = __VA_ARGS__ }

struct args_sample {
    struct kong_value args[4];
    size_t count;
};

/* Samples of a shape; *count says how many. */
const struct args_sample *sample_args(enum pdk_args shape, size_t *count);
const struct kong_value *sample_results(enum pdk_result shape, size_t *count);

/* The messages, as Kong's pluginsocket.proto says; NULL for Empty and ANY. */
const ProtobufCMessageDescriptor *args_message_of(enum pdk_args shape);
const ProtobufCMessageDescriptor *result_message_of(enum pdk_result shape);

/* The frame at *offset, which moves behind it. Fails the test when there is no whole one. */
struct kong_str take_frame(const struct buffer *buffer, size_t *offset);

/* protobuf-c unpacks the bytes and packs them again: true when the same bytes come out. */
bool repacks(const ProtobufCMessageDescriptor *type, struct kong_str bytes);

#endif
