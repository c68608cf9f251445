#include "options.h"

#include <assert.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "options_table.h"

#define MOST_ROWS  64
#define LONG_VALUE 256 /* getopt's value of the first row: above all letters */

/* --- getopt --- */

/* getopt does not tell an unknown option from one that is short for several. */
static int refuse_unknown(const struct option_parser *parser, const char *argument) {
    char names[256];
    struct text candidates = TEXT_IN(names);
    size_t count = 0;
    const char *name = argument + strspn(argument, "-");
    size_t name_len = strcspn(name, "=");
    for (size_t i = 0; i < option_row_count; i++) {
        if (name_len > 0 && strncmp(option_rows[i].name, name, name_len) == 0) {
            text_add(&candidates, "%s--%s", count++ > 0 ? ", " : "", option_rows[i].name);
        }
    }
    return count > 1 ? options_fail(parser, "%.100s is short for more than one option: %s",
                                    argument, names)
                     : options_fail(parser, "unknown option %.200s: --help-all lists the options",
                                    argument);
}

static const struct option_row *row_of(int value) {
    for (size_t i = 0; i < option_row_count; i++) {
        if (value == LONG_VALUE + (int)i || (value != 0 && value == option_rows[i].letter)) {
            return &option_rows[i];
        }
    }
    return NULL;
}

/* `argument` is the last one that getopt has read. */
static int refuse_usage(const struct option_parser *parser, int result, const char *argument) {
    const struct option_row *row = row_of(optopt);
    if (row == NULL) {
        return refuse_unknown(parser, argument);
    }
    return result == ':'
               ? options_fail(parser, "--%s: its argument %s is missing", row->name, row->argument)
               : options_fail(parser, "--%s takes no argument: %.200s", row->name, argument);
}

/* One walk over a command line. */
struct scan {
    int argc;
    char **argv;
    struct option longs[MOST_ROWS + 1]; /* the table as getopt wants it */
    char letters[2 * MOST_ROWS + 3];
};

static void scan_begin(struct scan *scan, int argc, char **argv) {
    size_t len = 0;
    assert(option_row_count <= MOST_ROWS);
    *scan = (struct scan){.argc = argc, .argv = argv};
    scan->letters[len++] = '+'; /* the first word that is no option ends the options */
    scan->letters[len++] = ':'; /* a missing argument has a result of its own */
    for (size_t i = 0; i < option_row_count; i++) {
        const struct option_row *row = &option_rows[i];
        scan->longs[i] = (struct option){.name = row->name,
                                         .has_arg = row->argument == NULL     ? no_argument
                                                    : options_takes_word(row) ? required_argument
                                                                              : optional_argument,
                                         .val = LONG_VALUE + (int)i};
        if (row->letter != 0) {
            scan->letters[len++] = row->letter;
            if (row->argument != NULL) {
                scan->letters[len++] = ':';
            }
        }
    }
    opterr = 0;
    optind = 0; /* glibc: forget an earlier scan */
}

/* The next option; its argument is in optarg. Returns getopt's result: -1 is the end, and with '?'
 * and ':', for what is wrong, *row is NULL. */
static int scan_next(struct scan *scan, const struct option_row **row) {
    int result = getopt_long_only(scan->argc, scan->argv, scan->letters, scan->longs, NULL);
    *row = result == '?' || result == ':' ? NULL : row_of(result);
    return result;
}

/* --plugin says what others may be: it is looked for before they are read. What else is there, and
 * what is wrong with it, is parse_arguments'. */
static const struct kong_plugin *find_plugin(const struct plugins *plugins, int argc, char **argv) {
    struct scan scan;
    const struct option_row *row;
    const struct kong_plugin *plugin = options_only_plugin(plugins);
    scan_begin(&scan, argc, argv);
    while (scan_next(&scan, &row) != -1) {
        if (row != NULL && row->kind == OPTION_TEXT &&
            row->offset == offsetof(struct options, plugin_name)) {
            const struct plugin *named = plugins_find(plugins, kong_str(optarg));
            plugin = named == NULL ? NULL : named->what;
        }
    }
    return plugin;
}

static int parse_arguments(const struct option_parser *parser, int argc, char **argv) {
    struct scan scan;
    const struct option_row *row;
    int result;
    scan_begin(&scan, argc, argv);
    while ((result = scan_next(&scan, &row)) != -1) {
        if (row == NULL) {
            return refuse_usage(parser, result, argv[optind - 1]);
        }
        if (options_set(parser, row, optarg) != 0) {
            return -1;
        }
        if (options_is_information(parser->options->action)) {
            return 0;
        }
    }
    if (optind < argc) {
        return options_fail(
            parser,
            "unexpected argument \"%.200s\": all settings are options, --help-all lists them",
            argv[optind]);
    }
    return 0;
}

/* --- all --- */

const char *options_program_name(const char *argv0) {
    const char *slash = argv0 == NULL ? NULL : strrchr(argv0, '/');
    const char *name = slash == NULL ? argv0 : slash + 1;
    return name == NULL || *name == '\0' ? "kong-plugin-server" : name;
}

/* The name of the executable's file, which Kong's socket is called after. */
static const char *executable_name(const char *argv0, char *buffer, size_t size) {
    if (argv0 != NULL && *argv0 != '\0') {
        return options_program_name(argv0);
    }
    ssize_t len = readlink("/proc/self/exe", buffer, size - 1);
    buffer[len < 0 ? 0 : len] = '\0';
    return options_program_name(buffer);
}

