#include "log_line.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "printable.h"

static const char *const names[LOG_LEVEL_COUNT] = {"debug", "info", "notice", "warn", "error"};

/* syslog's numbers, from debug on. */
static const char journal_levels[LOG_LEVEL_COUNT] = {'7', '6', '5', '4', '3'};

const char *log_level_name(enum log_level level) {
    return (unsigned)level < LOG_LEVEL_COUNT ? names[level] : NULL;
}

/* Everything before the text. At most 160 bytes. */
static size_t print_head(const struct log_style *style, const char *name, enum log_level level,
                         char *out, size_t size) {
    struct timespec now;
    struct tm utc;
    char date[64];
    int prefix = 0;
    int n;

    if (style->journal)
        prefix = snprintf(out, size, "<%c>", journal_levels[level]);
    out += prefix;
    size -= (size_t)prefix;
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &utc);
    snprintf(date, sizeof date, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", utc.tm_year + 1900,
             utc.tm_mon + 1, utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec,
             (int)(now.tv_nsec / 1000000));
    if (style->format == LOG_FORMAT_JSON)
        n = snprintf(out, size,
                     "{\"time\":\"%s\",\"level\":\"%s\",\"plugin\":\"%.32s\",\"pid\":%ld,", date,
                     log_level_name(level), name, (long)getpid());
    else
        n = snprintf(out, size, "%s %-5s %.32s[%ld]: ", date, log_level_name(level), name,
                     (long)getpid());
    assert(n > 0 && (size_t)n < size);
    return (size_t)prefix + (size_t)n;
}

/* A printable text as a JSON string, cut to `size` with its quotes; size >= 8. */
static size_t quote(char *out, size_t size, const char *text) {
    size_t n = 0;

    out[n++] = '"';
    while (*text != '\0') {
        bool escaped = *text == '"' || *text == '\\';
        size_t len = 1; /* of the character: its bytes stay together */
        while ((text[len] & 0xc0) == 0x80)
            len++;
        if (n + len + escaped + sizeof "...\"" - 1 > size) {
            for (int i = 0; i < 3; i++)
                out[n++] = '.';
            break;
        }
        if (escaped)
            out[n++] = '\\';
        memcpy(out + n, text, len);
        n += len;
        text += len;
    }
    out[n++] = '"';
    return n;
}

size_t log_line_print(const struct log_style *style, const char *plugin, enum log_level level,
                      const char *request_id, const char *text, char *out, size_t size) {
    char id[80] = "";
    char tail[96] = "";
    size_t n = print_head(style, plugin != NULL ? plugin : style->name, level, out, size);

    if (request_id != NULL)
        printable_copy(id, sizeof id, request_id, strlen(request_id));
    if (style->format == LOG_FORMAT_JSON) {
        char plain[LOG_LINE_BYTES];
        printable_copy(plain, sizeof plain, text, strlen(text));
        if (request_id != NULL) {
            n += (size_t)snprintf(out + n, size - n, "\"request_id\":");
            n += quote(out + n, sizeof id * 2, id);
            out[n++] = ',';
        }
        n += (size_t)snprintf(out + n, size - n, "\"message\":");
        n += quote(out + n, size - n - 2, plain);
        out[n++] = '}';
    } else {
        size_t len = 0;
        if (request_id != NULL)
            len = (size_t)snprintf(tail, sizeof tail, " (request %s)", id);
        n += printable_copy(out + n, size - n - len, text, strlen(text));
        memcpy(out + n, tail, len);
        n += len;
    }
    out[n++] = '\n'; /* in the NUL's place */
    return n;
}
