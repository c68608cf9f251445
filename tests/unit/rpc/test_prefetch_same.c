/* A handler gets the same answers with prefetching and without, whatever it calls in whatever
 * order: handlers made by chance, against a simulated Kong that carries out what they change. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>

#include "checkers.h"
#include "kong.h"
#include "rig.h"
#include "sim_json.h"

#define STEPS 24

/* --- The handler. No assertions in here: it runs in the server's thread --- */

static uint64_t next_random(uint64_t *state) {
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return *state >> 33;
}

/* Set by the test before each event. */
static uint64_t seed;
static unsigned habit; /* the handler begins with the first so many getters */
static char notes[16384];
static size_t notes_len;

static void note_value(const char *name, int error, const struct kong_value *value,
                       struct arena *arena) {
    struct kong_str json = json_from_value(arena, value);
    int len = snprintf(notes + notes_len, sizeof notes - notes_len, "%s %d %s\n", name, error,
                       json.data == NULL ? "?" : json.data);
    notes_len += len > 0 && (size_t)len < sizeof notes - notes_len ? (size_t)len : 0;
}

static const struct {
    const char *name;
    const char *text;
    int64_t number;
} getters[] = {
    {"kong.request.get_method", NULL, 0},
    {"kong.request.get_path", NULL, 0},
    {"kong.request.get_header", "X-In", 0},
    {"kong.request.get_header", "x-new", 0},
    {"kong.request.get_headers", NULL, 100},
    {"kong.request.get_raw_query", NULL, 0},
    {"kong.request.get_query", NULL, 100},
    {"kong.request.get_host", NULL, 0},
    {"kong.client.get_ip", NULL, 0},
    {"kong.client.get_port", NULL, 0},
    {"kong.request.get_http_version", NULL, 0},
    {"kong.ctx.shared.get", "k", 0},
    {"kong.nginx.get_var", "request_method", 0},
    {"kong.client.get_consumer", NULL, 0},
    {"kong.router.get_service", NULL, 0},
    {"kong.nginx.get_ctx", "k", 0},
    {"kong.request.get_forwarded_host", NULL, 0},
    {"kong.request.get_raw_body", NULL, 0},
};

static const struct kong_want *const wants = KONG_PREFETCH(
    KONG_WANT_REQUEST_METHOD, KONG_WANT_REQUEST_HEADER("x-in"), KONG_WANT_REQUEST_HEADERS,
    KONG_WANT_REQUEST_RAW_QUERY, KONG_WANT_REQUEST_QUERY, KONG_WANT_CTX_SHARED("k"),
    KONG_WANT_NGINX_VAR("request_method"), KONG_WANT_CLIENT_CONSUMER, KONG_WANT_ROUTER_SERVICE,
    KONG_WANT_NGINX_CTX("k"), KONG_WANT_REQUEST_RAW_BODY);

static void call_getter(struct kong *kong, struct arena *arena, size_t i) {
    struct kong_value arg =
        getters[i].text != NULL ? kong_string(getters[i].text) : kong_integer(getters[i].number);
    size_t count = getters[i].text != NULL || getters[i].number != 0;
    struct kong_value value;
    int error = kong_call(kong, getters[i].name, &arg, count, &value);
    note_value(getters[i].name, error, &value, arena);
}

static int set_something(struct kong *kong, uint64_t what, const char *value) {
    struct kong_consumer consumer = {.id = kong_str("c-1"), .username = kong_str(value)};
    switch (what) {
    case 0:
        return kong_service_request_set_header(kong, "X-In", value);
    case 1:
        return kong_service_request_add_header(kong, "X-New", value);
    case 2:
        return kong_service_request_clear_header(kong, "X-In");
    case 3:
        return kong_service_request_set_method(kong, value[0] % 2 == 0 ? "POST" : "PUT");
    case 4:
        return kong_service_request_set_raw_query(kong, "b=2");
    case 5:
        return kong_ctx_shared_set(kong, "k", kong_string(value));
    case 6:
        return kong_nginx_set_ctx(kong, "k", kong_string(value));
    case 7:
        return kong_client_authenticate(kong, &consumer, NULL);
    case 8:
        return kong_service_request_set_raw_body(kong, kong_str(value));
    case 9:
        return kong_service_request_set_path(kong, "/other");
    case 10:
        return kong_log_info(kong, "%s", value);
    default:
        return kong_response_set_header(kong, "X-Out", value);
    }
}

