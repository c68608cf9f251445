#include "print_conf.h"

#include <stdlib.h>
#include <string.h>

#include "options_table.h"
#include "printable.h"
#include "response_header.h"
#include "settings.h"
#include "shell_words.h"

#define VALUE ((size_t)16 << 10)
#define SHOWN 1024

struct line {
    char key[128]; /* as in kong.conf */
    struct buffer value;
    const char *comment;
};

struct conf {
    const struct print_conf *wanted;
    struct line *lines; /* owned: as many as there may be */
    size_t count;
    char name[64]; /* of the plugin server at hand, as Kong has it: in lower case */
    char *error;
    size_t error_size;
};

/* -1, with the text in the caller's error. */
#define fail(conf_, ...) printable_error((conf_)->error, (conf_)->error_size, __VA_ARGS__)

/* Takes over the value. what: a key, or "_socket" of the plugin server at hand. */
static void add(struct conf *conf, const char *what, const char *comment, struct buffer value) {
    struct line *line = &conf->lines[conf->count++];
    *line = (struct line){.comment = comment, .value = value};
    if (what[0] == '_') {
        settings_server_key(conf->name, what + 1, line->key, sizeof line->key);
    } else {
        snprintf(line->key, sizeof line->key, "%s", what);
    }
}

static void add_text(struct conf *conf, const char *what, const char *comment, const char *text) {
    struct buffer value;
    buffer_init(&value, VALUE);
    buffer_append_text(&value, text);
    add(conf, what, comment, value);
}

/* The options of one of Kong's commands that are not what they are without any; but not the socket,
 * which is named anyway. False: there are none. */
static bool append_options(const struct plugins *plugins, const struct options *options,
                           enum option_use use, struct buffer *out) {
    struct options defaults;
    size_t len = out->len;
    char shown[SHOWN];
    char usual[SHOWN];
    options_defaults(&defaults, plugins, options->plugin);
    for (size_t i = 0; i < option_row_count; i++) {
        const struct option_row *row = &option_rows[i];
        const char *value = options_show(row, options, shown, sizeof shown);
        if (options_belongs(row, use) && strcmp(row->name, "kong-prefix") != 0 &&
            strcmp(row->name, "socket") != 0 &&
            strcmp(value, options_show(row, &defaults, usual, sizeof usual)) != 0) {
            shell_append_option(out, row->name, row->argument != NULL ? value : NULL);
        }
    }
    return out->len > len || out->failed;
}

/* nginx drops the headers of each upstream's answer; what the plugin sets is added to that. */
static void add_replacement(struct conf *conf, const char *names) {
    struct buffer hide;
    buffer_init(&hide, VALUE);
    for (const char *c = names; *c != '\0'; c++) {
        if (*c == ',') {
            buffer_append_text(&hide, "; proxy_hide_header ");
        } else {
            buffer_append(&hide, c, 1);
        }
    }
    add(conf, "nginx_proxy_proxy_hide_header",
        "headers of upstreams' answers that nginx drops, on every route", hide);
}

/* Kong starts the default command without an argument: with anything to say it must be named. Then
 * the socket is named too, to both: neither can take another one than the other. */
static void add_start(struct conf *conf) {
    const struct print_conf *wanted = conf->wanted;
    const struct options *options = wanted->options;
    char usual[256];
    struct buffer start;
    if (options->role == OPTION_CONTROL_PLANE) {
        add_text(conf, "_socket", "Kong wants its socket named; nothing connects to it here",
                 options->socket);
        return;
    }
    buffer_init(&start, VALUE);
    shell_append(&start, wanted->executable);
    shell_append_option(&start, "socket", options->socket);
    snprintf(usual, sizeof usual, OPTIONS_KONG_PREFIX "/%s.socket", conf->name);
    if (append_options(wanted->plugins, options, OPTION_FOR_START, &start) || !wanted->in_place ||
        strcmp(usual, options->socket) != 0) {
        add_text(conf, "_socket", "where Kong finds its socket", options->socket);
        add(conf, "_start_cmd", "how Kong starts it", start);
    } else {
        buffer_free(&start);
    }
}

