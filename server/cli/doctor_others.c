/* Settings that break this server although they do not name it: quotes meant for a shell, another
 * name of this program, another server with the same plugin. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "doctor.h"
#include "shell_words.h"

/* --- quotes --- */

/* Settings whose values are looked at; others may have quotes for a reason. */
static bool concerns_us(const char *key) {
    static const char *const keys[] = {
        "plugins",         "prefix",         "log_level",
        "nginx_user",      "role",           "declarative_config",
        "nginx_main_user", "nginx_main_env", "nginx_proxy_proxy_hide_header"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        if (strcmp(key, keys[i]) == 0) {
            return true;
        }
    }
    return strncmp(key, "pluginserver_", 13) == 0;
}

/* Quotes that the shell needs, which runs the command: 'the path of a program'. */
static bool is_quoted_program(const struct setting *setting) {
    const char *end = strrchr(setting->key, '_');
    struct shell_words words;
    if (end == NULL || strcmp(end, "_cmd") != 0 || shell_split(&words, setting->value) != 0) {
        return false;
    }
    bool program = words.count == 1 && access(words.words[0], F_OK) == 0;
    shell_words_free(&words);
    return program;
}

static void check_quotes(struct patient *p, struct setting *setting, bool variable) {
    char mend[2 * DOCTOR_VALUE];
    char name[160];
    if (!concerns_us(setting->key) || is_quoted_program(setting) || !setting_unquote(setting)) {
        return;
    }
    doctor_mend_setting(setting->key, setting->value, mend, sizeof mend);
    snprintf(name, sizeof name, "%s", setting->key);
    if (variable) {
        settings_variable(setting->key, name, sizeof name);
    }
    doctor_fail(&p->doctor, mend,
                "%.150s: there are quotes around the value, which Kong takes as part of it%s", name,
                variable ? " (an env file and a list in docker-compose.yml pass them on)" : "");
}

void doctor_quotes(struct patient *p) {
    for (size_t i = 0; i < p->settings.count; i++) {
        check_quotes(p, &p->settings.settings[i], false);
    }
    for (size_t i = 0; i < p->settings.variable_count; i++) {
        check_quotes(p, &p->settings.variables[i], true);
    }
}

/* --- names --- */

/* A command of a plugin server of that name, as Kong finds it; "" for none. */
static void find_command(const struct patient *p, const char *name, const char *what, char *out,
                         size_t size) {
    char key[160];
    char usual[160];
    settings_server_key(name, what, key, sizeof key);
    snprintf(usual, sizeof usual, "/usr/local/bin/%.100s", name);
    bool there = access(usual, F_OK) == 0;
    bool query = strcmp(what, "query_cmd") == 0;
    snprintf(out, size, "%s%s", doctor_get(p, key, there ? usual : ""),
             there && query && doctor_get(p, key, NULL) == NULL ? " -dump" : "");
}

/* Whether words behind the program name this plugin: "--plugin NAME", "-plugin=NAME". */
static bool names_plugin(const struct shell_words *words, const char *plugin) {
    for (size_t i = 1; i < words->count && words->words[i] != NULL; i++) {
        const char *word = words->words[i] + strspn(words->words[i], "-");
        const char *value = strncmp(word, "plugin=", 7) == 0 ? word + 7
                            : strcmp(word, "plugin") == 0    ? words->words[i + 1]
                                                             : NULL;
        if (word != words->words[i] && value != NULL) {
            return strcmp(value, plugin) == 0;
        }
    }
    return false;
}

/* Of several plugins only the query command says which it is about. */
static bool runs_this_program(const struct patient *p, const char *name) {
    static const char *const commands[] = {"query_cmd", "start_cmd"};
    char command[DOCTOR_VALUE];
    for (size_t i = 0; i < (doctor_has_several(p) ? 1 : 2); i++) {
        struct shell_words words;
        find_command(p, name, commands[i], command, sizeof command);
        if (shell_split(&words, command) != 0) {
            continue;
        }
        bool own = words.count > 0 && doctor_is_own(p, words.words[0]) &&
                   (!doctor_has_several(p) || names_plugin(&words, p->plugin->name));
        shell_words_free(&words);
        if (own) {
            return true;
        }
    }
    return false;
}

/* The names in the list, one after the other, in lower case; `rest` goes from call to call. */
static char *next_name(char **rest) {
    char *name = strtok_r(NULL, ", \t", rest);
    for (char *c = name; c != NULL && *c != '\0'; c++) {
        *c = *c >= 'A' && *c <= 'Z' ? (char)(*c + 'a' - 'A') : *c;
    }
    return name;
}

