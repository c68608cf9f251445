/* A plugin's configuration, declared once: kong.h includes this. Placeholder contract, completed by
 * the schema module. */
#ifndef KONG_SCHEMA_H
#define KONG_SCHEMA_H

#include "kong_value.h"

struct kong_schema;

#endif
