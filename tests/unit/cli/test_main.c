/* A whole program, in a child process: what each action prints, what it ends with, and what it does
 * when its output does not arrive. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "kong.h"
#include "kong_prefetch.h"
#include "outcome.h"
#include "three.h"

static int handle(struct kong *kong, const void *config) {
    (void)kong;
    (void)config;
    return 0;
}

static const struct kong_plugin plugin = {
    .name = "a-plugin",
    .version = "1.0",
    .handlers = {[KONG_PHASE_ACCESS] = handle, [KONG_PHASE_HEADER_FILTER] = handle}};

struct program {
    int argc;
    char *argv[16];
    const struct kong_plugin *const *plugins;
    size_t count;
};

static int call_main(void *data) {
    struct program *program = data;
    return kong_main_plugins(program->argc, program->argv, program->plugins, program->count);
}

/* The program a-server, with the words of the line, which are between spaces. `out`: its standard
 * output; NULL: what it prints is kept. */
static void run(struct outcome *outcome, const struct kong_plugin *const *plugins, size_t count,
                const char *line, const char *out) {
    struct program program = {
        .argc = 1, .argv = {(char[]){"a-server"}}, .plugins = plugins, .count = count};
    char words[512];
    char *rest;
    snprintf(words, sizeof words, "%s", line);
    for (char *word = strtok_r(words, " ", &rest); word != NULL;
         word = strtok_r(NULL, " ", &rest)) {
        program.argv[program.argc++] = word;
    }
    outcome_of(outcome, call_main, &program, "", 0, out);
}

static const struct kong_plugin *const one[] = {&plugin};

/* What is printed begins like this, and nothing is said besides. */
static void prints(const char *line, const char *begin) {
    struct outcome outcome;
    run(&outcome, one, 1, line, NULL);
    assert_string_equal(outcome.err, "");
    if (strncmp(outcome.out, begin, strlen(begin)) != 0) {
        fail_msg("%s: not \"%s\":\n%.200s", line, begin, outcome.out);
    }
    assert_int_equal(outcome.status, 0);
}

static void what_is_asked_for_is_printed(void **state) {
    struct outcome outcome;
    (void)state;
    prints("--help", "Usage: a-server [OPTION]...\n");
    prints("--help-all", "Usage: a-server [OPTION]...\n");
    prints("--man", ".TH \"a-server\" 1 ");
    prints("--version", "a-plugin 1.0\nkong-pdk ");
    prints("--dump", "{\n  \"Protocol\": \"ProtoBuf:1\",");
    prints("--dump --lua", "return {");
    prints("--print-conf", "# which plugins there are");
    run(&outcome, three_plugins, 3, "--version", NULL);
    assert_int_equal(outcome.status, 0);
    assert_memory_equal(outcome.out, "three-open 1.0\nthree-closed 1.1\nthree-rough 1.2\nkong-pdk ",
                        56);
}

/* Each action that prints has one line and status 1, whatever it prints. */
static void output_that_does_not_arrive(void **state) {
    static const char *const lines[] = {
        "--help",       "--help-all",         "--man",           "--version",
        "--dump",       "--dump --lua",       "--describe",      "--doctor",
        "--print-conf", "--print-conf --env", "--check-config -"};
    (void)state;
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        struct outcome outcome;
        run(&outcome, one, 1, lines[i], "/dev/full");
        assert_string_equal(outcome.err, "a-server: cannot write to standard output\n");
        assert_int_equal(outcome.status, 1);
    }
}

/* The dump stays JSON; the warning is for whoever reads Kong's log. */
static void header_filter_is_warned_of(void **state) {
    struct outcome outcome;
    (void)state;
    run(&outcome, one, 1, "--dump --phases access,header_filter", NULL);
    assert_int_equal(outcome.status, 0);
    assert_memory_equal(outcome.out, "{\n  \"Protocol\": ", 16);
    assert_string_equal(outcome.err,
                        "a-server: warning: Kong up to 3.9 destroys every response of a plugin "
                        "server that advertises header_filter\n");
}

