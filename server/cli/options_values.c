/* What an option's argument may be, and where its value goes. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "options_table.h"

/* Enums are set through their integer type. */
_Static_assert(sizeof(enum log_level) == sizeof(unsigned) &&
                   sizeof(enum log_format) == sizeof(unsigned) &&
                   sizeof(enum protocol) == sizeof(unsigned) &&
                   sizeof(enum prefetch_mode) == sizeof(unsigned) &&
                   sizeof(enum option_switch) == sizeof(unsigned),
               "enums are as large as unsigned");

/* "--socket-mode 9z: not an octal mode like 0660". The value is cut to leave room for what is
 * right.
 */
static int refuse(const struct option_parser *parser, const struct option_row *row,
                  const char *value, const char *instead) {
    return options_fail(parser, "--%s %.200s%s: %s", row->name, value,
                        strlen(value) > 200 ? "..." : "", instead);
}

/* --- values --- */

/* Digits as a number: false when there is none at the start, or one over `most`. */
static bool read_number(const char **text, uint64_t most, uint64_t *number) {
    const char *at = *text;
    uint64_t value = 0;
    if (*at < '0' || *at > '9') {
        return false;
    }
    for (; *at >= '0' && *at <= '9'; at++) {
        uint64_t digit = (uint64_t)(*at - '0');
        if (value > (most - digit) / 10 || digit > most) {
            return false;
        }
        value = value * 10 + digit;
    }
    *text = at;
    *number = value;
    return true;
}

static int parse_mode(const struct option_parser *parser, const struct option_row *row,
                      const char *text, mode_t *mode) {
    mode_t value = 0;
    size_t len = strlen(text);
    bool octal = len > 0 && len == strspn(text, "01234567");
    for (size_t i = 0; octal && i < len; i++) {
        value = value * 8 + (mode_t)(text[i] - '0');
        octal = value <= 0777;
    }
    if (!octal) {
        return refuse(parser, row, text, "not an octal mode like 0660");
    }
    *mode = value;
    return 0;
}

/* Seconds with up to three decimals, in ms. */
static bool read_ms(const char *text, uint64_t *ms) {
    uint64_t seconds;
    uint64_t scale = 100;
    if (!read_number(&text, UINT32_MAX, &seconds)) {
        return false;
    }
    *ms = seconds * 1000;
    if (*text == '.') {
        text++;
        for (; *text >= '0' && *text <= '9' && scale > 0; text++, scale /= 10) {
            *ms += (uint64_t)(*text - '0') * scale;
        }
        if (scale == 100) {
            return false; /* no digit behind the point */
        }
    }
    return *text == '\0';
}

/* Bytes, perhaps with K or M behind them. */
static bool read_bytes(const char *text, uint64_t most, uint64_t *bytes) {
    if (!read_number(&text, most, bytes)) {
        return false;
    }
    unsigned shift = *text == 'K' || *text == 'k' ? 10 : *text == 'M' || *text == 'm' ? 20 : 0;
    text += shift > 0;
    bool fits = *text == '\0' && *bytes <= most >> shift;
    *bytes <<= fits ? shift : 0;
    return fits;
}

/* SECONDS, COUNT or BYTES. */
static int parse_amount(const struct option_parser *parser, const struct option_row *row,
                        const char *text, void *value) {
    char instead[128];
    const char *end = text;
    uint64_t amount = 0;
    unsigned long long least = row->least, most = row->most;
    bool good = row->kind == OPTION_SECONDS ? read_ms(text, &amount)
                : row->kind == OPTION_BYTES ? read_bytes(text, most, &amount)
                                            : read_number(&end, most, &amount) && *end == '\0';
    if (good && amount >= least && amount <= most) {
        if (row->kind == OPTION_SECONDS) {
            *(uint64_t *)value = amount;
        } else {
            *(size_t *)value = (size_t)amount;
        }
        return 0;
    }
    if (row->kind == OPTION_SECONDS) {
        snprintf(instead, sizeof instead,
                 "not a number of seconds from %.12g to %.12g, like 5 or 0.25",
                 (double)least / 1000, (double)most / 1000);
    } else if (row->kind == OPTION_BYTES) {
        snprintf(instead, sizeof instead,
                 "not a number of bytes from %lluK to %lluM, like 65536, 64K or 16M", least >> 10,
                 most >> 20);
    } else {
        snprintf(instead, sizeof instead, "not a whole number from %llu to %llu", least, most);
    }
    return refuse(parser, row, text, instead);
}

static int parse_priority(const struct option_parser *parser, const struct option_row *row,
                          const char *text, int *priority) {
    bool negative = *text == '-';
    const char *end = text + negative;
    uint64_t value;
    if (!read_number(&end, INT32_MAX, &value) || *end != '\0') {
        return refuse(parser, row, text, "not a whole number like 3000");
    }
    *priority = negative ? -(int)value : (int)value;
    return 0;
}

static int parse_name(const struct option_parser *parser, const struct option_row *row,
                      const char *text, unsigned *value) {
    char names[128];
    struct text instead = TEXT_IN(names);
    text_add(&instead, "not one of");
    for (const struct option_name *name = row->names; name->name != NULL; name++) {
        if (strcasecmp(name->name, text) == 0) {
            *value = name->value;
            return 0;
        }
        text_add(&instead, "%s %s", name == row->names ? "" : ",", name->name);
    }
    return refuse(parser, row, text, names);
}

