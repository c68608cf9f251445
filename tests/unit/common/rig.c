#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "event.h"
#include "rig.h"
#include "value.h"

/* --- The plugin. No assertions in here: it runs in the server's thread, on a fiber --- */

struct config {
    const char *mode;
    int64_t count;
};

static const KONG_FIELDS(struct config) fields[] = {
    KONG_STRING_FIELD(struct config, mode, .default_json = KONG_TEXT("post"),
                      .not_match = " [Ii]nstance$"),
    KONG_INTEGER_FIELD(struct config, count, .default_json = "1"),
};

static const struct kong_schema schema = KONG_SCHEMA(struct config, fields);

/* The one place where the two threads of a test meet. */
static struct rig_notes notes;

struct rig_notes *rig_notes(void) {
    return &notes;
}

static int call(struct kong *kong, const char *name, const struct kong_value *args, size_t count,
                struct kong_value *result) {
    int rc = kong_call(kong, name, args, count, result);
    notes.last = rc;
    return rc;
}

static int post_header(struct kong *kong, const char *name, struct kong_value value) {
    struct kong_value args[] = {kong_string(name), value};
    return call(kong, "kong.response.set_header", args, 2, NULL);
}

static int post_log(struct kong *kong, const char *text) {
    struct kong_value line = kong_string(text);
    return call(kong, "kong.log.info", &line, 1, NULL);
}

static bool is_text(const struct kong_value *value, const char *text) {
    return value->type == KONG_STRING && kong_str_equal(value->string, kong_str(text));
}

static int mode_post(struct kong *kong, const struct config *config) {
    int rc = KONG_OK;
    for (int64_t i = 0; i < config->count && rc == KONG_OK; i++) {
        char name[32];
        snprintf(name, sizeof name, "X-%lld", (long long)i);
        rc = post_header(kong, name, kong_string("v"));
        rc = rc == KONG_OK ? post_log(kong, name) : rc;
    }
    return rc;
}

static int mode_wait(struct kong *kong, const struct config *config) {
    struct kong_value name = kong_string("X-In");
    struct kong_value value;
    (void)config;
    int rc = call(kong, "kong.request.get_header", &name, 1, &value);
    if (rc == KONG_OK && !is_text(&value, "in")) {
        notes.wrong++;
    }
    return rc == KONG_OK ? post_header(kong, "X-Out", value) : rc;
}

/* Whatever becomes of it. */
static int mode_careless(struct kong *kong, const struct config *config) {
    mode_wait(kong, config);
    return KONG_OK;
}

static int mode_loop(struct kong *kong, const struct config *config) {
    struct kong_value name = kong_string("arg_a"); /* a getter whose answer is never kept */
    int rc = KONG_OK;
    for (int64_t i = 0; i < config->count && rc == KONG_OK; i++) {
        struct kong_value value;
        rc = call(kong, "kong.nginx.get_var", &name, 1, &value);
        if (rc == KONG_OK && !is_text(&value, "1")) {
            notes.wrong++;
        }
    }
    return rc == KONG_OK ? post_header(kong, "X-Done", kong_string("yes")) : rc;
}

static int mode_mixed(struct kong *kong, const struct config *config) {
    struct kong_value in = kong_string("X-In");
    struct kong_value key = kong_string("k");
    struct kong_value pair[] = {kong_string("k"), kong_integer(7)};
    struct kong_value method;
    struct kong_value header;
    struct kong_value shared;
    (void)config;
    int rc = post_log(kong, "first");
    rc = rc == KONG_OK ? call(kong, "kong.request.get_method", NULL, 0, &method) : rc;
    rc = rc == KONG_OK ? post_header(kong, "X-A", method) : rc;
    rc = rc == KONG_OK ? post_header(kong, "X-B", kong_string("b")) : rc;
    rc = rc == KONG_OK ? call(kong, "kong.request.get_header", &in, 1, &header) : rc;
    rc = rc == KONG_OK ? post_log(kong, "second") : rc;
    rc = rc == KONG_OK ? call(kong, "kong.ctx.shared.set", pair, 2, NULL) : rc;
    rc = rc == KONG_OK ? call(kong, "kong.ctx.shared.get", &key, 1, &shared) : rc;
    if (rc != KONG_OK) {
        return rc;
    }
    bool seven = (shared.type == KONG_INTEGER && shared.integer == 7) ||
                 (shared.type == KONG_NUMBER && shared.number > 6.9 && shared.number < 7.1);
    if (!is_text(&method, "GET") || !is_text(&header, "in") || !seven) {
        notes.wrong++;
    }
    return post_header(kong, "X-C", header);
}

