/* What peers notice of the death of a supervised process: their connections, and the socket. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "kong_load.h"
#include "process_peer.h"

static const char *const supervised[] = {"--supervise", "yes", NULL};
static const char *const for_2_8[] = {"--supervise", "yes", "--kong-version", "2.8", NULL};

static void kill_child(const struct process *process, int number) {
    pid_t child = process_child(process->pid, PATIENCE_MS);
    assert_true(child > 0); /* 0 is the tests themselves */
    kill(child, number);
}

static void fail_closed(void) {
    setenv("HURT_ON_ERROR", "closed", 1);
}

static void begin_as(struct process *process, struct kong_peer *peer, enum protocol protocol,
                     bool closed) {
    struct process_setup setup = {.options = supervised, .prepare = closed ? fail_closed : NULL};
    process_start(process, &setup);
    kong_peer_open(peer, process, protocol);
    kong_peer_serves(peer);
}

static void begin(struct process *process, struct kong_peer *peer) {
    begin_as(process, peer, PROTOCOL_PROTOBUF, false);
}

static void end(struct process *process, struct kong_peer *peer) {
    kong_peer_close(peer);
    assert_orderly(process_end(process, SIGTERM));
}

/* The child's only loop has answered somebody else since: it has done all there was to do for
 * connections that it answered before. */
static void settle(const struct process *process) {
    struct kong_peer other;
    kong_peer_open(&other, process, PROTOCOL_PROTOBUF);
    kong_peer_serves(&other);
    kong_peer_close(&other);
}

/* --- What Kong waits for when the child dies --- */

struct request {
    struct kong_peer *peer;
    const char *config;
    int64_t id; /* of the instance that an event is for; 0: start one */
    pthread_t thread;
    struct sim_event event;
};

static void *run_request(void *arg) {
    struct request *request = arg;
    if (request->id == 0) {
        request->event.outcome =
            sim_client_start(request->peer->client, "hurt", request->config, &request->id);
    } else {
        kong_peer_event(request->peer, request->id, &request->event);
    }
    return NULL;
}

static void begin_request(struct request *request) {
    assert_int_equal(pthread_create(&request->thread, NULL, run_request, request), 0);
}

static enum sim_event_outcome end_request(struct request *request) {
    assert_int_equal(pthread_join(request->thread, NULL), 0);
    return request->event.outcome;
}

/* A request that the dead child had not read is answered by the next one, over the same connection.
 * A StartInstance: Kong does not send that again, whatever it reads. */
static void unread_request(void **state) {
    struct process process;
    struct kong_peer peer;
    (void)state;
    begin(&process, &peer);
    size_t connections = sim_client_counts(peer.client)->connections;
    struct request request = {.peer = &peer, .config = "{\"mode\":\"ok\"}"};
    settle(&process);
    kill_child(&process, SIGSTOP);
    begin_request(&request);
    pause_ms(100); /* it is written, most likely: the outcome is the same if not */
    kill_child(&process, SIGKILL);
    assert_int_equal(end_request(&request), SIM_EVENT_OK);
    assert_int_equal(sim_client_counts(peer.client)->connections, connections);
    assert_int_equal(kong_peer_event(&peer, request.id, NULL), SIM_EVENT_OK);
    assert_says(&process, "was killed by signal 9");
    end(&process, &peer);
}

/* What Kong reads as the end of an event whose server is gone, on ProtoBuf:1. "closed" would do for
 * Kong 3; 2.8 would go on without the plugin. */
#define GONE "no plugin instance: the server that had the event is gone"

/* One that it had read is Kong's to send again: it is told so, also in the middle of the event, and
 * behind a call that the kernel may take in pieces. */
