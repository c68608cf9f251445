#include "msgpack_value.h"

#include "msgpack_codec.h"

int msgpack_encode_value(struct buffer *out, const struct kong_value *value) {
    struct msgpack_writer writer;
    msgpack_writer_start(&writer, out);
    msgpack_write_value(&writer, value);
    return msgpack_writer_end(&writer);
}

int msgpack_decode_value(struct arena *arena, const uint8_t *data, size_t len,
                         struct kong_value *value) {
    struct msgpack_reader reader = msgpack_reader_over(arena, data, len);
    *value = kong_nil();
    int error = msgpack_read_value(&reader, value);
    return error == CODEC_OK && reader.at != reader.end ? CODEC_E_MALFORMED : error;
}
