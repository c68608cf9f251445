/* A text that is put together in an array; what does not fit is cut. */
#ifndef SERVER_TEXT_H
#define SERVER_TEXT_H

#include <stddef.h>

/* The array is borrowed, and ends with NUL at any time. */
struct text {
    char *data;
    size_t size, len;
};

/* An empty one in this array. */
#define TEXT_IN(array_) text_in((array_), sizeof(array_))

static inline struct text text_in(char *data, size_t size) {
    data[0] = '\0';
    return (struct text){.data = data, .size = size};
}

void text_add(struct text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* One more of a list, behind `between` unless it is the first. */
void text_add_item(struct text *text, const char *between, const char *item);

#endif
