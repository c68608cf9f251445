/* Every limit of the server, in one place. What an operator can change is an option; these are its
 * defaults. A peer never decides how much memory is allocated for it. */

#ifndef PROTO_LIMIT_H
#define PROTO_LIMIT_H

#include <stdint.h>

/* A connection's first frame of ProtoBuf:1 is shorter than what the first bytes of MessagePack-RPC
 * mean when they are read as its length: frame_detect. */
#define LIMIT_FIRST_FRAME ((size_t)8 << 20)
#define LIMIT_FRAME       ((size_t)64 << 20)

/* Nesting of a value. protobuf-c unpacks by recursion: unbounded, 1,136 bytes overflow a stack of
 * 256 KiB. */
#define LIMIT_NESTING 32

/* Elements of all lists and maps in one message, together: each costs tens of bytes of memory for
 * one byte of message. */
#define LIMIT_ELEMENTS ((size_t)1 << 20)

/* The same for the JSON of an instance's configuration, keys included: jansson needs some 100 bytes
 * for each. */
#define LIMIT_CONFIG_ELEMENTS ((size_t)1 << 17)

/* Bytes of the JSON of an instance's configuration: they are read and checked in one go, on a
 * thread that serves other requests too. That takes about 30 ms per MiB. */
#define LIMIT_CONFIG ((size_t)1 << 20)

/* Memory of one event: results of its PDK calls, decoded. */
#define LIMIT_EVENT_MEMORY ((size_t)256 << 20)

/* Bytes that wait to be written to one peer. At the first limit the server stops reading from it,
 * at the second no more are taken: a handler's call fails with KONG_E_NOMEM. The server drops a
 * peer that takes none of them for as long as an event may last. */
#define LIMIT_OUT_PAUSE ((size_t)1 << 20)
#define LIMIT_OUT       ((size_t)128 << 20)

/* Memory of all connections and events together, not counting a few KiB of each. */
#define LIMIT_MEMORY ((size_t)512 << 20)

/* Calls of one event that are posted and not yet answered by Kong. */
#define LIMIT_POSTED 65536

/* Of users that may connect, --allow-uid. */
#define LIMIT_ALLOWED_UIDS 64

#define LIMIT_CONNECTIONS 16384
#define LIMIT_INSTANCES   131072
#define LIMIT_EVENTS      16384

/* The stack of a handler, unless the plugin says otherwise, and the guard below it. Both are
 * address space: memory is taken by the pages that are touched. 64 bits have room for more than
 * LIMIT_EVENTS of them, and for a guard that a large array in a plugin's handler does not step
 * over. 32 bits have room for some 2,000. */
#if UINTPTR_MAX > UINT32_MAX
#define LIMIT_STACK       ((size_t)1 << 20)
#define LIMIT_STACK_GUARD ((size_t)4 << 20)
#else
#define LIMIT_STACK       ((size_t)256 << 10)
#define LIMIT_STACK_GUARD ((size_t)1 << 20)
#endif

/* What a plugin may ask for. */
#define LIMIT_STACK_LEAST ((size_t)64 << 10)
#define LIMIT_STACK_MOST  ((size_t)64 << 20)

/* Threads for kong_run_blocking, and how long a call waits for one. */
#define LIMIT_BLOCKING_THREADS ((size_t)16)
#define LIMIT_BLOCKING_WAIT_MS 10000

/* Kong gives up on a plugin server after 60 s (cosocket time-out). */
#define LIMIT_EVENT_MS 55000

/* Idle instances are forgotten, because a worker of Kong that exits does not close its instances.
 * Kong starts an instance again when it needs it. */
#define LIMIT_INSTANCE_IDLE_MS (3600 * 1000)

#endif
