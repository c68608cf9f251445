/* Phases by their names, for whoever reads them from Kong; what plugins see is in kong_phase.h. */
#ifndef PROTO_PHASE_H
#define PROTO_PHASE_H

#include "kong_phase.h"
#include "kong_value.h"

/* The enum kong_phase of a name as kong_phase_name gives it; -1: there is none. */
int phase_by_name(struct kong_str name);

#endif
