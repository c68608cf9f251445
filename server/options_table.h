/* All options: private to options*.c. */
#ifndef SERVER_OPTIONS_TABLE_H
#define SERVER_OPTIONS_TABLE_H

#include "options.h"

enum option_kind {
    OPTION_ACTION,       /* no argument; `number` is the enum options_action */
    OPTION_FLAG,         /* bool, no argument */
    OPTION_TEXT,         /* char *, not empty; `number` as of ACTION, where it is not 0 */
    OPTION_MODE,         /* mode_t, octal */
    OPTION_SECONDS,      /* uint64_t in ms; decimal fractions */
    OPTION_COUNT,        /* size_t */
    OPTION_BYTES,        /* size_t; K and M */
    OPTION_PRIORITY,     /* int */
    OPTION_NAME,         /* an enum, by `names` in either case */
    OPTION_PHASES,       /* unsigned; the help ends with those that the plugin can handle */
    OPTION_KONG_VERSION, /* int, the major number */
    OPTION_UIDS,         /* struct option_uids; commas, and may be repeated */
};

struct option_name {
    const char *name; /* NULL ends a list */
    unsigned value;
};

struct option_row {
    const char *section; /* begins one; NULL: as before */
    const char *name;
    const char *argument; /* placeholder; NULL: takes none */
    const char *help;     /* without a final period; may be followed by "(default X)" */
    size_t offset;        /* of the value in struct options */
    uint64_t least, most; /* SECONDS (in ms), COUNT, BYTES */
    const struct option_name *names;
    const char *text; /* TEXT: the default; "" when the help says it */
    enum option_kind kind;
    unsigned number;
    char letter; /* 0: none */
};

extern const struct option_row option_rows[];
extern const size_t option_row_count;

/* What holds without any option. Strings are not set. */
void options_defaults(struct options *options, const struct kong_plugin *plugin);

/* "access, log" of KONG_PHASE_BITs; of those that the plugin can handle. 80 bytes hold all. */
void options_list_phases(unsigned phases, const char *between, char *out, size_t size);
void options_list_handlers(const struct kong_plugin *plugin, char *out, size_t size);

/* An option's help with its default, and with what only the plugin knows. 512 bytes hold any. */
void options_describe(const struct option_row *row, const struct kong_plugin *plugin,
                      const struct options *defaults, char *out, size_t size);

/* The prefix when none is given. */
#define OPTIONS_KONG_PREFIX "/usr/local/kong"

#endif
