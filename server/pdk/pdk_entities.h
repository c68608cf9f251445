/* Kong's entities: maps by Kong's names, turned into structs and back. */
#ifndef SERVER_PDK_ENTITIES_H
#define SERVER_PDK_ENTITIES_H

#include "pdk_call.h"

enum pdk_field_kind {
    PDK_FIELD_STR,       /* struct kong_str */
    PDK_FIELD_INT,       /* int */
    PDK_FIELD_INT64,     /* int64_t */
    PDK_FIELD_BOOL,      /* bool */
    PDK_FIELD_STRINGS,   /* struct kong_strings */
    PDK_FIELD_KEY,       /* struct kong_str: the `id` of a reference to another entity */
    PDK_FIELD_HEADERS,   /* struct kong_headers */
    PDK_FIELD_ADDRESSES, /* struct kong_addresses */
};

struct pdk_field {
    const char *name; /* Kong's */
    enum pdk_field_kind kind;
    size_t offset;
};

/* A field that is called as the member of the struct. */
#define PDK_FIELD(kind_, struct_, member_)                                                         \
    { #member_, PDK_FIELD_##kind_, offsetof(struct struct_, member_) }

/* Fills the fields of the struct `out` (zeroed by the caller) from Kong's map; absent ones stay as
 * they are. KONG_E_TYPE when one is of another type, KONG_E_NOMEM. */
int pdk_read_fields(struct kong *kong, enum pdk_id id, const struct pdk_field *fields, size_t count,
                    const struct kong_value *map, void *out);

/* The way back, for entities of strings, times and tags: a map of the fields that are set, and of
 * what else `rest` (a map or nil) holds. KONG_E_NOMEM. */
int pdk_write_fields(struct kong *kong, const struct pdk_field *fields, size_t count,
                     const void *entity, const struct kong_value *rest, struct kong_value *map);

/* Calls, and reads the map that Kong answers; nil leaves `out` zeroed. `all` (inside `out`) gets
 * the map itself; nil when there is none, and on an error. */
int pdk_get_entity(struct kong *kong, enum pdk_id id, const struct kong_value *args, size_t count,
                   const struct pdk_field *fields, size_t field_count, void *out, size_t size,
                   struct kong_value *all);

#endif
