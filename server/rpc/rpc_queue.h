/* MsgPack:1: the PDK calls of an event that wait for Kong's Steps. Each Step takes one of them. */
#ifndef SERVER_RPC_QUEUE_H
#define SERVER_RPC_QUEUE_H

#include "event.h"

/* Neighbouring header calls as one: the map that set_headers carries. */
struct merged_headers {
    struct kong_value map;
    size_t room;
    struct kong_pair headers[]; /* the map's */
};

/* A PDK call on its way to Kong. In the event's arena. */
struct queued_call {
    struct queued_call *next;
    const struct pdk_method *method; /* NULL: outside the table */
    struct kong_str name;            /* merged: of set_headers */
    const struct kong_value *args;   /* its own copies; merged: the map */
    size_t count;
    struct merged_headers *merged; /* NULL: nothing was */
    struct kong_value copies[];
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
