/* Several plugins in one server: each is found by its name, and has its own of everything. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "log.h"
#include "msgpack_peer.h"
#include "process_peer.h"
#include "protobuf_rpc.h"
#include "rig.h"
#include "scratch.h"
#include "three.h"
#include "value.h"

static const struct sim_server_options three = {.plugins = three_plugins, .plugin_count = 3};

static int64_t start(struct rig *rig, const char *plugin, const char *config) {
    int64_t id = 0;
    assert_int_equal(sim_client_start(rig->client, plugin, config, &id), SIM_EVENT_OK);
    return id;
}

/* --- Names --- */

static void each_is_started_by_its_name(void **state) {
    struct rig rig;
    struct sim_event event;
    rig_start(&rig, protocol_of(state), &three);
    int64_t first = start(&rig, "three-open", "{}");
    int64_t second = start(&rig, "three-closed", "{}");
    int64_t third = start(&rig, "three-rough", "{\"word\":\"third\"}");
    assert_event(&rig, first, &event, SIM_EVENT_OK);
    assert_string_equal(rig_header(&rig, "X-First"), "first");
    assert_null(rig_header(&rig, "X-Second"));
    assert_event(&rig, third, &event, SIM_EVENT_OK);
    assert_string_equal(rig_header(&rig, "X-Third"), "third");
    for (int i = 1; i <= 2; i++) { /* its own data: the others' events do not count */
        char count[16];
        snprintf(count, sizeof count, "%d", i);
        assert_event(&rig, second, &event, SIM_EVENT_OK);
        assert_string_equal(rig_header(&rig, "X-Second"), count);
        assert_event(&rig, first, &event, SIM_EVENT_OK);
    }
    assert_int_equal(sim_client_stop(rig.client, second), SIM_EVENT_OK);
    rig_stop(&rig);
}

static void other_names_are_refused(void **state) {
    static const char *const names[] = {"", "three", "three-openx", "three-ope", "rig"};
    struct rig rig;
    struct sim_event event;
    rig_start(&rig, protocol_of(state), &three);
    for (size_t i = 0; i < LENGTH(names); i++) {
        int64_t id = 0;
        assert_int_not_equal(sim_client_start(rig.client, names[i], "{}", &id), SIM_EVENT_OK);
        const char *wanted =
            rig.protocol == PROTOCOL_MSGPACK ? "unknown plugin" : "no instance in the answer";
        if (strstr(sim_client_text(rig.client), wanted) == NULL) {
            fail_msg("%s: %s", names[i], sim_client_text(rig.client));
        }
    }
    assert_event(&rig, start(&rig, "three-open", "{}"), &event, SIM_EVENT_OK);
    rig_stop(&rig);
}

static void kong_is_told_of_each(void **state) {
    struct rig rig;
    struct rpc_call call = {.command = RPC_PLUGIN_NAMES};
    struct rpc_reply reply;
    rig_start(&rig, protocol_of(state), &three);
    assert_int_equal(sim_client_command(rig.client, &call, &rig.arena, &reply, NULL), SIM_EVENT_OK);
    assert_int_equal(reply.name_count, 3);
    for (size_t i = 0; i < 3; i++) {
        const struct kong_plugin *plugin = three_plugins[i];
        assert_true(kong_str_equal(reply.names[i], kong_str(plugin->name)));
        struct rpc_call ask = {.command = RPC_PLUGIN_INFO, .name = kong_str(plugin->name)};
        struct rpc_reply info;
        assert_int_equal(sim_client_command(rig.client, &ask, &rig.arena, &info, NULL),
                         SIM_EVENT_OK);
        assert_true(kong_str_equal(info.info.version, kong_str(plugin->version)));
        assert_int_equal(info.info.priority, plugin->priority);
    }
    rig_stop(&rig);
}

/* --- What happens when one fails --- */

