/* How a line of the log looks. Private to log.c. */
#ifndef SERVER_LOG_LINE_H
#define SERVER_LOG_LINE_H

#include <stdbool.h>
#include <stddef.h>

#include "log.h"

#define LOG_LINE_BYTES 2048 /* with the newline */

struct log_style {
    const char *name; /* of the process; its first 32 bytes are shown */
    enum log_format format;
    bool journal; /* each line begins with its level for journald: "<3>" */
};

/* Prints a whole line, with its newline and no NUL; size >= 320, and what does not fit is cut.
 * plugin NULL: the style's name; the request's id may be NULL. Returns the line's length. */
size_t log_line_print(const struct log_style *style, const char *plugin, enum log_level level,
                      const char *request_id, const char *text, char *out, size_t size);

#endif