static int leave(struct kong *kong) {
    struct kong_value args[] = {kong_integer(403), kong_string("denied"), kong_nil()};
    return call(kong, "kong.response.exit", args, 3, NULL);
}

static int mode_exit(struct kong *kong, const struct config *config) {
    (void)config;
    return leave(kong);
}

static int mode_exit_more(struct kong *kong, const struct config *config) {
    struct kong_value name = kong_string("X-In");
    struct kong_value value;
    int rc = post_header(kong, "X-Before", kong_string("yes"));
    rc = rc == KONG_OK ? leave(kong) : rc;
    for (int64_t i = 0; i < config->count; i++) {
        post_header(kong, "X-After", kong_string("no"));
        leave(kong);
        call(kong, "kong.request.get_header", &name, 1, &value);
    }
    return rc;
}

static int mode_fail(struct kong *kong, const struct config *config) {
    (void)config;
    post_header(kong, "X-Before", kong_string("yes"));
    return KONG_E_FAILED;
}

static int mode_badphase(struct kong *kong, const struct config *config) {
    const struct pdk_method *method = &pdk_methods[PDK_RESPONSE_GET_HEADERS];
    struct kong_value max = kong_integer(100);
    struct kong_value headers;
    (void)config;
    /* past the library, which refuses it */
    int rc = event_call((struct event *)kong, method, method->name, &max, 1, &headers);
    notes.last = rc;
    return rc == KONG_OK ? post_header(kong, "X-After", kong_string("no")) : rc;
}

static int mode_unknown(struct kong *kong, const struct config *config) {
    struct kong_value value;
    (void)config;
    int rc = call(kong, "kong.no.such", NULL, 0, &value);
    if (rc == KONG_OK && value.type != KONG_NIL) {
        notes.wrong++;
    }
    return KONG_OK;
}

static int mode_msgpack_only(struct kong *kong, const struct config *config) {
    struct kong_value path;
    (void)config;
    int rc = call(kong, "kong.request.get_raw_path", NULL, 0, &path);
    return rc == KONG_OK ? post_header(kong, "X-Path", path) : rc;
}

static int mode_body(struct kong *kong, const struct config *config) {
    struct kong_value body;
    char size[32] = "file";
    (void)config;
    int rc = call(kong, "kong.request.get_raw_body", NULL, 0, &body);
    if (rc != KONG_OK) {
        return rc;
    }
    const struct kong_value *content = &body;
    if (body.type == KONG_MAP && body.map.count == 1 &&
        kong_str_equal(body.map.pairs[0].key, kong_str("content"))) {
        content = &body.map.pairs[0].value;
    }
    if (content->type == KONG_STRING) {
        snprintf(size, sizeof size, "%zu", content->string.len);
    }
    return post_header(kong, "X-Size", kong_string(size));
}

static int mode_error(struct kong *kong, const struct config *config) {
    struct kong_value host = kong_string("none");
    struct kong_value value;
    (void)config;
    call(kong, "kong.service.set_upstream", &host, 1, &value);
    return KONG_OK;
}

static int mode_sleep(struct kong *kong, const struct config *config) {
    struct kong_value name = kong_string("X-In");
    struct kong_value value;
    int rc = call(kong, "kong.request.get_header", &name, 1, &value);
    if (rc == KONG_OK) {
        rc = kong_sleep(kong, (uint64_t)config->count * 10);
        notes.last = rc;
    }
    return rc == KONG_OK ? post_header(kong, "X-Out", value) : rc;
}

/* What another thread does for mode_waits. */
static void *wake_later(void *arg) {
    usleep(2000);
    kong_waiter_wake(arg, NULL);
    return NULL;
}

static void note_call(void *arg) {
    *(bool *)arg = true;
}

static int wait_for_pipe(struct kong *kong) {
    unsigned ready = 0;
    int fds[2];
    if (pipe2(fds, O_CLOEXEC) != 0) {
        return KONG_E_IO;
    }
    ssize_t written = write(fds[1], "x", 1);
    int rc = kong_wait_fd(kong, fds[0], KONG_READABLE, 60000, &ready);
    if (rc == KONG_OK && written == 1 && ready != KONG_READABLE) {
        notes.wrong++;
    }
    close(fds[0]);
    close(fds[1]);
    return rc;
}

static int wait_for_thread(struct kong *kong) {
    struct kong_waiter *waiter;
    pthread_t thread;
    bool woken;
    void *result;
    int rc = kong_waiter_open(kong, NULL, &waiter);
    if (rc != KONG_OK) {
        return rc;
    }
    bool started = pthread_create(&thread, NULL, wake_later, waiter) == 0;
    if (!started) {
        kong_waiter_wake(waiter, NULL);
    }
    rc = kong_waiter_wait(kong, waiter, 60000, &woken, &result);
    if ((rc == KONG_OK) != woken) {
        notes.wrong++;
    }
    if (started) {
        pthread_join(thread, NULL);
    }
    return rc;
}

