/* The log that kong_process_log writes to. */
#ifndef SERVER_PROCESS_LOG_H
#define SERVER_PROCESS_LOG_H

#include "log.h"

/* Borrowed until it is set anew; NULL: there is none, lines go to stderr as they are. */
void process_log_set(struct log *log);

#endif
