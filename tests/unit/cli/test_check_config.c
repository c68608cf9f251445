/* --check-config and --describe, as a whole program: api-version's, in a child process. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check_config.h"
#include "limit.h"
#include "outcome.h"
#include "schema.h"
#include "scratch.h"

/* The plugin is a program: its main function is called by another name. */
int plugin_main(int argc, char **argv);
#define main plugin_main
#include "../../../plugins/api_version/api_version.c"
#undef main

static int call_main(void *data) {
    char **argv = data;
    return plugin_main(argv[2] == NULL ? 2 : 3, argv);
}

/* Runs the program with these options and `len` bytes of input. */
static void run(struct outcome *outcome, const char *option, const char *argument,
                const char *input, size_t len) {
    char *argv[] = {(char[]){"apiversion-server"}, (char *)option, (char *)argument, NULL};
    outcome_of(outcome, call_main, argv, input, len, NULL);
}

static void check_input(const char *input, size_t len, int status, const char *out,
                        const char *err) {
    struct outcome outcome;
    run(&outcome, "--check-config", "-", input, len);
    assert_string_equal(outcome.err, err);
    assert_string_equal(outcome.out, out);
    assert_int_equal(outcome.status, status);
}

static void check(const char *input, int status, const char *out) {
    check_input(input, strlen(input), status, out, "");
}

static void good(void **state) {
    (void)state;
    check("{}", 0, "");
    check("{\"version\": \"2.3.1\",\n \"request_header\": null}\n", 0, "");
}

static void violations(void **state) {
    (void)state;
    check("{\"response_header\": null}", 1, "config.response_header: required field missing\n");
    check("{\"response_header\": \"has space\", \"version\": 2, \"x\": 1}", 1,
          "config.response_header: invalid value: has space\n"
          "config.version: expected a string\n"
          "config.x: unknown field\n");
    check("{\"__seq__\": 7, \"route_id\": null}", 1, /* Kong adds them: nobody gives them */
          "config.__seq__: unknown field\nconfig.route_id: unknown field\n");
    check("{\"request_header\": \"Version\"}", 1,
          "config.@entity: values of these fields must be distinct: 'request_header', "
          "'response_header'\n");
    check("[1]", 1, "config: a list, where an object of its fields is expected\n");
    check(" []\n", 1, "config: a list, where an object of its fields is expected\n");
    check("\"x\"", 1, "config: expected a record\n");
}

static void broken_json(void **state) {
    (void)state;
    check("{\n \"version\" 3}", 1, "config: line 2, column 12: ':' expected near '3'\n");
    check("{} x", 1, "config: line 1, column 4: end of file expected near 'x'\n");
    check("", 1,
          "config: nothing is there: an object of its fields is expected, {} for the defaults\n");
    check(" \n", 1,
          "config: nothing is there: an object of its fields is expected, {} for the defaults\n");
}

#define HINT                                                                                       \
    "apiversion-server: hint: give what stands under \"config\" alone, without what is around it " \
    "(jq .config)\n"

/* As the Admin API takes it. */
static void the_whole_entity(void **state) {
    static const char whole[] = "{\"name\": \"api-version\", \"config\": {\"version\": \"2\"}}";
    (void)state;
    check_input("{\"config\": {}}", 14, 1, "config.config: unknown field\n", HINT);
    check_input(whole, sizeof whole - 1, 1,
                "config.config: unknown field\nconfig.name: unknown field\n", HINT);
    check("{\"config\": 1}", 1, "config.config: unknown field\n");
}

struct config_file {
    char directory[SCRATCH_PATH], path[SCRATCH_PATH + 16];
};

static void file_make(struct config_file *file, const char *config) {
    assert_true(scratch_make(file->directory));
    snprintf(file->path, sizeof file->path, "%s/config.json", file->directory);
    FILE *stream = fopen(file->path, "we");
    assert_non_null(stream);
    assert_true(fputs(config, stream) >= 0);
    assert_int_equal(fclose(stream), 0);
}

static void file_remove(const struct config_file *file) {
    assert_true(scratch_remove(file->directory));
}

static void a_file(void **state) {
    (void)state;
    struct outcome outcome;
    struct config_file file;
    file_make(&file, "{\"version\": \"\"}");
    run(&outcome, "--check-config", file.path, "", 0);
    file_remove(&file);
    assert_string_equal(outcome.out, "config.version: length must be at least 1\n");
    assert_string_equal(outcome.err, "");
    assert_int_equal(outcome.status, 1);
}