/* Whether an option has another value than without any option. */
static bool is_given(const struct option_row *row, const struct options *options,
                     const struct options *defaults) {
    char given[1024];
    char usual[1024];
    return strcmp(options_show(row, options, given, sizeof given),
                  options_show(row, defaults, usual, sizeof usual)) != 0;
}

/* Refuses options that do nothing without another one. */
static int check_company(const struct option_parser *parser) {
    struct options defaults;
    options_defaults(&defaults, parser->plugins, parser->options->plugin);
    for (size_t i = 0; i < option_row_count; i++) {
        const struct option_row *row = &option_rows[i];
        if (row->only_with != OPTIONS_RUN && row->only_with != parser->options->action &&
            is_given(row, parser->options, &defaults)) {
            return options_fail(parser, "--%s goes with --%s: give both, or leave it out",
                                row->name, options_name_of(row->only_with));
        }
    }
    return 0;
}

/* Which plugin it is about. */
static int check_plugin(const struct option_parser *parser) {
    const struct options *options = parser->options;
    struct options defaults;
    char names[300];
    options_list_plugins(parser->plugins, names, sizeof names);
    if (options->plugin_name != NULL && options->plugin == NULL) {
        return options_fail(parser,
                            "--plugin %.64s: this program has no such plugin: give one of %s",
                            options->plugin_name, names);
    }
    if (options->plugin_name != NULL && parser->plugins->count > 1 &&
        (options->action == OPTIONS_RUN || options->action == OPTIONS_STATUS)) {
        return options_fail(parser, "--plugin: a server has all plugins of its program: leave it "
                                    "out, or say what to do with this one (--help)");
    }
    options_defaults(&defaults, parser->plugins, options->plugin);
    for (size_t i = 0; options->plugin == NULL && i < option_row_count; i++) {
        const struct option_row *row = &option_rows[i];
        bool acts = row->number != 0 && options->action == (enum options_action)row->number;
        if (row->of_plugin && (acts || is_given(row, options, &defaults))) {
            return options_need_plugin(parser, row->name);
        }
    }
    const struct kong_plugin *msgpack = options_msgpack_plugin(parser->plugins);
    if (msgpack != NULL && options->protocol != PROTOCOL_MSGPACK) {
        return options_fail(parser,
                            "--protocol ProtoBuf:1: the plugin %.60s calls functions that Kong has "
                            "over MsgPack:1 only (.protocol of its struct kong_plugin): leave it "
                            "out",
                            msgpack->name);
    }
    return 0;
}

static int check_threads(const struct option_parser *parser) {
    for (size_t i = 0; parser->options->threads > 1 && i < parser->plugins->count; i++) {
        const struct kong_plugin *plugin = parser->plugins->list[i].what;
        if (!plugin->thread_safe) {
            return options_fail(parser,
                                "--threads %zu: the plugin%s%.60s does not say that it is "
                                "thread-safe (.thread_safe of its struct kong_plugin): one thread "
                                "only",
                                parser->options->threads, parser->plugins->count > 1 ? " " : "",
                                parser->plugins->count > 1 ? plugin->name : "");
        }
    }
    return 0;
}

/* What follows from other options. */
static int complete(const struct option_parser *parser, const char *argv0) {
    struct options *options = parser->options;
    char buffer[4096];
    if ((!options_is_information(options->action) && check_plugin(parser) != 0) ||
        check_company(parser) != 0 || check_threads(parser) != 0) {
        return -1;
    }
    if (options->env && options->docker) {
        return options_fail(parser, "--env and --docker are two different forms: give one");
    }
    if (options->quiet && (options->json || options->watch)) {
        return options_fail(parser, "--quiet prints nothing: leave out --%s",
                            options->json ? "json" : "watch");
    }
    options->prefix_given = options->kong_prefix != NULL;
    if (options->kong_prefix == NULL &&
        (options->kong_prefix = strdup(OPTIONS_KONG_PREFIX)) == NULL) {
        return options_fail(parser, "out of memory");
    }
    if (options->socket != NULL) {
        return 0;
    }
    size_t len = strlen(options->kong_prefix);
    while (len > 0 && options->kong_prefix[len - 1] == '/') {
        len--;
    }
    if (asprintf(&options->socket, "%.*s/%s.socket", (int)len, options->kong_prefix,
                 options->name != NULL ? options->name
                                       : executable_name(argv0, buffer, sizeof buffer)) < 0) {
        options->socket = NULL;
        return options_fail(parser, "out of memory");
    }
    return 0;
}

int options_parse(struct options *options, const struct plugins *plugins, int argc, char **argv,
                  char *error, size_t error_size) {
    const struct option_parser parser = {
        .options = options, .plugins = plugins, .error = error, .error_size = error_size};
    const struct kong_plugin *plugin = find_plugin(plugins, argc, argv);
    options_defaults(options, plugins, plugin);
    options->plugin = plugin;
    if (parse_arguments(&parser, argc, argv) != 0 ||
        complete(&parser, argc > 0 ? argv[0] : NULL) != 0) {
        options_free(options);
        return -1;
    }
    return 0;
}

void options_free(struct options *options) {
    for (size_t i = 0; i < option_row_count; i++) {
        const struct option_row *row = &option_rows[i];
        if (row->kind == OPTION_TEXT || row->kind == OPTION_HEADERS) {
            free(*(char **)((char *)options + row->offset));
        }
    }
    *options = (struct options){0};
}
