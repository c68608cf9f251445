#include "options_table.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "blocking_pool.h"
#include "limit.h"
#include "metrics_address.h"
#include "running.h"

#define SECOND      ((uint64_t)1000)
#define HOUR        (3600 * SECOND)
#define MOST_EVENTS (((uint64_t)1 << 18) - 1) /* an id has so many slots */

static const struct option_name log_levels[] = {
    {"debug", LOG_LEVEL_DEBUG}, {"info", LOG_LEVEL_INFO},   {"notice", LOG_LEVEL_NOTICE},
    {"warn", LOG_LEVEL_WARN},   {"error", LOG_LEVEL_ERROR}, {NULL, 0},
};

static const struct option_name log_formats[] = {
    {"text", LOG_FORMAT_TEXT}, {"json", LOG_FORMAT_JSON}, {NULL, 0}};

static const struct option_name protocols[] = {
    {"ProtoBuf:1", PROTOCOL_PROTOBUF}, {"MsgPack:1", PROTOCOL_MSGPACK}, {NULL, 0}};

static const struct option_name roles[] = {{"traditional", OPTION_TRADITIONAL},
                                           {"control_plane", OPTION_CONTROL_PLANE},
                                           {"data_plane", OPTION_DATA_PLANE},
                                           {NULL, 0}};

static const struct option_name switches[] = {
    {"auto", OPTION_AUTO}, {"yes", OPTION_YES}, {"no", OPTION_NO}, {NULL, 0}};

