#include "settings.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

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

/* Kong's reader of the file makes '_' of all other characters in a key (3.9.1, and a real one took
 * pluginserver_my-server_socket): so does this. */
static void make_identifier(char *key) {
    for (char *c = key; *c != '\0'; c++) {
        *c = isalnum((unsigned char)*c) ? *c : '_';
    }
}

/* Takes over key and value. */
static int add(struct settings *settings, char *key, char *value, bool variable) {
    struct setting *list = reallocarray(settings->list, settings->count + 1, sizeof *list);
    settings->list = list != NULL ? list : settings->list;
    if (list == NULL || key == NULL || value == NULL) {
        free(key);
        free(value);
        return -1;
    }
    list[settings->count++] = (struct setting){key, value, variable};
    return 0;
}

static int add_line(struct settings *settings, char *line) {
    cut_comment(line);
    char *equals = strchr(line, '=');
    if (equals == NULL) {
        return 0;
    }
    *equals = '\0';
    make_identifier(line = trim(line));
    return add(settings, strdup(line), strdup(trim(equals + 1)), false);
}

static int add_variables(struct settings *settings) {
    for (char **variable = environ; *variable != NULL; variable++) {
        const char *equals = strchr(*variable, '=');
        if (strncmp(*variable, "KONG_", 5) != 0 || equals == NULL) {
            continue;
        }
        char *key = strndup(*variable + 5, (size_t)(equals - *variable) - 5);
        for (char *c = key; c != NULL && *c != '\0'; c++) {
            *c = (char)tolower((unsigned char)*c);
        }
        if (add(settings, key, strdup(equals + 1), true) != 0) {
            return -1;
        }
    }
    return 0;
}

static int add_file(struct settings *settings, const char *path) {
    char *line = NULL;
    size_t size = 0;
    int rc = 0;
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        return -1;
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
    return rc;
}

int settings_read(struct settings *settings, const char *path) {
    *settings = (struct settings){.count = 0};
    if ((path == NULL || add_file(settings, path) == 0) && add_variables(settings) == 0) {
        return 0;
    }
    int error = errno;
    settings_free(settings);
    errno = error;
    return -1;
}

void settings_free(struct settings *settings) {
    for (size_t i = 0; i < settings->count; i++) {
        free(settings->list[i].key);
        free(settings->list[i].value);
    }
    free(settings->list);
    *settings = (struct settings){.count = 0};
}

bool setting_unquote(struct setting *setting) {
    char *value = setting->value;
    size_t len = strlen(value);
    if (len < 2 || (value[0] != '"' && value[0] != '\'') || value[len - 1] != value[0] ||
        memchr(value + 1, value[0], len - 2) != NULL) {
        return false;
    }
    memmove(value, value + 1, len - 2);
    value[len - 2] = '\0';
    return true;
}

void settings_lower(const char *name, char *out, size_t size) {
    snprintf(out, size, "%s", name);
    for (char *c = out; *c != '\0'; c++) {
        *c = (char)tolower((unsigned char)*c);
    }
}

void settings_server_key(const char *name, const char *what, char *out, size_t size) {
    snprintf(out, size, "pluginserver_%.100s_%s", name, what);
    for (char *c = out; *c != '\0'; c++) {
        *c = *c == '-' ? '_' : (char)tolower((unsigned char)*c);
    }
}

void settings_variable(const char *key, char *out, size_t size) {
    snprintf(out, size, "KONG_%s", key);
    for (char *c = out; *c != '\0'; c++) {
        *c = (char)toupper((unsigned char)*c);
    }
}

const char *settings_get(const struct settings *settings, const char *key, const char *otherwise) {
    for (size_t i = settings->count; i > 0; i--) {
        if (strcasecmp(settings->list[i - 1].key, key) == 0) {
            return settings->list[i - 1].value;
        }
    }
    return otherwise;
}

bool settings_list_next(const char **list, char *item, size_t size) {
    *list += strspn(*list, ", \t");
    size_t len = strcspn(*list, ", \t");
    snprintf(item, size, "%.*s", (int)len, *list);
    *list += len;
    return len > 0;
}

bool settings_list_has(const char *list, const char *item) {
    char one[256];
    while (settings_list_next(&list, one, sizeof one)) {
        if (strcasecmp(one, item) == 0) {
            return true;
        }
    }
    return false;
}
