#include <ctype.h>
#include <errno.h>
#include <locale.h>
#include <math.h>
#include <stdlib.h>

#include "json_text.h"
#include "limit.h"
#include "printable.h"

/* Longer than any number that a double tells from its neighbours. */
#define NUMBER_MOST 1024u

struct reader {
    struct arena *arena;
    const char *begin, *at, *end;
    size_t elements;
    unsigned depth;
    struct json_fault *fault;
};

static int read_value(struct reader *reader, struct kong_value *value);

static int fail_at(struct reader *reader, int error, const char *at, const char *what) {
    *reader->fault = (struct json_fault){what, (size_t)(at - reader->begin)};
    return error;
}

static int fail(struct reader *reader, const char *what) {
    return fail_at(reader, KONG_E_INVALID, reader->at, what);
}

static void skip_spaces(struct reader *reader) {
    while (reader->at < reader->end && (*reader->at == ' ' || *reader->at == '\t' ||
                                        *reader->at == '\n' || *reader->at == '\r')) {
        reader->at++;
    }
}

static bool take(struct reader *reader, char c) {
    bool there = reader->at < reader->end && *reader->at == c;
    reader->at += there;
    return there;
}

/* --- Strings --- */

static bool hex4(const struct reader *reader, const char *at, uint32_t *code) {
    *code = 0;
    if (reader->end - at < 4) {
        return false;
    }
    for (int i = 0; i < 4; i++) {
        int c = tolower((unsigned char)at[i]);
        if (isxdigit(c) == 0) {
            return false;
        }
        *code = *code << 4 | (uint32_t)(c <= '9' ? c - '0' : c - 'a' + 10);
    }
    return true;
}

static char *put_utf8(char *to, uint32_t code) {
    if (code < 0x80) {
        *to++ = (char)code;
        return to;
    }
    if (code < 0x800) {
        *to++ = (char)(0xc0 | code >> 6);
    } else {
        if (code < 0x10000) {
            *to++ = (char)(0xe0 | code >> 12);
        } else {
            *to++ = (char)(0xf0 | code >> 18);
            *to++ = (char)(0x80 | (code >> 12 & 0x3f));
        }
        *to++ = (char)(0x80 | (code >> 6 & 0x3f));
    }
    *to++ = (char)(0x80 | (code & 0x3f));
    return to;
}

/* Behind "\u": one character of four digits, or of two times four. */
static int read_unicode(struct reader *reader, char **to) {
    uint32_t code, low;
    if (!hex4(reader, reader->at, &code)) {
        return fail(reader, "\\u needs four hexadecimal digits");
    }
    if (code >= 0xd800 && code < 0xe000) {
        const char *second = reader->at + 4;
        bool pair = code < 0xdc00 && reader->end - second >= 2 && second[0] == '\\' &&
                    second[1] == 'u' && hex4(reader, second + 2, &low) && low >= 0xdc00 &&
                    low < 0xe000;
        if (!pair) {
            return fail(reader, "half of a surrogate pair");
        }
        code = 0x10000 + ((code - 0xd800) << 10 | (low - 0xdc00));
        reader->at += 6;
    }
    reader->at += 4;
    *to = put_utf8(*to, code);
    return KONG_OK;
}

static int read_escape(struct reader *reader, char **to) {
    static const char from[] = "\"\\/bfnrt", into[] = "\"\\/\b\f\n\r\t";
    char c = reader->at < reader->end ? *reader->at : '\0';
    const char *known = c == '\0' ? NULL : strchr(from, c);
    if (c == 'u') {
        reader->at++;
        return read_unicode(reader, to);
    }
    if (known == NULL) {
        return fail(reader, "no such escape");
    }
    reader->at++;
    *(*to)++ = into[known - from];
    return KONG_OK;
}

/* The end of the string that begins here, behind its quote; NULL: there is none. */
static const char *string_end(const struct reader *reader) {
    const char *at = reader->at;
    while (at < reader->end && *at != '"') {
        at += *at == '\\' && reader->end - at > 1 ? 2 : 1;
    }
    return at < reader->end ? at : NULL;
}

/* Behind the quote. No escape is longer than what it stands for. */
static int read_string(struct reader *reader, struct kong_str *string) {
    const char *end = string_end(reader);
    if (end == NULL) {
        return fail_at(reader, KONG_E_INVALID, reader->end, "the text ends in a string");
    }
    char *data = arena_alloc(reader->arena, (size_t)(end - reader->at) + 1), *to = data;
    if (data == NULL) {
        return KONG_E_NOMEM;
    }
    while (reader->at < end) {
        const unsigned char *byte = (const unsigned char *)reader->at;
        size_t len = printable_utf8(byte, (size_t)(end - reader->at));
        if (len == 0 || *byte < 0x20) {
            return fail(reader, len == 0 ? "not UTF-8" : "a control character in a string");
        }
        if (*byte != '\\') {
            memcpy(to, byte, len);
            to += len;
            reader->at += len;
            continue;
        }
        reader->at++;
        int error = read_escape(reader, &to);
        if (error != 0) {
            return error;
        }
    }
    reader->at = end + 1;
    *to = '\0';
    *string = (struct kong_str){data, (size_t)(to - data)};
    return KONG_OK;
}

