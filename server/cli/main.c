/* The program around a plugin: what its options ask for. */
#include <fcntl.h>
#include <linux/limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "build_version.h"
#include "check_config.h"
#include "complain.h"
#include "doctor.h"
#include "dump.h"
#include "options.h"
#include "own_path.h"
#include "plugin_check.h"
#include "prefetch.h"
#include "print_conf.h"
#include "schema.h"
#include "serve.h"
#include "status_show.h"

#define STATUS_TIMEOUT_MS 5000

/* A descriptor that is opened later must not take the place of a closed stdin, stdout or stderr. */
static void open_standard_descriptors(void) {
    int fd;
    do {
        fd = open("/dev/null", O_RDWR);
    } while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd > STDERR_FILENO) {
        close(fd);
    }
}

/* Undoes what the parent process may have left: with SIGTERM blocked the server would never end,
 * with SIGCHLD ignored it could not wait for its children. */
static void reset_signals(void) {
    sigset_t none;
    sigemptyset(&none);
    signal(SIGCHLD, SIG_DFL);
    signal(SIGTERM, SIG_DFL);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

/* A program, its plugins, and what it was told. */
struct program {
    const char *name, *argv0;
    struct plugins plugins;
    struct options options;
};

/* All is printed; what of it did not arrive is an error. */
static int end_output(const struct program *program) {
    return fflush(stdout) == 0 && !ferror(stdout)
               ? EXIT_SUCCESS
               : complain(program->name, "cannot write to standard output", EXIT_FAILURE);
}

static int write_out(const struct program *program, char *text, const char *end) {
    if (text == NULL) {
        return complain(program->name, "out of memory", EXIT_FAILURE);
    }
    fputs(text, stdout);
    fputs(end, stdout);
    free(text);
    return end_output(program);
}

/* Standard output is all JSON (or all Lua), or Kong does not start. */
static int print_dump(const struct program *program) {
    const struct options *options = &program->options;
    if ((options->phases & KONG_PHASE_BIT(KONG_PHASE_HEADER_FILTER)) != 0) {
        complain(program->name,
                 "warning: Kong up to 3.9 destroys every response of a plugin server that "
                 "advertises header_filter",
                 0);
    }
    return write_out(program, options->lua ? dump_lua(options) : dump_json(options), "\n");
}

static int print_description(const struct program *program) {
    return write_out(program, schema_to_markdown(program->options.plugin->schema), "");
}

static int print_violations(const struct program *program) {
    char error[512];
    int result = check_config(&program->options, stdout, error, sizeof error);
    if (error[0] != '\0') {
        complain(program->name, error, EXIT_FAILURE);
    }
    int status = end_output(program);
    return result == 0 ? status : EXIT_FAILURE;
}

/* Whether Kong finds this executable by itself. */
static bool is_in_place(const char *executable, const char *name) {
    char path[PATH_MAX];
    char real[PATH_MAX];
    int len = snprintf(path, sizeof path, "/usr/local/bin/%s", name);
    return len > 0 && (size_t)len < sizeof path && realpath(path, real) != NULL &&
           strcmp(real, executable) == 0;
}

static int print_kong_conf(const struct program *program) {
    const struct options *options = &program->options;
    struct own_path own;
    char error[512];
    struct print_conf wanted = {.executable = own.called,
                                .name = options->name != NULL ? options->name : program->name,
                                .plugins = &program->plugins,
                                .options = options};
    if (!own_path_find(&own, program->argv0)) {
        return complain(program->name, "cannot find its own path: is /proc mounted?", EXIT_FAILURE);
    }
    wanted.in_place = program->plugins.count == 1 && is_in_place(own.real, wanted.name);
    return print_conf(&wanted, stdout, error, sizeof error) == 0
               ? end_output(program)
               : complain(program->name, error, EXIT_USAGE);
}

static int examine(const struct program *program) {
    const struct options *options = &program->options;
    struct own_path own;
    char reason[128];
    char error[384];
    const char *name = options->name != NULL ? options->name : program->name;
    if (!own_path_find(&own, program->argv0)) {
        return complain(program->name, "cannot find its own path: is /proc mounted?", EXIT_FAILURE);
    }
    if (program->plugins.count == 1 && options_check_name(name, reason, sizeof reason) != 0) {
        snprintf(error, sizeof error, "%.100s: %s: give it as in kong.conf, by --name", name,
                 reason);
        return complain(program->name, error, EXIT_USAGE);
    }
    struct doctor_options wanted = {.plugins = &program->plugins,
                                    .only = options->plugin,
                                    .executable = own.real,
                                    .called = own.called,
                                    .name = name,
                                    .name_given = options->name != NULL,
                                    .conf = options->kong_conf,
                                    .admin_url = options->admin_url,
                                    .prefix = options->prefix_given ? options->kong_prefix : NULL};
    bool well = doctor_run(&wanted, stdout);
    int status = end_output(program);
    return well ? status : EXIT_FAILURE;
}

static int print_status(const struct program *program) {
    char error[512];
    if (status_show(&program->options, &program->plugins, STATUS_TIMEOUT_MS, stdout, error,
                    sizeof error) == 0) {
        return EXIT_SUCCESS;
    }
    return program->options.quiet ? EXIT_FAILURE : complain(program->name, error, EXIT_FAILURE);
}

static int print_version(const struct program *program) {
    for (size_t i = 0; i < program->plugins.count; i++) {
        const struct kong_plugin *plugin = program->plugins.list[i].what;
        printf("%s %s\n", plugin->name, plugin->version);
    }
    printf("%s\n", build_version());
    return end_output(program);
}

static int print_help(const struct program *program) {
    bool all = program->options.action == OPTIONS_HELP_ALL;
    options_print_help(program->name, &program->plugins, all, stdout);
    return end_output(program);
}

/* What the options say. */
static int act(struct program *program) {
    switch (program->options.action) {
    case OPTIONS_HELP:
    case OPTIONS_HELP_ALL:
        return print_help(program);
    case OPTIONS_MAN:
        options_print_man(program->name, &program->plugins, stdout);
        return end_output(program);
    case OPTIONS_VERSION:
        return print_version(program);
    case OPTIONS_DUMP:
        return print_dump(program);
    case OPTIONS_CHECK_CONFIG:
        return print_violations(program);
    case OPTIONS_DESCRIBE:
        return print_description(program);
    case OPTIONS_PRINT_CONF:
        return print_kong_conf(program);
    case OPTIONS_DOCTOR:
        return examine(program);
    case OPTIONS_STATUS:
        return print_status(program);
    case OPTIONS_RUN:
        return serve_run(program->name, &program->options, &program->plugins);
    }
    return EXIT_USAGE; /* not reached: each action returns */
}

/* What was checked for 3.9 may still raise in Kong 2.8. The query command has no --prefetch: what
 * it prints does not hang on it. */
static int check_old_kong(const struct program *program, char *error, size_t error_size) {
    const struct options *options = &program->options;
    char text[300];
    bool serves = options->action == OPTIONS_RUN || options->action == OPTIONS_PRINT_CONF;
    bool old = options->kong_major == 2 && options->prefetch != PREFETCH_OFF;
    for (size_t i = 0; serves && old && i < program->plugins.count; i++) {
        const struct kong_plugin *plugin = program->plugins.list[i].what;
        if (prefetch_check(plugin, true, text, sizeof text) != 0) {
            snprintf(error, error_size,
                     "the plugin %.100s: %s: give --prefetch off, by which nothing is asked for "
                     "ahead",
                     plugin->name, text);
            return -1;
        }
    }
    return 0;
}

int kong_main_plugins(int argc, char **argv, const struct kong_plugin *const *plugins,
                      size_t count) {
    struct program program = {.name = options_program_name(argv[0]), .argv0 = argv[0]};
    char error[512];
    open_standard_descriptors();
    reset_signals();
    if (plugin_check_all(plugins, count, error, sizeof error) != 0) {
        return complain(program.name, error, EXIT_USAGE);
    }
    if (plugins_init(&program.plugins, program.name, plugins, count) != 0) {
        return complain(program.name, "out of memory", EXIT_FAILURE);
    }
    int status = EXIT_USAGE;
    if (options_parse(&program.options, &program.plugins, argc, argv, error, sizeof error) != 0) {
        complain(program.name, error, EXIT_USAGE);
    } else {
        if (check_old_kong(&program, error, sizeof error) != 0) {
            complain(program.name, error, EXIT_USAGE);
        } else {
            status = act(&program);
        }
        options_free(&program.options);
    }
    plugins_free(&program.plugins);
    return status;
}

int kong_main(int argc, char **argv, const struct kong_plugin *plugin) {
    return kong_main_plugins(argc, argv, &plugin, 1);
}
