/* Kong's settings as Kong finds them: kong.conf, and variables KONG_… of the environment, which
 * win. For --doctor. */
#ifndef SERVER_SETTINGS_H
#define SERVER_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>

#define SETTINGS_MOST 256

struct setting {
    char *key, *value;
};

/* Owned by whoever embeds it. */
struct settings {
    struct setting settings[SETTINGS_MOST]; /* of the file */
    size_t count;
    struct setting *variables; /* of the environment; keys as in the file, without KONG_ */
    size_t variable_count;
};

/* Reads "key = value" lines; # begins a comment unless \ stands before it; other lines are skipped.
 * path NULL: no file. Then the environment. 0, or -1 with errno. */
int settings_read(struct settings *settings, const char *path);
void settings_free(struct settings *settings);

/* The value of a key (in lower case); `otherwise` when it is not set. Lives as long as the
 * settings. */
const char *settings_get(const struct settings *settings, const char *key, const char *otherwise);

/* "pluginserver_<name>_<what>", as Kong makes it of a name: in lower case, '-' is '_'. */
void settings_server_key(const char *name, const char *what, char *out, size_t size);

/* The variable of the environment that a key is set by, "KONG_PLUGINS", written to `out`; NULL when
 * none sets it: the file does, or nothing. */
const char *settings_variable(const char *key, char *out, size_t size);

/* Takes away quotes around a whole value, which Kong takes as part of it. False: there are none. */
bool setting_unquote(struct setting *setting);

/* Whether a list "a, b" or "a b" has `item`, in either case. */
bool settings_list_has(const char *list, const char *item);

#endif
