/* The server's own line about a fault in a handler, in the process of a test, whose framework hears
 * faults, too. */
#ifndef SIM_FAULT_H
#define SIM_FAULT_H

#include <stdbool.h>

/* One server of a process can have it: false when another has. Before the server is made. */
bool sim_fault_claim(void);

/* A fault of a thread that runs handlers goes to the server's report; it ends the process. All
 * others go to whoever heard them before. Behind server_create for the first time, then before each
 * event: a framework puts its own in place for each test. Does nothing where nobody has claimed. */
void sim_fault_arm(void);

/* Behind server_destroy, by the one who has it. */
void sim_fault_release(void);

#endif
