#include "pdk_entities.h"

#include "value.h"

/* --- Reading --- */

/* {id = "…"} */
static int read_key(struct kong *kong, enum pdk_id id, const char *name,
                    const struct kong_value *value, struct kong_str *out) {
    const struct kong_value *key = value_get(value, "id");
    if (key == NULL || key->type == KONG_NIL) {
        return value->type == KONG_MAP ? KONG_OK : pdk_fail_type(kong, id, name, value);
    }
    return pdk_to_str(kong, id, name, key, out);
}

/* {ip = "…", port = n}, or only the address as a string. */
static int read_address(struct kong *kong, enum pdk_id id, const char *name,
                        const struct kong_value *value, struct kong_address *out) {
    static const struct pdk_field fields[] = {
        PDK_FIELD(STR, kong_address, ip),
        PDK_FIELD(INT, kong_address, port),
    };
    *out = (struct kong_address){.port = 0};
    if (value->type == KONG_MAP) {
        return pdk_read_fields(kong, id, fields, 2, value, out);
    }
    return pdk_to_str(kong, id, name, value, &out->ip);
}

static int read_addresses(struct kong *kong, enum pdk_id id, const char *name,
                          const struct kong_value *value, struct kong_addresses *out) {
    if (value->type != KONG_LIST) {
        return pdk_fail_type(kong, id, name, value);
    }
    size_t count = value->list.count;
    struct kong_address *items = arena_array(pdk_arena(kong), count, sizeof *items);
    if (items == NULL) {
        return pdk_no_memory(kong);
    }
    for (size_t i = 0; i < count; i++) {
        int error = read_address(kong, id, name, &value->list.items[i], &items[i]);
        if (error != 0) {
            return error;
        }
    }
    *out = (struct kong_addresses){items, count};
    return KONG_OK;
}

/* On ProtoBuf:1 Kong's map arrives as a list of strings: at best the names, without values. */
static int read_headers(struct kong *kong, enum pdk_id id, const struct kong_value *value,
                        struct kong_headers *out) {
    static const struct kong_value none = {.type = KONG_NIL};
    return pdk_to_headers(kong, id, value->type == KONG_LIST ? &none : value, false, out);
}

static int read_field(struct kong *kong, enum pdk_id id, const struct pdk_field *field,
                      const struct kong_value *value, void *out) {
    void *to = (char *)out + field->offset;
    switch (field->kind) {
    case PDK_FIELD_STR:
        return pdk_to_str(kong, id, field->name, value, to);
    case PDK_FIELD_INT:
        return pdk_to_int(kong, id, field->name, value, to);
    case PDK_FIELD_INT64:
        return value_to_integer(value, to) ? KONG_OK : pdk_fail_type(kong, id, field->name, value);
    case PDK_FIELD_BOOL:
        return pdk_to_bool(kong, id, field->name, value, to);
    case PDK_FIELD_STRINGS:
        return pdk_to_strings(kong, id, field->name, value, to);
    case PDK_FIELD_KEY:
        return read_key(kong, id, field->name, value, to);
    case PDK_FIELD_HEADERS:
        return read_headers(kong, id, value, to);
    case PDK_FIELD_ADDRESSES:
        return read_addresses(kong, id, field->name, value, to);
    }
    return KONG_OK;
}

int pdk_read_fields(struct kong *kong, enum pdk_id id, const struct pdk_field *fields, size_t count,
                    const struct kong_value *map, void *out) {
    for (size_t i = 0; i < count; i++) {
        const struct kong_value *value = value_get(map, fields[i].name);
        if (value == NULL || value->type == KONG_NIL) {
            continue;
        }
        int error = read_field(kong, id, &fields[i], value, out);
        if (error != 0) {
            return error;
        }
    }
    return KONG_OK;
}

int pdk_get_entity(struct kong *kong, enum pdk_id id, const struct kong_value *args, size_t count,
                   const struct pdk_field *fields, size_t field_count, void *out, size_t size,
                   struct kong_value *all) {
    struct kong_value map;
    memset(out, 0, size);
    int error = pdk_get(kong, id, args, count, &map);
    if (error != 0 || map.type == KONG_NIL) {
        return error;
    }
    if (map.type == KONG_LIST && map.list.count == 0) {
        return KONG_OK; /* an empty table */
    }
    if (map.type != KONG_MAP) {
        return pdk_fail_type(kong, id, "the answer", &map);
    }
    error = pdk_read_fields(kong, id, fields, field_count, &map, out);
    if (error != 0) {
        memset(out, 0, size);
        return error;
    }
    *all = map;
    return KONG_OK;
}

/* --- Writing --- */

/* False: the field is not set. */
static bool write_field(struct arena *arena, const struct pdk_field *field, const void *entity,
                        struct kong_value *value, bool *memory) {
    const void *from = (const char *)entity + field->offset;
    if (field->kind == PDK_FIELD_INT64) {
        *value = kong_integer(*(const int64_t *)from);
        return value->integer != 0;
    }
    if (field->kind == PDK_FIELD_STRINGS) {
        const struct kong_strings *strings = from;
        struct kong_value *items = arena_array(arena, strings->count, sizeof *items);
        *memory = items != NULL;
        for (size_t i = 0; *memory && i < strings->count; i++) {
            items[i] = kong_bytes(strings->items[i].data, strings->items[i].len);
        }
        *value = kong_list(items, strings->count);
        return strings->count > 0;
    }
    const struct kong_str *string = from;
    *value = kong_bytes(string->data, string->len);
    return string->data != NULL;
}

static bool is_named(const struct pdk_field *fields, size_t count, struct kong_str name) {
    for (size_t i = 0; i < count; i++) {
        if (kong_str_equal(kong_str(fields[i].name), name)) {
            return true;
        }
    }
    return false;
}

int pdk_write_fields(struct kong *kong, const struct pdk_field *fields, size_t count,
                     const void *entity, const struct kong_value *rest, struct kong_value *map) {
    size_t others = rest->type == KONG_MAP ? rest->map.count : 0;
    struct kong_pair *pairs = arena_array(pdk_arena(kong), count + others, sizeof *pairs);
    size_t used = 0;
    bool memory = pairs != NULL;
    for (size_t i = 0; memory && i < count; i++) {
        if (write_field(pdk_arena(kong), &fields[i], entity, &pairs[used].value, &memory)) {
            pairs[used++].key = kong_str(fields[i].name);
        }
    }
    if (!memory) {
        return pdk_no_memory(kong);
    }
    for (size_t i = 0; i < others; i++) {
        if (!is_named(fields, count, rest->map.pairs[i].key)) {
            pairs[used++] = rest->map.pairs[i];
        }
    }
    *map = kong_map(pairs, used);
    return KONG_OK;
}
