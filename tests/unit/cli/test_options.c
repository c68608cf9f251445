#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "options.h"
#include "options_table.h"

static int handle(struct kong *kong, const void *config) {
    (void)kong;
    (void)config;
    return 0;
}

static const struct kong_plugin plugin = {
    .thread_safe = true,
    .name = "api-version",
    .version = "0.1",
    .priority = 3000,
    .phases = KONG_PHASE_BIT(KONG_PHASE_ACCESS),
    .handlers = {[KONG_PHASE_REWRITE] = handle,
                 [KONG_PHASE_ACCESS] = handle,
                 [KONG_PHASE_HEADER_FILTER] = handle,
                 [KONG_PHASE_RESPONSE] = handle},
};

#define MOST_ARGUMENTS 12
#define EXECUTABLE     "/usr/local/bin/apiversion-server"

struct parsed {
    struct options options;
    char error[256];
    int result;
};

/* Splits `line` at blanks ("''" is an empty argument) behind argv0. */
static void parse_as(struct parsed *parsed, char *argv0, const char *line) {
    char copy[512];
    char *argv[MOST_ARGUMENTS + 2] = {argv0};
    char *before[MOST_ARGUMENTS + 2];
    char *rest = copy;
    char *word;
    int argc = 1;

    assert_true(strlen(line) < sizeof copy);
    memcpy(copy, line, strlen(line) + 1);
    while ((word = strsep(&rest, " ")) != NULL) {
        assert_true(argc <= MOST_ARGUMENTS);
        if (*word)
            argv[argc++] = strcmp(word, "''") == 0 ? word + 2 : word;
    }
    memcpy(before, argv, sizeof argv);
    memset(parsed->error, 'x', sizeof parsed->error);
    parsed->result =
        options_parse(&parsed->options, &plugin, argc, argv, parsed->error, sizeof parsed->error);
    assert_memory_equal(argv, before, sizeof argv);
}

static struct options parse_ok(const char *line) {
    struct parsed parsed;
    char argv0[] = EXECUTABLE;

    parse_as(&parsed, argv0, line);
    if (parsed.result != 0)
        fail_msg("%s: %s", line, parsed.error);
    return parsed.options;
}

/* For options without strings of interest. */
static struct options values_of(const char *line) {
    struct options options = parse_ok(line);
    struct options copy = options;

    options_free(&options);
    copy.socket = copy.socket_group = copy.kong_prefix = copy.check_config = NULL;
    return copy;
}

static void refused(const char *line, const char *expected) {
    struct parsed parsed;
    char argv0[] = EXECUTABLE;

    parse_as(&parsed, argv0, line);
    if (parsed.result == 0)
        fail_msg("%s: should be refused: %s", line, expected);
    assert_int_equal(parsed.result, -1);
    assert_string_equal(parsed.error, expected);
    assert_null(parsed.options.socket);
    assert_null(parsed.options.socket_group);
    assert_null(parsed.options.kong_prefix);
}

static void test_defaults(void **state) {
    struct options options = parse_ok("");

    (void)state;
    assert_int_equal(options.action, OPTIONS_RUN);
    assert_string_equal(options.kong_prefix, "/usr/local/kong");
    assert_string_equal(options.socket, "/usr/local/kong/apiversion-server.socket");
    assert_int_equal(options.socket_mode, 0600);
    assert_null(options.socket_group);
    assert_int_equal(options.log_level, LOG_LEVEL_INFO);
    assert_int_equal(options.drain_ms, 5000);
    assert_int_equal(options.supervise, OPTION_AUTO);
    assert_int_equal(options.stall_ms, 0);
    assert_int_equal(options.watch_parent, OPTION_AUTO);
    assert_int_equal(options.phases, KONG_PHASE_BIT(KONG_PHASE_ACCESS));
    assert_int_equal(options.priority, 3000);
    assert_int_equal(options.protocol, PROTOCOL_PROTOBUF);
    assert_int_equal(options.kong_major, 2);
    assert_int_equal(options.event_ms, 55000);
    assert_int_equal(options.instance_idle_ms, 3600000);
    assert_int_equal(options.max_connections, 16384);
    assert_int_equal(options.max_instances, 131072);
    assert_int_equal(options.max_events, 16384);
    assert_int_equal(options.max_frame, 64 << 20);
    options_free(&options);
    assert_null(options.socket);
    options_free(&options);
}

