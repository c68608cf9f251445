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
    struct line *lines; /* owned: as many as there may be */
    size_t count;
    char name[64]; /* of the plugin server at hand, as Kong has it: in lower case */
};

static struct buffer *add(struct conf *conf, const char *what, const char *comment) {
    struct line *line = &conf->lines[conf->count++];
    buffer_init(&line->value, VALUE);
    line->comment = comment;
    if (what[0] != '_') {
        snprintf(line->key, sizeof line->key, "%s", what);
        return &line->value;
    }
    settings_server_key(conf->name, what + 1, line->key, sizeof line->key); /* "_socket" */
    return &line->value;
}

/* The options of one of Kong's commands that are not what they are without any. */
static void append_options(const struct print_conf *wanted, const struct options *options,
                           enum option_use use, const char *const *but, struct buffer *out) {
    struct options defaults;
    char shown[SHOWN];
    char usual[SHOWN];
    options_defaults(&defaults, wanted->plugins, options->plugin);
    for (size_t i = 0; i < option_row_count; i++) {
        const struct option_row *row = &option_rows[i];
        bool skip = !options_belongs(row, use);
        for (size_t k = 0; but != NULL && but[k] != NULL; k++) {
            skip = skip || strcmp(row->name, but[k]) == 0;
        }
        const char *value = options_show(row, options, shown, sizeof shown);
        if (skip || strcmp(value, options_show(row, &defaults, usual, sizeof usual)) == 0) {
            continue;
        }
        shell_append_option(out, row->name, row->argument != NULL ? value : NULL);
    }
}

/* nginx drops the headers of each upstream's answer; what the plugin sets is added to that. */
static void add_replacement(struct conf *conf, const char *names) {
    struct buffer *hide = add(conf, "nginx_proxy_proxy_hide_header",
                              "headers of upstreams' answers that nginx drops, on every route");
    for (const char *c = names; *c != '\0'; c++) {
        if (*c == ',') {
            buffer_append_text(hide, "; proxy_hide_header ");
        } else {
            buffer_append(hide, c, 1);
        }
    }
}

/* Kong starts the default command without an argument: with anything to say it must be named. Then
 * the socket is named too, to both: neither can take another one than the other. */
static void add_start(struct conf *conf, const struct print_conf *wanted) {
    static const char *const paths[] = {"kong-prefix", "socket", NULL};
    const struct options *options = wanted->options;
    char usual[256];
    struct buffer serving;
    buffer_init(&serving, VALUE);
    if (options->role == OPTION_CONTROL_PLANE) {
        buffer_append_text(
            add(conf, "_socket", "Kong wants its socket named; nothing connects to it here"),
            options->socket);
        return;
    }
    append_options(wanted, options, OPTION_FOR_START, paths, &serving);
    snprintf(usual, sizeof usual, OPTIONS_KONG_PREFIX "/%s.socket", conf->name);
    if (!wanted->in_place || serving.len > 0 || serving.failed ||
        strcmp(usual, options->socket) != 0) {
        buffer_append_text(add(conf, "_socket", "where Kong finds its socket"), options->socket);
        struct buffer *start = add(conf, "_start_cmd", "how Kong starts it");
        shell_append(start, wanted->executable);
        shell_append(start, "--socket");
        shell_append(start, options->socket);
        buffer_append_text(start, serving.len > 0 ? " " : "");
        buffer_append(start, serving.data, serving.len);
        start->failed = start->failed || serving.failed;
    }
    buffer_free(&serving);
}

static void add_query(struct conf *conf, const struct print_conf *wanted,
                      const struct options *own) {
    struct buffer told;
    buffer_init(&told, VALUE);
    append_options(wanted, own, OPTION_FOR_QUERY, NULL, &told);
    if (!wanted->in_place || told.len > 0 || told.failed ||
        wanted->options->role == OPTION_CONTROL_PLANE) {
        struct buffer *query = add(conf, "_query_cmd", "how Kong learns of the plugin");
        shell_append(query, wanted->executable);
        shell_append(query, "--dump");
        buffer_append_text(query, told.len > 0 ? " " : "");
        buffer_append(query, told.data, told.len);
        query->failed = query->failed || told.failed;
    }
    buffer_free(&told);
}

