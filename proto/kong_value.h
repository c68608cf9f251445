/* A value that travels between Kong and a plugin, whatever the protocol. Public: kong.h includes
 * it.
 *
 * Values are plain data without an owner of their own: what they point to lives where it was made.
 * Values that the library hands to a handler live in the event's arena, until the handler returns.
 * Values that a handler hands to the library are copied before the call returns. */
#ifndef KONG_VALUE_H
#define KONG_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Bytes with a length. What the library hands out has a NUL behind its last byte (not counted), so
 * that `data` can be used as a C string where no NUL is expected inside. data == NULL: nil, Lua's
 * absent. */
struct kong_str {
    const char *data;
    size_t len;
#ifdef __cplusplus
    kong_str() = default;
    constexpr kong_str(const char *bytes, size_t length) : data(bytes), len(length) {}
    kong_str(const char *text) : data(text), len(text == nullptr ? 0 : strlen(text)) {}
#endif
};

enum kong_type {
    KONG_NIL,
    KONG_BOOLEAN,
    KONG_INTEGER,
    KONG_NUMBER,
    KONG_STRING, /* any bytes: Lua does not tell text from binary */
    KONG_LIST,
    KONG_MAP,
};

struct kong_value;
struct kong_pair;

struct kong_values {
    const struct kong_value *items;
    size_t count;
};

struct kong_pairs {
    const struct kong_pair *pairs; /* in the order in which they came */
    size_t count;
};

struct kong_value {
    enum kong_type type;
    union {
        bool boolean;
        int64_t integer;
        double number;
        struct kong_str string;
        struct kong_values list;
        struct kong_pairs map;
    };
};

/* Keys are strings. An integer key of a Lua table comes as its decimal text. */
struct kong_pair {
    struct kong_str key;
    struct kong_value value;
#ifdef __cplusplus
    kong_pair() = default;
    kong_pair(struct kong_str name, struct kong_value content) : key(name), value(content) {}
#endif
};

/* In C++ these are the constructors. */
#ifndef __cplusplus
static inline struct kong_str kong_str(const char *text) {
    struct kong_str str = {text, text == NULL ? 0 : strlen(text)};
    return str;
}

static inline struct kong_pair kong_pair(const char *key, struct kong_value value) {
    struct kong_pair pair = {kong_str(key), value};
    return pair;
}
#endif

static inline bool kong_str_equal(struct kong_str a, struct kong_str b) {
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

static inline struct kong_value kong_nil(void) {
    struct kong_value value = {KONG_NIL, {false}};
    return value;
}

static inline struct kong_value kong_boolean(bool boolean) {
    struct kong_value value = {KONG_BOOLEAN, {boolean}};
    return value;
}

static inline struct kong_value kong_integer(int64_t integer) {
    struct kong_value value = {KONG_INTEGER, {false}};
    value.integer = integer;
    return value;
}

static inline struct kong_value kong_number(double number) {
    struct kong_value value = {KONG_NUMBER, {false}};
    value.number = number;
    return value;
}

static inline struct kong_value kong_bytes(const void *data, size_t len) {
    struct kong_value value = {KONG_STRING, {false}};
#ifdef __cplusplus
    value.string.data = static_cast<const char *>(data);
#else
    value.string.data = data;
#endif
    value.string.len = len;
    return value;
}

/* A C string; NULL gives nil. */
static inline struct kong_value kong_string(const char *text) {
    return text == NULL ? kong_nil() : kong_bytes(text, strlen(text));
}

static inline struct kong_value kong_list(const struct kong_value *items, size_t count) {
    struct kong_value value = {KONG_LIST, {false}};
    value.list.items = items;
    value.list.count = count;
    return value;
}

static inline struct kong_value kong_map(const struct kong_pair *pairs, size_t count) {
    struct kong_value value = {KONG_MAP, {false}};
    value.map.pairs = pairs;
    value.map.count = count;
    return value;
}

#endif