int options_check_name(const char *name, char *error, size_t error_size) {
    size_t len = strlen(name);
    if (len > 0 && len < 64 &&
        name[strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-")] ==
            '\0') {
        return 0;
    }
    snprintf(error, error_size,
             "a plugin server's name has letters, digits, - and _ only, at most 63");
    return -1;
}

static int check_metrics(const char *text, char *error, size_t error_size) {
    struct metrics_address address;
    return metrics_address_parse(text, &address, error, error_size);
}

static int check_url(const char *text, char *error, size_t error_size) {
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
                                ":/.-_~[]%@";
    bool http = strncmp(text, "http://", 7) == 0 || strncmp(text, "https://", 8) == 0;
    if (http && text[strspn(text, plain)] == '\0' && strlen(text) < 256) {
        return 0;
    }
    snprintf(error, error_size, "not an address like http://127.0.0.1:8001");
    return -1;
}

#define AT(field) .offset = offsetof(struct options, field)

const struct option_row option_rows[] = {
    {.section = "Serving",
     .use = OPTION_FOR_START,
     .name = "kong-prefix",
     .common = true,
     .letter = 'p',
     .argument = "DIR",
     .kind = OPTION_TEXT,
     AT(kong_prefix),
     .text = OPTIONS_KONG_PREFIX,
     .help = "Kong's prefix: the directory of the socket"},
    {.name = "socket",
     .common = true,
     .argument = "PATH",
     .kind = OPTION_TEXT,
     AT(socket),
     .text = "",
     .help = "the socket's path (default: <Kong's prefix>/<this executable>.socket)"},
    {.name = "socket-mode",
     .common = true,
     .argument = "OCTAL",
     .kind = OPTION_MODE,
     AT(socket_mode),
     .help = "the mode of the socket's file: who may connect"},
    {.name = "socket-group",
     .argument = "GROUP",
     .kind = OPTION_TEXT,
     AT(socket_group),
     .text = "",
     .help = "the group of the socket's file, by name or number"},
    {.name = "allow-uid",
     .common = true,
     .argument = "UID[,UID]",
     .kind = OPTION_UIDS,
     AT(allow_uids),
     .help = "only processes of these users may connect; may be repeated (default: all who may "
             "open the socket)"},
    {.name = "take-over",
     .kind = OPTION_FLAG,
     AT(take_over),
     .help = "take the socket's path from a server that listens there; that one serves its "
             "connections to their end. Without this option the path is refused, unless Kong "
             "started this process: Kong reloads that way"},
    {.name = "log-level",
     .common = true,
     .argument = "LEVEL",
     .kind = OPTION_NAME,
     AT(log_level),
     .names = log_levels,
     .help = "what is logged: debug, info, notice, warn or error; SIGUSR1 makes it one level more, "
             "SIGUSR2 one less"},
    {.name = "log-format",
     .argument = "FORMAT",
     .kind = OPTION_NAME,
     AT(log_format),
     .names = log_formats,
     .help = "text, or json: one object a line, with time, level, plugin, pid and message"},
    {.name = "log-file",
     .common = true,
     .argument = "PATH",
     .kind = OPTION_TEXT,
     AT(log_file),
     .text = "",
     .help = "log to this file instead of standard error; SIGHUP opens it again"},
    /* Kong kills soon after SIGTERM, whatever is set: this bounds the end elsewhere, where a
     * service manager commonly waits for 10 s or more. */
    {.name = "drain-timeout",
     .argument = "SECONDS",
     .kind = OPTION_SECONDS,
     AT(drain_ms),
     .most = HOUR,
     .help = "how long running events may take after SIGTERM"},
    {.name = "watch-parent",
     .argument = "WHEN",
     .kind = OPTION_NAME,
     AT(watch_parent),
     .names = switches,
     .help = "end when the process that started this one is gone: yes, no, or auto, which is yes "
             "if that is Kong"},
    {.name = "supervise",
     .argument = "WHEN",
     .kind = OPTION_NAME,
     AT(supervise),
     .names = switches,
     .help = "serve in a child process. When it dies, another one is started at once while "
             "connections wait, and a request that crashed it twice is refused. When Kong kills "
             "the parent, the child finishes its work. yes, no, or auto, which is yes if Kong "
             "started this process"},
    {.name = "stall-timeout",
     .argument = "SECONDS",
     .kind = OPTION_SECONDS,
     AT(stall_ms),
     .most = HOUR,
     .help =
         "end a process (by SIGABRT) whose handler runs so long without a pause; with --supervise "
         "another one is started. 0: never, it is only reported after --event-timeout"},

    {.name = "threads",
     .common = true,
     .argument = "N",
     .kind = OPTION_COUNT,
     AT(threads),
     .least = 1,
     .most = RUNNING_WORKERS,
     .help = "threads that run handlers; more than one only for plugins that are thread-safe"},
    {.name = "blocking-threads",
     .argument = "N",
     .kind = OPTION_COUNT,
     AT(blocking_threads),
     .least = 1,
     .most = BLOCKING_THREADS_MOST,
     .help = "threads for what handlers do in kong_run_blocking, started as they are needed"},
    {.name = "blocking-wait",
     .argument = "SECONDS",
     .kind = OPTION_SECONDS,
     AT(blocking_wait_ms),
     .most = HOUR,
     .help = "how long a handler waits for one of these threads before its call fails; 0: as long "
             "as the event lasts"},
    {.name = "metrics-listen",
     .common = true,
     .argument = "ADDRESS",
     .kind = OPTION_TEXT,
     AT(metrics_listen),
     .text = "",
     .check = check_metrics,
     .help = "serve figures to Prometheus by HTTP, at /metrics of 127.0.0.1:9542, [::1]:9542 or "
             "unix:/path; public:0.0.0.0:9542 for one that others reach"},
    {.name = "record",
     .argument = "FILE",
     .kind = OPTION_TEXT,
     AT(record),
     .text = "",
     .help = "write all bytes of the connections to FILE, secrets too, for tests to replay "
             "(tests/traces/README.md). The file is replaced"},
    {.name = "record-size",
     .argument = "BYTES",
     .kind = OPTION_BYTES,
     AT(record_size),
     .least = 4096,
     .most = SIZE_MAX / 2,
     .help = "bytes of the file of --record; at so many the recording ends and the server goes on"},

    {.section = "What Kong is told",
     .use = OPTION_FOR_QUERY,
     .name = "dump",
     .common = true,
     .kind = OPTION_ACTION,
     .number = OPTIONS_DUMP,
     .help = "print what Kong asks for about the plugin, as JSON, and exit"},
    {.name = "lua",
     .kind = OPTION_FLAG,
     AT(lua),
     .only_with = OPTIONS_DUMP,
     .help = "with --dump: print the schema alone, as the Lua table of a schema.lua for Konnect "
             "and decK"},
    {.name = "phases",
     .common = true,
     .argument = "LIST",
     .kind = OPTION_PHASES,
     AT(phases),
     .help = "the phases in which Kong calls the plugin, with commas between them, of "},
    {.name = "priority",
     .argument = "N",
     .kind = OPTION_PRIORITY,
     AT(priority),
     .help = "Kong calls plugins of higher priority first"},
    {.name = "protocol",
     .argument = "NAME",
     .kind = OPTION_NAME,
     AT(protocol),
     .names = protocols,
     .help = "what Kong speaks: ProtoBuf:1 or MsgPack:1. The server understands both"},
    {.name = "kong-version",
     .argument = "X[.Y]",
     .kind = OPTION_KONG_VERSION,
     AT(kong_major),
     .both = true,
     .help =
         "the oldest Kong that this is for. With 2.8 the server refuses calls on which only 2.8 "
         "raises an error; from 3 on --dump has descriptions of the fields, which 2.8 refuses"},

    {.section = "Limits",
     .use = OPTION_FOR_START,
     .name = "event-timeout",
     .argument = "SECONDS",
     .kind = OPTION_SECONDS,
     AT(event_ms),
     .least = 1,
     .most = HOUR,
     .help = "for one event, with Kong's answers. Kong waits for 60"},
    {.name = "max-connections",
     .argument = "N",
     .kind = OPTION_COUNT,
     AT(max_connections),
     .least = 1,
     .most = 1000000,
     .help = "connections at a time; others wait"},
    {.name = "max-instances",
     .argument = "N",
     .kind = OPTION_COUNT,
     AT(max_instances),
     .least = 1,
     .most = INT32_MAX,
     .help = "configurations of the plugin, times Kong's workers. Beyond that, the one that was "
             "not used for longest is forgotten"},
    {.name = "max-events",
     .argument = "N",
     .kind = OPTION_COUNT,
     AT(max_events),
     .least = 1,
     .most = MOST_EVENTS,
     .help = "events at a time"},
    {.name = "max-frame",
     .argument = "BYTES",
     .kind = OPTION_BYTES,
     AT(max_frame),
     .least = 4096,
     .most = (uint64_t)1 << 30,
     .help = "bytes of one message from Kong, which may hold a whole body; 64K, 2M: KiB and MiB"},
    {.name = "max-config",
     .argument = "BYTES",
     .kind = OPTION_BYTES,
     AT(max_config),
     .least = 4096,
     .most = (uint64_t)1 << 30,
     .help = "bytes of one configuration's JSON; a larger one is refused. Reading one holds up all "
             "requests, for some 30 ms each MiB"},
    {.name = "max-memory",
     .argument = "BYTES",
     .kind = OPTION_BYTES,
     AT(max_memory),
     .least = 1 << 20,
     .most = (uint64_t)1 << 31,
     .help = "bytes of all messages and events that are under way, beyond a few KiB each; then a "
             "handler gets an error instead of Kong's answer"},
    {.name = "instance-idle",
     .argument = "SECONDS",
     .kind = OPTION_SECONDS,
     AT(instance_idle_ms),
     .most = 24 * 365 * HOUR,
     .help = "forget a configuration that was not used for so long, until Kong needs it again. 0: "
             "never"},

    {.section = "The plugin's configuration",
     .name = "check-config",
     .common = true,
     .argument = "FILE",
     .kind = OPTION_TEXT,
     AT(check_config),
     .number = OPTIONS_CHECK_CONFIG,
     .text = "",
     .help = "check a configuration (a JSON object; \"-\" is standard input) and exit: with 0, or "
             "with 1 and the lines of Kong's Admin API"},
    {.name = "no-configure",
     .kind = OPTION_FLAG,
     AT(no_configure),
     .only_with = OPTIONS_CHECK_CONFIG,
     .help =
         "with --check-config: by the schema alone, without the plugin's own check (configure)"},
    {.name = "describe",
     .kind = OPTION_ACTION,
     .number = OPTIONS_DESCRIBE,
     .help = "print the fields of the configuration as a table in Markdown, and exit"},

    {.section = "Installing",
     .name = "print-conf",
     .common = true,
     .kind = OPTION_ACTION,
     .number = OPTIONS_PRINT_CONF,
     .help = "print the lines of kong.conf for this program where it stands, with the other "
             "options that are given, and exit"},
    {.name = "env",
     .kind = OPTION_FLAG,
     AT(env),
     .only_with = OPTIONS_PRINT_CONF,
     .help = "with --print-conf: as variables of the environment"},
    {.name = "docker",
     .kind = OPTION_FLAG,
     AT(docker),
     .only_with = OPTIONS_PRINT_CONF,
     .help = "with --print-conf: as options of docker run"},
    {.name = "role",
     .argument = "ROLE",
     .kind = OPTION_NAME,
     AT(role),
     .only_with = OPTIONS_PRINT_CONF,
     .names = roles,
     .help =
         "with --print-conf: the lines for one side of a hybrid Kong, control_plane or data_plane"},
    {.name = "replace-upstream-header",
     .common = true,
     .argument = "[=NAME,...]",
     .kind = OPTION_HEADERS,
     AT(replace_headers),
     .only_with = OPTIONS_PRINT_CONF,
     .text = "",
     .help = "with --print-conf: nginx drops these headers of every upstream's answer, so that the "
             "plugin's stands alone (default: the one that the plugin sets by default)"},
    {.name = "name",
     .argument = "NAME",
     .kind = OPTION_TEXT,
     AT(name),
     .text = "",
     .check = options_check_name,
     .help = "the plugin server's name in kong.conf (default: as this executable)"},

    {.name = "doctor",
     .common = true,
     .kind = OPTION_ACTION,
     .number = OPTIONS_DOCTOR,
     .help = "examine Kong's settings and a running server; say what is wrong and what mends it; "
             "exit with 0 if all is well. Run it as root or as Kong's user"},
    {.name = "kong-conf",
     .argument = "FILE",
     .kind = OPTION_TEXT,
     AT(kong_conf),
     .only_with = OPTIONS_DOCTOR,
     .text = "",
     .help = "with --doctor: the file that Kong is started with (default: /etc/kong/kong.conf, "
             "/etc/kong.conf)"},

    {.name = "admin-url",
     .argument = "URL",
     .kind = OPTION_TEXT,
     AT(admin_url),
     .only_with = OPTIONS_DOCTOR,
     .text = "",
     .check = check_url,
     .help = "with --doctor: Kong's Admin API (http://127.0.0.1:8001), to look at the plugin's "
             "configurations there, by curl"},

    {.section = "A running server",
     .name = "status",
     .common = true,
     .kind = OPTION_ACTION,
     .number = OPTIONS_STATUS,
     .help = "show a running server's connections, events, latency and limits, and exit: with 1 "
             "when none runs"},
    {.name = "json",
     .kind = OPTION_FLAG,
     AT(json),
     .only_with = OPTIONS_STATUS,
     .help = "with --status: as JSON"},
    {.name = "watch",
     .kind = OPTION_FLAG,
     AT(watch),
     .only_with = OPTIONS_STATUS,
     .help = "with --status: again every 2 seconds, until interrupted"},

    {.section = "Information",
     .name = "help",
     .common = true,
     .letter = 'h',
     .kind = OPTION_ACTION,
     .number = OPTIONS_HELP,
     .help = "print the common options, and exit"},
    {.name = "help-all",
     .common = true,
     .kind = OPTION_ACTION,
     .number = OPTIONS_HELP_ALL,
     .help = "print all options, and exit"},
    {.name = "man",
     .kind = OPTION_ACTION,
     .number = OPTIONS_MAN,
     .help = "print the manual page, for man -l, and exit"},
    {.name = "version",
     .common = true,
     .letter = 'V',
     .kind = OPTION_ACTION,
     .number = OPTIONS_VERSION,
     .help = "print versions, and exit"},
};

const size_t option_row_count = sizeof option_rows / sizeof *option_rows;
