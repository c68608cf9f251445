#include "options_table.h"

#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "dump.h"
#include "limits.h"

#define DEFAULT_PREFIX "/usr/local/kong"
#define DEFAULT_NAME   "apiversion-server"

struct parser {
    struct options *options;
    const struct kong_plugin *plugin;
    const char *phases; /* as given; read when all is known */
    char *error;
    size_t error_size;
};

static int refuse(struct parser *parser, const char *name, const char *value, const char *why) {
    snprintf(parser->error, parser->error_size, "--%s %.100s: %s", name, value, why);
    return -1;
}

/* --- values --- */

/* Digits only; 0 is what a text without any gives, and *end is then its start. */
static unsigned long long parse_digits(const char *text, char **end) {
    errno = 0;
    if (!isdigit((unsigned char)text[0])) {
        *end = (char *)(uintptr_t)text;
        return 0;
    }
    return strtoull(text, end, 10);
}

static int parse_count(struct parser *parser, const char *name, const char *text, size_t *out) {
    char *end;
    unsigned long long value = parse_digits(text, &end);
    if (value == 0 || *end != '\0' || errno != 0 || value > SIZE_MAX) {
        return refuse(parser, name, text, "not a whole number above 0");
    }
    *out = (size_t)value;
    return 0;
}

static int parse_ms(struct parser *parser, const char *name, const char *text, uint64_t *out) {
    char *end;
    double seconds = strtod(text, &end);
    if (end == text || *end != '\0' || !(seconds >= 0) || seconds > 1e9) {
        return refuse(parser, name, text, "not a number of seconds like 5 or 0.5");
    }
    *out = (uint64_t)(seconds * 1000 + 0.5);
    return 0;
}

static int parse_switch(struct parser *parser, const char *name, const char *text,
                        enum option_switch *out) {
    static const char *const words[] = {"auto", "yes", "no"};
    for (int i = 0; i < 3; i++) {
        if (strcmp(text, words[i]) == 0) {
            *out = (enum option_switch)i;
            return 0;
        }
    }
    return refuse(parser, name, text, "say yes, no or auto");
}

/* --- one function an option --- */

static int set_prefix(struct parser *p, const char *name, const char *value) {
    if (value[0] == '\0') {
        return refuse(p, name, "''", "name Kong's prefix directory");
    }
    p->options->kong_prefix = value;
    return 0;
}

static int set_socket(struct parser *p, const char *name, const char *value) {
    if (value[0] == '\0') {
        return refuse(p, name, "''", "name the socket's path");
    }
    free(p->options->socket);
    p->options->socket = strdup(value);
    return p->options->socket != NULL ? 0 : refuse(p, name, value, "out of memory");
}

static int set_socket_mode(struct parser *p, const char *name, const char *value) {
    char *end;
    unsigned long mode = strtoul(value, &end, 8);
    if (!isdigit((unsigned char)value[0]) || *end != '\0' || mode > 0777) {
        return refuse(p, name, value, "not an octal mode like 0660");
    }
    p->options->socket_mode = (mode_t)mode;
    return 0;
}

static int set_socket_group(struct parser *p, const char *name, const char *value) {
    if (value[0] == '\0') {
        return refuse(p, name, "''", "name a group, or its number");
    }
    p->options->socket_group = value;
    return 0;
}

static int set_log_level(struct parser *p, const char *name, const char *value) {
    int level = log_level_parse(value);
    if (level < 0) {
        return refuse(p, name, value, "say debug, info, notice, warn or error");
    }
    p->options->log_level = (enum log_level)level;
    return 0;
}

static int set_watch_parent(struct parser *p, const char *name, const char *value) {
    return parse_switch(p, name, value, &p->options->watch_parent);
}

static int set_supervise(struct parser *p, const char *name, const char *value) {
    return parse_switch(p, name, value, &p->options->supervise);
}

static int set_drain(struct parser *p, const char *name, const char *value) {
    return parse_ms(p, name, value, &p->options->drain_ms);
}

static int set_event_timeout(struct parser *p, const char *name, const char *value) {
    if (parse_ms(p, name, value, &p->options->event_ms) != 0) {
        return -1;
    }
    return p->options->event_ms > 0 ? 0 : refuse(p, name, value, "an event needs time");
}

static int set_stall_timeout(struct parser *p, const char *name, const char *value) {
    return parse_ms(p, name, value, &p->options->stall_ms);
}

