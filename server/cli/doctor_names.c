/* What the plugin and its server are called in Kong's settings, and how they are misspelt. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "doctor.h"

#define MOST_LETTERS 128
#define FAR          ((size_t)99)

/* As Kong compares: '-' is '_' in keys, and names have no case. */
static char plain(char c) {
    return c == '-' ? '_' : (char)tolower((unsigned char)c);
}

/* Row by row of the table of all beginnings. */
size_t doctor_distance(const char *a, const char *b) {
    size_t row[MOST_LETTERS + 1];
    size_t len = strlen(b);
    if (len > MOST_LETTERS || strlen(a) > MOST_LETTERS) {
        return FAR;
    }
    for (size_t k = 0; k <= len; k++) {
        row[k] = k;
    }
    for (size_t i = 0; a[i] != '\0'; i++) {
        size_t diagonal = row[0];
        row[0] = i + 1;
        for (size_t k = 1; k <= len; k++) {
            size_t change = diagonal + (plain(a[i]) != plain(b[k - 1]));
            size_t shorter = (row[k - 1] < row[k] ? row[k - 1] : row[k]) + 1;
            diagonal = row[k];
            row[k] = change < shorter ? change : shorter;
        }
    }
    return row[len];
}

/* So near that it was meant: a letter in four, at most three. */
static bool is_meant(const char *text, const char *name) {
    size_t most = strlen(name) / 4;
    return doctor_distance(text, name) <= (most > 3 ? 3 : most);
}

/* The setting, a list, with the item in it, as a mend: in the place of one that is a misspelling of
 * it, else behind. */
static const char *complete_list(struct patient *p, const char *key, const char *list,
                                 const char *item) {
    char next[DOCTOR_NAME];
    struct buffer completed;
    bool there = false;
    buffer_init(&completed, DOCTOR_MOST);
    while (settings_list_next(&list, next, sizeof next)) {
        bool meant = !there && is_meant(next, item);
        there = there || meant;
        buffer_printf(&completed, "%s%s", completed.len > 0 ? "," : "", meant ? item : next);
    }
    if (!there) {
        buffer_printf(&completed, "%s%s", completed.len > 0 ? "," : "", item);
    }
    return doctor_mend_list(p, key, &completed);
}

static const char *const ends[] = {"socket", "start_cmd", "query_cmd"};

/* Another name in the list that has a start command or socket of its own, which may be this one's.
 */
static bool find_other_name(const struct patient *p, const char *names, char *out, size_t size) {
    while (settings_list_next(&names, out, size)) {
        for (size_t i = 0; i < 3; i++) {
            char key[160];
            settings_server_key(out, ends[i], key, sizeof key);
            if (doctor_get(p, key, NULL) != NULL && is_meant(out, p->name)) {
                return true;
            }
        }
    }
    return false;
}

void doctor_names(struct patient *p) {
    char other[64];
    const char *names = doctor_get(p, "pluginserver_names", "");
    const char *plugin = p->plugin->name;
    const char *plugins = doctor_get(p, "plugins", "bundled");
    if (settings_list_has(names, p->name)) {
        doctor_ok(p, "pluginserver_names has %s", p->name);
    } else if (find_other_name(p, names, other, sizeof other)) {
        doctor_fail(
            p, doctor_mend(p, "--doctor --name %s, if that is what this server is called", other),
            "pluginserver_names does not have %s, but %s", p->name, other);
    } else {
        complete_list(p, "pluginserver_names", names, p->name);
        if (names[0] != '\0') {
            doctor_mend_more(p, " (if it is called otherwise there: --name)");
        }
        doctor_fail(p, doctor_mended(p), "pluginserver_names does not have %s", p->name);
    }
    if (settings_list_has(plugins, plugin)) {
        doctor_ok(p, "plugins has %s", plugin);
        return;
    }
    plugins = settings_list_has(plugins, "off") ? "bundled" : plugins;
    doctor_fail(p, complete_list(p, "plugins", plugins, plugin),
                "plugins does not name %s: Kong does not know it", plugin);
}

/* Finds the key that is most like `key`, among the keys of these names. Returns the distance; 0:
 * the same. */
static size_t nearest_key(const char *names, const char *key, char *out, size_t size) {
    char name[DOCTOR_NAME];
    size_t nearest = FAR;
    while (settings_list_next(&names, name, sizeof name)) {
        for (size_t i = 0; i < 3; i++) {
            char candidate[160];
            settings_server_key(name, ends[i], candidate, sizeof candidate);
            size_t distance = strcmp(candidate, key) == 0 ? 0 : doctor_distance(candidate, key) + 1;
            if (distance < nearest) {
                nearest = distance;
                snprintf(out, size, "%s", candidate);
            }
        }
    }
    return nearest;
}

/* Keys of plugin servers that no name goes with: Kong passes over them without a word. */
static void check_key(struct patient *p, const struct setting *setting) {
    char listed[160];
    char own[160];
    char name[160];
    if (strncmp(setting->key, "pluginserver_", 13) != 0 ||
        strcmp(setting->key, "pluginserver_names") == 0) {
        return;
    }
    const char *names = doctor_get(p, "pluginserver_names", "");
    size_t distance = nearest_key(names, setting->key, listed, sizeof listed);
    size_t own_distance = nearest_key(p->name, setting->key, own, sizeof own);
    if (distance == 0) {
        return;
    }
    const char *right = own_distance < distance ? own : listed;
    distance = own_distance < distance ? own_distance : distance;
    if (distance == 0) { /* the list is wrong, which was reported above */
        doctor_mend(p, "pluginserver_names with %s in it, as above", p->name);
    } else if (distance > 8) {
        settings_server_key(p->name, "{socket,start_cmd,query_cmd}", name, sizeof name);
        doctor_mend(p, "%s", name);
    } else if (setting->variable) {
        settings_variable(right, name, sizeof name);
        doctor_mend(p, "the variable %s", name);
    } else {
        doctor_mend(p, "%s = %s", right, setting->value);
    }
    settings_variable(setting->key, name, sizeof name);
    doctor_fail(p, doctor_mended(p), "the %s %s belongs to no name in pluginserver_names",
                setting->variable ? "variable" : "key", setting->variable ? name : setting->key);
}

void doctor_keys(struct patient *p) {
    for (size_t i = 0; i < p->settings.count; i++) {
        check_key(p, &p->settings.list[i]);
    }
}