static void each_fails_as_it_says(void **state) {
    struct rig rig;
    struct sim_event event;
    rig_start(&rig, protocol_of(state), &three);
    /* the word is no string: a configuration that is refused */
    int64_t open = start(&rig, "three-open", "{\"word\":1}");
    int64_t closed = start(&rig, "three-closed", "{}");
    assert_event(&rig, open, &event, SIM_EVENT_OK);
    assert_false(rig.pdk->exited);
    rig_fresh(&rig);
    assert_true(sim_pdk_add_request_header(rig.pdk, "X-Fail", "1"));
    assert_int_equal(sim_client_event(rig.client, closed, "access", &event), SIM_EVENT_EXITED);
    assert_int_equal(rig.pdk->client.status, 500);
    const struct kong_str *line = &rig.pdk->logs[rig.pdk->log_count - 1].text;
    assert_non_null(strstr(line->data, "three-closed: access failed: as the client wants it"));
    /* a phase that it has no handler for: as ever, and under its name */
    bool error = rig.protocol == PROTOCOL_MSGPACK;
    assert_int_equal(sim_client_event(rig.client, closed, "log", &event),
                     error ? SIM_EVENT_ERROR : SIM_EVENT_OK);
    if (error) {
        assert_non_null(strstr(event.text, "three-closed: the plugin has no handler"));
    }
    rig_stop(&rig);
}

/* MsgPack:1: the Step of an event that is gone says by its id how the request ends. */
static void lost_events_end_as_their_plugin_says(void **state) {
    static const struct {
        const char *plugin;
        enum rpc_reply_kind kind;
    } rows[] = {{"three-open", RPC_REPLY_ERROR},
                {"three-closed", RPC_REPLY_PDK_CALL},
                {"three-rough", RPC_REPLY_ERROR}};
    struct rig rig;
    (void)state;
    rig_start(&rig, PROTOCOL_MSGPACK, &three);
    for (size_t i = 0; i < LENGTH(rows); i++) {
        struct msgpack_peer peer;
        msgpack_peer_open(&peer, sim_server_path(rig.server));
        struct rpc_call call = {.command = RPC_HANDLE_EVENT,
                                .instance_id = start(&rig, rows[i].plugin, "{}"),
                                .event = kong_str("access")};
        assert_int_equal(msgpack_peer_lost_step(&peer, call, &rig.arena).kind, rows[i].kind);
        msgpack_peer_close(&peer);
    }
    rig_stop(&rig);
}

/* Kong keeps the connections of one socket for all of its plugins, so a query command that prints
 * another protocol is that of all. */
static void a_protocol_that_does_not_do_is_said_once(void **state) {
    struct rig rig;
    struct sim_event event;
    struct sim_server_options options = three;
    char text[8192];
    int fd = memfd_create("log", MFD_CLOEXEC);
    assert_true(fd >= 0);
    struct log *log = log_create(fd, LOG_LEVEL_WARN, "three");
    assert_non_null(log);
    options.log = log;
    rig_start(&rig, protocol_of(state), &options);
    bool wanted = rig.protocol == PROTOCOL_PROTOBUF;
    int64_t first = start(&rig, "three-open", "{}");
    for (int i = 0; i < 3; i++) {
        char config[32];
        snprintf(config, sizeof config, "{\"__seq__\":%d}", i);
        start(&rig, "three-rough", config);
    }
    assert_event(&rig, first, &event, SIM_EVENT_OK); /* Kong's log gets it with any event */
    const char *line = rig.pdk->log_count > 0 ? rig.pdk->logs[0].text.data : "";
    assert_int_equal(strstr(line, "Kong speaks ProtoBuf:1 to three-rough") != NULL, wanted);
    rig_stop(&rig);
    ssize_t len = pread(fd, text, sizeof text - 1, 0);
    assert_true(len >= 0);
    text[len] = '\0';
    const char *found =
        strstr(text, "Kong speaks ProtoBuf:1 to three-rough, which needs MsgPack:1");
    assert_int_equal(found != NULL, wanted);
    assert_null(strstr(found == NULL ? text : found + 1, "Kong speaks"));
    log_destroy(log);
    close(fd);
}

/* --- Figures --- */