/* What the plugin server of a plugin is called. */
static const char *name_of(const struct print_conf *wanted, size_t index) {
    const struct kong_plugin *plugin = wanted->plugins->list[index].what;
    bool renamed = wanted->options->name != NULL && plugin == wanted->options->plugin;
    return wanted->plugins->count == 1 || renamed ? wanted->name : plugin->name;
}

static void add_names(struct conf *conf, const struct print_conf *wanted) {
    size_t count = wanted->plugins->count;
    struct buffer *plugins = add(conf, "plugins",
                                 count == 1 ? "which plugins there are: Kong's own, and this one"
                                            : "which plugins there are: Kong's own, and these");
    buffer_append_text(plugins, "bundled");
    for (size_t i = 0; i < count; i++) {
        buffer_append_text(plugins, ",");
        buffer_append_text(plugins, wanted->plugins->list[i].what->name);
    }
    struct buffer *names =
        add(conf, "pluginserver_names",
            count == 1 ? "the plugin server that has it; further ones with commas between them"
                       : "one name for each plugin, all of one process; further ones behind them");
    for (size_t i = 0; i < count; i++) {
        buffer_append_text(names, i > 0 ? "," : "");
        settings_lower(name_of(wanted, i), conf->name, sizeof conf->name);
        buffer_append_text(names, conf->name);
    }
}

/* The second plugin server and those behind it are the first one's process. */
static void add_server(struct conf *conf, const struct print_conf *wanted, size_t index) {
    const struct options own =
        options_for(wanted->options, wanted->plugins, wanted->plugins->list[index].what);
    settings_lower(name_of(wanted, index), conf->name, sizeof conf->name);
    if (index == 0) {
        add_start(conf, wanted);
    } else {
        buffer_append_text(
            add(conf, "_socket", "the same process, which Kong does not start again"),
            wanted->options->socket);
    }
    add_query(conf, wanted, &own);
}

/* replace: names of headers; "" for none. */
static void collect(struct conf *conf, const struct print_conf *wanted, const char *replace) {
    enum option_role role = wanted->options->role;
    if (role != OPTION_TRADITIONAL) {
        buffer_append_text(add(conf, "role", "this node's side of a hybrid Kong"),
                           role == OPTION_CONTROL_PLANE ? "control_plane" : "data_plane");
    }
    add_names(conf, wanted);
    for (size_t i = 0; i < wanted->plugins->count; i++) {
        add_server(conf, wanted, i);
    }
    if (replace[0] != '\0' && role != OPTION_CONTROL_PLANE) { /* which proxies nothing */
        add_replacement(conf, replace);
    }
}

/* kong.conf: a # begins a comment, unless there is a \ before it. */
static void print_file(const struct conf *conf, FILE *out) {
    for (size_t i = 0; i < conf->count; i++) {
        const struct line *line = &conf->lines[i];
        fprintf(out, "# %s\n%s = ", line->comment, line->key);
        for (size_t k = 0; k < line->value.len; k++) {
            fprintf(out, line->value.data[k] == '#' ? "\\%c" : "%c", line->value.data[k]);
        }
        fputc('\n', out);
    }
}

static bool print_variable(const struct line *line, FILE *out) {
    char name[sizeof line->key + 8];
    struct buffer quoted;
    buffer_init(&quoted, 4 * VALUE);
    shell_append(&quoted, (const char *)line->value.data);
    settings_variable(line->key, name, sizeof name);
    fprintf(out, "%s=%.*s", name, (int)quoted.len, (const char *)quoted.data);
    bool whole = !quoted.failed;
    buffer_free(&quoted);
    return whole;
}

static bool print_env(const struct conf *conf, FILE *out) {
    bool whole = true;
    for (size_t i = 0; i < conf->count; i++) {
        fprintf(out, "# %s\n", conf->lines[i].comment);
        whole = print_variable(&conf->lines[i], out) && whole;
        fputc('\n', out);
    }
    return whole;
}

