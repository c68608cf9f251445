/* What a running server says of itself: the map, the table, the JSON, and scopes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "json_text.h"
#include "limit.h"
#include "rig.h"
#include "scope.h"
#include "scratch.h"
#include "sim_json.h"
#include "status_says.h"
#include "status_show.h"
#include "status_table.h"
#include "value.h"

#define TIMEOUT_MS 5000

static enum protocol protobuf = PROTOCOL_PROTOBUF, msgpack = PROTOCOL_MSGPACK;

/* The status as --status --json prints it, in the rig's arena. */
static struct kong_value ask_status(struct rig *rig) {
    char *text = NULL;
    size_t len = 0;
    char error[256];
    struct kong_value status;
    FILE *out = open_memstream(&text, &len);
    assert_non_null(out);
    char *socket = (char *)(uintptr_t)sim_server_path(rig->server);
    const struct options options = {.socket = socket, .json = true};
    if (status_show(&options, NULL, TIMEOUT_MS, out, error, sizeof error) != 0) {
        fail_msg("%s", error);
    }
    fclose(out);
    assert_true(len > 0 && text[len - 1] == '\n');
    assert_true(json_to_value(&rig->arena, (struct kong_str){text, len - 1}, &status));
    free(text);
    return status;
}

/* The number at a path like "Phases.access.Started". */
static double number_at(const struct kong_value *status, const char *path) {
    char part[64];
    const struct kong_value *value = status;
    while (*path != '\0') {
        size_t len = strcspn(path, "/");
        snprintf(part, sizeof part, "%.*s", (int)len, path);
        value = value_get(value, part);
        if (value == NULL) {
            fail_msg("no %s in the status", path);
            return 0;
        }
        path += len + (path[len] == '/');
    }
    return value->type == KONG_INTEGER ? (double)value->integer : value->number;
}

static void events_are_counted(void **state) {
    struct rig rig;
    struct sim_event event;
    rig_start(&rig, protocol_of(state), NULL);
    int64_t wait = rig_instance(&rig, "wait", 1);
    int64_t fails = rig_instance(&rig, "fail", 1);
    for (int i = 0; i < 5; i++) {
        assert_event(&rig, wait, &event, SIM_EVENT_OK);
    }
    for (int i = 0; i < 3; i++) {
        assert_event(&rig, fails, &event, SIM_EVENT_OK);
    }
    assert_event(&rig, 1, &event, SIM_EVENT_NO_INSTANCE);
    struct kong_value status = ask_status(&rig);
    assert_int_equal(number_at(&status, "Pid"), getpid());
    assert_int_equal(number_at(&status, "Plugins/rig/Phases/access/Started"), 8);
    assert_int_equal(number_at(&status, "Plugins/rig/Phases/access/Failed"), 3);
    assert_int_equal(number_at(&status, "Plugins/rig/Phases/access/Running"), 0);
    assert_int_equal(number_at(&status, "Plugins/rig/Phases/access/Orphaned"), 0);
    assert_int_equal(number_at(&status, "Plugins/rig/Phases/access/Latency/Count"), 8);
    assert_int_equal(number_at(&status, "Plugins/rig/Calls/kong.request.get_header/Count"), 5);
    double p50 = number_at(&status, "Plugins/rig/Calls/kong.request.get_header/P50");
    double max = number_at(&status, "Plugins/rig/Calls/kong.request.get_header/Max");
    assert_true(p50 > 0 && p50 <= max && max < 60);
    assert_int_equal(number_at(&status, "Instances/Live"), 2);
    assert_int_equal(number_at(&status, "Instances/Started"), 2);
    assert_int_equal(number_at(&status, "Instances/Unknown"), 1);
    assert_true(number_at(&status, "Bytes/In") > 200);
    assert_true(number_at(&status, "Bytes/Out") > 200);
    assert_true(number_at(&status, "Connections/Open") >= 1);
    const struct kong_value *list = value_get(&status, "InstanceList");
    assert_non_null(list);
    assert_int_equal(list->list.count, 2);
    assert_int_equal(number_at(&list->list.items[0], "Id"), fails); /* used last */
    assert_int_equal(number_at(&list->list.items[0], "Events"), 3);
    assert_int_equal(number_at(&list->list.items[0], "Failed"), 3);
    assert_int_equal(number_at(&list->list.items[1], "Failed"), 0);
    rig_stop(&rig);
}

