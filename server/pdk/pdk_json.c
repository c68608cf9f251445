/* JSON for plugins: see json_text.h for the work itself. */
#include <strings.h>

#include "json_text.h"
#include "pdk_call.h"

static int fail(struct kong *kong, int error, const char *function, const char *what) {
    return event_fail(pdk_event(kong), error,
                      arena_printf(pdk_arena(kong), "%s: %s", function, what));
}

static int fail_fault(struct kong *kong, int error, struct kong_str text,
                      const struct json_fault *fault) {
    size_t line = 1, begin = 0;
    for (size_t i = 0; i < fault->at; i++) {
        if (text.data[i] == '\n') {
            line++;
            begin = i + 1;
        }
    }
    return event_fail(pdk_event(kong), error,
                      arena_printf(pdk_arena(kong), "JSON, line %zu, column %zu: %s", line,
                                   fault->at - begin + 1, fault->what));
}

int kong_json_parse(struct kong *kong, struct kong_str text, size_t limit,
                    struct kong_value *value) {
    struct json_fault fault = {NULL, 0};
    *value = kong_nil();
    if (text.len > limit) {
        return event_fail(pdk_event(kong), KONG_E_TOO_BIG,
                          arena_printf(pdk_arena(kong),
                                       "JSON: the text has %zu bytes, the limit is %zu", text.len,
                                       limit));
    }
    if (text.data == NULL) {
        text = (struct kong_str){"", 0};
    }
    int error = json_read(pdk_arena(kong), text, value, &fault);
    return error == 0 || fault.what == NULL ? (error == 0 ? KONG_OK : pdk_no_memory(kong))
                                            : fail_fault(kong, error, text, &fault);
}

int kong_json(struct kong *kong, struct kong_value value, struct kong_str *text) {
    const char *what = NULL;
    int error = json_write(pdk_arena(kong), &value, text, &what);
    if (error == 0) {
        return KONG_OK;
    }
    return what == NULL ? pdk_no_memory(kong) : fail(kong, error, "kong_json", what);
}

static bool has_type(const struct kong_value *headers) {
    for (size_t i = 0; headers->type == KONG_MAP && i < headers->map.count; i++) {
        struct kong_str key = headers->map.pairs[i].key;
        if (key.len == 12 && strncasecmp(key.data, "content-type", 12) == 0) {
            return true;
        }
    }
    return false;
}

int kong_response_exit_json(struct kong *kong, int status, struct kong_value value,
                            struct kong_value headers) {
    size_t count = headers.type == KONG_MAP ? headers.map.count : 0;
    struct kong_str text;
    int error = kong_json(kong, value, &text);
    if (error != 0) {
        return error;
    }
    if ((headers.type == KONG_MAP || headers.type == KONG_NIL) && !has_type(&headers)) {
        struct kong_pair *pairs = arena_array(pdk_arena(kong), count + 1, sizeof *pairs);
        if (pairs == NULL) {
            return pdk_no_memory(kong);
        }
        if (count > 0) {
            memcpy(pairs, headers.map.pairs, count * sizeof *pairs);
        }
        pairs[count] = kong_pair("Content-Type", kong_string("application/json; charset=utf-8"));
        headers = kong_map(pairs, count + 1);
    }
    return kong_response_exit(kong, status, text, headers);
}

/* --- Builders --- */

struct kong_builder kong_build_map(struct kong *kong) {
    return (struct kong_builder){.kong = kong, .is_map = true};
}

struct kong_builder kong_build_list(struct kong *kong) {
    return (struct kong_builder){.kong = kong};
}

static void set_error(struct kong_builder *builder, int error, const char *what) {
    if (builder->error == 0) {
        builder->error = what == NULL ? pdk_no_memory(builder->kong)
                                      : fail(builder->kong, error, "kong_builder", what);
    }
}

/* Room for one more; the old array stays in the arena. */
static void *grow(struct kong_builder *builder, const void *old, size_t size) {
    size_t room = builder->room == 0 ? 8 : 2 * builder->room;
    void *new = arena_array(pdk_arena(builder->kong), room, size);
    if (new == NULL) {
        set_error(builder, KONG_E_NOMEM, NULL);
        return NULL;
    }
    if (builder->count > 0) {
        memcpy(new, old, builder->count * size);
    }
    builder->room = room;
    return new;
}

void kong_build_set(struct kong_builder *builder, const char *key, struct kong_value value) {
    if (!builder->is_map || key == NULL) {
        set_error(builder, KONG_E_INVALID, key == NULL ? "a key is NULL" : "a list has no keys");
        return;
    }
    struct kong_str name = kong_str(key);
    for (size_t i = 0; i < builder->count; i++) {
        if (kong_str_equal(builder->pairs[i].key, name)) {
            builder->pairs[i].value = value;
            return;
        }
    }
    if (builder->count == builder->room) {
        struct kong_pair *pairs = grow(builder, builder->pairs, sizeof *pairs);
        if (pairs == NULL) {
            return;
        }
        builder->pairs = pairs;
    }
    builder->pairs[builder->count++] = (struct kong_pair){name, value};
}

void kong_build_add(struct kong_builder *builder, struct kong_value value) {
    if (builder->is_map) {
        set_error(builder, KONG_E_INVALID, "a map needs keys");
        return;
    }
    if (builder->count == builder->room) {
        struct kong_value *items = grow(builder, builder->items, sizeof *items);
        if (items == NULL) {
            return;
        }
        builder->items = items;
    }
    builder->items[builder->count++] = value;
}

int kong_build_end(struct kong_builder *builder, struct kong_value *value) {
    if (builder->error != 0) {
        *value = kong_nil();
    } else {
        *value = builder->is_map ? kong_map(builder->pairs, builder->count)
                                 : kong_list(builder->items, builder->count);
    }
    return builder->error;
}
