/* A plugin's configuration, declared once next to the struct that it is decoded into. From this one
 * table come the schema in Kong's dump, the check (with the texts of Kong's Admin API), the
 * decoding with defaults, and the table in the plugin's README. kong.h includes this.
 *
 *     struct config {
 *         const char *header;                  NULL when unset
 *         const int64_t *limit;                NULL when unset (or `int64_t limit`: 0 when unset)
 *         bool strict;
 *         KONG_ARRAY_OF(const char *) methods; config->methods.items[i], .count
 *         struct redis redis;                  (or `const struct redis *redis`: NULL when unset)
 *     };
 *
 *     static const KONG_FIELDS(struct config) fields[] = {
 *         KONG_STRING_FIELD(struct config, header, .required = true, .match = "^[%w_-]+$",
 *                           .default_json = KONG_TEXT("Version")),
 *         KONG_INTEGER_FIELD(struct config, limit, .between = KONG_BETWEEN(1, 100)),
 *         KONG_BOOLEAN_FIELD(struct config, strict, .default_json = "true"),
 *         KONG_ARRAY_FIELD(struct config, methods,
 *                          KONG_STRING_ITEM(.one_of = KONG_STRINGS("GET", "POST"))),
 *         KONG_RECORD_FIELD(struct config, redis, KONG_RECORD_OF(struct redis, redis_fields)),
 *     };
 *
 *     static const struct kong_schema schema =
 *         KONG_SCHEMA(struct config, fields, .no_consumer = true);
 *
 * A row whose type does not fit the struct's member is a compile error, and so is a KONG_SCHEMA or
 * KONG_RECORD_OF whose struct is not that of the fields. What the compiler cannot see (a default
 * that its own rules refuse, a text that is no pattern) ends the program with one line when it
 * starts.
 *
 * Vault references. An operator may write {vault://env/my-secret} into a field that is
 * .referenceable (a string, or the strings of a list or map). Kong puts the secret in its place
 * before it starts an instance: the struct has the secret, never the reference. Of such a field
 * only the type and .required are checked then, no other rule and no rule over several fields, also
 * where its value is no secret: Kong applied them when the value was written, by the schema of that
 * time. What a handler relies on, like a length, is for it or `configure` to check. A reference
 * that Kong cannot resolve is "": the plugin decides what that means. Kong 2.8 (which needs
 * `vaults`, and leaves maps alone) leaves it out: the default takes its place, and without one a
 * .required field is missing, so that on_error decides. A secret that is rotated reaches the plugin
 * with the next instance only: Kong updates its own table and starts no new one for it. An instance
 * is new after any change of Kong's configuration, a reload, a restart of this server, or when it
 * was forgotten while idle (--instance-idle). A plugin that must follow a rotation at once declares
 * the field without .referenceable, so that it gets the reference itself, and asks Kong for the
 * secret with kong_call(kong, "kong.vault.get", ...), over MsgPack:1 only.
 *
 * Limits. A configuration's JSON has at most 1 MiB (--max-config), 131,072 elements (keys of
 * objects count as well) and 32 levels of lists and objects. One that is larger or does not keep
 * the schema is refused: the plugin's on_error decides about its requests.
 *
 * The macros need C11 or C++20 and are for tables at file scope; gcc and clang. In C++ the rules of
 * a row stand in the order in which struct kong_field has them, and KONG_CONFIG_CHECKS before the
 * flags of KONG_SCHEMA (C++17 uses the types; the table is then written in a C file). */
#ifndef KONG_SCHEMA_H
#define KONG_SCHEMA_H

#include "kong_value.h"

/* Kong's types. The C type of the member, and what it holds when the field is unset: */
enum kong_field_type {
    KONG_FIELD_STRING = 1, /* const char * (NULL), struct kong_str ({NULL, 0}) */
    KONG_FIELD_INTEGER,    /* int64_t (0), const int64_t * (NULL) */
    KONG_FIELD_NUMBER,     /* double (0), const double * (NULL) */
    KONG_FIELD_BOOLEAN,    /* bool (false), const bool * (NULL) */
    KONG_FIELD_ARRAY,      /* KONG_ARRAY_OF(type) (items NULL; an empty list has items not NULL) */
    KONG_FIELD_SET,        /* the same; a repeated element is left out */
    KONG_FIELD_MAP,        /* KONG_MAP_OF(type) (entries NULL); in the order in which they came */
    KONG_FIELD_RECORD,     /* a struct (every field as unset), or a pointer to one that is const */
};