static double number_at(const struct kong_value *value, const char *path) {
    char copy[200];
    char *rest = copy;
    snprintf(copy, sizeof copy, "%s", path);
    for (char *key = strtok_r(copy, "/", &rest); key != NULL; key = strtok_r(NULL, "/", &rest)) {
        value = value_get(value, key);
        assert_non_null(value);
    }
    return value->type == KONG_INTEGER ? (double)value->integer : value->number;
}

static void status_is_by_plugin(void **state) {
    struct rig rig;
    struct sim_event event;
    struct rpc_call call = {.command = RPC_GET_STATUS};
    struct rpc_reply reply;
    rig_start(&rig, protocol_of(state), &three);
    int64_t open = start(&rig, "three-open", "{}");
    int64_t closed = start(&rig, "three-closed", "{}");
    start(&rig, "three-closed", "{\"__seq__\":2}");
    for (int i = 0; i < 3; i++) {
        assert_event(&rig, open, &event, SIM_EVENT_OK);
    }
    assert_event(&rig, closed, &event, SIM_EVENT_OK);
    assert_int_equal(sim_client_command(rig.client, &call, &rig.arena, &reply, NULL), SIM_EVENT_OK);
    const struct kong_value *plugins = value_get(&reply.status, "Plugins");
    assert_int_equal(plugins->map.count, 3);
    assert_int_equal(number_at(plugins, "three-open/Phases/access/Started"), 3);
    assert_int_equal(number_at(plugins, "three-open/Instances"), 1);
    assert_null(value_get(value_get(plugins, "three-open"), "Jobs"));
    assert_int_equal(number_at(plugins, "three-closed/EventsStarted"), 1);
    assert_int_equal(number_at(plugins, "three-closed/Instances"), 2);
    assert_int_equal(number_at(plugins, "three-closed/Calls/kong.request.get_header/Count"), 1);
    assert_int_equal(number_at(plugins, "three-closed/Jobs/count/Runs"), 1);
    assert_int_equal(number_at(plugins, "three-rough/Instances"), 0);
    assert_int_equal(number_at(plugins, "three-rough/Jobs/count/Runs"), 1);
    assert_int_equal(number_at(&reply.status, "Instances/Started"), 3);
    const struct kong_value *used_last = &value_get(&reply.status, "InstanceList")->list.items[0];
    assert_true(
        kong_str_equal(value_get(used_last, "PluginName")->string, kong_str("three-closed")));
    rig_stop(&rig);
}

/* What an HTTP server at a Unix socket says; malloc'ed. */
static char *get(const char *path) {
    static const char request[] = "GET /metrics HTTP/1.0\r\nHost: a\r\n\r\n";
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char *text = calloc(1, (size_t)1 << 20);
    size_t len = 0;
    ssize_t n;
    snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_non_null(text);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(send(fd, request, sizeof request - 1, MSG_NOSIGNAL), sizeof request - 1);
    while ((n = recv(fd, text + len, ((size_t)1 << 20) - 1 - len, 0)) > 0) {
        len += (size_t)n;
    }
    close(fd);
    return text;
}

