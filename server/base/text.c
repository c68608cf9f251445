#include "text.h"

#include <stdarg.h>
#include <stdio.h>

void text_add(struct text *text, const char *format, ...) {
    size_t room = text->size - text->len;
    va_list args;
    va_start(args, format);
    int len = vsnprintf(text->data + text->len, room, format, args);
    va_end(args);
    text->len += len < 0 ? 0 : (size_t)len < room ? (size_t)len : room - 1;
}

void text_add_item(struct text *text, const char *between, const char *item) {
    text_add(text, "%s%s", text->len > 0 ? between : "", item);
}
