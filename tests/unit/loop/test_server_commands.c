/* Commands of the running server, and peers that are no Kong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "limit.h"
#include "rig.h"
#include "value.h"

static enum sim_event_outcome command(struct rig *rig, struct rpc_call call,
                                      struct rpc_reply *reply, const char **text) {
    arena_reset(&rig->arena);
    return sim_client_command(rig->client, &call, &rig->arena, reply, text);
}

static void names_and_info(void **state) {
    struct rig rig;
    struct rpc_reply reply;
    rig_start(&rig, protocol_of(state), NULL);
    assert_int_equal(command(&rig, (struct rpc_call){.command = RPC_PLUGIN_NAMES}, &reply, NULL),
                     SIM_EVENT_OK);
    assert_int_equal(reply.kind, RPC_REPLY_NAMES);
    assert_int_equal(reply.name_count, 1);
    assert_string_equal(reply.names[0].data, "rig");
    assert_int_equal(command(&rig,
                             (struct rpc_call){.command = RPC_PLUGIN_INFO, .name = kong_str("rig")},
                             &reply, NULL),
                     SIM_EVENT_OK);
    assert_int_equal(reply.kind, RPC_REPLY_INFO);
    assert_string_equal(reply.info.name.data, "rig");
    assert_string_equal(reply.info.version.data, "1.2.3");
    assert_int_equal(reply.info.priority, 7);
    assert_int_equal(reply.info.phase_count, 4);
    assert_string_equal(reply.info.phases[0].data, "rewrite");
    assert_non_null(strstr(reply.info.schema.data, "\"mode\""));
    rig_stop(&rig);
}

static void instances(void **state) {
    struct rig rig;
    struct rpc_reply reply;
    struct sim_event event;
    rig_start(&rig, protocol_of(state), NULL);
    int64_t first = rig_instance(&rig, "post", 1);
    int64_t second = rig_instance(&rig, "post", 2);
    assert_true(first != second);
    assert_int_equal(rig_notes()->configured, 2);
    assert_int_equal(
        command(&rig, (struct rpc_call){.command = RPC_INSTANCE_STATUS, .instance_id = second},
                &reply, NULL),
        SIM_EVENT_OK);
    assert_int_equal(reply.kind, RPC_REPLY_INSTANCE);
    assert_int_equal(reply.instance.id, second);
    assert_string_equal(reply.instance.name.data, "rig");
    assert_true(reply.instance.started_at > 1.7e9);
    assert_int_equal(sim_client_stop(rig.client, first), SIM_EVENT_OK);
    assert_int_equal(rig_notes()->destroyed, 1);
    assert_int_equal(rig_event(&rig, second, &event), SIM_EVENT_OK);
    assert_int_equal(rig.pdk->client.headers.count, 2);
    /* Closing what is gone is no error: Kong could do nothing about one. */
    assert_int_equal(sim_client_stop(rig.client, first), SIM_EVENT_OK);
    assert_int_equal(sim_client_stop(rig.client, 12345), SIM_EVENT_OK);
    assert_int_equal(rig_notes()->destroyed, 1);
    rig_stop(&rig);
}

/* The status of an instance that is not there: an error text; where the protocol has none, an
 * answer without a status, which Kong takes for a failure. */
static void status_of_none(void **state) {
    struct rig rig;
    struct rpc_reply reply;
    const char *text = NULL;
    rig_start(&rig, protocol_of(state), NULL);
    enum sim_event_outcome outcome = command(
        &rig, (struct rpc_call){.command = RPC_INSTANCE_STATUS, .instance_id = 77}, &reply, &text);
    if (rig.protocol == PROTOCOL_PROTOBUF) {
        assert_int_equal(outcome, SIM_EVENT_OK);
        assert_int_equal(reply.kind, RPC_REPLY_RETURN);
    } else {
        assert_int_equal(outcome, SIM_EVENT_ERROR);
        assert_string_equal(text, "this instance is not running");
    }
    rig_alive(&rig);
    assert_int_equal(sim_client_counts(rig.client)->connections, 1);
    rig_stop(&rig);
}

/* A start that the plugin's schema refuses must not fail: Kong 2.8.5 hangs for ever after one. Its
 * events fail. A start for another plugin, and unknown commands, are refused. */