/* Each kind of waiting that there is, one behind the other. */
static int mode_waits(struct kong *kong, const struct config *config) {
    bool called = false;
    (void)config;
    int rc = wait_for_pipe(kong);
    if (rc == KONG_OK) {
        rc = wait_for_thread(kong);
    }
    if (rc == KONG_OK) {
        rc = kong_run_blocking(kong, note_call, &called);
        if (called != (rc == KONG_OK)) {
            notes.wrong++;
        }
    }
    notes.last = rc;
    return rc == KONG_OK ? post_header(kong, "X-Out", kong_string("waited")) : rc;
}

static int mode_hold(struct kong *kong, const struct config *config) {
    struct kong_value name = kong_string("X-In");
    struct kong_value value;
    (void)config;
    int rc = call(kong, "kong.request.get_header", &name, 1, &value);
    notes.held++;
    while (!notes.let_go) {
        usleep(1000);
    }
    return rc;
}

static int mode_nothing(struct kong *kong, const struct config *config) {
    (void)kong;
    (void)config;
    notes.last = KONG_OK;
    return KONG_OK;
}

static const struct {
    const char *name;
    int (*run)(struct kong *kong, const struct config *config);
} modes[] = {
    {"post", mode_post},         {"wait", mode_wait},
    {"loop", mode_loop},         {"mixed", mode_mixed},
    {"exit", mode_exit},         {"exit-more", mode_exit_more},
    {"fail", mode_fail},         {"badphase", mode_badphase},
    {"unknown", mode_unknown},   {"msgpack-only", mode_msgpack_only},
    {"body", mode_body},         {"error", mode_error},
    {"sleep", mode_sleep},       {"nothing", mode_nothing},
    {"hold", mode_hold},         {"waits", mode_waits},
    {"careless", mode_careless},
};

static int handle(struct kong *kong, const void *data) {
    const struct config *config = data;
    int rc = KONG_E_FAILED;
    notes.started++;
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
        if (strcmp(modes[i].name, config->mode) == 0) {
            rc = modes[i].run(kong, config);
        }
    }
    int last = notes.last;
    notes.results[last <= 0 && last > -16 ? -last : 15]++;
    notes.returned++;
    return rc;
}

static int configure(const void *config, void **state, char *error, size_t error_size,
                     void *process_data) {
    (void)process_data;
    (void)config;
    (void)state;
    (void)error;
    (void)error_size;
    notes.configured++;
    return 0;
}

static void destroy(const void *config, void *state) {
    (void)config;
    (void)state;
    notes.destroyed++;
}

#define RIG_PLUGIN(failing)                                                                        \
    {                                                                                              \
        .name = "rig", .version = "1.2.3", .priority = 7, .on_error = (failing),                   \
        .thread_safe = true, .schema = &schema, .configure = configure, .destroy = destroy,        \
        .handlers = {                                                                              \
            [KONG_PHASE_REWRITE] = handle,                                                         \
            [KONG_PHASE_ACCESS] = handle,                                                          \
            [KONG_PHASE_RESPONSE] = handle,                                                        \
            [KONG_PHASE_LOG] = handle,                                                             \
        }                                                                                          \
    }

const struct kong_plugin rig_plugin = RIG_PLUGIN(KONG_FAIL_OPEN);
const struct kong_plugin rig_closed_plugin = RIG_PLUGIN(KONG_FAIL_CLOSED);

/* --- The rig --- */

static void forget_notes(void) {
    notes.started = notes.returned = notes.wrong = notes.configured = notes.destroyed = 0;
    notes.last = 0;
    notes.held = 0;
    notes.let_go = false;
    for (size_t i = 0; i < 16; i++) {
        notes.results[i] = 0;
    }
}

enum protocol protocol_of(void **state) {
    return *(enum protocol *)*state;
}

const struct rig_way rig_ways[] = {
    {"plain", {0}},
    {"two writes a frame", {.two_writes = true}},
    {"one byte a write", {.chunk = 1}},
    {"fields in falling order", {.reverse_fields = true}},
    {"late answers", {.late_answers = true, .late_ms = 20}},
    {"late answers, one byte a write", {.late_answers = true, .late_ms = 20, .chunk = 1}},
    {"answers joined with the next call",
     {.late_answers = true, .late_ms = 20, .joined_answers = true}},
    {"joined, fields in falling order",
     {.late_answers = true, .late_ms = 20, .joined_answers = true, .reverse_fields = true}},
    {"two connections", {.connections = 2}},
    {"five connections, one byte a write", {.connections = 5, .chunk = 1}},
};

