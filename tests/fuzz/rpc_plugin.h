/* A plugin whose configuration says what its handlers do: {"script": "…"}, two hexadecimal digits
 * an action. Below PDK_COUNT: that PDK method, by its name. From SCRIPT_TYPED on: typed functions,
 * see rpc_plugin.c. What Kong answers is read to its last byte. */
#ifndef TESTS_FUZZ_RPC_PLUGIN_H
#define TESTS_FUZZ_RPC_PLUGIN_H

#include "event.h"

enum {
    SCRIPT_TYPED = 0x80,
    SCRIPT_SLEEP = 0xf0,
    SCRIPT_UNKNOWN, /* a function that is in no table */
    SCRIPT_LARGE,   /* posts 40 KB */
    SCRIPT_LOOPLESS,
    SCRIPT_FAIL = 0xff, /* the handler returns an error */
};

/* A handler that sleeps; on its stack. */
struct nap {
    struct event *event;
    struct nap *next;
    bool due; /* its event was cancelled: to be woken soon */
};

/* What handlers leave behind; the plugin's process data. */
struct script_state {
    struct nap *naps;
    unsigned started, returned, configured, destroyed;
};

extern const struct kong_plugin script_open_plugin;   /* fails open; its name is "script" */
extern const struct kong_plugin script_closed_plugin; /* the same, fails closed */

/* Wakes the sleeper that came last, or all that are due. False when there was none. */
bool script_wake(struct script_state *state);
void script_wake_due(struct script_state *state);

#endif
