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

struct kong_pair;

struct kong_value {
    enum kong_type type;
    union {
        bool boolean;
        int64_t integer;
        double number;
        struct kong_str string;
        struct {
            const struct kong_value *items;
            size_t count;
        } list;
        struct {
            const struct kong_pair *pairs; /* in the order in which they came */
            size_t count;
        } map;
    };
};

/* Keys are strings. An integer key of a Lua table comes as its decimal text. */
struct kong_pair {
    struct kong_str key;
    struct kong_value value;
};

static inline struct kong_str kong_str(const char *text) {
    return (struct kong_str){text, text == NULL ? 0 : strlen(text)};
}

static inline bool kong_str_equal(struct kong_str a, struct kong_str b) {
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

static inline struct kong_value kong_nil(void) {
    return (struct kong_value){.type = KONG_NIL};
}

static inline struct kong_value kong_boolean(bool boolean) {
    return (struct kong_value){.type = KONG_BOOLEAN, .boolean = boolean};
}

static inline struct kong_value kong_integer(int64_t integer) {
    return (struct kong_value){.type = KONG_INTEGER, .integer = integer};
}

static inline struct kong_value kong_number(double number) {
    return (struct kong_value){.type = KONG_NUMBER, .number = number};
}

/* A C string; NULL gives nil. */
static inline struct kong_value kong_string(const char *text) {
    if (text == NULL) {
        return kong_nil();
    }
    return (struct kong_value){.type = KONG_STRING, .string = {text, strlen(text)}};
}

static inline struct kong_value kong_bytes(const void *data, size_t len) {
    return (struct kong_value){.type = KONG_STRING, .string = {(const char *)data, len}};
}

static inline struct kong_value kong_list(const struct kong_value *items, size_t count) {
    return (struct kong_value){.type = KONG_LIST, .list = {items, count}};
}

static inline struct kong_value kong_map(const struct kong_pair *pairs, size_t count) {
    return (struct kong_value){.type = KONG_MAP, .map = {pairs, count}};
}

static inline struct kong_pair kong_pair(const char *key, struct kong_value value) {
    return (struct kong_pair){kong_str(key), value};
}

#endif
