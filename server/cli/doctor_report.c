#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include "doctor.h"
#include "printable.h"
#include "shell_words.h"

static void say(struct doctor *doctor, const char *what, const char *format, va_list args)
    __attribute__((format(printf, 3, 0)));

static void say(struct doctor *doctor, const char *what, const char *format, va_list args) {
    char text[2048];
    char line[2048];
    if (vsnprintf(text, sizeof text, format, args) < 0) {
        text[0] = '\0';
    }
    printable_copy(line, sizeof line, text, strlen(text));
    const char *colour = what[0] == 'o' ? "\033[32m" : what[0] == 'n' ? "\033[33m" : "\033[1;31m";
    fprintf(doctor->out, "%s%-4s%s %s\n", doctor->colours ? colour : "", what,
            doctor->colours ? "\033[0m" : "", line);
}

void doctor_ok(struct doctor *doctor, const char *format, ...) {
    va_list args;
    va_start(args, format);
    say(doctor, "ok", format, args);
    doctor->well++;
    va_end(args);
}

void doctor_note(struct doctor *doctor, const char *format, ...) {
    va_list args;
    va_start(args, format);
    say(doctor, "note", format, args);
    doctor->notes++;
    va_end(args);
}

void doctor_fail(struct doctor *doctor, const char *mend, const char *format, ...) {
    char line[2048];
    va_list args;
    va_start(args, format);
    say(doctor, "FAIL", format, args);
    va_end(args);
    printable_copy(line, sizeof line, mend, strlen(mend));
    fprintf(doctor->out, "     mend: %s\n", line);
    doctor->failed++;
}

const char *doctor_get(const struct patient *p, const char *key, const char *otherwise) {
    return settings_get(&p->settings, key, otherwise);
}

void doctor_set_name(struct patient *p, const char *name) {
    memset(p->name, 0, sizeof p->name);
    for (size_t i = 0; i + 1 < sizeof p->name && name[i] != '\0'; i++) {
        p->name[i] = (char)tolower((unsigned char)name[i]);
    }
}

void doctor_mend_setting(const char *key, const char *value, char *out, size_t size) {
    char variable[256];
    struct buffer quoted;
    if (settings_variable(key, variable, sizeof variable) == NULL) {
        snprintf(out, size, "%s = %s", key, value);
        return;
    }
    buffer_init(&quoted, (size_t)16 << 10);
    shell_append(&quoted, value);
    snprintf(out, size, "%s=%.*s, in the environment, which wins over kong.conf", variable,
             (int)quoted.len, quoted.data != NULL ? (const char *)quoted.data : "");
    buffer_free(&quoted);
}

bool doctor_not_allowed(const struct patient *p, int error, char *out, size_t size) {
    if (error != EACCES || geteuid() == 0 || geteuid() == p->uid) {
        return false;
    }
    snprintf(out, size, "run --doctor as root or as Kong's user %.60s", p->user);
    return true;
}

bool doctor_may(const struct patient *p, const struct stat *status, unsigned bits) {
    unsigned mode = status->st_mode;
    unsigned shift = status->st_uid == p->uid ? 6 : status->st_gid == p->gid ? 3 : 0;
    return p->uid == 0 || (mode >> shift & bits) == bits;
}