static void check_socket(char *argv0, const char *line, const char *expected) {
    struct parsed parsed;

    parse_as(&parsed, argv0, line);
    assert_int_equal(parsed.result, 0);
    assert_string_equal(parsed.options.socket, expected);
    options_free(&parsed.options);
}

static void test_socket_path(void **state) {
    char plain[] = "rate-card";
    char relative[] = "build/api";
    char absolute[] = "/opt/x/api";

    (void)state;
    check_socket(plain, "", "/usr/local/kong/rate-card.socket");
    check_socket(relative, "", "/usr/local/kong/api.socket");
    check_socket(absolute, "-p /k", "/k/api.socket");
    check_socket(absolute, "-p /k//", "/k/api.socket");
    check_socket(absolute, "-p /", "/api.socket");
    check_socket(absolute, "-p rel/ative", "rel/ative/api.socket");
    check_socket(absolute, "-p/k", "/k/api.socket");
    check_socket(absolute, "-kong-prefix /k", "/k/api.socket");
    check_socket(absolute, "--kong-prefix=/k", "/k/api.socket");
    check_socket(absolute, "--kong-prefix /k --kong-prefix /l", "/l/api.socket");
    check_socket(absolute, "--socket /a/b.s --kong-prefix /k", "/a/b.s");
    check_socket(absolute, "-p /k -socket b.s -socket=c.s", "c.s");
}

/* argv[0] may say nothing: then the executable's file does. */
static void test_no_name(void **state) {
    char empty[] = "";
    struct parsed parsed;

    (void)state;
    check_socket(empty, "", "/usr/local/kong/test_options.socket");
    check_socket(NULL, "", "/usr/local/kong/test_options.socket");
    parsed.result = options_parse(&parsed.options, &plugin, 0, (char *[]){NULL}, parsed.error,
                                  sizeof parsed.error);
    assert_int_equal(parsed.result, 0);
    assert_string_equal(parsed.options.socket, "/usr/local/kong/test_options.socket");
    options_free(&parsed.options);
}

static void test_program_name(void **state) {
    (void)state;
    assert_string_equal(options_program_name("/usr/bin/api"), "api");
    assert_string_equal(options_program_name("./api"), "api");
    assert_string_equal(options_program_name("api"), "api");
    assert_string_equal(options_program_name("/"), "kong-plugin-server");
    assert_string_equal(options_program_name(""), "kong-plugin-server");
    assert_string_equal(options_program_name(NULL), "kong-plugin-server");
}

static void test_actions(void **state) {
    (void)state;
    assert_int_equal(values_of("--dump").action, OPTIONS_DUMP);
    assert_int_equal(values_of("--describe").action, OPTIONS_DESCRIBE);
    assert_int_equal(values_of("-dump").action, OPTIONS_DUMP);
    assert_int_equal(values_of("-dump --phases rewrite").action, OPTIONS_DUMP);
    assert_int_equal(values_of("--help").action, OPTIONS_HELP);
    assert_int_equal(values_of("-help").action, OPTIONS_HELP);
    assert_int_equal(values_of("-h").action, OPTIONS_HELP);
    assert_int_equal(values_of("--man").action, OPTIONS_MAN);
    assert_int_equal(values_of("--check-config a.json").action, OPTIONS_CHECK_CONFIG);
    assert_int_equal(values_of("--version").action, OPTIONS_VERSION);
    assert_int_equal(values_of("-V").action, OPTIONS_VERSION);
    /* the first of them decides, and what follows is not looked at */
    assert_int_equal(values_of("--dump --help --nonsense").action, OPTIONS_HELP);
    assert_int_equal(values_of("--version --help").action, OPTIONS_VERSION);
}

