#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "options_rig.h"

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
    assert_int_equal(options.stall_ms, LIMIT_EVENT_MS);
    assert_int_equal(options.watch_parent, OPTION_AUTO);
    assert_int_equal(options.phases, KONG_PHASE_BIT(KONG_PHASE_ACCESS));
    assert_int_equal(options.priority, 3000);
    assert_int_equal(options.protocol, PROTOCOL_PROTOBUF);
    assert_int_equal(options.kong_major, 0);
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
    parsed.result = options_parse(&parsed.options, options_plugins(), 0, (char *[]){NULL},
                                  parsed.error, sizeof parsed.error);
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
    refused("--no-configure",
            "--no-configure goes with --check-config: give both, or leave it out");
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

static void test_bad_usage(void **state) {
    (void)state;
    refused("--frobnicate", "unknown option --frobnicate: --help-all lists the options");
    refused("-frobnicate", "unknown option -frobnicate: --help-all lists the options");
    refused("--frobnicate=1", "unknown option --frobnicate=1: --help-all lists the options");
    refused("-x", "unknown option -x: --help-all lists the options");
    refused("--socketmode 1", "unknown option --socketmode: --help-all lists the options");
    refused(
        "--pr 1",
        "--pr is short for more than one option: --prefetch, --priority, --protocol, --print-conf");
    refused("--max=1", "--max=1 is short for more than one option: --max-connections, "
                       "--max-instances, --max-events, --max-frame, --max-config, "
                       "--max-memory");
    refused("--phases", "--phases: its argument LIST is missing");
    refused("--dump -p", "--kong-prefix: its argument DIR is missing");
    refused("--dump=json", "--dump takes no argument: --dump=json");
    refused("serve",
            "unexpected argument \"serve\": all settings are options, --help-all lists them");
    refused("--dump extra --help",
            "unexpected argument \"extra\": all settings are options, --help-all lists them");
    refused("-- --dump",
            "unexpected argument \"--dump\": all settings are options, --help-all lists them");
    refused("-", "unexpected argument \"-\": all settings are options, --help-all lists them");
    /* the first mistake is told; strings that were taken before are gone */
    refused("--socket /a --socket-group g --what --phases log",
            "unknown option --what: --help-all lists the options");
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
    parse_as(&parsed, argv0, "--status --quiet");
    assert_int_equal(parsed.result, 0);
    assert_true(parsed.options.quiet && !parsed.options.json && !parsed.options.watch);
    options_free(&parsed.options);
    refused("--env", "--env goes with --print-conf: give both, or leave it out");
    refused("--dump --docker", "--docker goes with --print-conf: give both, or leave it out");
    refused("--json", "--json goes with --status: give both, or leave it out");
    refused("--lua", "--lua goes with --dump: give both, or leave it out");
    refused("--kong-conf x", "--kong-conf goes with --doctor: give both, or leave it out");
    refused("--admin-url http://x --status",
            "--admin-url goes with --doctor: give both, or leave it out");
    refused("--role data_plane", "--role goes with --print-conf: give both, or leave it out");
    refused("--replace-upstream-header",
            "--replace-upstream-header goes with --print-conf: give both, or leave it out");
    refused("--status --json=yes", "--json takes no argument: --json=yes");
}

static void test_errors_are_one_line(void **state) {
    char line[400] = "--log-level=";
    struct parsed parsed;
    char argv0[] = EXECUTABLE;

    (void)state;
    refused("--wh\nat\x1b[2J", "unknown option --wh\\x0Aat\\x1B[2J: --help-all lists the options");
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

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),      cmocka_unit_test(test_socket_path),
        cmocka_unit_test(test_no_name),       cmocka_unit_test(test_program_name),
        cmocka_unit_test(test_actions),       cmocka_unit_test(test_contradictions),
        cmocka_unit_test(test_checked_texts), cmocka_unit_test(test_bad_usage),
        cmocka_unit_test(test_status),        cmocka_unit_test(test_errors_are_one_line),
        cmocka_unit_test(test_short_forms),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
