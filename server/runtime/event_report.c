#include "event_report.h"

#include <stdio.h>

#include "printable.h"

#define TEXT(text)                                                                                 \
    { text, sizeof(text) - 1 }

static const struct kong_pair content_type = {
    TEXT("Content-Type"), {KONG_STRING, .string = TEXT("application/json; charset=utf-8")}};
const struct kong_value event_exit_args[EVENT_EXIT_ARGS] = {
    {KONG_INTEGER, .integer = 500},
    {KONG_STRING, .string = TEXT(EVENT_FAILED_BODY)},
    {KONG_MAP, .map = {&content_type, 1}},
};

static void post_line(struct event *event, struct kong_str line) {
    const struct pdk_method *err = &pdk_methods[PDK_LOG_ERR];
    char text[PRINTABLE_KONG_LINE];
    if (line.data != NULL) {
        size_t len = printable_copy(text, sizeof text, line.data, line.len);
        struct kong_value arg = kong_bytes(text, len);
        event_call(event, err, err->name, &arg, 1, NULL);
    }
}

/* "(service 4a8e…, name mine; 17 times since this was last logged)", or nothing. */
static const char *aside(struct event *event, uint64_t times) {
    char scope[300];
    char count[80] = "";
    const struct scope *of = &event->instance->scope;
    scope_describe(of, scope, sizeof scope);
    bool named = strcmp(scope, "global") != 0;
    if (times > 1) {
        snprintf(count, sizeof count, "%s%llu times since this was last logged", named ? "; " : "",
                 (unsigned long long)times);
    }
    if (!named && times <= 1) {
        return "";
    }
    const char *text = arena_printf(&event->arena, " (%s%s)", named ? scope : "", count).data;
    return text != NULL ? text : "";
}

/* Its text, or what its code means. -1 and -2 did not come from a call: those are not reported. */
static const char *text_of(struct event *event) {
    const char *text = NULL;
    if (event->rc == event->error_rc && event->error.data != NULL) {
        return event->error.data;
    }
    if (event->rc == KONG_E_GONE || event->rc == KONG_E_ENDED) {
        text = arena_printf(&event->arena, "the handler returned %d", event->rc).data;
    }
    return text != NULL ? text : kong_strerror(event->rc);
}

/* Logs an instance's first failure, and then at most one per minute: here, and in Kong's log. A
 * request that is refused because of a crash is always logged. */
static void log_failure(struct event *event) {
    const struct kong_plugin *plugin = event->plugin->what;
    const char *text = text_of(event);
    uint64_t times = 1;
    bool due = registry_failed(events_options(event->events)->registry, event->instance, clock_ns(),
                               &times);
    bool request_refused = event->refused && event->watched != NULL;
    bool each = events_options(event->events)->log_each_failure;
    if (!due && !request_refused && !each) {
        return;
    }
    struct kong_str line = arena_printf(
        &event->arena, "%s: %s %s: %s%s", plugin->name,
        event->instance->failure != NULL ? "configuration" : kong_phase_name(event->phase),
        event->refused ? "refused"
        : event->ended ? "failed after its exit"
                       : "failed",
        text, aside(event, each ? 1 : times));
    log_write_for(events_options(event->events)->log, plugin->name, LOG_LEVEL_ERROR,
                  event->request_id, "instance %d: %s", event->instance->id,
                  line.data != NULL ? line.data + strlen(plugin->name) + 2 : text);
    if (event->peer != NULL && !event->ended) {
        post_line(event, line);
    }
}

void event_post_notices(struct event *event) {
    if (event->job != NULL) {
        return; /* it has no request to travel with */
    }
    struct notices *notices = events_notices(event->events);
    char line[NOTICE_SIZE];
    for (size_t i = 0; i < NOTICES_MOST && notices_take(notices, line); i++) {
        post_line(event, kong_str(line));
    }
}

void event_report_failure(struct event *event) {
    const struct pdk_method *exit = &pdk_methods[PDK_RESPONSE_EXIT];
    struct stats_phase *stats = &event->stats->phases[event->phase];
    stats_count(event->refused ? &stats->refused : &stats->failed, 1);
    int cancelled = event->cancelled;
    event->cancelled = 0;
    log_failure(event);
    if (event->peer != NULL && !event->ended &&
        event_fails_closed(event->plugin->what, event->phase)) {
        event_call(event, exit, exit->name, event_exit_args, EVENT_EXIT_ARGS, NULL);
    }
    event->cancelled = cancelled;
}

void notice_restart(struct notices *notices, const struct plugins *plugins,
                    const struct running *running) {
    uint32_t restarts = atomic_load(&running->restarts);
    int32_t phase = atomic_load(&running->died_phase);
    const char *plugin = plugins->name;
    char how[32] = "exited";
    char doing[64] = "between two handlers";
    if (restarts == 0) {
        return;
    }
    if (atomic_load(&running->died_signal) != 0) {
        snprintf(how, sizeof how, "died of signal %d", (int)atomic_load(&running->died_signal));
    }
    if (running_is_phase(phase)) {
        const char *of = phase == QUARANTINE_JOB ? " " : " of instance ";
        plugin = plugins_name_of(plugins, atomic_load(&running->died_plugin));
        snprintf(doing, sizeof doing, "in %s", running_name_of(phase));
        if (phase != QUARANTINE_CONFIGURE) { /* its instance has no id yet */
            snprintf(doing, sizeof doing, "in %s%s%d", running_name_of(phase), of,
                     (int)atomic_load(&running->died_instance));
        }
    }
    notices_add(notices,
                "%s: the plugin server's process %s %s and was started again (%u times so far)",
                plugin, how, doing, (unsigned)restarts);
}

void notice_limits(struct notices *notices, struct limits_told *told, const char *plugin,
                   const uint64_t *limits, uint64_t now_ms) {
    if (told->at_ms != 0 && (now_ms - told->at_ms) * 1000000 < NOTICE_EVERY_NS) {
        return;
    }
    for (unsigned i = 0; i < STATS_LIMIT_COUNT; i++) {
        uint64_t times = stats_read(&limits[i]);
        if (times == told->times[i]) {
            continue;
        }
        told->times[i] = times;
        told->at_ms = now_ms;
        notices_add(notices, "%s: limit reached: %s (%llu times so far; see --status)", plugin,
                    stats_limit_name((enum stats_limit)i), (unsigned long long)times);
    }
}
