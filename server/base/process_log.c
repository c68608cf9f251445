#include "process_log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

#include "kong_log.h"
#include "printable.h"

_Static_assert((int)KONG_LOG_DEBUG == (int)LOG_LEVEL_DEBUG &&
                   (int)KONG_LOG_ERROR == (int)LOG_LEVEL_ERROR,
               "plugins' levels are ours");

/* kong_process_log has no handle, so the log is found here. Set before the plugin's code runs
 * first, cleared when it has run last. */
static _Atomic(struct log *) the_log;

void process_log_set(struct log *log) {
    atomic_store(&the_log, log);
}

/* Where there is no server: a test, --check-config. */
static void write_plain(enum log_level level, const char *text) {
    char line[PRINTABLE_KONG_LINE + 16];
    char printable[PRINTABLE_KONG_LINE];
    printable_copy(printable, sizeof printable, text, strlen(text));
    int len = snprintf(line, sizeof line, "%s: %s\n", log_level_name(level), printable);
    if (len > 0 && write(STDERR_FILENO, line, (size_t)len) < 0) {
        return; /* nobody reads it */
    }
}

void kong_process_log(enum kong_log_level level, const char *format, ...) {
    char text[PRINTABLE_KONG_LINE];
    struct log *log = atomic_load(&the_log);
    bool known = (unsigned)level < LOG_LEVEL_COUNT;
    enum log_level own = known ? (enum log_level)level : LOG_LEVEL_ERROR;
    va_list args;
    va_start(args, format);
    int len = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (len < 0) {
        return;
    }
    if (log != NULL) {
        log_write(log, own, "%s", text);
    } else {
        write_plain(own, text);
    }
}
