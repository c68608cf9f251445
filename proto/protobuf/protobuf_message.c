#include "protobuf_message.h"

#include "limit.h"
#include "protobuf_wire.h"

/* --- In --------------------------------------------------------------------- */

/* Messages around one value: at most an answer, an instance's status and an entry. */
#define LEVELS (3 * LIMIT_NESTING + 8)

/* Fields of any kind: an element of a map is four of them (entry, key, value, its content). What
 * costs memory without being an element, unknown and repeated single fields, ends here. */
#define FIELDS_MAX (4 * LIMIT_ELEMENTS)

struct scan {
    struct level {
        struct wire rest;
        const ProtobufCMessageDescriptor *type;
        unsigned nesting; /* lists and maps around and with it */
    } levels[LEVELS];
    size_t depth; /* levels in use */
    size_t fields;
    size_t elements;
};

static bool nests(const ProtobufCMessageDescriptor *type) {
    return type == &kong_plugin_protocol__struct__descriptor ||
           type == &kong_plugin_protocol__list_value__descriptor;
}

static int scan_enter(struct scan *scan, const ProtobufCMessageDescriptor *type, struct wire rest,
                      unsigned nesting) {
    if (nests(type)) {
        nesting++;
    }
    if (nesting > LIMIT_NESTING || scan->depth == LEVELS) {
        return CODEC_E_LIMIT;
    }
    scan->levels[scan->depth++] = (struct level){rest, type, nesting};
    return CODEC_OK;
}

static int scan_field(struct scan *scan, const struct level *level,
                      const struct wire_field *field) {
    const ProtobufCFieldDescriptor *known =
        protobuf_c_message_descriptor_get_field(level->type, field->number);

    if (++scan->fields > FIELDS_MAX) {
        return CODEC_E_LIMIT;
    }
    if (known == NULL) {
        return CODEC_OK;
    }
    if (known->label == PROTOBUF_C_LABEL_REPEATED && ++scan->elements > LIMIT_ELEMENTS) {
        return CODEC_E_LIMIT;
    }
    if (known->type != PROTOBUF_C_TYPE_MESSAGE) {
        return CODEC_OK; /* a wrong wire type is seen by protobuf-c */
    }
    if (field->type != WIRE_BYTES) {
        return CODEC_E_MALFORMED;
    }
    return scan_enter(scan, known->descriptor, wire(field->data, field->len), level->nesting);
}

/* Without recursion, and before anything is allocated. */
static int check(const ProtobufCMessageDescriptor *type, const uint8_t *data, size_t len) {
    struct scan scan;

    scan.depth = scan.fields = scan.elements = 0;
    int error = scan_enter(&scan, type, wire(data, len), 0);
    while (error == CODEC_OK && scan.depth > 0) {
        struct level *level = &scan.levels[scan.depth - 1];
        struct wire_field field;
        int got = wire_next(&level->rest, &field);

        if (got < 0) {
            error = got;
        } else if (got == 0) {
            scan.depth--;
        } else {
            error = scan_field(&scan, level, &field);
        }
    }
    return error;
}

struct source {
    struct arena *arena;
    bool failed;
};

/* One byte more than asked for, a NUL: what protobuf-c copies as bytes has no end of its own. */
static void *allocate(void *data, size_t size) {
    struct source *source = data;
    char *piece = size == SIZE_MAX ? NULL : arena_alloc(source->arena, size + 1);

    if (piece == NULL) {
        source->failed = true;
        return NULL;
    }
    piece[size] = '\0';
    return piece;
}

static void leave(void *data, void *piece) {
    (void)data;
    (void)piece;
}

int protobuf_unpack(struct arena *arena, const ProtobufCMessageDescriptor *type,
                    const uint8_t *data, size_t len, ProtobufCMessage **message) {
    struct source source = {arena, false};
    ProtobufCAllocator allocator = {allocate, leave, &source};
    int error = check(type, data, len);

    if (error != CODEC_OK) {
        return error;
    }
    *message = protobuf_c_message_unpack(type, &allocator, len, data);
    if (*message == NULL) {
        return source.failed ? CODEC_E_NOMEM : CODEC_E_MALFORMED;
    }
    return CODEC_OK;
}

void *protobuf_new(struct arena *arena, const ProtobufCMessageDescriptor *type) {
    void *message = arena_alloc(arena, type->sizeof_message);

    if (message != NULL) {
        protobuf_c_message_init(type, message);
    }
    return message;
}

/* --- Out -------------------------------------------------------------------- */

#define LENGTH_SIZE 4

int protobuf_frames(struct buffer *out, const struct kong_str *method, size_t content,
                    uint8_t **at) {
    size_t before = out->len;
    size_t total = LENGTH_SIZE;

    if (content > UINT32_MAX || (method != NULL && method->len > UINT32_MAX)) {
        return CODEC_E_LIMIT;
    }
    if (method != NULL) {
        total += LENGTH_SIZE + method->len;
    }
    if (content > SIZE_MAX - total) {
        return CODEC_E_LIMIT;
    }
    total += content;
    if (out->failed) {
        return CODEC_E_NOMEM;
    }
    if (!buffer_reserve(out, total)) {
        buffer_truncate(out, before);
        return CODEC_E_NOMEM;
    }
    *at = out->data + before;
    if (method != NULL) {
        *at = wire_put_u32(*at, (uint32_t)method->len);
        *at = wire_put_data(*at, method->data, method->len);
    }
    *at = wire_put_u32(*at, (uint32_t)content);
    out->len += total;
    return CODEC_OK;
}

int protobuf_pack(struct buffer *out, const struct kong_str *method,
                  const ProtobufCMessage *message) {
    uint8_t *at;
    int error = protobuf_frames(out, method, protobuf_c_message_get_packed_size(message), &at);

    if (error == CODEC_OK) {
        protobuf_c_message_pack(message, at);
    }
    return error;
}
