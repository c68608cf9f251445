/* Kong's end of one connection: what the server says must be of the protocol. */
#ifndef TESTS_FUZZ_RPC_KONG_H
#define TESTS_FUZZ_RPC_KONG_H

#include "buffer.h"
#include "frame.h"
#include "pdk_methods.h"
#include "rpc_message.h"

struct kong_end {
    enum protocol protocol;
    struct frame_reader reader;
    struct buffer in;
    struct arena arena;
    const struct pdk_method *method; /* ProtoBuf: its arguments come next */
    bool over;                       /* ProtoBuf: an error's text came: Kong would hang up */

    /* what came so far */
    size_t calls;              /* PDK calls */
    size_t header_calls;       /* of kong.request.get_header */
    size_t exits;              /* calls of kong.response.exit */
    size_t returns;            /* events that are over, and other replies */
    size_t errors;             /* error replies, error texts */
    uint64_t event_id;         /* MsgPack: of the last PDK call */
    struct rpc_reply last;     /* its strings are gone */
    struct kong_str last_name; /* of the last PDK call: static, or NULL when it is in no table */
};

void kong_end_init(struct kong_end *end);
void kong_end_free(struct kong_end *end);

/* Bytes that the server wrote. */
void kong_end_take(struct kong_end *end, enum protocol protocol, const uint8_t *data, size_t len);

#endif
