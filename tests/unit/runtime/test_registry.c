/* Instances: ids, references, the limit, idle expiry, refused configurations. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "registry.h"

struct config {
    const char *header;
    int64_t number;
};

static const KONG_FIELDS(struct config) fields[] = {
    KONG_STRING_FIELD(struct config, header, .required = true, .default_json = KONG_TEXT("Version"),
                      .match = "^[%w_-]+$"),
    KONG_INTEGER_FIELD(struct config, number),
};

static const struct kong_schema schema = KONG_SCHEMA(struct config, fields);

static int configured;
static int destroyed;
static void *configure_data;

static int configure(const void *data, void **state, char *error, size_t error_size,
                     void *process_data) {
    configure_data = process_data;
    const struct config *config = data;
    if (strcmp(config->header, "Refuse-Me") == 0) {
        snprintf(error, error_size, "no such database");
        return -1;
    }
    configured++;
    *state = &configured;
    return 0;
}

static void destroy(const void *data, void *state) {
    assert_non_null(data);
    assert_ptr_equal(state, &configured);
    destroyed++;
}

static const struct kong_plugin plugin = {.name = "test",
                                          .version = "1.0",
                                          .schema = &schema,
                                          .configure = configure,
                                          .destroy = destroy};

static struct plugin hosted;

static struct registry *create(size_t max, uint64_t idle_ms) {
    configured = destroyed = 0;
    struct registry_options options = {.max_instances = max, .idle_ms = idle_ms};
    plugin_init(&hosted, &plugin, 0);
    struct registry *registry = registry_create(&options);
    assert_non_null(registry);
    return registry;
}

static struct instance *start(struct registry *registry, const char *config, uint64_t now) {
    char error[160];
    struct instance *instance = NULL;
    assert_int_equal(registry_start(registry, &hosted, kong_str(config), NULL, now, &instance,
                                    error, sizeof error),
                     0);
    assert_non_null(instance);
    registry_release(registry, instance); /* listed it stays */
    return instance;
}

/* Without a reference. */
static struct instance *find(struct registry *registry, int64_t id) {
    struct instance *instance = registry_ref(registry, id);
    if (instance != NULL) {
        registry_release(registry, instance);
    }
    return instance;
}

static void an_instance_is_configured_found_closed(void **state) {
    (void)state;
    struct registry *registry = create(10, 0);
    struct instance *instance = start(registry, "{\"header\":\"X-A\",\"__seq__\":3}", 1);
    assert_null(instance->failure);
    assert_string_equal(((struct config *)instance->config)->header, "X-A");
    assert_true(instance->id > 0);
    assert_ptr_equal(find(registry, instance->id), instance);
    int64_t id = instance->id;
    assert_null(find(registry, id + 1));
    assert_null(find(registry, id + ((int64_t)1 << 32)));
    assert_null(find(registry, -id));
    assert_true(registry_close(registry, id));
    assert_int_equal(destroyed, 1);
    assert_false(registry_close(registry, id));
    assert_int_equal(registry_count(registry), 0);
    registry_destroy(registry);
}

static void an_instance_outlives_its_closing_while_used(void **state) {
    (void)state;
    struct registry *registry = create(10, 0);
    int64_t id = start(registry, "{}", 1)->id;
    struct instance *used = registry_use(registry, id, 2);
    assert_non_null(used);
    assert_true(registry_close(registry, id));
    assert_null(registry_use(registry, id, 3));
    assert_int_equal(destroyed, 0);
    assert_string_equal(((struct config *)used->config)->header, "Version");
    registry_release(registry, used);
    assert_int_equal(destroyed, 1);
    registry_destroy(registry);
}

static int compare_ids(const void *a, const void *b) {
    const int32_t *x = a;
    const int32_t *y = b;
    return (*x > *y) - (*x < *y);
}