static void one_that_waits_is_running_then_orphaned(void **state) {
    struct rig rig;
    struct sim_event event;
    struct sim_server_options options = {.event_ms = 500};
    rig_start(&rig, protocol_of(state), &options);
    int64_t id = rig_instance(&rig, "wait", 1);
    *sim_client_behaviour(rig.client) = (struct sim_behaviour){.drop_at = 2};
    rig_event(&rig, id, &event);
    assert_int_equal(event.outcome, SIM_EVENT_DROPPED);
    rig_settle();
    *sim_client_behaviour(rig.client) = (struct sim_behaviour){0};
    rig_alive(&rig);
    struct kong_value status = ask_status(&rig);
    bool bound = rig.protocol == PROTOCOL_PROTOBUF; /* MsgPack's wait for a Step from anywhere */
    assert_int_equal(number_at(&status, "Plugins/rig/Phases/access/Orphaned"), bound ? 1 : 0);
    assert_int_equal(number_at(&status, "Plugins/rig/Phases/access/TimedOut"), bound ? 0 : 1);
    assert_int_equal(number_at(&status, "Plugins/rig/Phases/access/Running"), 0);
    rig_stop(&rig);
}

static void limits_and_refusals_are_counted(void **state) {
    struct rig rig;
    struct sim_event event;
    struct sim_server_options options = {.max_instances = 2};
    int64_t id;
    rig_start(&rig, protocol_of(state), &options);
    assert_int_equal(sim_client_start(rig.client, "rig", "{\"mode\":7}", &id), SIM_EVENT_OK);
    rig_event(&rig, id, &event);
    rig_instance(&rig, "post", 1);
    rig_instance(&rig, "post", 1);
    struct kong_value status = ask_status(&rig);
    assert_int_equal(number_at(&status, "Limits/max-instances"), 1);
    assert_int_equal(number_at(&status, "Instances/Refused"), 1);
    assert_int_equal(number_at(&status, "Plugins/rig/Phases/access/Refused"), 1);
    assert_int_equal(number_at(&status, "Instances/Live"), 2);
    rig_stop(&rig);
}

static void the_table_has_it_all(void **state) {
    struct rig rig;
    struct sim_event event;
    char error[256];
    int64_t id;
    rig_start(&rig, protocol_of(state), NULL);
    assert_int_equal(sim_client_start(rig.client, "rig",
                                      "{\"mode\":\"wait\",\"service_id\":\"s-1\","
                                      "\"plugin_instance_name\":\"mine\\u0007\"}",
                                      &id),
                     SIM_EVENT_OK);
    assert_event(&rig, id, &event, SIM_EVENT_OK);
    assert_int_equal(sim_client_start(rig.client, "rig", "{\"mode\":7}", &id), SIM_EVENT_OK);
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    assert_non_null(out);
    const struct options options = {.socket = (char *)(uintptr_t)sim_server_path(rig.server)};
    assert_int_equal(status_show(&options, NULL, TIMEOUT_MS, out, error, sizeof error), 0);
    fclose(out);
    static const char *const wanted[] = {"rig 1.2.3, process ",
                                         "limits reached: none\n",
                                         "\naccess                1        0        0",
                                         "\nkong.request.get_header                           1 ",
                                         "\n            service s-1, name mine\\x07\n",
                                         "\n            global\n",
                                         "refused: "};
    assert_says(text, wanted, LENGTH(wanted));
    free(text);
    struct kong_value status = ask_status(&rig); /* as JSON, printable as well */
    const struct kong_value *instances = value_get(&status, "InstanceList");
    assert_non_null(instances);
    size_t printable = 0;
    for (size_t i = 0; i < instances->list.count; i++) {
        const struct kong_value *name = value_get(&instances->list.items[i], "Name");
        printable +=
            name != NULL && name->string.len == 8 && memcmp(name->string.data, "mine\\x07", 8) == 0;
    }
    assert_int_equal(printable, 1);
    rig_stop(&rig);
}