static void unreadable(void **state) {
    (void)state;
    static const struct {
        const char *path;
        const char *error;
    } cases[] = {
        {"/nonexistent/config.json",
         "apiversion-server: cannot read /nonexistent/config.json: No such file or directory\n"},
        {"/", "apiversion-server: cannot read /: Is a directory\n"},
        {"no\nline", "apiversion-server: cannot read no\\x0Aline: No such file or directory\n"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct outcome outcome;
        run(&outcome, "--check-config", cases[i].path, "", 0);
        assert_string_equal(outcome.err, cases[i].error);
        assert_string_equal(outcome.out, "");
        assert_int_equal(outcome.status, 1);
    }
}

/* What would be refused at the start of an instance. */
static void too_large(void **state) {
    (void)state;
    char *text = malloc(LIMIT_CONFIG + 1);
    assert_non_null(text);
    memset(text, ' ', LIMIT_CONFIG + 1);
    memcpy(text, "{}", 2);
    check_input(text, LIMIT_CONFIG + 1, 1, "",
                "apiversion-server: cannot read standard input: more than 1048576 bytes "
                "(--max-config)\n");
    check_input(text, LIMIT_CONFIG, 0, "", "");
    free(text);
}

/* --- The plugin's own check --- */

static struct hooks {
    int opened, configured, destroyed, closed;
    bool broken; /* it does not open */
} hooks;

static int hook_open(void **data, char *error, size_t error_size) {
    hooks.opened++;
    *data = &hooks;
    snprintf(error, error_size, "no database at 127.0.0.1\n");
    return hooks.broken ? -1 : 0;
}

static int hook_configure(const void *config, void **state, char *error, size_t error_size,
                          void *data) {
    assert_ptr_equal(data, &hooks);
    hooks.configured++;
    *state = &hooks.configured;
    snprintf(error, error_size, "no header like that\n");
    return strcmp(((const struct config *)config)->version, "bad") == 0 ? 1 : 0;
}

static void hook_destroy(const void *config, void *state) {
    assert_non_null(config);
    assert_ptr_equal(state, &hooks.configured);
    hooks.destroyed++;
}

static void hook_close(void *data) {
    assert_ptr_equal(data, &hooks);
    hooks.closed++;
}

static int check_with_hooks(const char *config, bool configure, char *out, char *error) {
    static const struct kong_plugin checked = {.schema = &schema,
                                               .open = hook_open,
                                               .close = hook_close,
                                               .configure = hook_configure,
                                               .destroy = hook_destroy};
    struct config_file file;
    const struct options wanted = {.plugin = &checked,
                                   .check_config = file.path,
                                   .max_config = 4096,
                                   .no_configure = !configure};
    FILE *lines = tmpfile();
    assert_non_null(lines);
    file_make(&file, config);
    hooks = (struct hooks){.broken = hooks.broken};
    int rc = check_config(&wanted, lines, error, 512);
    file_remove(&file);
    outcome_read_back(lines, out, 4096);
    return rc;
}

static void is_configured(void **state) {
    char out[4096], error[512];
    (void)state;
    assert_int_equal(check_with_hooks("{\"version\":\"good\"}", true, out, error), 0);
    assert_string_equal(out, "");
    assert_string_equal(error, "");
    assert_true(hooks.opened == 1 && hooks.configured == 1 && hooks.destroyed == 1 &&
                hooks.closed == 1);
    /* refused: nothing was made that is to be destroyed */
    assert_int_equal(check_with_hooks("{\"version\":\"bad\"}", true, out, error), 1);
    assert_string_equal(out, "config: no header like that\\x0A\n");
    assert_string_equal(error, "");
    assert_true(hooks.configured == 1 && hooks.destroyed == 0 && hooks.closed == 1);
    /* the schema first, and alone if wanted */
    assert_int_equal(check_with_hooks("{\"version\":7}", true, out, error), 1);
    assert_string_equal(out, "config.version: expected a string\n");
    assert_int_equal(hooks.opened, 0);
    assert_int_equal(check_with_hooks("{\"version\":\"bad\"}", false, out, error), 0);
    assert_int_equal(hooks.opened, 0);
}

static void is_not_opened(void **state) {
    char out[4096], error[512];
    (void)state;
    hooks.broken = true;
    assert_int_equal(check_with_hooks("{}", true, out, error), -1);
    assert_string_equal(out, "");
    assert_string_equal(error, "the plugin does not open (--no-configure checks without it): no "
                               "database at 127.0.0.1\\x0A");
    assert_true(hooks.opened == 1 && hooks.configured == 0 && hooks.closed == 0);
    assert_int_equal(check_with_hooks("{}", false, out, error), 0);
    hooks.broken = false;
}

static void describes(void **state) {
    (void)state;
    struct outcome outcome;
    char *table = schema_to_markdown(&schema);
    assert_non_null(table);
    run(&outcome, "--describe", NULL, "", 0);
    assert_string_equal(outcome.out, table);
    assert_string_equal(outcome.err, "");
    assert_int_equal(outcome.status, 0);
    free(table);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good),          cmocka_unit_test(violations),
        cmocka_unit_test(broken_json),   cmocka_unit_test(the_whole_entity),
        cmocka_unit_test(a_file),        cmocka_unit_test(unreadable),
        cmocka_unit_test(too_large),     cmocka_unit_test(describes),
        cmocka_unit_test(is_configured), cmocka_unit_test(is_not_opened),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
