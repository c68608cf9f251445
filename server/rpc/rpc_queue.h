/* MsgPack:1: the PDK calls of an event that wait for Kong's Steps. Each Step takes one of them. */
#ifndef SERVER_RPC_QUEUE_H
#define SERVER_RPC_QUEUE_H

#include "event.h"

/* A PDK call on its way to Kong. In the event's arena. */
struct queued_call {
    struct queued_call *next;
    const struct pdk_method *method; /* NULL: outside the table */
    struct kong_str name;
    struct kong_value *args;
    size_t count;
    struct kong_pair *headers; /* merged: what set_headers will carry */
    size_t header_count;
    size_t header_room;
};

/* Adds name and value to the header call at the queue's end, where that means the same: two
 * strings, the same function, nothing in between. False: it must be a call of its own. */
bool rpc_queue_merge(struct event *event, const struct pdk_method *method,
                     const struct kong_value *args, size_t count);

/* Adds a call with copies of its arguments. KONG_OK or KONG_E_NOMEM. */
int rpc_queue_add(struct event *event, const struct pdk_method *method, struct kong_str name,
                  const struct kong_value *args, size_t count);

/* The first call, taken out; NULL: there is none. */
struct queued_call *rpc_queue_take(struct event *event);

#endif
