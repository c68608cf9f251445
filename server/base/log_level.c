#include <string.h>

#include "log.h"

static const char *const names[LOG_LEVEL_COUNT] = {"debug", "info", "notice", "warn", "error"};

int log_level_parse(const char *text) {
    for (int i = 0; i < LOG_LEVEL_COUNT; i++)
        if (strcmp(text, names[i]) == 0)
            return i;
    return -1;
}

const char *log_level_name(enum log_level level) {
    return (unsigned)level < LOG_LEVEL_COUNT ? names[level] : NULL;
}