static void metrics_are_by_plugin(void **state) {
    static const char *const lines[] = {
        "\nkong_plugin_server_info{plugin=\"three-closed\",version=\"1.1\"} 1\n",
        "\nkong_plugin_server_events_started_total{plugin=\"three-open\",phase=\"access\"} 2\n",
        "\nkong_plugin_server_events_started_total{plugin=\"three-rough\",phase=\"access\"} 1\n",
        "event_duration_seconds_count{plugin=\"three-open\",phase=\"access\"} 2\n",
        "\nkong_plugin_server_instances{plugin=\"three-open\"} 1\n",
        "\nkong_plugin_server_instances{plugin=\"three-closed\"} 0\n",
        "\nkong_plugin_server_instances_started_total{plugin=\"three-rough\"} 1\n",
        "\nkong_plugin_server_job_runs_total{plugin=\"three-closed\",job=\"count\"} 1\n",
        "\nkong_plugin_server_job_runs_total{plugin=\"three-rough\",job=\"count\"} 1\n",
        /* of the process: no plugin's */
        "\nkong_plugin_server_threads{} 1\n",
        "\nkong_plugin_server_limit_reached_total{limit=\"max-events\"} 0\n",
    };
    struct rig rig;
    struct sim_event event;
    char directory[SCRATCH_PATH];
    char listen[SCRATCH_PATH + 16];
    struct sim_server_options options = three;
    assert_true(scratch_make(directory));
    snprintf(listen, sizeof listen, "unix:%s/m", directory);
    options.metrics_listen = listen;
    rig_start(&rig, protocol_of(state), &options);
    int64_t open = start(&rig, "three-open", "{}");
    assert_event(&rig, open, &event, SIM_EVENT_OK);
    assert_event(&rig, open, &event, SIM_EVENT_OK);
    assert_event(&rig, start(&rig, "three-rough", "{}"), &event, SIM_EVENT_OK);
    char *text = get(listen + 5);
    for (size_t i = 0; i < LENGTH(lines); i++) {
        if (strstr(text, lines[i]) == NULL) {
            fail_msg("not there: %s\n%s", lines[i], text);
        }
    }
    free(text);
    rig_stop(&rig);
    scratch_remove(directory);
}

/* --- A crash --- */

static enum sim_event_outcome send_to(struct kong_peer *peer, int64_t instance, const char *id,
                                      const char *crash) {
    char vars[64];
    snprintf(vars, sizeof vars, "{\"kong_request_id\":\"%s\"}", id);
    assert_true(sim_pdk_reset(peer->pdk) && sim_pdk_set_request(peer->pdk, "GET", "/"));
    assert_true(sim_pdk_set_json(peer->pdk, &peer->pdk->ngx_vars, vars));
    assert_true(crash == NULL || sim_pdk_add_request_header(peer->pdk, "X-Crash", crash));
    return sim_client_event(peer->client, instance, "access", NULL);
}

/* A crashes with a configuration that B has too, to the letter: B is not asked for a request's id,
 * A is; and who crashed is in all lines by its name. */
static void a_crash_is_its_own(void **state) {
    static const char *const options[] = {"--supervise", "yes", NULL};
    struct process process;
    struct process_setup setup = {.options = options};
    struct kong_peer peer;
    int64_t open = 0, rough = 0;
    (void)state;
    process_start(&process, &setup);
    for (int crashes = 0; crashes < 2; crashes++) {
        kong_peer_open(&peer, &process, PROTOCOL_MSGPACK);
        assert_int_equal(sim_client_start(peer.client, "three-rough", "{}", &rough), SIM_EVENT_OK);
        assert_int_equal(send_to(&peer, rough, "poison", "1"), SIM_EVENT_NO_INSTANCE);
        kong_peer_close(&peer);
    }
    assert_true(process_says(&process, "]: abort in a handler of phase access, instance", 10000));
    const char *line = strstr(process.said, "]: abort in a handler");
    while (line > process.said && line[-1] != '\n') {
        line--;
    }
    assert_memory_equal(line, "three-rough[", strlen("three-rough["));
    assert_true(process_says(&process, "while three-rough ran access for instance", 10000));
    kong_peer_open(&peer, &process, PROTOCOL_MSGPACK);
    assert_int_equal(sim_client_start(peer.client, "three-rough", "{}", &rough), SIM_EVENT_OK);
    assert_int_equal(sim_client_start(peer.client, "three-open", "{}", &open), SIM_EVENT_OK);
    assert_int_equal(send_to(&peer, open, "poison", NULL), SIM_EVENT_OK);
    assert_int_equal(peer.pdk->called[PDK_NGINX_GET_VAR], 0);
    assert_int_equal(send_to(&peer, rough, "poison", "1"), SIM_EVENT_OK); /* refused, fails open */
    assert_true(peer.pdk->called[PDK_NGINX_GET_VAR] > 0);
    assert_int_equal(send_to(&peer, rough, "other", NULL), SIM_EVENT_OK);
    const struct field *third = headers_find(&peer.pdk->client.headers, kong_str("X-Third"));
    assert_non_null(third);
    assert_int_equal(process_count(&process, "was killed by signal"), 2);
    kong_peer_close(&peer);
    process_end(&process, SIGTERM);
}