static void request_at_work(void **state) {
    static char large[8192];
    static const char *const configs[] = {"{\"mode\":\"sleep\",\"ms\":60000}",
                                          "{\"mode\":\"wait-sleep\",\"ms\":60000}", large};
    snprintf(large, sizeof large,
             "{\"mode\":\"text-wait-sleep\",\"ms\":60000,\"text\":\"%06000d\"}", 0);
    struct process process;
    struct kong_peer peer;
    (void)state;
    for (size_t i = 0; i < sizeof configs / sizeof *configs; i++) {
        begin(&process, &peer);
        struct request request = {.peer = &peer, .id = kong_peer_start(&peer, configs[i])};
        begin_request(&request);
        assert_at_work(&process, 1);
        kill_child(&process, SIGKILL);
        assert_int_equal(end_request(&request), SIM_EVENT_NO_INSTANCE);
        assert_string_equal(request.event.text, "method \"" GONE "\" not found");
        kong_peer_serves(&peer);
        end(&process, &peer);
    }
}

/* On MsgPack:1 it is told over the same connection, however the plugin fails. */
static void msgpack_event_at_work(void **state) {
    struct process process;
    struct kong_peer peer;
    (void)state;
    for (int closed = 0; closed < 2; closed++) {
        begin_as(&process, &peer, PROTOCOL_MSGPACK, closed);
        struct request request = {
            .peer = &peer, .id = kong_peer_start(&peer, "{\"mode\":\"sleep\",\"ms\":60000}")};
        size_t connections = sim_client_counts(peer.client)->connections;
        begin_request(&request);
        assert_at_work(&process, 1);
        kill_child(&process, SIGKILL);
        assert_int_equal(end_request(&request), SIM_EVENT_NO_INSTANCE);
        assert_string_equal(request.event.text, "no plugin instance: the server process died while "
                                                "this event was at work");
        kong_peer_serves(&peer);
        assert_int_equal(sim_client_counts(peer.client)->connections, connections);
        end(&process, &peer);
    }
}

struct killer {
    const struct process *process;
    struct sim_pdk *pdk;
    unsigned kills;
};

/* A sim_pdk_fn: the server process dies while Kong carries out its first call. */
static int kill_first(void *ctx, const struct pdk_method *method, struct kong_str name,
                      const struct kong_value *args, size_t count, struct arena *arena,
                      struct kong_value *result) {
    struct killer *killer = ctx;
    if (killer->kills++ == 0) {
        pid_t child = process_child(killer->process->pid, PATIENCE_MS);
        kill_child(killer->process, SIGKILL);
        assert_true(process_gone(child, PATIENCE_MS));
    }
    return sim_pdk_call(killer->pdk, method, name, args, count, arena, result);
}

/* The next child has no event to the Step of one that the dead child had: it starts anew. */
static void msgpack_step_of_the_dead(void **state) {
    struct process process;
    (void)state;
    for (int closed = 0; closed < 2; closed++) {
        struct kong_peer peer;
        begin_as(&process, &peer, PROTOCOL_MSGPACK, closed);
        struct killer killer = {.process = &process, .pdk = peer.pdk};
        struct sim_client_options options = {.protocol = PROTOCOL_MSGPACK,
                                             .connect = sim_connect_unix,
                                             .connect_ctx = process.path,
                                             .pdk = kill_first,
                                             .pdk_ctx = &killer,
                                             .timeout_ms = PATIENCE_MS};
        struct sim_client *client = sim_client_create(&options);
        struct sim_event event;
        int64_t id = 0;
        assert_non_null(client);
        assert_int_equal(sim_client_start(client, "hurt", "{\"mode\":\"wait\"}", &id),
                         SIM_EVENT_OK);
        assert_true(sim_pdk_reset(peer.pdk) && sim_pdk_set_request(peer.pdk, "GET", "/p"));
        assert_int_equal(sim_client_event(client, id, "access", &event), SIM_EVENT_NO_INSTANCE);
        assert_string_equal(event.text,
                            "no plugin instance: the server that had the event is gone");
        assert_int_equal(killer.kills, 1);
        assert_int_equal(sim_client_start(client, "hurt", "{\"mode\":\"wait\"}", &id),
                         SIM_EVENT_OK);
        assert_int_equal(sim_client_event(client, id, "access", &event), SIM_EVENT_OK);
        sim_client_destroy(client);
        end(&process, &peer);
    }
}

