/* The start of a server, and what the program does instead of one (dump, options, check of a
 * configuration), with each allocation and each call of libuv failing in turn: one line that says
 * what is wrong, nothing left behind; or, where it could be done without, all as it should be. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "check_config.h"
#include "dump.h"
#include "log.h"
#include "one_plugin.h"
#include "options.h"
#include "registry.h"
#include "rig.h"
#include "schema.h"
#include "schema_sample.h"
#include "scratch.h"
#include "seam.h"
#include "supervisor.h"

#define ENOUGH 5000

/* Runs body with the nth call failing, for each nth, that one or all from that one on; `failed`
 * says whether one has. */
#define EACH_CALL(kind, body)                                                                      \
    for (int all_ = 0; all_ < 2; all_++) {                                                         \
        size_t nth_ = 0;                                                                           \
        for (bool more_ = true; more_;) {                                                          \
            seam_arm(kind, ++nth_, all_ ? SIZE_MAX : 1);                                           \
            seam_enter();                                                                          \
            body;                                                                                  \
            seam_leave();                                                                          \
            more_ = seam_disarm();                                                                 \
            check(more_);                                                                          \
            assert_in_range(nth_, 1, ENOUGH);                                                      \
        }                                                                                          \
        assert_true(nth_ > 1);                                                                     \
        seam_check_leaks(#body);                                                                   \
    }

static int handle(struct kong *kong, const void *config) {
    (void)kong;
    (void)config;
    return 0;
}

static int configure(const void *config, void **state, char *error, size_t error_size,
                     void *process_data) {
    (void)process_data;
    const struct config *decoded = config;
    (void)error;
    (void)error_size;
    *state = NULL;
    return strcmp(decoded->name, "refused") == 0 ? -1 : 0;
}

static int work(struct kong *kong) {
    return kong_sleep(kong, 1);
}

static const struct kong_plugin plugin = {.name = "faulty",
                                          .version = "1.0",
                                          .priority = 5,
                                          .schema = &schema,
                                          .configure = configure,
                                          .jobs = {{"one", 3600000, work}, {"two", 1, work}},
                                          .handlers = {[KONG_PHASE_ACCESS] = handle}};

/* --- the server --- */

static void server_starts(void **state) {
    struct sim_server *server;
    char error[256];
    char directory[SCRATCH_PATH];
    char path[64];
    (void)state;
    assert_true(scratch_make(directory));
    snprintf(path, sizeof path, "%s/socket", directory);
    struct sim_server_options options = {.plugin = &plugin, .socket_path = path};
    struct sim_server_options several = {.plugin = &plugin, .socket_path = path, .threads = 3};
#define check(failed)                                                                              \
    do {                                                                                           \
        assert_true(server != NULL || (failed));                                                   \
        assert_true(server != NULL || error[0] != '\0');                                           \
        sim_server_stop(server);                                                                   \
        assert_int_not_equal(access(path, F_OK), 0);                                               \
    } while (0)
    EACH_CALL(SEAM_MEMORY, server = sim_server_start(&options, error, sizeof error));
    EACH_CALL(SEAM_UV, server = sim_server_start(&options, error, sizeof error));
    EACH_CALL(SEAM_MEMORY, server = sim_server_start(&several, error, sizeof error));
    EACH_CALL(SEAM_UV, server = sim_server_start(&several, error, sizeof error));
#undef check
    assert_true(scratch_remove_empty(directory));
}

/* --- configurations --- */

static const char *const configs[] = {
    "{\"name\":\"one\",\"limits\":{\"a\":1},\"nodes\":[{\"host\":\"h\"},{}],\"tags\":[\"b\"]}",
    "{\"name\":\"X\",\"rate\":\"fast\",\"nodes\":[{\"port\":0}],\"tags\":[\"c\"],\"more\":1}",
    "{\"name\":\"x\"",
};
static const int results[] = {0, 1, 1};

static void configurations_decode(void **state) {
    (void)state;
    for (size_t i = 0; i < LENGTH(configs); i++) {
        struct arena arena;
        struct schema_result result;
        int rc;
#define check(failed)                                                                              \
    do {                                                                                           \
        assert_true(rc == results[i] || ((failed) && rc == CODEC_E_NOMEM));                        \
        assert_true(rc != 0 || strcmp(((struct config *)result.config)->name, "one") == 0);        \
        assert_true(rc != 1 || result.count > 0);                                                  \
        json_decref(result.tree);                                                                  \
        arena_free(&arena);                                                                        \
    } while (0)
        EACH_CALL(
            SEAM_MEMORY, arena_init(&arena, (size_t)1 << 20); result.tree = NULL;
            rc = schema_decode(&schema, kong_str(configs[i]), SCHEMA_FROM_USER, &arena, &result));
#undef check
    }
}

/* An instance that cannot be had for want of memory is none; one that is refused says why. */
static void instances_start(void **state) {
    (void)state;
    for (size_t i = 0; i < LENGTH(configs); i++) {
        struct registry_options options = {.max_instances = 3};
        struct plugin hosted;
        struct registry *registry;
        struct instance *instance;
        char error[200];
        int rc;
#define check(failed)                                                                              \
    do {                                                                                           \
        assert_true(rc == 0 || (failed));                                                          \
        assert_true(rc != 0 || registry == NULL ||                                                 \
                    (instance->failure != NULL) == (results[i] != 0));                             \
        assert_true(rc == 0 || error[0] != '\0');                                                  \
        registry_destroy(registry);                                                                \
    } while (0)
        EACH_CALL(
            SEAM_MEMORY, error[0] = '\0'; rc = 0; plugin_init(&hosted, &plugin, 0);
            registry = registry_create(&options); if (registry != NULL) {
                rc = registry_start(registry, &hosted, kong_str(configs[i]), NULL, 0, &instance,
                                    error, sizeof error);
            } if (registry != NULL && rc == 0) { registry_release(registry, instance); });
#undef check
    }
}

/* --- what is printed --- */

static void dumps(void **state) {
    char socket[] = "/tmp/x";
    struct options options = {.plugin = &plugin,
                              .phases = KONG_PHASE_BIT(KONG_PHASE_ACCESS),
                              .protocol = PROTOCOL_MSGPACK,
                              .kong_major = 3,
                              .socket = socket};
    struct dump dump;
    char *text;
    int rc;
    (void)state;
    char *whole = dump_json(&options);
    char *table = schema_to_markdown(&schema);
    assert_non_null(whole);
    assert_non_null(table);
#define check(failed)                                                                              \
    do {                                                                                           \
        assert_true(text == NULL ? (failed) : strcmp(text, whole) == 0);                           \
        free(text);                                                                                \
    } while (0)
    EACH_CALL(SEAM_MEMORY, text = dump_json(&options));
#undef check
#define check(failed)                                                                              \
    do {                                                                                           \
        assert_true(text == NULL ? (failed) : strcmp(text, table) == 0);                           \
        free(text);                                                                                \
    } while (0)
    EACH_CALL(SEAM_MEMORY, text = schema_to_markdown(&schema));
#undef check
#define check(failed)                                                                              \
    do {                                                                                           \
        assert_true(rc == 0 || (failed));                                                          \
        if (rc == 0) {                                                                             \
            assert_non_null(strstr(dump.info.schema.data, "\"limits\""));                          \
            dump_free(&dump);                                                                      \
        }                                                                                          \
    } while (0)
    EACH_CALL(SEAM_MEMORY, rc = dump_init(&dump, &options));
#undef check
    free(whole);
    free(table);
}

/* A table that is sound is said to be, or "no memory". */
static void tables_are_checked(void **state) {
    char error[256];
    int rc;
    (void)state;
#define check(failed)                                                                              \
    do {                                                                                           \
        assert_true(rc == 0 || (failed));                                                          \
        assert_true(rc == 0 || strstr(error, "memory") != NULL);                                   \
    } while (0)
    EACH_CALL(SEAM_MEMORY, rc = schema_check(&schema, error, sizeof error));
#undef check
}

static void options_parse_or_not(void **state) {
    static char *const lines[][8] = {
        {"faulty-server", NULL},
        {"/usr/bin/faulty-server", "--kong-prefix", "/opt/kong", "--log-level", "warn", NULL},
        {"faulty-server", "-socket", "/tmp/x.socket", "--socket-group", "users", "--priority=3",
         NULL},
        {"faulty-server", "--check-config", "/tmp/none.json", NULL},
    };
    struct plugin hosted;
    const struct plugins plugins = one_plugin(&hosted, &plugin, NULL);
    (void)state;
    for (size_t i = 0; i < LENGTH(lines); i++) {
        struct options options;
        char error[256];
        int count = 0;
        int rc;
        char *line[8];
        memcpy(line, lines[i], sizeof line);
        while (line[count] != NULL) {
            count++;
        }
#define check(failed)                                                                              \
    do {                                                                                           \
        assert_true(rc == 0 || ((failed) && strstr(error, "memory") != NULL));                     \
        if (rc == 0) {                                                                             \
            assert_true(i == 2 || strstr(options.socket, "/faulty-server.socket") != NULL);        \
            options_free(&options);                                                                \
        }                                                                                          \
    } while (0)
        EACH_CALL(SEAM_MEMORY,
                  rc = options_parse(&options, &plugins, count, line, error, sizeof error));
#undef check
    }
}

static void files_are_checked(void **state) {
    char directory[SCRATCH_PATH];
    char path[64];
    char error[512];
    int rc;
    (void)state;
    assert_true(scratch_make(directory));
    snprintf(path, sizeof path, "%s/config.json", directory);
    FILE *file = fopen(path, "w");
    FILE *out = fopen("/dev/null", "w");
    assert_non_null(file);
    assert_non_null(out);
    assert_true(fputs(configs[0], file) >= 0);
    assert_int_equal(fclose(file), 0);
#define check(failed)                                                                              \
    do {                                                                                           \
        assert_true(rc == 0 || ((failed) && rc < 0));                                              \
    } while (0)
    const struct options wanted = {
        .plugin = &plugin, .check_config = path, .max_config = LIMIT_CONFIG};
    EACH_CALL(SEAM_MEMORY, rc = check_config(&wanted, out, error, sizeof error));
#undef check
    fclose(out);
    assert_true(scratch_remove(directory));
}

static void logs_open(void **state) {
    struct log *log;
    (void)state;
#define check(failed)                                                                              \
    do {                                                                                           \
        assert_true(log != NULL || (failed));                                                      \
        log_destroy(log);                                                                          \
    } while (0)
    EACH_CALL(SEAM_MEMORY, log = log_create(STDERR_FILENO, LOG_LEVEL_ERROR, "faulty"));
#undef check
}

/* The child's calls are its own. */
static int serve(void *arg, struct running *running) {
    (void)arg;
    (void)running;
    seam_disarm();
    return 0;
}

static void supervisors_start(void **state) {
    struct plugin hosted;
    struct plugins plugins = one_plugin(&hosted, &plugin, NULL);
    struct supervisor_options options = {
        .stall = {.plugins = &plugins, .threads = 1, .report_ms = 1000}};
    char error[256];
    int rc;
    (void)state;
#define check(failed)                                                                              \
    do {                                                                                           \
        assert_true(rc == 0 || ((failed) && rc == -1 && error[0] != '\0'));                        \
    } while (0)
    fflush(NULL); /* the child's exit would write it again */
    EACH_CALL(SEAM_MEMORY, error[0] = '\0';
              rc = supervisor_run(&options, serve, NULL, error, sizeof error));
#undef check
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(server_starts),      cmocka_unit_test(configurations_decode),
        cmocka_unit_test(instances_start),    cmocka_unit_test(dumps),
        cmocka_unit_test(tables_are_checked), cmocka_unit_test(options_parse_or_not),
        cmocka_unit_test(files_are_checked),  cmocka_unit_test(logs_open),
        cmocka_unit_test(supervisors_start),
    };
    seam_guard();
    return cmocka_run_group_tests_name("start faults", tests, NULL, NULL);
}
