/* The handler's side of an event: its calls to Kong, and how it is parked meanwhile. */
#include "events_table.h"

#include "limit.h"
#include "value.h"

int event_fail(struct event *event, int error, struct kong_str text) {
    event->error_rc = error;
    event->error = text;
    return error;
}

int event_call_error(const struct event *event) {
    if (event->ended) {
        return KONG_E_ENDED;
    }
    if (event->cancelled != 0) {
        return event->cancelled;
    }
    return event->peer == NULL ? KONG_E_GONE : KONG_OK;
}

/* Kong's id of the request, for lines that are logged about it. It is never asked for: that would
 * be a wait more, and what goes to Kong's log gets it from Kong. */
static void note_request_id(struct event *event, const struct kong_value *variable) {
    static const char *const variables[] = {"kong_request_id", "request_id"};
    for (size_t i = 0; i < sizeof variables / sizeof *variables; i++) {
        if (variable->type == KONG_STRING && event->answer.type == KONG_STRING &&
            event->answer.string.len > 0 &&
            kong_str_equal(variable->string, kong_str(variables[i]))) {
            event->request_id = event->answer.string.data;
        }
    }
}

/* The codecs have a code of their own each for a value that nests too deep: the author gets one. */
static int not_sent(struct event *event, struct kong_str name, const struct kong_value *args,
                    size_t count, int rc) {
    struct kong_str text = {NULL, 0};
    for (size_t i = 0; i < count && text.data == NULL; i++) {
        if (value_depth(&args[i]) > LIMIT_NESTING) {
            rc = KONG_E_INVALID;
            text = arena_printf(&event->arena, "%s: a value nests deeper than %d levels; not sent",
                                name.data, LIMIT_NESTING);
        }
    }
    return event_fail(event, rc, text);
}

int event_call(struct event *event, const struct pdk_method *method, struct kong_str name,
               const struct kong_value *args, size_t count, struct kong_value *result) {
    if (result != NULL) {
        *result = kong_nil();
    }
    const struct kong_str no_text = {NULL, 0};
    int over = event_call_error(event);
    if (over != 0) {
        return event_fail(event, over, no_text);
    }
    bool terminal = method != NULL && (method->flags & PDK_TERMINAL) != 0;
    bool waits = !terminal && (method == NULL || (method->flags & PDK_POSTED) == 0);
    int rc = event->ops->call(event, method, name, args, count, waits);
    if (rc != 0) {
        return not_sent(event, name, args, count, rc);
    }
    event->ended = terminal;
    if (!waits) {
        return KONG_OK;
    }
    if (event->cancelled != 0) { /* the peer went away while the call was written to it */
        return event_fail(event, event->cancelled, no_text);
    }
    event->waits_for = method;
    event_set_state(event, EVENT_WAITING);
    event->fiber = fiber_current(event->events->fibers[event->plugin->index]);
    uint64_t begin = stats_clock();
    fiber_park(event->fiber);
    if (event->cancelled == 0 && method != NULL) {
        stats_add(&event->stats->calls[method - pdk_methods], stats_clock() - begin);
    }
    if (result != NULL && event->answer_rc == 0) {
        *result = event->answer;
    }
    if (method == &pdk_methods[PDK_NGINX_GET_VAR] && event->answer_rc == 0 && count > 0) {
        note_request_id(event, &args[0]);
    }
    return event->answer_rc;
}

void event_at_end(struct event *event, struct event_cleanup *cleanup) {
    cleanup->next = event->cleanups;
    event->cleanups = cleanup;
}

void event_sleep(struct event *event, void (*interrupt)(void *), void *arg) {
    event_set_state(event, EVENT_SLEEPING);
    event->interrupt = interrupt;
    event->interrupt_arg = arg;
    event->fiber = fiber_current(event->events->fibers[event->plugin->index]);
    fiber_park(event->fiber);
    event->interrupt = NULL;
}
