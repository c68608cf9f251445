#include "jobs.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

struct job {
    struct jobs *all;
    const struct kong_job *what;
    struct stats_job *stats;
    struct instance as;
    struct event_cleanup ended;
    uv_timer_t timer;
    uint64_t began_ns;
    bool running;
    bool last; /* the run that is under way, or was, is the one of jobs_finish */
    struct recurrence failures;
    struct job_request *wanted; /* the runs that are asked for: the oldest first */
    struct job_request *asked;  /* for the run that is under way; NULL: its time had come */
};

struct jobs {
    struct events *events;
    uv_loop_t *loop;
    size_t count;
    bool finishing, closed;
    _Atomic size_t to_finish; /* jobs whose last run is not done */
    struct job each[];
};

static void set(uint64_t *figure, uint64_t value) {
    __atomic_store_n(figure, value, __ATOMIC_RELAXED);
}

/* The first time, then once a minute: in the server's log, and in Kong's with the next event. */
static void note_failure(struct job *job, const char *text) {
    struct events *events = job->all->events;
    char count[64] = "";
    uint64_t times;
    stats_count(&job->stats->failures, 1);
    if (!recurrence_due(&job->failures, clock_ns(), NOTICE_EVERY_NS, &times)) {
        return;
    }
    if (times > 1) {
        snprintf(count, sizeof count, " (%llu times since this was last logged)",
                 (unsigned long long)times);
    }
    const char *plugin = job->as.plugin->what->name;
    log_write_for(events_options(events)->log, plugin, LOG_LEVEL_ERROR, NULL, "job %s failed: %s%s",
                  job->what->name, text, count);
    notices_add(events_notices(events), "%s: job %s failed: %s%s", plugin, job->what->name, text,
                count);
}

static void start(struct job *job);

/* What jobs_finish waits for: one more run behind the one that was under way. */
static void go_on_finishing(struct job *job) {
    if (!job->all->finishing || job->all->closed) {
        return;
    }
    if (!job->last) {
        job->last = true;
        start(job);
    } else {
        atomic_fetch_sub(&job->all->to_finish, 1);
    }
}

static void answer(struct job *job, int rc, const char *error) {
    struct job_request *request = job->asked;
    job->asked = NULL;
    if (request != NULL) {
        request->done(request, rc, error);
    }
}

/* After a run: what is asked for. */
static void start_wanted(struct job *job) {
    while (job->wanted != NULL && !job->running) {
        job->asked = job->wanted;
        job->wanted = job->asked->next;
        if (job->all->closed) {
            answer(job, KONG_E_GONE, "the server ends");
        } else {
            start(job);
        }
    }
}

static void on_ended(struct event_cleanup *cleanup, struct event *event) {
    struct job *job = (struct job *)((char *)cleanup - offsetof(struct job, ended));
    uint64_t took_ns = clock_ns() - job->began_ns;
    set(&job->stats->last_ns, took_ns);
    set(&job->stats->longest_ns,
        took_ns > job->stats->longest_ns ? took_ns : job->stats->longest_ns);
    set(&job->stats->running, 0);
    bool known = event->rc == event->error_rc && event->error.data != NULL;
    const char *text = known ? event->error.data : kong_strerror(event->rc);
    if (event->rc != 0 && event->cancelled != KONG_E_GONE) {
        note_failure(job, text);
    }
    job->running = false;
    answer(job, event->rc, text);
    start_wanted(job);
    go_on_finishing(job);
}

static void start(struct job *job) {
    job->running = true;
    job->began_ns = clock_ns();
    job->ended.run = on_ended;
    set(&job->stats->running, 1);
    set(&job->stats->last_run_ms, (uint64_t)(clock_epoch() * 1e3));
    stats_count(&job->stats->runs, 1);
    const char *refusal =
        event_start_job(job->all->events, job->what, &job->as, &job->ended, uv_now(job->all->loop));
    if (refusal != NULL) {
        job->running = false;
        set(&job->stats->running, 0);
        note_failure(job, refusal);
        answer(job, KONG_E_FAILED, refusal);
        go_on_finishing(job);
    }
}

static void on_due(uv_timer_t *timer) {
    struct job *job = timer->data;
    if (!job->running) {
        start(job);
    }
}

void jobs_run(struct jobs *jobs, size_t index, struct job_request *request) {
    struct job *job = &jobs->each[index];
    struct job_request **last = &job->wanted;
    while (*last != NULL) {
        last = &(*last)->next;
    }
    request->next = NULL;
    *last = request;
    start_wanted(job);
}

/* One more, from the plugin's table. 0, or a negative uv error. */
static int open_job(struct jobs *jobs, struct plugin *plugin, size_t index) {
    struct job *job = &jobs->each[jobs->count];
    int rc = uv_timer_init(jobs->loop, &job->timer);
    if (rc != 0) {
        return rc;
    }
    job->all = jobs;
    job->what = &plugin->what->jobs[index];
    job->stats = &plugin->jobs[index];
    event_job_init(plugin, &job->as, index);
    job->timer.data = job;
    jobs->to_finish = ++jobs->count;
    return uv_timer_start(&job->timer, on_due, 0, job->what->interval_ms);
}

static size_t count_jobs(const struct kong_plugin *plugin) {
    size_t count = 0;
    while (count < KONG_JOBS_MOST && plugin->jobs[count].name != NULL) {
        count++;
    }
    return count;
}

int jobs_open(struct events *events, uv_loop_t *loop, struct jobs **out) {
    const struct plugins *plugins = events_options(events)->plugins;
    size_t count = 0;
    *out = NULL;
    for (size_t i = 0; i < plugins->count; i++) {
        count += count_jobs(plugins->list[i].what);
    }
    if (count == 0) {
        return 0;
    }
    struct jobs *jobs = calloc(1, sizeof *jobs + count * sizeof *jobs->each);
    if (jobs == NULL) {
        return UV_ENOMEM;
    }
    *out = jobs;
    jobs->events = events;
    jobs->loop = loop;
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < plugins->count; i++) {
        size_t own = count_jobs(plugins->list[i].what);
        for (size_t k = 0; rc == 0 && k < own; k++) {
            rc = open_job(jobs, &plugins->list[i], k);
        }
    }
    return rc;
}

void jobs_finish(struct jobs *jobs) {
    if (jobs == NULL || jobs->closed) {
        return;
    }
    jobs->finishing = true;
    for (size_t i = 0; i < jobs->count; i++) {
        uv_timer_stop(&jobs->each[i].timer);
        if (!jobs->each[i].running) {
            go_on_finishing(&jobs->each[i]);
        }
    }
}

bool jobs_finished(const struct jobs *jobs) {
    return jobs == NULL || atomic_load(&jobs->to_finish) == 0;
}

void jobs_close(struct jobs *jobs) {
    if (jobs == NULL) {
        return;
    }
    jobs->closed = true;
    for (size_t i = 0; i < jobs->count; i++) {
        uv_close((uv_handle_t *)&jobs->each[i].timer, NULL);
    }
}

void jobs_destroy(struct jobs *jobs) {
    for (size_t i = 0; jobs != NULL && i < jobs->count; i++) {
        assert(!jobs->each[i].running);
    }
    free(jobs);
}
