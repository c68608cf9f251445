#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "doctor.h"
#include "printable.h"
#include "shell_words.h"

static const char no_memory[] = "(out of memory)";

static void print_line(FILE *out, const char *text) {
    text = text != NULL ? text : no_memory;
    size_t size = 4 * strlen(text) + 4; /* each byte may become \xNN */
    char *line = malloc(size);
    if (line != NULL) {
        printable_copy(line, size, text, strlen(text));
    }
    fprintf(out, "%s\n", line != NULL ? line : no_memory);
    free(line);
}

void doctor_say(struct patient *p, enum doctor_kind kind, const char *mend, const char *format,
                ...) {
    static const char *const kinds[][2] = {[DOCTOR_OK] = {"ok", "\033[32m"},
                                           [DOCTOR_NOTE] = {"note", "\033[33m"},
                                           [DOCTOR_FAIL] = {"FAIL", "\033[1;31m"}};
    char *text;
    va_list args;
    va_start(args, format);
    if (vasprintf(&text, format, args) < 0) {
        text = NULL;
    }
    va_end(args);
    fprintf(p->out, "%s%-4s%s ", p->colours ? kinds[kind][1] : "", kinds[kind][0],
            p->colours ? "\033[0m" : "");
    print_line(p->out, text);
    free(text);
    if (kind == DOCTOR_FAIL) {
        fputs("     mend: ", p->out);
        print_line(p->out, mend);
    }
    p->findings[kind]++;
}

const char *doctor_get(const struct patient *p, const char *key, const char *otherwise) {
    return settings_get(&p->settings, key, otherwise);
}

const char *doctor_mend_setting(struct patient *p, const char *key, const char *value) {
    char variable[256];
    struct buffer quoted;
    settings_variable(key, variable, sizeof variable);
    if (getenv(variable) == NULL) {
        return doctor_mend(p, "%s = %s", key, value);
    }
    buffer_init(&quoted, DOCTOR_MOST);
    shell_append(&quoted, value);
    doctor_mend(p, "%s=%.*s, in the environment, which wins over kong.conf", variable,
                (int)quoted.len, quoted.data != NULL ? (const char *)quoted.data : "");
    buffer_free(&quoted);
    return doctor_mended(p);
}

const char *doctor_mend_list(struct patient *p, const char *key, struct buffer *list) {
    doctor_mend_setting(p, key, list->len == 0 || list->failed ? "" : (const char *)list->data);
    buffer_free(list);
    return doctor_mended(p);
}

const char *doctor_mend_own(struct patient *p, const char *what, const char *value) {
    char key[160];
    settings_server_key(p->name, what, key, sizeof key);
    return doctor_mend_setting(p, key, value);
}

const char *doctor_mended(const struct patient *p) {
    return p->mend.failed ? no_memory : (const char *)p->mend.data;
}

const char *doctor_mend_more(struct patient *p, const char *format, ...) {
    char *more;
    va_list args;
    va_start(args, format);
    if (vasprintf(&more, format, args) < 0) {
        more = NULL;
    }
    va_end(args);
    buffer_printf(&p->mend, "%s", more != NULL ? more : no_memory);
    free(more);
    return doctor_mended(p);
}

const char *doctor_mend_user(struct patient *p, int error) {
    return error != EACCES || geteuid() == 0 || geteuid() == p->uid
               ? NULL
               : doctor_mend(p, "run --doctor as root or as Kong's user %s", p->user);
}

bool doctor_may(const struct patient *p, const struct stat *status, unsigned bits) {
    unsigned mode = status->st_mode;
    unsigned shift = status->st_uid == p->uid ? 6 : status->st_gid == p->gid ? 3 : 0;
    return p->uid == 0 || (mode >> shift & bits) == bits;
}
