#include <stddef.h>

#include "log.h"

static const char *const names[LOG_LEVEL_COUNT] = {"debug", "info", "notice", "warn", "error"};

const char *log_level_name(enum log_level level) {
    return (unsigned)level < LOG_LEVEL_COUNT ? names[level] : NULL;
}
