#include "msgpack_fast.h"

#include <endian.h>

/* --- What comes ----------------------------------------------------------------- */

/* Bytes that are still to be read. */
struct input {
    const uint8_t *at;
    const uint8_t *end;
};

static inline bool has(const struct input *in, size_t size) {
    return size <= (size_t)(in->end - in->at);
}

static inline bool take_literal(struct input *in, const char *bytes, size_t size) {
    if (!has(in, size) || memcmp(in->at, bytes, size) != 0) {
        return false;
    }
    in->at += size;
    return true;
}

/* A literal's bytes without its NUL; the heads of values are in them, in octal, which ends after
 * three digits: \201 is a map of one pair, \221 a list of one, \240 a string without a byte. */
#define TAKE(in, literal) take_literal(in, literal, sizeof(literal) - 1)

/* Written out: compilers make one load of each of these, and a loop of a loop. */
static inline uint64_t big16(const uint8_t *at) {
    return (uint64_t)at[0] << 8 | at[1];
}

static inline uint64_t big32(const uint8_t *at) {
    return (uint64_t)at[0] << 24 | (uint64_t)at[1] << 16 | (uint64_t)at[2] << 8 | at[3];
}

static inline uint64_t big64(const uint8_t *at) {
    return (uint64_t)at[0] << 56 | (uint64_t)at[1] << 48 | (uint64_t)at[2] << 40 |
           (uint64_t)at[3] << 32 | (uint64_t)at[4] << 24 | (uint64_t)at[5] << 16 |
           (uint64_t)at[6] << 8 | at[7];
}

/* Nothing is taken where one of these gives false. */

/* The number behind a head of one byte. */
static inline bool take_big(struct input *in, size_t size, uint64_t *number) {
    if (!has(in, 1 + size)) {
        return false;
    }
    const uint8_t *at = in->at + 1;
    *number = size == 8 ? big64(at) : size == 4 ? big32(at) : size == 2 ? big16(at) : *at;
    if (*number > INT64_MAX) {
        return false;
    }
    in->at += 1 + size;
    return true;
}

/* fixint and uint8 to uint64, up to INT64_MAX. Inlined, for most have one of two sizes. */
static inline __attribute__((always_inline)) bool take_number(struct input *in, uint64_t *number) {
    if (!has(in, 1)) {
        return false;
    }
    switch (*in->at) {
    case 0xcf:
        return take_big(in, 8, number);
    case 0xce:
        return take_big(in, 4, number);
    case 0xcd:
        return take_big(in, 2, number);
    case 0xcc:
        return take_big(in, 1, number);
    default:
        if (*in->at >= 0x80) {
            return false;
        }
        *number = *in->at++;
        return true;
    }
}

/* fixstr, str8, str16. */
static inline bool take_string(struct input *in, struct kong_str *string) {
    if (!has(in, 3)) {
        if (!has(in, 1) || *in->at < 0xa0 || *in->at > 0xbf) {
            return false;
        }
    }
    uint8_t first = *in->at;
    size_t head = 1;
    size_t len = first & 0x1f;
    if (first == 0xd9) {
        head = 2;
        len = in->at[1];
    } else if (first == 0xda) {
        head = 3;
        len = (size_t)big16(in->at + 1);
    } else if (first < 0xa0 || first > 0xbf) {
        return false;
    }
    if (!has(in, head + len)) {
        return false;
    }
    *string = (struct kong_str){(const char *)in->at + head, len};
    in->at += head + len;
    return true;
}

static bool take_data(struct input *in, struct kong_value *value) {
    uint64_t number;
    struct kong_str string;
    if (!has(in, 1)) {
        return false;
    }
    switch (*in->at) {
    case 0xc0:
        *value = kong_nil();
        in->at++;
        return true;
    case 0xc2:
    case 0xc3:
        *value = kong_boolean(*in->at++ == 0xc3);
        return true;
    default:
        break;
    }
    if (take_number(in, &number)) {
        *value = kong_integer((int64_t)number);
        return true;
    }
    if (take_string(in, &string)) {
        *value = kong_bytes(string.data, string.len);
        return true;
    }
    return false;
}

