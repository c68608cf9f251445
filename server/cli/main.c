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

/* What we were started with: a blocked SIGTERM would never be heard, an ignored SIGCHLD would leave
 * nobody to wait for. */
static void reset_signals(void) {
    sigset_t none;
    sigemptyset(&none);
    signal(SIGCHLD, SIG_DFL);
    signal(SIGTERM, SIG_DFL);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

/* Standard output is all JSON (or all Lua), or Kong does not start. */
static int print_dump(const char *program, const struct kong_plugin *plugin,
                      const struct options *options) {
    if ((options->phases & KONG_PHASE_BIT(KONG_PHASE_HEADER_FILTER)) != 0) {
        complain(program,
                 "warning: Kong up to 3.9 destroys every response of a plugin server that "
                 "advertises header_filter",
                 0);
    }
    struct dump_options wanted = dump_options_of(plugin, options);
    char *text = options->lua ? dump_lua(&wanted) : dump_json(&wanted);
    if (text == NULL) {
        return complain(program, "out of memory", EXIT_FAILURE);
    }
    bool written = puts(text) >= 0 && fflush(stdout) == 0;
    free(text);
    return written ? EXIT_SUCCESS
                   : complain(program, "cannot write to standard output", EXIT_FAILURE);
}

static int print_description(const char *program, const struct kong_plugin *plugin) {
    char *table = schema_to_markdown(plugin->schema);
    if (table == NULL) {
        return complain(program, "out of memory", EXIT_FAILURE);
    }
    bool written = fputs(table, stdout) >= 0 && fflush(stdout) == 0;
    free(table);
    return written ? EXIT_SUCCESS
                   : complain(program, "cannot write to standard output", EXIT_FAILURE);
}

static int print_violations(const char *program, const struct kong_plugin *plugin,
                            const struct options *options) {
    struct check_config wanted = {.plugin = plugin,
                                  .path = options->check_config,
                                  .max_config = options->max_config,
                                  .configure = !options->no_configure};
    char error[512];
    int result = check_config(&wanted, stdout, error, sizeof error);
    if (error[0] != '\0') {
        complain(program, error, EXIT_FAILURE);
    }
    return result == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* Whether Kong finds this executable by itself. */
static bool is_in_place(const char *executable, const char *name) {
    char path[PATH_MAX];
    char real[PATH_MAX];
    int len = snprintf(path, sizeof path, "/usr/local/bin/%s", name);
    return len > 0 && (size_t)len < sizeof path && realpath(path, real) != NULL &&
           strcmp(real, executable) == 0;
}

static int print_kong_conf(const char *argv0, const struct kong_plugin *plugin,
                           const struct options *options) {
    const char *program = options_program_name(argv0);
    struct own_path own;
    char error[512];
    struct print_conf wanted = {.executable = own.called,
                                .name = options->name != NULL ? options->name : program,
                                .plugin = plugin,
                                .options = options};
    if (!own_path_find(&own, argv0)) {
        return complain(program, "cannot find its own path: is /proc mounted?", EXIT_FAILURE);
    }
    wanted.in_place = is_in_place(own.real, wanted.name);
    return print_conf(&wanted, stdout, error, sizeof error) == 0
               ? EXIT_SUCCESS
               : complain(program, error, EXIT_USAGE);
}

static int examine(const char *argv0, const struct kong_plugin *plugin,
                   const struct options *options) {
    const char *program = options_program_name(argv0);
    struct own_path own;
    char reason[128];
    char error[384];
    const char *name = options->name != NULL ? options->name : program;
    if (!own_path_find(&own, argv0)) {
        return complain(program, "cannot find its own path: is /proc mounted?", EXIT_FAILURE);
    }
    if (options_check_name(name, reason, sizeof reason) != 0) {
        snprintf(error, sizeof error, "%.100s: %s: give it as in kong.conf, by --name", name,
                 reason);
        return complain(program, error, EXIT_USAGE);
    }
    struct doctor_options wanted = {.plugin = plugin,
                                    .executable = own.real,
                                    .called = own.called,
                                    .name = name,
                                    .name_given = options->name != NULL,
                                    .conf = options->kong_conf,
                                    .admin_url = options->admin_url,
                                    .prefix = options->prefix_given ? options->kong_prefix : NULL};
    return doctor_run(&wanted, stdout) ? EXIT_SUCCESS : EXIT_FAILURE;
}

static int print_status(const char *program, const struct kong_plugin *plugin,
                        const struct options *options) {
    struct status_show_options wanted = {.socket = options->socket,
                                         .plugin = plugin,
                                         .json = options->json,
                                         .watch = options->watch,
                                         .quiet = options->quiet};
    char error[512];
    if (status_show(&wanted, stdout, error, sizeof error) == 0) {
        return EXIT_SUCCESS;
    }
    return options->quiet ? EXIT_FAILURE : complain(program, error, EXIT_FAILURE);
}

static int serve(const char *program, const struct kong_plugin *plugin,
                 const struct options *options) {
    struct plugins plugins;
    if (plugins_init(&plugins, program, &plugin, 1) != 0) {
        return complain(program, "out of memory", EXIT_FAILURE);
    }
    int status = serve_run(program, options, &plugins);
    plugins_free(&plugins);
    return status;
}

int kong_main(int argc, char **argv, const struct kong_plugin *plugin) {
    struct options options;
    char error[512];
    open_standard_descriptors();
    reset_signals();
    const char *program = options_program_name(argv[0]);
    if (plugin_check(plugin, error, sizeof error) != 0) {
        return complain(program, error, EXIT_USAGE);
    }
    if (options_parse(&options, plugin, argc, argv, error, sizeof error) != 0) {
        return complain(program, error, EXIT_USAGE);
    }
    int status = EXIT_SUCCESS;
    if (options.kong_major == 2 && prefetch_check(plugin, true, error, sizeof error) != 0) {
        options_free(&options);
        return complain(program, error, EXIT_USAGE);
    }
    switch (options.action) {
    case OPTIONS_HELP:
    case OPTIONS_HELP_ALL:
        status =
            options_print_help(program, plugin, options.action == OPTIONS_HELP_ALL, stdout) == 0
                ? EXIT_SUCCESS
                : EXIT_FAILURE;
        break;
    case OPTIONS_MAN:
        status = options_print_man(program, plugin, stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
        break;
    case OPTIONS_VERSION:
        printf("%s %s\n%s\n", plugin->name, plugin->version, build_version());
        break;
    case OPTIONS_DUMP:
        status = print_dump(program, plugin, &options);
        break;
    case OPTIONS_CHECK_CONFIG:
        status = print_violations(program, plugin, &options);
        break;
    case OPTIONS_DESCRIBE:
        status = print_description(program, plugin);
        break;
    case OPTIONS_PRINT_CONF:
        status = print_kong_conf(argv[0], plugin, &options);
        break;
    case OPTIONS_DOCTOR:
        status = examine(argv[0], plugin, &options);
        break;
    case OPTIONS_STATUS:
        status = print_status(program, plugin, &options);
        break;
    case OPTIONS_RUN:
        status = serve(program, plugin, &options);
        break;
    }
    options_free(&options);
    return status;
}
