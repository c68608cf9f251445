/* What the plugin and its server are called in Kong's settings, and how they are misspelt. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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

/* The list with the item in it: in the place of one that is a misspelling of it, else behind. */
static void complete_list(const char *list, const char *item, char *out, size_t size) {
    char items[DOCTOR_VALUE];
    char *rest = items;
    size_t len = 0;
    bool there = false;
    snprintf(items, sizeof items, "%s", list);
    out[0] = '\0';
    for (char *next = strtok_r(items, ", \t", &rest); next != NULL && len < size;
         next = strtok_r(NULL, ", \t", &rest)) {
        bool meant = !there && is_meant(next, item);
        there = there || meant;
        len += (size_t)snprintf(out + len, size - len, "%s%s", len > 0 ? "," : "",
                                meant ? item : next);
    }
    if (!there && len < size) {
        snprintf(out + len, size - len, "%s%s", len > 0 ? "," : "", item);
    }
}

/* Another name in the list that has a start command or socket of its own, which may be this one's.
 */
static bool find_other_name(const struct patient *p, const char *names, char *out, size_t size) {
    static const char *const ends[] = {"socket", "start_cmd", "query_cmd"};
    char items[DOCTOR_VALUE];
    char *rest = items;
    snprintf(items, sizeof items, "%s", names);
    for (char *name = strtok_r(items, ", \t", &rest); name != NULL;
         name = strtok_r(NULL, ", \t", &rest)) {
        for (size_t i = 0; i < 3; i++) {
            char key[160];
            settings_server_key(name, ends[i], key, sizeof key);
            if (doctor_get(p, key, NULL) != NULL && is_meant(name, p->name)) {
                snprintf(out, size, "%s", name);
                return true;
            }
        }
    }
    return false;
}

static void check_names(struct patient *p) {
    char value[DOCTOR_VALUE];
    char mend[DOCTOR_VALUE + 512];
    char other[64];
    const char *names = doctor_get(p, "pluginserver_names", "");
    const char *plugin = p->plugin->name;
    const char *plugins = doctor_get(p, "plugins", "bundled");
    if (settings_list_has(names, p->name)) {
        doctor_ok(&p->doctor, "pluginserver_names has %s", p->name);
    } else if (find_other_name(p, names, other, sizeof other)) {
        snprintf(mend, sizeof mend, "--doctor --name %s, if that is what this server is called",
                 other);
        doctor_fail(&p->doctor, mend, "pluginserver_names does not have %s, but %s", p->name,
                    other);
    } else {
        complete_list(names, p->name, value, sizeof value);
        doctor_mend_setting("pluginserver_names", value, mend, sizeof mend);
        size_t len = strlen(mend);
        snprintf(mend + len, sizeof mend - len, "%s",
                 names[0] != '\0' ? " (if it is called otherwise there: --name)" : "");
        doctor_fail(&p->doctor, mend, "pluginserver_names does not have %s", p->name);
    }
    if (settings_list_has(plugins, plugin)) {
        doctor_ok(&p->doctor, "plugins has %s", plugin);
        return;
    }
    complete_list(settings_list_has(plugins, "off") ? "bundled" : plugins, plugin, value,
                  sizeof value);
    doctor_mend_setting("plugins", value, mend, sizeof mend);
    doctor_fail(&p->doctor, mend, "plugins does not name %s: Kong does not know it", plugin);
}

/* Finds the key that is most like `key`, among the keys of the names in the list and of this
 * server. Returns the distance; 0: the same. */
static size_t nearest_key(const struct patient *p, const char *key, bool listed_only, char *out,
                          size_t size) {
    static const char *const ends[] = {"socket", "start_cmd", "query_cmd"};
    char names[DOCTOR_VALUE];
    char *rest = names;
    size_t nearest = FAR;
    snprintf(names, sizeof names, "%.900s%s%s", doctor_get(p, "pluginserver_names", ""),
             listed_only ? "" : ",", listed_only ? "" : p->name);
    for (char *name = strtok_r(names, ", \t", &rest); name != NULL;
         name = strtok_r(NULL, ", \t", &rest)) {
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

/* Keys of plugin servers that no name goes with: Kong passes over them without a word. `variable`:
 * what it is called in the environment; NULL: it stands in the file. */
static void check_key(struct patient *p, const char *key, const char *value, const char *variable) {
    char right[160];
    char mend[2 * DOCTOR_VALUE];
    if (strncmp(key, "pluginserver_", 13) != 0 || strcmp(key, "pluginserver_names") == 0 ||
        nearest_key(p, key, true, right, sizeof right) == 0) {
        return;
    }
    size_t distance = nearest_key(p, key, false, right, sizeof right);
    if (distance > 8) {
        settings_server_key(p->name, "{socket,start_cmd,query_cmd}", mend, sizeof mend);
    } else if (variable == NULL) {
        snprintf(mend, sizeof mend, "%s = %.900s", right, value);
    } else {
        for (char *c = right; *c != '\0'; c++) {
            *c = (char)toupper((unsigned char)*c);
        }
        snprintf(mend, sizeof mend, "the variable KONG_%s", right);
    }
    if (distance == 0) { /* the list is wrong, which was reported above */
        snprintf(mend, sizeof mend, "pluginserver_names with %s in it, as above", p->name);
    }
    doctor_fail(&p->doctor, mend, "the %s %.100s belongs to no name in pluginserver_names",
                variable != NULL ? "variable" : "key", variable != NULL ? variable : key);
}

static void check_variable(struct patient *p, const char *text) {
    char variable[160];
    char key[160];
    const char *equals = strchr(text, '=');
    if (strncmp(text, "KONG_PLUGINSERVER_", 18) != 0 || equals == NULL ||
        (size_t)(equals - text) >= sizeof variable) {
        return;
    }
    snprintf(variable, sizeof variable, "%.*s", (int)(equals - text), text);
    snprintf(key, sizeof key, "%s", variable + 5);
    for (char *c = key; *c != '\0'; c++) {
        *c = (char)tolower((unsigned char)*c);
    }
    check_key(p, key, equals + 1, variable);
}

void doctor_names(struct patient *p) {
    check_names(p);
}

void doctor_keys(struct patient *p) {
    for (size_t i = 0; i < p->settings.count; i++) {
        check_key(p, p->settings.settings[i].key, p->settings.settings[i].value, NULL);
    }
    for (char **variable = environ; *variable != NULL; variable++) {
        check_variable(p, *variable);
    }
}
