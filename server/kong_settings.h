/* Kong's settings as Kong finds them: kong.conf, and variables KONG_… of the environment, which
 * win. For --doctor. */
#ifndef SERVER_KONG_SETTINGS_H
#define SERVER_KONG_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>

#define KONG_SETTINGS_MOST 256

struct kong_setting {
    char *key, *value;
};

/* Owned by whoever embeds it. */
struct kong_settings {
    struct kong_setting settings[KONG_SETTINGS_MOST]; /* of the file */
    size_t count;
};

/* Reads "key = value" lines; # begins a comment unless \ stands before it; what else stands there
 * is passed over. path NULL: no file. 0, or -1 with errno. */
int kong_settings_read(struct kong_settings *settings, const char *path);
void kong_settings_free(struct kong_settings *settings);

/* The value of a key (in lower case); `otherwise` when it is not set. Lives as long as the settings
 * and the environment. */
const char *kong_settings_get(const struct kong_settings *settings, const char *key,
                              const char *otherwise);

/* Whether a list "a, b" has `item`, in either case. */
bool kong_list_has(const char *list, const char *item);

#endif
