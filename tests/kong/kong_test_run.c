/* One request through Kong's phases, and what Kong does when the plugin fails. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kong_test_inside.h"
#include "sim_json.h"

/* Kong keeps one instance a configuration: it starts the new one, then closes the old one. */
static enum sim_event_outcome replace_instance(struct kong_test *test, struct hosted *hosted,
                                               const char **text) {
    bool replaces = hosted->started_seq != 0;
    int64_t old = hosted->instance;
    if (hosted->started_seq == hosted->seq) {
        return SIM_EVENT_OK;
    }
    struct kong_str config = test_instance_config(test, hosted);
    if (config.data == NULL) {
        *text = "the configuration";
        return SIM_EVENT_REFUSED;
    }
    enum sim_event_outcome outcome =
        sim_client_start(test->client, hosted->plugin.name, config.data, &hosted->instance);
    if (outcome != SIM_EVENT_OK) {
        *text = "starting the instance";
        return outcome;
    }
    hosted->started_seq = hosted->seq;
    if (replaces) {
        sim_client_stop(test->client, old);
    }
    return SIM_EVENT_OK;
}

static enum sim_event_outcome get_instance(struct kong_test *test, struct hosted *hosted,
                                           int64_t *id, const char **text) {
    pthread_mutex_lock(&test->gateway->lock);
    enum sim_event_outcome outcome = replace_instance(test, hosted, text);
    *id = hosted->instance;
    pthread_mutex_unlock(&test->gateway->lock);
    return outcome;
}

/* The server knows it no more: the next event starts another, unless one has done so already. */
static void forget_instance(struct gateway *gateway, struct hosted *hosted, int64_t id) {
    pthread_mutex_lock(&gateway->lock);
    if (hosted->instance == id) {
        hosted->started_seq = 0;
    }
    pthread_mutex_unlock(&gateway->lock);
}

/* In the log phase nobody is left to be answered. */
static enum kong_test_outcome answer_500(struct kong_test *test) {
    if (test->pdk->phase != KONG_PHASE_LOG && !sim_pdk_fail(test->pdk, 500)) {
        test_mistake(test, "not enough memory", NULL);
        return KONG_TEST_BROKEN;
    }
    return KONG_TEST_FAILED;
}

static enum kong_test_outcome raised(struct kong_test *test) {
    if (test->pdk->phase != KONG_PHASE_LOG && !sim_pdk_raised(test->pdk)) {
        test_mistake(test, "not enough memory", NULL);
        return KONG_TEST_BROKEN;
    }
    return KONG_TEST_FAILED;
}

/* The line that the server has Kong write for a handler that failed, or did not run, among those
 * from index `from` on; NULL. */
static const char *failure_line(const struct kong_test *test, const char *plugin, size_t from,
                                enum kong_phase phase) {
    const struct sim_pdk *pdk = test->pdk;
    const char *whose[] = {kong_phase_name(phase), "configuration"};
    const char *what[] = {"failed", "refused"};
    for (size_t i = from; i < pdk->log_count; i++) {
        for (size_t k = 0; k < 4 && strcmp(pdk->logs[i].level.data, "err") == 0; k++) {
            char head[320];
            int len = snprintf(head, sizeof head, "%s: %s %s: ", plugin, whose[k / 2], what[k % 2]);
            if (strncmp(pdk->logs[i].text.data, head, (size_t)len) == 0) {
                return pdk->logs[i].text.data;
            }
        }
    }
    return NULL;
}

/* Kong goes on, or answers as the handler's failure wants it: for the test it failed. */
static enum kong_test_outcome went_well(struct kong_test *test, const struct sim_event *event,
                                        const char *failure) {
    snprintf(test->error, sizeof test->error, "%s", failure == NULL ? "" : failure);
    return failure != NULL                      ? KONG_TEST_FAILED
           : event->outcome == SIM_EVENT_EXITED ? KONG_TEST_EXITED
                                                : KONG_TEST_OK;
}

/* No answer, or one that names no function of Kong's. Only Kong 3 on ProtoBuf:1 ends the request.
 */
