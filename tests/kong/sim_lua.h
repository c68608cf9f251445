/* What Kong's Lua makes of values on their way between the PDK and the wire: the losses and
 * repairs of kong/runloop/plugin_servers/rpc/mp_rpc.lua and pb_rpc.lua, as seen in the traces. */
#ifndef SIM_LUA_H
#define SIM_LUA_H

#include "arena.h"
#include "pdk_methods.h"

/* Arguments that came by ProtoBuf:1. Inside a google.protobuf.Value, false and null arrive as nil,
 * an empty list as an empty table. A message has the defaults of its fields. False when out of
 * memory. */
bool lua_from_protobuf(struct arena *arena, const struct pdk_method *method,
                       const struct kong_value *args, size_t count, struct kong_value *out);

/* A result on its way to ProtoBuf:1, in the shape that sim_protobuf_encode_result takes. An empty
 * table is a struct; a list ends at its first nil; of an entity only what its message has is left.
 * error: the text of SIM_FAILED, or {NULL, 0}. False when out of memory. */
bool lua_to_protobuf(struct arena *arena, const struct pdk_method *method, struct kong_str error,
                     const struct kong_value *result, struct kong_value *out);

/* A result on its way to MsgPack:1. Tables of get_headers and get_query have lists of strings for
 * values, an empty list for true; elsewhere an empty table is an empty array. *binary: it goes as
 * bin, not str. 0; -1 when out of memory; 1 when Lua raises an error: a raw body that is not there.
 */
int lua_to_msgpack(struct arena *arena, struct kong_str method, const struct kong_value *result,
                   struct kong_value *out, bool *binary);

/* Whether Kong 2.8.5 raises where it packs this result: on ProtoBuf:1 a header or an argument that
 * repeats, on MsgPack:1 a null from a JSON body. */
bool lua_2_8_raises(const struct pdk_method *method, bool protobuf,
                    const struct kong_value *result);

/* "plugin.StepRoute" for "kong.router.get_route", "plugin.Step" for most. Static. */
const char *lua_step_method(struct kong_str method);

#endif
