/* What reaches Kong's error.log at its default level, and how often. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "event_report.h"
#include "log.h"
#include "notices.h"
#include "rig.h"
#include "running.h"

static enum protocol protobuf = PROTOCOL_PROTOBUF, msgpack = PROTOCOL_MSGPACK;

static void told_once_a_minute(void **state) {
    struct recurrence recurrence = {0};
    uint64_t times = 0;
    (void)state;
    assert_true(recurrence_due(&recurrence, 5, NOTICE_EVERY_NS, &times));
    assert_int_equal(times, 1);
    for (uint64_t i = 0; i < 99; i++) {
        assert_false(recurrence_due(&recurrence, 6 + i, NOTICE_EVERY_NS, &times));
    }
    assert_false(recurrence_due(&recurrence, NOTICE_EVERY_NS + 4, NOTICE_EVERY_NS, &times));
    assert_true(recurrence_due(&recurrence, NOTICE_EVERY_NS + 5, NOTICE_EVERY_NS, &times));
    assert_int_equal(times, 101);
    assert_false(recurrence_due(&recurrence, NOTICE_EVERY_NS + 6, NOTICE_EVERY_NS, &times));
    assert_true(recurrence_due(&recurrence, 3 * NOTICE_EVERY_NS, NOTICE_EVERY_NS, &times));
    assert_int_equal(times, 2);
}

static void only_so_many_wait(void **state) {
    static struct notices notices;
    char line[2 * NOTICE_SIZE];
    (void)state;
    memset(line, 'x', sizeof line);
    line[sizeof line - 1] = '\0';
    notices_add(&notices, "%s", line);
    assert_int_equal(strlen(notices.lines[0]), NOTICE_SIZE - 1);
    for (int i = 0; i < 20; i++) {
        notices_add(&notices, "%d", i);
    }
    assert_int_equal(notices.count, NOTICES_MOST);
    assert_string_equal(notices.lines[NOTICES_MOST - 1], "6");
}

/* Each failing instance has its line, with what it is for; a second event of it has none. */
static void failures_by_instance(void **state) {
    struct rig rig;
    struct sim_event event;
    rig_start(&rig, protocol_of(state), NULL);
    for (int i = 0; i < 3; i++) {
        char config[128];
        char wanted[128];
        int64_t id;
        snprintf(config, sizeof config, "{\"mode\":\"fail\",\"service_id\":\"s-%d\"}", i);
        snprintf(wanted, sizeof wanted, "rig: access failed: the plugin failed (service s-%d)", i);
        assert_int_equal(sim_client_start(rig.client, "rig", config, &id), SIM_EVENT_OK);
        for (int k = 0; k < 5; k++) {
            assert_event(&rig, id, &event, SIM_EVENT_OK);
            assert_int_equal(rig.pdk->log_count, k == 0);
            if (k == 0) {
                assert_string_equal(rig.pdk->logs[0].text.data, wanted);
            }
        }
    }
    assert_int_equal(rig_status(&rig, "EventsFailed"), 15);
    rig_stop(&rig);
}

/* A refused configuration says why, once; requests go on, or do not, as the plugin wants it. */
static void refused_configurations(void **state) {
    for (int closed = 0; closed < 2; closed++) {
        struct rig rig;
        struct sim_event event;
        struct sim_server_options options = {.plugin = closed ? &rig_closed_plugin : &rig_plugin};
        int64_t id;
        rig_start(&rig, protocol_of(state), &options);
        assert_int_equal(
            sim_client_start(rig.client, "rig", "{\"count\":\"many\",\"route_id\":\"r\"}", &id),
            SIM_EVENT_OK);
        for (int k = 0; k < 5; k++) {
            assert_event(&rig, id, &event, closed ? SIM_EVENT_EXITED : SIM_EVENT_OK);
            assert_int_equal(rig.pdk->log_count, k == 0);
            if (k == 0) {
                const char *text = rig.pdk->logs[0].text.data;
                assert_string_equal(rig.pdk->logs[0].level.data, "err");
                assert_ptr_equal(strstr(text, "rig: configuration refused: "), text);
                assert_non_null(strstr(text, "count"));
                assert_non_null(strstr(text, " (route r)"));
            }
            assert_true(!closed || rig.pdk->client.status == 500);
        }
        assert_int_equal(rig_status(&rig, "EventsRefused"), 5);
        assert_int_equal(rig_status(&rig, "EventsStarted"), 0);
        rig_stop(&rig);
    }
}

