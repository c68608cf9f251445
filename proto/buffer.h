/* Bytes that grow up to a limit. An append that fails (no memory, over the limit) sets `failed`,
 * changes nothing else and makes all later appends fail: an encoder appends without looking and
 * checks once, at its end. */
#ifndef PROTO_BUFFER_H
#define PROTO_BUFFER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "budget.h"

/* Owned by whoever embeds it. data and len may be read; data is NULL while nothing was ever
 * appended. */
struct buffer {
    uint8_t *data;
    size_t len;
    size_t capacity;
    size_t limit;
    bool failed;
    const struct budget *budget; /* or NULL */
};

/* The first bytes of a buffer, which are charged to no budget. */
#define BUFFER_FREE ((size_t)4 << 10)

void buffer_init(struct buffer *buffer, size_t limit);

/* Charges a budget (borrowed) for what the buffer grows to. Before the first append. */
static inline void buffer_set_budget(struct buffer *buffer, const struct budget *budget) {
    buffer->budget = budget;
}

/* The bytes with a NUL behind them, as a string that the caller frees; the buffer is as after
 * buffer_free. NULL: it had failed, or is full. Not for one with a budget. */
char *buffer_take_text(struct buffer *buffer);

/* Makes room for an end that must not fail: so many bytes more, whatever the limits are. They are
 * charged to the budget all the same. */
void buffer_overdraw(struct buffer *buffer, size_t more);

/* Moves all bytes, and what they are charged to; `from` is as after buffer_init. */
void buffer_move(struct buffer *to, struct buffer *from);
void buffer_free(
    struct buffer *buffer); /* usable again as after buffer_init, with the same limit */

void buffer_append(struct buffer *buffer, const void *data, size_t len);
void buffer_append_text(struct buffer *buffer, const char *text);
void buffer_append_byte(struct buffer *buffer, uint8_t byte);
void buffer_printf(struct buffer *buffer, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Room for len more bytes at data + buffer->len, so that they can be written in place and counted
 * with `len +=`. False, and failed, when there is none. */
bool buffer_reserve_more(struct buffer *buffer, size_t len);
static inline bool buffer_reserve(struct buffer *buffer, size_t len) {
    if (!buffer->failed && len <= buffer->capacity - buffer->len) { /* the usual case */
        return true;
    }
    return buffer_reserve_more(buffer, len);
}

/* Takes the first len bytes away (len <= buffer->len). */
void buffer_consume(struct buffer *buffer, size_t len);

/* Cuts back to len bytes (an encoder that gives up) and clears `failed`. */
void buffer_truncate(struct buffer *buffer, size_t len);

/* Empties it; memory above keep bytes is given back. Clears `failed`. */
void buffer_clear(struct buffer *buffer, size_t keep);

#endif
