/* JSON texts, into an arena and from values. Nothing recurses deeper than LIMIT_NESTING. */
#ifndef SERVER_JSON_TEXT_H
#define SERVER_JSON_TEXT_H

#include "arena.h"
#include "kong_event.h"

/* What is wrong with a text. */
struct json_fault {
    const char *what; /* static */
    size_t at;        /* byte of the text */
};

/* KONG_OK, or KONG_E_INVALID or KONG_E_TOO_BIG with *fault, or KONG_E_NOMEM. */
int json_read(struct arena *arena, struct kong_str text, struct kong_value *value,
              struct json_fault *fault);

/* KONG_OK, or KONG_E_INVALID or KONG_E_TOO_BIG with *what (static), or KONG_E_NOMEM. */
int json_write(struct arena *arena, const struct kong_value *value, struct kong_str *text,
               const char **what);

/* The same of a value from anywhere, for a terminal: its strings become lines of printable UTF-8,
 * as in logs (printable_copy). */
int json_write_printable(struct arena *arena, const struct kong_value *value,
                         struct kong_str *text);

#endif
