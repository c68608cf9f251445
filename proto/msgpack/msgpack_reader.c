#include "limit.h"
#include "msgpack_codec.h"
#include "value.h"

#include <inttypes.h>

struct msgpack_reader msgpack_reader_over(struct arena *arena, const uint8_t *data, size_t len) {
    static const uint8_t nothing[1];
    const uint8_t *start = len == 0 ? nothing : data;
    return (struct msgpack_reader){arena, start, start + len};
}

/* The next value's head, taken. The body of a string or an ext is all there; of a list's or a map's
 * elements there is a byte each. */
static int read_head(struct msgpack_reader *reader, struct msgpack_head *head) {
    size_t rest = (size_t)(reader->end - reader->at);
    if (rest == 0 || msgpack_head_read(reader->at, rest, head) != 1 ||
        head->count > rest - head->size) {
        return CODEC_E_MALFORMED;
    }
    reader->at += head->size;
    return CODEC_OK;
}

/* The body of a string or an ext; nothing for all others. */
static const uint8_t *take_body(struct msgpack_reader *reader, const struct msgpack_head *head) {
    const uint8_t *body = reader->at;
    if (head->kind == MSGPACK_STRING || head->kind == MSGPACK_EXT) {
        reader->at += head->count;
    }
    return body;
}

int msgpack_read_skip(struct msgpack_reader *reader) {
    uint64_t left = 1;
    while (left > 0) {
        struct msgpack_head head;
        int error = read_head(reader, &head);
        if (error < 0) {
            return error;
        }
        take_body(reader, &head);
        left += msgpack_head_children(&head) - 1;
    }
    return CODEC_OK;
}

static int read_count(struct msgpack_reader *reader, enum msgpack_kind kind, size_t *count) {
    struct msgpack_head head;
    int error = read_head(reader, &head);
    if (error == CODEC_OK && head.kind != kind) {
        error = CODEC_E_SHAPE;
    }
    *count = error == CODEC_OK ? head.count : 0;
    return error;
}

int msgpack_read_list(struct msgpack_reader *reader, size_t *count) {
    return read_count(reader, MSGPACK_LIST, count);
}

enum msgpack_kind msgpack_read_peek(const struct msgpack_reader *reader) {
    struct msgpack_head head;
    bool whole = msgpack_head_read(reader->at, (size_t)(reader->end - reader->at), &head) == 1;
    return whole ? head.kind : MSGPACK_NIL;
}

int msgpack_read_fields(struct msgpack_reader *reader, msgpack_field *field, void *target) {
    size_t count;
    int error = read_count(reader, MSGPACK_MAP, &count);
    for (size_t i = 0; i < count && error == CODEC_OK; i++) {
        struct kong_str key;
        error = msgpack_read_view(reader, &key);
        if (error == CODEC_OK) {
            error = field(reader, key, target);
        }
    }
    return error;
}

int msgpack_read_int(struct msgpack_reader *reader, int64_t *out) {
    struct msgpack_head head;
    int error = read_head(reader, &head);
    if (error < 0) {
        return error;
    }
    return msgpack_head_to_integer(&head, out) ? CODEC_OK : CODEC_E_SHAPE;
}

int msgpack_read_uint(struct msgpack_reader *reader, uint64_t *out) {
    struct msgpack_head head;
    int error = read_head(reader, &head);
    if (error < 0) {
        return error;
    }
    return msgpack_head_to_uint(&head, out) ? CODEC_OK : CODEC_E_SHAPE;
}

int msgpack_read_msgid(struct msgpack_reader *reader, int64_t *out) {
    int64_t msgid;
    int error = msgpack_read_int(reader, &msgid);
    if (error == CODEC_OK && (msgid < 0 || msgid > UINT32_MAX)) {
        error = CODEC_E_SHAPE;
    }
    if (error == CODEC_OK) {
        *out = msgid;
    }
    return error;
}

int msgpack_read_view(struct msgpack_reader *reader, struct kong_str *view) {
    struct msgpack_head head;
    int error = read_head(reader, &head);
    *view = (struct kong_str){NULL, 0};
    if (error < 0) {
        return error;
    }
    if (head.kind == MSGPACK_STRING) {
        *view = (struct kong_str){(const char *)take_body(reader, &head), head.count};
        return CODEC_OK;
    }
    return head.kind == MSGPACK_NIL ? CODEC_OK : CODEC_E_SHAPE;
}

