#include "wire.h"

#include <assert.h>
#include <string.h>

const char *wire_protocol_name(enum wire_protocol protocol) {
    return protocol == WIRE_PROTOBUF ? "ProtoBuf:1" : "MsgPack:1";
}

void wire_put(struct wire *wire, const void *data, size_t len) {
    assert(len <= sizeof wire->data - wire->len);
    memcpy(wire->data + wire->len, data, len);
    wire->len += len;
}

void wire_byte(struct wire *wire, unsigned byte) {
    assert(wire->len < sizeof wire->data);
    wire->data[wire->len++] = (uint8_t)byte;
}

static void put_le32(uint8_t *to, size_t value) {
    for (int i = 0; i < 4; i++) {
        to[i] = (uint8_t)(value >> (8 * i));
    }
}

void wire_le32(struct wire *wire, size_t value) {
    uint8_t bytes[4];
    put_le32(bytes, value);
    wire_put(wire, bytes, sizeof bytes);
}

void wire_varint(struct wire *wire, uint64_t value) {
    for (; value >= 0x80; value >>= 7) {
        wire_byte(wire, (unsigned)(value & 0x7f) | 0x80);
    }
    wire_byte(wire, (unsigned)value);
}

/* --- ProtoBuf:1 ----------------------------------------------------------------------------- */

#define WIRE_TYPE_VARINT 0u
#define WIRE_TYPE_LENGTH 2u
#define RPC_SEQUENCE     1u
#define RPC_STATUS       33u /* RpcReturn.instance_status */
#define CMD_START        33u
#define CMD_EVENT        36u

void pb_string(struct wire *wire, unsigned field, const char *text, size_t len) {
    wire_varint(wire, field << 3 | WIRE_TYPE_LENGTH);
    wire_varint(wire, len);
    wire_put(wire, text, len);
}

static void pb_call(struct wire *wire, uint32_t sequence, unsigned command,
                    const struct wire *body) {
    size_t start = wire->len;
    wire_le32(wire, 0);
    wire_varint(wire, RPC_SEQUENCE << 3 | WIRE_TYPE_VARINT);
    wire_varint(wire, sequence);
    pb_string(wire, command, (const char *)body->data, body->len);
    put_le32(wire->data + start, wire->len - start - 4);
}

void pb_start_instance(struct wire *wire, uint32_t sequence, const char *plugin,
                       const char *config) {
    struct wire body;
    body.len = 0;
    pb_string(&body, 1, plugin, strlen(plugin));
    pb_string(&body, 2, config, strlen(config));
    pb_call(wire, sequence, CMD_START, &body);
}

void pb_handle_event(struct wire *wire, uint32_t sequence, const struct wire_id *instance,
                     const char *phase) {
    struct wire body;
    body.len = 0;
    pb_string(&body, 2, phase, strlen(phase));
    wire_varint(&body, 1u << 3 | WIRE_TYPE_VARINT);
    wire_put(&body, instance->bytes, instance->len);
    pb_call(wire, sequence, CMD_EVENT, &body);
}

void pb_end(struct wire *wire, uint32_t sequence) {
    static const uint8_t empty_and_head[] = {0, 0, 0, 0, 4, 0, 0, 0, RPC_SEQUENCE << 3};
    wire_put(wire, empty_and_head, sizeof empty_and_head);
    wire_varint(wire, sequence);
}

const uint8_t *pb_get_varint(const uint8_t *at, const uint8_t *end, uint64_t *value) {
    *value = 0;
    for (unsigned shift = 0; at < end && shift < 64; shift += 7) {
        *value |= (uint64_t)(*at & 0x7f) << shift;
        if ((*at++ & 0x80) == 0) {
            return at;
        }
    }
    return NULL;
}

/* The next field of a message: its value's bytes in [*from, *to). NULL at anything unknown. */
static const uint8_t *next_field(const uint8_t *at, const uint8_t *end, uint64_t *field,
                                 const uint8_t **from, const uint8_t **to) {
    uint64_t key;
    uint64_t len;
    at = pb_get_varint(at, end, &key);
    if (at == NULL) {
        return NULL;
    }
    *field = key >> 3;
    *from = at;
    if ((key & 7) == WIRE_TYPE_VARINT) {
        *to = pb_get_varint(at, end, &len);
        return *to;
    }
    at = (key & 7) == WIRE_TYPE_LENGTH ? pb_get_varint(at, end, &len) : NULL;
    if (at == NULL || len > (size_t)(end - at)) {
        return NULL;
    }
    *from = at;
    *to = at + len;
    return *to;
}

