/* Cuts whole messages out of a byte stream, for both protocols. Nothing is allocated, nothing is
 * copied; limits come first. */
#ifndef PROTO_FRAME_H
#define PROTO_FRAME_H

#include "protocol.h"

/* Tells the protocol from the first bytes of a connection. A MessagePack-RPC message of Kong starts
 * 94 00 (a request) or 93 02 (a notification); read as a ProtoBuf:1 length these bytes are larger
 * than LIMIT_FIRST_FRAME for every msgid that Kong can send, so the two cannot be mistaken for each
 * other. PROTOCOL_UNKNOWN: needs more bytes (4 are always enough). Garbage is PROTOCOL_PROTOBUF:
 * its length check refuses it. */
enum protocol frame_detect(const uint8_t *data, size_t len);

/* Where the scanner of one connection stands. Zeroed before the first use (frame_reader_init). */
struct frame_reader {
    enum protocol protocol;
    size_t limit;   /* of the message under way */
    size_t scanned; /* msgpack: bytes of the message under way that are known to be good */
    unsigned depth;
    size_t elements;
    uint64_t open[36]; /* msgpack: values still to come at each open level; more than LIMIT_NESTING
                          levels */
};

struct frame {
    const uint8_t *data; /* the message, inside the caller's bytes: ProtoBuf without its length,
                            MessagePack whole */
    size_t len;
    size_t total; /* bytes to take off the stream, >= len */
};

void frame_reader_init(struct frame_reader *reader, enum protocol protocol, size_t limit);

/* Whether no byte of a message has been scanned yet. */
static inline bool frame_reader_at_start(const struct frame_reader *reader) {
    return reader->scanned == 0 && reader->depth == 0;
}

/* The length of the ProtoBuf:1 frame that these four bytes begin, without themselves. */
static inline uint32_t frame_protobuf_length(const uint8_t *data) {
    return (uint32_t)data[0] | (uint32_t)data[1] << 8 | (uint32_t)data[2] << 16 |
           (uint32_t)data[3] << 24;
}

/* The frame at the start of data. False unless it is a ProtoBuf:1 frame, whole and within the
 * reader's limit: then frame_next says what is missing or wrong. */
static inline bool frame_protobuf_whole(const struct frame_reader *reader, const uint8_t *data,
                                        size_t len, struct frame *frame) {
    if (reader->protocol != PROTOCOL_PROTOBUF || len < 4) {
        return false;
    }
    size_t size = frame_protobuf_length(data);
    *frame = (struct frame){data + 4, size, 4 + size};
    return size <= reader->limit && size <= len - 4;
}

/* Looks for one message at the start of data. Called again with the same bytes and more behind
 * them, it goes on where it stopped. 1: a message, *frame is filled, and the reader is ready for
 * the next one (with `next_limit` for it). 0: more bytes are needed; *missing is a lower bound of
 * how many (>= 1). CODEC_E_LIMIT: the message is over a limit, *reason says which; it can still be
 * passed over (frame_protobuf_length, msgpack_skip.h). CODEC_E_MALFORMED: the stream is broken
 * beyond repair, *reason says why. ProtoBuf frames
 * of length 0 are messages too. For MessagePack this checks, as soon as a head of a value is there
 * and without recursion: that what it announces can still fit into `limit`, which bounds the whole
 * message; the elements of all lists and maps (a pair is one; LIMIT_ELEMENTS); the nesting:
 * LIMIT_NESTING and the four levels in which Kong's protocol wraps a value. Any one value is a
 * message here: whether it is one of MessagePack-RPC is for its decoder to say. */
int frame_next(struct frame_reader *reader, const uint8_t *data, size_t len, size_t next_limit,
               struct frame *frame, size_t *missing, struct codec_reason *reason);

#endif
