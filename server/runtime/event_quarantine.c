/* Events whose handler crashed the server process lately: whether they may run. */
#include "events_table.h"
#include "identity.h"

static void refuse(struct event *event, struct kong_str why) {
    event->refused = true;
    event->rc = event_fail(event, KONG_E_FAILED, why);
}

void event_refuse_instance(struct event *event) {
    const struct instance *instance = event->instance;
    event->refused = true;
    event->rc = event_fail(event, KONG_E_INVALID, kong_str(instance->failure));
    if (instance->failed_until_ms != 0 && clock_ms() >= instance->failed_until_ms) {
        registry_close(event->events->options.registry, instance->id);
    }
}

void event_judge(struct event *event) {
    struct quarantine *quarantine = &event->events->options.running->quarantine;
    struct quarantine_handler *handler;
    switch (quarantine_judge(quarantine, event->instance->identity, (int32_t)event->phase,
                             clock_ms(), &handler)) {
    case QUARANTINE_FREE:
        break;
    case QUARANTINE_WATCH:
        event->watched = handler;
        break;
    case QUARANTINE_REFUSE:
        refuse(event, kong_str(event->job != NULL
                                   ? "it has crashed the server process again and again: it does "
                                     "not run for a while"
                                   : "this handler has crashed the server process again and again "
                                     "with this configuration: it does not run for a while"));
        break;
    }
}

/* One variable of nginx: its value, data NULL where there is none. False: Kong is gone, or the
 * event's time is up; rc says which. */
static bool ask(struct event *event, const char *name, struct kong_str *value) {
    const struct pdk_method *get_var = &pdk_methods[PDK_NGINX_GET_VAR];
    struct kong_value arg = kong_string(name);
    struct kong_value answer;
    *value = (struct kong_str){NULL, 0};
    int rc = event_call(event, get_var, get_var->name, &arg, 1, &answer);
    int over = event_call_error(event);
    if (over != 0) {
        event->rc = event_fail(event, over, (struct kong_str){NULL, 0});
        return false;
    }
    if (rc == 0 && answer.type == KONG_STRING && answer.string.len > 0) {
        *value = answer.string;
    }
    return true;
}

/* What is the same each time that Kong sends the event again. Kong has an id of its own from 3.5
 * on. nginx's $request_id is another one at each look, unless Kong's configuration uses it
 * elsewhere: so the number of the connection, and of the request on it, come before it. False: as
 * `ask`. */
static bool ask_request(struct event *event) {
    static const char *const ids[][2] = {
        {"kong_request_id", NULL}, {"connection", "connection_requests"}, {"request_id", NULL}};
    for (size_t i = 0; i < sizeof ids / sizeof *ids && event->watched_request == NULL; i++) {
        struct kong_str first;
        struct kong_str second = {"", 0};
        if (!ask(event, ids[i][0], &first) ||
            (ids[i][1] != NULL && first.data != NULL && !ask(event, ids[i][1], &second))) {
            return false;
        }
        if (first.data != NULL && second.data != NULL) {
            event->watched_request = arena_printf(&event->arena, "%s%s%s", first.data,
                                                  second.len > 0 ? "/" : "", second.data)
                                         .data;
        }
    }
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
    if (quarantine_has_request(quarantine, event->watched, event->watched_request, clock_ms())) {
        refuse(event,
               kong_str("this request has crashed the server process: it does not run again"));
        return false;
    }
    running_note_request(event->events->running, event->watched_request);
    return true;
}

void events_enter_configure(struct events *events, const struct plugin *plugin,
                            struct kong_str config, struct instance_refusal *refusal) {
    uint64_t identity = plugin_identity(plugin, config_identity(config));
    struct quarantine_handler *handler;
    *refusal = (struct instance_refusal){.why = NULL};
    if (events->guarded &&
        quarantine_judge(&events->options.running->quarantine, identity, QUARANTINE_CONFIGURE,
                         clock_ms(), &handler) == QUARANTINE_REFUSE) {
        *refusal = (struct instance_refusal){
            .why = "configure has crashed the server process again and again with this "
                   "configuration: it does not run for a while",
            .until_ms = handler->refused_until};
        return;
    }
    running_enter(events->running, plugin->index, 0, QUARANTINE_CONFIGURE, identity);
}

void events_leave_configure(struct events *events) {
    running_leave(events->running);
}

struct running_slot *event_enter_blocking(const struct event *event) {
    struct running *running = event->events->options.running;
    struct running_slot *slot =
        running == NULL ? NULL
                        : running_take(running, event->plugin->index, event->instance->id,
                                       (int32_t)event->phase, event->instance->identity,
                                       event->watched_request);
    running_set_here(slot);
    return slot;
}

void event_leave_blocking(struct running_slot *slot) {
    running_set_here(NULL);
    if (slot != NULL) {
        running_leave(slot);
    }
}