static int set_instance_idle(struct parser *p, const char *name, const char *value) {
    return parse_ms(p, name, value, &p->options->instance_idle_ms);
}

static int set_max_connections(struct parser *p, const char *name, const char *value) {
    return parse_count(p, name, value, &p->options->max_connections);
}

static int set_max_instances(struct parser *p, const char *name, const char *value) {
    return parse_count(p, name, value, &p->options->max_instances);
}

static int set_max_events(struct parser *p, const char *name, const char *value) {
    return parse_count(p, name, value, &p->options->max_events);
}

static int set_max_frame(struct parser *p, const char *name, const char *value) {
    char *end;
    unsigned long long bytes = parse_digits(value, &end);
    unsigned shift = 0;
    if (bytes > 0 && (*end == 'K' || *end == 'k')) {
        shift = 10;
    } else if (bytes > 0 && (*end == 'M' || *end == 'm')) {
        shift = 20;
    }
    if (bytes == 0 || errno != 0 || end[shift > 0 ? 1 : 0] != '\0' ||
        bytes > (UINT32_MAX >> shift) || bytes << shift < 4096) {
        return refuse(p, name, value, "not a size from 4K to 4095M, like 64M");
    }
    p->options->max_frame = (size_t)bytes << shift;
    return 0;
}

static int set_phases(struct parser *p, const char *name, const char *value) {
    (void)name;
    p->phases = value;
    return 0;
}

static int set_priority(struct parser *p, const char *name, const char *value) {
    char *end;
    errno = 0;
    long priority = strtol(value, &end, 10);
    if (end == value || *end != '\0' || errno != 0 || priority < INT32_MIN ||
        priority > INT32_MAX) {
        return refuse(p, name, value, "not a whole number");
    }
    p->options->priority = (int)priority;
    return 0;
}

static int set_protocol(struct parser *p, const char *name, const char *value) {
    if (strcasecmp(value, "ProtoBuf:1") == 0) {
        p->options->protocol = PROTOCOL_PROTOBUF;
    } else if (strcasecmp(value, "MsgPack:1") == 0) {
        p->options->protocol = PROTOCOL_MSGPACK;
    } else {
        return refuse(p, name, value, "say ProtoBuf:1 or MsgPack:1");
    }
    return 0;
}

static int set_kong_version(struct parser *p, const char *name, const char *value) {
    char *end;
    long major = strtol(value, &end, 10);
    if (end == value || (*end != '\0' && *end != '.') || major < 2 || major > 99) {
        return refuse(p, name, value, "not a version of Kong, 2 or newer, like 3.9");
    }
    p->options->kong_major = (int)major;
    return 0;
}

static int set_action_dump(struct parser *p, const char *name, const char *value) {
    (void)name;
    (void)value;
    p->options->action = OPTIONS_DUMP;
    return 0;
}

static int set_action_help(struct parser *p, const char *name, const char *value) {
    (void)name;
    (void)value;
    p->options->action = OPTIONS_HELP;
    return 0;
}

static int set_action_man(struct parser *p, const char *name, const char *value) {
    (void)name;
    (void)value;
    p->options->action = OPTIONS_MAN;
    return 0;
}

static int set_action_version(struct parser *p, const char *name, const char *value) {
    (void)name;
    (void)value;
    p->options->action = OPTIONS_VERSION;
    return 0;
}

#define TEXT_OF(x) #x
#define NUMBER(x)  TEXT_OF(x)

