/* A program of several plugins: which options need --plugin, and what is printed for Kong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "options.h"
#include "plugin_check.h"
#include "plugins.h"
#include "print_conf.h"
#include "three.h"

#define LENGTH(array) (sizeof(array) / sizeof *(array))
#define EXE           "/opt/three-server"
#define NAMES         "three-open, three-closed, three-rough"

/* The line's words are between '|'. 0, or -1 with the error. */
static int parse(struct options *options, const struct plugins *plugins, const char *line,
                 char *error, size_t error_size) {
    static char words[1024];
    char *argv[32] = {(char[]){EXE}};
    char *rest = words;
    int argc = 1;
    snprintf(words, sizeof words, "%s", line);
    for (char *word = strtok_r(words, "|", &rest); word != NULL;
         word = strtok_r(NULL, "|", &rest)) {
        argv[argc++] = word;
    }
    return options_parse(options, plugins, argc, argv, error, error_size);
}

static void refused(const char *line, const char *wanted) {
    struct plugins plugins;
    struct options options;
    char error[512] = "";
    assert_int_equal(plugins_init(&plugins, "three-server", three_plugins, 3), 0);
    if (parse(&options, &plugins, line, error, sizeof error) == 0) {
        fail_msg("%s: should be refused", line);
    }
    assert_string_equal(error, wanted);
    plugins_free(&plugins);
}

static void which_plugin_is_asked_for(void **state) {
    static const char *const alone[] = {"dump",     "describe", "check-config",           "phases",
                                        "priority", "name",     "replace-upstream-header"};
    static const char *const lines[] = {"--dump",
                                        "--describe",
                                        "--check-config|x.json",
                                        "--phases|access",
                                        "--print-conf|--priority|7",
                                        "--print-conf|--name|x",
                                        "--print-conf|--replace-upstream-header=A"};
    char wanted[200];
    (void)state;
    for (size_t i = 0; i < LENGTH(lines); i++) {
        snprintf(wanted, sizeof wanted, "--%s: of which plugin? Give --plugin NAME, one of " NAMES,
                 alone[i]);
        refused(lines[i], wanted);
    }
    refused("--dump|--plugin|three",
            "--plugin three: this program has no such plugin: give one of " NAMES);
    refused("--plugin|three-open",
            "--plugin: a server has all plugins of its program: leave it out, or say what to do "
            "with this one (--help)");
    refused("--status|--plugin|three-open",
            "--plugin: a server has all plugins of its program: leave it out, or say what to do "
            "with this one (--help)");
    refused("--threads|2", "--threads 2: the plugin three-rough does not say that it is "
                           "thread-safe (.thread_safe of its struct kong_plugin): one thread only");
}

static void options_are_of_that_plugin(void **state) {
    struct plugins plugins;
    struct options options;
    char error[512];
    (void)state;
    assert_int_equal(plugins_init(&plugins, "three-server", three_plugins, 3), 0);
    /* also where --plugin stands behind */
    assert_int_equal(
        parse(&options, &plugins, "--phases|access|--dump|--plugin=three-closed", error, 512), 0);
    assert_ptr_equal(options.plugin, three_plugins[1]);
    assert_int_equal(options.priority, 20);
    assert_int_equal(options.protocol, PROTOCOL_MSGPACK); /* for three-rough needs it */
    struct options own = options_for(&options, &plugins, three_plugins[2]);
    assert_int_equal(own.priority, 10);
    assert_int_equal(own.protocol, PROTOCOL_MSGPACK);
    assert_string_equal(own.plugin_name, "three-rough");
    options_free(&options);
    assert_int_equal(parse(&options, &plugins, "--socket|/s", error, 512), 0);
    assert_null(options.plugin);
    options_free(&options);
    plugins_free(&plugins);
}

