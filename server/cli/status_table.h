/* The status of a server as a table for people, at most 100 columns wide (the reason of a refused
 * configuration may be longer). */
#ifndef SERVER_STATUS_TABLE_H
#define SERVER_STATUS_TABLE_H

#include <stdio.h>

#include "kong_value.h"

/* `status` is a map as status.h has it, from a server that need not be one of ours: what is missing
 * or of another type counts as 0 or "", and texts are printed as printable_copy has them. */
void status_table_print(const struct kong_value *status, FILE *out);

#endif