static void refused(void **state) {
    struct rig rig;
    struct rpc_reply reply;
    struct sim_event event;
    const char *text = NULL;
    int64_t id = 0;
    rig_start(&rig, protocol_of(state), NULL);
    bool protobuf = rig.protocol == PROTOCOL_PROTOBUF;
    static const char *const configs[] = {"{\"count\":\"many\"}", "{", "", "[1]", "7"};
    for (size_t i = 0; i < LENGTH(configs); i++) {
        assert_int_equal(sim_client_start(rig.client, "rig", configs[i], &id), SIM_EVENT_OK);
        rig_event(&rig, id, &event);
        if (event.outcome != SIM_EVENT_OK) {
            fail_msg("%s: %s", configs[i], sim_event_outcome_name(event.outcome));
        }
        assert_int_equal(rig.pdk->log_count, 1);
        assert_string_equal(rig.pdk->logs[0].level.data, "err");
        assert_non_null(strstr(rig.pdk->logs[0].text.data, "rig: configuration refused: "));
    }
    enum sim_event_outcome outcome = command(&rig,
                                             (struct rpc_call){.command = RPC_START_INSTANCE,
                                                               .name = kong_str("other"),
                                                               .config = kong_str("{}")},
                                             &reply, &text);
    assert_int_equal(outcome, protobuf ? SIM_EVENT_OK : SIM_EVENT_ERROR);
    assert_true(!protobuf || reply.kind == RPC_REPLY_RETURN);
    assert_true(protobuf || strcmp(text, "unknown plugin: other") == 0);
    outcome = command(
        &rig, (struct rpc_call){.command = RPC_UNKNOWN, .method = kong_str("plugin.NoSuch")},
        &reply, &text);
    assert_int_equal(outcome, protobuf ? SIM_EVENT_OK : SIM_EVENT_ERROR);
    assert_true(protobuf || strcmp(text, "unknown command: plugin.NoSuch") == 0);
    rig_alive(&rig);
    assert_int_equal(sim_client_counts(rig.client)->connections, 1);
    rig_stop(&rig);
}

static void status_over_msgpack(void **state) {
    struct rig rig;
    struct rpc_reply reply;
    struct sim_event event;
    (void)state;
    rig_start(&rig, PROTOCOL_MSGPACK, NULL);
    int64_t id = rig_instance(&rig, "post", 1);
    assert_int_equal(rig_event(&rig, id, &event), SIM_EVENT_OK);
    assert_int_equal(command(&rig, (struct rpc_call){.command = RPC_GET_STATUS}, &reply, NULL),
                     SIM_EVENT_OK);
    assert_int_equal(reply.kind, RPC_REPLY_STATUS);
    const struct kong_value *pid = value_get(&reply.status, "Pid");
    assert_non_null(pid);
    assert_int_equal(pid->integer, getpid());
    const struct kong_value *plugins = value_get(&reply.status, "Plugins");
    const struct kong_value *plugin = plugins == NULL ? NULL : value_get(plugins, "rig");
    assert_non_null(plugin);
    assert_int_equal(value_get(plugin, "Instances")->integer, 1);
    assert_int_equal(value_get(plugin, "EventsStarted")->integer, 1);
    assert_int_equal(value_get(plugin, "EventsRunning")->integer, 0);
    rig_stop(&rig);
}

/* Kong drops its instances when the pid changes: it must hear it before any answer, on each
 * connection. */
static void server_pid_first(void **state) {
    struct rig rig;
    struct sim_event event;
    (void)state;
    rig_start(&rig, PROTOCOL_MSGPACK, NULL);
    int64_t id = rig_instance(&rig, "mixed", 1);
    sim_client_behaviour(rig.client)->connections = 8;
    for (int i = 0; i < 4; i++) {
        assert_int_equal(rig_event(&rig, id, &event), SIM_EVENT_OK);
    }
    const struct sim_client_counts *counts = sim_client_counts(rig.client);
    assert_int_equal(counts->connections, 8);
    assert_int_equal(counts->without_pid, 0);
    assert_int_equal(counts->server_pid, getpid());
    assert_int_equal(counts->pid_changes, 0);
    rig_stop(&rig);
}

/* A Step for an event that does not exist, most likely of another server, and bytes that are well
 * formed but no request. */
