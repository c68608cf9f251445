/* The last words of a process that dies of a fault (SIGSEGV, SIGBUS): which handler was running,
 * and whether it ran out of its stack. Then it dies of the signal all the same, so that a core is
 * written and whoever waits for it sees why. */
#ifndef SERVER_CRASH_H
#define SERVER_CRASH_H

#include "event.h"

/* Speaks on stderr: "api-version[123]: stack overflow in a handler of phase access, instance 17".
 * One server of a process can have this, and must take it back before `events` and `plugin` go. The
 * handler runs on a stack of its own, on the calling thread. */
void crash_watch(struct events *events, const char *plugin);
void crash_forget(void);

#endif
