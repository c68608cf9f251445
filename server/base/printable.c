#include "printable.h"

#include <assert.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

static const char dots[] = "...";

size_t printable_utf8(const unsigned char *text, size_t len) {
    uint32_t code;
    size_t need;

    if (text[0] < 0x80)
        return 1;
    if (text[0] >= 0xc2 && text[0] <= 0xdf)
        need = 2;
    else if (text[0] >= 0xe0 && text[0] <= 0xef)
        need = 3;
    else if (text[0] >= 0xf0 && text[0] <= 0xf4)
        need = 4;
    else
        return 0;
    if (need > len)
        return 0;
    code = text[0] & (0x7fu >> need);
    for (size_t i = 1; i < need; i++) {
        if ((text[i] & 0xc0) != 0x80)
            return 0;
        code = code << 6 | (text[i] & 0x3f);
    }
    if ((need == 3 && code < 0x800) || (need == 4 && (code < 0x10000 || code > 0x10ffff)) ||
        (code >= 0xd800 && code <= 0xdfff))
        return 0;
    return need;
}

static bool is_control(const unsigned char *text, size_t length) {
    return (length == 1 && (text[0] < 0x20 || text[0] == 0x7f)) ||
           (length == 2 && text[0] == 0xc2 && text[1] < 0xa0);
}

/* One character, or one byte that is none, in at most 8 bytes; *used of text. */
static size_t print_one(char out[8], const unsigned char *text, size_t len, size_t *used) {
    static const char hex[] = "0123456789ABCDEF";
    size_t length = printable_utf8(text, len);
    size_t n = 0;

    *used = length ? length : 1;
    if (length && !is_control(text, length)) {
        memcpy(out, text, length);
        return length;
    }
    for (size_t i = 0; i < *used; i++) {
        out[n++] = '\\';
        out[n++] = 'x';
        out[n++] = hex[text[i] >> 4];
        out[n++] = hex[text[i] & 15];
    }
    return n;
}

size_t printable_copy(char *out, size_t size, const char *text, size_t len) {
    const unsigned char *in = (const unsigned char *)text;
    size_t room = size - 1;
    size_t n = 0;
    size_t cut = 0; /* where the dots go: the end of the last character that leaves room for them */

    assert(size >= sizeof dots);
    while (len > 0) {
        char one[8];
        size_t used;
        size_t length = print_one(one, in, len, &used);

        if (n + length > room) {
            memcpy(out + cut, dots, sizeof dots);
            return cut + sizeof dots - 1;
        }
        memcpy(out + n, one, length);
        n += length;
        if (n + sizeof dots - 1 <= room)
            cut = n;
        in += used;
        len -= used;
    }
    out[n] = '\0';
    return n;
}

int printable_error(char *error, size_t size, const char *format, ...) {
    char text[1024];
    va_list args;
    va_start(args, format);
    if (vsnprintf(text, sizeof text, format, args) < 0) {
        text[0] = '\0';
    }
    va_end(args);
    printable_copy(error, size, text, strlen(text));
    return -1;
}
