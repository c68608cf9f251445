/* Why a server does not answer: its command line is read, here of this program, executed by
 * another name. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ask.h"
#include "one_plugin.h"
#include "outcome.h"

static int handle(struct kong *kong, const void *config) {
    (void)kong;
    (void)config;
    return 0;
}

static const struct kong_plugin plugin = {
    .name = "a-plugin", .version = "1.0", .handlers = {[KONG_PHASE_ACCESS] = handle}};

/* A server with these options. */
static void check_both(const char *before, const char *option, const char *wanted) {
    struct plugin place;
    const struct plugins plugins = one_plugin(&place, &plugin, NULL);
    char text[300] = "";
    char *argv[] = {(char[]){"a-server"}, (char *)(uintptr_t)before, (char *)(uintptr_t)option,
                    NULL};
    struct ask ask = {.dropped = true, .peer = option == NULL ? 0 : outcome_execute_self(argv)};
    assert_int_equal(ask_find_refusal(&ask, &plugins, text, sizeof text), wanted[0] != '\0');
    if (option != NULL) {
        kill(ask.peer, SIGKILL);
        assert_int_equal(waitpid(ask.peer, NULL, 0), ask.peer);
    }
    assert_string_equal(text, wanted);
}

static void check(const char *option, const char *wanted) {
    check_both("--socket=/a", option, wanted);
}

static void who_is_refused(void **state) {
    unsigned long self = (unsigned long)geteuid();
    char option[64], wanted[300];
    (void)state;
    snprintf(option, sizeof option, "--allow-uid=%lu,%lu", self + 1, self + 2);
    snprintf(wanted, sizeof wanted,
             "user id %lu is refused by the server's --allow-uid %lu,%lu: run this as such a user, "
             "or start the server with %lu in that list",
             self, self + 1, self + 2, self);
    check(option, wanted);
    snprintf(option, sizeof option, "--allow-uid=%lu,%lu", self + 1, self);
    check(option, "");
    check("--threads=1", ""); /* nobody is refused */
    snprintf(wanted, sizeof wanted,
             "the server closed the connection before any answer: does its --allow-uid leave out "
             "user id %lu?",
             self);
    check("no option", wanted);
    check(NULL, wanted); /* whose process is not known */
    struct ask answered = {.peer = getpid()};
    assert_false(ask_find_refusal(&answered, NULL, wanted, sizeof wanted));
}

/* All of a long command line is read: the list stands at its end. */
static void a_long_command_line(void **state) {
    static char long_path[16384] = "--log-file=/";
    unsigned long self = (unsigned long)geteuid();
    char option[512] = "--allow-uid=";
    char wanted[300];
    (void)state;
    memset(long_path + strlen(long_path), 'x', sizeof long_path - 1 - strlen(long_path));
    for (int i = 0; i < 40; i++) {
        size_t len = strlen(option);
        snprintf(option + len, sizeof option - len, "%s1000000%02d", i > 0 ? "," : "", i);
    }
    /* of a list that is too long for a line whole numbers are shown */
    snprintf(
        wanted, sizeof wanted,
        "user id %lu is refused by the server's --allow-uid %.*s,...: run this as such a user, "
        "or start the server with %lu in that list",
        self, 12 * 10 - 1, option + strlen("--allow-uid="), self);
    check_both(long_path, option, wanted);
    size_t len = strlen(option);
    snprintf(option + len, sizeof option - len, ",%lu", self);
    check_both(long_path, option, "");
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(who_is_refused),
                                       cmocka_unit_test(a_long_command_line)};
    if (argc > 0 && strcmp(argv[0], "a-server") == 0) {
        (void)!write(STDOUT_FILENO, "", 1);
        pause();
    }
    return cmocka_run_group_tests_name("test_ask_refused", tests, NULL, NULL);
}