/* One thing at a time. */
static void test_contradictions(void **state) {
    (void)state;
    refused("--dump --status", "--dump and --status are two different things to do: give one");
    refused("--doctor --print-conf",
            "--doctor and --print-conf are two different things to do: give one");
    refused("--check-config a.json --describe",
            "--check-config and --describe are two different things to do: give one");
    refused("--dump --check-config a.json",
            "--dump and --check-config are two different things to do: give one");
    refused("--print-conf --env --docker", "--env and --docker are two different forms: give one");
    assert_int_equal(values_of("--dump -dump").action, OPTIONS_DUMP);
    assert_int_equal(values_of("--status --version --dump").action, OPTIONS_VERSION);
}

/* `option`, and an argument of `len` letters behind it. */
static const char *padded(const char *option, size_t len, const char *behind) {
    static char text[400];
    snprintf(text, sizeof text, "%s%.*s%s", option, (int)len,
             "nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn"
             "nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn",
             behind);
    return text;
}

/* What is wrong with an argument is known before anything is opened. */
static void test_checked_texts(void **state) {
    static const char bad_name[] = ": a plugin server's name has letters, digits, - and _ only, at "
                                   "most 63";
    char line[400];

    (void)state;
    refused("--metrics-listen 9542", "--metrics-listen 9542: not an address like 127.0.0.1:9542, "
                                     "[::1]:9542 or unix:/path");
    refused("--metrics-listen unix:", "--metrics-listen unix:: not an address like "
                                      "127.0.0.1:9542, [::1]:9542 or unix:/path");
    refused("--dump --metrics-listen 0.0.0.0:9542",
            "--metrics-listen 0.0.0.0:9542: anyone who reaches this address could read the "
            "figures; if that is meant: public:0.0.0.0:9542");
    snprintf(line, sizeof line, "%s", padded("--metrics-listen unix:/", 107, ""));
    refused(line, padded("--metrics-listen unix:/", 107,
                         ": a path of 108 bytes, at most 107 are possible"));
    refused("--name a.b", padded("--name a.b", 0, bad_name));
    assert_int_equal(values_of(padded("--name ", 63, "")).action, OPTIONS_RUN);
    snprintf(line, sizeof line, "%s", padded("--name ", 64, ""));
    refused(line, padded("--name ", 64, bad_name));
}

/* As they would be written on the command line. */
static void test_show(void **state) {
    static const char line[] = "--allow-uid 33,0 --take-over --log-level warn --socket-mode 0660 "
                               "--drain-timeout 0.5 --max-frame 128K";
    struct options options = parse_ok(line);
    char shown[512] = "";
    char scratch[1024];

    (void)state;
    for (size_t i = 0; i < option_row_count; i++) {
        static const char *const names[] = {"allow-uid",   "take-over",     "log-level",
                                            "socket-mode", "drain-timeout", "max-frame",
                                            "socket-group"};
        for (size_t k = 0; k < sizeof names / sizeof *names; k++)
            if (strcmp(option_rows[i].name, names[k]) == 0) {
                size_t len = strlen(shown);
                snprintf(shown + len, sizeof shown - len, "%s=%s;", names[k],
                         options_show(&option_rows[i], &options, scratch, sizeof scratch));
                assert_int_equal(options_use(&option_rows[i]), OPTION_FOR_START);
            }
        if (strcmp(option_rows[i].name, "phases") == 0)
            assert_int_equal(options_use(&option_rows[i]), OPTION_FOR_QUERY);
        if (strcmp(option_rows[i].name, "status") == 0)
            assert_int_equal(options_use(&option_rows[i]), OPTION_FOR_A_PERSON);
    }
    assert_string_equal(shown, "socket-mode=0660;socket-group=;allow-uid=33,0;take-over=take-over;"
                               "log-level=warn;drain-timeout=0.5;max-frame=128K;");
    options_free(&options);
}