static void add_query(struct conf *conf, const struct options *own) {
    struct buffer query;
    buffer_init(&query, VALUE);
    shell_append(&query, conf->wanted->executable);
    shell_append_option(&query, "dump", NULL);
    if (append_options(conf->wanted->plugins, own, OPTION_FOR_QUERY, &query) ||
        !conf->wanted->in_place || own->role == OPTION_CONTROL_PLANE) {
        add(conf, "_query_cmd", "how Kong learns of the plugin", query);
    } else {
        buffer_free(&query);
    }
}

/* What the plugin server of a plugin is called. */
static const char *name_of(const struct print_conf *wanted, size_t index) {
    const struct kong_plugin *plugin = wanted->plugins->list[index].what;
    bool renamed = wanted->options->name != NULL && plugin == wanted->options->plugin;
    return wanted->plugins->count == 1 || renamed ? wanted->name : plugin->name;
}

static void add_names(struct conf *conf) {
    const struct plugins *list = conf->wanted->plugins;
    struct buffer plugins, names;
    buffer_init(&plugins, VALUE);
    buffer_init(&names, VALUE);
    buffer_append_text(&plugins, "bundled");
    for (size_t i = 0; i < list->count; i++) {
        buffer_append_text(&plugins, ",");
        buffer_append_text(&plugins, list->list[i].what->name);
        settings_lower(name_of(conf->wanted, i), conf->name, sizeof conf->name);
        buffer_append_text(&names, i > 0 ? "," : "");
        buffer_append_text(&names, conf->name);
    }
    add(conf, "plugins",
        list->count == 1 ? "which plugins there are: Kong's own, and this one"
                         : "which plugins there are: Kong's own, and these",
        plugins);
    add(conf, "pluginserver_names",
        list->count == 1 ? "the plugin server that has it; further ones with commas between them"
                         : "one name for each plugin, all of one process; further ones behind them",
        names);
}

/* The second plugin server and those behind it are the first one's process. */
static void add_server(struct conf *conf, size_t index) {
    const struct print_conf *wanted = conf->wanted;
    const struct options own =
        options_for(wanted->options, wanted->plugins, wanted->plugins->list[index].what);
    settings_lower(name_of(wanted, index), conf->name, sizeof conf->name);
    if (index == 0) {
        add_start(conf);
    } else {
        add_text(conf, "_socket", "the same process, which Kong does not start again", own.socket);
    }
    add_query(conf, &own);
}

/* replace: names of headers; "" for none. */
static void collect(struct conf *conf, const char *replace) {
    enum option_role role = conf->wanted->options->role;
    if (role != OPTION_TRADITIONAL) {
        add_text(conf, "role", "this node's side of a hybrid Kong",
                 role == OPTION_CONTROL_PLANE ? "control_plane" : "data_plane");
    }
    add_names(conf);
    for (size_t i = 0; i < conf->wanted->plugins->count; i++) {
        add_server(conf, i);
    }
    if (replace[0] != '\0' && role != OPTION_CONTROL_PLANE) { /* which proxies nothing */
        add_replacement(conf, replace);
    }
}

/* Kong runs the command in a directory of its own, and a line of kong.conf has no second one. */
static int check_paths(const struct conf *conf) {
    const struct options *options = conf->wanted->options;
    const char *metrics = options->metrics_listen;
    const struct {
        const char *option, *path;
    } paths[] = {{"socket", options->socket},
                 {"record", options->record},
                 {"log-file", options->log_file},
                 {"metrics-listen",
                  metrics != NULL && strncmp(metrics, "unix:", 5) == 0 ? metrics + 5 : NULL}};
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        if (paths[i].path != NULL && paths[i].path[0] != '/') {
            return fail(conf, "--%s: Kong needs the whole path, from / on, instead of %.200s",
                        options->prefix_given && i == 0 ? "kong-prefix or --socket"
                                                        : paths[i].option,
                        paths[i].path);
        }
    }
    return 0;
}

/* A value as it is written: quoted for the shell, or in kong.conf, where a # begins a comment
 * unless there is a \ before it. */
