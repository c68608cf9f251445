/* An author's mistakes: each is said in one line, by the function and by a whole program. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "limit.h"
#include "plugin_check.h"

static int handle(struct kong *kong, const void *config) {
    (void)kong;
    (void)config;
    return 0;
}

struct config {
    const char *word;
};

static const KONG_FIELDS(struct config) fields[] = {
    KONG_STRING_FIELD(struct config, word, .default_json = KONG_TEXT("too long"), .len_max = 3)};
static const struct kong_schema bad_schema = KONG_SCHEMA(struct config, fields);

static struct kong_plugin sound(void) {
    return (struct kong_plugin){.name = "a-plugin",
                                .version = "1.0",
                                .priority = 10,
                                .handlers = {[KONG_PHASE_ACCESS] = handle}};
}

/* What the program says, on both its outputs; its status. */
static int run_program(const struct kong_plugin *plugin, int argc, char **argv, char said[1024]) {
    int out[2];
    int status;
    /* what is read is one write: several would tear the line where the pipe is shared */
    assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM, 0, out), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        dup2(out[1], STDOUT_FILENO);
        dup2(out[1], STDERR_FILENO);
        int result = kong_main(argc, argv, plugin);
        fflush(NULL);
        _exit(result);
    }
    close(out[1]);
    ssize_t len = read(out[0], said, 1023);
    assert_true(len > 0);
    said[len] = '\0';
    close(out[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

/* The line of the function; the program says the same with status 2, whatever it is asked for, and
 * nothing on its standard output. */
__attribute__((format(printf, 2, 3))) static void refused(const struct kong_plugin *plugin,
                                                          const char *format, ...) {
    static const char *const options[] = {"--dump", "--check-config=-", "--socket=/nonexistent/s"};
    char error[512];
    char wanted[512];
    char line[640];
    va_list args;
    va_start(args, format);
    vsnprintf(wanted, sizeof wanted, format, args);
    va_end(args);
    memset(error, 'x', sizeof error);
    assert_int_equal(plugin_check(plugin, error, sizeof error), -1);
    assert_string_equal(error, wanted);
    snprintf(line, sizeof line, "server: %s\n", wanted);
    for (size_t i = 0; i < 3; i++) {
        char *argv[] = {(char[]){"server"}, (char *)(uintptr_t)options[i], NULL};
        char said[1024];
        int status = run_program(plugin, 2, argv, said);
        assert_string_equal(said, line);
        assert_int_equal(status, 2);
    }
}

static void taken(const struct kong_plugin *plugin) {
    char error[512];
    assert_int_equal(plugin_check(plugin, error, sizeof error), 0);
}

static void names(void **state) {
    static const char *const bad[] = {"A", "a b", "a,b", "a/b", "a.b", "-a", "\xc3\xa4"};
    struct kong_plugin plugin = sound();
    (void)state;
    taken(&plugin);
    plugin.name = "9_a-b";
    taken(&plugin);
    plugin.name = NULL;
    refused(&plugin, "the plugin has no name: set .name, as in Kong's `plugins`, like "
                     "\"rate-card\"");
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        plugin.name = bad[i];
        refused(&plugin,
                "the plugin's name \"%s\": lower case letters, digits, - and _ only, and a letter "
                "or digit first",
                bad[i]);
    }
}

static void versions(void **state) {
    static const char *const bad[] = {"1", "1.", "1.2.", "1.2.3.4", "v1.0", "1.0-rc", ".1", "1..2"};
    static const char *const good[] = {"0.1", "10.20.30"};
    struct kong_plugin plugin = sound();
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        plugin.version = good[i];
        taken(&plugin);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        plugin.version = bad[i];
        refused(&plugin,
                "the plugin a-plugin: version \"%s\", with which Kong does not start: it must be "
                "like \"1.0\" or \"1.0.0\"",
                bad[i]);
    }
    plugin.version = NULL;
    refused(&plugin, "the plugin a-plugin has no version, without which Kong does not start: set "
                     ".version, like \"1.0\" or \"1.0.0\"");
}

static void phases(void **state) {
    struct kong_plugin plugin = sound();
    (void)state;
    plugin.phases = KONG_PHASE_BIT(KONG_PHASE_LOG);
    refused(&plugin, "the plugin a-plugin names log in .phases, and has no handler for it");
    plugin.phases = 1u << 31;
    refused(&plugin, "the plugin a-plugin names an unknown phase in .phases, and has no handler "
                     "for it");
    plugin.handlers[KONG_PHASE_RESPONSE] = plugin.handlers[KONG_PHASE_HEADER_FILTER] = handle;
    plugin.phases = KONG_PHASE_BIT(KONG_PHASE_RESPONSE) | KONG_PHASE_BIT(KONG_PHASE_HEADER_FILTER);
    refused(&plugin, "the plugin a-plugin names response and header_filter in .phases: Kong "
                     "refuses a plugin that has both");
    memset(plugin.handlers, 0, sizeof plugin.handlers);
    refused(&plugin, "the plugin a-plugin has no handler: set .handlers, like [KONG_PHASE_ACCESS]");
}

static void names_of_kongs_own_plugins(void **state) {
    static const char *const bundled[] = {"key-auth", "acl", "zipkin", "ai-proxy"};
    struct kong_plugin plugin = sound();
    (void)state;
    for (size_t i = 0; i < sizeof bundled / sizeof *bundled; i++) {
        plugin.name = bundled[i];
        refused(&plugin,
                "the plugin's name \"%s\" is that of a plugin bundled with Kong, which Kong loads "
                "instead: give it another",
                bundled[i]);
    }
    plugin.name = "key-auth2";
    taken(&plugin);
}

