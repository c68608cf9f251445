#include "options_table.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "blocking_pool.h"
#include "busy_poll.h"
#include "limit.h"
#include "metrics_address.h"
#include "running.h"

#define SECOND       ((uint64_t)1000)
#define HOUR         (3600 * SECOND)
#define NAME_LETTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
#define MOST_EVENTS  (((uint64_t)1 << 18) - 1) /* an id has so many slots */

static const struct option_name log_levels[] = {
    {"debug", LOG_LEVEL_DEBUG}, {"info", LOG_LEVEL_INFO},   {"notice", LOG_LEVEL_NOTICE},
    {"warn", LOG_LEVEL_WARN},   {"error", LOG_LEVEL_ERROR}, {NULL, 0},
};

static const struct option_name log_formats[] = {
    {"text", LOG_FORMAT_TEXT}, {"json", LOG_FORMAT_JSON}, {NULL, 0}};

static const struct option_name protocols[] = {
    {"ProtoBuf:1", PROTOCOL_PROTOBUF}, {"MsgPack:1", PROTOCOL_MSGPACK}, {NULL, 0}};

static const struct option_name prefetch_modes[] = {
    {"auto", PREFETCH_AUTO}, {"declared", PREFETCH_DECLARED}, {"off", PREFETCH_OFF}, {NULL, 0}};

static const struct option_name roles[] = {{"traditional", OPTION_TRADITIONAL},
                                           {"control_plane", OPTION_CONTROL_PLANE},
                                           {"data_plane", OPTION_DATA_PLANE},
                                           {NULL, 0}};

static const struct option_name switches[] = {
    {"auto", OPTION_AUTO}, {"yes", OPTION_YES}, {"no", OPTION_NO}, {NULL, 0}};