/* A comment cannot stand between the lines of one command, so all comments come first. */
static bool print_docker(const struct conf *conf, FILE *out) {
    bool whole = true;
    for (size_t i = 0; i < conf->count; i++) {
        fprintf(out, "# %s: %s\n", conf->lines[i].key, conf->lines[i].comment);
    }
    for (size_t i = 0; i < conf->count; i++) {
        fputs("-e ", out);
        whole = print_variable(&conf->lines[i], out) && whole;
        fputs(i + 1 < conf->count ? " \\\n" : "\n", out);
    }
    return whole;
}

/* Kong runs the command in a directory of its own, and a line of kong.conf has no second one. */
static int check_paths(const struct print_conf *wanted, char *error, size_t error_size) {
    const struct options *options = wanted->options;
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
            return printable_error(
                error, error_size, "--%s: Kong needs the whole path, from / on, instead of %.200s",
                options->prefix_given && i == 0 ? "kong-prefix or --socket" : paths[i].option,
                paths[i].path);
        }
    }
    return 0;
}

/* Values end with NUL; what failed on the way is known here. */
static int check_lines(struct conf *conf, char *error, size_t error_size) {
    for (size_t i = 0; i < conf->count; i++) {
        struct buffer *value = &conf->lines[i].value;
        buffer_append_byte(value, '\0');
        if (value->failed) {
            return printable_error(error, error_size, "out of memory, or too long for kong.conf");
        }
        value->len--;
        if (strpbrk((const char *)value->data, "\r\n") != NULL) {
            return printable_error(error, error_size,
                                   "a path or value that cannot stand in kong.conf");
        }
    }
    return 0;
}

static int print_lines(const struct conf *conf, const struct options *options, FILE *out,
                       char *error, size_t error_size) {
    bool whole = true;
    if (options->env) {
        whole = print_env(conf, out);
    } else if (options->docker) {
        whole = print_docker(conf, out);
    } else {
        print_file(conf, out);
    }
    if (!whole) {
        return printable_error(error, error_size, "out of memory");
    }
    return 0;
}

static int check_names(const struct print_conf *wanted, char *error, size_t error_size) {
    char reason[128];
    for (size_t i = 0; i < wanted->plugins->count; i++) {
        const char *name = name_of(wanted, i);
        if (options_check_name(name, reason, sizeof reason) != 0) {
            return printable_error(error, error_size, "%.100s: %s: give it another by --name", name,
                                   reason);
        }
    }
    return 0;
}

/* The header that --replace-upstream-header means without a name, or an error. */
static int find_usual(const struct print_conf *wanted, char *usual, size_t size, char *error,
                      size_t error_size) {
    const struct kong_plugin *plugin = wanted->options->plugin;
    const char *replace = wanted->options->replace_headers;
    if (replace == NULL || replace[0] != '\0' || response_header_default(plugin, usual, size)) {
        return 0;
    }
    return printable_error(
        error, error_size,
        "--replace-upstream-header: the plugin %.100s has no field response_header "
        "with a default: name the headers, as in --replace-upstream-header=X-Version",
        plugin->name);
}

int print_conf(const struct print_conf *wanted, FILE *out, char *error, size_t error_size) {
    struct conf conf = {.count = 0};
    char usual[RESPONSE_HEADER] = "";
    const char *replace = wanted->options->replace_headers;
    if (check_names(wanted, error, error_size) != 0 ||
        check_paths(wanted, error, error_size) != 0 ||
        find_usual(wanted, usual, sizeof usual, error, error_size) != 0) {
        return -1;
    }
    conf.lines = calloc(4 + 3 * wanted->plugins->count, sizeof *conf.lines);
    if (conf.lines == NULL) {
        return printable_error(error, error_size, "out of memory");
    }
    collect(&conf, wanted, replace == NULL ? "" : replace[0] != '\0' ? replace : usual);
    int rc = check_lines(&conf, error, error_size);
    if (rc == 0) {
        rc = print_lines(&conf, wanted->options, out, error, error_size);
    }
    for (size_t i = 0; i < conf.count; i++) {
        buffer_free(&conf.lines[i].value);
    }
    free(conf.lines);
    return rc;
}
