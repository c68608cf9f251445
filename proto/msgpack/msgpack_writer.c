#include "limit.h"
#include "msgpack_codec.h"

static int append(void *data, const char *bytes, size_t len) {
    buffer_append(data, bytes, len);
    return 0; /* the buffer remembers a failure */
}

void msgpack_writer_start(struct msgpack_writer *writer, struct buffer *out) {
    msgpack_packer_init(&writer->packer, out, append);
    writer->out = out;
    writer->start = out->len;
    writer->was_failed = out->failed;
    writer->error = CODEC_OK;
}

int msgpack_writer_end(struct msgpack_writer *writer) {
    if (writer->error == CODEC_OK && writer->out->failed) {
        writer->error = CODEC_E_NOMEM;
    }
    if (writer->error < 0 && !writer->was_failed) {
        buffer_truncate(writer->out, writer->start);
    }
    return writer->error;
}

/* MessagePack's lengths have 32 bits. */
static bool fits(struct msgpack_writer *writer, size_t count) {
    if (count > UINT32_MAX && writer->error == CODEC_OK) {
        writer->error = CODEC_E_LIMIT;
    }
    return count <= UINT32_MAX;
}

void msgpack_write_string(struct msgpack_writer *writer, struct kong_str string) {
    size_t len = string.data == NULL ? 0 : string.len;
    if (fits(writer, len)) {
        msgpack_pack_str(&writer->packer, len);
        msgpack_pack_str_body(&writer->packer, string.data, len);
    }
}

/* How nils inside are written. */
enum nils {
    NILS_KEPT,
    NILS_FOR_LUA, /* a list's tail of nils left off, its others as ""; pairs with nil left out */
};

static void write_value(struct msgpack_writer *writer, const struct kong_value *value,
                        enum nils nils, unsigned levels);

static void write_items(struct msgpack_writer *writer, const struct kong_value *items, size_t count,
                        enum nils nils, unsigned levels) {
    while (nils == NILS_FOR_LUA && count > 0 && items[count - 1].type == KONG_NIL) {
        count--;
    }
    if (!fits(writer, count)) {
        return;
    }
    msgpack_pack_array(&writer->packer, count);
    for (size_t i = 0; i < count && writer->error == CODEC_OK; i++) {
        if (nils == NILS_FOR_LUA && items[i].type == KONG_NIL) {
            msgpack_write_text(writer, "");
        } else {
            write_value(writer, &items[i], nils, levels);
        }
    }
}

static void write_pairs(struct msgpack_writer *writer, const struct kong_pair *pairs, size_t count,
                        enum nils nils, unsigned levels) {
    size_t left_out = 0;
    for (size_t i = 0; i < count && nils == NILS_FOR_LUA; i++) {
        left_out += pairs[i].value.type == KONG_NIL;
    }
    if (!fits(writer, count - left_out)) {
        return;
    }
    msgpack_pack_map(&writer->packer, count - left_out);
    for (size_t i = 0; i < count && writer->error == CODEC_OK; i++) {
        if (nils == NILS_KEPT || pairs[i].value.type != KONG_NIL) {
            msgpack_write_string(writer, pairs[i].key);
            write_value(writer, &pairs[i].value, nils, levels);
        }
    }
}

static void write_value(struct msgpack_writer *writer, const struct kong_value *value,
                        enum nils nils, unsigned levels) {
    msgpack_packer *packer = &writer->packer;
    bool nests = value->type == KONG_LIST || value->type == KONG_MAP;
    if (nests && levels == 0) {
        writer->error = CODEC_E_LIMIT;
        return;
    }
    switch (value->type) {
    case KONG_NIL:
        msgpack_pack_nil(packer);
        break;
    case KONG_BOOLEAN:
        if (value->boolean) {
            msgpack_pack_true(packer);
        } else {
            msgpack_pack_false(packer);
        }
        break;
    case KONG_INTEGER:
        msgpack_pack_int64(packer, value->integer);
        break;
    case KONG_NUMBER:
        msgpack_pack_double(packer, value->number);
        break;
    case KONG_STRING:
        msgpack_write_string(writer, value->string);
        break;
    case KONG_LIST:
        write_items(writer, value->list.items, value->list.count, nils, levels - 1);
        break;
    case KONG_MAP:
        write_pairs(writer, value->map.pairs, value->map.count, nils, levels - 1);
        break;
    }
}

void msgpack_write_value(struct msgpack_writer *writer, const struct kong_value *value) {
    write_value(writer, value, NILS_KEPT, LIMIT_NESTING);
}

void msgpack_write_args(struct msgpack_writer *writer, const struct kong_value *args,
                        size_t count) {
    write_items(writer, args, count, NILS_FOR_LUA, LIMIT_NESTING);
}