static void nobody_serves(void **state) {
    struct outcome outcome;
    (void)state;
    run(&outcome, one, 1, "--status --socket /nonexistent/a.socket", NULL);
    assert_int_equal(outcome.status, 1);
    assert_string_equal(outcome.out, "");
    assert_memory_equal(outcome.err, "a-server: ", 10);
    assert_non_null(strstr(outcome.err, "/nonexistent/a.socket"));
    run(&outcome, one, 1, "--status --quiet --socket /nonexistent/a.socket", NULL);
    assert_int_equal(outcome.status, 1);
    assert_string_equal(outcome.out, "");
    assert_string_equal(outcome.err, "");
}

/* Before a server is made: its socket's directory is not there. */
static void what_kong_2_8_raises_on(void **state) {
    struct kong_plugin old = plugin;
    const struct kong_plugin *const list[] = {&old};
    struct outcome outcome;
    (void)state;
    old.prefetch[KONG_PHASE_ACCESS] = KONG_PREFETCH(KONG_WANT_REQUEST_URI_CAPTURES);
    static const char *const refused[] = {"--kong-version 2 --socket /nonexistent/a.socket",
                                          "--kong-version 2 --print-conf"};
    for (size_t i = 0; i < 2; i++) {
        run(&outcome, list, 1, refused[i], NULL);
        assert_string_equal(outcome.err,
                            "a-server: the plugin a-plugin: .prefetch of access, "
                            "kong.request.get_uri_captures: Kong 2.8 raises an error on it in this "
                            "phase: give --prefetch off, by which nothing is asked for ahead\n");
        assert_string_equal(outcome.out, "");
        assert_int_equal(outcome.status, 2);
    }
    static const char *const taken[] = {"--kong-version 3 --print-conf", "--print-conf",
                                        "--kong-version 2 --prefetch off --print-conf",
                                        "--kong-version 2 --dump"};
    for (size_t i = 0; i < sizeof taken / sizeof *taken; i++) {
        run(&outcome, list, 1, taken[i], NULL);
        assert_string_equal(outcome.err, "");
        assert_int_equal(outcome.status, 0);
    }
}

/* What the parent process left: a signal blocked, one ignored, descriptors closed. */
static void a_parents_remains(void **state) {
    (void)state;
    fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        char *argv[] = {(char[]){"a-server"}, (char[]){"--version"}, NULL};
        struct sigaction action;
        sigset_t blocked;
        sigfillset(&blocked);
        sigprocmask(SIG_BLOCK, &blocked, NULL);
        signal(SIGTERM, SIG_IGN);
        signal(SIGCHLD, SIG_IGN);
        close(STDIN_FILENO);
        close(STDOUT_FILENO);
        close(STDERR_FILENO);
        int rc = kong_main_plugins(2, argv, one, 1);
        sigprocmask(SIG_BLOCK, NULL, &blocked);
        bool right = rc == 0 && open("/dev/null", O_RDONLY) > STDERR_FILENO &&
                     sigismember(&blocked, SIGTERM) == 0 && sigismember(&blocked, SIGINT) == 0;
        sigaction(SIGTERM, NULL, &action);
        right = right && action.sa_handler == SIG_DFL;
        sigaction(SIGCHLD, NULL, &action);
        _exit(right && action.sa_handler == SIG_DFL ? 0 : 1);
    }
    assert_int_equal(outcome_status(child), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_asked_for_is_printed),
        cmocka_unit_test(output_that_does_not_arrive),
        cmocka_unit_test(header_filter_is_warned_of),
        cmocka_unit_test(nobody_serves),
        cmocka_unit_test(what_kong_2_8_raises_on),
        cmocka_unit_test(a_parents_remains),
    };
    return cmocka_run_group_tests_name("test_main", tests, NULL, NULL);
}