/* The members of lists and maps. */
#define KONG_ARRAY_OF(item_type)                                                                   \
    struct {                                                                                       \
        item_type const *items;                                                                    \
        size_t count;                                                                              \
    }
/* A map whose entries have a type with a name, for functions that take an entry:
 *
 *     KONG_ENTRY(weight, double);             struct weight {const char *key; double value;}
 *     KONG_MAP_OF_ENTRIES(struct weight) w;   in the struct, instead of KONG_MAP_OF(double) w
 */
#define KONG_ENTRY(name_, value_type)                                                              \
    struct name_ {                                                                                 \
        const char *key;                                                                           \
        value_type value;                                                                          \
    }
#define KONG_MAP_OF_ENTRIES(entry_type)                                                            \
    struct {                                                                                       \
        entry_type const *entries;                                                                 \
        size_t count;                                                                              \
    }
#define KONG_MAP_OF(value_type)                                                                    \
    struct {                                                                                       \
        const struct {                                                                             \
            const char *key;                                                                       \
            value_type value;                                                                      \
        } * entries;                                                                               \
        size_t count;                                                                              \
    }

/* How a value lies in memory; the macros find it out. */
enum kong_form {
    KONG_FORM_VALUE = 1, /* the type itself: int64_t, double, bool, a struct, a list */
    KONG_FORM_POINTER,   /* a pointer to that, NULL when unset */
    KONG_FORM_TEXT,      /* const char *: the value has no NUL inside (a violation otherwise) */
    KONG_FORM_BYTES,     /* struct kong_str */
};

struct kong_slot {
    enum kong_form form;
    size_t offset; /* in its struct; 0 for the items of a list */
    size_t size;
};

/* A Lua pattern, and what to say about a value that breaks the rule (NULL: Kong's own text). */
struct kong_pattern {
    const char *pattern;
    const char *err;
};

struct kong_gt {
    bool set;
    double limit;
};

struct kong_between {
    bool set;
    double min;
    double max;
};

struct kong_numbers {
    const double *items;
    size_t count;
};

struct kong_record;

/* One field: a row of the table. Rules have the names that they have in Kong's schemas. */
struct kong_field {
#ifndef __cplusplus
    struct { /* so that a row's braces fit a table of either type, see KONG_FIELDS */
#endif
        const char *name;   /* in the JSON. NULL: as the member. For a name that is none in C:
                               KONG_STRING_FIELD(struct config, my_greeting, .name = "my-greeting") */
        const char *member; /* of the struct; the macros fill it in, and type, slot, item... too */
        enum kong_field_type type;
        struct kong_slot slot;

        bool required; /* null is refused, and so is a missing value without a default */
        const char
            *default_json;       /* a JSON text: "10", "true", "[\"GET\"]"; KONG_TEXT("x") for a
                                    string. A missing field takes it; null is "unset", as in Kong */
        const char *description; /* for the dump (Kong 3.x; 10 to 500 bytes) and the README */
        bool referenceable;      /* string: may be a {vault://...}: see "Vault references" below */
        bool encrypted;          /* string: Kong Enterprise keeps it encrypted */

        /* Rules, in the order in which they are applied; the first one broken is reported. */
        const char *eq_json;                /* a JSON text; mostly for KONG_CONDITIONAL */
        const char *const *one_of;          /* string: KONG_STRINGS("a", "b") */
        struct kong_numbers one_of_numbers; /* integer, number: KONG_NUMBERS(1, 2.5) */
        struct kong_gt gt;                  /* integer, number: KONG_GT(0) */
        bool uuid;                          /* string */
        struct kong_between between; /* integer, number: KONG_BETWEEN(1, 65535), inclusive, whole */
        size_t len_eq, len_min, len_max; /* string: bytes; array, set, map: elements. 0: no rule */
        bool allow_empty;                /* string: "" is a value; it is refused otherwise */
        const char *starts_with;         /* string */
        const char *not_match;           /* string: Lua patterns from here on */
        const struct kong_pattern *match_none; /* KONG_PATTERNS({"^%s", "no space first"}, {...}) */
        const char *match;
        const struct kong_pattern *match_all; /* KONG_PATTERNS(...) */
        const char *const *match_any;         /* KONG_STRINGS("^a", "^b") */
        const char *match_any_err;            /* NULL: Kong's own text */
        const char *err;                      /* said instead of the broken rule's text */

