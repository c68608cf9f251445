/* Getters that are asked for before the handler does, on ProtoBuf:1: their frames leave in one
 * write, and a handler with ten getters waits once. Kong carries them out in order and answers each
 * (seen on 3.9.1 and 2.8.5). An answer waits in the event (answers.h) for the handler to ask; one
 * that it never asks for is dropped with the event, or as it comes.
 *
 * Declared: what kong_plugin.prefetch names, at the start of each event. Learned: what nearly all
 * events of a phase ask for that ask for anything, before something was called that could change
 * it. It is sent with the first of them, so that an event that asks for none costs nothing. Only
 * getters that are PDK_SAFE are learned. */
#ifndef SERVER_PREFETCH_H
#define SERVER_PREFETCH_H

#include "prefetch_mode.h"
#include "rpc.h"

/* Of one phase, that many. */
#define PREFETCH_MOST KONG_PREFETCH_MOST

struct prefetch;

/* What a plugin declares is good: it calls getters that Kong allows in the phase, with arguments
 * that they take. 0, or -1 with `error`: Kong 2.8 (old) or 3.9 would raise. */
int prefetch_check(const struct kong_plugin *plugin, bool old, char *error, size_t error_size);

/* One loop's. The plugins have been checked. *prefetch is NULL when it is off. False: no memory. */
bool prefetch_create(const struct plugins *plugins, enum prefetch_mode mode, bool old,
                     struct prefetch **prefetch);
void prefetch_destroy(struct prefetch *prefetch); /* NULL is allowed */

/* Whether any of the plugins does. */
bool prefetch_declares(const struct prefetch *prefetch);

/* An event begins: puts the frames of what is declared into rpc->out. */
void prefetch_declared(struct prefetch *prefetch, struct rpc *rpc, struct event *event);

/* The handler asks for something: the frames of what is learned, if this is among it. True: it is
 * asked for, and event->awaited says which answer it is. */
bool prefetch_learned(struct prefetch *prefetch, struct rpc *rpc, struct event *event,
                      const struct pdk_method *method, const struct kong_value *args, size_t count);

/* An event is over that has asked for something. Those that ask for nothing are not counted: for
 * them nothing is sent either. */
__attribute__((noinline)) void prefetch_learn(struct prefetch *prefetch, const struct event *event);

#endif
