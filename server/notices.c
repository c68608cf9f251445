#include "notices.h"

#include <stdarg.h>
#include <stdio.h>

bool recurrence_due(struct recurrence *recurrence, uint64_t now_ns, uint64_t *times) {
    recurrence->times++;
    if (recurrence->told_ns != 0 && now_ns - recurrence->told_ns < NOTICE_EVERY_NS) {
        return false;
    }
    *times = recurrence->times;
    recurrence->times = 0;
    recurrence->told_ns = now_ns;
    return true;
}

void notices_add(struct notices *notices, const char *format, ...) {
    va_list args;
    if (notices->count == NOTICES_MOST) {
        return;
    }
    va_start(args, format);
    if (vsnprintf(notices->lines[notices->count], NOTICE_SIZE, format, args) > 0) {
        notices->count++;
    }
    va_end(args);
}