        const struct kong_field *elements; /* array, set */
        const struct kong_field *keys;     /* map: strings */
        const struct kong_field *values;   /* map */
        const struct kong_record *record;  /* record */

        struct kong_slot item;     /* array, set: an item; map: an entry's value */
        struct kong_slot item_key; /* map: an entry's key */
        size_t item_size;          /* array, set, map: from one item or entry to the next */
#ifndef __cplusplus
    };
#endif
    const void *of_; /* never set */
};

/* Rules over several fields of a record. Fields are named; "a.b" is field b of record a. */
enum kong_check_type {
    KONG_CHECK_AT_LEAST_ONE_OF = 1,
    KONG_CHECK_ONLY_ONE_OF,
    KONG_CHECK_DISTINCT, /* the values are compared as they are: case counts */
    KONG_CHECK_MUTUALLY_REQUIRED,
    KONG_CHECK_MUTUALLY_EXCLUSIVE,
    KONG_CHECK_CONDITIONAL,
};

struct kong_check {
    enum kong_check_type type;
    const char *const *fields; /* ends with NULL; not for conditional */
    const char *if_field;
    const struct kong_field *if_match; /* only the rules are looked at, on top of the field's own */
    const char *then_field;
    const struct kong_field *then_match; /* likewise */
    const char *then_err;                /* NULL: Kong's own text; a %s in it is the if_field */
};

/* The fields of one struct. */
struct kong_record {
    size_t size;
    const struct kong_field *fields;
    size_t field_count;
    const struct kong_check *checks; /* KONG_CHECKS(...) or NULL */
    size_t check_count;
};

/* The whole: `config`, and where the plugin may be put. */
struct kong_schema {
    struct kong_record config;
    bool no_consumer, no_route, no_service; /* Kong refuses the plugin on one */
    /* KONG_STRINGS("http", "https"). NULL: those that the plugin's phases run on: grpc, grpcs,
     * http, https; with preread tcp, tls, tls_passthrough, udp; with certificate alone grpcs,
     * https, tls */
    const char *const *protocols;
};

#ifndef __cplusplus

/* --- Rows: KONG_x_FIELD(struct, member, rules...) ----------------------------------------- */

/* The type of a table of fields: static const KONG_FIELDS(struct config) fields[] = {rows};
 * KONG_SCHEMA and KONG_RECORD_OF with another struct then do not compile. A table of plain struct
 * kong_field works too, without that check. */
#define KONG_FIELDS(type_)                                                                         \
    union {                                                                                        \
        struct kong_field field;                                                                   \
        const type_ *of_; /* never set: it tells the compiler whose fields they are */             \
    }

#define KONG_STRING_FIELD(type_, ...)                                                              \
    KONG_FIELD_(type_, KONG_FIELD_STRING, KONG_STRING_FORM_, __VA_ARGS__, )
#define KONG_INTEGER_FIELD(type_, ...)                                                             \
    KONG_FIELD_(type_, KONG_FIELD_INTEGER, KONG_INTEGER_FORM_, __VA_ARGS__, )
#define KONG_NUMBER_FIELD(type_, ...)                                                              \
    KONG_FIELD_(type_, KONG_FIELD_NUMBER, KONG_NUMBER_FORM_, __VA_ARGS__, )
#define KONG_BOOLEAN_FIELD(type_, ...)                                                             \
    KONG_FIELD_(type_, KONG_FIELD_BOOLEAN, KONG_BOOLEAN_FORM_, __VA_ARGS__, )

/* KONG_ARRAY_FIELD(struct, member, item, rules...), with item one of KONG_x_ITEM(rules...). */
#define KONG_ARRAY_FIELD(type_, member_, ...)                                                      \
    KONG_LIST_FIELD_(type_, KONG_FIELD_ARRAY, member_, __VA_ARGS__, )
#define KONG_SET_FIELD(type_, member_, ...)                                                        \
    KONG_LIST_FIELD_(type_, KONG_FIELD_SET, member_, __VA_ARGS__, )