/* More than there is room for messages to a supervisor that takes none. */
#define MANY_NEW 400

/* A supervisor that has no time to take what its child says (a busy machine): a connection is not
 * accepted before it can be kept. One that is not kept ends with the child, and on MsgPack:1 its
 * request would pass a plugin that fails closed. */
static void supervisor_is_behind(void **state) {
    struct process process;
    struct kong_peer peer;
    struct kong_peer late;
    int fds[MANY_NEW];
    (void)state;
    begin_as(&process, &peer, PROTOCOL_MSGPACK, true);
    kong_peer_open(&late, &process, PROTOCOL_MSGPACK);
    struct request request = {.peer = &late,
                              .id = kong_peer_start(&peer, "{\"mode\":\"sleep\",\"ms\":60000}")};
    kill(process.pid, SIGSTOP);
    for (size_t i = 0; i < MANY_NEW; i++) {
        fds[i] = raw_connect(&process);
    }
    begin_request(&request);
    kill(process.pid, SIGCONT);
    settle(&process); /* the connection was accepted: later ones are */
    assert_at_work(&process, 1);
    kill_child(&process, SIGKILL);
    assert_int_equal(end_request(&request), SIM_EVENT_NO_INSTANCE);
    for (size_t i = 0; i < MANY_NEW; i++) {
        assert_true(fds[i] >= 0);
        close(fds[i]);
    }
    kong_peer_close(&late);
    end(&process, &peer);
}

/* Of a StartInstance at work the answer is an instance that nobody has: Kong's next event with it
 * starts another. An error would be a 500 for all who wait for it. */
static void start_at_work(void **state) {
    static const enum protocol protocols[] = {PROTOCOL_PROTOBUF, PROTOCOL_MSGPACK};
    struct process process;
    struct kong_peer peer;
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        begin_as(&process, &peer, protocols[i], false);
        struct request request = {.peer = &peer, .config = "{\"mode\":\"configure-hang\"}"};
        begin_request(&request);
        assert_at_work(&process, 1);
        kill_child(&process, SIGKILL);
        assert_int_equal(end_request(&request), SIM_EVENT_OK);
        assert_int_equal(request.id, -1);
        assert_int_equal(kong_peer_event(&peer, request.id, NULL), SIM_EVENT_NO_INSTANCE);
        kong_peer_serves(&peer);
        end(&process, &peer);
    }
}

/* Half of a message, of which the dead child knew whose it is. On ProtoBuf:1 (Kong 2.8) a short one
 * is for an event: Kong writes its length first. */
static void half_a_message(void **state) {
    static const uint8_t step[] = "\x94\x00\x07\xabplugin.Step\x91\x82\xa7"
                                  "EventId\x01\xa4"
                                  "Data\xc5\xff\xff!";
    static const uint8_t start[] = "\x94\x00\x08\xb4plugin.StartInstance\x91\x82\xa6"
                                   "Config\xc5\xff\xff!";
    static const struct {
        const uint8_t *bytes;
        size_t len;
        const char *answer;
        size_t answer_len;
    } cases[] = {{step, sizeof step - 1, "\x94\x01\x07\xd9\x48no plugin instance:", 24},
                 {start, sizeof start - 1, "\x94\x01\x08\xc0\x84\xa4Name\xa4hurt\xa2Id\xff", 19},
                 {(const uint8_t *)"\x0c\0\0\0", 4, "\x39\0\0\0" GONE "\0\0\0\0", 65},
                 {(const uint8_t *)"\x0c\0\0\0\x08", 5, "\x39\0\0\0" GONE "\0\0\0\0", 65},
                 {(const uint8_t *)"\xff\0\0\0", 4, "", 0}};
    struct process process;
    struct kong_peer peer;
    (void)state;
    struct process_setup setup = {.options = for_2_8, .prepare = fail_closed};
    process_start(&process, &setup);
    kong_peer_open(&peer, &process, PROTOCOL_MSGPACK);
    kong_peer_serves(&peer);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int fd = raw_connect(&process);
        char out[256];
        size_t got = 0;
        ssize_t count;
        assert_true(fd >= 0);
        assert_int_equal(send(fd, cases[i].bytes, cases[i].len, MSG_NOSIGNAL), cases[i].len);
        settle(&process);
        kill_child(&process, SIGKILL);
        while ((count = recv(fd, out + got, sizeof out - got, 0)) > 0) {
            got += (size_t)count;
        }
        assert_int_equal(count, 0);
        assert_true(got >= cases[i].answer_len);
        assert_memory_equal(out, cases[i].answer, cases[i].answer_len);
        close(fd);
        kong_peer_serves(&peer);
    }
    end(&process, &peer);
}

