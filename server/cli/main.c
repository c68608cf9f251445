/* The program around a plugin: options, dump, server. */
#include <errno.h>
#include <fcntl.h>
#include <linux/limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "ancestor.h"
#include "check_config.h"
#include "doctor.h"
#include "dump.h"
#include "log.h"
#include "options.h"
#include "own_path.h"
#include "plugin_check.h"
#include "print_conf.h"
#include "process_log.h"
#include "schema.h"
#include "server.h"
#include "service_manager.h"
#include "socket_file.h"
#include "stall.h"
#include "status_show.h"
#include "supervisor.h"

#define EXIT_USAGE 2

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

/* One line on stderr, whatever the arguments hold. */
static int complain(const char *program, const char *text, int status) {
    char line[1024];
    int len = snprintf(line, sizeof line, "%s: %s\n", program, text);
    /* In one write: stdio writes an unbuffered stream in pieces, between which another process that
     * has the same pipe may write. */
    if (len > 0) {
        size_t size = (size_t)len < sizeof line ? (size_t)len : sizeof line - 1;
        line[size - 1] = '\n';
        (void)!write(STDERR_FILENO, line, size);
    }
    return status;
}

static struct dump_options dump_options_of(const struct kong_plugin *plugin,
                                           const struct options *options) {
    return (struct dump_options){.plugin = plugin,
                                 .phases = options->phases,
                                 .priority = options->priority,
                                 .protocol = options->protocol,
                                 .kong_major = options->kong_major,
                                 .socket_path = options->socket};
}

/* Standard output is all JSON, or Kong does not start. */
static int print_dump(const char *program, const struct kong_plugin *plugin,
                      const struct options *options) {
    if ((options->phases & KONG_PHASE_BIT(KONG_PHASE_HEADER_FILTER)) != 0) {
        complain(program,
                 "warning: Kong up to 3.9 destroys every response of a plugin server that "
                 "advertises header_filter",
                 0);
    }
    struct dump_options wanted = dump_options_of(plugin, options);
    char *json = dump_json(&wanted);
    if (json == NULL) {
        return complain(program, "out of memory", EXIT_FAILURE);
    }
    bool written = puts(json) >= 0 && fflush(stdout) == 0;
    free(json);
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
                                    .prefix = options->prefix_given ? options->kong_prefix : NULL};
    return doctor_run(&wanted, stdout) ? EXIT_SUCCESS : EXIT_FAILURE;
}

static int print_status(const char *program, const struct kong_plugin *plugin,
                        const struct options *options) {
    struct status_show_options wanted = {.socket = options->socket,
                                         .plugin = plugin,
                                         .json = options->json,
                                         .watch = options->watch};
    char error[512];
    return status_show(&wanted, stdout, error, sizeof error) == 0
               ? EXIT_SUCCESS
               : complain(program, error, EXIT_FAILURE);
}

struct service {
    const char *program;
    const struct kong_plugin *plugin;
    const struct options *options;
    struct socket_file *socket;
    struct dump dump;
    struct log *log;
    struct record *record;
    struct fd_store *store; /* NULL: no supervisor, or no memory */
    bool watch_parent;
};

static struct server_options server_options_of(const struct service *service,
                                               struct running *running) {
    const struct options *options = service->options;
    struct server_options wanted;
    server_options_init(&wanted);
    wanted.plugin = service->plugin;
    wanted.info = &service->dump.info;
    wanted.log = service->log;
    wanted.socket = service->socket;
    wanted.running = running;
    wanted.threads = options->threads;
    wanted.blocking_threads = options->blocking_threads;
    wanted.blocking_wait_ms = options->blocking_wait_ms;
    wanted.tell_manager = true;
    wanted.handle_signals = true;
    wanted.watch_parent = service->watch_parent;
    wanted.supervised = running != NULL;
    wanted.record = service->record;
    wanted.store = service->store;
    wanted.metrics_listen = options->metrics_listen;
    wanted.drain_ms = options->drain_ms;
    wanted.event_ms = options->event_ms;
    wanted.kong_2_8 = options->kong_major == 2;
    wanted.instance_idle_ms = options->instance_idle_ms;
    wanted.allow_uids = options->allow_uids.list;
    wanted.allow_uid_count = options->allow_uids.count;
    wanted.max_connections = options->max_connections;
    wanted.max_instances = options->max_instances;
    wanted.max_events = options->max_events;
    wanted.max_frame = options->max_frame;
    wanted.max_config = options->max_config;
    return wanted;
}

/* Two servers on one path are the operator's mistake. */
static int exit_status(int rc) {
    return rc == SOCKET_FILE_BUSY ? EXIT_USAGE : EXIT_FAILURE;
}

/* Where there is no supervisor to do it. */
static struct stall_watch *watch_for_stall(const struct service *service, struct running *own) {
    struct stall_options wanted = {.log = service->log,
                                   .plugin = service->plugin->name,
                                   .threads = service->options->threads,
                                   .report_ms = service->options->event_ms,
                                   .stall_ms = service->options->stall_ms};
    struct stall_watch *watch = stall_watch_start(&wanted, own);
    if (watch == NULL) {
        log_write(service->log, LOG_LEVEL_WARN, "no thread to watch for handlers that hang");
    }
    return watch;
}

/* Connections that a child before this one left idle. */
static void adopt_kept(const struct service *service, struct server *server) {
    for (int fd = fd_store_take(service->store); fd >= 0; fd = fd_store_take(service->store)) {
        server_adopt(server, fd);
    }
}

