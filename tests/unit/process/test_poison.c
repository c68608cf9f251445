/* Requests whose handler crashes the server process, behind a Kong that sends them again and again:
 * what each costs, how it ends, and what others notice. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kong_retry.h"

#define LENGTH(array) (sizeof(array) / sizeof *(array))
#define BY_HEADER     "{\"mode\":\"header\",\"__seq__\":1,\"__plugin_id\":\"a\"}"
#define REFUSED       "this request has crashed the server process: it does not run again"
#define QUARANTINED   "crashed the server process again and again"

static const char *const one_thread[] = {"--supervise", "yes", "--stall-timeout", "0.5", NULL};
static const char *const three_threads[] = {"--supervise",     "yes", "--threads", "3",
                                            "--stall-timeout", "0.5", NULL};

static void fail_closed(void) {
    setenv("HURT_ON_ERROR", "closed", 1);
}

static void begin(struct process *process, const char *const *options, bool closed) {
    struct process_setup setup = {.options = options, .prepare = closed ? fail_closed : NULL};
    process_start(process, &setup);
}

static size_t deaths(struct process *process) {
    return process_count(process, "was killed by signal") +
           process_count(process, "exited with status");
}

/* --- Others, all the time --- */

struct others {
    const struct process *process;
    enum protocol protocol;
    const char *config;
    _Atomic bool stop;
    _Atomic unsigned served;
    unsigned lost; /* not served, without having been in flight at a crash */
    char first[600];
    unsigned hit; /* in flight at a crash: an event of MsgPack:1, or a StartInstance */
    pthread_t thread;
};

static void *be_served(void *arg) {
    struct others *others = arg;
    struct kong_peer peer;
    char id[32];
    struct kong_retry request = {.process = others->process,
                                 .protocol = others->protocol,
                                 .config = others->config,
                                 .request_id = id,
                                 .peer = &peer};
    kong_peer_open(&peer, others->process, others->protocol);
    for (unsigned i = 0; !others->stop; i++) {
        snprintf(id, sizeof id, "innocent-%u", i);
        kong_retry_run(&request);
        bool hit = request.not_started ||
                   (others->protocol == PROTOCOL_MSGPACK && request.outcome != SIM_EVENT_OK);
        others->hit += hit;
        if (request.outcome != SIM_EVENT_OK && !hit && others->lost++ == 0) {
            snprintf(others->first, sizeof others->first, "%s %s",
                     sim_event_outcome_name(request.outcome), request.said);
        }
        others->served++;
    }
    kong_peer_close(&peer);
    return NULL;
}

static void others_begin(struct others *others, const struct process *process,
                         enum protocol protocol, const char *config) {
    *others = (struct others){.process = process, .protocol = protocol, .config = config};
    assert_int_equal(pthread_create(&others->thread, NULL, be_served, others), 0);
    while (others->served < 10) {
        pause_ms(1);
    }
}

static void others_end(struct others *others) {
    unsigned before = others->served;
    for (int i = 0; i < PATIENCE_MS && others->served < before + 10; i++) {
        pause_ms(1); /* they are served after the last crash, too */
    }
    others->stop = true;
    pthread_join(others->thread, NULL);
}

/* One that is on its way at a crash; there were so many. */
static void assert_served(const struct others *others, size_t crashes) {
    assert_string_equal(others->first, "");
    assert_int_equal(others->lost, 0);
    assert_in_range(others->hit, 0, crashes);
}

/* --- One request --- */

static const char *const kinds[] = {"segv", "abort", "exit()", "overflow", "hang", "blocking"};

/* After at most so many crashes, at least 2. MsgPack:1: where the server process has died, Kong is
 * told to send the event again. */