/* A row without a name is a heading. */
const struct option_spec option_specs[] = {
    {NULL, 0, NULL, NULL, "Socket", NULL},
    {"kong-prefix", 'p', "DIR", set_prefix, "Kong's prefix; default %s", DEFAULT_PREFIX},
    {"socket", 0, "PATH", set_socket, "where to listen; default <prefix>/%s.socket",
     "<name of this program>"},
    {"socket-mode", 0, "MODE", set_socket_mode, "who may connect, octal; default %s", "0600"},
    {"socket-group", 0, "GROUP", set_socket_group, "group of the socket, name or number", NULL},

    {NULL, 0, NULL, NULL, "What Kong is told", NULL},
    {"dump", 0, NULL, set_action_dump, "print it as JSON and end: Kong's query command", NULL},
    {"phases", 0, "LIST", set_phases, "phases to run in, like access,response", NULL},
    {"priority", 0, "N", set_priority, "order among Kong's plugins: higher ones first", NULL},
    {"protocol", 0, "NAME", set_protocol,
     "ProtoBuf:1 or MsgPack:1; default %s. The server itself speaks both at any time",
     "ProtoBuf:1"},
    {"kong-version", 0, "VERSION", set_kong_version,
     "the Kong that loads it; 3 or newer adds descriptions to the schema; default %s", "2.8"},

    {NULL, 0, NULL, NULL, "Running", NULL},
    {"log-level", 0, "LEVEL", set_log_level,
     "debug, info, notice, warn or error; default %s. Lines go to stderr, which Kong logs at its "
     "level info",
     "info"},
    {"drain-timeout", 0, "SECONDS", set_drain,
     "how long SIGTERM and SIGINT wait for what is under way; default %s (Kong kills right after "
     "SIGTERM anyway)",
     "5"},
    {"watch-parent", 0, "WHEN", set_watch_parent,
     "end when the process that started this one is gone: yes, no, or auto: when that is Kong (an "
     "nginx); default %s",
     "auto"},
    {"supervise", 0, "WHEN", set_supervise,
     "serve in a child that is started again at once when it dies: yes, no, or auto: when Kong "
     "started us; default %s",
     "no"},
    {"stall-timeout", 0, "SECONDS", set_stall_timeout,
     "with --supervise, end a server whose handler runs so long without a pause; default %s: only "
     "report it",
     "0"},

    {NULL, 0, NULL, NULL, "Limits", NULL},
    {"event-timeout", 0, "SECONDS", set_event_timeout,
     "time of one event; default %s (Kong gives up at 60)", "55"},
    {"instance-idle", 0, "SECONDS", set_instance_idle,
     "forget unused plugin instances; default %s, 0: never", "3600"},
    {"max-connections", 0, "N", set_max_connections, "default %s; others wait",
     NUMBER(LIMIT_CONNECTIONS)},
    {"max-instances", 0, "N", set_max_instances, "default %s; then the longest unused goes",
     NUMBER(LIMIT_INSTANCES)},
    {"max-events", 0, "N", set_max_events, "at work at one time; default %s", NUMBER(LIMIT_EVENTS)},
    {"max-frame", 0, "SIZE", set_max_frame, "of one message from Kong, as 8M; default %s", "64M"},

    {NULL, 0, NULL, NULL, "Help", NULL},
    {"help", 'h', NULL, set_action_help, "print this and end", NULL},
    {"man", 0, NULL, set_action_man, "print the manual page (for man -l) and end", NULL},
    {"version", 'V', NULL, set_action_version, "print the plugin's name and version and end", NULL},
};

const size_t option_spec_count = sizeof option_specs / sizeof *option_specs;

#define SPEC_COUNT (sizeof option_specs / sizeof *option_specs)

/* --- phases --- */

static int phase_of(const char *name, size_t len) {
    for (int phase = 0; phase < KONG_PHASE_COUNT; phase++) {
        const char *known = kong_phase_name((enum kong_phase)phase);
        if (strlen(known) == len && memcmp(known, name, len) == 0) {
            return phase;
        }
    }
    return -1;
}

static int parse_phases(struct parser *p) {
    unsigned phases = 0;
    const char *rest = p->phases;
    char known[160];
    char why[240];
    options_list_phases(p->plugin, known, sizeof known);
    for (;;) {
        size_t len = strcspn(rest, ",");
        int phase = phase_of(rest, len);
        if (phase < 0 || p->plugin->handlers[phase] == NULL) {
            snprintf(why, sizeof why, "%s has handlers for: %s", p->plugin->name, known);
            return refuse(p, "phases", p->phases, why);
        }
        phases |= KONG_PHASE_BIT((unsigned)phase);
        if (rest[len] == '\0') {
            break;
        }
        rest += len + 1;
    }
    unsigned both = KONG_PHASE_BIT(KONG_PHASE_RESPONSE) | KONG_PHASE_BIT(KONG_PHASE_HEADER_FILTER);
    if ((phases & both) == both) {
        return refuse(
            p, "phases", p->phases,
            "Kong refuses a plugin that has both response and header_filter: name one of them");
    }
    p->options->phases = phases;
    return 0;
}

/* --- parsing --- */

const char *options_program_name(const char *argv0) {
    const char *slash = argv0 == NULL ? NULL : strrchr(argv0, '/');
    const char *name = slash != NULL ? slash + 1 : argv0;
    return name != NULL && name[0] != '\0' ? name : DEFAULT_NAME;
}