static void stray_steps(void **state) {
    /* [0, 7, "plugin.Step", [{"EventId": 99, "Data": 1}]] */
    static const char step[] = "\x94\x00\x07\xabplugin.Step\x91\x82\xa7"
                               "EventId\x63\xa4"
                               "Data\x01";
    /* [0, 8, "plugin.HandleEvent", []]: an argument is missing */
    static const char bare[] = "\x94\x00\x08\xb2plugin.HandleEvent\x90";
    struct rig rig;
    char out[512];
    bool closed = false;
    (void)state;
    rig_start(&rig, PROTOCOL_MSGPACK, NULL);
    ssize_t n = sim_client_raw(rig.client, step, sizeof step - 1, 200, out, sizeof out, &closed);
    assert_true(n > 0 && !closed);
    assert_true(memmem(out, (size_t)n, "the server that had the event is gone", 37) != NULL ||
                memmem(out, (size_t)n, "no such event", 13) != NULL);
    n = sim_client_raw(rig.client, bare, sizeof bare - 1, 200, out, sizeof out, &closed);
    assert_true(n > 0 && !closed);
    assert_non_null(memmem(out, (size_t)n, "\x94\x01\x08", 3));
    rig_alive(&rig);
    rig_stop(&rig);
}

/* Both protocols come in by one socket, at the same time. */
static void both_at_once(void **state) {
    struct rig rig;
    struct sim_event event;
    (void)state;
    rig_start(&rig, PROTOCOL_PROTOBUF, NULL);
    int64_t id = rig_instance(&rig, "mixed", 1);
    rig.protocol = PROTOCOL_MSGPACK;
    struct sim_client *other = rig_client(&rig, 10000);
    for (int i = 0; i < 20; i++) {
        assert_int_equal(rig_event(&rig, id, &event), SIM_EVENT_OK);
        rig_fresh(&rig);
        assert_int_equal(sim_client_event(other, id, "access", &event), SIM_EVENT_OK);
        assert_string_equal(rig_header(&rig, "X-C"), "in");
    }
    sim_client_destroy(other);
    rig_stop(&rig);
}

/* --- Bytes of peers that are no Kong --- */

struct bytes {
    const char *what;
    const char *data;
    size_t len;
    bool waits; /* no harm in it, or it could be the start of something: the connection lives */
};

#define BYTES(what, data, waits)                                                                   \
    { what, data, sizeof(data) - 1, waits }

