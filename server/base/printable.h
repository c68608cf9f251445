/* Text from outside made fit for one line on a terminal or in a log. */
#ifndef SERVER_PRINTABLE_H
#define SERVER_PRINTABLE_H

#include <stddef.h>

/* Copies len bytes of text to out as one line of printable UTF-8: control characters (C0, DEL, C1)
 * and bytes that are not UTF-8 become \xNN. What does not fit in `size` bytes with the closing NUL
 * is cut between characters and the cut marked with "...". Returns the length written; size >= 4
 * (asserted). */
size_t printable_copy(char *out, size_t size, const char *text, size_t len);

#endif
