/* Values of options as text. */
#include <string.h>

#include "options_table.h"

static void show_bytes(size_t bytes, char *out, size_t size) {
    if (bytes % ((size_t)1 << 20) == 0) {
        snprintf(out, size, "%zuM", bytes >> 20);
    } else if (bytes % 1024 == 0) {
        snprintf(out, size, "%zuK", bytes >> 10);
    } else {
        snprintf(out, size, "%zu", bytes);
    }
}

static void show_name(const struct option_name *name, unsigned value, char *out, size_t size) {
    while (name->name != NULL && name->value != value) {
        name++;
    }
    snprintf(out, size, "%s", name->name);
}

void options_list_uids(const struct option_uids *uids, struct text *out) {
    for (size_t i = 0; i < uids->count; i++) {
        text_add(out, "%s%lu", i > 0 ? "," : "", (unsigned long)uids->list[i]);
    }
}

bool options_has_uid(const struct option_uids *uids, uid_t uid) {
    for (size_t i = 0; i < uids->count; i++) {
        if (uids->list[i] == uid) {
            return true;
        }
    }
    return false;
}

const char *options_show(const struct option_row *row, const struct options *options, char *scratch,
                         size_t size) {
    const void *value = (const char *)options + row->offset;
    struct text text = text_in(scratch, size);
    switch (row->kind) {
    case OPTION_ACTION:
        break;
    case OPTION_FLAG:
        snprintf(scratch, size, "%s", *(const bool *)value ? row->name : "");
        break;
    case OPTION_UIDS:
        options_list_uids(value, &text);
        break;
    case OPTION_TEXT:
        return *(char *const *)value != NULL ? *(char *const *)value : scratch;
    case OPTION_HEADERS: {
        const char *names = *(char *const *)value;
        return names == NULL ? scratch : names[0] == '\0' ? row->name : names;
    }
    case OPTION_MODE:
        snprintf(scratch, size, "%04o", (unsigned)*(const mode_t *)value);
        break;
    case OPTION_SECONDS:
        snprintf(scratch, size, "%.12g", (double)*(const uint64_t *)value / 1000);
        break;
    case OPTION_COUNT:
        snprintf(scratch, size, "%zu", *(const size_t *)value);
        break;
    case OPTION_BYTES:
        show_bytes(*(const size_t *)value, scratch, size);
        break;
    case OPTION_KONG_VERSION:
        if (*(const int *)value == 0) {
            snprintf(scratch, size, "any");
            break;
        }
        __attribute__((fallthrough));
    case OPTION_PRIORITY:
        snprintf(scratch, size, "%d", *(const int *)value);
        break;
    case OPTION_NAME:
        show_name(row->names, *(const unsigned *)value, scratch, size);
        break;
    case OPTION_PHASES:
        options_list_phases(*(const unsigned *)value, ",", scratch, size);
        break;
    }
    return scratch;
}