int options_check_name(const char *name, char *error, size_t error_size) {
    size_t len = strlen(name);
    if (len > 0 && len < 64 && name[strspn(name, NAME_LETTERS)] == '\0') {
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
    bool http = strncmp(text, "http://", 7) == 0 || strncmp(text, "https://", 8) == 0;
    if (http && text[strspn(text, NAME_LETTERS ":/.~[]%@")] == '\0' && strlen(text) < 256) {
        return 0;
    }
    snprintf(error, error_size, "not an address like http://127.0.0.1:8001");
    return -1;
}

/* Names of headers, as they go into Kong's settings and from there into nginx' configuration. */
static int check_headers(const char *text, char *error, size_t error_size) {
    size_t len = strlen(text);
    if (len > 0 && len <= 500 && text[strspn(text, NAME_LETTERS ",")] == '\0' && text[0] != ',' &&
        text[len - 1] != ',' && strstr(text, ",,") == NULL) {
        return 0;
    }
    snprintf(error, error_size,
             "not names of headers like Version,X-Version: letters, digits, - and _");
    return -1;
}

/* What each row needs; FLAGs and ACTIONs take no argument. */
#define FLAG(name_, field_)                                                                        \
    .kind = OPTION_FLAG, .name = name_, .offset = offsetof(struct options, field_)
#define ACTION(name_, number_) .kind = OPTION_ACTION, .name = name_, .number = number_
#define OPTION(kind_, name_, argument_, field_)                                                    \
    .kind = OPTION_##kind_, .name = name_, .argument = argument_,                                  \
    .offset = offsetof(struct options, field_)
#define BETWEEN(least_, most_) .least = least_, .most = most_

const struct option_row option_rows[] = {
    {.section = "Serving",
     .use = OPTION_FOR_START,
     OPTION(TEXT, "kong-prefix", "DIR", kong_prefix),
     .common = true,
     .letter = 'p',
     .text = OPTIONS_KONG_PREFIX,
     .help = "Kong's prefix: the directory of the socket"},
    {OPTION(TEXT, "socket", "PATH", socket), .common = true,
     .help = "the socket's path (default: <Kong's prefix>/<this executable>.socket)"},
    {OPTION(MODE, "socket-mode", "OCTAL", socket_mode), .common = true,
     .help = "the mode of the socket's file: who may connect"},
    {OPTION(TEXT, "socket-group", "GROUP", socket_group),
     .help = "the group of the socket's file, by name or number"},
    {OPTION(UIDS, "allow-uid", "UID[,UID]", allow_uids), .common = true,
     .help = "only processes of these users may connect; may be repeated (default: all who may "
             "open the socket)"},
    {FLAG("take-over", take_over),
     .help = "take the socket's path from a server that listens there; that server goes on with "
             "its open connections. Without this option such a path is an error, unless Kong "
             "started this process: Kong reloads that way"},
    {OPTION(NAME, "log-level", "LEVEL", log_level), .common = true, .names = log_levels,
     .help = "the lowest level that is logged: debug, info, notice, warn or error. SIGUSR1 logs "
             "one level more, SIGUSR2 one less"},
    {OPTION(NAME, "log-format", "FORMAT", log_format), .names = log_formats,
     .help = "text, or json: one object a line, with time, level, plugin, pid and message"},
    {OPTION(TEXT, "log-file", "PATH", log_file), .common = true,
     .help = "log to this file instead of standard error; SIGHUP opens it again"},
    /* Kong kills soon after SIGTERM, whatever is set: this bounds the end elsewhere, where a
     * service manager commonly waits for 10 s or more. */
    {OPTION(SECONDS, "drain-timeout", "SECONDS", drain_ms), BETWEEN(0, HOUR),
     .help = "how long running events may take after SIGTERM"},
    {OPTION(NAME, "watch-parent", "WHEN", watch_parent), .names = switches,
     .help = "end when the process that started this one is gone: yes, no, or auto, which is yes "
             "if that is Kong"},
    {OPTION(NAME, "supervise", "WHEN", supervise), .names = switches,
     .help = "serve in a child process. When it dies, another one is started at once while "
             "connections wait, and a request that crashed it twice is refused. When Kong kills "
             "the parent, the child finishes its work. yes, no, or auto, which is yes if Kong "
             "started this process"},
    {OPTION(SECONDS, "stall-timeout", "SECONDS", stall_ms), BETWEEN(0, HOUR),
     .help = "end the process (by SIGABRT) when a handler runs this long without a pause; with "
             "--supervise another one is started. 0: never, but a line reports it after "
             "--event-timeout"},

    {OPTION(COUNT, "threads", "N", threads), .common = true, BETWEEN(1, RUNNING_WORKERS),
     .help = "threads that run handlers; more than one only for plugins that are thread-safe"},
    {OPTION(COUNT, "blocking-threads", "N", blocking_threads), BETWEEN(1, BLOCKING_THREADS_MOST),
     .help = "threads for what handlers do in kong_run_blocking, started as they are needed"},
    {OPTION(SECONDS, "blocking-wait", "SECONDS", blocking_wait_ms), BETWEEN(0, HOUR),
     .help = "how long a handler waits for one of these threads before its call fails. 0: as long "
             "as the event lasts"},
    {OPTION(COUNT, "busy-poll", "MICROSECONDS", busy_poll_us), BETWEEN(0, BUSY_POLL_MOST_US),
     .help = "for so long after each write to Kong look for what comes without sleeping: answers "
             "sooner, for a processor's time. For hosts with a core to spare"},
    {OPTION(NAME, "prefetch", "MODE", prefetch), .names = prefetch_modes,
     .help = "getters that the server asks Kong for together, so that a handler waits once "
             "(ProtoBuf:1): declared, those of the plugin's .prefetch; auto, also those that "
             "nearly all requests of a phase were seen to ask for; off"},
    {OPTION(TEXT, "metrics-listen", "ADDRESS", metrics_listen), .common = true,
     .check = check_metrics,
     .help = "serve figures to Prometheus by HTTP, at /metrics of 127.0.0.1:9542, [::1]:9542 or "
             "unix:/path; public:0.0.0.0:9542 lets other machines in"},
    {OPTION(TEXT, "record", "FILE", record),
     .help = "write all bytes of the connections to FILE, secrets too, for tests to replay "
             "(tests/traces/README.md). The file is replaced"},
    {OPTION(BYTES, "record-size", "BYTES", record_size), BETWEEN(4096, SIZE_MAX / 2),
     .help = "the largest size of the file of --record. Then the recording ends, and the server "
             "goes on"},

    {.section = "What Kong is told",
     .use = OPTION_FOR_QUERY,
     ACTION("dump", OPTIONS_DUMP),
     .common = true,
     .of_plugin = true,
     .help = "print what Kong asks for about the plugin, as JSON, and exit"},
    {OPTION(TEXT, "plugin", "NAME", plugin_name), .common = true, .several = true,
     .help = "which of the plugins, for options that are about one. --print-conf and --doctor are "
             "about all without it"},
    {FLAG("lua", lua), .only_with = OPTIONS_DUMP, .of_plugin = true,
     .help = "with --dump: print the schema alone, as the Lua table of a schema.lua for Konnect "
             "and decK"},
    {OPTION(PHASES, "phases", "LIST", phases), .common = true, .of_plugin = true,
     .help = "the phases in which Kong calls the plugin, with commas between them, of "},
    {OPTION(PRIORITY, "priority", "N", priority), .of_plugin = true,
     .help = "Kong calls plugins of higher priority first"},
    {OPTION(NAME, "protocol", "NAME", protocol), .names = protocols,
     .help = "what Kong speaks: ProtoBuf:1 or MsgPack:1. The server understands both; a plugin may "
             "need MsgPack:1"},
    {OPTION(KONG_VERSION, "kong-version", "X[.Y]", kong_major), .both = true,
     .help =
         "the oldest Kong that this is for. With 2.8 the server refuses calls on which only 2.8 "
         "raises an error; from 3 on --dump has descriptions of the fields, which 2.8 refuses"},

    {.section = "Limits",
     .use = OPTION_FOR_START,
     OPTION(SECONDS, "event-timeout", "SECONDS", event_ms),
     BETWEEN(1, HOUR),
     .help = "the time for one event, Kong's answers included. Kong itself waits for 60"},
    {OPTION(COUNT, "max-connections", "N", max_connections), BETWEEN(1, 1000000),
     .help = "connections at a time; others wait"},
    {OPTION(COUNT, "max-instances", "N", max_instances), BETWEEN(1, INT32_MAX),
     .help = "instances at a time: one for each configuration in each of Kong's workers. At the "
             "limit the one that was not used for longest is forgotten"},
    {OPTION(COUNT, "max-events", "N", max_events), BETWEEN(1, MOST_EVENTS),
     .help = "events at a time"},
    {OPTION(BYTES, "max-frame", "BYTES", max_frame), BETWEEN(4096, (uint64_t)1 << 30),
     .help = "the largest message from Kong, which may hold a whole body. 64K and 2M are KiB and "
             "MiB, as for all sizes"},
    {OPTION(BYTES, "max-config", "BYTES", max_config), BETWEEN(4096, (uint64_t)1 << 30),
     .help = "the largest JSON text of one configuration; a larger one is refused. Reading it "
             "holds up all requests, for some 30 ms per MiB"},
    {OPTION(BYTES, "max-memory", "BYTES", max_memory), BETWEEN(1 << 20, (uint64_t)1 << 31),
     .help = "memory of all messages and events under way, not counting a few KiB of each. At the "
             "limit a handler gets an error instead of Kong's answer"},
    {OPTION(SECONDS, "instance-idle", "SECONDS", instance_idle_ms), BETWEEN(0, 24 * 365 * HOUR),
     .help = "forget a configuration that was not used for so long, until Kong needs it again. 0: "
             "never"},

    {.section = "The plugin's configuration",
     OPTION(TEXT, "check-config", "FILE", check_config),
     .of_plugin = true,
     .number = OPTIONS_CHECK_CONFIG,
     .common = true,
     .help = "check a configuration (a JSON object; \"-\" is standard input) and exit: with 0, or "
             "with 1 and the lines of Kong's Admin API"},
    {FLAG("no-configure", no_configure), .only_with = OPTIONS_CHECK_CONFIG,
     .help =
         "with --check-config: by the schema alone, without the plugin's own check (configure)"},
    {ACTION("describe", OPTIONS_DESCRIBE), .of_plugin = true,
     .help = "print the fields of the configuration as a table in Markdown, and exit"},

    {.section = "Installing",
     ACTION("print-conf", OPTIONS_PRINT_CONF),
     .common = true,
     .help = "print the lines of kong.conf for this program, with its path and the other options "
             "that are given, and exit"},
    {FLAG("env", env), .only_with = OPTIONS_PRINT_CONF,
     .help = "with --print-conf: as variables of the environment"},
    {FLAG("docker", docker), .only_with = OPTIONS_PRINT_CONF,
     .help = "with --print-conf: as options of docker run"},
    {OPTION(NAME, "role", "ROLE", role), .names = roles, .only_with = OPTIONS_PRINT_CONF,
     .help =
         "with --print-conf: the lines for one side of a hybrid Kong, control_plane or data_plane"},
    {OPTION(HEADERS, "replace-upstream-header", "[=NAME,...]", replace_headers), .common = true,
     .of_plugin = true, .only_with = OPTIONS_PRINT_CONF, .check = check_headers,
     .help = "with --print-conf: nginx drops these headers of every upstream's answer, so that the "
             "plugin's stands alone (default: the one that the plugin sets by default)"},
    {OPTION(TEXT, "name", "NAME", name), .of_plugin = true, .check = options_check_name,
     .help = "the plugin server's name in kong.conf (default: as this executable)"},

    {ACTION("doctor", OPTIONS_DOCTOR), .common = true,
     .help = "examine Kong's settings and a running server; say what is wrong and what mends it; "
             "exit with 0 if all is well. Run it as root or as Kong's user"},
    {OPTION(TEXT, "kong-conf", "FILE", kong_conf), .only_with = OPTIONS_DOCTOR,
     .help = "with --doctor: the file that Kong is started with (default: /etc/kong/kong.conf, "
             "/etc/kong.conf)"},

    {OPTION(TEXT, "admin-url", "URL", admin_url), .only_with = OPTIONS_DOCTOR, .check = check_url,
     .help = "with --doctor: Kong's Admin API (http://127.0.0.1:8001), to look at the plugin's "
             "configurations there, by curl"},

    {.section = "A running server",
     ACTION("status", OPTIONS_STATUS),
     .common = true,
     .help = "show a running server's connections, events, latency and limits, and exit: with 1 "
             "when none runs"},
    {FLAG("json", json), .only_with = OPTIONS_STATUS, .help = "with --status: as JSON"},
    {FLAG("watch", watch), .only_with = OPTIONS_STATUS,
     .help = "with --status: again every 2 seconds, until interrupted"},
    {FLAG("quiet", quiet), .only_with = OPTIONS_STATUS,
     .help = "with --status: print nothing, the exit status says it; for health checks"},

    {.section = "Information",
     ACTION("help", OPTIONS_HELP),
     .common = true,
     .letter = 'h',
     .help = "print the common options, and exit"},
    {ACTION("help-all", OPTIONS_HELP_ALL), .common = true, .help = "print all options, and exit"},
    {ACTION("man", OPTIONS_MAN), .help = "print the manual page, for man -l, and exit"},
    {ACTION("version", OPTIONS_VERSION), .common = true, .letter = 'V',
     .help = "print versions, and exit"},
};

const size_t option_row_count = sizeof option_rows / sizeof *option_rows;
