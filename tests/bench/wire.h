/* Both protocols as far as a load generator needs them: requests are written in the order and
 * width that Kong uses, what a server sends is walked with bounds checked. Nothing is shared with
 * the server's own codecs, so that a mistake of theirs cannot hide here. */
#ifndef BENCH_WIRE_H
#define BENCH_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum wire_protocol { WIRE_PROTOBUF, WIRE_MSGPACK };

const char *wire_protocol_name(enum wire_protocol protocol);

#define WIRE_MAX 12288 /* a body of 8 KiB, and what is around it */

/* Bytes to be sent or compared. What is put in is ours: that it fits is asserted. */
struct wire {
    size_t len;
    uint8_t data[WIRE_MAX];
};

/* An id as the server encoded it: kept and sent back byte for byte. */
struct wire_id {
    uint8_t len;
    uint8_t bytes[15];
};

void wire_put(struct wire *wire, const void *data, size_t len);
void wire_byte(struct wire *wire, unsigned byte);
void wire_le32(struct wire *wire, size_t value);
void wire_varint(struct wire *wire, uint64_t value);

/* ProtoBuf:1. `sequence` from SEQUENCE_FIRST to SEQUENCE_LAST: all of them take three bytes, so
 * that requests have one length. */
#define SEQUENCE_FIRST 0x4000u
#define SEQUENCE_LAST  0x1fffffu

void pb_string(struct wire *wire, unsigned field, const char *text, size_t len);
void pb_start_instance(struct wire *wire, uint32_t sequence, const char *plugin,
                       const char *config);
void pb_handle_event(struct wire *wire, uint32_t sequence, const struct wire_id *instance,
                     const char *phase);
/* The empty frame and the RpcReturn that end an event. */
void pb_end(struct wire *wire, uint32_t sequence);

/* NULL: cut short, or too long; also for a NULL `at`. */
const uint8_t *pb_get_varint(const uint8_t *at, const uint8_t *end, uint64_t *value);

/* The body of a frame that answers cmd_start_instance: its instance_id, or false when it is none.
 */
bool pb_instance_id(const uint8_t *data, size_t len, struct wire_id *id);

/* MsgPack:1. `msgid` from MSGID_FIRST: five bytes each. */
#define MSGID_FIRST 0x10000u

void mp_string(struct wire *wire, const char *text, size_t len);
void mp_start_instance(struct wire *wire, uint32_t msgid, const char *plugin, const char *config);
void mp_handle_event(struct wire *wire, uint32_t msgid, const struct wire_id *instance,
                     const char *phase);
/* answer: an encoded value, or NULL when the PDK call gave nil (no Data key then). */
void mp_step(struct wire *wire, uint32_t msgid, const struct wire_id *event,
             const struct wire *answer);
/* `[1, msgid, nil, {EventId, Data}]` up to where Data's value stands. */
void mp_result_head(struct wire *wire, uint32_t msgid, unsigned event);

/* Walk one value: the byte behind it, or NULL when it does not end before `end` (then *malformed is
 * false) or is none (true). */
const uint8_t *mp_skip(const uint8_t *at, const uint8_t *end, bool *malformed);

/* A string at `at`: true, and *next behind it. */
bool mp_get_string(const uint8_t *at, const uint8_t *end, const char **text, size_t *len,
                   const uint8_t **next);
/* A non-negative integer of any width. */
bool mp_get_uint(const uint8_t *at, const uint8_t *end, uint64_t *value, const uint8_t **next);
/* The value of a key in a map of at most 15 pairs, or NULL. */
const uint8_t *mp_map_get(const uint8_t *at, const uint8_t *end, const char *key);

#endif