/* Whoever listens at the path need not be one of ours: what it says must not steer a terminal. */
static void a_hostile_status_is_printed_harmlessly(void **state) {
    (void)state;
    const struct kong_str evil = kong_str("\x1b]0;x\x07\xc2\x9b\n\rname");
    struct kong_pair version = kong_pair("Version", kong_string("\x1b[2J"));
    struct kong_pair count = {.key = evil, .value = kong_integer(3)};
    struct kong_pair row = {.key = evil, .value = kong_map(&count, 1)};
    struct kong_pair of_plugin[] = {version, kong_pair("Phases", kong_map(&row, 1)),
                                    kong_pair("Calls", kong_map(&row, 1)),
                                    kong_pair("Jobs", kong_map(&row, 1))};
    struct kong_pair plugin = {.key = evil, .value = kong_map(of_plugin, LENGTH(of_plugin))};
    struct kong_value hostile = {.type = KONG_STRING, .string = evil};
    struct kong_pair fields[] = {kong_pair("Service", hostile),  kong_pair("Route", hostile),
                                 kong_pair("Consumer", hostile), kong_pair("Name", hostile),
                                 kong_pair("Refused", hostile),  kong_pair("Id", kong_integer(-1))};
    struct kong_value instance = kong_map(fields, LENGTH(fields));
    struct kong_pair pairs[] = {
        kong_pair("Plugins", kong_map(&plugin, 1)), kong_pair("Limits", kong_map(&count, 1)),
        kong_pair("InstanceList", kong_list(&instance, 1)), kong_pair("Uptime", hostile)};
    struct kong_value status = kong_map(pairs, LENGTH(pairs));
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    assert_non_null(out);
    status_table_print(&status, out);
    fclose(out);
    size_t shown = 0;
    for (const char *at = strstr(text, "\\x1B]0;x\\x07\\xC2\\x9B\\x0A\\x0Dn"); at != NULL;
         at = strstr(at + 1, "\\x1B]0;x\\x07\\xC2\\x9B\\x0A\\x0Dn")) {
        shown++;
    }
    assert_int_equal(shown, 8); /* those of phase and job are cut to their columns */
    for (size_t i = 0; i < len; i++) {
        if (text[i] != '\n' && (text[i] < 0x20 || text[i] == 0x7f)) {
            fail_msg("byte %02x at %zu in:\n%s", (unsigned char)text[i], i, text);
        }
    }
    free(text);
    struct arena arena;
    struct kong_str json;
    arena_init(&arena, LIMIT_EVENT_MEMORY);
    assert_int_equal(json_write_printable(&arena, &status, &json), KONG_OK);
    for (const char *c = json.data; *c != '\0'; c++) {
        assert_true(*c >= 0x20); /* C1 is not printed as UTF-8 either */
    }
    arena_free(&arena);
}

/* A byte now and then, for ever: gives up when its time is over. The server ends by itself, later.
 */
static void one_that_drips_is_given_up(void **state) {
    (void)state;
    char directory[SCRATCH_PATH];
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char error[512];
    assert_true(scratch_make(directory));
    snprintf(address.sun_path, sizeof address.sun_path, "%s/s", directory);
    int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(listener, 1), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        int fd = accept(listener, NULL, NULL);
        send(fd, "\xdb\x01\x00\x00\x00", 5, MSG_NOSIGNAL); /* a string of 16 MiB begins */
        for (int i = 0; i < 600; i++) {
            if (send(fd, "x", 1, MSG_NOSIGNAL) != 1) {
                break;
            }
            nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL);
        }
        _exit(0);
    }
    const struct options options = {.socket = address.sun_path};
    assert_int_equal(status_show(&options, NULL, 300, stdout, error, sizeof error), -1);
    if (strstr(error, "no answer in time") == NULL) {
        fail_msg("%s", error);
    }
    assert_int_equal(waitpid(child, NULL, 0), child);
    close(listener);
    unlink(address.sun_path);
    assert_true(scratch_remove_empty(directory));
}

static void what_does_not_arrive(void **state) {
    struct rig rig;
    char error[256];
    char text[8];
    rig_start(&rig, protocol_of(state), NULL);
    char *socket = (char *)(uintptr_t)sim_server_path(rig.server);
    for (int json = 0; json < 2; json++) {
        const struct options options = {.socket = socket, .json = json};
        const struct options quiet = {.socket = socket, .json = json, .quiet = true};
        FILE *full = fopen("/dev/full", "w");
        FILE *out = fmemopen(text, sizeof text, "w");
        assert_true(full != NULL && out != NULL);
        assert_int_equal(status_show(&options, NULL, TIMEOUT_MS, full, error, sizeof error), -1);
        assert_string_equal(error, "the status cannot be written");
        assert_int_equal(status_show(&quiet, NULL, TIMEOUT_MS, out, error, sizeof error), 0);
        assert_int_equal(ftell(out), 0);
        fclose(out);
        fclose(full);
    }
    rig_stop(&rig);
}

struct watch {
    struct options options;
    FILE *out;
    int rc;
    char error[256];
};

static void *watch(void *arg) {
    struct watch *watch = arg;
    watch->rc = status_show(&watch->options, NULL, TIMEOUT_MS, watch->out, watch->error,
                            sizeof watch->error);
    fclose(watch->out);
    return NULL;
}

