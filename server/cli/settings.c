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
    if (setting->key == NULL || setting->value == NULL) {
        return -1;
    }
    make_identifier(setting->key);
    return 0;
}

static int read_variables(struct settings *settings) {
    size_t count = 0;
    for (char **variable = environ; *variable != NULL; variable++) {
        count += strncmp(*variable, "KONG_", 5) == 0;
    }
    settings->variables = calloc(count + 1, sizeof *settings->variables);
    if (settings->variables == NULL) {
        return -1;
    }
    for (char **variable = environ; *variable != NULL; variable++) {
        const char *equals = strchr(*variable, '=');
        if (strncmp(*variable, "KONG_", 5) != 0 || equals == NULL) {
            continue;
        }
        struct setting *setting = &settings->variables[settings->variable_count++];
        setting->key = strndup(*variable + 5, (size_t)(equals - *variable) - 5);
        setting->value = strdup(equals + 1);
        if (setting->key == NULL || setting->value == NULL) {
            return -1;
        }
        for (char *c = setting->key; *c != '\0'; c++) {
            *c = (char)tolower((unsigned char)*c);
        }
    }
    return 0;
}

static int read_file(struct settings *settings, const char *path) {
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
    if (read_variables(settings) == 0 && (path == NULL || read_file(settings, path) == 0)) {
        return 0;
    }
    int error = errno;
    settings_free(settings);
    errno = error;
    return -1;
}

void settings_free(struct settings *settings) {
    for (size_t i = 0; i < settings->count; i++) {
        free(settings->settings[i].key);
        free(settings->settings[i].value);
    }
    settings->count = 0;
    for (size_t i = 0; i < settings->variable_count; i++) {
        free(settings->variables[i].key);
        free(settings->variables[i].value);
    }
    free(settings->variables);
    settings->variables = NULL;
    settings->variable_count = 0;
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

void settings_server_key(const char *name, const char *what, char *out, size_t size) {
    snprintf(out, size, "pluginserver_%.100s_%s", name, what);
    for (char *c = out; *c != '\0'; c++) {
        *c = *c == '-' ? '_' : (char)tolower((unsigned char)*c);
    }
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
    for (size_t i = 0; i < settings->variable_count; i++) {
        if (strcasecmp(settings->variables[i].key, key) == 0) {
            return settings->variables[i].value;
        }
    }
    /* The last one counts. */
    for (size_t i = settings->count; i > 0; i--) {
        if (strcasecmp(settings->settings[i - 1].key, key) == 0) {
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