static void one_of(const char *const *options, const char *kind, bool closed,
                   enum protocol protocol, unsigned most) {
    struct process process;
    struct others others;
    begin(&process, options, closed);
    others_begin(&others, &process, protocol, BY_HEADER);
    struct kong_retry request = {.process = &process,
                                 .protocol = protocol,
                                 .config = BY_HEADER,
                                 .mode = kind,
                                 .request_id = "poison"};
    kong_retry_run(&request);
    others_end(&others);
    size_t died = deaths(&process);
    print_message("  %s, %s: %zu crashes, ended after %.3f s, %u other requests served\n", kind,
                  closed ? "closed" : "open", died, request.seconds, others.served);
    assert_in_range(died, 2, most);
    assert_int_equal(request.again, died);
    assert_int_equal(request.status, closed ? 500 : 0);
    assert_int_equal(request.outcome, closed ? SIM_EVENT_EXITED : SIM_EVENT_OK);
    assert_non_null(strstr(request.said, REFUSED));
    assert_served(&others, died);
    assert_int_equal(process_count(&process, "starting another in 0 ms"), died);
    assert_says(&process, "request poison crashed the server process");
    assert_orderly(process_end(&process, SIGTERM));
}

static void one(const char *const *options, const char *kind, bool closed, enum protocol protocol) {
    one_of(options, kind, closed, protocol, 2);
}

static void one_request(void **state) {
    (void)state;
    for (size_t i = 0; i < LENGTH(kinds); i++) {
        one(one_thread, kinds[i], true, PROTOCOL_PROTOBUF);
        one(one_thread, kinds[i], false, PROTOCOL_PROTOBUF);
    }
}

static void one_request_among_threads(void **state) {
    (void)state;
    for (size_t i = 0; i < LENGTH(kinds); i++) {
        one(three_threads, kinds[i], true, PROTOCOL_PROTOBUF);
        one(three_threads, kinds[i], true, PROTOCOL_MSGPACK);
    }
    /* Nobody hears which thread called _exit: another one's handler may be suspected as well. */
    one_of(three_threads, "exit", true, PROTOCOL_PROTOBUF, 3);
}

static void one_request_over_msgpack(void **state) {
    (void)state;
    for (size_t i = 0; i < LENGTH(kinds); i++) {
        one(one_thread, kinds[i], true, PROTOCOL_MSGPACK);
        one(one_thread, kinds[i], false, PROTOCOL_MSGPACK);
    }
}

/* One that has no $kong_request_id, of a Kong that goes on without the plugin when a connection is
 * closed. */
static void of_an_old_kong(enum protocol protocol, bool closed) {
    struct process process;
    begin(&process, one_thread, closed);
    struct kong_retry poison = {.process = &process,
                                .protocol = protocol,
                                .config = BY_HEADER,
                                .mode = "segv",
                                .request_id = "4",
                                .old_kong = true};
    struct kong_retry other = poison;
    other.mode = NULL;
    other.request_id = "5";
    kong_retry_run(&poison);
    kong_retry_run(&other);
    assert_int_equal(poison.outcome, closed ? SIM_EVENT_EXITED : SIM_EVENT_OK);
    assert_int_equal(poison.status, closed ? 500 : 0);
    assert_int_equal(poison.again, 2);
    assert_non_null(strstr(poison.said, REFUSED));
    assert_int_equal(other.outcome, SIM_EVENT_OK);
    assert_int_equal(other.asked, 3);
    assert_says(&process, "request 17/4 crashed the server process");
    assert_orderly(process_end(&process, SIGTERM));
}

static void one_request_of_an_old_kong(void **state) {
    enum protocol protocol = *(enum protocol *)*state;
    of_an_old_kong(protocol, true);
    of_an_old_kong(protocol, false);
}

/* Without a crash nobody is asked. */
static void nobody_is_asked(void **state) {
    struct process process;
    (void)state;
    begin(&process, one_thread, true);
    struct kong_retry request = {.process = &process,
                                 .protocol = PROTOCOL_PROTOBUF,
                                 .config = BY_HEADER,
                                 .request_id = "innocent"};
    kong_retry_run(&request);
    assert_int_equal(request.outcome, SIM_EVENT_OK);
    assert_int_equal(request.asked, 0);
    /* Nor is, after one, who has another configuration. */
    struct kong_retry poison = request;
    poison.mode = "segv";
    kong_retry_run(&poison);
    kong_retry_run(&request);
    assert_int_equal(request.asked, 1);
    request.config = "{\"mode\":\"header\",\"__seq__\":1,\"__plugin_id\":\"b\"}";
    kong_retry_run(&request);
    assert_int_equal(request.asked, 0);
    /* A new __seq__ alone does not make it another. */
    request.config = "{\"mode\":\"header\",\"__seq__\":22,\"__plugin_id\":\"a\"}";
    kong_retry_run(&request);
    assert_int_equal(request.asked, 1);
    assert_orderly(process_end(&process, SIGTERM));
}