static void ids_never_repeat_and_all_are_found(void **state) {
    (void)state;
    enum { COUNT = 20000 };
    struct registry *registry = create(COUNT, 0);
    int32_t *ids = malloc(COUNT * sizeof *ids);
    assert_non_null(ids);
    for (size_t i = 0; i < COUNT; i++) {
        ids[i] = start(registry, "{}", 1)->id;
        assert_true(ids[i] > 0);
        if (i % 3 == 0) {
            registry_close(registry, ids[i]);
        }
    }
    for (size_t i = 0; i < COUNT; i++) {
        struct instance *instance = find(registry, ids[i]);
        if (i % 3 == 0) {
            assert_null(instance);
        } else {
            assert_non_null(instance);
            assert_int_equal(instance->id, ids[i]);
        }
    }
    qsort(ids, COUNT, sizeof *ids, compare_ids);
    for (size_t i = 1; i < COUNT; i++) {
        assert_int_not_equal(ids[i - 1], ids[i]);
    }
    free(ids);
    registry_destroy(registry);
    assert_int_equal(destroyed, COUNT);
}

static void two_processes_start_with_other_ids(void **state) {
    (void)state;
    struct registry *one = create(1, 0);
    struct registry *two = create(1, 0);
    assert_int_not_equal(start(one, "{}", 1)->id, start(two, "{}", 1)->id);
    registry_destroy(one);
    registry_destroy(two);
}

static void at_the_limit_the_longest_unused_goes(void **state) {
    (void)state;
    struct registry *registry = create(2, 0);
    int64_t first = start(registry, "{}", 1)->id;
    int64_t second = start(registry, "{}", 2)->id;
    registry_release(registry, registry_use(registry, first, 10001));
    int64_t third = start(registry, "{}", 10002)->id;
    assert_non_null(find(registry, first));
    assert_null(find(registry, second));
    assert_non_null(find(registry, third));
    /* All in use: refused, with the figures. */
    struct instance *a = registry_use(registry, first, 5);
    struct instance *b = registry_use(registry, third, 5);
    char error[160];
    struct instance *out = NULL;
    assert_int_equal(
        registry_start(registry, &hosted, kong_str("{}"), NULL, 6, &out, error, sizeof error), -1);
    assert_string_equal(error, "2 instances, limit 2, all in use");
    registry_release(registry, a);
    registry_release(registry, b);
    registry_destroy(registry);
}

static void idle_ones_expire_used_ones_never(void **state) {
    (void)state;
    struct registry *registry = create(10, 100);
    int64_t idle = start(registry, "{}", 0)->id;
    int64_t busy = start(registry, "{}", 0)->id;
    struct instance *used = registry_use(registry, busy, 0);
    int64_t young = start(registry, "{}", 50)->id;
    assert_int_equal(registry_expire(registry, 99), 0);
    assert_int_equal(registry_expire(registry, 100), 1);
    assert_null(find(registry, idle));
    assert_non_null(find(registry, busy));
    assert_non_null(find(registry, young));
    registry_release(registry, used);
    assert_int_equal(registry_expire(registry, 150), 2);
    registry_destroy(registry);
}

/* Where an instance stands in the order of use may lag behind; when it expires does not. */
static void what_was_used_soon_after_its_start_expires_no_sooner(void **state) {
    (void)state;
    struct registry *registry = create(10, 100);
    int64_t used = start(registry, "{}", 0)->id;
    int64_t idle = start(registry, "{}", 10)->id;
    registry_release(registry, registry_use(registry, used, 60));
    assert_int_equal(registry_expire(registry, 110), 1);
    assert_null(find(registry, idle));
    assert_int_equal(registry_expire(registry, 159), 0);
    assert_non_null(find(registry, used));
    assert_int_equal(registry_expire(registry, 160), 1);
    registry_destroy(registry);
}

/* What is kept of a refused configuration does not depend on how large it was. */
static void little_is_kept_of_what_is_refused(void **state) {
    (void)state;
    static char text[700000];
    struct registry *registry = create(10, 0);
    memset(text, 'x', sizeof text);
    memcpy(text, "{\"service_id\":\"s\",\"header\":\" ",
           sizeof "{\"service_id\":\"s\",\"header\":\" " - 1);
    memcpy(text + sizeof text - 3, "\"}", 3);
    struct instance *bad = start(registry, text, 1);
    assert_non_null(bad->failure);
    assert_in_range(strlen(bad->failure), 200, 400);
    assert_in_range(bad->arena.used, 200, 1000);
    assert_string_equal(bad->scope.service_id, "s");
    struct instance *refused = start(registry, "{\"header\":\"Refuse-Me\",\"route_id\":\"r\"}", 1);
    assert_null(refused->config);
    assert_in_range(refused->arena.used, 16, 100);
    assert_string_equal(refused->scope.route_id, "r");
    registry_destroy(registry);
}

