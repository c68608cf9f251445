/* Kong's settings as Kong finds them: kong.conf, and variables KONG_… of the environment, which
 * win. For --doctor. */
#ifndef SERVER_SETTINGS_H
#define SERVER_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>

struct setting {
    char *key, *value;
    bool variable; /* of the environment; its key is as in the file, without KONG_ */
};

/* Owned by whoever embeds it. */
struct settings {
    struct setting *list; /* a later one wins over an earlier one of the same key */
    size_t count;
};

/* Reads "key = value" lines; # begins a comment unless \ stands before it; other lines are skipped.
 * path NULL: no file. Then the environment. 0, or -1 with errno. */
int settings_read(struct settings *settings, const char *path);
void settings_free(struct settings *settings);

/* The value of a key (in lower case); `otherwise` when it is not set. Lives as long as the
 * settings. */
const char *settings_get(const struct settings *settings, const char *key, const char *otherwise);

/* A plugin server's name as Kong has it, in lower case; cut to `size`. */
void settings_lower(const char *name, char *out, size_t size);

/* "pluginserver_<name>_<what>", as Kong makes it of a name: in lower case, '-' is '_'. */
void settings_server_key(const char *name, const char *what, char *out, size_t size);

/* The variable of the environment that sets a key, "KONG_PLUGINS"; whether or not it is set. */
void settings_variable(const char *key, char *out, size_t size);

/* Takes away quotes around a whole value, which Kong takes as part of it. False: there are none. */
bool setting_unquote(struct setting *setting);

/* The next item of a list "a, b" or "a b", with *list moved behind it. False: there is none. */
bool settings_list_next(const char **list, char *item, size_t size);

/* Whether a list has `item`, in either case. */
bool settings_list_has(const char *list, const char *item);

#endif
