/* Writes one line per record to stderr and never blocks. Kong reads the pipe when it has time, and
 * shows the lines only at its log level info. When the pipe is full, lines are lost and counted. */
#ifndef SERVER_LOG_H
#define SERVER_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum log_level {
    LOG_LEVEL_DEBUG,
    LOG_LEVEL_INFO,
    LOG_LEVEL_NOTICE,
    LOG_LEVEL_WARN,
    LOG_LEVEL_ERROR,
    LOG_LEVEL_COUNT
};

enum log_format { LOG_FORMAT_TEXT, LOG_FORMAT_JSON };

struct log; /* safe to use from several threads */

/* fd is borrowed (2 in the program); its mode stays as it is, for other processes share it. `name`
 * is in each line (its first 32 bytes) and must outlive the log. NULL when out of memory. The
 * program ignores SIGPIPE. */
struct log *log_create(int fd, enum log_level level, const char *name);
void log_destroy(struct log *log); /* NULL is allowed */

/* Writes "2026-11-22T19:01:41.123Z warn  api-version[123]: TEXT (request ID)\n". `plugin` is the
 * one that the line is about, its name; NULL: the log's name. `request_id` may be NULL: it is not
 * known, or there is none. In JSON it is "request_id". Nothing happens where `log` is NULL. Control
 * characters in the text and bytes that are not UTF-8 come out as \xNN (printable.h); a line is cut
 * at 2,048 bytes, with "..." at its end. When the line cannot be written at once it is dropped and
 * counted, and the next one that can be written comes behind a line that says how many were lost.
 * errno is kept. Takes some 10 KiB of stack. */
void log_write_for(struct log *log, const char *plugin, enum log_level level,
                   const char *request_id, const char *format, ...)
    __attribute__((format(printf, 5, 6)));

/* The same for a line about the process. */
#define log_write(log, level, ...) log_write_for(log, NULL, level, NULL, __VA_ARGS__)

/* To be called before the first line. JSON is one object a line: {"time", "level", "plugin", "pid",
 * "request_id", "message"}. */
void log_set_format(struct log *log, enum log_format format);

/* Puts that file in the place of the log's descriptor (log_file.h). To be called before the first
 * line. `path` must outlive the log. 0, or an errno. log_reopen opens the file by its name again,
 * for a program that moved it. Where that fails the log keeps the old file, and a line in it says
 * why. Without a file log_reopen does nothing; NULL is allowed. Where systemd's journal reads the
 * descriptor instead, each line begins with its level as journald wants it, "<3>" for an error. */
int log_use_file(struct log *log, const char *path);
void log_reopen(struct log *log);
bool log_has_file(const struct log *log);

bool log_enabled(const struct log *log, enum log_level level);
void log_set_level(struct log *log, enum log_level level); /* async-signal-safe */
/* Moves the level by so many steps, down (more lines) or up, but not past debug or error. A line
 * says which it is now. NULL is allowed. */
void log_shift_level(struct log *log, int steps);
uint64_t log_dropped(const struct log *log);

/* "debug", "info", "notice", "warn", "error". */
const char *log_level_name(enum log_level level);

#endif
