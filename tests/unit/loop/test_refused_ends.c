/* Ends of requests that are refused: the handler has failed, whatever it returns. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "rig.h"

/* Returns 0, though no exit was sent. */
static int exit_in_vain(struct kong *kong, const void *config) {
    (void)config;
    kong_response_exit(kong, 1000, kong_str("denied"), kong_nil());
    return 0;
}

/* Set before the server starts. */
static struct {
    const char *method;
    const struct kong_value *args; /* one; NULL: none is there, though the call says so */
} in_vain;

static int call_in_vain(struct kong *kong, const void *config) {
    (void)config;
    kong_call(kong, in_vain.method, in_vain.args, 1, NULL);
    return 0;
}

/* Below 400, and on ProtoBuf:1 there is no such function. */
static int error_in_vain(struct kong *kong, const void *config) {
    (void)config;
    kong_response_error(kong, 200, "denied", kong_nil());
    return 0;
}

static int exit_late(struct kong *kong, const void *config) {
    exit_in_vain(kong, config);
    kong_response_exit(kong, 403, kong_str("denied"), kong_nil());
    return 0;
}

/* What a handler calls an exit with may come from the client: a request that was to end does not go
 * on because Kong would not take the exit, and the handler did not look. */
static void exits_in_vain(void **state) {
    const struct kong_value too_high = kong_integer(1000);
    const struct kong_value too_low = kong_integer(200);
    const struct {
        kong_handler *handler;
        enum kong_on_error on_error;
        enum sim_event_outcome outcome;
        int status;
        size_t lines;
        const char *method; /* of call_in_vain */
        const struct kong_value *args;
    } rows[] = {
        {exit_in_vain, KONG_FAIL_CLOSED, SIM_EVENT_EXITED, 500, 1, NULL, NULL},
        {exit_in_vain, KONG_FAIL_OPEN, SIM_EVENT_OK, 0, 1, NULL, NULL},
        {call_in_vain, KONG_FAIL_CLOSED, SIM_EVENT_EXITED, 500, 1, "kong.response.exit", &too_high},
        {call_in_vain, KONG_FAIL_CLOSED, SIM_EVENT_EXITED, 500, 1, "kong.response.exit", NULL},
        {error_in_vain, KONG_FAIL_CLOSED, SIM_EVENT_EXITED, 500, 1, NULL, NULL},
        {call_in_vain, KONG_FAIL_CLOSED, SIM_EVENT_EXITED, 500, 1, "kong.response.error", &too_low},
        {exit_late, KONG_FAIL_CLOSED, SIM_EVENT_EXITED, 403, 0, NULL, NULL}};
    for (size_t i = 0; i < LENGTH(rows); i++) {
        const struct kong_plugin plugin = {.name = "rig",
                                           .version = "1.0",
                                           .on_error = rows[i].on_error,
                                           .handlers = {[KONG_PHASE_ACCESS] = rows[i].handler}};
        struct sim_server_options options = {.plugin = &plugin};
        struct rig rig;
        struct sim_event event;
        int64_t id;
        in_vain.method = rows[i].method;
        in_vain.args = rows[i].args;
        rig_start(&rig, protocol_of(state), &options);
        assert_int_equal(sim_client_start(rig.client, "rig", "{}", &id), SIM_EVENT_OK);
        assert_event(&rig, id, &event, rows[i].outcome);
        assert_int_equal(rig.pdk->client.status, rows[i].status);
        assert_int_equal(rig.pdk->log_count, rows[i].lines);
        if (rows[i].handler == exit_in_vain) {
            assert_string_equal(rig.pdk->logs[0].text.data,
                                "rig: access failed: kong.response.exit: the status must be 200 to "
                                "599, not 1000");
        }
        rig_stop(&rig);
    }
}

static int exit_only(struct kong *kong, const void *config) {
    (void)config;
    kong_response_exit(kong, 403, kong_str("denied"), kong_nil());
    return 0;
}

/* Also where no exit is possible: somebody reads that it did nothing. */
static void exits_in_log(void **state) {
    static const struct kong_plugin plugin = {
        .name = "rig", .version = "1.0", .handlers = {[KONG_PHASE_LOG] = exit_only}};
    struct sim_server_options options = {.plugin = &plugin};
    struct rig rig;
    struct sim_event event;
    int64_t id;
    rig_start(&rig, protocol_of(state), &options);
    assert_int_equal(sim_client_start(rig.client, "rig", "{}", &id), SIM_EVENT_OK);
    assert_true(sim_pdk_set_phase(rig.pdk, KONG_PHASE_LOG));
    assert_int_equal(sim_client_event(rig.client, id, "log", &event), SIM_EVENT_OK);
    assert_int_equal(rig.pdk->log_count, 1);
    assert_string_equal(rig.pdk->logs[0].text.data,
                        "rig: log failed: kong.response.exit: Kong does not allow it in the phase "
                        "log, only in rewrite, access, response, header_filter, preread; not sent");
    rig_stop(&rig);
}

int main(void) {
    static enum protocol protobuf = PROTOCOL_PROTOBUF;
    static enum protocol msgpack = PROTOCOL_MSGPACK;
    const struct CMUnitTest tests[] = {
        RIG_TESTS(exits_in_vain),
        RIG_TESTS(exits_in_log),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
