/* In which phases Kong takes a call. Calls on which Kong would raise an error are refused here: in
 * the phase log a Lua error leaves the data of this request behind in Kong, and later requests of
 * other clients read it. */
#include "event_job.h"
#include "pdk_call.h"
#include "text.h"

/* Kong's answers to what the table's conditions ask, one bit for "asked" and one for "yes". */
enum {
    ASKED_SUBSYSTEM = 1,
    IS_STREAM = 2,
    ASKED_BUFFERED = 4,
    IS_BUFFERED = 8,
};

static const char *condition_of(const struct pdk_method *method) {
    if ((method->flags & PDK_LOG_PROTOBUF) != 0) {
        return " (on ProtoBuf:1 not of a stream)";
    }
    if ((method->flags & PDK_LOG_OF_HTTP) != 0) {
        return " (not of a stream)";
    }
    if ((method->flags & PDK_LOG_OF_STREAM) != 0) {
        return " (of a stream)";
    }
    return (method->flags & PDK_LOG_IF_BUFFERED) != 0 ? " (of a buffered response)" : "";
}

static int refuse(struct event *event, const struct pdk_method *method, unsigned phases) {
    const char *kong = events_options(event->events)->kong_2_8 ? "Kong 2.8" : "Kong";
    const char *name = method->name.data;
    char list[256];
    struct text allowed = TEXT_IN(list); /* "rewrite, log (of a stream)" */
    for (unsigned phase = 0; phase < KONG_PHASE_COUNT; phase++) {
        if ((phases & KONG_PHASE_BIT(phase)) != 0) {
            text_add_item(&allowed, ", ", kong_phase_name((enum kong_phase)phase));
            text_add(&allowed, "%s", phase == KONG_PHASE_LOG ? condition_of(method) : "");
        }
    }
    struct kong_str text =
        phases == 0
            ? arena_printf(&event->arena, "%s: %s allows no plugin server to call it; not sent",
                           name, kong)
            : arena_printf(&event->arena,
                           "%s: %s does not allow it in the phase %s, only in %s; not sent", name,
                           kong, kong_phase_name(event->phase), list);
    return event_fail(event, KONG_E_PHASE, text);
}

/* --- Conditions of the phase log --- */

static int ask(struct event *event, enum pdk_id id, const char *key, struct kong_value *answer) {
    const struct pdk_method *method = &pdk_methods[id];
    struct kong_value arg = kong_string(key);
    return event_call(event, method, method->name, &arg, key == NULL ? 0 : 1, answer);
}

/* Whether the plugin's configurations can be on streams. */
static bool serves_streams(const struct kong_plugin *plugin) {
    const char *const *protocols = plugin->schema == NULL ? NULL : plugin->schema->protocols;
    for (size_t i = 0; protocols != NULL && protocols[i] != NULL; i++) {
        if (strncmp(protocols[i], "tcp", 3) == 0 || strncmp(protocols[i], "udp", 3) == 0 ||
            strncmp(protocols[i], "tls", 3) == 0) {
            return true;
        }
    }
    return plugin->handlers[KONG_PHASE_PREREAD] != NULL;
}

static int is_stream(struct event *event, bool *stream) {
    struct kong_value answer;
    if ((event->asked & ASKED_SUBSYSTEM) == 0 && serves_streams(event->plugin->what)) {
        int error = ask(event, PDK_NGINX_GET_SUBSYSTEM, NULL, &answer);
        if (error != 0) {
            return error;
        }
        if (kong_str_equal(kong_to_str(&answer), kong_str("stream"))) {
            event->asked |= IS_STREAM;
        }
    }
    event->asked |= ASKED_SUBSYSTEM;
    *stream = (event->asked & IS_STREAM) != 0;
    return KONG_OK;
}

/* Kong 3.9 notes the status of a buffered response, and forgets later that it buffered when it has
 * to make an error of it. */
static int is_buffered(struct event *event, bool *buffered) {
    static const char *const keys[] = {"buffered_status", "buffered_proxying"};
    unsigned found = 0;
    if ((event->asked & ASKED_BUFFERED) == 0) {
        for (size_t i = 0; i < 2; i++) {
            struct kong_value answer;
            int error = ask(event, PDK_NGINX_GET_CTX, keys[i], &answer);
            if (error != 0) {
                return error;
            }
            bool is_false = answer.type == KONG_BOOLEAN && !answer.boolean;
            found += answer.type != KONG_NIL && !is_false;
        }
        event->asked |= ASKED_BUFFERED | (found == 2 ? IS_BUFFERED : 0);
    }
    *buffered = (event->asked & IS_BUFFERED) != 0;
    return KONG_OK;
}

static int check_log(struct event *event, const struct pdk_method *method, unsigned phases) {
    bool stream = false, buffered = true;
    int error = KONG_OK;
    if ((method->flags & PDK_LOG_IF_BUFFERED) != 0) {
        error = is_buffered(event, &buffered);
    } else {
        error = is_stream(event, &stream);
    }
    if (error != 0) {
        return error;
    }
    bool wrong = (method->flags & PDK_LOG_OF_HTTP) != 0     ? stream
                 : (method->flags & PDK_LOG_OF_STREAM) != 0 ? !stream
                                                            : !buffered;
    return wrong ? refuse(event, method, phases) : KONG_OK;
}

int pdk_look_at_phase(struct kong *kong, const struct pdk_method *method) {
    struct event *event = pdk_event(kong);
    bool protobuf = !pdk_is_msgpack(kong);
    unsigned phases = pdk_phases(method, events_options(event->events)->kong_2_8, protobuf);
    if (protobuf && (method->flags & PDK_MSGPACK_ONLY) != 0) {
        return KONG_OK; /* event_call says that it does not exist there */
    }
    if ((phases & KONG_PHASE_BIT(event->phase)) == 0) {
        int over = event_call_error(event);
        if (over == 0 && event->job != NULL) {
            return event_check_job(event, method);
        }
        return over != 0 ? event_fail(event, over, (struct kong_str){NULL, 0})
                         : refuse(event, method, phases);
    }
    bool conditional = (method->flags & PDK_LOG_CONDITIONS) != 0 &&
                       (protobuf || (method->flags & PDK_LOG_PROTOBUF) == 0);
    if (event->phase == KONG_PHASE_LOG && conditional) {
        return check_log(event, method, phases);
    }
    return KONG_OK;
}
