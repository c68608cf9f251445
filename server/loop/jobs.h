/* The background jobs of all plugins: when they run. All are runs of the first worker's events, on
 * its loop and thread (event_job.h). */
#ifndef SERVER_JOBS_H
#define SERVER_JOBS_H

#include <uv.h>

#include "event_job.h"

struct jobs;

/* One run more, which somebody waits for. Owned by whoever embeds it. */
struct job_request {
    struct job_request *next;
    /* That run is over: rc is what it returned; not 0: `error` says why. On the loop's thread. */
    void (*done)(struct job_request *request, int rc, const char *error);
};

/* Those of the plugins of the events, on this loop (both borrowed): starts them as soon as it runs.
 * *out is NULL where no plugin has any. 0, or a negative uv error. */
int jobs_open(struct events *events, uv_loop_t *loop, struct jobs **out);

/* Runs the job of this index (of kong_plugin.jobs) now, or behind the run that is under way. On the
 * loop's thread, before jobs_finish. */
void jobs_run(struct jobs *jobs, size_t index, struct job_request *request);

/* No event will come any more: each runs once more, behind the run that is under way. On the loop's
 * thread, once. For NULL nothing, here and below. */
void jobs_finish(struct jobs *jobs);

/* From any thread: that is done, or there are none. */
bool jobs_finished(const struct jobs *jobs);

/* None starts any more; the loop runs out of its handles. On the loop's thread, once. What is under
 * way ends as other events do. */
void jobs_close(struct jobs *jobs);

/* The loop has run out, and nothing is under way (asserted). */
void jobs_destroy(struct jobs *jobs);

#endif
