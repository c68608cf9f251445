/* Inside of sim_client.h; only for sim_client.c and the two protocols' files. */
#ifndef SIM_CLIENT_INSIDE_H
#define SIM_CLIENT_INSIDE_H

#include "sim_client.h"
#include "sim_wire.h"

#define SIM_POOL 64

struct sim_client {
    struct sim_client_options options;
    struct sim_behaviour behaviour;
    struct sim_client_counts counts;
    struct wire
        pool[SIM_POOL]; /* open ones first, in use or not: a client does one thing at a time */
    size_t open;
    size_t next;        /* MsgPack: round robin */
    int64_t sequence;   /* Kong counts per worker and plugin, not per connection */
    struct arena arena; /* of the command or event under way */
    unsigned countdown;
    char text[512];
};

/* A connection of the pool, or a new one. NULL: none can be had. */
struct wire *client_wire(struct sim_client *client);
/* Closes it and takes it out of the pool. */
void client_forget(struct sim_client *client, struct wire *wire);

void client_text(struct sim_client *client, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* What a status of the connection means for the event; fills the text. */
enum sim_event_outcome client_wire_outcome(struct sim_client *client, const struct wire *wire,
                                           enum wire_status status);

/* Whether Kong takes a text for "start the instance again": any case. */
bool client_no_instance(struct kong_str text);

/* The two protocols. */
enum sim_event_outcome protobuf_command(struct sim_client *client, struct rpc_call *call,
                                        struct arena *arena, struct rpc_reply *reply);
enum sim_event_outcome protobuf_event(struct sim_client *client, struct rpc_call *call,
                                      struct sim_event *result);
enum sim_event_outcome msgpack_command(struct sim_client *client, struct rpc_call *call,
                                       struct arena *arena, struct rpc_reply *reply);
enum sim_event_outcome msgpack_event(struct sim_client *client, struct rpc_call *call,
                                     struct sim_event *result);

#endif