static int serve(void *arg, struct running *running) {
    struct service *service = arg;
    struct running own = {0};
    struct server_options wanted = server_options_of(service, running);
    if (running == NULL) {
        wanted.running = &own;
    }
    struct server *server;
    char error[512];
    if (server_create(&wanted, &server, error, sizeof error) != 0) {
        return complain(service->program, error, EXIT_FAILURE);
    }
    /* Only now: a server that can't start must not take the path from one that serves. */
    bool replaced = false;
    int rc = socket_file_publish(service->socket, &replaced, error, sizeof error);
    if (rc != 0) {
        server_destroy(server);
        return complain(service->program, error, exit_status(rc));
    }
    if (replaced) {
        log_write(service->log, LOG_LEVEL_NOTICE,
                  "took over %s from a server that still runs (a reload, or --take-over)",
                  service->socket->path);
    }
    log_write(service->log, LOG_LEVEL_INFO, "%s %s serves at %s%s", service->plugin->name,
              service->plugin->version, service->socket->path,
              service->socket->inherited ? ", passed by the service manager" : "");
    char scene[128];
    snprintf(scene, sizeof scene, "%s %s, process %d", service->plugin->name,
             service->plugin->version, (int)getpid());
    record_scene(service->record, scene);
    adopt_kept(service, server);
    struct stall_watch *watch = running == NULL ? watch_for_stall(service, &own) : NULL;
    server_run(server);
    stall_watch_stop(watch);
    server_destroy(server);
    log_write(service->log, LOG_LEVEL_INFO, "ended");
    return EXIT_SUCCESS;
}

static int serve_supervised(struct service *service) {
    struct supervisor_options wanted = {.log = service->log,
                                        .plugin = service->plugin->name,
                                        .threads = service->options->threads,
                                        .drain_ms = service->options->drain_ms,
                                        .report_ms = service->options->event_ms,
                                        .stall_ms = service->options->stall_ms,
                                        .watch_parent = service->watch_parent};
    char error[256];
    service->watch_parent = true; /* the child's parent is the supervisor */
    service->store = wanted.store = fd_store_create(service->socket);
    int status = supervisor_run(&wanted, serve, service, error, sizeof error);
    fd_store_destroy(service->store);
    return status < 0 ? complain(service->program, error, EXIT_FAILURE) : status;
}

/* A connection is a descriptor; what Kong was started with may be too few. */
static void raise_descriptor_limit(const struct options *options) {
    struct rlimit limit;
    rlim_t wanted = (rlim_t)(options->max_connections + 64 + 8 * options->threads);
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < wanted) {
        limit.rlim_cur = limit.rlim_max < wanted ? limit.rlim_max : wanted;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

/* The service manager's socket, or one of our own. 0, or a negative code with a line in `error`. */
static int open_socket(struct service *service, struct socket_file *socket, char *error,
                       size_t error_size) {
    const struct options *options = service->options;
    struct socket_file_options wanted = {.path = options->socket,
                                         .mode = options->socket_mode,
                                         .group = options->socket_group,
                                         .backlog = SERVER_BACKLOG,
                                         .take_over = options->take_over || ancestor_has_kong()};
    int given = service_manager_socket(socket, error, error_size);
    if (given != 0) {
        return given < 0 ? given : 0;
    }
    return socket_file_prepare(&wanted, socket, error, error_size);
}

static int run(struct service *service) {
    const struct options *options = service->options;
    bool supervise = options->supervise == OPTION_YES ||
                     (options->supervise == OPTION_AUTO && ancestor_parent_is_kong());
    return supervise ? serve_supervised(service) : serve(service, NULL);
}

static int run_recorded(struct service *service) {
    const char *path = service->options->record;
    char error[512];
    if (path != NULL) {
        service->record = record_open(path, service->log, error, sizeof error);
        if (service->record == NULL) {
            return complain(service->program, error, EXIT_FAILURE);
        }
    }
    int status = run(service);
    record_close(service->record);
    return status;
}

/* The socket first: a second server on its path must not begin anything else. */
static int run_on_socket(struct service *service) {
    struct socket_file socket;
    char error[512];
    raise_descriptor_limit(service->options);
    int rc = open_socket(service, &socket, error, sizeof error);
    if (rc != 0) {
        return complain(service->program, error, exit_status(rc));
    }
    service->socket = &socket;
    int status = run_recorded(service);
    service->socket = NULL;
    socket_file_close(&socket);
    return status;
}

static int start(const char *program, const struct kong_plugin *plugin,
                 const struct options *options) {
    struct service service = {.program = program, .plugin = plugin, .options = options};
    struct dump_options wanted = dump_options_of(plugin, options);
    service.watch_parent = options->watch_parent == OPTION_YES ||
                           (options->watch_parent == OPTION_AUTO && ancestor_parent_is_kong());
    signal(SIGUSR1, SIG_IGN); /* until somebody is there to hear of the level */
    signal(SIGUSR2, SIG_IGN);
    service.log = log_create(STDERR_FILENO, options->log_level, plugin->name);
    if (service.log == NULL || dump_init(&service.dump, &wanted) != 0) {
        log_destroy(service.log);
        return complain(program, "out of memory", EXIT_FAILURE);
    }
    log_set_format(service.log, options->log_format);
    process_log_set(service.log);
    int status = run_on_socket(&service);
    process_log_set(NULL);
    dump_free(&service.dump);
    log_destroy(service.log);
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
    switch (options.action) {
    case OPTIONS_HELP:
        status = options_print_help(program, plugin, stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
        break;
    case OPTIONS_MAN:
        status = options_print_man(program, plugin, stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
        break;
    case OPTIONS_VERSION:
        printf("%s %s\n", plugin->name, plugin->version);
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
        status = start(program, plugin, &options);
        break;
    }
    options_free(&options);
    return status;
}