static struct buffer written(const char *value, bool for_shell) {
    struct buffer out;
    buffer_init(&out, 4 * VALUE);
    if (for_shell) {
        shell_append(&out, value);
        return out;
    }
    for (; *value != '\0'; value++) {
        buffer_append_text(&out, *value == '#' ? "\\" : "");
        buffer_append(&out, value, 1);
    }
    return out;
}

/* Values become what is written of them; what failed on the way is known here. */
static int finish_lines(struct conf *conf) {
    const struct options *options = conf->wanted->options;
    for (size_t i = 0; i < conf->count; i++) {
        struct buffer *value = &conf->lines[i].value;
        buffer_append_byte(value, '\0');
        if (value->failed) {
            return fail(conf, "out of memory, or too long for kong.conf");
        }
        if (strpbrk((const char *)value->data, "\r\n") != NULL) {
            return fail(conf, "a path or value that cannot stand in kong.conf");
        }
        struct buffer out = written((const char *)value->data, options->env || options->docker);
        buffer_free(value);
        *value = out;
        if (out.failed) {
            return fail(conf, "out of memory");
        }
    }
    return 0;
}

/* In docker's form a comment cannot stand between the lines, which are one command: all comments
 * come first. */
static void print_lines(const struct conf *conf, FILE *out) {
    const struct options *options = conf->wanted->options;
    char name[sizeof conf->lines->key + 8];
    for (size_t i = 0; i < conf->count && options->docker; i++) {
        fprintf(out, "# %s: %s\n", conf->lines[i].key, conf->lines[i].comment);
    }
    for (size_t i = 0; i < conf->count; i++) {
        const struct line *line = &conf->lines[i];
        const char *value = (const char *)line->value.data;
        int len = (int)line->value.len;
        settings_variable(line->key, name, sizeof name);
        if (options->docker) {
            fprintf(out, "-e %s=%.*s%s\n", name, len, value, i + 1 < conf->count ? " \\" : "");
        } else if (options->env) {
            fprintf(out, "# %s\n%s=%.*s\n", line->comment, name, len, value);
        } else {
            fprintf(out, "# %s\n%s = %.*s\n", line->comment, line->key, len, value);
        }
    }
}

static int check_names(const struct conf *conf) {
    char reason[128];
    for (size_t i = 0; i < conf->wanted->plugins->count; i++) {
        const char *name = name_of(conf->wanted, i);
        if (options_check_name(name, reason, sizeof reason) != 0) {
            return fail(conf, "%.100s: %s: give it another by --name", name, reason);
        }
    }
    return 0;
}

/* The header that --replace-upstream-header means without a name, or an error. */
static int find_usual(const struct conf *conf, char *usual, size_t size) {
    const struct kong_plugin *plugin = conf->wanted->options->plugin;
    const char *replace = conf->wanted->options->replace_headers;
    if (replace == NULL || replace[0] != '\0' || response_header_default(plugin, usual, size)) {
        return 0;
    }
    return fail(conf,
                "--replace-upstream-header: the plugin %.100s has no field response_header with a "
                "default: name the headers, as in --replace-upstream-header=X-Version",
                plugin->name);
}

int print_conf(const struct print_conf *wanted, FILE *out, char *error, size_t error_size) {
    struct conf conf = {.wanted = wanted, .error = error, .error_size = error_size};
    char usual[RESPONSE_HEADER] = "";
    const char *replace = wanted->options->replace_headers;
    if (check_names(&conf) != 0 || check_paths(&conf) != 0 ||
        find_usual(&conf, usual, sizeof usual) != 0) {
        return -1;
    }
    conf.lines = calloc(4 + 3 * wanted->plugins->count, sizeof *conf.lines);
    if (conf.lines == NULL) {
        return fail(&conf, "out of memory");
    }
    collect(&conf, replace == NULL ? "" : replace[0] != '\0' ? replace : usual);
    int rc = finish_lines(&conf);
    if (rc == 0) {
        print_lines(&conf, out);
    }
    for (size_t i = 0; i < conf.count; i++) {
        buffer_free(&conf.lines[i].value);
    }
    free(conf.lines);
    return rc;
}