/* --- Several at once --- */

#define POISONED 4

/* A request that is in flight when another crashes the server is sent again for that one's sake. */
static void several(const char *const *options) {
    struct process process;
    struct others others;
    struct kong_retry requests[POISONED];
    static const char *const ids[POISONED] = {"p0", "p1", "p2", "p3"};
    begin(&process, options, true);
    others_begin(&others, &process, PROTOCOL_PROTOBUF, BY_HEADER);
    for (size_t i = 0; i < POISONED; i++) {
        requests[i] = (struct kong_retry){.process = &process,
                                          .protocol = PROTOCOL_PROTOBUF,
                                          .config = BY_HEADER,
                                          .mode = i % 2 == 0 ? "segv" : "abort",
                                          .request_id = ids[i]};
        kong_retry_start(&requests[i]);
    }
    for (size_t i = 0; i < POISONED; i++) {
        kong_retry_join(&requests[i]);
    }
    others_end(&others);
    size_t died = deaths(&process);
    for (size_t i = 0; i < POISONED; i++) {
        assert_true(requests[i].outcome == SIM_EVENT_EXITED || requests[i].not_started);
        assert_int_equal(requests[i].status, 500);
    }
    assert_served(&others, died);
    print_message("  %d at once: %zu crashes, %u other requests served\n", POISONED, died,
                  others.served);
    assert_in_range(died, 1, POISONED + 1);
    assert_int_equal(process_count(&process, "starting another in 0 ms"), died);
    assert_orderly(process_end(&process, SIGTERM));
}

static void several_requests(void **state) {
    (void)state;
    several(one_thread);
}

static void several_requests_among_threads(void **state) {
    (void)state;
    several(three_threads);
}

/* --- Requests that cannot be told apart --- */

/* Kong has no id of the request to give in the log phase. */
static void by_configuration(const char *phase, const char *request_id) {
    struct process process;
    struct others others;
    begin(&process, one_thread, false);
    others_begin(&others, &process, PROTOCOL_PROTOBUF, BY_HEADER);
    struct kong_retry request = {.process = &process,
                                 .protocol = PROTOCOL_PROTOBUF,
                                 .config = "{\"mode\":\"segv\"}",
                                 .phase = phase,
                                 .request_id = request_id};
    kong_retry_run(&request);
    struct kong_retry next = request;
    for (int i = 0; i < 20 && next.outcome == SIM_EVENT_OK; i++) {
        kong_retry_run(&next);
    }
    others_end(&others);
    assert_int_equal(request.again, 2);
    assert_int_equal(request.outcome, SIM_EVENT_OK);
    assert_non_null(strstr(request.said, QUARANTINED));
    assert_int_equal(next.outcome, SIM_EVENT_OK);
    assert_served(&others, 2);
    assert_int_equal(deaths(&process), 2);
    assert_says(&process, "does not run for them for 30 s");
    assert_orderly(process_end(&process, SIGTERM));
}

static void by_phase(void **state) {
    (void)state;
    by_configuration("log", "unused");
}

static void without_an_id(void **state) {
    (void)state;
    by_configuration("access", NULL);
}

/* --- A configuration of which every request crashes --- */