static bool take_handle_event(struct input *in, struct rpc_call *call) {
    uint64_t id = 0;
    bool named = TAKE(in, "\251EventName");
    if (named && !take_string(in, &call->event)) {
        return false;
    }
    if (!TAKE(in, "\252InstanceId") || !take_number(in, &id)) {
        return false;
    }
    if (!named && (!TAKE(in, "\251EventName") || !take_string(in, &call->event))) {
        return false;
    }
    call->instance_id = (int64_t)id;
    return true;
}

static bool take_step(struct input *in, size_t pairs, struct rpc_call *call) {
    call->data = kong_nil();
    call->error = (struct kong_str){NULL, 0};
    call->data_error = CODEC_OK;
    bool early = pairs == 2 && TAKE(in, "\244Data");
    if (early && !take_data(in, &call->data)) {
        return false;
    }
    if (!TAKE(in, "\247EventId") || !take_number(in, &call->event_id)) {
        return false;
    }
    return pairs == 1 || early || (TAKE(in, "\244Data") && take_data(in, &call->data));
}

#define HANDLE_EVENT "plugin.HandleEvent"
#define STEP         "plugin.Step"

size_t msgpack_fast_call(const uint8_t *data, size_t len, size_t limit, struct rpc_call *call) {
    struct input in = {data, len == 0 ? data : data + len};
    uint64_t msgid;
    if (!TAKE(&in, "\224\000") || !take_number(&in, &msgid) || msgid > UINT32_MAX) {
        return 0;
    }
    call->sequence = (int64_t)msgid;
    call->notification = false;
    bool known = false;
    if (TAKE(&in, "\253" STEP "\221")) {
        call->command = RPC_STEP;
        call->method = (struct kong_str){STEP, sizeof STEP - 1};
        size_t pairs = TAKE(&in, "\202") ? 2 : TAKE(&in, "\201") ? 1 : 0;
        known = pairs > 0 && take_step(&in, pairs, call);
    } else if (TAKE(&in, "\262" HANDLE_EVENT "\221\202")) {
        call->command = RPC_HANDLE_EVENT;
        call->method = (struct kong_str){HANDLE_EVENT, sizeof HANDLE_EVENT - 1};
        known = take_handle_event(&in, call);
    }
    size_t total = (size_t)(in.at - data);
    return known && total <= limit ? total : 0;
}

/* --- What goes ------------------------------------------------------------------ */

/* Longest heads: of a number 9 bytes, of a string 3. */
#define NUMBER_MOST 9
#define STRING_MOST 3
#define COUNT_MOST  15

static inline bool string_fits(const struct kong_value *value) {
    return value->type == KONG_STRING && value->string.data != NULL &&
           value->string.len <= UINT16_MAX;
}

/* At least the bytes that an argument takes; 0: not one of ours. */
static size_t argument_most(const struct kong_value *value) {
    size_t most = 1;
    switch (value->type) {
    case KONG_BOOLEAN:
        return 1;
    case KONG_INTEGER:
        return value->integer >= 0 ? NUMBER_MOST : 0;
    case KONG_STRING:
        return string_fits(value) ? STRING_MOST + value->string.len : 0;
    case KONG_MAP:
        if (value->map.count > COUNT_MOST) {
            return 0;
        }
        for (size_t i = 0; i < value->map.count; i++) {
            const struct kong_pair *pair = &value->map.pairs[i];
            if (!string_fits(&pair->value) || pair->key.data == NULL ||
                pair->key.len > UINT16_MAX) {
                return 0;
            }
            most += 2 * STRING_MOST + pair->key.len + pair->value.string.len;
        }
        return most;
    default:
        return 0;
    }
}

static inline uint8_t *put(uint8_t *at, const void *bytes, size_t size) {
    memcpy(at, bytes, size);
    return at + size;
}

#define PUT(at, literal) put(at, literal, sizeof(literal) - 1)

/* A head and the big-endian number behind it. */
static inline uint8_t *put_8(uint8_t *at, uint8_t first, uint8_t value) {
    at[0] = first;
    at[1] = value;
    return at + 2;
}

static inline uint8_t *put_16(uint8_t *at, uint8_t first, uint16_t value) {
    uint16_t big = htobe16(value);
    *at = first;
    return put(at + 1, &big, sizeof big);
}