static int handle(struct kong *kong, const void *config) {
    uint64_t random = seed;
    struct arena arena;
    (void)config;
    arena_init(&arena, (size_t)1 << 20);
    for (size_t i = 0; i < habit; i++) {
        call_getter(kong, &arena, i);
    }
    for (size_t i = 0; i < STEPS; i++) {
        char value[8];
        snprintf(value, sizeof value, "%zu", i);
        if (next_random(&random) % 4 != 0) {
            call_getter(kong, &arena, (size_t)(next_random(&random) % LENGTH(getters)));
        } else {
            const struct kong_value none = kong_nil();
            note_value("set", set_something(kong, next_random(&random) % 14, value), &none, &arena);
        }
    }
    arena_free(&arena);
    return KONG_OK;
}

/* --- The test --- */

static const struct kong_plugin undeclared = {
    .name = "same", .version = "1.0", .handlers = {[KONG_PHASE_ACCESS] = handle}};

static void start(struct rig *rig, enum protocol protocol, enum prefetch_mode mode,
                  const struct kong_plugin *plugin, int64_t *instance) {
    struct sim_server_options options = {.plugin = plugin, .prefetch = &mode};
    rig_start(rig, protocol, &options);
    assert_int_equal(sim_client_start(rig->client, "same", "{\"__seq__\":1}", instance),
                     SIM_EVENT_OK);
}

static void run(struct rig *rig, int64_t instance, char *out, size_t size) {
    struct sim_event event;
    notes_len = 0;
    assert_event(rig, instance, &event, SIM_EVENT_OK);
    snprintf(out, size, "%.*s", (int)notes_len, notes);
}

static void compare(const struct rig_way *way, enum protocol protocol, enum prefetch_mode mode,
                    const struct kong_plugin *plugin, unsigned events) {
    static char plain_notes[sizeof notes], other_notes[sizeof notes];
    struct rig plain, other;
    int64_t plain_instance, other_instance;
    start(&plain, protocol, PREFETCH_OFF, &undeclared, &plain_instance);
    start(&other, protocol, mode, plugin, &other_instance);
    *sim_client_behaviour(other.client) = way->behaviour;
    events = under_valgrind() ? (events + 5) / 6 : events;
    for (unsigned i = 0; i < events; i++) {
        seed = i * 977 + events;
        habit = i * 8 / events;
        run(&plain, plain_instance, plain_notes, sizeof plain_notes);
        run(&other, other_instance, other_notes, sizeof other_notes);
        if (strcmp(plain_notes, other_notes) != 0) {
            fail_msg("%s, event %u: without\n%s-- with\n%s", way->name, i, plain_notes,
                     other_notes);
        }
    }
    rig_stop(&other);
    rig_stop(&plain);
}

static void test_same(void **state) {
    struct kong_plugin declared = undeclared;
    (void)state;
    declared.prefetch[KONG_PHASE_ACCESS] = wants;
    compare(&rig_ways[0], PROTOCOL_PROTOBUF, PREFETCH_DECLARED, &declared, 300);
    compare(&rig_ways[0], PROTOCOL_PROTOBUF, PREFETCH_AUTO, &declared, 300);
    compare(&rig_ways[0], PROTOCOL_PROTOBUF, PREFETCH_AUTO, &undeclared, 600);
    compare(&rig_ways[0], PROTOCOL_MSGPACK, PREFETCH_AUTO, &declared, 100);
}

/* The same, however Kong writes. */
static void test_ways(void **state) {
    struct kong_plugin declared = undeclared;
    (void)state;
    declared.prefetch[KONG_PHASE_ACCESS] = wants;
    for (size_t i = 1; i < rig_way_count; i++) {
        if (!rig_ways[i].behaviour.late_answers) { /* handlers here wait for each */
            compare(&rig_ways[i], PROTOCOL_PROTOBUF, PREFETCH_AUTO, &declared, 30);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same),
        cmocka_unit_test(test_ways),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