static void test_values(void **state) {
    struct options options = parse_ok("--socket-group kong --socket-mode 0660 --log-level warn");

    (void)state;
    assert_string_equal(options.socket_group, "kong");
    assert_int_equal(options.socket_mode, 0660);
    assert_int_equal(options.log_level, LOG_LEVEL_WARN);
    assert_null(options.check_config);
    options_free(&options);
    options = parse_ok("--check-config a --check-config -");
    assert_string_equal(options.check_config, "-");
    options_free(&options);
    assert_int_equal(values_of("--socket-mode 777").socket_mode, 0777);
    assert_int_equal(values_of("--socket-mode 0").socket_mode, 0);
    assert_int_equal(values_of("--log-level debug").log_level, LOG_LEVEL_DEBUG);
    assert_int_equal(values_of("--log-level error").log_level, LOG_LEVEL_ERROR);
    assert_int_equal(values_of("--watch-parent yes").watch_parent, OPTION_YES);
    assert_int_equal(values_of("--watch-parent no").watch_parent, OPTION_NO);
    assert_int_equal(values_of("--supervise yes").supervise, OPTION_YES);
    assert_int_equal(values_of("--supervise auto").supervise, OPTION_AUTO);
    assert_int_equal(values_of("--supervise no").supervise, OPTION_NO);
    assert_int_equal(values_of("--help").allow_uids.count, 0);
    struct option_uids uids = values_of("--allow-uid 0,33 --allow-uid 4294967294").allow_uids;
    assert_int_equal(uids.count, 3);
    assert_int_equal(uids.list[0], 0);
    assert_int_equal(uids.list[1], 33);
    assert_int_equal(uids.list[2], 4294967294u);
    assert_int_equal(values_of("--protocol MsgPack:1").protocol, PROTOCOL_MSGPACK);
    assert_int_equal(values_of("--protocol msgpack:1").protocol, PROTOCOL_MSGPACK);
    assert_int_equal(values_of("--protocol=ProtoBuf:1").protocol, PROTOCOL_PROTOBUF);
    assert_int_equal(values_of("--priority 1").priority, 1);
    assert_int_equal(values_of("--priority -7").priority, -7);
    assert_int_equal(values_of("--priority 2147483647").priority, INT32_MAX);
    assert_int_equal(values_of("--kong-version 3").kong_major, 3);
    assert_int_equal(values_of("--kong-version 3.9").kong_major, 3);
    assert_int_equal(values_of("--kong-version 2.8.5").kong_major, 2);
    assert_int_equal(values_of("--kong-version 3.9.1.2").kong_major, 3);
    assert_int_equal(values_of("--max-connections 1").max_connections, 1);
    assert_int_equal(values_of("--max-instances 2147483647").max_instances, INT32_MAX);
    assert_int_equal(values_of("--max-events 262143").max_events, 262143);
    assert_int_equal(values_of("--threads 1").threads, 1);
    assert_int_equal(values_of("--threads 64").threads, 64);
}

static void test_seconds(void **state) {
    (void)state;
    assert_int_equal(values_of("--drain-timeout 0").drain_ms, 0);
    assert_int_equal(values_of("--drain-timeout 2").drain_ms, 2000);
    assert_int_equal(values_of("--drain-timeout 0.25").drain_ms, 250);
    assert_int_equal(values_of("--drain-timeout 1.005").drain_ms, 1005);
    assert_int_equal(values_of("--drain-timeout 3600").drain_ms, 3600000);
    assert_int_equal(values_of("--event-timeout 0.001").event_ms, 1);
    assert_int_equal(values_of("--instance-idle 0").instance_idle_ms, 0);
    assert_int_equal(values_of("--stall-timeout 90").stall_ms, 90000);
    assert_int_equal(values_of("--instance-idle 31536000").instance_idle_ms, 31536000000);
}

static void test_bytes(void **state) {
    (void)state;
    assert_int_equal(values_of("--max-frame 4096").max_frame, 4096);
    assert_int_equal(values_of("--max-frame 4K").max_frame, 4096);
    assert_int_equal(values_of("--max-frame 65k").max_frame, 65 << 10);
    assert_int_equal(values_of("--max-frame 16M").max_frame, 16 << 20);
    assert_int_equal(values_of("--max-frame 1024m").max_frame, 1 << 30);
    assert_int_equal(values_of("--max-frame 1073741824").max_frame, 1 << 30);
}

