/* A program of three plugins, for tests of several in one process. */
#ifndef THREE_H
#define THREE_H

#include "kong.h"

/* In their order:
 *   three-open    priority 30, fails open. config: "word" (default "first"). access sets X-First to
 *                 it. A stack of 64 KiB.
 *   three-closed  priority 20, fails closed. No configuration. access sets X-Second to "1", for
 * each of its own events one more; with the request header X-Fail it fails. Job "count".
 *   three-rough   priority 10. config: "word" (the same as three-open's). access sets X-Third; with
 *                 the request header X-Crash it crashes. Needs MsgPack:1. Job "count".
 * What open leaves is a counter of each one's own events. */
extern const struct kong_plugin *const three_plugins[3];

#endif
