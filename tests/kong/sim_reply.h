/* Kong's side of all answers: the names and the info of plugins, which no program of the server
 * asks for, and all others as the codecs decode them. */
#ifndef TESTS_KONG_SIM_REPLY_H
#define TESTS_KONG_SIM_REPLY_H

#include "rpc_message.h"

/* As msgpack_decode_reply and protobuf_decode_reply, with the kinds NAMES and INFO; names and
 * info.phases are in the arena. */
int sim_msgpack_decode_reply(struct arena *arena, const uint8_t *data, size_t len,
                             enum rpc_command asked, struct rpc_reply *reply);
int sim_protobuf_decode_reply(struct arena *arena, const uint8_t *data, size_t len,
                              struct rpc_reply *reply);

#endif