static void test_phases(void **state) {
    const unsigned access = KONG_PHASE_BIT(KONG_PHASE_ACCESS);
    const unsigned response = KONG_PHASE_BIT(KONG_PHASE_RESPONSE);
    const unsigned rewrite = KONG_PHASE_BIT(KONG_PHASE_REWRITE);

    (void)state;
    assert_int_equal(values_of("--phases access,response").phases, access | response);
    assert_int_equal(values_of("--phases rewrite").phases, rewrite);
    assert_int_equal(values_of("--phases response,access,rewrite").phases,
                     access | response | rewrite);
    assert_int_equal(values_of("--phases access,access").phases, access);
    assert_int_equal(values_of("--phases access,header_filter").phases,
                     access | KONG_PHASE_BIT(KONG_PHASE_HEADER_FILTER));
    assert_int_equal(values_of("--phases rewrite --phases access").phases, access);
}

#define HANDLERS "rewrite, access, response, header_filter"

static void test_bad_phases(void **state) {
    (void)state;
    refused("--allow-uid kong", "--allow-uid kong: not a list of user ids like 0,33");
    refused("--allow-uid 1,", "--allow-uid 1,: not a list of user ids like 0,33");
    refused("--allow-uid 4294967295", "--allow-uid 4294967295: not a list of user ids like 0,33");
    refused("--phases response,header_filter",
            "--phases: Kong refuses a plugin that has both response and header_filter: name one "
            "of them");
    refused("--phases header_filter,access,response",
            "--phases: Kong refuses a plugin that has both response and header_filter: name one "
            "of them");
    refused("--phases log",
            "--phases: the plugin api-version has no handler for log; it has " HANDLERS);
    refused("--phases access,preread", "--phases: the plugin api-version has no handler for "
                                       "preread; it has " HANDLERS);
    refused("--phases body_filter", "--phases: \"body_filter\" is no phase; the plugin "
                                    "api-version has handlers for " HANDLERS);
    refused("--phases Access", "--phases: \"Access\" is no phase; the plugin api-version has "
                               "handlers for " HANDLERS);
    refused("--phases ''",
            "--phases: \"\" is no phase; the plugin api-version has handlers for " HANDLERS);
    refused("--phases access,", "--phases: \"\" is no phase; the plugin api-version has handlers "
                                "for " HANDLERS);
    refused("--phases acces", "--phases: \"acces\" is no phase; the plugin api-version has "
                              "handlers for " HANDLERS);
}

static void test_bad_values(void **state) {
    (void)state;
    refused("--socket-mode 9z", "--socket-mode 9z: not an octal mode like 0660");
    refused("--socket-mode ''", "--socket-mode : not an octal mode like 0660");
    refused("--socket-mode 1777", "--socket-mode 1777: not an octal mode like 0660");
    refused("--socket-mode 7777777777777777777777",
            "--socket-mode 7777777777777777777777: not an octal mode like 0660");
    refused("--socket-mode -1", "--socket-mode -1: not an octal mode like 0660");
    refused("--socket ''", "--socket: its argument PATH is empty");
    refused("--socket-group ''", "--socket-group: its argument GROUP is empty");
    refused("-p ''", "--kong-prefix: its argument DIR is empty");
    refused("--log-level loud", "--log-level loud: not one of debug, info, notice, warn, error");
    refused("--watch-parent maybe", "--watch-parent maybe: not one of auto, yes, no");
    refused("--protocol MsgPack", "--protocol MsgPack: not one of ProtoBuf:1, MsgPack:1");
    refused("--priority high", "--priority high: not a whole number like 3000");
    refused("--priority 1.5", "--priority 1.5: not a whole number like 3000");
    refused("--priority 2147483648", "--priority 2147483648: not a whole number like 3000");
    refused("--priority -", "--priority -: not a whole number like 3000");
    refused("--kong-version three", "--kong-version three: not a version like 3 or 3.9");
    refused("--kong-version 3.", "--kong-version 3.: not a version like 3 or 3.9");
    refused("--kong-version 3.9.1.2.3", "--kong-version 3.9.1.2.3: not a version like 3 or 3.9");
    refused("--kong-version 1.5", "--kong-version 1.5: this plugin server needs Kong 2 or newer");
}

