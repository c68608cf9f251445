#include "frame.h"

#include "limit.h"
#include "msgpack_head.h"

#include <stdio.h>

#define LENGTH_SIZE 4

/* Levels that a message may open: its own around a value (at most [1, id, nil, {Data: {Args: [),
 * and the value's. */
#define LEVELS (sizeof((struct frame_reader *)NULL)->open / sizeof(uint64_t))
_Static_assert(LEVELS == LIMIT_NESTING + 4, "room for the deepest value in the deepest place");

enum protocol frame_detect(const uint8_t *data, size_t len) {
    static const uint8_t starts[][2] = {{0x94, 0x00}, {0x93, 0x02}};
    for (size_t i = 0; i < sizeof starts / sizeof starts[0]; i++) {
        if (len >= 1 && data[0] != starts[i][0]) {
            continue;
        }
        if (len >= 2 && data[1] != starts[i][1]) {
            continue;
        }
        if (len < LENGTH_SIZE) {
            return PROTOCOL_UNKNOWN;
        }
        /* a frame of 148 bytes starts 94 00, too */
        return frame_protobuf_length(data) > LIMIT_FIRST_FRAME ? PROTOCOL_MSGPACK
                                                               : PROTOCOL_PROTOBUF;
    }
    return PROTOCOL_PROTOBUF;
}

void frame_reader_init(struct frame_reader *reader, enum protocol protocol, size_t limit) {
    reader->protocol = protocol;
    reader->limit = limit;
    reader->scanned = 0;
    reader->depth = 0;
    reader->elements = 0;
}

/* Gives the reason and the error. */
#define FAIL(reason, error, ...)                                                                   \
    (snprintf((reason)->text, sizeof(reason)->text, __VA_ARGS__), (error))

static int next_protobuf(struct frame_reader *reader, const uint8_t *data, size_t len,
                         struct frame *frame, size_t *missing, struct codec_reason *reason) {
    if (len < LENGTH_SIZE) {
        *missing = LENGTH_SIZE - len;
        return 0;
    }
    size_t size = frame_protobuf_length(data);
    if (size > reader->limit) {
        return FAIL(reason, CODEC_E_LIMIT, "frame of %zu bytes, limit %zu", size, reader->limit);
    }
    if (size > len - LENGTH_SIZE) {
        *missing = size - (len - LENGTH_SIZE);
        return 0;
    }
    *frame = (struct frame){data + LENGTH_SIZE, size, LENGTH_SIZE + size};
    return 1;
}

/* Values that must still come, the one at `scanned` included; each is a byte at least. */
static uint64_t values_to_come(const struct frame_reader *reader) {
    uint64_t sum = reader->depth == 0 ? 1 : 0;
    for (unsigned i = 0; i < reader->depth; i++) {
        sum += reader->open[i];
    }
    return sum;
}

/* Is what a head announces within the limits? Whether or not it has come. */
static int check_head(const struct frame_reader *reader, const struct msgpack_head *head,
                      struct codec_reason *reason) {
    uint64_t least = reader->scanned + head->size + values_to_come(reader) - 1;
    if (head->kind == MSGPACK_LIST || head->kind == MSGPACK_MAP) {
        if (reader->depth == LEVELS) {
            return FAIL(reason, CODEC_E_LIMIT, "message nested deeper than %zu levels", LEVELS);
        }
        if (head->count > LIMIT_ELEMENTS - reader->elements) {
            return FAIL(reason, CODEC_E_LIMIT, "message of %zu elements, limit %zu",
                        reader->elements + head->count, LIMIT_ELEMENTS);
        }
        least += msgpack_head_children(head);
    } else {
        least += head->count;
    }
    if (least > reader->limit) {
        return FAIL(reason, CODEC_E_LIMIT, "message of at least %llu bytes, limit %zu",
                    (unsigned long long)least, reader->limit);
    }
    return 0;
}

/* Takes a whole value, or the head of a list or map. True when the message is whole. */
static bool take_value(struct frame_reader *reader, const struct msgpack_head *head) {
    reader->scanned += head->size;
    uint64_t below = msgpack_head_children(head);
    if (head->kind == MSGPACK_LIST || head->kind == MSGPACK_MAP) {
        reader->elements += head->count;
    } else {
        reader->scanned += head->count;
    }
    if (reader->depth > 0) {
        reader->open[reader->depth - 1]--;
    }
    if (below > 0) {
        reader->open[reader->depth++] = below;
        return false;
    }
    while (reader->depth > 0 && reader->open[reader->depth - 1] == 0) {
        reader->depth--;
    }
    return reader->depth == 0;
}

static int next_msgpack(struct frame_reader *reader, const uint8_t *data, size_t len,
                        struct frame *frame, size_t *missing, struct codec_reason *reason) {
    bool whole = false;
    if (len == 0) {
        *missing = 1;
        return 0;
    }
    while (!whole) {
        struct msgpack_head head;
        size_t rest = len - reader->scanned;
        int result = msgpack_head_read(data + reader->scanned, rest, &head);
        if (result < 0) {
            return FAIL(reason, CODEC_E_MALFORMED, "byte c1, which MessagePack reserves");
        }
        if (result > 0) {
            int error = check_head(reader, &head, reason);
            if (error < 0) {
                return error;
            }
        }
        bool follows = result > 0 && head.kind != MSGPACK_LIST && head.kind != MSGPACK_MAP;
        uint64_t size = head.size + (follows ? (uint64_t)head.count : 0);
        if (size > rest) {
            *missing = (size_t)(size - rest + values_to_come(reader) - 1);
            return 0;
        }
        whole = take_value(reader, &head);
    }
    *frame = (struct frame){data, reader->scanned, reader->scanned};
    return 1;
}

int frame_next(struct frame_reader *reader, const uint8_t *data, size_t len, size_t next_limit,
               struct frame *frame, size_t *missing, struct codec_reason *reason) {
    int result = reader->protocol == PROTOCOL_MSGPACK
                     ? next_msgpack(reader, data, len, frame, missing, reason)
                     : next_protobuf(reader, data, len, frame, missing, reason);
    if (result == 1) {
        frame_reader_init(reader, reader->protocol, next_limit);
    }
    return result;
}
