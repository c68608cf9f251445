#include "event_job.h"

#include <stdio.h>

#include "events_table.h"

/* --- What a job can say: lines for the server's own log --- */

static bool level_of(const struct pdk_method *method, enum log_level *level) {
    static const struct {
        enum pdk_id id;
        enum log_level level;
    } levels[] = {
        {PDK_LOG, LOG_LEVEL_NOTICE},     {PDK_LOG_ALERT, LOG_LEVEL_ERROR},
        {PDK_LOG_CRIT, LOG_LEVEL_ERROR}, {PDK_LOG_ERR, LOG_LEVEL_ERROR},
        {PDK_LOG_WARN, LOG_LEVEL_WARN},  {PDK_LOG_NOTICE, LOG_LEVEL_NOTICE},
        {PDK_LOG_INFO, LOG_LEVEL_INFO},  {PDK_LOG_DEBUG, LOG_LEVEL_DEBUG},
    };
    for (size_t i = 0; method != NULL && i < sizeof levels / sizeof *levels; i++) {
        if (method == &pdk_methods[levels[i].id]) {
            *level = levels[i].level;
            return true;
        }
    }
    return false;
}

int event_check_job(struct event *event, const struct pdk_method *method) {
    enum log_level level;
    if (level_of(method, &level)) {
        return KONG_OK;
    }
    return event_fail(event, KONG_E_NO_REQUEST,
                      arena_printf(&event->arena, "%s: a job has no request", method->name.data));
}

static int call(struct event *event, const struct pdk_method *method, const struct kong_str *name,
                const struct kong_value *args, size_t count, bool waits) {
    enum log_level level;
    (void)name;
    (void)waits;
    if (!level_of(method, &level)) {
        return KONG_E_NO_REQUEST;
    }
    if (count > 0 && args[0].type == KONG_STRING) {
        size_t len = args[0].string.len;
        log_write_for(events_options(event->events)->log, event->plugin->what->name, level, NULL,
                      "job %s: %.*s", event->job->name, len < 4096 ? (int)len : 4096,
                      args[0].string.data);
    }
    return KONG_OK;
}

/* What a run is started with: its peer until then. */
struct job_start {
    const struct kong_job *job;
    struct event_cleanup *ended;
};

static void started(struct event *event) {
    const struct job_start *start = event->peer;
    event->job = start->job;
    event_at_end(event, start->ended);
    event->peer = event->instance; /* there is somebody to talk to: the log */
}

/* MsgPack:1 is the protocol that has every call. */
static const struct event_ops ops = {.protocol = PROTOCOL_MSGPACK,
                                     .call = call,
                                     .started = started,
                                     .conversation_end = event_release};

/* --- A run --- */

static int run_job(struct kong *kong, const void *config) {
    const struct event *event = (const struct event *)kong;
    (void)config;
    return event->job->run(kong);
}

void event_job_init(struct plugin *plugin, struct instance *as, size_t index) {
    plugin->handlers[QUARANTINE_JOB] = run_job;
    *as = (struct instance){
        .id = (int32_t)index + 1, .plugin = plugin, .identity = plugin_identity(plugin, index + 1)};
}

const char *event_start_job(struct events *events, const struct kong_job *job, struct instance *as,
                            struct event_cleanup *ended, uint64_t now_ms) {
    struct job_start start = {.job = job, .ended = ended};
    return event_start(events, as, (enum kong_phase)QUARANTINE_JOB, &ops, &start, now_ms);
}
