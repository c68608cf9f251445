/* The last words of a process that dies of a fault (SIGSEGV, SIGBUS): which handler was running,
 * and whether it ran out of its stack. Then it dies of the signal all the same, so that a core is
 * written and whoever waits for it sees why. */
#ifndef SERVER_CRASH_H
#define SERVER_CRASH_H

#include "event.h"

/* Speaks on stderr: "api-version[123]: stack overflow in a handler of phase access, instance 17".
 * One server of a process can have this, and must take it back before `plugin` and `running` go.
 * What faults is told in running->overflow and ->fault, too. */
void crash_watch(const char *plugin, struct running *running);
void crash_forget(void);

/* The calling thread runs handlers, of these events, until it leaves, which it does before the
 * events go. What must be said is said on a stack of its own. Without memory for that a fault is
 * reported as long as there is room left on the stack at hand. */
void crash_enter(struct events *events);
void crash_leave(void);

#endif
