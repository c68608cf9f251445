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

/* One walk. Everything made on the way lives in the arena; after it runs out, all functions do
 * nothing and the walk ends with CODEC_E_NOMEM. */
struct checker {
    struct arena *arena;
    bool nomem;
    enum schema_source source;
    const char *ignored; /* as in struct schema_result */
    size_t ignored_count;
};

/* The files below are floors: each calls only those above it here. */

/* --- schema_parse.c ----------------------------------------------------------------------- */

struct errors;

/* A JSON text of the schema's author. Numbers come as reals, as in Lua, unless `integers`. NULL
 * when broken, or out of memory (then *nomem). */
json_t *schema_parse_text(const char *text, bool integers, bool *nomem);

/* A whole configuration, an object; NULL with the reason in *errors, or out of memory. */
json_t *schema_parse_config(struct checker *checker, struct kong_str text, struct errors *errors);

/* --- schema_errors.c ---------------------------------------------------------------------- */

/* What is wrong, as a tree of the configuration's shape. Kong's rules over several fields read it
 * and add to it. A node without text and children means that nothing is wrong. */
struct errors {
    const char *name; /* of a field; borrowed. NULL for an element of a list */
    size_t index;     /* of an element, from 1 as in Lua */
    struct kong_str text;
    struct errors *children;
    struct errors *next;
};

bool errors_any(const struct errors *errors);

/* Bytes that are shown of a value, and of a name, from a configuration. */
#define SCHEMA_SHOWN 256

/* The text; if it does not fit in `size` bytes, a copy of what does, with "..." at its end. */
const char *errors_cut(const char *text, char *copy, size_t size);

/* Room for any text about one value, before it is cut. */
#define SCHEMA_TEXT 1024

/* printf-like, cut. Replaces what is there. */
void errors_set(struct checker *checker, struct errors *errors, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Adds a copy of `child` below the node, if there is anything wrong in it. */
void errors_attach(struct checker *checker, struct errors *errors, const struct errors *child);

/* The node at "a" or "a.b", made if it is not there. NULL when out of memory. */
struct errors *errors_at(struct checker *checker, struct errors *errors, const char *path);

/* Whether something is wrong with that field (no path). */
bool errors_has(const struct errors *errors, const char *name);

/* Flattened into lines, in the order in which Kong prints them: by name, elements by number. The
 * lines are in `arena`. */
void errors_report(struct checker *checker, const struct errors *errors, const char *root,
                   struct arena *arena, struct schema_result *result);

/* --- schema_references.c ------------------------------------------------------------------ */

/* Whether no rule is for the value: it is a reference, or Kong may have put a secret there. */
bool reference_exempts(const struct checker *checker, const struct kong_field *field,
                       const json_t *value);

/* --- schema_rules.c ----------------------------------------------------------------------- */

/* Applies a field's rules to a value of the right type that is not null. Reports the first broken
 * rule. */
void rules_check(struct checker *checker, const struct kong_field *field, const json_t *value,
                 struct errors *errors);

/* Length as Lua's: bytes, elements, entries; 0 for other values. */
size_t rules_length(const json_t *value);

/* A number as Lua's tostring writes it. */
void rules_number_text(double number, char text[32]);

/* --- schema_defaults.c -------------------------------------------------------------------- */

/* Fills what is missing as Kong does before it checks, recursively: the default, {} for a required
 * record, null for what is not required. A repeated element of a set goes; an empty object where a
 * list belongs becomes an empty list, and the other way round. */
void defaults_fill(struct checker *checker, const struct kong_record *record, json_t *object);

/* The same for one value. NULL: it stays; else a new reference to the value that takes its place.
 */
json_t *defaults_fill_value(struct checker *checker, const struct kong_field *field, json_t *value);

/* --- schema_entity.c ---------------------------------------------------------------------- */

/* The rules over several fields of one object. */
struct entity {
    struct checker *checker;
    const struct kong_record *record;
    const json_t *object;
    struct errors *errors; /* of the object */
    size_t said;
};

/* Whether the check applies. Kong decides that by which fields are set and which are wrong. */
bool entity_applies(struct entity *entity, const struct kong_check *check);

/* One that is not conditional. */
void entity_check(struct entity *entity, const struct kong_check *check);

/* A conditional one failed: `found` is wrong with its then_field. */
void entity_condition_failed(struct entity *entity, const struct kong_check *check,
                             const struct errors *found);

/* The field at "a" or "a.b"; NULL. */
const struct kong_field *entity_field(const struct kong_record *record, const char *path);

/* The value there: NULL where there is none (Lua's nil), and below a null; JSON's null where a
 * field is unset. */
const json_t *entity_value(const json_t *object, const char *path);

/* --- schema_check.c ----------------------------------------------------------------------- */

/* Checks a value against its field, recursively. `required` replaces the field's own. slot: where
 * the value is going to be decoded; NULL when it is not. A missing value is NULL or JSON's null. */
void check_value(struct checker *checker, const struct kong_field *field,
                 const struct kong_slot *slot, bool required, const json_t *value,
                 struct errors *errors);

/* The fields of an object, then the rules over several of them. */
void check_record(struct checker *checker, const struct kong_record *record, const json_t *object,
                  struct errors *errors);

/* Kong's own keys in an instance's configuration; "$refs" at any depth of it. */
bool check_is_kongs_key(const char *name);

/* --- schema_json.c ------------------------------------------------------------------------ */

/* Kong's words: "string", "record"; "distinct", "conditional". */
const char *schema_type_name(enum kong_field_type type);
const char *schema_check_name(enum kong_check_type type);

#endif