static int parse_kong_version(const struct option_parser *parser, const struct option_row *row,
                              const char *text, int *major) {
    const char *end = text;
    uint64_t first = 0;
    uint64_t next;
    bool good = read_number(&end, 999, &first);
    /* 3, 3.9, 3.9.1, 3.9.1.2 (Enterprise) */
    for (int i = 0; good && i < 3 && *end == '.'; i++) {
        end++;
        good = read_number(&end, 999, &next);
    }
    if (!good || *end != '\0') {
        return refuse(parser, row, text, "not a version like 3 or 3.9");
    }
    if (first < 2) {
        return refuse(parser, row, text, "this plugin server needs Kong 2 or newer");
    }
    *major = (int)first;
    return 0;
}

static int parse_uids(const struct option_parser *parser, const struct option_row *row,
                      const char *text, struct option_uids *uids) {
    const char *at = text;
    uint64_t uid;
    for (;;) {
        /* (uid_t)-1 is nobody's */
        if (!read_number(&at, UINT32_MAX - 1, &uid) || (*at != ',' && *at != '\0')) {
            return refuse(parser, row, text, "not a list of user ids like 0,33");
        }
        if (uids->count == LIMIT_ALLOWED_UIDS) {
            return options_fail(parser, "--%s: more than %d user ids", row->name,
                                LIMIT_ALLOWED_UIDS);
        }
        uids->list[uids->count++] = (uid_t)uid;
        if (*at++ == '\0') {
            return 0;
        }
    }
}

/* --- phases --- */

static int parse_phase(const struct option_parser *parser, const char *name, size_t len,
                       unsigned *phases) {
    char known[128];
    const struct kong_plugin *plugin = parser->options->plugin;
    options_list_handlers(plugin, known, sizeof known);
    for (unsigned phase = 0; phase < KONG_PHASE_COUNT; phase++) {
        const char *candidate = kong_phase_name((enum kong_phase)phase);
        if (strlen(candidate) != len || memcmp(candidate, name, len) != 0) {
            continue;
        }
        if (plugin->handlers[phase] == NULL) {
            return options_fail(parser, "--phases: the plugin %s has no handler for %s; it has %s",
                                plugin->name, candidate, known);
        }
        *phases |= KONG_PHASE_BIT(phase);
        return 0;
    }
    return options_fail(parser, "--phases: \"%.*s\" is no phase; the plugin %s has handlers for %s",
                        (int)(len > 100 ? 100 : len), name, plugin->name, known);
}

static int parse_phases(const struct option_parser *parser, const char *text, unsigned *phases) {
    const unsigned both =
        KONG_PHASE_BIT(KONG_PHASE_RESPONSE) | KONG_PHASE_BIT(KONG_PHASE_HEADER_FILTER);
    unsigned named = 0;
    if (parser->options->plugin == NULL) {
        return options_need_plugin(parser, "phases");
    }
    for (;;) {
        size_t len = strcspn(text, ",");
        if (parse_phase(parser, text, len, &named) != 0) {
            return -1;
        }
        if (text[len] == '\0') {
            break;
        }
        text += len + 1;
    }
    if ((named & both) == both) {
        return options_fail(parser, "--phases: Kong refuses a plugin that has both response and "
                                    "header_filter: name one of them");
    }
    *phases = named;
    return 0;
}

/* --- one option --- */

/* text: NULL only where the argument may be left out. */
static int parse_text(const struct option_parser *parser, const struct option_row *row,
                      const char *text, char **value) {
    char reason[300];
    if (text != NULL && *text == '\0' && row->kind == OPTION_TEXT) {
        return options_fail(parser, "--%s: its argument %s is empty", row->name, row->argument);
    }
    if (text != NULL && row->check != NULL && row->check(text, reason, sizeof reason) != 0) {
        return refuse(parser, row, text, reason);
    }
    char *copy = strdup(text == NULL ? "" : text);
    if (copy == NULL) {
        return options_fail(parser, "out of memory");
    }
    free(*value);
    *value = copy;
    return 0;
}

/* Only one action is carried out. --help and the like win over any action before them. */
static int choose(const struct option_parser *parser, const struct option_row *row) {
    enum options_action before = parser->options->action;
    enum options_action action = (enum options_action)row->number;
    if (before != OPTIONS_RUN && before != action && !options_is_information(action)) {
        return options_fail(parser, "--%s and --%s are two different things to do: give one",
                            options_name_of(before), row->name);
    }
    parser->options->action = action;
    return 0;
}

int options_set(const struct option_parser *parser, const struct option_row *row,
                const char *text) {
    void *value = (char *)parser->options + row->offset;
    switch (row->kind) {
    case OPTION_ACTION:
        return choose(parser, row);
    case OPTION_FLAG:
        *(bool *)value = true;
        return 0;
    case OPTION_TEXT:
        if (row->number != 0 && choose(parser, row) != 0) {
            return -1;
        }
        __attribute__((fallthrough));
    case OPTION_HEADERS:
        return parse_text(parser, row, text, value);
    case OPTION_MODE:
        return parse_mode(parser, row, text, value);
    case OPTION_SECONDS:
    case OPTION_COUNT:
    case OPTION_BYTES:
        return parse_amount(parser, row, text, value);
    case OPTION_PRIORITY:
        return parse_priority(parser, row, text, value);
    case OPTION_NAME:
        return parse_name(parser, row, text, value);
    case OPTION_PHASES:
        return parse_phases(parser, text, value);
    case OPTION_UIDS:
        return parse_uids(parser, row, text, value);
    case OPTION_KONG_VERSION:
        return parse_kong_version(parser, row, text, value);
    }
    return -1; /* not reached: each kind returns */
}
