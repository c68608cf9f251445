#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "doctor.h"
#include "printable.h"
#include "shell_words.h"

void doctor_say(struct patient *p, enum doctor_kind kind, const char *mend, const char *format,
                ...) {
    static const char *const kinds[][2] = {[DOCTOR_OK] = {"ok", "\033[32m"},
                                           [DOCTOR_NOTE] = {"note", "\033[33m"},
                                           [DOCTOR_FAIL] = {"FAIL", "\033[1;31m"}};
    char text[2048];
    char line[sizeof p->mend];
    va_list args;
    va_start(args, format);
    if (vsnprintf(text, sizeof text, format, args) < 0) {
        text[0] = '\0';
    }
    va_end(args);
    printable_copy(line, sizeof line, text, strlen(text));
    fprintf(p->out, "%s%-4s%s %s\n", p->colours ? kinds[kind][1] : "", kinds[kind][0],
            p->colours ? "\033[0m" : "", line);
    if (kind == DOCTOR_FAIL) {
        printable_copy(line, sizeof line, mend, strlen(mend));
        fprintf(p->out, "     mend: %s\n", line);
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
    buffer_init(&quoted, (size_t)16 << 10);
    shell_append(&quoted, value);
    doctor_mend(p, "%s=%.*s, in the environment, which wins over kong.conf", variable,
                (int)quoted.len, quoted.data != NULL ? (const char *)quoted.data : "");
    buffer_free(&quoted);
    return p->mend;
}

const char *doctor_mend_own(struct patient *p, const char *what, const char *value) {
    char key[160];
    settings_server_key(p->name, what, key, sizeof key);
    return doctor_mend_setting(p, key, value);
}

const char *doctor_mend_more(struct patient *p, const char *format, ...) {
    size_t len = strlen(p->mend);
    va_list args;
    va_start(args, format);
    vsnprintf(p->mend + len, sizeof p->mend - len, format, args);
    va_end(args);
    return p->mend;
}

const char *doctor_mend_user(struct patient *p, int error) {
    return error != EACCES || geteuid() == 0 || geteuid() == p->uid
               ? NULL
               : doctor_mend(p, "run --doctor as root or as Kong's user %.60s", p->user);
}

bool doctor_may(const struct patient *p, const struct stat *status, unsigned bits) {
    unsigned mode = status->st_mode;
    unsigned shift = status->st_uid == p->uid ? 6 : status->st_gid == p->gid ? 3 : 0;
    return p->uid == 0 || (mode >> shift & bits) == bits;
}
