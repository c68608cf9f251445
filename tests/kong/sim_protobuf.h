/* Kong's side of PDK calls over ProtoBuf:1; the server's is in protobuf_rpc.h. */
#ifndef SIM_PROTOBUF_H
#define SIM_PROTOBUF_H

#include "buffer.h"
#include "pdk_methods.h"
#include "protocol.h"

/* The second frame of a call back into the Lua call's arguments: a list. */
int sim_protobuf_decode_args(struct arena *arena, const struct pdk_method *method,
                             const uint8_t *data, size_t len, struct kong_value *args);

/* Kong's answer: the shapes are those of protobuf_decode_pdk_result. Of all defaults only false is
 * written, as by Kong. */
int sim_protobuf_encode_result(struct buffer *out, const struct pdk_method *method,
                               const struct kong_value *result);

#endif