static void a_configuration_has_a_limit(void **state) {
    (void)state;
    struct registry_options options = {.max_instances = 9, .max_config = 30};
    struct registry *registry = registry_create(&options);
    assert_non_null(registry);
    assert_null(start(registry, "{\"header\":\"123456789012345678\"", 1)->config);
    struct instance *instance = start(registry, "{\"header\":\"12345678901234567\"}", 1);
    assert_null(instance->failure);
    instance = start(registry, "{\"header\":\"123456789012345678\"}", 1);
    assert_string_equal(instance->failure, "config: 31 bytes, limit 30 (--max-config)");
    registry_destroy(registry);
}

/* One parse for all: an integer that no int64 holds hides nothing else. */
static void numbers_beyond_int64_keep_the_scope(void **state) {
    (void)state;
    struct registry *registry = create(10, 0);
    struct instance *instance = start(
        registry, "{\"service_id\":\"s\",\"route_id\":\"r\",\"__seq__\":123456789012345678901}", 1);
    assert_null(instance->failure);
    assert_string_equal(instance->scope.service_id, "s");
    assert_string_equal(instance->scope.route_id, "r");
    registry_destroy(registry);
}

static void keys_that_nobody_knows_are_told_of_once(void **state) {
    (void)state;
    char text[4096];
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    struct log *log = log_create(ends[1], LOG_LEVEL_WARN, "test");
    struct registry_options options = {.log = log, .max_instances = 9};
    struct registry *registry = registry_create(&options);
    assert_non_null(registry);
    for (int i = 0; i < 3; i++) {
        assert_null(
            start(registry, "{\"__seq__\":1,\"$refs\":{},\"service_id\":\"s\"}", 1)->failure);
    }
    for (int i = 0; i < 3; i++) {
        assert_null(start(registry, "{\"__new\":1,\"\\n\":2}", 1)->failure);
    }
    registry_destroy(registry);
    log_destroy(log);
    close(ends[1]);
    ssize_t len = read(ends[0], text, sizeof text - 1);
    assert_true(len > 0);
    text[len] = '\0';
    close(ends[0]);
    char *line = strstr(text, "a configuration has 2 keys that neither the schema nor this server "
                              "knows, the first is \"");
    assert_non_null(line);
    assert_null(strstr(line + 20, "configuration"));
}

static void configure_gets_what_open_left(void **state) {
    (void)state;
    struct registry_options options = {.max_instances = 9};
    hosted.data = &destroyed;
    struct registry *registry = registry_create(&options);
    configure_data = NULL;
    assert_null(start(registry, "{}", 1)->failure);
    assert_ptr_equal(configure_data, &destroyed);
    registry_destroy(registry);
}

static void a_refused_configuration_gives_an_instance_that_says_why(void **state) {
    (void)state;
    struct registry *registry = create(10, 0);
    struct instance *bad = start(registry, "{\"header\":\"has space\",\"number\":\"x\"}", 1);
    assert_string_equal(bad->failure, "config.header: invalid value: has space; config.number: "
                                      "expected an integer");
    struct instance *broken = start(registry, "{\"header\":", 1);
    assert_non_null(broken->failure);
    struct instance *refused = start(registry, "{\"header\":\"Refuse-Me\"}", 1);
    assert_string_equal(refused->failure, "no such database");
    registry_destroy(registry);
    assert_int_equal(configured, 0);
    assert_int_equal(destroyed, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_instance_is_configured_found_closed),
        cmocka_unit_test(an_instance_outlives_its_closing_while_used),
        cmocka_unit_test(ids_never_repeat_and_all_are_found),
        cmocka_unit_test(two_processes_start_with_other_ids),
        cmocka_unit_test(at_the_limit_the_longest_unused_goes),
        cmocka_unit_test(idle_ones_expire_used_ones_never),
        cmocka_unit_test(what_was_used_soon_after_its_start_expires_no_sooner),
        cmocka_unit_test(little_is_kept_of_what_is_refused),
        cmocka_unit_test(a_configuration_has_a_limit),
        cmocka_unit_test(numbers_beyond_int64_keep_the_scope),
        cmocka_unit_test(keys_that_nobody_knows_are_told_of_once),
        cmocka_unit_test(configure_gets_what_open_left),
        cmocka_unit_test(a_refused_configuration_gives_an_instance_that_says_why),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
