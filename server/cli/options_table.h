/* All options: private to options*.c. */
#ifndef SERVER_OPTIONS_TABLE_H
#define SERVER_OPTIONS_TABLE_H

#include "options.h"
#include "printable.h"
#include "text.h"

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
    OPTION_HEADERS,      /* char *, names with commas; "" when given without; NULL when not given */
};

struct option_name {
    const char *name; /* NULL ends a list */
    unsigned value;
};

/* Which of Kong's commands an option belongs to. */
enum option_use {
    OPTION_FOR_A_PERSON, /* neither */
    OPTION_FOR_START,    /* start_cmd */
    OPTION_FOR_QUERY,    /* query_cmd */
};

struct option_row {
    const char *section; /* begins one; NULL: as before */
    enum option_use use; /* of all in the section; read by options_belongs */
    const char *name;
    const char *argument; /* placeholder; NULL: takes none; "[=X]": may be left out */
    const char *help;     /* without a final period; may be followed by "(default X)" */
    size_t offset;        /* of the value in struct options */
    uint64_t least, most; /* SECONDS (in ms), COUNT, BYTES */
    const struct option_name *names;
    const char *text; /* TEXT: the default; NULL: none, or the help says it */
    /* TEXT, HEADERS: may be NULL. -1, with what is wrong in `error` */
    int (*check)(const char *text, char *error, size_t error_size);
    enum option_kind kind;
    unsigned number;
    enum options_action only_with; /* the action that it goes with; RUN: any */
    bool both;                     /* belongs to the other one of Kong's commands, too */
    bool of_plugin;                /* is about one plugin: of several, --plugin says which */
    bool several;                  /* only programs with several plugins show it */
    bool common;                   /* --help has it; --help-all has every row */
    char letter;                   /* 0: none */
};

extern const struct option_row option_rows[];
extern const size_t option_row_count;

/* "print-conf": of the option that does this. */
const char *options_name_of(enum options_action action);

/* --help and the like: options behind it are ignored. */
bool options_is_information(enum options_action action);

/* Whether an option's argument is the next word. */
static inline bool options_takes_word(const struct option_row *row) {
    return row->argument != NULL && row->argument[0] != '[';
}

bool options_belongs(const struct option_row *row, enum option_use use);

/* The value as it would be written on the command line, in `scratch` (1 KiB holds any) or the
 * option's own string; "" for none. A flag that is set is its own name. */
const char *options_show(const struct option_row *row, const struct options *options, char *scratch,
                         size_t size);

/* What an option is parsed with. */
struct option_parser {
    struct options *options;
    const struct plugins *plugins;
    char *error;
    size_t error_size;
};

/* -1, with the text as one printable line in the parser's error. */
#define options_fail(parser_, ...)                                                                 \
    printable_error((parser_)->error, (parser_)->error_size, __VA_ARGS__)

/* Takes an option with its argument (NULL: it has none). 0, or -1 as options_fail. */
int options_set(const struct option_parser *parser, const struct option_row *row, const char *text);

/* "--phases: which plugin? ...", as options_fail. */
int options_need_plugin(const struct option_parser *parser, const char *option);

/* "a, b, c" of the plugins' names, cut to `size`. */
void options_list_plugins(const struct plugins *plugins, char *out, size_t size);

/* What holds without any option. Strings are not set. plugin: which of the plugins; NULL: it is not
 * known. The protocol is the same for all: MsgPack:1, if one of them needs it. Kong keeps idle
 * connections by the socket's path, and takes one for whichever plugin comes next. */
void options_defaults(struct options *options, const struct plugins *plugins,
                      const struct kong_plugin *plugin);

/* The first plugin that needs MsgPack:1; NULL: none does. */
const struct kong_plugin *options_msgpack_plugin(const struct plugins *plugins);

/* "access, log" of KONG_PHASE_BITs; of those that the plugin can handle. 80 bytes hold all. */
void options_list_phases(unsigned phases, const char *between, char *out, size_t size);
void options_list_handlers(const struct kong_plugin *plugin, char *out, size_t size);

/* An option's help with its default, and with what only the plugins know. 512 bytes hold any. */
void options_describe(const struct option_row *row, const struct plugins *plugins,
                      const struct options *defaults, char *out, size_t size);

/* The plugin, where there is only one. */
static inline const struct kong_plugin *options_only_plugin(const struct plugins *plugins) {
    return plugins->count == 1 ? plugins->list[0].what : NULL;
}

/* Whether --help-all and the manual page have it. */
static inline bool options_is_shown(const struct option_row *row, const struct plugins *plugins) {
    return !row->several || plugins->count > 1;
}

/* The prefix when none is given. */
#define OPTIONS_KONG_PREFIX "/usr/local/kong"

#endif