/* Reads until that text has come, or to the end where it is NULL; how many bytes. */
static size_t read_until(int fd, const char *text, char *out, size_t size) {
    size_t len = 0;
    while (text == NULL || memmem(out, len, text, strlen(text)) == NULL) {
        ssize_t count = recv(fd, out + len, size - len, 0);
        if (text == NULL && count == 0) {
            break;
        }
        assert_true(count > 0);
        len += (size_t)count;
    }
    return len;
}

/* ProtoBuf:1: the server is told to end, and its process dies in the middle of an event. Nobody is
 * there to go on with it, so the request ends as the event's own plugin says. Kong 3 is told
 * nothing: it sends the event again, to whoever has the path then. */
static void the_last_process_dies(void **state) {
    static const struct {
        const char *kong, *plugin, *end; /* what is said last; NULL: nothing */
        size_t len;
    } rows[] = {{"2.8", "three-rough", "\0\0\0\0\x02\0\0\0\x08\x07", 10},
                {"2.8", "three-closed", "\x12\0\0\0kong.response.exit", 22},
                {"3", "three-rough", NULL, 0},
                {"3", "three-closed", NULL, 0}};
    (void)state;
    for (size_t i = 0; i < LENGTH(rows); i++) {
        const char *const options[] = {
            "--supervise", "yes", "--kong-version", rows[i].kong, "--drain-timeout", "3600", NULL};
        struct process process;
        struct process_setup setup = {.options = options};
        struct kong_peer peer;
        struct rpc_call call = {
            .command = RPC_HANDLE_EVENT, .sequence = 7, .event = kong_str("access")};
        char said[1024];
        process_start(&process, &setup);
        kong_peer_open(&peer, &process, PROTOCOL_PROTOBUF);
        assert_int_equal(sim_client_start(peer.client, rows[i].plugin, "{}", &call.instance_id),
                         SIM_EVENT_OK);
        struct buffer bytes;
        buffer_init(&bytes, sizeof said);
        assert_int_equal(protobuf_encode_call(&bytes, &call), CODEC_OK);
        int fd = raw_connect(&process);
        assert_int_equal(send(fd, bytes.data, bytes.len, MSG_NOSIGNAL), bytes.len);
        buffer_free(&bytes);
        read_until(fd, "kong.request.get_header", said, sizeof said);
        assert_int_equal(kill(process.pid, SIGTERM), 0);
        assert_says(&process, "ending: SIGTERM"); /* of the child */
        pid_t child = process_child(process.pid, PATIENCE_MS);
        assert_true(child > 0);
        kill(child, SIGKILL);
        size_t len = read_until(fd, NULL, said, sizeof said);
        if (rows[i].end == NULL) {
            assert_int_equal(len, 0);
        } else {
            assert_non_null(memmem(said, len, rows[i].end, rows[i].len));
        }
        close(fd);
        kong_peer_close(&peer);
        process_end(&process, 0);
    }
}

static enum protocol protobuf = PROTOCOL_PROTOBUF, msgpack = PROTOCOL_MSGPACK;

int main(int argc, char **argv) {
    if (argc > 1 && strcmp(argv[1], "serve") == 0) {
        return kong_main_plugins(argc - 1, argv + 1, three_plugins, 3);
    }
    const struct CMUnitTest tests[] = {
        RIG_TESTS(each_is_started_by_its_name),
        RIG_TESTS(other_names_are_refused),
        RIG_TESTS(kong_is_told_of_each),
        RIG_TESTS(each_fails_as_it_says),
        cmocka_unit_test(lost_events_end_as_their_plugin_says),
        RIG_TESTS(a_protocol_that_does_not_do_is_said_once),
        RIG_TEST(status_is_by_plugin, msgpack),
        RIG_TESTS(metrics_are_by_plugin),
        cmocka_unit_test(a_crash_is_its_own),
        cmocka_unit_test(the_last_process_dies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
