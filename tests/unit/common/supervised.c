#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "supervised.h"

#include <signal.h>
#include <stdio.h>

static const char *const supervised[] = {"--supervise", "yes", NULL};

void bench_open_client(struct supervised *bench) {
    bench->pdk = sim_pdk_create();
    assert_non_null(bench->pdk);
    struct sim_client_options options = {.protocol = PROTOCOL_PROTOBUF,
                                         .connect = sim_connect_unix,
                                         .connect_ctx = bench->process.path,
                                         .pdk = sim_pdk_call,
                                         .pdk_ctx = bench->pdk,
                                         .timeout_ms = PATIENCE_MS};
    bench->client = sim_client_create(&options);
    assert_non_null(bench->client);
}

void bench_begin(struct supervised *bench, const char *const *options) {
    struct process_setup setup = {.options = options == NULL ? supervised : options};
    process_start(&bench->process, &setup);
    bench_open_client(bench);
}

int bench_end(struct supervised *bench, int signal_number) {
    sim_client_destroy(bench->client);
    sim_pdk_destroy(bench->pdk);
    return process_end(&bench->process, signal_number);
}

int64_t bench_instance(struct supervised *bench, const char *mode) {
    char config[64];
    int64_t id = 0;
    snprintf(config, sizeof config, "{\"mode\":\"%s\",\"ms\":300}", mode);
    assert_int_equal(sim_client_start(bench->client, "hurt", config, &id), SIM_EVENT_OK);
    return id;
}

enum sim_event_outcome bench_event(struct supervised *bench, int64_t id, const char *phase) {
    assert_true(sim_pdk_reset(bench->pdk));
    assert_true(sim_pdk_set_request(bench->pdk, "GET", "/p"));
    return sim_client_event(bench->client, id, phase, NULL);
}

void bench_serves(struct supervised *bench) {
    assert_int_equal(bench_event(bench, bench_instance(bench, "ok"), "access"), SIM_EVENT_OK);
}

void process_kill_child(const struct process *process, int signal_number) {
    pid_t child = process_child(process->pid, PATIENCE_MS);
    assert_true(child > 0); /* 0 is the tests themselves */
    kill(child, signal_number);
}

static void *run_slow(void *arg) {
    struct slow *slow = arg;
    slow->outcome = sim_client_event(slow->bench->client, slow->id, "access", NULL);
    return NULL;
}

void slow_start(struct slow *slow) {
    struct process *process = &slow->bench->process;
    size_t before = process_count(process, HURT_AT_WORK);
    assert_int_equal(pthread_create(&slow->thread, NULL, run_slow, slow), 0);
    assert_at_work(process, before + 1);
}

void slow_begin(struct slow *slow, struct supervised *bench) {
    *slow = (struct slow){.bench = bench, .id = bench_instance(bench, "sleep")};
    slow_start(slow);
}

enum sim_event_outcome slow_end(struct slow *slow) {
    pthread_join(slow->thread, NULL);
    return slow->outcome;
}
