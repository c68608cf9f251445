#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "options_rig.h"
#include "options_table.h"

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
                assert_true(options_belongs(&option_rows[i], OPTION_FOR_START));
            }
        if (strcmp(option_rows[i].name, "phases") == 0)
            assert_true(options_belongs(&option_rows[i], OPTION_FOR_QUERY));
        if (strcmp(option_rows[i].name, "kong-version") == 0) {
            assert_true(options_belongs(&option_rows[i], OPTION_FOR_START));
            assert_true(options_belongs(&option_rows[i], OPTION_FOR_QUERY));
            assert_string_equal(options_show(&option_rows[i], &options, scratch, sizeof scratch),
                                "any");
        } else {
            bool query = options_belongs(&option_rows[i], OPTION_FOR_QUERY);
            assert_false(query && options_belongs(&option_rows[i], OPTION_FOR_START));
        }
        if (strcmp(option_rows[i].name, "status") == 0)
            assert_true(options_belongs(&option_rows[i], OPTION_FOR_A_PERSON));
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
    assert_int_equal(values_of("").kong_major, 0);
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
    assert_int_equal(values_of("--stall-timeout 0").stall_ms, 0);
    /* Kong gives up after 60 s, and on MsgPack:1 the request passes a plugin that fails closed. */
    assert_in_range(values_of("").stall_ms, 1, 57000);
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
    struct plugin place;
    const struct plugins plugins = one_plugin(&place, &careless, NULL);
    struct options options;
    char error[200];
    char *safe[] = {(char[]){"x"}, (char[]){"--threads"}, (char[]){"1"}, NULL};
    char *several[] = {(char[]){"x"}, (char[]){"--threads"}, (char[]){"2"}, NULL};

    (void)state;
    assert_int_equal(options_parse(&options, &plugins, 3, safe, error, sizeof error), 0);
    options_free(&options);
    assert_int_equal(options_parse(&options, &plugins, 3, several, error, sizeof error), -1);
    assert_string_equal(error,
                        "--threads 2: the plugin does not say that it is thread-safe (.thread_safe "
                        "of its struct kong_plugin): one thread only");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_show),       cmocka_unit_test(test_values),
        cmocka_unit_test(test_seconds),    cmocka_unit_test(test_bytes),
        cmocka_unit_test(test_phases),     cmocka_unit_test(test_bad_phases),
        cmocka_unit_test(test_bad_values), cmocka_unit_test(test_bad_numbers),
        cmocka_unit_test(test_threads),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
