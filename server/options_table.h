/* The table of options, shared by the parser (options.c) and by what is printed of it
 * (options_help.c). */
#ifndef SERVER_OPTIONS_TABLE_H
#define SERVER_OPTIONS_TABLE_H

#include "options.h"

struct parser;

/* A row without a name is a heading, in `help`. */
struct option_spec {
    const char *name;
    int letter;        /* 0: none */
    const char *value; /* placeholder; NULL: takes none */
    int (*set)(struct parser *parser, const char *name, const char *value);
    const char *help; /* %s is where `fallback` goes */
    const char *fallback;
};

extern const struct option_spec option_specs[];
extern const size_t option_spec_count;

/* "access, response": the phases that the plugin can handle. */
void options_list_phases(const struct kong_plugin *plugin, char *text, size_t size);

#endif
