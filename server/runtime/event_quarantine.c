/* Events whose handler crashed the server process lately: whether they may run. */
#include "events_table.h"

static uint64_t now_ms(void) {
    return stats_clock() / 1000000;
}

static void refuse(struct event *event, struct kong_str why) {
    event->refused = true;
    event->rc = event_fail(event, KONG_E_FAILED, why);
}

void event_judge(struct event *event) {
    struct quarantine *quarantine = &event->events->options.running->quarantine;
    struct quarantine_handler *handler;
    switch (quarantine_judge(quarantine, event->instance->identity, (int32_t)event->phase, now_ms(),
                             &handler)) {
    case QUARANTINE_FREE:
        break;
    case QUARANTINE_WATCH:
        event->watched = handler;
        break;
    case QUARANTINE_REFUSE:
        refuse(event, kong_str("this handler has crashed the server process again and again with "
                               "this configuration: it does not run for a while"));
        break;
    }
}

/* Kong's id of the request. False: Kong is gone, or the event's time is up; rc says which. Where
 * Kong has no id, there is none. */
static bool ask_request(struct event *event) {
    const struct pdk_method *get_var = &pdk_methods[PDK_NGINX_GET_VAR];
    struct kong_value name = kong_string("request_id");
    int rc = event_call(event, get_var, get_var->name, &name, 1, NULL);
    int over = event_call_error(event);
    if (over != 0) {
        event->rc = event_fail(event, over, (struct kong_str){NULL, 0});
        return false;
    }
    event->watched_request = rc == 0 ? event->request_id : NULL;
    return true;
}

bool event_admit(struct event *event) {
    const struct quarantine *quarantine = &event->events->options.running->quarantine;
    if (!ask_request(event)) {
        return false;
    }
    if (event->watched_request == NULL) {
        return true;
    }
    if (quarantine_has_request(quarantine, event->watched, event->watched_request, now_ms())) {
        refuse(event,
               kong_str("this request has crashed the server process: it does not run again"));
        return false;
    }
    running_note_request(event->events->running, event->watched_request);
    return true;
}

struct running_slot *event_enter_blocking(const struct event *event) {
    struct running *running = event->events->options.running;
    struct running_slot *slot =
        running == NULL ? NULL
                        : running_take(running, event->instance->id, (int32_t)event->phase,
                                       event->instance->identity, event->watched_request);
    running_set_here(slot);
    return slot;
}

void event_leave_blocking(struct running_slot *slot) {
    running_set_here(NULL);
    if (slot != NULL) {
        running_leave(slot);
    }
}