static void test_bad_numbers(void **state) {
    static const char *const not_seconds[] = {"soon",
                                              "",
                                              "-1",
                                              "1s",
                                              "3600.001",
                                              "1.",
                                              ".5",
                                              "1e3",
                                              "0x10",
                                              "1.0001",
                                              "99999999999999999999"};
    static const char *const not_count[] = {
        "0", "", "-1", "1.5", "1000001", "10K", "18446744073709551617"};
    static const char *const not_bytes[] = {
        "0",   "",  "4095", "3K",         "1025M",           "1G",
        "1KB", "K", "-4K",  "1073741825", "17592186044416M", "18446744073709551616"};
    char line[128], expected[256];

    (void)state;
    for (size_t i = 0; i < sizeof not_seconds / sizeof *not_seconds; i++) {
        snprintf(line, sizeof line, "--drain-timeout=%s", not_seconds[i]);
        snprintf(expected, sizeof expected,
                 "--drain-timeout %s: not a number of seconds from 0 to 3600, like 5 or 0.25",
                 not_seconds[i]);
        refused(line, expected);
    }
    for (size_t i = 0; i < sizeof not_count / sizeof *not_count; i++) {
        snprintf(line, sizeof line, "--max-connections=%s", not_count[i]);
        snprintf(expected, sizeof expected,
                 "--max-connections %s: not a whole number from 1 to 1000000", not_count[i]);
        refused(line, expected);
    }
    for (size_t i = 0; i < sizeof not_bytes / sizeof *not_bytes; i++) {
        snprintf(line, sizeof line, "--max-frame=%s", not_bytes[i]);
        snprintf(expected, sizeof expected,
                 "--max-frame %s: not a number of bytes from 4K to 1024M, like 65536, 64K or 16M",
                 not_bytes[i]);
        refused(line, expected);
    }
    refused("--event-timeout 0", "--event-timeout 0: not a number of seconds from 0.001 to 3600, "
                                 "like 5 or 0.25");
    refused("--threads 0", "--threads 0: not a whole number from 1 to 64");
    refused("--threads 65", "--threads 65: not a whole number from 1 to 64");
    refused("--max-events 262144", "--max-events 262144: not a whole number from 1 to 262143");
}

/* Of all plugins only those that say so. */
static void test_threads(void **state) {
    static const struct kong_plugin careless = {.name = "careless", .version = "1.0"};
    struct options options;
    char error[200];
    char *safe[] = {(char[]){"x"}, (char[]){"--threads"}, (char[]){"1"}, NULL};
    char *several[] = {(char[]){"x"}, (char[]){"--threads"}, (char[]){"2"}, NULL};

    (void)state;
    assert_int_equal(options_parse(&options, &careless, 3, safe, error, sizeof error), 0);
    options_free(&options);
    assert_int_equal(options_parse(&options, &careless, 3, several, error, sizeof error), -1);
    assert_string_equal(error,
                        "--threads 2: the plugin does not say that it is thread-safe (.thread_safe "
                        "of its struct kong_plugin): one thread only");
}

static void test_bad_usage(void **state) {
    (void)state;
    refused("--frobnicate", "unknown option --frobnicate: see --help");
    refused("-frobnicate", "unknown option -frobnicate: see --help");
    refused("--frobnicate=1", "unknown option --frobnicate=1: see --help");
    refused("-x", "unknown option -x: see --help");
    refused("--socketmode 1", "unknown option --socketmode: see --help");
    refused("--pr 1",
            "--pr is short for more than one option: --priority, --protocol, --print-conf");
    refused("--max=1", "--max=1 is short for more than one option: --max-connections, "
                       "--max-instances, --max-events, --max-frame");
    refused("--phases", "--phases: its argument LIST is missing");
    refused("--dump -p", "--kong-prefix: its argument DIR is missing");
    refused("--dump=json", "--dump takes no argument: --dump=json");
    refused("serve", "unexpected argument \"serve\": all settings are options, see --help");
    refused("--dump extra --help",
            "unexpected argument \"extra\": all settings are options, see --help");
    refused("-- --dump", "unexpected argument \"--dump\": all settings are options, see --help");
    refused("-", "unexpected argument \"-\": all settings are options, see --help");
    /* the first mistake is told; strings that were taken before are gone */
    refused("--socket /a --socket-group g --what --phases log",
            "unknown option --what: see --help");
}