static int copy_view(struct arena *arena, struct kong_str view, struct kong_str *string) {
    *string = arena_copy(arena, view.data, view.len);
    return string->data != NULL || view.data == NULL ? CODEC_OK : CODEC_E_NOMEM;
}

int msgpack_read_string(struct msgpack_reader *reader, struct kong_str *string) {
    struct kong_str view;
    int error = msgpack_read_view(reader, &view);
    *string = (struct kong_str){NULL, 0};
    return error < 0 ? error : copy_view(reader->arena, view, string);
}

/* A key as text. Kong sends integer keys for lists with holes; whatever else Lua takes as a key is
 * written as Lua's tostring does. */
static int read_key(struct msgpack_reader *reader, struct kong_str *key) {
    struct msgpack_head head;
    int error = read_head(reader, &head);
    if (error < 0) {
        return error;
    }
    struct arena *arena = reader->arena;
    switch (head.kind) {
    case MSGPACK_STRING:
        *key = arena_copy(arena, take_body(reader, &head), head.count);
        break;
    case MSGPACK_INTEGER:
        *key = arena_printf(arena, "%" PRId64, head.integer);
        break;
    case MSGPACK_UNSIGNED:
        *key = arena_printf(arena, "%" PRIu64, head.unsigned_);
        break;
    case MSGPACK_NUMBER:
        *key = arena_printf(arena, "%.14g", head.number);
        break;
    case MSGPACK_BOOLEAN:
        *key = arena_printf(arena, "%s", head.boolean ? "true" : "false");
        break;
    case MSGPACK_NIL:
        *key = arena_printf(arena, "nil");
        break;
    case MSGPACK_EXT:
    case MSGPACK_LIST:
    case MSGPACK_MAP:
        return CODEC_E_SHAPE;
    }
    return key->data == NULL ? CODEC_E_NOMEM : CODEC_OK;
}

static int read_value(struct msgpack_reader *reader, struct kong_value *value, unsigned levels);

static int read_items(struct msgpack_reader *reader, size_t count, struct kong_value *value,
                      unsigned levels) {
    struct kong_value *items = NULL;
    if (count > 0 && (items = arena_array(reader->arena, count, sizeof *items)) == NULL) {
        return CODEC_E_NOMEM;
    }
    for (size_t i = 0; i < count; i++) {
        int error = read_value(reader, &items[i], levels);
        if (error < 0) {
            return error;
        }
    }
    *value = kong_list(items, count);
    return CODEC_OK;
}

static int read_pairs(struct msgpack_reader *reader, size_t count, struct kong_value *value,
                      unsigned levels) {
    struct kong_pair *pairs = NULL;
    if (count > 0 && (pairs = arena_array(reader->arena, count, sizeof *pairs)) == NULL) {
        return CODEC_E_NOMEM;
    }
    for (size_t i = 0; i < count; i++) {
        int error = read_key(reader, &pairs[i].key);
        if (error == CODEC_OK) {
            error = read_value(reader, &pairs[i].value, levels);
        }
        if (error < 0) {
            return error;
        }
    }
    *value = kong_map(pairs, count);
    return CODEC_OK;
}

static int read_value(struct msgpack_reader *reader, struct kong_value *value, unsigned levels) {
    struct msgpack_head head;
    int error = read_head(reader, &head);
    if (error < 0) {
        return error;
    }
    switch (head.kind) {
    case MSGPACK_STRING:
        value->type = KONG_STRING;
        value->string = arena_copy(reader->arena, take_body(reader, &head), head.count);
        return value->string.data == NULL ? CODEC_E_NOMEM : CODEC_OK;
    case MSGPACK_LIST:
        return levels == 0 ? CODEC_E_LIMIT : read_items(reader, head.count, value, levels - 1);
    case MSGPACK_MAP:
        return levels == 0 ? CODEC_E_LIMIT : read_pairs(reader, head.count, value, levels - 1);
    case MSGPACK_EXT:
        return CODEC_E_SHAPE;
    case MSGPACK_NIL:
    case MSGPACK_BOOLEAN:
    case MSGPACK_INTEGER:
    case MSGPACK_UNSIGNED:
    case MSGPACK_NUMBER:
        break;
    }
    *value = msgpack_head_scalar(&head);
    return CODEC_OK;
}

int msgpack_read_value(struct msgpack_reader *reader, struct kong_value *value) {
    return read_value(reader, value, LIMIT_NESTING);
}
