#include "buffer.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CAPACITY_FIRST ((size_t)256)

void buffer_init(struct buffer *buffer, size_t limit) {
    *buffer = (struct buffer){.limit = limit};
}

static size_t charge(size_t capacity) {
    return capacity > BUFFER_FREE ? capacity : 0;
}

static void empty(struct buffer *buffer) {
    const struct budget *budget = buffer->budget;
    buffer_init(buffer, buffer->limit);
    buffer->budget = budget;
}

void buffer_free(struct buffer *buffer) {
    budget_give(buffer->budget, charge(buffer->capacity));
    free(buffer->data);
    empty(buffer);
}

void buffer_overdraw(struct buffer *buffer, size_t more) {
    size_t capacity = buffer->len + more;
    uint8_t *data = capacity > buffer->capacity ? realloc(buffer->data, capacity) : NULL;
    if (data != NULL) {
        budget_overdraw(buffer->budget, charge(capacity) - charge(buffer->capacity));
        buffer->data = data;
        buffer->capacity = capacity;
    }
}

void buffer_move(struct buffer *to, struct buffer *from) {
    *to = *from;
    empty(from);
}

/* Doubling, so that n bytes appended one by one are copied at most twice each. */
static bool grow(struct buffer *buffer, size_t needed) {
    size_t capacity = buffer->capacity < CAPACITY_FIRST ? CAPACITY_FIRST : buffer->capacity;
    while (capacity < needed) {
        capacity = capacity > SIZE_MAX / 2 ? needed : capacity * 2;
    }
    if (capacity > buffer->limit) {
        capacity = buffer->limit;
    }
    size_t more = charge(capacity) - charge(buffer->capacity);
    if (!budget_take(buffer->budget, more)) {
        return false;
    }
    uint8_t *data = realloc(buffer->data, capacity);
    if (data == NULL) {
        budget_give(buffer->budget, more);
        return false;
    }
    buffer->data = data;
    buffer->capacity = capacity;
    return true;
}

bool buffer_reserve_more(struct buffer *buffer, size_t len) {
    if (buffer->failed) {
        return false;
    }
    if (buffer->len > buffer->limit || len > buffer->limit - buffer->len ||
        !grow(buffer, buffer->len + len)) {
        buffer->failed = true;
        return false;
    }
    return true;
}

void buffer_append(struct buffer *buffer, const void *data, size_t len) {
    if (len > 0 && buffer_reserve(buffer, len)) {
        memcpy(buffer->data + buffer->len, data, len);
        buffer->len += len;
    }
}

void buffer_append_text(struct buffer *buffer, const char *text) {
    buffer_append(buffer, text, strlen(text));
}

void buffer_append_byte(struct buffer *buffer, uint8_t byte) {
    if (buffer_reserve(buffer, 1)) {
        buffer->data[buffer->len++] = byte;
    }
}

void buffer_printf(struct buffer *buffer, const char *format, ...) {
    size_t room = buffer->capacity - buffer->len;
    va_list args;
    va_start(args, format);
    int len = vsnprintf(room > 0 ? (char *)buffer->data + buffer->len : NULL, room, format, args);
    va_end(args);
    if (len >= 0 && (size_t)len >= room && buffer_reserve(buffer, (size_t)len + 1)) {
        va_start(args, format);
        vsnprintf((char *)buffer->data + buffer->len, (size_t)len + 1, format, args);
        va_end(args);
    }
    buffer->len += len < 0 || buffer->failed ? 0 : (size_t)len;
}

char *buffer_take_text(struct buffer *buffer) {
    char *text = NULL;
    buffer_append_byte(buffer, '\0');
    if (!buffer->failed) {
        text = (char *)buffer->data;
        empty(buffer);
    }
    buffer_free(buffer);
    return text;
}

void buffer_consume(struct buffer *buffer, size_t len) {
    assert(len <= buffer->len);
    if (len > 0) {
        buffer->len -= len;
        memmove(buffer->data, buffer->data + len, buffer->len);
    }
}

void buffer_truncate(struct buffer *buffer, size_t len) {
    assert(len <= buffer->len);
    buffer->len = len;
    buffer->failed = false;
}

void buffer_clear(struct buffer *buffer, size_t keep) {
    buffer_truncate(buffer, 0);
    if (buffer->capacity <= keep) {
        return;
    }
    if (keep == 0) {
        buffer_free(buffer);
        return;
    }
    uint8_t *data = realloc(buffer->data, keep);
    if (data != NULL) { /* else the larger piece simply stays */
        budget_give(buffer->budget, charge(buffer->capacity) - charge(keep));
        buffer->data = data;
        buffer->capacity = keep;
    }
}
