/* What the tests of options share: a plugin, and command lines as texts. */
#ifndef TESTS_OPTIONS_RIG_H
#define TESTS_OPTIONS_RIG_H

#include "one_plugin.h"
#include "options.h"

#define EXECUTABLE "/usr/local/bin/apiversion-server"

/* api-version 0.1, thread-safe, handlers for rewrite, access, header_filter and response. */
extern const struct kong_plugin options_plugin;

/* A table of that one. */
const struct plugins *options_plugins(void);

int options_handler(struct kong *kong, const void *config);

struct parsed {
    struct options options;
    char error[256];
    int result;
};

/* Splits `line` at blanks ("''" is an empty argument) behind argv0. */
void parse_as(struct parsed *parsed, char *argv0, const char *line);

/* The options of a line that must be right; for options_free. */
struct options parse_ok(const char *line);

/* The same, freed: for options without strings of interest. */
struct options values_of(const char *line);

/* The line must be refused with this error, and leave nothing behind. */
void refused(const char *line, const char *expected);

#endif
