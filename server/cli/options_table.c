#include "options_table.h"

#include <assert.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "blocking_pool.h"
#include "dump.h"
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

#define AT(field) .offset = offsetof(struct options, field)

const struct option_row option_rows[] = {
    {.section = "Serving",
     .use = OPTION_FOR_START,
     .name = "kong-prefix",
     .letter = 'p',
     .argument = "DIR",
     .kind = OPTION_TEXT,
     AT(kong_prefix),
     .text = OPTIONS_KONG_PREFIX,
     .help = "Kong's prefix, the directory of the socket"},
    {.name = "socket",
     .argument = "PATH",
     .kind = OPTION_TEXT,
     AT(socket),
     .text = "",
     .help = "the socket's path (default: in Kong's prefix, the name of this executable with "
             "\".socket\" behind it)"},
    {.name = "socket-mode",
     .argument = "OCTAL",
     .kind = OPTION_MODE,
     AT(socket_mode),
     .help = "who may connect: the mode of the socket's file"},
    {.name = "socket-group",
     .argument = "GROUP",
     .kind = OPTION_TEXT,
     AT(socket_group),
     .text = "",
     .help = "the group of the socket's file, by name or number (default: "
             "that of the process)"},
    {.name = "allow-uid",
     .argument = "UID[,UID]",
     .kind = OPTION_UIDS,
     AT(allow_uids),
     .help = "only processes of these users may connect, checked on each connection; may be "
             "repeated (default: all who may open the socket)"},
    {.name = "take-over",
     .kind = OPTION_FLAG,
     AT(take_over),
     .help =
         "take the socket's path from a server that listens there, which serves its connections "
         "to their end; without this it is refused, unless the process that started this one is "
         "Kong, which reloads that way"},
    {.name = "log-level",
     .argument = "LEVEL",
     .kind = OPTION_NAME,
     AT(log_level),
     .names = log_levels,
     .help = "debug, info, notice, warn or error: what is logged to standard error, which Kong "
             "logs at its own level info; SIGUSR1 lets one level more through, SIGUSR2 one less"},
    {.name = "log-format",
     .argument = "FORMAT",
     .kind = OPTION_NAME,
     AT(log_format),
     .names = log_formats,
     .help = "text, or json: one object a line, with time, level, plugin, pid and message"},
    /* Kong kills soon after SIGTERM, whatever is set: this bounds the end elsewhere, where a
     * service manager commonly waits for 10 s or more. */
    {.name = "drain-timeout",
     .argument = "SECONDS",
     .kind = OPTION_SECONDS,
     AT(drain_ms),
     .most = HOUR,
     .help = "after SIGTERM, how long events that are at work may take; without any the server "
             "ends at once"},
    {.name = "watch-parent",
     .argument = "WHEN",
     .kind = OPTION_NAME,
     AT(watch_parent),
     .names = switches,
     .help = "end when the process that started this one is gone: yes, no, or auto: if that is "
             "Kong"},
    {.name = "supervise",
     .argument = "WHEN",
     .kind = OPTION_NAME,
     AT(supervise),
     .names = switches,
     .help = "serve in a child process: when it dies another is started at once, while "
             "connections wait, and it finishes its work when Kong kills the parent; yes, no, or "
             "auto: if the process that started this one is Kong"},
    {.name = "stall-timeout",
     .argument = "SECONDS",
     .kind = OPTION_SECONDS,
     AT(stall_ms),
     .most = HOUR,
     .help = "end a process whose handler runs for so long without a pause, by SIGABRT (with "
             "--supervise another is started); 0: never, it is only reported, after "
             "--event-timeout"},

    {.name = "threads",
     .argument = "N",
     .kind = OPTION_COUNT,
     AT(threads),
     .least = 1,
     .most = RUNNING_WORKERS,
     .help = "that run handlers: a handler that computes holds up those of its thread only; for "
             "plugins that are thread-safe"},
    {.name = "blocking-threads",
     .argument = "N",
     .kind = OPTION_COUNT,
     AT(blocking_threads),
     .least = 1,
     .most = BLOCKING_THREADS_MOST,
     .help = "for what handlers do in kong_run_blocking: so many at a time, others wait; started "
             "as they are needed"},
    {.name = "blocking-wait",
     .argument = "SECONDS",
     .kind = OPTION_SECONDS,
     AT(blocking_wait_ms),
     .most = HOUR,
     .help = "how long a handler waits for one of these threads, then its call fails; 0: as long "
             "as the event lasts"},
    {.name = "metrics-listen",
     .argument = "ADDRESS",
     .kind = OPTION_TEXT,
     AT(metrics_listen),
     .text = "",
     .check = check_metrics,
     .help = "give the figures of --status to Prometheus, by HTTP at /metrics of 127.0.0.1:9542, "
             "[::1]:9542 or unix:/path; an address that others reach must be written "
             "public:0.0.0.0:9542"},
    {.name = "record",
     .argument = "FILE",
     .kind = OPTION_TEXT,
     AT(record),
     .text = "",
     .help = "write down all that goes over the connections, bodies and secrets too, for tests to "
             "replay: tests/traces/README.md; a file of that name is replaced"},
    {.name = "record-size",
     .argument = "BYTES",
     .kind = OPTION_BYTES,
     AT(record_size),
     .least = 4096,
     .most = SIZE_MAX / 2,
     .help = "of the file of --record at most, then the recording ends and the server goes on; "
             "with K or M for KiB or MiB"},

    {.section = "What Kong is told",
     .use = OPTION_FOR_QUERY,
     .name = "dump",
     .kind = OPTION_ACTION,
     .number = OPTIONS_DUMP,
     .help = "print the plugin's description for Kong as JSON, and exit"},
    {.name = "phases",
     .argument = "LIST",
     .kind = OPTION_PHASES,
     AT(phases),
     .help = "in which phases Kong calls the plugin: names with commas between them, of "},
    {.name = "priority",
     .argument = "N",
     .kind = OPTION_PRIORITY,
     AT(priority),
     .help = "when Kong calls it: plugins of higher priority come first"},
    {.name = "protocol",
     .argument = "NAME",
     .kind = OPTION_NAME,
     AT(protocol),
     .names = protocols,
     .help = "ProtoBuf:1 or MsgPack:1: what Kong is to speak; the server understands both"},
    {.name = "kong-version",
     .argument = "X[.Y]",
     .kind = OPTION_KONG_VERSION,
     AT(kong_major),
     .both = true,
     .help = "the oldest Kong that this is for: 2.8, to the server, has calls refused in phases "
             "where only 2.8 raises an error; 3, to --dump, adds descriptions of the fields, which "
             "2.8 refuses"},

    {.section = "Limits",
     .use = OPTION_FOR_START,
     .name = "event-timeout",
     .argument = "SECONDS",
     .kind = OPTION_SECONDS,
     AT(event_ms),
     .least = 1,
     .most = HOUR,
     .help = "for one event, handler and answers of Kong; Kong itself waits for 60"},
    {.name = "max-connections",
     .argument = "N",
     .kind = OPTION_COUNT,
     AT(max_connections),
     .least = 1,
     .most = 1000000,
     .help = "open at a time; others wait"},
    {.name = "max-instances",
     .argument = "N",
     .kind = OPTION_COUNT,
     AT(max_instances),
     .least = 1,
     .most = INT32_MAX,
     .help = "configurations of the plugin, times Kong's workers; then the longest unused one is "
             "forgotten"},
    {.name = "max-events",
     .argument = "N",
     .kind = OPTION_COUNT,
     AT(max_events),
     .least = 1,
     .most = MOST_EVENTS,
     .help = "at work at a time"},
    {.name = "max-frame",
     .argument = "BYTES",
     .kind = OPTION_BYTES,
     AT(max_frame),
     .least = 4096,
     .most = (uint64_t)1 << 30,
     .help = "of one message from Kong, a request's body for one; with K or M for KiB or MiB"},
    {.name = "max-config",
     .argument = "BYTES",
     .kind = OPTION_BYTES,
     AT(max_config),
     .least = 4096,
     .most = (uint64_t)1 << 30,
     .help = "of one configuration's JSON; a larger one is refused, and reading one holds up all "
             "requests, for some 30 ms each MiB"},
    {.name = "max-memory",
     .argument = "BYTES",
     .kind = OPTION_BYTES,
     AT(max_memory),
     .least = 1 << 20,
     .most = (uint64_t)1 << 31,
     .help = "of all messages and events that are under way, beyond a few KiB each; then a handler "
             "gets an error instead of Kong's answer"},
    {.name = "instance-idle",
     .argument = "SECONDS",
     .kind = OPTION_SECONDS,
     AT(instance_idle_ms),
     .most = 24 * 365 * HOUR,
     .help = "a configuration that is not used for so long is forgotten, until Kong needs it "
             "again; 0: never"},

    {.section = "The plugin's configuration",
     .name = "check-config",
     .argument = "FILE",
     .kind = OPTION_TEXT,
     AT(check_config),
     .number = OPTIONS_CHECK_CONFIG,
     .text = "",
     .help = "check a configuration, a JSON object of the fields of config, and exit: with 0, or "
             "with 1 and a line for each violation, as Kong's Admin API words it; \"-\": standard "
             "input. The plugin's own check (configure) is run too"},
    {.name = "no-configure",
     .kind = OPTION_FLAG,
     AT(no_configure),
     .help = "with --check-config: by the schema alone, without running any code of the plugin"},
    {.name = "describe",
     .kind = OPTION_ACTION,
     .number = OPTIONS_DESCRIBE,
     .help = "print the fields of config as a table in Markdown, and exit"},

    {.section = "Installing",
     .name = "print-conf",
     .kind = OPTION_ACTION,
     .number = OPTIONS_PRINT_CONF,
     .help = "print the lines of kong.conf for this binary where it stands, with --kong-prefix, "
             "--socket, all other options for serving, and what Kong is told, as given; and exit"},
    {.name = "env",
     .kind = OPTION_FLAG,
     AT(env),
     .help = "with --print-conf: as variables of the environment"},
    {.name = "docker",
     .kind = OPTION_FLAG,
     AT(docker),
     .help = "with --print-conf: as options of docker run"},
    {.name = "name",
     .argument = "NAME",
     .kind = OPTION_TEXT,
     AT(name),
     .text = "",
     .check = options_check_name,
     .help = "what the plugin server is called in kong.conf, and so its socket (default: as this "
             "executable)"},

    {.name = "doctor",
     .kind = OPTION_ACTION,
     .number = OPTIONS_DOCTOR,
     .help = "read kong.conf and the environment as Kong would, try the commands, the socket and a "
             "server that runs, and say what is wrong and what mends it; exit with 0 if all is "
             "well. As root or as Kong's user"},
    {.name = "kong-conf",
     .argument = "FILE",
     .kind = OPTION_TEXT,
     AT(kong_conf),
     .text = "",
     .help = "with --doctor: the file that Kong is started with (default: /etc/kong/kong.conf, "
             "/etc/kong.conf)"},

    {.section = "A running server",
     .name = "status",
     .kind = OPTION_ACTION,
     .number = OPTIONS_STATUS,
     .help = "ask the server at --socket (or in --kong-prefix) how it is: connections, instances, "
             "events, latency, limits reached; and exit, with 1 when none is running"},
    {.name = "json", .kind = OPTION_FLAG, AT(json), .help = "with --status: as JSON"},
    {.name = "watch",
     .kind = OPTION_FLAG,
     AT(watch),
     .help = "with --status: again every 2 seconds, until interrupted"},

    {.section = "Information",
     .name = "help",
     .letter = 'h',
     .kind = OPTION_ACTION,
     .number = OPTIONS_HELP,
     .help = "print this text, and exit"},
    {.name = "man",
     .kind = OPTION_ACTION,
     .number = OPTIONS_MAN,
     .help = "print the manual page, for man -l, and exit"},
    {.name = "version",
     .letter = 'V',
     .kind = OPTION_ACTION,
     .number = OPTIONS_VERSION,
     .help = "print the plugin's name and version, and exit"},
};

