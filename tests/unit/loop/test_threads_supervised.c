/* A supervised child with several threads: one that hangs, one that faults, and the child's death
 * under load. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "kong_load.h"
#include "process_peer.h"

#define THREADS ((size_t)3)

static const char *const supervised[] = {
    "--supervise", "yes", "--threads", "3", "--stall-timeout", "2", "--event-timeout", "0.3", NULL};

/* Workers of Kong with one connection each: each on another thread of the server. */
struct crew {
    struct process process;
    struct kong_peer peers[THREADS];
};

static void begin(struct crew *crew, const char *const *options) {
    struct process_setup setup = {.options = options};
    process_start(&crew->process, &setup);
    for (size_t i = 0; i < THREADS; i++) {
        kong_peer_open(&crew->peers[i], &crew->process, PROTOCOL_PROTOBUF);
        kong_peer_serves(&crew->peers[i]);
    }
}

static void end(struct crew *crew) {
    for (size_t i = 0; i < THREADS; i++) {
        kong_peer_close(&crew->peers[i]);
    }
    assert_orderly(process_end(&crew->process, SIGTERM));
}

struct doom {
    struct kong_peer *peer;
    int64_t id;
    enum sim_event_outcome outcome;
};

static void *meet(void *arg) {
    struct doom *doom = arg;
    doom->outcome = sim_client_event(doom->peer->client, doom->id, "access", NULL);
    return NULL;
}

static void a_thread_that_hangs_holds_up_no_other(void **state) {
    struct crew crew;
    pthread_t thread;
    char wanted[200];
    (void)state;
    begin(&crew, supervised);
    pid_t first = process_child(crew.process.pid, PATIENCE_MS);
    struct doom doom = {.peer = &crew.peers[1],
                        .id = kong_peer_start(&crew.peers[1], "{\"mode\":\"hang\"}")};
    assert_int_equal(pthread_create(&thread, NULL, meet, &doom), 0);
    snprintf(wanted, sizeof wanted, "hurt has been running access for instance %d for ",
             (int)doom.id);
    assert_says(&crew.process, wanted);
    assert_says(&crew.process, "all other requests of its thread wait");
    for (int i = 0; i < 20; i++) {
        kong_peer_serves(&crew.peers[0]);
        kong_peer_serves(&crew.peers[2]);
    }
    /* The one that accepts runs no handlers: who connects is served. */
    struct kong_peer another;
    kong_peer_open(&another, &crew.process, PROTOCOL_MSGPACK);
    kong_peer_serves(&another);
    kong_peer_close(&another);
    assert_int_equal(process_child(crew.process.pid, PATIENCE_MS), first);
    snprintf(wanted, sizeof wanted, "access of instance %d hangs (--stall-timeout)", (int)doom.id);
    assert_says(&crew.process, wanted);
    pthread_join(thread, NULL);
    assert_int_equal(doom.outcome, SIM_EVENT_NO_INSTANCE);
    snprintf(wanted, sizeof wanted, "signal 6 (Aborted) while hurt ran access for instance %d\n",
             (int)doom.id);
    assert_says(&crew.process, wanted);
    kong_peer_serves(&crew.peers[1]);
    end(&crew);
}

static void a_fault_names_its_handler(void **state) {
    const char *const modes[] = {"segv", "overflow"};
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct crew crew;
        pthread_t thread;
        char wanted[200];
        begin(&crew, supervised);
        /* Another handler is in the middle of something that takes long. */
        struct doom busy = {.peer = &crew.peers[0],
                            .id = kong_peer_start(&crew.peers[0], "{\"mode\":\"hang\"}")};
        assert_int_equal(pthread_create(&thread, NULL, meet, &busy), 0);
        assert_says(&crew.process, "of its thread wait");
        char config[64];
        snprintf(config, sizeof config, "{\"mode\":\"%s\"}", modes[i]);
        int64_t id = kong_peer_start(&crew.peers[2], config);
        assert_int_equal(kong_peer_event(&crew.peers[2], id, NULL), SIM_EVENT_NO_INSTANCE);
        pthread_join(thread, NULL);
        if (!process_is_padded()) { /* sanitizers report faults in their own way */
            snprintf(wanted, sizeof wanted, "%s in a handler of phase access, instance %d",
                     i == 0 ? "invalid access" : "stack overflow", (int)id);
            assert_says(&crew.process, wanted);
            snprintf(wanted, sizeof wanted, "%s while hurt ran access for instance %d\n",
                     i == 0 ? "(Segmentation fault)" : "(Segmentation fault, stack overflow)",
                     (int)id);
            assert_says(&crew.process, wanted);
        }
        kong_peer_serves(&crew.peers[1]);
        end(&crew);
    }
}

/* kill -9 of the child: at most what is under way is hit, and ProtoBuf:1 sends that again. */
static void a_death_under_load(void **state) {
    const char *const options[] = {"--supervise", "yes", "--threads", "3", NULL};
    struct process_setup setup = {.options = options};
    struct process process;
    (void)state;
    process_start(&process, &setup);
    struct kong_load_options wanted = {.path = process.path,
                                       .protocol = PROTOCOL_PROTOBUF,
                                       .threads = 6,
                                       .mode = "wait",
                                       .instances = 50};
    struct kong_load *load = kong_load_start(&wanted);
    for (int i = 0; i < 3; i++) {
        kong_load_wait(load, kong_load_counts(load).events + 500);
        pid_t child = process_child(process.pid, PATIENCE_MS);
        kill(child, SIGKILL);
        assert_true(process_gone(child, PATIENCE_MS));
    }
    kong_load_wait(load, kong_load_counts(load).events + 500);
    struct kong_load_counts counts = kong_load_stop(load);
    assert_int_equal(counts.lost, 0);
    assert_int_equal(counts.refused, 0);
    assert_true(counts.retried > 0 && counts.hit <= 3 * 6);
    assert_says(&process, "was killed by signal 9");
    assert_orderly(process_end(&process, SIGTERM));
}

/* The process that started it is gone: all threads drain. */
static void an_orphan_ends(void **state) {
    const char *const options[] = {"--watch-parent", "yes", "--threads", "2",
                                   "--supervise",    "no",  NULL};
    struct process_setup setup = {.options = options, .as_kong = true};
    struct process process;
    struct kong_peer peer;
    (void)state;
    process_start(&process, &setup);
    kong_peer_open(&peer, &process, PROTOCOL_PROTOBUF);
    kong_peer_serves(&peer);
    kill(process.starter, SIGKILL);
    assert_true(process_gone(process.pid, PATIENCE_MS));
    assert_int_equal(access(process.path, F_OK), -1);
    kong_peer_close(&peer);
    process_end(&process, 0);
}

int main(int argc, char **argv) {
    int status;
    if (process_serves(argc, argv, &status)) {
        return status;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_thread_that_hangs_holds_up_no_other),
        cmocka_unit_test(a_fault_names_its_handler),
        cmocka_unit_test(a_death_under_load),
        cmocka_unit_test(an_orphan_ends),
    };
    return cmocka_run_group_tests_name("test_threads_supervised", tests, NULL, NULL);
}