/* KONG_MAP_FIELD(struct, member, KONG_STRING_ITEM(rules of keys...), item, rules...). */
#define KONG_MAP_FIELD(type_, member_, ...) KONG_MAP_FIELD_(type_, member_, __VA_ARGS__, )

/* KONG_RECORD_FIELD(struct, member, KONG_RECORD_OF(struct, fields...), rules...). */
#define KONG_RECORD_FIELD(type_, member_, ...) KONG_RECORD_FIELD_(type_, member_, __VA_ARGS__, )

/* KONG_RECORD_OF(struct, array of its fields), with `.checks = ...` where there are any:
 * KONG_RECORD_OF(struct redis, redis_fields, KONG_CHECKS(KONG_DISTINCT("host", "name"))). */
#define KONG_RECORD_OF(...) KONG_RECORD_OF_(__VA_ARGS__, )

/* --- Items of lists, values of maps ------------------------------------------------------- */

#define KONG_STRING_ITEM(...)                                                                      \
    KONG_STRING_FORM_, int, KONG_RULES(.type = KONG_FIELD_STRING, __VA_ARGS__)
#define KONG_INTEGER_ITEM(...)                                                                     \
    KONG_INTEGER_FORM_, int, KONG_RULES(.type = KONG_FIELD_INTEGER, __VA_ARGS__)
#define KONG_NUMBER_ITEM(...)                                                                      \
    KONG_NUMBER_FORM_, int, KONG_RULES(.type = KONG_FIELD_NUMBER, __VA_ARGS__)
#define KONG_BOOLEAN_ITEM(...)                                                                     \
    KONG_BOOLEAN_FORM_, int, KONG_RULES(.type = KONG_FIELD_BOOLEAN, __VA_ARGS__)
/* KONG_RECORD_ITEM(KONG_RECORD_OF(struct, fields), rules...) */
#define KONG_RECORD_ITEM(...) KONG_RECORD_ITEM_(__VA_ARGS__, )
/* Lists in lists: KONG_ARRAY_ITEM(struct with items and count, item, rules...) */
#define KONG_ARRAY_ITEM(...) KONG_LIST_ITEM_(KONG_FIELD_ARRAY, __VA_ARGS__, )
#define KONG_SET_ITEM(...)   KONG_LIST_ITEM_(KONG_FIELD_SET, __VA_ARGS__, )

/* --- Rules -------------------------------------------------------------------------------- */

#define KONG_TEXT(literal_) "\"" literal_ "\"" /* without " and \ inside, or escaped as in JSON */
#define KONG_STRINGS(...)   ((const char *const[]){__VA_ARGS__, NULL})
#define KONG_PATTERNS(...)  ((const struct kong_pattern[]){__VA_ARGS__, {NULL, NULL}})
#define KONG_NUMBERS(...)                                                                          \
    { (const double[]){__VA_ARGS__}, KONG_COUNT_(((const double[]){__VA_ARGS__})) }
#define KONG_GT(limit_)                                                                            \
    { true, limit_ }
#define KONG_BETWEEN(min_, max_)                                                                   \
    { true, min_, max_ }
#define KONG_RULES(...) (&(const struct kong_field){__VA_ARGS__})

/* --- Entity checks ------------------------------------------------------------------------ */

/* Of the record that it stands in: KONG_SCHEMA(..., KONG_CONFIG_CHECKS(KONG_DISTINCT("a", "b"))),
 * KONG_RECORD_OF(..., KONG_CHECKS(...)). */
#define KONG_CHECKS(...)                                                                           \
    .checks = (const struct kong_check[]){__VA_ARGS__},                                            \
    .check_count = KONG_COUNT_(((const struct kong_check[]){__VA_ARGS__}))
#define KONG_CONFIG_CHECKS(...)                                                                    \
    .config.checks = (const struct kong_check[]){__VA_ARGS__},                                     \
    .config.check_count = KONG_COUNT_(((const struct kong_check[]){__VA_ARGS__}))