/* Kong may still owe results of PDK calls that the dead child has posted: they come before its next
 * request, to another process. */
static void results_due(void **state) {
    struct process process;
    struct kong_peer peer;
    struct sim_event event;
    (void)state;
    begin(&process, &peer);
    sim_client_behaviour(peer.client)->late_answers = true;
    sim_client_behaviour(peer.client)->joined_answers = true;
    int64_t id = kong_peer_start(&peer, "{\"mode\":\"ok\"}");
    assert_int_equal(kong_peer_event(&peer, id, &event), SIM_EVENT_OK);
    assert_true(event.held > 0);
    settle(&process);
    size_t connections = sim_client_counts(peer.client)->connections;
    pid_t child = process_child(process.pid, PATIENCE_MS);
    kill_child(&process, SIGKILL);
    assert_true(process_gone(child, PATIENCE_MS));
    assert_int_equal(kong_peer_event(&peer, id, &event), SIM_EVENT_NO_INSTANCE);
    assert_int_equal(sim_client_counts(peer.client)->connections, connections);
    kong_peer_serves(&peer);
    end(&process, &peer);
}

/* Death after death with nothing asked in between: the connection goes through all of it. */
static void idle_connections(void **state) {
    struct process process;
    struct kong_peer peer;
    (void)state;
    begin(&process, &peer);
    size_t connections = sim_client_counts(peer.client)->connections;
    settle(&process);
    for (int i = 0; i < 3; i++) {
        pid_t child = process_child(process.pid, PATIENCE_MS);
        kill_child(&process, SIGKILL);
        assert_true(process_gone(child, PATIENCE_MS));
    }
    kong_peer_serves(&peer);
    assert_int_equal(sim_client_counts(peer.client)->connections, connections);
    end(&process, &peer);
}

/* A connection that the child closes is closed at once, and one that its peer closed is not kept:
 * the supervisor has no more descriptors than before (but that of `peer`, kept meanwhile). */
static void nothing_is_kept_for_ever(void **state) {
    struct process process;
    struct kong_peer peer;
    (void)state;
    begin(&process, &peer);
    size_t before = process_descriptors(process.pid);
    for (int i = 0; i < 50; i++) {
        int fd = raw_connect(&process);
        assert_true(fd >= 0);
        if (i % 2 == 0) {
            assert_int_equal(send(fd, "\xff\xff\xff\xff\xff", 5, MSG_NOSIGNAL), 5);
            assert_true(raw_closed(fd, PATIENCE_MS));
        }
        close(fd);
    }
    kong_peer_serves(&peer);
    for (int i = 0; process_descriptors(process.pid) > before + 1; i++) {
        assert_true(i < PATIENCE_MS / 10);
        pause_ms(10);
    }
    end(&process, &peer);
}

/* The path was taken away, and the child made the socket again: who connects when that child is
 * dead waits for the next one. */
