/* Which configuration it is, across instances and server processes. */
#ifndef SERVER_IDENTITY_H
#define SERVER_IDENTITY_H

#include <stdint.h>

#include "kong_value.h"

/* From the JSON text that Kong starts an instance with. Kong writes the same text for the same
 * configuration, but for "__seq__", which each load of its configurations counts up: that number is
 * left out. A 64-bit hash (FNV-1a): no two configurations of a Kong are expected to share one. */
uint64_t config_identity(struct kong_str config);

#endif
