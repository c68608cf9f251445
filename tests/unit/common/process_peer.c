#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "process_peer.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

double seconds_now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

void pause_ms(long ms) {
    nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000}, NULL);
}

void kong_peer_open(struct kong_peer *peer, const struct process *process, enum protocol protocol) {
    peer->pdk = sim_pdk_create();
    assert_non_null(peer->pdk);
    struct sim_client_options options = {.protocol = protocol,
                                         .connect = sim_connect_unix,
                                         .connect_ctx = (char *)(uintptr_t)process->path,
                                         .pdk = sim_pdk_call,
                                         .pdk_ctx = peer->pdk,
                                         .timeout_ms = PATIENCE_MS};
    peer->client = sim_client_create(&options);
    assert_non_null(peer->client);
}

void kong_peer_close(struct kong_peer *peer) {
    sim_client_destroy(peer->client);
    sim_pdk_destroy(peer->pdk);
}

int64_t kong_peer_start(struct kong_peer *peer, const char *config) {
    int64_t id = 0;
    assert_int_equal(sim_client_start(peer->client, "hurt", config, &id), SIM_EVENT_OK);
    return id;
}

enum sim_event_outcome kong_peer_event(struct kong_peer *peer, int64_t id,
                                       struct sim_event *event) {
    assert_true(sim_pdk_reset(peer->pdk));
    assert_true(sim_pdk_set_request(peer->pdk, "GET", "/p"));
    return sim_client_event(peer->client, id, "access", event);
}

void kong_peer_serves(struct kong_peer *peer) {
    int64_t id = kong_peer_start(peer, "{}");
    assert_int_equal(kong_peer_event(peer, id, NULL), SIM_EVENT_OK);
    assert_non_null(headers_find(&peer->pdk->client.headers, kong_str("X-Pid")));
    assert_int_equal(sim_client_stop(peer->client, id), SIM_EVENT_OK);
}

int raw_connect(const struct process *process) {
    return sim_connect_unix((char *)(uintptr_t)process->path);
}

bool raw_closed(int fd, int timeout_ms) {
    char bytes[4096];
    double deadline = seconds_now() + timeout_ms / 1e3;
    for (;;) {
        struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
        int left = (int)((deadline - seconds_now()) * 1e3);
        if (poll(&poll_fd, 1, left < 0 ? 0 : left) <= 0) {
            return false;
        }
        if (recv(fd, bytes, sizeof bytes, 0) <= 0) {
            return true;
        }
    }
}

void assert_says(struct process *process, const char *text) {
    if (!process_says(process, text, PATIENCE_MS)) {
        fail_msg("it does not say \"%s\", but: %s", text, process->said);
    }
}

void assert_at_work(struct process *process, size_t handlers) {
    for (int i = 0; i < PATIENCE_MS && process_count(process, HURT_AT_WORK) < handlers; i++) {
        pause_ms(1);
    }
    assert_true(process_count(process, HURT_AT_WORK) >= handlers);
}

void assert_orderly(int status) {
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        fail_msg("ended with status %#x", (unsigned)status);
    }
}
