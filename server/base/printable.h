/* Text from outside made fit for one line on a terminal or in a log. */
#ifndef SERVER_PRINTABLE_H
#define SERVER_PRINTABLE_H

#include <stddef.h>

/* Room for a text in a line of Kong's error.log, with its NUL. nginx cuts its lines at 4,096 bytes;
 * the rest is for what it writes around the text: the client, the request, its id. */
#define PRINTABLE_KONG_LINE 2048

/* Copies len bytes of text to out as one line of printable UTF-8: control characters (C0, DEL, C1)
 * and bytes that are not UTF-8 become \xNN. What does not fit in `size` bytes with the closing NUL
 * is cut between characters and the cut marked with "...". Returns the length written; size >= 4
 * (asserted). */
size_t printable_copy(char *out, size_t size, const char *text, size_t len);

/* An error in one line: printf (at most 1,023 bytes) into `error`, as printable_copy does it.
 * Always -1. */
int printable_error(char *error, size_t size, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Bytes of the UTF-8 character at text, of len bytes (at least 1); 0 when there is none. */
size_t printable_utf8(const unsigned char *text, size_t len);

#endif
