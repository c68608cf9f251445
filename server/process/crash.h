/* The last words of a process that dies in a handler: which one was running, and whether it ran out
 * of its stack. The process dies of its signal all the same, so that a core is written and whoever
 * waits for it sees why.
 *
 * Heard are SIGSEGV, SIGBUS, SIGFPE, SIGILL and SIGABRT, and exit() in a handler. */
#ifndef SERVER_CRASH_H
#define SERVER_CRASH_H

#include "event.h"

/* Writes to stderr: "api-version[123]: stack overflow in a handler of phase access, instance 17",
 * and tells running->overflow and running->fault. One server of a process can have this. It calls
 * crash_forget before `plugins` and `running` go. */
void crash_watch(const struct plugins *plugins, struct running *running);
void crash_forget(void);

/* The calling thread runs handlers, of these events, until it calls crash_leave; the events live
 * longer. Faults are reported from a stack of its own. Without memory for that stack they are
 * reported as long as there is room on the handler's. */
void crash_enter(struct events *events);
void crash_leave(void);

/* The calling thread is between the two. For signal handlers, too. */
bool crash_is_watched_here(void);

#endif