/* What the user typed comes back as one printable line, and cut. */
static void test_status(void **state) {
    char argv0[] = EXECUTABLE;
    struct parsed parsed;

    (void)state;
    parse_as(&parsed, argv0, "--status --json");
    assert_int_equal(parsed.result, 0);
    assert_int_equal(parsed.options.action, OPTIONS_STATUS);
    assert_true(parsed.options.json && !parsed.options.watch);
    options_free(&parsed.options);
    parse_as(&parsed, argv0, "--watch --status");
    assert_int_equal(parsed.result, 0);
    assert_true(parsed.options.watch && !parsed.options.json);
    options_free(&parsed.options);
    refused("--env", "--env and --docker go with --print-conf");
    refused("--json", "--json and --watch go with --status");
    refused("--status --json=yes", "--json takes no argument: --json=yes");
}

static void test_errors_are_one_line(void **state) {
    char line[400] = "--log-level=";
    struct parsed parsed;
    char argv0[] = EXECUTABLE;

    (void)state;
    refused("--wh\nat\x1b[2J", "unknown option --wh\\x0Aat\\x1B[2J: see --help");
    memset(line + strlen(line), 'a', 300);
    line[312] = '\0';
    parse_as(&parsed, argv0, line);
    assert_int_equal(parsed.result, -1);
    assert_true(strlen(parsed.error) < sizeof parsed.error);
    assert_non_null(strstr(parsed.error, "aaa...: not "));
}

static void test_short_forms(void **state) {
    (void)state;
    assert_int_equal(values_of("--drain 1").drain_ms, 1000);
    assert_int_equal(values_of("-prio 5").priority, 5);
    assert_int_equal(values_of("-v").action, OPTIONS_VERSION);
}

/* --- --help --- */

static char *help_of(const struct kong_plugin *of) {
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);

    assert_non_null(out);
    assert_int_equal(options_print_help("apiversion-server", of, out), 0);
    fclose(out);
    return text;
}

static void test_help_says(void **state) {
    static const char *const parts[] = {
        "Usage: apiversion-server [OPTION]...\n",
        "plugin api-version, version 0.1,",
        "\nServing:\n"
        "  -p, --kong-prefix DIR        Kong's prefix, the directory of the socket\n"
        "                               (default /usr/local/kong)\n",
        "(default 0600)\n",
        "(default info)\n",
        "  --drain-timeout SECONDS ",
        "(default 5)\n",
        "\nWhat Kong is told:\n"
        "      --dump                   print",
        "of rewrite, access,\n"
        "                               response, header_filter (default access)\n",
        "(default 3000)\n",
        "(default ProtoBuf:1)\n",
        "(default 2)\n",
        "\nLimits:\n",
        "(default 55)\n",
        "(default 16384)\n",
        "(default 64M)\n",
        "(default 3600)\n",
        "\nInformation:\n  -h, --help                   print this text, and exit\n      --man ",
    };
    char *text = help_of(&plugin);

    (void)state;
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        if (!strstr(text, parts[i]))
            fail_msg("not in the help: %s\n%s", parts[i], text);
    for (size_t i = 0; i < option_row_count; i++) {
        char name[64];

        snprintf(name, sizeof name, " --%s%s%s", option_rows[i].name,
                 option_rows[i].argument ? " " : "",
                 option_rows[i].argument ? option_rows[i].argument : "");
        if (!strstr(text, name))
            fail_msg("not in the help: %s", name);
    }
    free(text);
}

static void test_help_fits_the_screen(void **state) {
    char *text = help_of(&plugin);
    size_t longest = 0;

    (void)state;
    for (const char *line = text; *line;) {
        size_t len = strcspn(line, "\n");

        if (len > 80)
            fail_msg("%zu columns: %.*s", len, (int)len, line);
        if (len > 0 && line[len - 1] == ' ')
            fail_msg("blank at the end: %.*s", (int)len, line);
        longest = len > longest ? len : longest;
        assert_int_equal(line[len], '\n');
        line += len + 1;
    }
    assert_true(longest > 70);
    free(text);
}

