/* The parts that msgpack_rpc.h is made of: reading one value after the other straight into the
 * arena, and packing with msgpack-c into a buffer. */
#ifndef PROTO_MSGPACK_CODEC_H
#define PROTO_MSGPACK_CODEC_H

#include "buffer.h"
#include "msgpack_head.h"
#include "protocol.h"

#include <msgpack/pack.h>

/* The reader checks every length against the bytes that are left. All readers return
 * CODEC_OK or a codec_error; CODEC_E_MALFORMED when the bytes end inside a value. */
struct msgpack_reader {
    struct arena *arena; /* may be NULL where nothing is copied */
    const uint8_t *at;
    const uint8_t *end;
};

struct msgpack_reader msgpack_reader_over(struct arena *arena, const uint8_t *data, size_t len);

/* The next value, whatever it is, is passed over. No recursion. */
int msgpack_read_skip(struct msgpack_reader *reader);

/* What the next value is, not taken; MSGPACK_NIL where the bytes end. */
enum msgpack_kind msgpack_read_peek(const struct msgpack_reader *reader);

/* The number of elements of a list. CODEC_E_SHAPE when it is something else. */
int msgpack_read_list(struct msgpack_reader *reader, size_t *count);

/* A number without fraction that fits. CODEC_E_SHAPE when it is something else. */
int msgpack_read_int(struct msgpack_reader *reader, int64_t *out);
int msgpack_read_uint(struct msgpack_reader *reader, uint64_t *out);
int msgpack_read_msgid(struct msgpack_reader *reader, int64_t *out); /* 0 to UINT32_MAX */

/* A string (str or bin) in place, valid as long as the bytes are, without a NUL behind it; nil
 * gives {NULL, 0}. CODEC_E_SHAPE when it is something else. */
int msgpack_read_view(struct msgpack_reader *reader, struct kong_str *view);

/* The same, copied into the arena. */
int msgpack_read_string(struct msgpack_reader *reader, struct kong_str *string);

/* Any value, deep, in the arena. CODEC_E_LIMIT when it nests deeper than LIMIT_NESTING,
 * CODEC_E_SHAPE when there is an ext in it, or a list or a map as a key. */
int msgpack_read_value(struct msgpack_reader *reader, struct kong_value *value);

static inline bool msgpack_key_is(struct kong_str key, const char *name) {
    return kong_str_equal(key, kong_str(name));
}

/* A map with strings as keys (CODEC_E_SHAPE when it is something else): `field` is called for each
 * pair, with the key in place, and has to take the value or to return an error. */
typedef int msgpack_field(struct msgpack_reader *reader, struct kong_str key, void *target);
int msgpack_read_fields(struct msgpack_reader *reader, msgpack_field *field, void *target);

/* The write functions append without checking; msgpack_writer_end returns the error. */
struct msgpack_writer {
    msgpack_packer packer;
    struct buffer *out;
    size_t start;
    bool was_failed; /* `out`, before */
    int error;
};

void msgpack_writer_start(struct msgpack_writer *writer, struct buffer *out);

/* CODEC_OK, or the first error; then `out` is as it was at the start. */
int msgpack_writer_end(struct msgpack_writer *writer);

void msgpack_write_string(struct msgpack_writer *writer, struct kong_str string); /* nil as "" */
void msgpack_write_value(struct msgpack_writer *writer, const struct kong_value *value);

/* Inline: the length of a literal is known here. */
static inline void msgpack_write_text(struct msgpack_writer *writer, const char *text) {
    msgpack_write_string(writer, kong_str(text));
}

/* A pair of a map. */
static inline void msgpack_write_int_at(struct msgpack_writer *writer, const char *key,
                                        int64_t value) {
    msgpack_write_text(writer, key);
    msgpack_pack_int64(&writer->packer, value);
}

static inline void msgpack_write_string_at(struct msgpack_writer *writer, const char *key,
                                           struct kong_str value) {
    msgpack_write_text(writer, key);
    msgpack_write_string(writer, value);
}

/* Arguments of a PDK call, as a list: nils as msgpack_encode_reply says. */
void msgpack_write_args(struct msgpack_writer *writer, const struct kong_value *args, size_t count);

#endif