static void phases_that_cannot_run(void **state) {
    struct kong_plugin plugin = sound();
    struct kong_schema schema = {.protocols = KONG_STRINGS("tcp", "tls")};
    (void)state;
    plugin.schema = &schema;
    refused(&plugin, "the plugin a-plugin: Kong runs the phase access on none of its .protocols: "
                     "add one of grpc, grpcs, http, https, or take the handler away");
    plugin.handlers[KONG_PHASE_ACCESS] = NULL;
    plugin.handlers[KONG_PHASE_PREREAD] = handle;
    taken(&plugin);
    schema.protocols = KONG_STRINGS("http", "gopher");
    refused(&plugin, "the plugin a-plugin: .protocols: Kong knows no \"gopher\"");
    schema.protocols = NULL;
    taken(&plugin);
    plugin.handlers[KONG_PHASE_PREREAD] = NULL;
    plugin.handlers[KONG_PHASE_HEADER_FILTER] = handle;
    refused(&plugin, "the plugin a-plugin has a handler for header_filter only, where no Kong up "
                     "to 3.9 can call it: add one for access or response");
    plugin.handlers[KONG_PHASE_LOG] = handle;
    taken(&plugin);
}

static void stacks(void **state) {
    static const size_t good[] = {0, LIMIT_STACK_LEAST, LIMIT_STACK, LIMIT_STACK_MOST};
    static const size_t bad[] = {1, LIMIT_STACK_LEAST - 1, LIMIT_STACK_MOST + 1, SIZE_MAX};
    struct kong_plugin plugin = sound();
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        plugin.stack_size = good[i];
        taken(&plugin);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        plugin.stack_size = bad[i];
        refused(&plugin,
                "the plugin a-plugin: .stack_size is %zu bytes: it must be from 65536 to "
                "67108864, or 0 for %zu",
                bad[i], LIMIT_STACK);
    }
}

static int work(struct kong *kong) {
    (void)kong;
    return 0;
}

static void jobs(void **state) {
    struct kong_plugin plugin = sound();
    (void)state;
    for (size_t i = 0; i < KONG_JOBS_MOST; i++) {
        static const char *const all[KONG_JOBS_MOST] = {"a", "b", "c", "d", "e", "f", "g-1", "h_2"};
        plugin.jobs[i] = (struct kong_job){all[i], i == 0 ? 1 : 86400000, work};
    }
    taken(&plugin);
    plugin = sound();
    plugin.jobs[0] = (struct kong_job){"Flush", 1000, work};
    refused(&plugin, "the plugin a-plugin: the job's name \"Flush\": lower case letters, digits, - "
                     "and _ only, and a letter or digit first");
    plugin.jobs[0] = (struct kong_job){"flush", 1000, NULL};
    refused(&plugin, "the plugin a-plugin: the job flush has no function");
    plugin.jobs[0] = (struct kong_job){"flush", 0, work};
    refused(&plugin,
            "the plugin a-plugin: the job flush: its interval is 0 ms: it must be from 1 to "
            "86400000");
    plugin.jobs[0] = (struct kong_job){"flush", 86400001, work};
    refused(&plugin, "the plugin a-plugin: the job flush: its interval is 86400001 ms: it must be "
                     "from 1 to 86400000");
    plugin.jobs[0] = plugin.jobs[1] = (struct kong_job){"flush", 1000, work};
    refused(&plugin, "the plugin a-plugin has two jobs of the name flush");
    plugin.jobs[0] = (struct kong_job){NULL, 0, NULL};
    refused(&plugin, "the plugin a-plugin: the job 1 has no name");
    plugin.jobs[0] = (struct kong_job){NULL, 1000, work};
    plugin.jobs[1] = (struct kong_job){NULL, 0, NULL};
    refused(&plugin, "the plugin a-plugin: the job 1 has no name");
}

static void schemas(void **state) {
    struct kong_plugin plugin = sound();
    (void)state;
    plugin.schema = &bad_schema;
    refused(&plugin, "the plugin a-plugin: schema: config.word: default: length must be at most 3");
}

/* What 3.9 allows and 2.8 does not: refused with the plugin's name and the way out, but for the
 * query command, which --print-conf gives no --prefetch. */
static void prefetch_on_2_8(void **state) {
    static const struct {
        const char *options[2];
        int status;
    } rows[] = {{{"--socket=/nonexistent/s", "--prefetch=auto"}, 2},
                {{"--print-conf", "--prefetch=declared"}, 2},
                {{"--print-conf", "--prefetch=off"}, 0},
                {{"--dump", "--priority=7"}, 0}};
    struct kong_plugin plugin = sound();
    (void)state;
    plugin.prefetch[KONG_PHASE_ACCESS] = KONG_PREFETCH(KONG_WANT_REQUEST_URI_CAPTURES);
    taken(&plugin);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char *argv[] = {(char[]){"server"}, (char[]){"--kong-version=2.8"},
                        (char *)(uintptr_t)rows[i].options[0],
                        (char *)(uintptr_t)rows[i].options[1], NULL};
        char said[1024];
        assert_int_equal(run_program(&plugin, 4, argv, said), rows[i].status);
        if (rows[i].status == 2) {
            assert_string_equal(said, "server: the plugin a-plugin: .prefetch of access, "
                                      "kong.request.get_uri_captures: Kong 2.8 raises an error on "
                                      "it in this phase: give --prefetch off, by which nothing is "
                                      "asked for ahead\n");
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names),
        cmocka_unit_test(versions),
        cmocka_unit_test(phases),
        cmocka_unit_test(stacks),
        cmocka_unit_test(names_of_kongs_own_plugins),
        cmocka_unit_test(phases_that_cannot_run),
        cmocka_unit_test(schemas),
        cmocka_unit_test(jobs),
        cmocka_unit_test(prefetch_on_2_8),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
