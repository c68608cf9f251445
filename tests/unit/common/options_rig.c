#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "options_rig.h"

int options_handler(struct kong *kong, const void *config) {
    (void)kong;
    (void)config;
    return 0;
}

const struct kong_plugin options_plugin = {
    .thread_safe = true,
    .name = "api-version",
    .version = "0.1",
    .priority = 3000,
    .phases = KONG_PHASE_BIT(KONG_PHASE_ACCESS),
    .handlers = {[KONG_PHASE_REWRITE] = options_handler,
                 [KONG_PHASE_ACCESS] = options_handler,
                 [KONG_PHASE_HEADER_FILTER] = options_handler,
                 [KONG_PHASE_RESPONSE] = options_handler},
};

const struct plugins *options_plugins(void) {
    static struct plugin place;
    static struct plugins plugins;
    plugins = one_plugin(&place, &options_plugin, NULL);
    return &plugins;
}

#define MOST_ARGUMENTS 12

void parse_as(struct parsed *parsed, char *argv0, const char *line) {
    char copy[512];
    char *argv[MOST_ARGUMENTS + 2] = {argv0};
    char *before[MOST_ARGUMENTS + 2];
    char *rest = copy;
    char *word;
    int argc = 1;

    assert_true(strlen(line) < sizeof copy);
    memcpy(copy, line, strlen(line) + 1);
    while ((word = strsep(&rest, " ")) != NULL) {
        assert_true(argc <= MOST_ARGUMENTS);
        if (*word)
            argv[argc++] = strcmp(word, "''") == 0 ? word + 2 : word;
    }
    memcpy(before, argv, sizeof argv);
    memset(parsed->error, 'x', sizeof parsed->error);
    parsed->result = options_parse(&parsed->options, options_plugins(), argc, argv, parsed->error,
                                   sizeof parsed->error);
    assert_memory_equal(argv, before, sizeof argv);
}

struct options parse_ok(const char *line) {
    struct parsed parsed;
    char argv0[] = EXECUTABLE;

    parse_as(&parsed, argv0, line);
    if (parsed.result != 0)
        fail_msg("%s: %s", line, parsed.error);
    return parsed.options;
}

struct options values_of(const char *line) {
    struct options options = parse_ok(line);
    struct options copy = options;

    options_free(&options);
    copy.socket = copy.socket_group = copy.kong_prefix = copy.check_config = NULL;
    return copy;
}

void refused(const char *line, const char *expected) {
    struct parsed parsed;
    char argv0[] = EXECUTABLE;

    parse_as(&parsed, argv0, line);
    if (parsed.result == 0)
        fail_msg("%s: should be refused: %s", line, expected);
    assert_int_equal(parsed.result, -1);
    assert_string_equal(parsed.error, expected);
    assert_null(parsed.options.socket);
    assert_null(parsed.options.socket_group);
    assert_null(parsed.options.kong_prefix);
}