const size_t rig_way_count = LENGTH(rig_ways);

struct sim_client *rig_client(struct rig *rig, int timeout_ms) {
    struct sim_client_options options = {.protocol = rig->protocol,
                                         .connect = sim_connect_unix,
                                         .connect_ctx = sim_server_path(rig->server),
                                         .pdk = sim_pdk_call,
                                         .pdk_ctx = rig->pdk,
                                         .timeout_ms = timeout_ms};
    struct sim_client *client = sim_client_create(&options);
    assert_non_null(client);
    return client;
}

void rig_start(struct rig *rig, enum protocol protocol, const struct sim_server_options *options) {
    struct sim_server_options plain = {0};
    char error[256];
    if (options != NULL) {
        plain = *options;
    }
    if (plain.plugin == NULL) {
        plain.plugin = &rig_plugin;
    }
    forget_notes();
    *rig = (struct rig){.protocol = protocol};
    arena_init(&rig->arena, (size_t)64 << 20);
    rig->server = sim_server_start(&plain, error, sizeof error);
    if (rig->server == NULL) {
        fail_msg("%s", error);
    }
    rig->pdk = sim_pdk_create();
    assert_non_null(rig->pdk);
    rig->client = rig_client(rig, 60000);
    rig_fresh(rig);
}

void rig_stop(struct rig *rig) {
    sim_client_destroy(rig->client);
    sim_server_stop(rig->server);
    sim_pdk_destroy(rig->pdk);
    arena_free(&rig->arena);
    assert_int_equal(notes.started, notes.returned);
    assert_int_equal(notes.configured, notes.destroyed);
    assert_int_equal(notes.wrong, 0);
}

int64_t rig_instance(struct rig *rig, const char *mode, int count) {
    char config[128];
    int64_t id = 0;
    snprintf(config, sizeof config, "{\"mode\":\"%s\",\"count\":%d,\"__seq__\":2}", mode, count);
    assert_int_equal(sim_client_start(rig->client, "rig", config, &id), SIM_EVENT_OK);
    assert_true(id > 0 && id <= INT32_MAX);
    return id;
}

void rig_fresh(struct rig *rig) {
    assert_true(sim_pdk_reset(rig->pdk));
    assert_true(sim_pdk_set_request(rig->pdk, "GET", "/p?a=1"));
    assert_true(sim_pdk_add_request_header(rig->pdk, "X-In", "in"));
}

enum sim_event_outcome rig_event(struct rig *rig, int64_t instance, struct sim_event *event) {
    rig_fresh(rig);
    return sim_client_event(rig->client, instance, "access", event);
}

void rig_settle(void) {
    for (int i = 0; i < 6000; i++) {
        if (notes.started == notes.returned) {
            return;
        }
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    }
    fail_msg("%u handlers started, %u returned", notes.started, notes.returned);
}

const char *rig_header(struct rig *rig, const char *name) {
    const struct field *field = headers_find(&rig->pdk->client.headers, kong_str(name));
    return field == NULL ? NULL : field->value.data;
}

int64_t rig_status(struct rig *rig, const char *what) {
    struct rpc_call call = {.command = RPC_GET_STATUS};
    struct rpc_reply reply;
    struct sim_client_options options = {.protocol = PROTOCOL_MSGPACK,
                                         .connect = sim_connect_unix,
                                         .connect_ctx = sim_server_path(rig->server),
                                         .timeout_ms = 60000};
    struct sim_client *client = sim_client_create(&options);
    assert_non_null(client);
    arena_reset(&rig->arena);
    assert_int_equal(sim_client_command(client, &call, &rig->arena, &reply, NULL), SIM_EVENT_OK);
    sim_client_destroy(client);
    const struct kong_value *plugins = value_get(&reply.status, "Plugins");
    const struct kong_value *plugin = plugins == NULL ? NULL : value_get(plugins, "rig");
    const struct kong_value *value = plugin == NULL ? NULL : value_get(plugin, what);
    assert_non_null(value);
    return value->integer;
}

void rig_alive(struct rig *rig) {
    struct sim_behaviour kept = *sim_client_behaviour(rig->client);
    struct sim_event event;
    *sim_client_behaviour(rig->client) = (struct sim_behaviour){0};
    int64_t id = rig_instance(rig, "mixed", 1);
    if (rig_event(rig, id, &event) != SIM_EVENT_OK) {
        fail_msg("%s: %s", sim_event_outcome_name(event.outcome), event.text);
    }
    assert_string_equal(rig_header(rig, "X-C"), "in");
    assert_int_equal(sim_client_stop(rig->client, id), SIM_EVENT_OK);
    *sim_client_behaviour(rig->client) = kept;
}
