/* Settings that break this server although they do not name it: quotes meant for a shell, another
 * name of this program, another server with the same plugin. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "doctor.h"
#include "shell_words.h"

/* --- quotes --- */

/* Settings whose values are looked at; others may have quotes for a reason. */
static bool concerns_us(const char *key) {
    return strncmp(key, "pluginserver_", 13) == 0 ||
           settings_list_has("plugins prefix log_level nginx_user nginx_main_user nginx_main_env "
                             "nginx_proxy_proxy_hide_header role declarative_config",
                             key);
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

void doctor_quotes(struct patient *p) {
    for (size_t i = 0; i < p->settings.count; i++) {
        struct setting *setting = &p->settings.list[i];
        char name[160];
        bool counts = doctor_get(p, setting->key, NULL) == setting->value; /* no later one wins */
        if (!counts || !concerns_us(setting->key) || is_quoted_program(setting) ||
            !setting_unquote(setting)) {
            continue;
        }
        settings_variable(setting->key, name, sizeof name);
        doctor_fail(p, doctor_mend_setting(p, setting->key, setting->value),
                    "%s: there are quotes around the value, which Kong takes as part of it%s",
                    setting->variable ? name : setting->key,
                    setting->variable
                        ? " (an env file and a list in docker-compose.yml pass them on)"
                        : "");
    }
}

/* --- names --- */

const char *doctor_find_command(const struct patient *p, const char *name, const char *what,
                                char usual[DOCTOR_COMMAND]) {
    char key[160];
    char plain[101];
    settings_server_key(name, what, key, sizeof key);
    settings_lower(name, plain, sizeof plain);
    int len = snprintf(usual, DOCTOR_COMMAND, "/usr/local/bin/%s", plain);
    const char *set = doctor_get(p, key, ""); /* an empty value is none, to Kong too */
    if (set[0] != '\0' || access(usual, F_OK) != 0) {
        return set;
    }
    if (strcmp(what, "query_cmd") == 0) {
        snprintf(usual + len, (size_t)(DOCTOR_COMMAND - len), " -dump");
    }
    return usual;
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
    char usual[DOCTOR_COMMAND];
    for (size_t i = 0; i < (doctor_has_several(p) ? 1 : 2); i++) {
        struct shell_words words;
        if (shell_split(&words, doctor_find_command(p, name, commands[i], usual)) != 0) {
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

void doctor_find_name(struct patient *p) {
    char name[DOCTOR_NAME];
    char found[sizeof p->name] = "";
    const char *names = doctor_get(p, "pluginserver_names", "");
    if (p->options->name_given || (settings_list_has(names, p->name) &&
                                   (!doctor_has_several(p) || runs_this_program(p, p->name)))) {
        return;
    }
    while (settings_list_next(&names, name, sizeof name)) {
        if (strlen(name) < sizeof found && runs_this_program(p, name)) {
            settings_lower(name, found, sizeof found);
        }
    }
    if (found[0] == '\0') {
        return;
    }
    if (!doctor_has_several(p)) {
        doctor_note(p, "this program is the plugin server %s of pluginserver_names", found);
    }
    snprintf(p->name, sizeof p->name, "%s", found);
}

/* --- twins --- */

/* The setting pluginserver_names without that name, as a mend. */
static const char *leave_out(struct patient *p, const char *list, const char *name) {
    char next[DOCTOR_NAME];
    struct buffer names;
    buffer_init(&names, DOCTOR_MOST);
    while (settings_list_next(&list, next, sizeof next)) {
        if (strcasecmp(next, name) != 0) {
            buffer_printf(&names, "%s%s", names.len > 0 ? "," : "", next);
        }
    }
    return doctor_mend_list(p, "pluginserver_names", &names);
}

/* Whether the server's query command tells of this plugin. One that does not do is reported once.
 */
static bool has_plugin(struct patient *p, const char *list, const char *name) {
    char usual[DOCTOR_COMMAND];
    struct doctor_output said = {.text = NULL};
    const char *command = doctor_find_command(p, name, "query_cmd", usual);
    if (command[0] != '\0') {
        doctor_shell(command, DOCTOR_SHELL_MS, &said);
    }
    if (said.reason != NULL && p->servers == 0) {
        leave_out(p, list, name);
        doctor_fail(
            p, doctor_mend_more(p, " (or mend the query command of the plugin server %s)", name),
            "the plugin server %s: query command: %s: %s", name, command, said.reason);
    }
    json_t *json = said.text == NULL ? NULL : json_loads(said.text, 0, NULL);
    json_t *plugins = json_object_get(json, "Plugins");
    json_t *plugin = json_array_get(plugins != NULL ? plugins : json, 0);
    const char *plugin_name = json_string_value(json_object_get(plugin, "Name"));
    bool same = plugin_name != NULL && strcmp(plugin_name, p->plugin->name) == 0;
    json_decref(json);
    free(said.text);
    return same;
}

/* Kong asks each name in the list, whether or not its plugin is used. The server's own name is
 * doctor_query's. */
static void check_commands(struct patient *p, const char *list) {
    const char *names = list;
    char name[DOCTOR_NAME];
    char usual[DOCTOR_COMMAND];
    while (settings_list_next(&names, name, sizeof name)) {
        if (doctor_find_command(p, name, "query_cmd", usual)[0] != '\0' ||
            strcasecmp(name, p->name) == 0) {
            continue;
        }
        leave_out(p, list, name);
        doctor_fail(p,
                    doctor_mend_more(p, " (or give the plugin server %s its query command)", name),
                    "the plugin server %s has no query command: Kong refuses to start: "
                    "query_command undefined for pluginserver %s",
                    name, name);
    }
}

void doctor_twins(struct patient *p) {
    char name[DOCTOR_NAME];
    bool behind = false;
    const char *list = doctor_get(p, "pluginserver_names", "");
    const char *names = list;
    const char *plugin = p->plugin->name;
    if (!settings_list_has(list, p->name)) {
        return; /* doctor_names tells of it: one of the others may be meant */
    }
    if (p->servers == 0) {
        check_commands(p, list);
    }
    while (settings_list_next(&names, name, sizeof name)) {
        if (strcasecmp(name, p->name) == 0) {
            behind = true;
        } else if (!has_plugin(p, list, name)) {
            continue;
        } else if (behind) {
            doctor_fail(p, leave_out(p, list, name),
                        "the plugin server %s has %s too and stands behind %s: Kong takes the "
                        "last one",
                        name, plugin, p->name);
        } else {
            doctor_note(p, "the plugin server %s has %s too; Kong takes the last one, %s", name,
                        plugin, p->name);
        }
    }
}
