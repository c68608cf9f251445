#include "settings.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Without the blanks around it. */
static char *trim(char *text) {
    size_t len;
    text += strspn(text, " \t\r\n");
    len = strlen(text);
    while (len > 0 && strchr(" \t\r\n", text[len - 1]) != NULL) {
        text[--len] = '\0';
    }
    return text;
}

/* Ends the line at its comment; "\#" is a "#". */
static void cut_comment(char *line) {
    char *to = line;
    for (const char *from = line; *from != '\0' && *from != '#'; from++) {
        if (*from == '\\' && from[1] == '#') {
            from++;
        }
        *to++ = *from;
    }
    *to = '\0';
}

static int add_line(struct settings *settings, char *line) {
    cut_comment(line);
    char *equals = strchr(line, '=');
    if (equals == NULL || settings->count == SETTINGS_MOST) {
        return 0;
    }
    *equals = '\0';
    struct setting *setting = &settings->settings[settings->count];
    setting->key = strdup(trim(line));
    setting->value = strdup(trim(equals + 1));
    settings->count++;
    return setting->key == NULL || setting->value == NULL ? -1 : 0;
}

int settings_read(struct settings *settings, const char *path) {
    char *line = NULL;
    size_t size = 0;
    int rc = 0;
    *settings = (struct settings){.count = 0};
    FILE *file = path == NULL ? NULL : fopen(path, "re");
    if (file == NULL) {
        return path == NULL ? 0 : -1;
    }
    while (rc == 0 && getline(&line, &size, file) >= 0) {
        rc = add_line(settings, line);
    }
    if (ferror(file)) {
        rc = -1;
    }
    int error = errno;
    free(line);
    fclose(file);
    errno = error;
    if (rc != 0) {
        settings_free(settings);
    }
    return rc;
}

void settings_free(struct settings *settings) {
    for (size_t i = 0; i < settings->count; i++) {
        free(settings->settings[i].key);
        free(settings->settings[i].value);
    }
    settings->count = 0;
}

static void name_variable(const char *key, char *out, size_t size) {
    size_t len = (size_t)snprintf(out, size, "KONG_");
    for (; *key != '\0' && len + 1 < size; key++) {
        out[len++] = (char)toupper((unsigned char)*key);
    }
    out[len] = '\0';
}

const char *settings_variable(const char *key, char *out, size_t size) {
    name_variable(key, out, size);
    return getenv(out) != NULL ? out : NULL;
}

const char *settings_get(const struct settings *settings, const char *key, const char *otherwise) {
    char variable[256];
    const char *value;
    name_variable(key, variable, sizeof variable);
    if ((value = getenv(variable)) != NULL) {
        return value;
    }
    /* The last one counts. */
    for (size_t i = settings->count; i > 0; i--) {
        if (strcasecmp(settings->settings[i - 1].key, variable + 5) == 0) {
            return settings->settings[i - 1].value;
        }
    }
    return otherwise;
}

bool settings_list_has(const char *list, const char *item) {
    while (*list != '\0') {
        size_t len;
        list += strspn(list, ", \t");
        len = strcspn(list, ", \t");
        if (len > 0 && len == strlen(item) && strncasecmp(list, item, len) == 0) {
            return true;
        }
        list += len;
    }
    return false;
}
