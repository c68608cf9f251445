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

/* Keeps Kong's id of the request for log lines about it, when the handler happens to ask for it.
 * The server never asks by itself: that would cost one more wait, and lines in Kong's log get the
 * id from Kong. */
static void note_request_id(struct event *event, const struct kong_value *variable,
                            const struct kong_value *answer) {
    static const char *const variables[] = {"kong_request_id", "request_id"};
    for (size_t i = 0; i < sizeof variables / sizeof *variables; i++) {
        if (variable->type == KONG_STRING && answer->type == KONG_STRING &&
            answer->string.len > 0 && kong_str_equal(variable->string, kong_str(variables[i]))) {
            event->request_id = answer->string.data;
        }
    }
}

/* Each codec has its own error for a value that nests too deep; the author gets the same error from
 * both. */
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

/* Parks the handler until Kong has answered. */
static int wait_for_answer(struct event *event, const struct pdk_method *method) {
    event->waits_for = method;
    event->posted = NULL; /* it leaves meanwhile */
    event_set_state(event, EVENT_WAITING);
    event->fiber = fiber_current(event->events->fibers[event->plugin->index]);
    uint64_t begin = clock_ns();
    fiber_park(event->fiber);
    if (event->cancelled == 0 && method != NULL) {
        stats_add(&event->stats->calls[method->id], clock_ns() - begin);
    }
    return event->answer_rc;
}

/* The answer has come. */
static void keep(struct event *event, struct answer *answer, const struct kong_value *value) {
    if (answer != NULL) {
        bool once = (answer->method->reads & PDK_OF_MOMENT) != 0;
        answer->state = once ? ANSWER_STALE : ANSWER_HERE;
        answer->value = *value;
        answer->early = answer->early ||
                        (!answer->used && (answer->method->reads & event->answers.changed) == 0);
        answer->used = true;
    }
}

/* An answer that is here: asked for ahead, or had before. */
static void use_answer(struct event *event, struct answer *answer, struct kong_value *result) {
    struct stats *stats = event->events->options.stats;
    if (answer->used) {
        stats_count(&stats->answers_kept, 1);
    } else {
        stats_count(&stats->prefetch_used, 1);
        stats_add(&event->stats->calls[answer->method->id], 0);
    }
    *result = answer->value;
    keep(event, answer, &answer->value);
}

/* A getter: its answer is here, on its way, or asked for now. */
static int get(struct event *event, const struct pdk_method *method, const struct kong_value *args,
               size_t count, struct kong_value *result) {
    struct answers *answers = &event->answers;
    struct answer *answer = answers_find(answers, method, args, count);
    if (answer != NULL && answer->state == ANSWER_HERE) {
        use_answer(event, answer, result);
        return KONG_OK;
    }
    if (answer != NULL) {
        event->awaited = answer->due;
    } else {
        int rc = event->ops->call(event, method, &method->name, args, count, true);
        if (rc != 0) {
            return not_sent(event, method->name, args, count, rc);
        }
        if (event->cancelled != 0) { /* the peer went away while the call was written to it */
            return event_fail(event, event->cancelled, (struct kong_str){NULL, 0});
        }
        if (event->asked_ahead) { /* perhaps just now, and this one with others */
            answer = answers_find(answers, method, args, count);
        }
    }
    bool ahead = answer != NULL;
    int rc = wait_for_answer(event, method);
    if (rc != 0) {
        if (ahead) {
            answer->state = ANSWER_STALE;
        }
        return rc;
    }
    *result = event->answer;
    stats_count(&event->events->options.stats->prefetch_used, ahead);
    if (!ahead && (method->reads & PDK_OF_MOMENT) == 0) {
        answer = answers_add(answers, &event->arena, method, args, count);
    }
    keep(event, answer, result);
    return KONG_OK;
}

int event_post(struct event *event, const struct pdk_method *method, const struct kong_value *args,
               size_t count) {
    bool terminal = (method->flags & PDK_TERMINAL) != 0;
    int over = event_call_error(event);
    if (over != 0) {
        return event_fail(event, over, (struct kong_str){NULL, 0});
    }
    answers_change(&event->answers, method->changes);
    int rc = event->ops->call(event, method, &method->name, args, count, false);
    if (rc != 0) {
        return not_sent(event, method->name, args, count, rc);
    }
    event->ended = terminal;
    return KONG_OK;
}

/* A call that waits and changes something, or of which nothing is known. */
static int call(struct event *event, const struct pdk_method *method, struct kong_str name,
                const struct kong_value *args, size_t count, struct kong_value *result) {
    answers_change(&event->answers, method == NULL ? PDK_OF_ALL : method->changes);
    int rc = event->ops->call(event, method, &name, args, count, true);
    if (rc != 0) {
        return not_sent(event, name, args, count, rc);
    }
    if (event->cancelled != 0) { /* as above */
        return event_fail(event, event->cancelled, (struct kong_str){NULL, 0});
    }
    rc = wait_for_answer(event, method);
    if (rc == 0) {
        *result = event->answer;
    }
    return rc;
}

int event_call(struct event *event, const struct pdk_method *method, struct kong_str name,
               const struct kong_value *args, size_t count, struct kong_value *result) {
    struct kong_value unwanted;
    if (result == NULL) {
        result = &unwanted;
    }
    *result = kong_nil();
    if (method != NULL && (method->flags & (PDK_POSTED | PDK_TERMINAL)) != 0) {
        return event_post(event, method, args, count);
    }
    int over = event_call_error(event);
    if (over != 0) {
        return event_fail(event, over, (struct kong_str){NULL, 0});
    }
    if (method == NULL || method->reads == 0) {
        return call(event, method, name, args, count, result);
    }
    int rc = get(event, method, args, count, result);
    if (rc == 0 && method == &pdk_methods[PDK_NGINX_GET_VAR] && count > 0) {
        note_request_id(event, &args[0], result);
    }
    return rc;
}

void event_at_end(struct event *event, struct event_cleanup *cleanup) {
    cleanup->next = event->cleanups;
    event->cleanups = cleanup;
}

void event_sleep(struct event *event, void (*interrupt)(void *), void *arg) {
    event_set_state(event, EVENT_SLEEPING);
    event->posted = NULL; /* as above */
    event->interrupt = interrupt;
    event->interrupt_arg = arg;
    event->fiber = fiber_current(event->events->fibers[event->plugin->index]);
    fiber_park(event->fiber);
}