/* Found at the next tick, told with the next event, once. */
static void limits(void **state) {
    /* a tick came before the limit was reached a second time */
    static const char at_first[] =
        "rig: limit reached: max-instances (1 times so far; see --status)";
    struct rig rig;
    struct sim_event event;
    struct sim_server_options options = {.max_instances = 2};
    int64_t id = 0;
    size_t told = 0;
    rig_start(&rig, protocol_of(state), &options);
    for (int i = 0; i < 4; i++) {
        id = rig_instance(&rig, "wait", 1);
    }
    for (int i = 0; i < 40 && told == 0; i++) {
        nanosleep(&(struct timespec){.tv_nsec = 100000000}, NULL);
        assert_event(&rig, id, &event, SIM_EVENT_OK);
        told = rig.pdk->log_count;
    }
    assert_int_equal(told, 1);
    assert_string_equal(rig.pdk->logs[0].level.data, "err");
    if (strcmp(rig.pdk->logs[0].text.data, at_first) != 0) {
        assert_string_equal(rig.pdk->logs[0].text.data,
                            "rig: limit reached: max-instances (2 times so far; see --status)");
    }
    rig_instance(&rig, "wait", 1);
    nanosleep(&(struct timespec){.tv_sec = 1, .tv_nsec = 200000000}, NULL);
    id = rig_instance(&rig, "wait", 1);
    assert_event(&rig, id, &event, SIM_EVENT_OK);
    assert_int_equal(rig.pdk->log_count, 0);
    rig_stop(&rig);
}

static void restarts(void **state) {
    struct rig rig;
    struct sim_event event;
    struct running running = {
        .restarts = 3, .died_signal = 11, .died_instance = 77, .died_phase = KONG_PHASE_ACCESS};
    struct sim_server_options options = {.running = &running};
    rig_start(&rig, protocol_of(state), &options);
    int64_t id = rig_instance(&rig, "exit", 1);
    assert_event(&rig, id, &event, SIM_EVENT_EXITED); /* told before the handler ends the request */
    assert_int_equal(rig.pdk->log_count, 1);
    assert_string_equal(rig.pdk->logs[0].text.data,
                        "rig: the plugin server's process died of signal 11 in access of instance "
                        "77 and was started again (3 times so far)");
    id = rig_instance(&rig, "post", 0);
    assert_event(&rig, id, &event, SIM_EVENT_OK);
    assert_int_equal(rig.pdk->log_count, 0);
    rig_stop(&rig);
}

/* What was no phase of a request is named, and whose it was. */
static void restarts_of_others(void **state) {
    static const struct {
        int32_t phase, instance;
        const char *wanted;
    } rows[] = {
        {QUARANTINE_CONFIGURE, 0,
         "two: the plugin server's process died of signal 11 in configure and was started again (1 "
         "times so far)"},
        {QUARANTINE_JOB, 3,
         "two: the plugin server's process died of signal 11 in job 3 and was started again (1 "
         "times so far)"},
        {RUNNING_NONE, 0,
         "program: the plugin server's process died of signal 11 between two handlers and was "
         "started again (1 times so far)"},
    };
    static const struct kong_plugin one = {.name = "one"}, two = {.name = "two"};
    static const struct kong_plugin *const list[] = {&one, &two};
    struct plugins plugins;
    (void)state;
    assert_int_equal(plugins_init(&plugins, "program", list, 2), 0);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct running running = {.restarts = 1,
                                  .died_signal = 11,
                                  .died_plugin = 1,
                                  .died_instance = rows[i].instance,
                                  .died_phase = rows[i].phase};
        struct notices notices = {.count = 0};
        char line[NOTICE_SIZE];
        notice_restart(&notices, &plugins, &running);
        assert_true(notices_take(&notices, line));
        assert_string_equal(line, rows[i].wanted);
    }
    plugins_free(&plugins);
}

/* --- the id of the request in our own lines --- */

static int fail_knowing(struct kong *kong, const void *config) {
    struct kong_str id;
    (void)config;
    int error = kong_nginx_get_var(kong, "kong_request_id", &id);
    return error != 0 ? error : KONG_E_FAILED;
}

static const struct kong_plugin knowing = {
    .name = "rig", .version = "1.0", .handlers = {[KONG_PHASE_ACCESS] = fail_knowing}};

static void request_id(void **state) {
    struct rig rig;
    struct sim_event event;
    int ends[2];
    int64_t id;
    static char said[4096];
    assert_int_equal(pipe(ends), 0);
    struct log *log = log_create(ends[1], LOG_LEVEL_WARN, "rig");
    struct sim_server_options options = {.plugin = &knowing, .log = log};
    rig_start(&rig, protocol_of(state), &options);
    assert_int_equal(sim_client_start(rig.client, "rig", "{}", &id), SIM_EVENT_OK);
    rig_fresh(&rig);
    assert_true(sim_pdk_set_json(rig.pdk, &rig.pdk->ngx_vars, "{\"kong_request_id\":\"4a5b6c\"}"));
    assert_int_equal(sim_client_event(rig.client, id, "access", &event), SIM_EVENT_OK);
    rig_stop(&rig);
    ssize_t len = read(ends[0], said, sizeof said - 1);
    assert_true(len > 0);
    assert_non_null(strstr(said, "access failed: the plugin failed (request 4a5b6c)\n"));
    log_destroy(log);
    close(ends[0]);
    close(ends[1]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(told_once_a_minute),
        cmocka_unit_test(only_so_many_wait),
        RIG_TESTS(failures_by_instance),
        RIG_TESTS(refused_configurations),
        RIG_TESTS(limits),
        RIG_TESTS(restarts),
        cmocka_unit_test(restarts_of_others),
        RIG_TESTS(request_id),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