/* .protocol: the default follows it, and nothing may contradict. */
static void a_plugin_may_need_msgpack(void **state) {
    struct plugins plugins;
    struct options options;
    char error[512];
    (void)state;
    refused("--dump|--plugin|three-open|--protocol|ProtoBuf:1",
            "--protocol ProtoBuf:1: the plugin three-rough calls functions that Kong has over "
            "MsgPack:1 only (.protocol of its struct kong_plugin): leave it out");
    assert_int_equal(plugins_init(&plugins, "two-server", three_plugins, 2), 0);
    assert_int_equal(parse(&options, &plugins, "--dump|--plugin|three-open", error, 512), 0);
    assert_int_equal(options.protocol, PROTOCOL_PROTOBUF);
    options_free(&options);
    plugins_free(&plugins);
    assert_int_equal(plugins_init(&plugins, "one-server", &three_plugins[2], 1), 0);
    assert_int_equal(parse(&options, &plugins, "--dump", error, 512), 0);
    assert_int_equal(options.protocol, PROTOCOL_MSGPACK);
    options_free(&options);
    assert_int_equal(parse(&options, &plugins, "--dump|--protocol|MsgPack:1", error, 512), 0);
    options_free(&options);
    assert_int_equal(parse(&options, &plugins, "--protocol|protobuf:1", error, 512), -1);
    /* its own name may be given: commands are the same with one plugin and several */
    assert_int_equal(parse(&options, &plugins, "--dump|--plugin|three-rough", error, 512), 0);
    options_free(&options);
    assert_int_equal(parse(&options, &plugins, "--dump|--plugin|three-open", error, 512), -1);
    plugins_free(&plugins);
}

/* --- --print-conf --- */

static void prints(const char *line, const char *wanted) {
    struct plugins plugins;
    struct options options;
    char error[512];
    char *text = NULL;
    size_t len = 0;
    assert_int_equal(plugins_init(&plugins, "three-server", three_plugins, 3), 0);
    if (parse(&options, &plugins, line, error, sizeof error) != 0) {
        fail_msg("%s", error);
    }
    struct print_conf conf = {.executable = EXE,
                              .name = options.name != NULL ? options.name : "three-server",
                              .plugins = &plugins,
                              .options = &options};
    FILE *out = open_memstream(&text, &len);
    assert_non_null(out);
    assert_int_equal(print_conf(&conf, out, error, sizeof error), 0);
    fclose(out);
    for (char *at = text; *at != '\0';) { /* without the comments */
        char *next = strchr(at, '\n') + 1;
        if (*at == '#') {
            memmove(at, next, strlen(next) + 1);
        } else {
            at = next;
        }
    }
    assert_string_equal(text, wanted);
    free(text);
    options_free(&options);
    plugins_free(&plugins);
}

#define OPEN   "pluginserver_three_open_"
#define CLOSED "pluginserver_three_closed_"
#define ROUGH  "pluginserver_three_rough_"
#define SOCKET "/usr/local/kong/three-server.socket"

static void kong_gets_a_server_for_each(void **state) {
    (void)state;
    prints("--print-conf",
           "plugins = bundled,three-open,three-closed,three-rough\n"
           "pluginserver_names = three-open,three-closed,three-rough\n" OPEN "socket = " SOCKET
           "\n" OPEN "start_cmd = " EXE " --socket " SOCKET "\n" OPEN "query_cmd = " EXE
           " --dump --plugin three-open\n" CLOSED "socket = " SOCKET "\n" CLOSED "query_cmd = " EXE
           " --dump --plugin three-closed\n" ROUGH "socket = " SOCKET "\n" ROUGH "query_cmd = " EXE
           " --dump --plugin three-rough\n");
}

/* What is said of one goes into its query command, what is said of the server into the start's. */
static void what_is_said_of_one(void **state) {
    (void)state;
    prints("--print-conf|--plugin|three-closed|--priority|7|--name|Mine|--kong-version|3.9|"
           "--socket|/run/s|--max-events|9",
           "plugins = bundled,three-open,three-closed,three-rough\n"
           "pluginserver_names = three-open,mine,three-rough\n" OPEN "socket = /run/s\n" OPEN
           "start_cmd = " EXE " --socket /run/s --kong-version 3 --max-events 9\n" OPEN
           "query_cmd = " EXE " --dump --plugin three-open --kong-version 3\n"
           "pluginserver_mine_socket = /run/s\n"
           "pluginserver_mine_query_cmd = " EXE
           " --dump --plugin three-closed --priority 7 --kong-version 3\n" ROUGH
           "socket = /run/s\n" ROUGH "query_cmd = " EXE
           " --dump --plugin three-rough --kong-version 3\n");
}