const size_t option_row_count = sizeof option_rows / sizeof *option_rows;

void options_defaults(struct options *options, const struct kong_plugin *plugin) {
    *options = (struct options){
        .action = OPTIONS_RUN,
        .socket_mode = 0600,
        .log_level = LOG_LEVEL_INFO,
        .drain_ms = 5 * SECOND,
        .watch_parent = OPTION_AUTO,
        .supervise = OPTION_AUTO,
        .threads = 1,
        .blocking_threads = LIMIT_BLOCKING_THREADS,
        .blocking_wait_ms = LIMIT_BLOCKING_WAIT_MS,
        .phases = dump_default_phases(plugin),
        .priority = plugin->priority,
        .protocol = PROTOCOL_PROTOBUF,
        .kong_major = 0,
        .event_ms = LIMIT_EVENT_MS,
        .instance_idle_ms = LIMIT_INSTANCE_IDLE_MS,
        .max_connections = LIMIT_CONNECTIONS,
        .max_instances = LIMIT_INSTANCES,
        .max_events = LIMIT_EVENTS,
        .record_size = (size_t)1 << 30,
        .max_frame = LIMIT_FRAME,
        .max_memory = LIMIT_MEMORY,
        .max_config = LIMIT_CONFIG,
    };
}

bool options_belongs(const struct option_row *row, enum option_use use) {
    bool both = row->both && use != OPTION_FOR_A_PERSON;
    while (row->section == NULL) {
        row--; /* the first one begins a section */
    }
    return both || row->use == use;
}

void options_list_phases(unsigned phases, const char *between, char *out, size_t size) {
    size_t len = 0;
    out[0] = '\0';
    for (unsigned phase = 0; phase < KONG_PHASE_COUNT; phase++) {
        if ((phases & KONG_PHASE_BIT(phase)) != 0) {
            len += (size_t)snprintf(out + len, size - len, "%s%s", len > 0 ? between : "",
                                    kong_phase_name((enum kong_phase)phase));
            assert(len < size);
        }
    }
}

void options_list_handlers(const struct kong_plugin *plugin, char *out, size_t size) {
    unsigned phases = 0;
    for (unsigned phase = 0; phase < KONG_PHASE_COUNT; phase++) {
        if (plugin->handlers[phase] != NULL) {
            phases |= KONG_PHASE_BIT(phase);
        }
    }
    options_list_phases(phases, ", ", out, size);
}