#define KONG_AT_LEAST_ONE_OF(...)    KONG_CHECK_(KONG_CHECK_AT_LEAST_ONE_OF, __VA_ARGS__)
#define KONG_ONLY_ONE_OF(...)        KONG_CHECK_(KONG_CHECK_ONLY_ONE_OF, __VA_ARGS__)
#define KONG_DISTINCT(...)           KONG_CHECK_(KONG_CHECK_DISTINCT, __VA_ARGS__)
#define KONG_MUTUALLY_REQUIRED(...)  KONG_CHECK_(KONG_CHECK_MUTUALLY_REQUIRED, __VA_ARGS__)
#define KONG_MUTUALLY_EXCLUSIVE(...) KONG_CHECK_(KONG_CHECK_MUTUALLY_EXCLUSIVE, __VA_ARGS__)

/* KONG_CONDITIONAL("policy", KONG_RULES(.eq_json = KONG_TEXT("redis")),
 *                  "host", KONG_RULES(.required = true)), and .then_err = "..." if wanted.
 * As in Kong an unset first field keeps all rules but eq and required: a condition like .match that
 * is not to hold then says .required = true as well. */
#define KONG_CONDITIONAL(if_field_, if_rules_, then_field_, ...)                                   \
    KONG_CONDITIONAL_(if_field_, if_rules_, then_field_, __VA_ARGS__, )

/* --- The schema --------------------------------------------------------------------------- */

/* KONG_SCHEMA(struct, array of its fields, flags...). */
#define KONG_SCHEMA(type_, ...) KONG_SCHEMA_(type_, __VA_ARGS__, )

/* --- Not for use: what the macros above are made of ---------------------------------------- */

#define KONG_COUNT_(array_)      (sizeof(array_) / sizeof((array_)[0]))
#define KONG_AT_(type_, member_) (((type_ *)0)->member_)
/* The value, if the condition holds; an error of the compiler otherwise. */
#define KONG_SURE_(condition_, value_)                                                             \
    _Generic((char(*)[(condition_) ? 1 : 2])0, char(*)[1] : (value_))

/* The form of a place that a value of the type is decoded into. An error here means: the struct's
 * member has not the type of its row. */
#define KONG_STRING_FORM_(place_, type_)                                                           \
    _Generic((place_), const char * : KONG_FORM_TEXT, struct kong_str : KONG_FORM_BYTES)
#define KONG_INTEGER_FORM_(place_, type_)                                                          \
    _Generic((place_), int64_t : KONG_FORM_VALUE, const int64_t * : KONG_FORM_POINTER)
#define KONG_NUMBER_FORM_(place_, type_)                                                           \
    _Generic((place_), double : KONG_FORM_VALUE, const double * : KONG_FORM_POINTER)
#define KONG_BOOLEAN_FORM_(place_, type_)                                                          \
    _Generic((place_), bool : KONG_FORM_VALUE, const bool * : KONG_FORM_POINTER)
#define KONG_RECORD_FORM_(place_, type_)                                                           \
    _Generic((place_), type_ : KONG_FORM_VALUE, const type_ * : KONG_FORM_POINTER)
#define KONG_VIEW_FORM_(place_, type_) _Generic((place_), type_ : KONG_FORM_VALUE)
/* {const T *items; size_t count;} and nothing else */
#define KONG_LIST_FORM_(place_, items_)                                                            \
    _Generic((place_).count, size_t                                                                \
             : KONG_SURE_(sizeof(place_) == sizeof(void *) + sizeof(size_t) &&                     \
                              offsetof(__typeof__(place_), items_) == 0,                           \
                          KONG_FORM_VALUE))

/* An error here means: the fields are not those of the struct. */
#define KONG_ROWS_(type_, fields_)                                                                 \
    ((const struct kong_field *)(const void *)_Generic((fields_)[0].of_, const type_ *             \
                                                       : (fields_), const void *                   \
                                                       : (fields_)))
#define KONG_FIELD_(type_, field_type_, form_, member_, ...)                                       \
    {                                                                                              \
        {                                                                                          \
            .member = #member_, .type = field_type_,                                               \
            .slot = {form_(KONG_AT_(type_, member_), int), offsetof(type_, member_),               \
                     sizeof(KONG_AT_(type_, member_))},                                            \
            __VA_ARGS__                                                                            \
        }                                                                                          \
    }