/* --- Numbers --- */

static const char *digits(const struct reader *reader, const char *at) {
    while (at < reader->end && isdigit((unsigned char)*at) != 0) {
        at++;
    }
    return at;
}

/* Where the number that begins here ends; NULL: it is none. *whole: no fraction, no exponent. */
static const char *number_end(const struct reader *reader, bool *whole) {
    const char *at = reader->at + (*reader->at == '-');
    const char *first = at;
    *whole = true;
    at = digits(reader, at);
    if (at == first || (*first == '0' && at > first + 1)) {
        return NULL;
    }
    if (at < reader->end && *at == '.') {
        const char *fraction = ++at;
        *whole = false;
        at = digits(reader, at);
        if (at == fraction) {
            return NULL;
        }
    }
    if (at < reader->end && (*at == 'e' || *at == 'E')) {
        *whole = false;
        at++;
        at += at < reader->end && (*at == '+' || *at == '-');
        const char *exponent = at;
        at = digits(reader, at);
        return at == exponent ? NULL : at;
    }
    return at;
}

/* strtod uses the decimal point of the locale, which a plugin may set. */
static bool to_double(const char *text, size_t len, double *number) {
    char copy[NUMBER_MOST + 32];
    const char *point = localeconv()->decimal_point;
    size_t used = 0, point_len = strlen(point);
    for (size_t i = 0; i < len; i++) {
        if (text[i] != '.') {
            copy[used++] = text[i];
        } else if (point_len < 16) {
            memcpy(copy + used, point, point_len);
            used += point_len;
        }
    }
    copy[used] = '\0';
    *number = strtod(copy, NULL);
    return isfinite(*number);
}

static int read_number(struct reader *reader, struct kong_value *value) {
    bool whole;
    const char *end = number_end(reader, &whole);
    if (end == NULL) {
        return fail(reader, "not a number as JSON writes it");
    }
    size_t len = (size_t)(end - reader->at);
    if (len > NUMBER_MOST) {
        return fail(reader, "a number of more than 1,024 characters");
    }
    char copy[NUMBER_MOST + 1];
    memcpy(copy, reader->at, len);
    copy[len] = '\0';
    errno = 0;
    long long integer = whole ? strtoll(copy, NULL, 10) : 0;
    if (whole && errno == 0) {
        *value = kong_integer(integer);
    } else {
        double number;
        if (!to_double(copy, len, &number)) {
            return fail(reader, "a number that is too large");
        }
        *value = kong_number(number);
    }
    reader->at = end;
    return KONG_OK;
}

/* --- Lists and maps --- */

/* Room for one more of `count` things; doubles. NULL: no memory. */
static void *grow(struct arena *arena, void *old, size_t count, size_t *room, size_t size) {
    if (count < *room) {
        return old;
    }
    size_t wanted = *room == 0 ? 4 : 2 * *room;
    void *new = arena_array(arena, wanted, size);
    if (new != NULL && count > 0) {
        memcpy(new, old, count * size);
    }
    *room = wanted;
    return new;
}

/* Behind a value: true when another follows, *error when neither comma nor end. */
static bool goes_on(struct reader *reader, char close, int *error) {
    skip_spaces(reader);
    *error = KONG_OK;
    if (take(reader, ',')) {
        skip_spaces(reader);
        return true;
    }
    if (!take(reader, close)) {
        *error = fail(reader, close == ']' ? "neither a comma nor the end of the array"
                                           : "neither a comma nor the end of the object");
    }
    return false;
}

static int read_list(struct reader *reader, struct kong_value *value) {
    struct kong_value *items = NULL;
    size_t count = 0, room = 0;
    int error = KONG_OK;
    skip_spaces(reader);
    bool more = !take(reader, ']');
    while (more) {
        items = grow(reader->arena, items, count, &room, sizeof *items);
        error = items == NULL ? KONG_E_NOMEM : read_value(reader, &items[count]);
        if (error != 0) {
            return error;
        }
        count++;
        more = goes_on(reader, ']', &error);
    }
    *value = kong_list(items, count);
    return error;
}

static int compare_keys(const void *a, const void *b) {
    const struct kong_pair *x = *(const struct kong_pair *const *)a;
    const struct kong_pair *y = *(const struct kong_pair *const *)b;
    size_t common = x->key.len < y->key.len ? x->key.len : y->key.len;
    int order = memcmp(x->key.data, y->key.data, common);
    if (order == 0) {
        order = (x->key.len > y->key.len) - (x->key.len < y->key.len);
    }
    return order != 0 ? order : (x > y) - (x < y); /* equal keys in their order */
}

