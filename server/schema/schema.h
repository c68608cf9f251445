/* Uses a configuration's schema: one table (kong_schema.h) makes the dump, the check, the decoding
 * and the docs. No I/O, no libuv. */
#ifndef SERVER_SCHEMA_H
#define SERVER_SCHEMA_H

#include <jansson.h>

#include "arena.h"
#include "kong_phase.h"
#include "kong_schema.h"

/* In the JSON; NULL in a table with a mistake. */
static inline const char *schema_field_name(const struct kong_field *field) {
    return field->name != NULL ? field->name : field->member;
}

/* The field of this name, of len bytes; NULL: there is none. */
const struct kong_field *schema_field(const struct kong_record *record, const char *name,
                                      size_t len);

/* Who sends a configuration. */
enum schema_source {
    SCHEMA_FROM_USER, /* as to Kong's Admin API: a key that is no field is a violation */
    SCHEMA_FROM_KONG, /* which has checked it: unknown keys are ignored (Kong's own, "$refs", those
                         of a later Kong). Where a vault reference may have been, a value is
                         checked for `required` and its type only, not by rules */
};

/* Violations, a line each, as Kong's Admin API words them: "config.response_header: required field
 * missing". Values, names and lines are cut, so that all lines take at most 128 KiB; the last one
 * says how many more there are. */
struct schema_result {
    void *config; /* NULL where the schema is NULL or has no fields, and with violations */
    const char **lines;
    size_t count;
    json_t *tree; /* what was parsed, defaults filled in: the caller's reference. NULL when the text
                     is no JSON object */
    const char *ignored; /* the first key that was ignored although neither the schema nor Kong 3.9
                            has it; in the tree. NULL: none */
    size_t ignored_count;
};

/* Decodes a configuration (JSON text, the fields of `config`) into a struct of the schema's type,
 * defaults applied; the struct and all it points to, and the lines, live in the arena, which
 * nothing else is taken from. 0. 1: violations, all at once. CODEC_E_NOMEM: nothing is in *result.
 * Broken JSON is a violation that says line and column; so are more than LIMIT_NESTING levels and
 * LIMIT_CONFIG_ELEMENTS elements. */
int schema_decode(const struct kong_schema *schema, struct kong_str json, enum schema_source source,
                  struct arena *arena, struct schema_result *result);

/* Where a plugin with these phases (bits, 1 << enum kong_phase) may be put: what its author says,
 * or else what fits the phases; Kong's own default, grpc, grpcs, http and https, where that is all
 * the same. Ends with NULL, borrowed. schema may be NULL. */
const char *const *schema_protocols(const struct kong_schema *schema, unsigned phases);

/* 0; -1 with a line in `error`: Kong does not know one of them, or runs one of the phases on none.
 */
int schema_check_protocols(const struct kong_schema *schema, unsigned phases, char *error,
                           size_t error_size);

/* The `Schema` of the dump. phases: that the plugin advertises, for its protocols. kong_major: 2
 * leaves out what 2.8 does not load (`description`). A new reference; NULL when out of memory. */
json_t *schema_to_json(const struct kong_schema *schema, const char *plugin_name, unsigned phases,
                       int kong_major);

/* The fields as a table in Markdown. malloc'ed, freed by the caller; NULL when out of memory. */
char *schema_to_markdown(const struct kong_schema *schema);

/* Checks the table itself. Without this, an author sees such mistakes only when Kong does not
 * start: bad names, defaults that break their own rules, patterns that do not compile, rules that
 * do not fit the type. 0, or -1 with a line in `error`. */
int schema_check(const struct kong_schema *schema, char *error, size_t error_size);

#endif