static enum kong_test_outcome not_carried_out(struct kong_test *test, const char *why) {
    const struct gateway *gateway = test->gateway;
    bool goes_on = gateway->msgpack || gateway->kong_2_8;
    char line[640];
    snprintf(line, sizeof line, "%s%s", goes_on ? "" : "pluginserver error: ", why);
    test_log(test, "kong.log.err", line);
    return goes_on ? KONG_TEST_FAILED : answer_500(test);
}

/* The event did not end well: what does Kong do? */
static enum kong_test_outcome failed(struct kong_test *test, const struct sim_event *event) {
    snprintf(test->error, sizeof test->error, "%s", event->text);
    switch (event->outcome) {
    case SIM_EVENT_RAISED:
        test_log(test, "kong.log.err", event->text);
        return raised(test);
    case SIM_EVENT_NO_METHOD:
        return not_carried_out(test, event->text);
    case SIM_EVENT_TIMEOUT:
        return not_carried_out(test, test->gateway->msgpack ? "no data" : event->text);
    case SIM_EVENT_ERROR:
        test_log(test, "kong.log.err", event->text);
        return KONG_TEST_FAILED;
    case SIM_EVENT_CLOSED:
        test_log(test, "kong.log.err",
                 test->gateway->msgpack    ? "no data"
                 : test->gateway->kong_2_8 ? "closed"
                                           : "closed (Kong 3.9 would try again for ever)");
        return KONG_TEST_FAILED;
    default:
        snprintf(test->mistake, sizeof test->mistake, "%s %s",
                 sim_event_outcome_name(event->outcome), event->text);
        return KONG_TEST_BROKEN;
    }
}

enum kong_test_outcome test_event(struct kong_test *test, struct hosted *hosted,
                                  enum kong_phase phase) {
    struct sim_event event = {.outcome = SIM_EVENT_NO_INSTANCE};
    size_t logged = test->pdk->log_count;
    off_t log_end = test_log_end(test->gateway);
    int64_t instance = 0;
    test->pdk->plugin_id = kong_str(hosted->id);
    sim_server_arm(test->gateway->server);
    if (!sim_pdk_set_phase(test->pdk, phase)) {
        test_mistake(test, "not enough memory", NULL);
        return KONG_TEST_BROKEN;
    }
    /* Kong tries again without limit; a server that asks for it more than once is broken. */
    for (int tries = 0; tries < 3 && event.outcome == SIM_EVENT_NO_INSTANCE; tries++) {
        const char *text = "";
        event.outcome = get_instance(test, hosted, &instance, &text);
        if (event.outcome != SIM_EVENT_OK) {
            snprintf(event.text, sizeof event.text, "%s: %s", text,
                     sim_event_outcome_name(event.outcome));
            event.outcome = SIM_EVENT_NO_METHOD; /* 500, whatever it was */
            break;
        }
        sim_client_event(test->client, instance, kong_phase_name(phase), &event);
        if (event.outcome == SIM_EVENT_NO_INSTANCE) {
            forget_instance(test->gateway, hosted, instance);
        }
    }
    if (event.outcome == SIM_EVENT_OK || event.outcome == SIM_EVENT_EXITED) {
        enum kong_test_outcome outcome =
            went_well(test, &event, failure_line(test, hosted->plugin.name, logged, phase));
        return outcome == KONG_TEST_EXITED &&
                       test_failed_after_exit(test, hosted->plugin.name, instance, phase, log_end)
                   ? KONG_TEST_FAILED
                   : outcome;
    }
    return failed(test, &event);
}

static bool broken(struct kong_test *test) {
    if (test->mistake[0] != '\0') {
        snprintf(test->error, sizeof test->error, "%s", test->mistake);
    }
    return test->mistake[0] != '\0';
}

/* An event of each plugin that Kong calls in this phase (`all`: of each), until one has ended the
 * request; in header_filter and log it has ended already. test->error stays that of the first one
 * that failed. */