/* Takes out all but the last of equal keys. */
static int drop_repeated(struct reader *reader, struct kong_pair *pairs, size_t *count) {
    struct kong_pair **sorted = arena_array(reader->arena, *count, sizeof *sorted);
    bool *dropped = arena_array(reader->arena, *count, sizeof *dropped);
    size_t kept = 0;
    if (sorted == NULL || dropped == NULL) {
        return KONG_E_NOMEM;
    }
    for (size_t i = 0; i < *count; i++) {
        sorted[i] = &pairs[i];
        dropped[i] = false;
    }
    qsort(sorted, *count, sizeof(struct kong_pair *), compare_keys);
    for (size_t i = 0; i + 1 < *count; i++) {
        dropped[sorted[i] - pairs] = kong_str_equal(sorted[i]->key, sorted[i + 1]->key);
    }
    for (size_t i = 0; i < *count; i++) {
        if (!dropped[i]) {
            pairs[kept++] = pairs[i];
        }
    }
    *count = kept;
    return KONG_OK;
}

static int read_pair(struct reader *reader, struct kong_pair *pair) {
    if (!take(reader, '"')) {
        return fail(reader, "a key in quotes is missing");
    }
    int error = read_string(reader, &pair->key);
    if (error != 0) {
        return error;
    }
    skip_spaces(reader);
    if (!take(reader, ':')) {
        return fail(reader, "a colon is missing");
    }
    return read_value(reader, &pair->value);
}

static int read_map(struct reader *reader, struct kong_value *value) {
    struct kong_pair *pairs = NULL;
    size_t count = 0, room = 0;
    int error = KONG_OK;
    skip_spaces(reader);
    bool more = !take(reader, '}');
    while (more) {
        pairs = grow(reader->arena, pairs, count, &room, sizeof *pairs);
        error = pairs == NULL ? KONG_E_NOMEM : read_pair(reader, &pairs[count]);
        if (error != 0) {
            return error;
        }
        count++;
        more = goes_on(reader, '}', &error);
    }
    if (error == 0 && count > 1) {
        error = drop_repeated(reader, pairs, &count);
    }
    *value = kong_map(pairs, count);
    return error;
}

static int read_word(struct reader *reader, struct kong_value *value) {
    static const struct {
        const char *word;
        struct kong_value value;
    } words[] = {
        {"true", {.type = KONG_BOOLEAN, .boolean = true}},
        {"false", {.type = KONG_BOOLEAN, .boolean = false}},
        {"null", {.type = KONG_NIL}},
    };
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        size_t len = strlen(words[i].word);
        if ((size_t)(reader->end - reader->at) >= len &&
            memcmp(reader->at, words[i].word, len) == 0) {
            reader->at += len;
            *value = words[i].value;
            return KONG_OK;
        }
    }
    return fail(reader, reader->at == reader->end ? "the text ends where a value should be"
                                                  : "this begins no value");
}

static int read_nested(struct reader *reader, struct kong_value *value) {
    bool list = *reader->at == '[';
    if (reader->depth == LIMIT_NESTING) {
        return fail_at(reader, KONG_E_TOO_BIG, reader->at, "nested deeper than 32");
    }
    reader->depth++;
    reader->at++;
    int error = list ? read_list(reader, value) : read_map(reader, value);
    reader->depth--;
    return error;
}

static int read_value(struct reader *reader, struct kong_value *value) {
    skip_spaces(reader);
    if (++reader->elements > LIMIT_ELEMENTS) {
        return fail_at(reader, KONG_E_TOO_BIG, reader->at, "more than 1,048,576 values");
    }
    char first = reader->at < reader->end ? *reader->at : '\0';
    if (first == '[' || first == '{') {
        return read_nested(reader, value);
    }
    if (first == '"') {
        reader->at++;
        value->type = KONG_STRING;
        return read_string(reader, &value->string);
    }
    if (first == '-' || isdigit((unsigned char)first) != 0) {
        return read_number(reader, value);
    }
    return read_word(reader, value);
}

int json_read(struct arena *arena, struct kong_str text, struct kong_value *value,
              struct json_fault *fault) {
    struct reader reader = {.arena = arena, .begin = text.data, .at = text.data, .fault = fault};
    reader.end = text.data + text.len;
    int error = read_value(&reader, value);
    if (error == 0) {
        skip_spaces(&reader);
        if (reader.at < reader.end) {
            error = fail(&reader, "something stands behind the value");
        }
    }
    if (error != 0) {
        *value = kong_nil();
    }
    return error;
}

_Static_assert(LIMIT_NESTING == 32 && LIMIT_ELEMENTS == 1048576, "the texts above say them");