static void set_defaults(struct options *options, const struct kong_plugin *plugin) {
    *options = (struct options){
        .action = OPTIONS_RUN,
        .kong_prefix = DEFAULT_PREFIX,
        .socket_mode = 0600,
        .log_level = LOG_LEVEL_INFO,
        .watch_parent = OPTION_AUTO,
        .supervise = OPTION_NO,
        .phases = dump_default_phases(plugin),
        .priority = plugin->priority,
        .protocol = PROTOCOL_PROTOBUF,
        .kong_major = 2,
        .drain_ms = 5000,
        .event_ms = LIMIT_EVENT_MS,
        .instance_idle_ms = LIMIT_INSTANCE_IDLE_MS,
        .max_connections = LIMIT_CONNECTIONS,
        .max_instances = LIMIT_INSTANCES,
        .max_events = LIMIT_EVENTS,
        .max_frame = LIMIT_FRAME,
    };
}

/* getopt's own texts go to stderr and name no remedy. */
static int report_getopt(struct parser *p, int code, char **argv) {
    const char *given = optind > 0 ? argv[optind - 1] : "";
    if (code == ':') {
        snprintf(p->error, p->error_size, "%.100s needs a value (see --help)", given);
    } else {
        snprintf(p->error, p->error_size,
                 "unknown, ambiguous or misused option %.100s (see --help)", given);
    }
    return -1;
}

static int parse_all(struct parser *p, int argc, char **argv) {
    struct option longs[SPEC_COUNT + 1];
    char letters[2 * SPEC_COUNT + 3] = ":";
    size_t count = 0;
    size_t used = 1;
    for (size_t i = 0; i < SPEC_COUNT; i++) {
        const struct option_spec *spec = &option_specs[i];
        if (spec->name == NULL) {
            continue;
        }
        longs[count++] = (struct option){
            spec->name, spec->value != NULL ? required_argument : no_argument, NULL, 256 + (int)i};
        if (spec->letter != 0) {
            letters[used++] = (char)spec->letter;
            if (spec->value != NULL) {
                letters[used++] = ':';
            }
        }
    }
    letters[used] = '\0';
    longs[count] = (struct option){0};
    opterr = 0;
    optind = 0; /* getopt starts anew, also when it was used before */
    int code;
    while ((code = getopt_long_only(argc, argv, letters, longs, NULL)) != -1) {
        const struct option_spec *spec = NULL;
        for (size_t i = 0; i < SPEC_COUNT; i++) {
            if (code == 256 + (int)i ||
                (option_specs[i].letter != 0 && code == option_specs[i].letter)) {
                spec = &option_specs[i];
            }
        }
        if (spec == NULL) {
            return report_getopt(p, code, argv);
        }
        if (spec->set(p, spec->name, optarg) != 0) {
            return -1;
        }
    }
    if (optind < argc) {
        snprintf(p->error, p->error_size,
                 "unexpected argument %.100s: only options are taken (see --help)", argv[optind]);
        return -1;
    }
    return 0;
}

static int make_socket_path(struct parser *p, const char *program) {
    struct options *options = p->options;
    if (options->socket != NULL) {
        return 0;
    }
    size_t size = strlen(options->kong_prefix) + strlen(program) + sizeof "/.socket";
    options->socket = malloc(size);
    if (options->socket == NULL) {
        snprintf(p->error, p->error_size, "out of memory");
        return -1;
    }
    size_t len = strlen(options->kong_prefix);
    const char *slash = len > 0 && options->kong_prefix[len - 1] == '/' ? "" : "/";
    snprintf(options->socket, size, "%s%s%s.socket", options->kong_prefix, slash, program);
    return 0;
}

int options_parse(struct options *options, const struct kong_plugin *plugin, int argc, char **argv,
                  char *error, size_t error_size) {
    struct parser parser = {
        .options = options, .plugin = plugin, .error = error, .error_size = error_size};
    set_defaults(options, plugin);
    if (parse_all(&parser, argc, argv) != 0 ||
        (parser.phases != NULL && parse_phases(&parser) != 0) ||
        make_socket_path(&parser, options_program_name(argv[0])) != 0) {
        options_free(options);
        return -1;
    }
    return 0;
}

void options_free(struct options *options) {
    free(options->socket);
    options->socket = NULL;
}