static void poisoned_configuration(void **state) {
    enum protocol protocol = *(enum protocol *)*state;
    struct process process;
    struct others others;
    unsigned ended = 0;
    unsigned dear = 0;  /* cost more than two crashes */
    unsigned asked = 0; /* of those behind the tenth */
    begin(&process, one_thread, true);
    others_begin(&others, &process, protocol, BY_HEADER);
    for (int i = 0; i < 40; i++) {
        char id[32];
        snprintf(id, sizeof id, "doomed-%d", i);
        struct kong_retry request = {.process = &process,
                                     .protocol = protocol,
                                     .config = "{\"mode\":\"segv\"}",
                                     .request_id = id};
        kong_retry_run(&request);
        ended += request.status == 500;
        dear += request.again > 2;
        asked += i >= 10 ? request.asked : 0;
    }
    others_end(&others);
    size_t died = deaths(&process);
    assert_int_equal(dear, 0);
    assert_int_equal(asked, 0);
    assert_served(&others, died);
    print_message("  40 requests of a poisoned configuration: %zu crashes, %u ended with 500\n",
                  died, ended);
    assert_int_equal(died, 10);
    assert_int_equal(ended, 40);
    assert_orderly(process_end(&process, SIGTERM));
}

/* A configuration on which configure crashes: StartInstance comes again, until the server process
 * has died of it twice. Then each request ends as the plugin says. */
static void poisoned_configure(void **state) {
    enum protocol protocol = *(enum protocol *)*state;
    struct process process;
    struct others others;
    struct kong_retry requests[12];
    begin(&process, one_thread, true);
    others_begin(&others, &process, protocol, BY_HEADER);
    for (size_t i = 0; i < LENGTH(requests); i++) {
        requests[i] = (struct kong_retry){.process = &process,
                                          .protocol = protocol,
                                          .config = "{\"mode\":\"configure-segv\"}",
                                          .request_id = "unused"};
        kong_retry_run(&requests[i]);
    }
    others_end(&others);
    for (size_t i = 0; i < LENGTH(requests); i++) {
        assert_false(requests[i].not_started);
        assert_int_equal(requests[i].outcome, SIM_EVENT_EXITED);
        assert_int_equal(requests[i].status, 500);
    }
    assert_int_equal(deaths(&process), 2);
    assert_int_equal(process_count(&process, "while hurt ran configure for instance 0"), 2);
    assert_says(&process, "configure has crashed the server process again and again");
    assert_served(&others, 2);
    assert_orderly(process_end(&process, SIGTERM));
}

static void with_a_job(void) {
    setenv("HURT_JOB", "1", 1);
}

/* A job that crashes whenever it runs does so twice, and requests are served meanwhile. */
static void poisoned_job(void **state) {
    const struct process_setup setup = {.options = one_thread, .prepare = with_a_job};
    struct process process;
    struct others others;
    (void)state;
    process_start(&process, &setup);
    others_begin(&others, &process, PROTOCOL_PROTOBUF, BY_HEADER);
    assert_says(&process, "job 1 crashes the server process again and again: it does not run for "
                          "30 s");
    assert_says(&process, "job hurts failed: it has crashed the server process again and again: it "
                          "does not run for a while");
    others_end(&others);
    assert_int_equal(deaths(&process), 2);
    assert_int_equal(process_count(&process, "while hurt ran job 1\n"), 2);
    assert_int_equal(process_count(&process, " in job 1\n"), 2);
    assert_served(&others, 2);
    assert_orderly(process_end(&process, SIGTERM));
}

int main(int argc, char **argv) {
    static enum protocol protobuf = PROTOCOL_PROTOBUF;
    static enum protocol msgpack = PROTOCOL_MSGPACK;
    int status;
    if (process_serves(argc, argv, &status)) {
        return status;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(poisoned_job),
        cmocka_unit_test(one_request),
        cmocka_unit_test(one_request_among_threads),
        cmocka_unit_test(one_request_over_msgpack),
        cmocka_unit_test_prestate(one_request_of_an_old_kong, &protobuf),
        cmocka_unit_test_prestate(one_request_of_an_old_kong, &msgpack),
        cmocka_unit_test(nobody_is_asked),
        cmocka_unit_test(several_requests),
        cmocka_unit_test(several_requests_among_threads),
        cmocka_unit_test(by_phase),
        cmocka_unit_test(without_an_id),
        cmocka_unit_test_prestate(poisoned_configuration, &protobuf),
        cmocka_unit_test_prestate(poisoned_configuration, &msgpack),
        cmocka_unit_test_prestate(poisoned_configure, &protobuf),
        cmocka_unit_test_prestate(poisoned_configure, &msgpack),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