static void run_phase(struct kong_test *test, enum kong_phase phase, bool all,
                      enum kong_test_outcome *outcome) {
    bool goes_on = phase == KONG_PHASE_HEADER_FILTER || phase == KONG_PHASE_LOG;
    for (size_t i = 0; i < test->gateway->count && !broken(test); i++) {
        struct hosted *hosted = test->gateway->order[i];
        char first[sizeof test->error];
        if (!all && (hosted->phases & KONG_PHASE_BIT(phase)) == 0) {
            continue;
        }
        memcpy(first, test->error, sizeof first);
        *outcome = test_worse(*outcome, test_event(test, hosted, phase));
        if (first[0] != '\0') {
            memcpy(test->error, first, sizeof first);
        }
        if (test->pdk->exited && !goes_on) {
            break;
        }
    }
}

enum kong_test_outcome kong_test_phase(struct kong_test *test, enum kong_phase phase) {
    enum kong_test_outcome outcome = KONG_TEST_OK;
    test->error[0] = '\0';
    /* Kong reads the whole answer before this phase. */
    test->pdk->upstream.buffered = test->pdk->upstream.buffered || phase == KONG_PHASE_RESPONSE;
    run_phase(test, phase, test->gateway->count == 1, &outcome);
    return broken(test) ? KONG_TEST_BROKEN : outcome;
}

/* A request that does not end is none that the test can be content with. */
static enum kong_test_outcome ends(struct kong_test *test, enum kong_test_outcome outcome) {
    char why[128];
    if (!sim_pdk_client_waits(test->pdk, why, sizeof why)) {
        return outcome;
    }
    if (test->error[0] == '\0') {
        snprintf(test->error, sizeof test->error, "the client waits for ever: %s", why);
    }
    return test_worse(outcome, KONG_TEST_FAILED);
}

enum kong_test_outcome kong_test_run(struct kong_test *test) {
    struct sim_pdk *pdk = test->pdk;
    enum kong_test_outcome outcome = KONG_TEST_OK;
    bool buffered = (test->gateway->phases & KONG_PHASE_BIT(KONG_PHASE_RESPONSE)) != 0;
    test->error[0] = '\0';
    run_phase(test, KONG_PHASE_REWRITE, false, &outcome);
    if (!pdk->exited) {
        run_phase(test, KONG_PHASE_ACCESS, false, &outcome);
    }
    if (!pdk->exited && (test->gateway->phases & KONG_PHASE_BIT(KONG_PHASE_ACCESS)) == 0 &&
        !sim_pdk_set_phase(pdk, KONG_PHASE_ACCESS)) {
        test_mistake(test, "not enough memory", NULL);
    }
    if (!pdk->exited && !broken(test) && test_ask_upstream(test, buffered, &outcome)) {
        run_phase(test, buffered ? KONG_PHASE_RESPONSE : KONG_PHASE_HEADER_FILTER, false, &outcome);
    } else if (!broken(test)) {
        /* Kong's own answers pass header_filter too. */
        run_phase(test, KONG_PHASE_HEADER_FILTER, false, &outcome);
    }
    if (!sim_pdk_sent(pdk)) {
        test_mistake(test, "not enough memory", NULL);
    }
    int answer = pdk->service.status; /* which nobody has got when the upstream was not asked */
    pdk->service.status = test->reached_upstream ? answer : 0;
    run_phase(test, KONG_PHASE_LOG, false, &outcome);
    pdk->service.status = answer;
    return broken(test) ? KONG_TEST_BROKEN : ends(test, outcome);
}

/* --- In a thread of its own --- */

static void *run_thread(void *arg) {
    struct kong_test *test = arg;
    test->outcome = kong_test_run(test);
    return NULL;
}

void kong_test_start(struct kong_test *test) {
    test->outcome = KONG_TEST_BROKEN;
    test->started = !test->started && pthread_create(&test->thread, NULL, run_thread, test) == 0;
    if (!test->started) {
        snprintf(test->error, sizeof test->error, "no thread, or one is running already");
    }
}

enum kong_test_outcome kong_test_wait(struct kong_test *test) {
    if (!test->started) {
        if (test->error[0] == '\0') {
            snprintf(test->error, sizeof test->error, "kong_test_wait without kong_test_start");
        }
        return KONG_TEST_BROKEN;
    }
    pthread_join(test->thread, NULL);
    test->started = false;
    return test->outcome;
}
