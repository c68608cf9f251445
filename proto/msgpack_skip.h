/* Skips a Step that is over a limit, byte by byte as it comes, and finds out which request and
 * event it is for. Needs constant memory, whatever the size, the number of elements and the
 * nesting. */
#ifndef PROTO_MSGPACK_SKIP_H
#define PROTO_MSGPACK_SKIP_H

#include "msgpack_head.h"
#include "protocol.h"

/* Enough for the longest method name, and for the keys that count. */
#define MSGPACK_SKIP_TEXT 40

/* Zeroed before each message. The first three fields are the result. */
struct msgpack_skip {
    int64_t sequence; /* its msgid; -1: a notification */
    uint64_t event_id;
    bool has_event_id;

    /* private */
    uint64_t left;   /* values still to come, all levels together */
    uint64_t inside; /* … of them in a value that nobody looks at */
    uint64_t body;   /* bytes still to come of a string or an ext */
    uint64_t pairs;  /* of the argument */
    unsigned state;
    bool started;
    bool is_text; /* the body is looked at */
    bool is_event_id;
    uint8_t head[9]; /* of a head that is cut in two */
    uint8_t head_len;
    uint8_t text_len;
    char text[MSGPACK_SKIP_TEXT];
};

/* Takes bytes from the start of a message on, in pieces of any size. 1: the message is whole, and
 * *used says how far it went; event_id counts where has_event_id is true. 0: all bytes were taken,
 * the message goes on. CODEC_E_SHAPE: this is no Step of MessagePack-RPC. CODEC_E_MALFORMED: this
 * is no MessagePack. Finds the msgid and the event id that msgpack_decode_call finds. */
int msgpack_skip_take(struct msgpack_skip *skip, const uint8_t *data, size_t len, size_t *used);

#endif
