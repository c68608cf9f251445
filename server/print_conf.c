#include "print_conf.h"

#include <ctype.h>
#include <string.h>

#include "options_table.h"

#define MOST_LINES 5
#define VALUE      4096

struct line {
    char key[128]; /* as in kong.conf */
    char value[VALUE];
    const char *comment;
};

struct conf {
    struct line lines[MOST_LINES];
    size_t count;
    char name[64]; /* as Kong has it: in lower case */
};

static struct line *add(struct conf *conf, const char *what, const char *comment) {
    struct line *line = &conf->lines[conf->count++];
    line->value[0] = '\0';
    line->comment = comment;
    if (what[0] != '_') {
        snprintf(line->key, sizeof line->key, "%s", what);
        return line;
    }
    /* "_socket" is of this server */
    snprintf(line->key, sizeof line->key, "pluginserver_%s%s", conf->name, what);
    for (char *c = line->key; *c != '\0'; c++) {
        *c = *c == '-' ? '_' : *c;
    }
    return line;
}

static bool is_plain(const char *text) {
    return text[strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
                             "@%+=:,./_-")] == '\0';
}

/* A word for the shell, behind what is there. */
static void append_word(char *out, size_t size, const char *word) {
    size_t len = strlen(out);
    if (is_plain(word)) {
        snprintf(out + len, size - len, "%s%s", len > 0 ? " " : "", word);
        return;
    }
    if (len + 2 < size) {
        len += (size_t)snprintf(out + len, size - len, "%s'", len > 0 ? " " : "");
    }
    for (; *word != '\0' && len + 6 < size; word++) {
        len += (size_t)snprintf(out + len, size - len, *word == '\'' ? "'\\''" : "%c", *word);
    }
    snprintf(out + len, size - len, "'");
}

/* The options behind --dump that are not what they are without any. */
static bool append_dump_options(const struct print_conf *wanted, char *out, size_t size) {
    struct options defaults;
    const struct options *options = wanted->options;
    char text[128];
    size_t before = strlen(out);
    options_defaults(&defaults, wanted->plugin);
    if (options->phases != defaults.phases) {
        options_list_phases(options->phases, ",", text, sizeof text);
        append_word(out, size, "--phases");
        append_word(out, size, text);
    }
    if (options->priority != defaults.priority) {
        snprintf(text, sizeof text, "%d", options->priority);
        append_word(out, size, "--priority");
        append_word(out, size, text);
    }
    if (options->protocol != defaults.protocol) {
        append_word(out, size, "--protocol");
        append_word(out, size, options->protocol == PROTOCOL_MSGPACK ? "MsgPack:1" : "ProtoBuf:1");
    }
    return strlen(out) > before;
}

static void collect(struct conf *conf, const struct print_conf *wanted) {
    const struct options *options = wanted->options;
    char socket[VALUE];
    char dump[512] = "";
    size_t len = strlen(options->kong_prefix);
    while (len > 1 && options->kong_prefix[len - 1] == '/') {
        len--;
    }
    snprintf(socket, sizeof socket, "%.*s/%s.socket", (int)len, options->kong_prefix, conf->name);
    snprintf(add(conf, "plugins", "which plugins there are: Kong's own, and this one")->value,
             VALUE, "bundled,%s", wanted->plugin->name);
    snprintf(add(conf, "pluginserver_names",
                 "the plugin server that has it; further ones with commas between them")
                 ->value,
             VALUE, "%s", conf->name);
    bool usual_socket = strcmp(socket, options->socket) == 0;
    if (!usual_socket) {
        snprintf(add(conf, "_socket", "where Kong finds its socket")->value, VALUE, "%s",
                 options->socket);
    }
    /* Without an argument the server takes Kong's default prefix. */
    bool usual_prefix = strlen(OPTIONS_KONG_PREFIX) == len &&
                        strncmp(options->kong_prefix, OPTIONS_KONG_PREFIX, len) == 0;
    if (!wanted->in_place || !usual_socket || !usual_prefix) {
        char *value = add(conf, "_start_cmd", "how Kong starts it")->value;
        append_word(value, VALUE, wanted->executable);
        append_word(value, VALUE, "--socket");
        append_word(value, VALUE, options->socket);
    }
    bool asked = append_dump_options(wanted, dump, sizeof dump);
    if (!wanted->in_place || asked) {
        char *value = add(conf, "_query_cmd", "how Kong learns of the plugin")->value;
        append_word(value, VALUE, wanted->executable);
        snprintf(value + strlen(value), VALUE - strlen(value), " --dump%s%s", asked ? " " : "",
                 dump);
    }
}

/* kong.conf: a # begins a comment, unless there is a \ before it. */
static void print_file(const struct conf *conf, FILE *out) {
    for (size_t i = 0; i < conf->count; i++) {
        const struct line *line = &conf->lines[i];
        fprintf(out, "# %s\n%s = ", line->comment, line->key);
        for (const char *c = line->value; *c != '\0'; c++) {
            fprintf(out, *c == '#' ? "\\%c" : "%c", *c);
        }
        fputc('\n', out);
    }
}

static void print_variable(const struct line *line, FILE *out) {
    char value[2 * VALUE] = "";
    append_word(value, sizeof value, line->value);
    fputs("KONG_", out);
    for (const char *c = line->key; *c != '\0'; c++) {
        fputc(toupper((unsigned char)*c), out);
    }
    fprintf(out, "=%s", value);
}

static void print_env(const struct conf *conf, FILE *out) {
    for (size_t i = 0; i < conf->count; i++) {
        fprintf(out, "# %s\n", conf->lines[i].comment);
        print_variable(&conf->lines[i], out);
        fputc('\n', out);
    }
}

/* A comment cannot stand inside a command that goes on. */
static void print_docker(const struct conf *conf, FILE *out) {
    for (size_t i = 0; i < conf->count; i++) {
        fprintf(out, "# %s: %s\n", conf->lines[i].key, conf->lines[i].comment);
    }
    for (size_t i = 0; i < conf->count; i++) {
        fputs("-e ", out);
        print_variable(&conf->lines[i], out);
        fputs(i + 1 < conf->count ? " \\\n" : "\n", out);
    }
}

int print_conf(const struct print_conf *wanted, FILE *out, char *error, size_t error_size) {
    struct conf conf = {0};
    size_t len = strlen(wanted->name);
    if (len == 0 || len >= sizeof conf.name ||
        wanted->name[strspn(wanted->name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                          "0123456789_-")] != '\0') {
        snprintf(error, error_size,
                 "a plugin server's name has letters, digits, - and _ only: see --name");
        return -1;
    }
    if (strlen(wanted->executable) + strlen(wanted->options->socket) > 1000 ||
        strpbrk(wanted->executable, "\r\n") != NULL ||
        strpbrk(wanted->options->socket, "\r\n") != NULL) {
        snprintf(error, error_size, "a path that cannot stand in kong.conf");
        return -1;
    }
    for (size_t i = 0; i < len; i++) {
        conf.name[i] = (char)tolower((unsigned char)wanted->name[i]);
    }
    collect(&conf, wanted);
    if (wanted->options->env) {
        print_env(&conf, out);
    } else if (wanted->options->docker) {
        print_docker(&conf, out);
    } else {
        print_file(&conf, out);
    }
    if (fflush(out) != 0 || ferror(out)) {
        snprintf(error, error_size, "cannot write to standard output");
        return -1;
    }
    return 0;
}
