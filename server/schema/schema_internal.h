/* What the schema's parts share: schema.h is the contract. All of them walk one JSON tree together
 * with the table that describes it. */
#ifndef SERVER_SCHEMA_INTERNAL_H
#define SERVER_SCHEMA_INTERNAL_H

#include <jansson.h>

#include "arena.h"
#include "kong_schema.h"
#include "schema.h"

/* Of a field's name. */
#define SCHEMA_NAME_MAX 127

/* One walk. Everything made on the way lives in the arena; once out of memory, functions do nothing
 * more and the walk ends as CODEC_E_NOMEM. */
struct checker {
    struct arena *arena;
    bool nomem;
};

/* --- schema_errors.c
 * ------------------------------------------------------------------------------
 *
 * What is wrong, shaped as the configuration is: Kong's rules over several fields look at it and
 * write into it. A node with neither text nor children means: nothing wrong. */
struct errors {
    const char *name; /* of a field; borrowed. NULL for an element of a list */
    size_t index;     /* of an element, from 1 as in Lua */
    struct kong_str text;
    struct errors *children;
    struct errors *next;
};

bool errors_any(const struct errors *errors);

/* printf-like. Replaces what is there. */
void errors_set(struct checker *checker, struct errors *errors, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Adds a copy of `child` below the node, if there is anything wrong in it. */
void errors_attach(struct checker *checker, struct errors *errors, const struct errors *child);

/* The node at "a" or "a.b", made if it is not there. NULL when out of memory. */
struct errors *errors_at(struct checker *checker, struct errors *errors, const char *path);

/* Whether something is wrong with that field (no path). */
bool errors_has(const struct errors *errors, const char *name);

/* Flattened into lines, in the order in which Kong prints them: by name, elements by number. */
void errors_report(struct checker *checker, const struct errors *errors, const char *root,
                   struct schema_report *report);

/* --- schema_rules.c ----------------------------------------------------------------------- */

/* The rules of a field on a value of the right type that is not null. Says the first broken one. */
void rules_check(struct checker *checker, const struct kong_field *field, const json_t *value,
                 struct errors *errors);

/* Length as Lua's: bytes, elements, entries; 0 for other values. */
size_t rules_length(const json_t *value);

/* A number as Lua's tostring writes it. */
void rules_number_text(double number, char text[32]);

/* {vault://...}: Kong puts the secret in its place before we see it. */
bool rules_is_reference(const json_t *value);

/* --- schema_check.c ----------------------------------------------------------------------- */

/* A value against its field, recursively; `required` stands in for the field's own. slot: where the
 * value is going to be decoded; NULL when it is not. A missing value is NULL or JSON's null. */
void check_value(struct checker *checker, const struct kong_field *field,
                 const struct kong_slot *slot, bool required, const json_t *value,
                 struct errors *errors);

/* The fields of an object, then the rules over several of them. `own`: the whole configuration,
 * where Kong's own keys are let pass. */
void check_record(struct checker *checker, const struct kong_record *record, const json_t *object,
                  bool own, struct errors *errors);

/* Kong's own keys in an instance's configuration. */
bool check_is_kongs_key(const char *name);

/* --- schema_entity.c ---------------------------------------------------------------------- */

void entity_check(struct checker *checker, const struct kong_record *record, const json_t *object,
                  struct errors *errors);

/* The field at "a" or "a.b"; NULL. */
const struct kong_field *entity_field(const struct kong_record *record, const char *path);

/* --- schema_defaults.c -------------------------------------------------------------------- */

/* Fills what is missing as Kong does before it checks, recursively: the default, {} for a required
 * record, null for what is not required. A repeated element of a set goes; an empty object where a
 * list belongs becomes an empty list, and the other way round. */
void defaults_fill(struct checker *checker, const struct kong_record *record, json_t *object);

/* The same for one value: NULL, or a new reference to be put in its place. */
json_t *defaults_fill_value(struct checker *checker, const struct kong_field *field, json_t *value);

/* --- schema_decode.c ---------------------------------------------------------------------- */

/* A JSON text of the schema's author. Numbers come as reals, as in Lua, unless `integers`. NULL
 * when broken, or out of memory (then *nomem). */
json_t *schema_parse_text(const char *text, bool integers, bool *nomem);

/* --- schema_json.c ------------------------------------------------------------------------ */

/* Kong's words: "string", "record"; "distinct", "conditional". */
const char *schema_type_name(enum kong_field_type type);
const char *schema_check_name(enum kong_check_type type);

#endif