#define KONG_LIST_FIELD_(type_, field_type_, member_, form_, item_type_, elements_, ...)           \
    {                                                                                              \
        {                                                                                          \
            .member = #member_, .type = field_type_,                                               \
            .slot = {KONG_LIST_FORM_(KONG_AT_(type_, member_), items), offsetof(type_, member_),   \
                     sizeof(KONG_AT_(type_, member_))},                                            \
            .elements = elements_,                                                                 \
            .item = {form_(*KONG_AT_(type_, member_).items, item_type_), 0,                        \
                     sizeof(*KONG_AT_(type_, member_).items)},                                     \
            .item_size = sizeof(*KONG_AT_(type_, member_).items), __VA_ARGS__                      \
        }                                                                                          \
    }
#define KONG_ENTRY_(type_, member_) __typeof__(*KONG_AT_(type_, member_).entries)
#define KONG_MAP_FIELD_(type_, member_, key_form_, key_type_, keys_, form_, value_type_, values_,  \
                        ...)                                                                       \
    {                                                                                              \
        {                                                                                          \
            .member = #member_, .type = KONG_FIELD_MAP,                                            \
            .slot = {KONG_LIST_FORM_(KONG_AT_(type_, member_), entries), offsetof(type_, member_), \
                     sizeof(KONG_AT_(type_, member_))},                                            \
            .keys = keys_, .values = values_,                                                      \
            .item_key = {key_form_(KONG_AT_(type_, member_).entries->key, key_type_),              \
                         offsetof(KONG_ENTRY_(type_, member_), key),                               \
                         sizeof(KONG_AT_(type_, member_).entries->key)},                           \
            .item = {form_(KONG_AT_(type_, member_).entries->value, value_type_),                  \
                     offsetof(KONG_ENTRY_(type_, member_), value),                                 \
                     sizeof(KONG_AT_(type_, member_).entries->value)},                             \
            .item_size = sizeof(*KONG_AT_(type_, member_).entries), __VA_ARGS__                    \
        }                                                                                          \
    }
#define KONG_RECORD_OF_(type_, fields_, ...)                                                       \
    type_, (&(const struct kong_record){.size = sizeof(type_),                                     \
                                        .fields = KONG_ROWS_(type_, fields_),                      \
                                        .field_count = KONG_COUNT_(fields_),                       \
                                        __VA_ARGS__})
#define KONG_RECORD_FIELD_(type_, member_, record_type_, record_, ...)                             \
    {                                                                                              \
        {                                                                                          \
            .member = #member_, .type = KONG_FIELD_RECORD,                                         \
            .slot = {KONG_RECORD_FORM_(KONG_AT_(type_, member_), record_type_),                    \
                     offsetof(type_, member_), sizeof(KONG_AT_(type_, member_))},                  \
            .record = record_, __VA_ARGS__                                                         \
        }                                                                                          \
    }
#define KONG_RECORD_ITEM_(record_type_, record_, ...)                                              \
    KONG_RECORD_FORM_, record_type_,                                                               \
        KONG_RULES(.type = KONG_FIELD_RECORD, .record = record_, __VA_ARGS__)
#define KONG_LIST_ITEM_(field_type_, list_type_, form_, item_type_, elements_, ...)                \
    KONG_VIEW_FORM_, list_type_,                                                                   \
        KONG_RULES(.type = field_type_, .elements = elements_,                                     \
                   .item = {form_(*KONG_AT_(list_type_, items), item_type_), 0,                    \
                            sizeof(*KONG_AT_(list_type_, items))},                                 \
                   .item_size = sizeof(*KONG_AT_(list_type_, items)), __VA_ARGS__)
#define KONG_CHECK_(check_type_, ...)                                                              \
    { .type = check_type_, .fields = KONG_STRINGS(__VA_ARGS__) }
#define KONG_CONDITIONAL_(if_field_, if_rules_, then_field_, then_rules_, ...)                     \
    {                                                                                              \
        .type = KONG_CHECK_CONDITIONAL, .if_field = if_field_, .if_match = if_rules_,              \
        .then_field = then_field_, .then_match = then_rules_, __VA_ARGS__                          \
    }
#define KONG_SCHEMA_(type_, fields_, ...)                                                          \
    {                                                                                              \
        .config.size = sizeof(type_), .config.fields = KONG_ROWS_(type_, fields_),                 \
        .config.field_count = KONG_COUNT_(fields_), __VA_ARGS__                                    \
    }

#endif

#endif
