/* Runs of a plugin's background jobs (kong_plugin.jobs): events without a request. A job's handler
 * may wait and log; a call to Kong fails with KONG_E_NO_REQUEST. */
#ifndef SERVER_EVENT_JOB_H
#define SERVER_EVENT_JOB_H

#include "event.h"

/* Makes *as what stands for an instance in runs of the plugin's job of this index: zeroed, but for
 * the plugin, `id`, from 1, and `identity`, by which a crash is known. It must outlive the runs. */
void event_job_init(struct plugin *plugin, struct instance *as, size_t index);

/* Starts a run, on a stack of its own, until it first waits or returns. *ended is run when it has
 * returned (which may be before this returns) and event->rc is its result. It has the time limit of
 * all events, and event_cancel and events_cancel_all end it as they end others. NULL; or why it
 * could not start (static): *ended is not run. */
const char *event_start_job(struct events *events, const struct kong_job *job, struct instance *as,
                            struct event_cleanup *ended, uint64_t now_ms);

/* In a job, for a function of the PDK: KONG_OK for lines of the log, KONG_E_NO_REQUEST. */
int event_check_job(struct event *event, const struct pdk_method *method);

#endif
