/* What a backend gives to fiber.c: the bare change of stacks. Private to server/fiber*.c. */
#ifndef SERVER_FIBER_SWITCH_H
#define SERVER_FIBER_SWITCH_H

#include <stddef.h>

typedef void fiber_entry(void *arg);

/* One flow of control while it does not run. All fields are the backend's. */
struct fiber_context {
    void *at; /* where it goes on, on its own stack */
    fiber_entry *entry;
    void *arg;
};

/* Makes *context a flow that starts as entry(arg) on the stack [low, low + size) when it is first
 * switched to. entry must not return. *context must not move as long as the flow lives. The backend
 * may keep a few KiB of its own at the top of the stack. */
void fiber_context_make(struct fiber_context *context, void *low, size_t size, fiber_entry *entry,
                        void *arg);

/* Stores the running flow in *from, goes on with *to. Returns when somebody switches to *from. */
void fiber_context_switch(struct fiber_context *from, struct fiber_context *to);

#endif