static void socket_made_again(void **state) {
    struct process process;
    struct kong_peer peer;
    (void)state;
    begin(&process, &peer);
    assert_int_equal(unlink(process.path), 0);
    assert_says(&process, "made again");
    for (int i = 0; i < 2; i++) {
        pid_t child = process_child(process.pid, PATIENCE_MS);
        assert_true(child > 0);
        assert_int_equal(kill(child, SIGKILL), 0);
        assert_true(process_gone(child, PATIENCE_MS));
        int fd = raw_connect(&process);
        assert_true(fd >= 0);
        close(fd);
        kong_peer_serves(&peer);
    }
    assert_int_equal(process_count(&process, "made again"), 1);
    end(&process, &peer);
    assert_int_not_equal(access(process.path, F_OK), 0);
}

#define KILLS   4
#define THREADS 8

/* kill -9 of the child at 1,000 events/s: at most what is under way is hit; nobody is refused.
 * ProtoBuf: Kong tries again, so nothing is lost at all. */
static void killed_under(enum protocol protocol, bool kong_2_8) {
    struct process_setup setup = {.options = kong_2_8 ? for_2_8 : supervised};
    struct process process;
    process_start(&process, &setup);
    struct kong_load_options options = {.path = process.path,
                                        .protocol = protocol,
                                        .kong_2_8 = kong_2_8,
                                        .threads = THREADS,
                                        .rate = 1000,
                                        .mode = "wait"};
    double before = seconds_now();
    struct kong_load *load = kong_load_start(&options);
    for (int i = 0; i < KILLS; i++) {
        kong_load_wait(load, kong_load_counts(load).events + 300);
        kill_child(&process, SIGKILL);
    }
    kong_load_wait(load, kong_load_counts(load).events + 500);
    struct kong_load_counts counts = kong_load_stop(load);
    print_message("  %s: %llu events at %.0f/s, child killed %d times: %llu connections hit under "
                  "an event, %llu tried again, %llu lost (%llu by a reset), %llu refused\n",
                  protocol == PROTOCOL_PROTOBUF ? "ProtoBuf:1" : "MsgPack:1",
                  (unsigned long long)counts.events,
                  (double)counts.events / (seconds_now() - before), KILLS,
                  (unsigned long long)counts.hit, (unsigned long long)counts.retried,
                  (unsigned long long)counts.lost, (unsigned long long)counts.reset,
                  (unsigned long long)counts.refused);
    assert_int_equal(process_count(&process, "was killed by signal 9"), KILLS);
    assert_int_equal(counts.refused, 0);
    assert_int_equal(counts.reset, 0);
    assert_true(counts.hit <= KILLS * THREADS);
    if (protocol == PROTOCOL_PROTOBUF) {
        assert_int_equal(counts.lost, 0);
    } else {
        print_message("  the first that was lost: %s\n", counts.first);
        assert_true(counts.lost <= KILLS * THREADS);
    }
    assert_orderly(process_end(&process, SIGTERM));
}

static void killed_under_load(void **state) {
    killed_under(*(enum protocol *)*state, false);
}

static void killed_under_load_of_2_8(void **state) {
    (void)state;
    killed_under(PROTOCOL_PROTOBUF, true);
}

int main(int argc, char **argv) {
    static enum protocol protobuf = PROTOCOL_PROTOBUF;
    static enum protocol msgpack = PROTOCOL_MSGPACK;
    int status;
    if (process_serves(argc, argv, &status)) {
        return status;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(unread_request),
        cmocka_unit_test(request_at_work),
        cmocka_unit_test(msgpack_event_at_work),
        cmocka_unit_test(msgpack_step_of_the_dead),
        cmocka_unit_test(supervisor_is_behind),
        cmocka_unit_test(start_at_work),
        cmocka_unit_test(half_a_message),
        cmocka_unit_test(results_due),
        cmocka_unit_test(idle_connections),
        cmocka_unit_test(nothing_is_kept_for_ever),
        cmocka_unit_test(socket_made_again),
        cmocka_unit_test_prestate(killed_under_load, &protobuf),
        cmocka_unit_test_prestate(killed_under_load, &msgpack),
        cmocka_unit_test(killed_under_load_of_2_8),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