static bool find_field(const uint8_t *at, const uint8_t *end, uint64_t wanted, const uint8_t **from,
                       const uint8_t **to) {
    uint64_t field;
    while (at < end) {
        at = next_field(at, end, &field, from, to);
        if (at == NULL) {
            return false;
        }
        if (field == wanted) {
            return true;
        }
    }
    return false;
}

bool pb_instance_id(const uint8_t *data, size_t len, struct wire_id *id) {
    const uint8_t *from;
    const uint8_t *to;
    const uint8_t *first;
    const uint8_t *last;
    if (!find_field(data, data + len, RPC_STATUS, &from, &to)) {
        return false;
    }
    if (!find_field(from, to, 2, &first, &last)) {
        /* proto3 leaves zero out: some servers count from there */
        static const uint8_t zero[] = {0};
        first = zero;
        last = zero + 1;
    }
    if ((size_t)(last - first) > sizeof id->bytes) {
        return false;
    }
    id->len = (uint8_t)(last - first);
    memcpy(id->bytes, first, id->len);
    return true;
}

/* --- MsgPack:1 ------------------------------------------------------------------------------ */

void mp_string(struct wire *wire, const char *text, size_t len) {
    if (len < 32) {
        wire_byte(wire, 0xa0 | (unsigned)len);
    } else {
        assert(len <= 0xffff);
        wire_byte(wire, 0xda); /* never str8: as Kong does */
        wire_byte(wire, (unsigned)len >> 8);
        wire_byte(wire, (unsigned)len & 0xff);
    }
    wire_put(wire, text, len);
}

static void mp_text(struct wire *wire, const char *text) {
    mp_string(wire, text, strlen(text));
}

static void mp_msgid(struct wire *wire, uint32_t msgid) {
    wire_byte(wire, 0xce);
    for (int shift = 24; shift >= 0; shift -= 8) {
        wire_byte(wire, msgid >> shift & 0xff);
    }
}

static void mp_request(struct wire *wire, uint32_t msgid, const char *method, unsigned pairs) {
    static const uint8_t head[] = {0x94, 0x00};
    wire_put(wire, head, sizeof head);
    mp_msgid(wire, msgid);
    mp_text(wire, method);
    wire_byte(wire, 0x91);
    wire_byte(wire, 0x80 | pairs);
}

void mp_start_instance(struct wire *wire, uint32_t msgid, const char *plugin, const char *config) {
    mp_request(wire, msgid, "plugin.StartInstance", 2);
    mp_text(wire, "Name");
    mp_text(wire, plugin);
    mp_text(wire, "Config");
    mp_text(wire, config);
}

void mp_handle_event(struct wire *wire, uint32_t msgid, const struct wire_id *instance,
                     const char *phase) {
    mp_request(wire, msgid, "plugin.HandleEvent", 2);
    mp_text(wire, "EventName");
    mp_text(wire, phase);
    mp_text(wire, "InstanceId");
    wire_put(wire, instance->bytes, instance->len);
}

void mp_step(struct wire *wire, uint32_t msgid, const struct wire_id *event,
             const struct wire *answer) {
    mp_request(wire, msgid, "plugin.Step", answer == NULL ? 1 : 2);
    mp_text(wire, "EventId");
    wire_put(wire, event->bytes, event->len);
    if (answer != NULL) {
        mp_text(wire, "Data");
        wire_put(wire, answer->data, answer->len);
    }
}

void mp_result_head(struct wire *wire, uint32_t msgid, unsigned event) {
    static const uint8_t head[] = {0x94, 0x01};
    wire_put(wire, head, sizeof head);
    mp_msgid(wire, msgid);
    wire_byte(wire, 0xc0);
    wire_byte(wire, 0x82);
    mp_text(wire, "EventId");
    wire_byte(wire, event & 0x7f);
    mp_text(wire, "Data");
}

static uint64_t big_endian(const uint8_t *at, size_t len) {
    uint64_t value = 0;
    for (size_t i = 0; i < len; i++) {
        value = value << 8 | at[i];
    }
    return value;
}

struct head {
    size_t size;     /* of the head itself */
    uint64_t bytes;  /* that follow it */
    uint64_t values; /* that follow it */
};

