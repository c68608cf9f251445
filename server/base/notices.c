#include "notices.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

bool recurrence_due(struct recurrence *recurrence, uint64_t now_ns, uint64_t every_ns,
                    uint64_t *times) {
    recurrence->times++;
    if (recurrence->told_ns != 0 && now_ns - recurrence->told_ns < every_ns) {
        return false;
    }
    *times = recurrence->times;
    recurrence->times = 0;
    recurrence->told_ns = now_ns;
    return true;
}

void notices_add(struct notices *notices, const char *format, ...) {
    va_list args;
    va_start(args, format);
    pthread_mutex_lock(&notices->lock);
    size_t count = atomic_load(&notices->count);
    if (count < NOTICES_MOST && vsnprintf(notices->lines[count], NOTICE_SIZE, format, args) > 0) {
        atomic_store(&notices->count, count + 1);
    }
    pthread_mutex_unlock(&notices->lock);
    va_end(args);
}

bool notices_take(struct notices *notices, char line[NOTICE_SIZE]) {
    pthread_mutex_lock(&notices->lock);
    size_t count = atomic_load(&notices->count);
    if (count > 0) {
        memcpy(line, notices->lines[0], NOTICE_SIZE);
        memmove(notices->lines[0], notices->lines[1], (count - 1) * NOTICE_SIZE);
        atomic_store(&notices->count, count - 1);
    }
    pthread_mutex_unlock(&notices->lock);
    return count > 0;
}