static const struct bytes hostile[] = {
    BYTES("HTTP", "GET / HTTP/1.1\r\nHost: x\r\n\r\n", false),
    BYTES("TLS", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", false),
    BYTES("a frame of 4 GiB", "\xff\xff\xff\xff\x08\x01", false),
    BYTES("a first frame above 8 MiB", "\x01\x00\x80\x00\x08\x01", false),
    BYTES("an empty RpcCall, which is an unknown command", "\x00\x00\x00\x00", true),
    BYTES("a frame that is no message", "\x04\x00\x00\x00\xff\xff\xff\xff", false),
    BYTES("a field cut short", "\x03\x00\x00\x00\xa2\x02\x7f", false),
    BYTES("half a length", "\x0f\x00", true),
    BYTES("half a frame", "\x0f\x00\x00\x00\x08\x03", true),
    BYTES("msgpack: an array of 67 million", "\x94\x00\x01\xdd\x04\x00\x00\x00", false),
    BYTES("msgpack: a string of 4 GiB", "\x94\x00\x01\xdb\xff\xff\xff\xff", false),
    BYTES("msgpack: the reserved byte", "\x94\x00\x01\xc1", false),
    BYTES("msgpack: half a request", "\x94\x00\x01\xb2plugin.", true),
    BYTES("msgpack: a response", "\x94\x01\x01\xc0\xc0", false),
};

static void hostile_bytes(void **state) {
    struct rig rig;
    (void)state;
    rig_start(&rig, PROTOCOL_PROTOBUF, NULL);
    for (size_t i = 0; i < LENGTH(hostile); i++) {
        char out[512];
        bool closed = false;
        ssize_t n = sim_client_raw(rig.client, hostile[i].data, hostile[i].len,
                                   hostile[i].waits ? 100 : 5000, out, sizeof out, &closed);
        if (n < 0 || closed == hostile[i].waits) {
            fail_msg("%s: %s, %zd bytes", hostile[i].what, closed ? "closed" : "open", n);
        }
        rig_alive(&rig);
    }
    /* Nesting: 100,000 arrays in one another. */
    char *deep = malloc(100003);
    char out[512];
    bool closed = false;
    assert_non_null(deep);
    memset(deep, '\x91', 100003);
    memcpy(deep, "\x94\x00\x01", 3);
    assert_true(sim_client_raw(rig.client, deep, 100003, 5000, out, sizeof out, &closed) >= 0);
    assert_true(closed);
    free(deep);
    rig_alive(&rig);
    rig_stop(&rig);
}

/* Connections that come and go without a word, by the hundred. */
static void silent_peers(void **state) {
    struct rig rig;
    int fds[200];
    rig_start(&rig, protocol_of(state), NULL);
    for (size_t i = 0; i < LENGTH(fds); i++) {
        fds[i] = sim_connect_unix(sim_server_path(rig.server));
        assert_true(fds[i] >= 0);
    }
    rig_alive(&rig);
    for (size_t i = 0; i < LENGTH(fds); i++) {
        close(fds[i]);
    }
    rig_alive(&rig);
    rig_stop(&rig);
}

/* At the limit of connections others wait, and get their turn. */
static void connection_limit(void **state) {
    struct rig rig;
    struct sim_server_options options = {.max_connections = 4};
    int fds[4];
    rig_start(&rig, protocol_of(state), &options);
    for (size_t i = 0; i < LENGTH(fds); i++) {
        fds[i] = sim_connect_unix(sim_server_path(rig.server));
        assert_true(fds[i] >= 0);
    }
    int64_t id = 0;
    struct sim_client *hasty = rig_client(&rig, 300);
    assert_int_equal(sim_client_start(hasty, "rig", "{}", &id), SIM_EVENT_TIMEOUT);
    sim_client_destroy(hasty);
    for (size_t i = 0; i < LENGTH(fds); i++) {
        close(fds[i]);
    }
    rig_alive(&rig);
    rig_stop(&rig);
}

/* At the limit of events the next one is refused as a failing one, and the one after it runs. */
static void event_limit(void **state) {
    struct rig rig;
    struct sim_event event;
    struct sim_server_options options = {.max_events = 2, .event_ms = 60000};
    (void)state;
    rig_start(&rig, PROTOCOL_MSGPACK, &options);
    int64_t id = rig_instance(&rig, "badphase", 1);
    assert_int_equal(rig_event(&rig, id, &event), SIM_EVENT_RAISED);
    assert_int_equal(rig_event(&rig, id, &event), SIM_EVENT_RAISED);
    assert_int_equal(rig_event(&rig, id, &event), SIM_EVENT_ERROR);
    assert_non_null(strstr(event.text, "too many events"));
    sim_client_destroy(rig.client);
    rig.client = NULL;
    rig_stop(&rig);
}

/* The socket is gone when the server ends, and nothing else is. */
static void socket_goes(void **state) {
    struct rig rig;
    struct stat status;
    char path[128];
    rig_start(&rig, protocol_of(state), NULL);
    snprintf(path, sizeof path, "%s", sim_server_path(rig.server));
    assert_int_equal(stat(path, &status), 0);
    assert_true(S_ISSOCK(status.st_mode));
    rig_alive(&rig);
    rig_stop(&rig);
    assert_int_equal(stat(path, &status), -1);
}

int main(void) {
    static enum protocol protobuf = PROTOCOL_PROTOBUF;
    static enum protocol msgpack = PROTOCOL_MSGPACK;
    const struct CMUnitTest tests[] = {
        RIG_TESTS(names_and_info),
        RIG_TESTS(instances),
        RIG_TESTS(status_of_none),
        RIG_TESTS(refused),
        RIG_TEST(status_over_msgpack, msgpack),
        RIG_TEST(server_pid_first, msgpack),
        RIG_TEST(stray_steps, msgpack),
        RIG_TEST(both_at_once, protobuf),
        RIG_TEST(hostile_bytes, protobuf),
        RIG_TESTS(silent_peers),
        RIG_TESTS(connection_limit),
        RIG_TEST(event_limit, msgpack),
        RIG_TESTS(socket_goes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
