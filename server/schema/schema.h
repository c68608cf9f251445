/* A configuration's schema at work: from one table (kong_schema.h) the dump, the check, the
 * decoding and the docs. No I/O, no libuv. */
#ifndef SERVER_SCHEMA_H
#define SERVER_SCHEMA_H

#include <jansson.h>

#include "arena.h"
#include "kong_schema.h"

/* What is wrong with a configuration: one line a violation, as Kong's Admin API words it,
 * "config.response_header: required field missing". Lines live in the arena that was given. */
struct schema_report {
    const char **lines;
    size_t count;
};

/* Decodes a configuration (JSON text: the fields of `config`, plus Kong's own keys, which are left
 * alone: __key__, __seq__, __plugin_id, __ws_id, route_id, service_id, consumer_id,
 * plugin_instance_name) into a struct of the schema's type, defaults applied; struct and all it
 * points to live in the arena. 0: *config is filled, NULL where the schema is NULL or has no
 * fields. 1: violations, all at once, in *report. CODEC_E_NOMEM. Broken JSON is a violation that
 * says line and column. */
int schema_decode(const struct kong_schema *schema, struct kong_str json, struct arena *arena,
                  void **config, struct schema_report *report);

/* The `Schema` of the dump. kong_major: below 3 leaves out what 2.8 does not load (`description`).
 * A new reference; NULL when out of memory. */
json_t *schema_to_json(const struct kong_schema *schema, const char *plugin_name, int kong_major);

/* The fields as a table in Markdown. malloc'ed, freed by the caller; NULL when out of memory. */
char *schema_to_markdown(const struct kong_schema *schema);

/* Checks the table itself, a programmer's error otherwise seen only when Kong does not start:
 * names, defaults that their own rules refuse, patterns that do not compile, rules that do not fit
 * the type. 0, or -1 with a line in `error`. */
int schema_check(const struct kong_schema *schema, char *error, size_t error_size);

/* A JSON text that is over a limit of nesting or elements, and so not to be parsed: what is wrong,
 * written to text; NULL when it is not. */
const char *schema_find_excess(struct kong_str json, char *text, size_t size);

#endif