/* The head of the value at `at`, which has at least one byte; false for 0xc1. */
static bool head_of(const uint8_t *at, size_t available, struct head *head) {
    /* from 0xc0: bytes of length, bytes that follow, values an element */
    static const struct {
        uint8_t length, fixed, values;
    } kinds[32] = {[0x04] = {1, 0, 0},  [0x05] = {2, 0, 0}, [0x06] = {4, 0, 0}, [0x07] = {1, 1, 0},
                   [0x08] = {2, 1, 0},  [0x09] = {4, 1, 0}, [0x0a] = {0, 4, 0}, [0x0b] = {0, 8, 0},
                   [0x0c] = {0, 1, 0},  [0x0d] = {0, 2, 0}, [0x0e] = {0, 4, 0}, [0x0f] = {0, 8, 0},
                   [0x10] = {0, 1, 0},  [0x11] = {0, 2, 0}, [0x12] = {0, 4, 0}, [0x13] = {0, 8, 0},
                   [0x14] = {0, 2, 0},  [0x15] = {0, 3, 0}, [0x16] = {0, 5, 0}, [0x17] = {0, 9, 0},
                   [0x18] = {0, 17, 0}, [0x19] = {1, 0, 0}, [0x1a] = {2, 0, 0}, [0x1b] = {4, 0, 0},
                   [0x1c] = {2, 0, 1},  [0x1d] = {4, 0, 1}, [0x1e] = {2, 0, 2}, [0x1f] = {4, 0, 2}};
    uint8_t byte = *at;
    *head = (struct head){.size = 1};
    if (byte < 0x80 || byte >= 0xe0) {
        return true;
    }
    if (byte < 0xc0) {
        head->values = byte < 0x90 ? 2u * (byte & 0x0fu) : byte < 0xa0 ? byte & 0x0fu : 0;
        head->bytes = byte < 0xa0 ? 0 : byte & 0x1fu;
        return true;
    }
    size_t length = kinds[byte - 0xc0].length;
    head->size += length;
    head->bytes = kinds[byte - 0xc0].fixed;
    uint64_t count = available > length ? big_endian(at + 1, length) : 0;
    if (kinds[byte - 0xc0].values > 0) {
        head->values = count * kinds[byte - 0xc0].values;
    } else {
        head->bytes += count;
    }
    return byte != 0xc1;
}

const uint8_t *mp_skip(const uint8_t *at, const uint8_t *end, bool *malformed) {
    uint64_t values = 1;
    *malformed = false;
    while (values > 0) {
        struct head head;
        if (at >= end) {
            return NULL;
        }
        size_t available = (size_t)(end - at);
        if (!head_of(at, available, &head)) {
            *malformed = true;
            return NULL;
        }
        if (head.size > available || head.bytes > available - head.size) {
            return NULL;
        }
        at += head.size + head.bytes;
        values += head.values - 1;
    }
    return at;
}

bool mp_get_string(const uint8_t *at, const uint8_t *end, const char **text, size_t *len,
                   const uint8_t **next) {
    bool malformed;
    struct head head;
    *next = mp_skip(at, end, &malformed);
    if (*next == NULL || !head_of(at, (size_t)(end - at), &head) ||
        !((*at & 0xe0) == 0xa0 || (*at >= 0xd9 && *at <= 0xdb) || (*at >= 0xc4 && *at <= 0xc6))) {
        return false;
    }
    *text = (const char *)at + head.size;
    *len = (size_t)head.bytes;
    return true;
}

bool mp_get_uint(const uint8_t *at, const uint8_t *end, uint64_t *value, const uint8_t **next) {
    bool malformed;
    *next = mp_skip(at, end, &malformed);
    if (*next == NULL) {
        return false;
    }
    if (*at < 0x80) {
        *value = *at;
        return true;
    }
    /* uint8 to uint64, and int8 to int64 where the sign is not set */
    bool is_signed = *at >= 0xd0 && *at <= 0xd3;
    if (!is_signed && !(*at >= 0xcc && *at <= 0xcf)) {
        return false;
    }
    *value = big_endian(at + 1, (size_t)(*next - at) - 1);
    return !is_signed || (at[1] & 0x80) == 0;
}

const uint8_t *mp_map_get(const uint8_t *at, const uint8_t *end, const char *key) {
    bool malformed;
    if (at >= end || (*at & 0xf0) != 0x80) {
        return NULL;
    }
    unsigned pairs = *at & 0x0fu;
    at++;
    for (; pairs > 0 && at != NULL; pairs--) {
        const char *name;
        size_t len;
        const uint8_t *value;
        if (!mp_get_string(at, end, &name, &len, &value)) {
            return NULL;
        }
        if (len == strlen(key) && memcmp(name, key, len) == 0) {
            return value;
        }
        at = mp_skip(value, end, &malformed);
    }
    return NULL;
}