void doctor_find_name(struct patient *p) {
    char names[DOCTOR_VALUE];
    char found[sizeof p->name] = "";
    char *rest = names;
    if (p->doctor.options->name_given ||
        (settings_list_has(doctor_get(p, "pluginserver_names", ""), p->name) &&
         (!doctor_has_several(p) || runs_this_program(p, p->name)))) {
        return;
    }
    snprintf(names, sizeof names, "%s", doctor_get(p, "pluginserver_names", ""));
    for (char *name = next_name(&rest); name != NULL; name = next_name(&rest)) {
        if (strlen(name) < sizeof found && runs_this_program(p, name)) {
            snprintf(found, sizeof found, "%s", name);
        }
    }
    if (found[0] != '\0') {
        if (!doctor_has_several(p)) {
            doctor_note(&p->doctor, "this program is the plugin server %s of pluginserver_names",
                        found);
        }
        doctor_set_name(p, found);
    }
}

/* --- twins --- */

/* Whether the server's query command tells of this plugin. */
static bool has_plugin(const struct patient *p, const char *name) {
    char command[DOCTOR_VALUE];
    char errors[80];
    const char *reason;
    int status;
    find_command(p, name, "query_cmd", command, sizeof command);
    char *text =
        command[0] == '\0' ? NULL : doctor_shell(command, &status, &reason, errors, sizeof errors);
    json_t *json = text == NULL ? NULL : json_loads(text, 0, NULL);
    json_t *plugins = json_object_get(json, "Plugins");
    json_t *plugin = json_array_get(plugins != NULL ? plugins : json, 0);
    const char *plugin_name = json_string_value(json_object_get(plugin, "Name"));
    bool same = plugin_name != NULL && strcmp(plugin_name, p->plugin->name) == 0;
    json_decref(json);
    free(text);
    return same;
}

/* The list without that name. */
static void leave_out(const char *list, const char *name, char *out, size_t size) {
    char names[DOCTOR_VALUE];
    char *rest = names;
    size_t len = 0;
    snprintf(names, sizeof names, "%s", list);
    out[0] = '\0';
    for (char *next = next_name(&rest); next != NULL && len < size; next = next_name(&rest)) {
        if (strcmp(next, name) != 0) {
            len += (size_t)snprintf(out + len, size - len, "%s%s", len > 0 ? "," : "", next);
        }
    }
}

/* Kong asks each name in the list, whether or not its plugin is used. The server's own name is
 * doctor_query's. */
static void check_commands(struct patient *p, const char *list) {
    char names[DOCTOR_VALUE];
    char value[DOCTOR_VALUE];
    char command[DOCTOR_VALUE];
    char mend[DOCTOR_VALUE + 300];
    char *rest = names;
    snprintf(names, sizeof names, "%s", list);
    for (char *name = next_name(&rest); name != NULL; name = next_name(&rest)) {
        find_command(p, name, "query_cmd", command, sizeof command);
        if (command[0] != '\0' || strcmp(name, p->name) == 0) {
            continue;
        }
        leave_out(list, name, value, sizeof value);
        doctor_mend_setting("pluginserver_names", value, mend, sizeof mend);
        size_t len = strlen(mend);
        snprintf(mend + len, sizeof mend - len,
                 " (or give the plugin server %.60s its query command)", name);
        doctor_fail(&p->doctor, mend,
                    "the plugin server %.60s has no query command: Kong refuses to start: "
                    "query_command undefined for pluginserver %.60s",
                    name, name);
    }
}

void doctor_twins(struct patient *p) {
    char names[DOCTOR_VALUE];
    char value[DOCTOR_VALUE];
    char mend[DOCTOR_VALUE + 300];
    char *rest = names;
    bool behind = false;
    const char *list = doctor_get(p, "pluginserver_names", "");
    const char *plugin = p->plugin->name;
    if (!settings_list_has(list, p->name)) {
        return; /* doctor_names tells of it: one of the others may be meant */
    }
    if (p->servers == 0) {
        check_commands(p, list);
    }
    snprintf(names, sizeof names, "%s", list);
    for (char *name = next_name(&rest); name != NULL; name = next_name(&rest)) {
        if (strcmp(name, p->name) == 0) {
            behind = true;
        } else if (behind && has_plugin(p, name)) {
            leave_out(list, name, value, sizeof value);
            doctor_mend_setting("pluginserver_names", value, mend, sizeof mend);
            doctor_fail(&p->doctor, mend,
                        "the plugin server %.60s has %s too and stands behind %s: Kong takes the "
                        "last one",
                        name, plugin, p->name);
        } else if (!behind && has_plugin(p, name)) {
            doctor_note(&p->doctor,
                        "the plugin server %.60s has %s too; Kong takes the last one, %s", name,
                        plugin, p->name);
        }
    }
}