static void test_help_of_another_plugin(void **state) {
    static const struct kong_plugin other = {
        .name = "rate-card",
        .version = "2.0.1",
        .priority = -3,
        .handlers = {[KONG_PHASE_RESPONSE] = handle, [KONG_PHASE_LOG] = handle},
    };
    char *text = help_of(&other);

    (void)state;
    assert_non_null(strstr(text, "plugin rate-card, version 2.0.1,"));
    assert_non_null(strstr(text, "response,log)"));
    assert_non_null(strstr(text, "(default -3)"));
    free(text);
}

static void test_help_not_written(void **state) {
    FILE *full = fopen("/dev/full", "w");

    (void)state;
    assert_non_null(full);
    assert_int_equal(options_print_help("apiversion-server", &plugin, full), -1);
    fclose(full);
}

/* --- The manual page --- */

static void test_man(void **state) {
    static const char *const parts[] = {
        ".TH \"apiversion-server\" 1 ",
        "\n.SH NAME\napiversion\\-server \\- Kong plugin server for api\\-version\n",
        "\n.SS Serving\n.TP\n\\fB\\-p\\fR, \\fB\\-\\-kong\\-prefix\\fR \\fIDIR\\fR\n",
        "(default /usr/local/kong)\n.TP\n",
        "\n.SS Limits\n",
        "\n.SH SIGNALS\n",
        "\n.SH EXIT STATUS\n",
    };
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);

    (void)state;
    assert_non_null(out);
    assert_int_equal(options_print_man("apiversion-server", &plugin, out), 0);
    fclose(out);
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        if (!strstr(text, parts[i]))
            fail_msg("not in the page: %s\n%s", parts[i], text);
    free(text);
    out = fopen("/dev/full", "w");
    assert_non_null(out);
    assert_int_equal(options_print_man("apiversion-server", &plugin, out), -1);
    fclose(out);
}

/* --- The table itself --- */

static void test_table(void **state) {
    (void)state;
    assert_non_null(option_rows[0].section);
    for (size_t i = 0; i < option_row_count; i++) {
        const struct option_row *row = &option_rows[i];

        assert_non_null(row->help);
        assert_true((row->kind == OPTION_ACTION || row->kind == OPTION_FLAG) == !row->argument);
        assert_true((row->kind == OPTION_NAME) == (row->names != NULL));
        assert_true((row->kind == OPTION_TEXT) == (row->text != NULL));
        assert_true(row->least <= row->most);
        if (row->kind == OPTION_SECONDS || row->kind == OPTION_COUNT || row->kind == OPTION_BYTES)
            assert_true(row->most > 0);
        for (size_t k = 0; k < i; k++) {
            assert_string_not_equal(row->name, option_rows[k].name);
            assert_true(row->letter == 0 || row->letter != option_rows[k].letter);
            if (row->kind != OPTION_ACTION)
                assert_true(option_rows[k].kind == OPTION_ACTION ||
                            row->offset != option_rows[k].offset);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_socket_path),
        cmocka_unit_test(test_no_name),
        cmocka_unit_test(test_program_name),
        cmocka_unit_test(test_actions),
        cmocka_unit_test(test_contradictions),
        cmocka_unit_test(test_checked_texts),
        cmocka_unit_test(test_show),
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_seconds),
        cmocka_unit_test(test_bytes),
        cmocka_unit_test(test_phases),
        cmocka_unit_test(test_bad_phases),
        cmocka_unit_test(test_bad_values),
        cmocka_unit_test(test_bad_numbers),
        cmocka_unit_test(test_threads),
        cmocka_unit_test(test_bad_usage),
        cmocka_unit_test(test_status),
        cmocka_unit_test(test_errors_are_one_line),
        cmocka_unit_test(test_short_forms),
        cmocka_unit_test(test_help_says),
        cmocka_unit_test(test_help_fits_the_screen),
        cmocka_unit_test(test_help_of_another_plugin),
        cmocka_unit_test(test_help_not_written),
        cmocka_unit_test(test_man),
        cmocka_unit_test(test_table),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
