/* A server process that begins with somebody in quarantine: what its events get, on either
 * protocol, until the time is over. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "identity.h"
#include "rig.h"
#include "running.h"
#include "stats.h"

#define CONFIG "{\"mode\":\"wait\",\"count\":1,\"__seq__\":2}" /* rig_instance's */
#define ACCESS ((int32_t)KONG_PHASE_ACCESS)

static enum protocol protobuf = PROTOCOL_PROTOBUF;
static enum protocol msgpack = PROTOCOL_MSGPACK;

static uint64_t now_ms(void) {
    return clock_ms();
}

static void pause_until(uint64_t ms) {
    while (now_ms() < ms) {
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
}

/* As a supervisor leaves it behind, with one entry. */
static void put_in(struct running *running, int32_t phase, uint64_t watched_until,
                   uint64_t refused_until) {
    *running = (struct running){.restarts = 0};
    running->quarantine.handler_count = 1;
    running->quarantine.handlers[0] =
        (struct quarantine_handler){.config = config_identity(kong_str(CONFIG)),
                                    .phase = phase,
                                    .watched_until = watched_until,
                                    .refused_until = refused_until};
}

static void put_request_in(struct running *running, const char *id) {
    struct quarantine_request *request = &running->quarantine.requests[0];
    running->quarantine.request_count = 1;
    *request = (struct quarantine_request){.config = running->quarantine.handlers[0].config,
                                           .phase = ACCESS,
                                           .until = UINT64_MAX,
                                           .refused = true};
    snprintf(request->id, sizeof request->id, "%s", id);
}

static enum sim_event_outcome event_of(struct rig *rig, int64_t id, const char *request_id) {
    rig_fresh(rig);
    rig->pdk->request_id = kong_str(request_id);
    return sim_client_event(rig->client, id, "access", NULL);
}

static size_t asked(const struct rig *rig) {
    return rig->pdk->called[PDK_NGINX_GET_VAR];
}

/* The log line in Kong's log that has this text; NULL. */
static const char *told(const struct rig *rig, const char *text) {
    for (size_t i = 0; i < rig->pdk->log_count; i++) {
        if (strstr(rig->pdk->logs[i].text.data, text) != NULL) {
            return rig->pdk->logs[i].level.data;
        }
    }
    return NULL;
}

static void a_request_is_refused_alone(void **state) {
    struct rig rig;
    struct running running;
    struct sim_server_options options = {.running = &running, .plugin = &rig_closed_plugin};
    put_in(&running, ACCESS, UINT64_MAX, 0);
    put_request_in(&running, "poison");
    rig_start(&rig, protocol_of(state), &options);
    int64_t id = rig_instance(&rig, "wait", 1);
    for (unsigned i = 1; i <= 3; i++) { /* each time it is told of */
        assert_int_equal(event_of(&rig, id, "poison"), SIM_EVENT_EXITED);
        assert_int_equal(rig.pdk->client.status, 500);
        assert_string_equal(told(&rig, "rig: access refused: this request has crashed"), "err");
        assert_int_equal(asked(&rig), 1);
        assert_int_equal(event_of(&rig, id, "innocent"), SIM_EVENT_OK);
        assert_string_equal(rig_header(&rig, "X-Out"), "in");
        assert_int_equal(asked(&rig), 1);
        assert_int_equal(atomic_load(&running.quarantine.handlers[0].survived), i);
    }
    assert_int_equal(rig_status(&rig, "EventsRefused"), 3);
    rig_stop(&rig);
}

static void a_watch_ends(void **state) {
    struct rig rig;
    struct running running;
    struct sim_server_options options = {.running = &running};
    uint64_t until = now_ms() + 1500;
    put_in(&running, ACCESS, until, 0);
    rig_start(&rig, protocol_of(state), &options);
    int64_t id = rig_instance(&rig, "wait", 1);
    assert_int_equal(event_of(&rig, id, "innocent"), SIM_EVENT_OK);
    assert_true(asked(&rig) == 1 || now_ms() >= until);
    pause_until(until);
    assert_int_equal(event_of(&rig, id, "innocent"), SIM_EVENT_OK);
    assert_int_equal(asked(&rig), 0);
    rig_stop(&rig);
}

static void a_quarantine_ends(void **state) {
    struct rig rig;
    struct running running;
    struct sim_server_options options = {.running = &running, .plugin = &rig_closed_plugin};
    uint64_t until = now_ms() + 1500;
    put_in(&running, ACCESS, until, until);
    rig_start(&rig, protocol_of(state), &options);
    int64_t id = rig_instance(&rig, "wait", 1);
    enum sim_event_outcome outcome = event_of(&rig, id, "innocent");
    if (now_ms() < until) {
        assert_int_equal(outcome, SIM_EVENT_EXITED);
        assert_int_equal(rig.pdk->client.status, 500);
        assert_string_equal(told(&rig, "rig: access refused: this handler has crashed"), "err");
        assert_int_equal(asked(&rig), 0);
    }
    pause_until(until);
    assert_int_equal(event_of(&rig, id, "innocent"), SIM_EVENT_OK);
    rig_stop(&rig);
}

/* The instance that could not be configured gives way to another. */
static void a_quarantine_of_configure_ends(void **state) {
    struct rig rig;
    struct running running;
    struct sim_server_options options = {.running = &running};
    uint64_t until = now_ms() + 2500;
    put_in(&running, QUARANTINE_CONFIGURE, until, until);
    rig_start(&rig, protocol_of(state), &options);
    int64_t id = rig_instance(&rig, "wait", 1);
    if (now_ms() < until) { /* else this machine was too slow to see it */
        assert_int_equal(event_of(&rig, id, "innocent"), SIM_EVENT_OK);
        assert_string_equal(told(&rig, "rig: configuration refused: configure has crashed"), "err");
        assert_null(rig_header(&rig, "X-Out"));
        pause_until(until);
        assert_int_equal(event_of(&rig, id, "innocent"), SIM_EVENT_OK);
        assert_int_equal(event_of(&rig, id, "innocent"), SIM_EVENT_NO_INSTANCE);
        id = rig_instance(&rig, "wait", 1);
        assert_int_equal(event_of(&rig, id, "innocent"), SIM_EVENT_OK);
        assert_string_equal(rig_header(&rig, "X-Out"), "in");
    }
    rig_stop(&rig);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        RIG_TESTS(a_request_is_refused_alone),
        RIG_TESTS(a_watch_ends),
        RIG_TESTS(a_quarantine_ends),
        RIG_TESTS(a_quarantine_of_configure_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