static inline uint8_t *put_32(uint8_t *at, uint8_t first, uint32_t value) {
    uint32_t big = htobe32(value);
    *at = first;
    return put(at + 1, &big, sizeof big);
}

static inline uint8_t *put_64(uint8_t *at, uint8_t first, uint64_t value) {
    uint64_t big = htobe64(value);
    *at = first;
    return put(at + 1, &big, sizeof big);
}

/* As short as it goes. The longest first, for that is an event's id. */
static inline uint8_t *put_number(uint8_t *at, uint64_t value) {
    if (value > UINT32_MAX) {
        return put_64(at, 0xcf, value);
    }
    if (value > UINT16_MAX) {
        return put_32(at, 0xce, (uint32_t)value);
    }
    if (value > UINT8_MAX) {
        return put_16(at, 0xcd, (uint16_t)value);
    }
    if (value >= 0x80) {
        return put_8(at, 0xcc, (uint8_t)value);
    }
    *at++ = (uint8_t)value;
    return at;
}

static inline uint8_t *put_string(uint8_t *at, struct kong_str string) {
    if (string.len < 32) {
        *at++ = (uint8_t)(0xa0 | string.len);
    } else if (string.len <= UINT8_MAX) {
        at = put_8(at, 0xd9, (uint8_t)string.len);
    } else {
        at = put_16(at, 0xda, (uint16_t)string.len);
    }
    return put(at, string.data, string.len);
}

static uint8_t *put_argument(uint8_t *at, const struct kong_value *value) {
    switch (value->type) {
    case KONG_BOOLEAN:
        *at++ = value->boolean ? 0xc3 : 0xc2;
        return at;
    case KONG_INTEGER:
        return put_number(at, (uint64_t)value->integer);
    case KONG_STRING:
        return put_string(at, value->string);
    default:
        *at++ = (uint8_t)(0x80 | value->map.count);
        for (size_t i = 0; i < value->map.count; i++) {
            at = put_string(at, value->map.pairs[i].key);
            at = put_string(at, value->map.pairs[i].value.string);
        }
        return at;
    }
}

static uint8_t *put_call(uint8_t *at, const struct rpc_reply *reply) {
    at = PUT(at, "\202\246Method");
    at = put_string(at, reply->method);
    at = PUT(at, "\244Args");
    *at++ = (uint8_t)(0x90 | reply->arg_count);
    for (size_t i = 0; i < reply->arg_count; i++) {
        at = put_argument(at, &reply->args[i]);
    }
    return at;
}

/* What a reply takes at most; 0: not one of ours. */
static size_t reply_most(const struct rpc_reply *reply) {
    size_t most = 64; /* heads, keys, msgid and event id */
    if (reply->sequence < 0 || reply->sequence > UINT32_MAX) {
        return 0;
    }
    if (reply->kind == RPC_REPLY_RETURN) {
        return most;
    }
    if (reply->kind != RPC_REPLY_PDK_CALL || reply->arg_count > COUNT_MOST ||
        reply->method.data == NULL || reply->method.len > UINT16_MAX) {
        return 0;
    }
    most += reply->method.len;
    for (size_t i = 0; i < reply->arg_count; i++) {
        size_t argument = argument_most(&reply->args[i]);
        if (argument == 0) {
            return 0;
        }
        most += argument;
    }
    return most;
}

bool msgpack_fast_reply(struct buffer *out, const struct rpc_reply *reply) {
    size_t most = reply_most(reply);
    if (most == 0 || out->failed) {
        return false;
    }
    if (!buffer_reserve(out, most)) {
        buffer_truncate(out, out->len); /* there may be room for the bytes it really needs */
        return false;
    }
    uint8_t *start = out->data + out->len;
    uint8_t *at = PUT(start, "\224\001");
    at = put_number(at, (uint64_t)reply->sequence);
    at = PUT(at, "\300\202\244Data");
    at = reply->kind == RPC_REPLY_RETURN ? PUT(at, "\243ret") : put_call(at, reply);
    at = PUT(at, "\247EventId");
    at = put_number(at, reply->event_id);
    out->len += (size_t)(at - start);
    return true;
}