/* Again and again, until the server has ended. */
static void it_is_watched(void **state) {
    struct rig rig;
    pthread_t thread;
    int ends[2];
    size_t tables = 0;
    rig_start(&rig, protocol_of(state), NULL);
    char *socket = strdup(sim_server_path(rig.server));
    assert_int_equal(pipe(ends), 0);
    struct watch seen = {.options = {.socket = socket, .watch = true}, .out = fdopen(ends[1], "w")};
    FILE *in = fdopen(ends[0], "r");
    assert_true(seen.out != NULL && in != NULL);
    assert_int_equal(pthread_create(&thread, NULL, watch, &seen), 0);
    for (char line[512]; tables < 2 && fgets(line, sizeof line, in) != NULL;) {
        tables += strncmp(line, "limits reached: ", 16) == 0;
    }
    assert_int_equal(tables, 2);
    rig_stop(&rig);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(seen.rc, -1);
    assert_non_null(strstr(seen.error, socket)); /* it closed the connection, or nobody is there */
    fclose(in);
    free(socket);
}

static void nobody_serves(void **state) {
    (void)state;
    char error[256];
    char socket[] = "/nonexistent/x.socket";
    const struct options options = {.socket = socket};
    assert_int_equal(status_show(&options, NULL, TIMEOUT_MS, stdout, error, sizeof error), -1);
    assert_string_equal(error, "/nonexistent/x.socket: connect: No such file or directory: no "
                               "server is running there (see --socket and --kong-prefix)");
}

static void read_scope(struct scope *scope, const char *text, struct arena *arena) {
    json_t *json = json_loads(text, 0, NULL);
    scope_read(scope, json, arena);
    json_decref(json);
}

static void scopes(void **state) {
    (void)state;
    struct arena arena;
    struct scope scope;
    char text[200];
    arena_init(&arena, LIMIT_EVENT_MEMORY);
    read_scope(&scope,
               "{\"service_id\":\"s\",\"route_id\":null,\"consumer_id\":\"c\","
               "\"__plugin_id\":\"p\",\"plugin_instance_name\":\"n\"}",
               &arena);
    assert_string_equal(scope.service_id, "s");
    assert_null(scope.route_id);
    assert_string_equal(scope.plugin_id, "p");
    scope_describe(&scope, text, sizeof text);
    assert_string_equal(text, "service s, consumer c, name n");
    scope_describe(&scope, text, 12);
    assert_string_equal(text, "service s, ");
    read_scope(&scope, "{\"plugin_instance_name\":\"n\"}", &arena);
    scope_describe(&scope, text, sizeof text);
    assert_string_equal(text, "global, name n");
    read_scope(&scope, "no JSON", &arena);
    assert_null(scope.plugin_id);
    arena_free(&arena);
}

static void values_as_json(void **state) {
    (void)state;
    struct kong_value items[] = {kong_nil(), kong_boolean(true), kong_integer(-3), kong_number(0.5),
                                 kong_bytes("a\xff\xc2\x9b\n", 5)};
    struct kong_pair pair = kong_pair("list", kong_list(items, 5));
    struct kong_value map = kong_map(&pair, 1);
    struct arena arena;
    struct kong_str text;
    arena_init(&arena, LIMIT_EVENT_MEMORY);
    assert_int_equal(json_write_printable(&arena, &map, &text), KONG_OK);
    assert_string_equal(text.data,
                        "{\"list\":[null,true,-3,0.5,\"a\\\\xFF\\\\xC2\\\\x9B\\\\x0A\"]}");
    struct kong_value deep[LIMIT_NESTING + 2] = {[LIMIT_NESTING + 1] = kong_nil()};
    for (int i = LIMIT_NESTING; i >= 0; i--) {
        deep[i] = kong_list(&deep[i + 1], 1);
    }
    assert_int_equal(json_write_printable(&arena, &deep[0], &text), KONG_E_TOO_BIG);
    assert_null(text.data);
    arena_free(&arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        RIG_TESTS(events_are_counted),
        RIG_TESTS(one_that_waits_is_running_then_orphaned),
        RIG_TESTS(limits_and_refusals_are_counted),
        RIG_TEST(the_table_has_it_all, protobuf),
        cmocka_unit_test(a_hostile_status_is_printed_harmlessly),
        cmocka_unit_test(one_that_drips_is_given_up),
        RIG_TEST(what_does_not_arrive, msgpack),
        RIG_TEST(it_is_watched, msgpack),
        cmocka_unit_test(nobody_serves),
        cmocka_unit_test(scopes),
        cmocka_unit_test(values_as_json),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
