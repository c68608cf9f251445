/* Numbers that tell configurations, paths and processes apart. */
#ifndef SERVER_IDENTITY_H
#define SERVER_IDENTITY_H

#include <stdint.h>

#include "kong_value.h"

/* FNV-1a of more bytes; `hash` is that of those before them, IDENTITY_NOTHING at first. */
#define IDENTITY_NOTHING 14695981039346656037u
uint64_t identity_hash(uint64_t hash, const void *bytes, size_t len);

/* Not for secrets. Never waits: early at boot the clock and the process id make it. */
uint32_t identity_random(void);

/* Which configuration it is, across instances and server processes. From the JSON text that Kong
 * starts an instance with. Kong writes the same text for the same configuration, but for "__seq__",
 * which each load of its configurations counts up: that number is left out. A 64-bit hash (FNV-1a):
 * no two configurations of a Kong are expected to share one. */
uint64_t config_identity(struct kong_str config);

#endif