static void a_control_plane_starts_none(void **state) {
    (void)state;
    prints("--print-conf|--role|control_plane",
           "role = control_plane\n"
           "plugins = bundled,three-open,three-closed,three-rough\n"
           "pluginserver_names = three-open,three-closed,three-rough\n" OPEN "socket = " SOCKET
           "\n" OPEN "query_cmd = " EXE " --dump --plugin three-open\n" CLOSED "socket = " SOCKET
           "\n" CLOSED "query_cmd = " EXE " --dump --plugin three-closed\n" ROUGH "socket = " SOCKET
           "\n" ROUGH "query_cmd = " EXE " --dump --plugin three-rough\n");
}

/* --- Help --- */

static void help_tells_of_all(void **state) {
    struct plugins plugins;
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    (void)state;
    assert_non_null(out);
    assert_int_equal(plugins_init(&plugins, "three-server", three_plugins, 3), 0);
    options_print_help("three-server", &plugins, false, out);
    fclose(out);
    assert_non_null(strstr(text, "Serves the plugins three-open 1.0, three-closed 1.1, "
                                 "three-rough 1.2 to Kong"));
    assert_non_null(strstr(text, "--plugin NAME"));
    assert_null(strstr(text, "(default access")); /* each has its own */
    for (const char *line = text; *line != '\0'; line += strcspn(line, "\n") + 1) {
        assert_in_range(strcspn(line, "\n"), 0, 80);
    }
    free(text);
    plugins_free(&plugins);
}

/* --- The list that a program gives --- */

static int handle(struct kong *kong, const void *config) {
    (void)kong;
    (void)config;
    return 0;
}

static void lists_are_checked(void **state) {
    const struct kong_plugin a = {
        .name = "a-plugin", .version = "1.0", .handlers = {[KONG_PHASE_LOG] = handle}};
    struct kong_plugin b = a;
    const struct kong_plugin *const list[] = {&a, &b, NULL};
    const struct kong_plugin *many[KONG_PLUGINS_MOST + 1];
    char error[512];
    (void)state;
    for (size_t i = 0; i < LENGTH(many); i++) {
        many[i] = &a;
    }
    assert_int_equal(plugin_check_all(list, 0, error, sizeof error), -1);
    assert_string_equal(error, "a program of 0 plugins: kong_main_plugins takes 1 to 64");
    assert_int_equal(plugin_check_all(many, LENGTH(many), error, sizeof error), -1);
    assert_string_equal(error, "a program of 65 plugins: kong_main_plugins takes 1 to 64");
    assert_int_equal(plugin_check_all(list, 2, error, sizeof error), -1);
    assert_string_equal(error, "the plugins 1 and 2 are called a-plugin and a-plugin: each needs a "
                               "name of its own (kong.conf takes - for _)");
    b.name = "a_plugin";
    assert_int_equal(plugin_check_all(list, 2, error, sizeof error), -1);
    assert_string_equal(error, "the plugins 1 and 2 are called a-plugin and a_plugin: each needs a "
                               "name of its own (kong.conf takes - for _)");
    b.name = "a-plugin-2";
    assert_int_equal(plugin_check_all(list, 2, error, sizeof error), 0);
    assert_int_equal(plugin_check_all(list, 3, error, sizeof error), -1);
    assert_string_equal(error,
                        "plugin 3 of 3 is NULL: is the count given to kong_main_plugins that "
                        "of the list?");
    b.version = "one"; /* each is checked as it would be alone */
    assert_int_equal(plugin_check_all(list, 2, error, sizeof error), -1);
    assert_non_null(strstr(error, "a-plugin-2"));
}

/* The program itself: one line, status 2, nothing on standard output. */
static void a_program_without_plugins(void **state) {
    char self[] = "none-server";
    char *argv[] = {self, NULL};
    (void)state;
    assert_int_equal(kong_main_plugins(1, argv, NULL, 0), 2);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(which_plugin_is_asked_for), cmocka_unit_test(options_are_of_that_plugin),
        cmocka_unit_test(a_plugin_may_need_msgpack), cmocka_unit_test(kong_gets_a_server_for_each),
        cmocka_unit_test(what_is_said_of_one),       cmocka_unit_test(a_control_plane_starts_none),
        cmocka_unit_test(help_tells_of_all),         cmocka_unit_test(lists_are_checked),
        cmocka_unit_test(a_program_without_plugins),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
