/* The end of a server that still has connections: none is taken away under a request. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <libgen.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "frame.h"
#include "limit.h"
#include "msgpack_rpc.h"
#include "protobuf_rpc.h"
#include "rig.h"
#include "scratch.h"

#define PATIENCE_MS 10000

/* A peer that does what the test says, byte by byte. */
static int peer_connect(struct rig *rig) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    snprintf(address.sun_path, sizeof address.sun_path, "%s", sim_server_path(rig->server));
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

static void peer_send(int fd, const void *data, size_t len) {
    assert_int_equal(send(fd, data, len, MSG_NOSIGNAL), len);
}

static void peer_call(struct rig *rig, int fd, const struct rpc_call *call) {
    struct buffer out;
    buffer_init(&out, LIMIT_FRAME);
    if (rig->protocol == PROTOCOL_PROTOBUF) {
        assert_int_equal(protobuf_encode_call(&out, call), CODEC_OK);
    } else {
        assert_int_equal(msgpack_encode_call(&out, call), CODEC_OK);
    }
    peer_send(fd, out.data, out.len);
    buffer_free(&out);
}

static bool peer_sees_end(int fd, int timeout_ms) {
    struct pollfd poll_fd = {.fd = fd, .events = POLLRDHUP};
    return poll(&poll_fd, 1, timeout_ms) == 1 && (poll_fd.revents & POLLRDHUP) != 0;
}

/* One message after the other; what is left over stays in the peer's bytes. */
static void peer_read_reply(struct rig *rig, int fd, enum rpc_command asked,
                            struct rpc_reply *reply) {
    uint8_t data[4096];
    size_t have = 0;
    struct frame_reader reader;
    struct frame frame;
    struct codec_reason reason;
    size_t missing;
    int64_t pid;
    frame_reader_init(&reader, PROTOCOL_MSGPACK, LIMIT_FRAME);
    for (;;) {
        int rc;
        while ((rc = frame_next(&reader, data, have, LIMIT_FRAME, &frame, &missing, &reason)) ==
               0) {
            ssize_t count = recv(fd, data + have, sizeof data - have, 0);
            assert_true(count > 0);
            have += (size_t)count;
        }
        assert_int_equal(rc, 1);
        if (!msgpack_decode_server_pid(frame.data, frame.len, &pid)) {
            assert_int_equal(msgpack_decode_reply(&rig->arena, frame.data, frame.len, asked, reply),
                             CODEC_OK);
            assert_int_equal(frame.total, have);
            return;
        }
        have -= frame.total;
        memmove(data, data + frame.total, have);
    }
}

/* The server takes no new connection any more, and has begun to end those it has. */
static void begin_drain(struct rig *rig) {
    char path[sizeof(struct sockaddr_un)];
    snprintf(path, sizeof path, "%s", sim_server_path(rig->server));
    sim_server_ask(rig->server);
    for (int i = 0; access(path, F_OK) == 0; i++) {
        assert_true(i < PATIENCE_MS);
        usleep(1000);
    }
}

/* Kong is writing its next request when an idle connection ends: the write goes through, and Kong
 * reads an orderly end. */
static void idle_connection(void **state) {
    struct rig rig;
    char byte;
    rig_start(&rig, *(enum protocol *)*state, NULL);
    int fd = peer_connect(&rig);
    begin_drain(&rig);
    assert_true(peer_sees_end(fd, PATIENCE_MS));
    peer_call(&rig, fd,
              &(struct rpc_call){.command = RPC_CLOSE_INSTANCE, .sequence = 1, .instance_id = 1});
    assert_int_equal(recv(fd, &byte, 1, 0), 0);
    close(fd);
    rig_stop(&rig);
}

/* Kong 2.8 would go on without the plugin: it is told to send the event again. */
static void last_words(void **state) {
    static const char words[] =
        "\x39\0\0\0no plugin instance: the server that had the event is gone"
        "\0\0\0\0";
    struct rig rig;
    struct sim_server_options options = {.kong_2_8 = true};
    char data[256];
    size_t have = 0;
    ssize_t count;
    (void)state;
    rig_start(&rig, PROTOCOL_PROTOBUF, &options);
    int64_t id = rig_instance(&rig, "nothing", 1);
    int fd = peer_connect(&rig);
    peer_call(&rig, fd,
              &(struct rpc_call){.command = RPC_HANDLE_EVENT,
                                 .sequence = 9,
                                 .instance_id = id,
                                 .event = kong_str("access")});
    assert_int_equal(recv(fd, data, 10, MSG_WAITALL), 10);
    begin_drain(&rig);
    while ((count = recv(fd, data + have, sizeof data - have, 0)) > 0) {
        have += (size_t)count;
    }
    assert_int_equal(count, 0);
    assert_int_equal(have, sizeof words - 1);
    assert_memory_equal(data, words, have);
    close(fd);
    rig_stop(&rig);
}

/* What comes behind the end is not carried out: nobody would hear the answer, and Kong sends it
 * again or fails the request. */
static void event_behind_end(void **state) {
    struct rig rig;
    char byte;
    rig_start(&rig, *(enum protocol *)*state, NULL);
    int64_t id = rig_instance(&rig, "nothing", 1);
    int fd = peer_connect(&rig);
    begin_drain(&rig);
    assert_true(peer_sees_end(fd, PATIENCE_MS));
    unsigned started = rig_notes()->started;
    peer_call(&rig, fd,
              &(struct rpc_call){.command = RPC_HANDLE_EVENT,
                                 .sequence = 1,
                                 .instance_id = id,
                                 .event = kong_str("access")});
    while (recv(fd, &byte, 1, 0) > 0) { /* MsgPack:1: serverPid, perhaps */
    }
    close(fd);
    rig_stop(&rig);
    assert_int_equal(rig_notes()->started, started);
}

/* The end stands behind the answer before Kong has read it; Kong's late answers to what was posted
 * are still taken. While they are due the connection is not idle, so nothing else ends it. */
static void behind_return(void **state) {
    struct rig rig;
    static const uint8_t late[8]; /* two empty frames: set_header's and log.info's */
    uint8_t data[4096];
    size_t have = 0;
    ssize_t count;
    rig_start(&rig, *(enum protocol *)*state, NULL);
    int64_t id = rig_instance(&rig, "post", 1);
    int fd = peer_connect(&rig);
    begin_drain(&rig);
    peer_call(&rig, fd,
              &(struct rpc_call){.command = RPC_HANDLE_EVENT,
                                 .sequence = 9,
                                 .instance_id = id,
                                 .event = kong_str("access")});
    assert_true(peer_sees_end(fd, PATIENCE_MS));
    peer_send(fd, late, sizeof late);
    while ((count = recv(fd, data + have, sizeof data - have, 0)) > 0) {
        have += (size_t)count;
    }
    assert_int_equal(count, 0);
    static const uint8_t tail[] = {0, 0, 0, 0, 2, 0, 0, 0, 0x08, 9}; /* empty frame, RpcReturn */
    assert_true(have > sizeof tail);
    assert_memory_equal(data + have - sizeof tail, tail, sizeof tail);
    close(fd);
    rig_stop(&rig);
}

/* While an event needs more Steps no connection ends, for any of them might bring one. */
static void steps_to_come(void **state) {
    struct rig rig;
    struct rpc_reply reply;
    rig_start(&rig, *(enum protocol *)*state, NULL);
    int64_t id = rig_instance(&rig, "wait", 1);
    int fd = peer_connect(&rig);
    int other = peer_connect(&rig);
    begin_drain(&rig);
    peer_call(&rig, fd,
              &(struct rpc_call){.command = RPC_HANDLE_EVENT,
                                 .sequence = 1,
                                 .instance_id = id,
                                 .event = kong_str("access")});
    assert_int_equal(poll(&(struct pollfd){.fd = fd, .events = POLLIN}, 1, PATIENCE_MS), 1);
    peer_call(&rig, other,
              &(struct rpc_call){.command = RPC_CLOSE_INSTANCE, .sequence = 2, .instance_id = 1});
    assert_false(peer_sees_end(other, 100));
    assert_false(peer_sees_end(fd, 0)); /* its answer, a PDK call, stands there unread */
    peer_read_reply(&rig, fd, RPC_HANDLE_EVENT, &reply);
    assert_int_equal(reply.kind, RPC_REPLY_PDK_CALL);
    int steps = 0;
    while (reply.kind == RPC_REPLY_PDK_CALL) {
        assert_false(peer_sees_end(fd, 0));
        assert_true(++steps < 10);
        peer_call(&rig, fd,
                  &(struct rpc_call){.command = RPC_STEP,
                                     .sequence = 2 + steps,
                                     .event_id = reply.event_id,
                                     .data = kong_string("in")});
        peer_read_reply(&rig, fd, RPC_STEP, &reply);
    }
    assert_int_equal(reply.kind, RPC_REPLY_RETURN);
    assert_true(steps >= 1);
    assert_true(peer_sees_end(fd, PATIENCE_MS));
    assert_true(peer_sees_end(other, PATIENCE_MS));
    close(fd);
    close(other);
    rig_stop(&rig);
}

/* nginx throws a connection out of its pool when there are bytes on it that nobody asked for; when
 * it has taken it out for a request at that moment, the request is answered behind them. */
static void nudge(void **state) {
    struct rig rig;
    struct rpc_reply reply;
    uint8_t data[256];
    int64_t pid;
    rig_start(&rig, *(enum protocol *)*state, NULL);
    int fd = peer_connect(&rig);
    struct rpc_call call = {.command = RPC_CLOSE_INSTANCE, .sequence = 1, .instance_id = 1};
    peer_call(&rig, fd, &call);
    peer_read_reply(&rig, fd, RPC_CLOSE_INSTANCE, &reply);
    begin_drain(&rig);
    ssize_t count = recv(fd, data, sizeof data, 0);
    assert_true(count > 0);
    assert_true(msgpack_decode_server_pid(data, (size_t)count, &pid));
    assert_int_equal(pid, getpid());
    assert_false(peer_sees_end(fd, 0));
    call.sequence = 2;
    peer_call(&rig, fd, &call);
    peer_read_reply(&rig, fd, RPC_CLOSE_INSTANCE, &reply);
    assert_int_equal(reply.kind, RPC_REPLY_INSTANCE);
    assert_int_equal(reply.sequence, 2);
    close(fd);
    rig_stop(&rig);
}

/* One that has been idle for long is not ended together with those bytes: nginx may just have taken
 * it out, and on MsgPack:1 the request would pass the plugin. nginx has a second to close it. */
static void idle_for_long(void **state) {
    struct rig rig;
    struct rpc_reply reply;
    struct timespec begin, end;
    rig_start(&rig, *(enum protocol *)*state, NULL);
    int fd = peer_connect(&rig);
    struct rpc_call call = {.command = RPC_CLOSE_INSTANCE, .sequence = 1, .instance_id = 1};
    peer_call(&rig, fd, &call);
    peer_read_reply(&rig, fd, RPC_CLOSE_INSTANCE, &reply);
    usleep(1100000);
    clock_gettime(CLOCK_MONOTONIC, &begin);
    begin_drain(&rig);
    assert_true(peer_sees_end(fd, PATIENCE_MS));
    clock_gettime(CLOCK_MONOTONIC, &end);
    double ms =
        (double)(end.tv_sec - begin.tv_sec) * 1e3 + (double)(end.tv_nsec - begin.tv_nsec) / 1e6;
    assert_true(ms >= 900);
    close(fd);
    rig_stop(&rig);
}

/* One byte, and then nothing for a second: not worth the whole drain time-out. */
static void half_a_message(void **state) {
    struct rig rig;
    struct sim_server_options options = {.drain_ms = 60000};
    rig_start(&rig, *(enum protocol *)*state, &options);
    int fd = peer_connect(&rig);
    peer_send(fd, rig.protocol == PROTOCOL_MSGPACK ? "\x94" : "\4", 1);
    begin_drain(&rig);
    assert_true(peer_sees_end(fd, PATIENCE_MS));
    close(fd);
    rig_stop(&rig);
}

static _Atomic unsigned pauses; /* that the server makes for a lock: others are longer */

int nanosleep(const struct timespec *wanted, struct timespec *left) {
    pauses += wanted->tv_sec == 0 && wanted->tv_nsec == 2000000;
    return (int)syscall(SYS_nanosleep, wanted, left);
}

static _Atomic unsigned asleep;

static int sleep_on(struct kong *kong, const void *config) {
    (void)config;
    asleep++;
    return kong_sleep(kong, 60000);
}

static const struct kong_plugin sleepy_plugin = {.name = "rig",
                                                 .version = "1.0",
                                                 .on_error = KONG_FAIL_CLOSED,
                                                 .handlers = {[KONG_PHASE_ACCESS] = sleep_on}};

struct request {
    struct rig *rig;
    int64_t id;
    enum sim_event_outcome outcome;
};

static void *run_request(void *arg) {
    struct request *request = arg;
    struct sim_event event;
    request->outcome = sim_client_event(request->rig->client, request->id, "access", &event);
    return NULL;
}

/* An event that is given up at the drain time-out ends as its plugin says; on ProtoBuf:1 Kong sends
 * it again, to the next server. */
static void given_up(void **state) {
    struct rig rig;
    struct sim_server_options options = {.plugin = &sleepy_plugin, .drain_ms = 50};
    pthread_t thread;
    asleep = 0;
    rig_start(&rig, protocol_of(state), &options);
    rig_fresh(&rig);
    struct request request = {.rig = &rig};
    assert_int_equal(sim_client_start(rig.client, "rig", "{}", &request.id), SIM_EVENT_OK);
    assert_int_equal(pthread_create(&thread, NULL, run_request, &request), 0);
    while (asleep == 0) {
        usleep(1000);
    }
    sim_server_ask(rig.server);
    assert_int_equal(pthread_join(thread, NULL), 0);
    bool again = rig.protocol == PROTOCOL_PROTOBUF;
    assert_int_equal(request.outcome, again ? SIM_EVENT_CLOSED : SIM_EVENT_EXITED);
    assert_int_equal(rig.pdk->client.status, again ? 0 : 500);
    rig_stop(&rig);
}

/* Another process has the directory locked and does not let go: the loop never waits for it, and
 * the socket goes all the same. */
static void locked_directory(void **state) {
    struct rig rig;
    char path[sizeof(struct sockaddr_un)];
    rig_start(&rig, *(enum protocol *)*state, NULL);
    snprintf(path, sizeof path, "%s", sim_server_path(rig.server));
    int directory = open(dirname(path), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(flock(directory, LOCK_EX | LOCK_NB), 0);
    pauses = 0;
    begin_drain(&rig);
    assert_int_equal(pauses, 0);
    close(directory);
    rig_stop(&rig);
}

/* The same for the socket of the figures, in another directory. */
static void locked_metrics_directory(void **state) {
    struct rig rig;
    char directory[SCRATCH_PATH];
    char listen[SCRATCH_PATH + 16];
    assert_true(scratch_make(directory));
    snprintf(listen, sizeof listen, "unix:%s/figures", directory);
    struct sim_server_options options = {.metrics_listen = listen};
    rig_start(&rig, *(enum protocol *)*state, &options);
    assert_int_equal(access(listen + strlen("unix:"), F_OK), 0);
    int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(flock(fd, LOCK_EX | LOCK_NB), 0);
    pauses = 0;
    begin_drain(&rig);
    rig_stop(&rig);
    assert_int_equal(pauses, 0);
    close(fd);
    assert_true(scratch_remove_empty(directory));
}

int main(void) {
    static enum protocol protobuf = PROTOCOL_PROTOBUF;
    static enum protocol msgpack = PROTOCOL_MSGPACK;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_prestate(idle_connection, &protobuf),
        cmocka_unit_test_prestate(idle_connection, &msgpack),
        cmocka_unit_test(last_words),
        cmocka_unit_test_prestate(event_behind_end, &protobuf),
        cmocka_unit_test_prestate(event_behind_end, &msgpack),
        cmocka_unit_test_prestate(behind_return, &protobuf),
        cmocka_unit_test_prestate(steps_to_come, &msgpack),
        cmocka_unit_test_prestate(nudge, &msgpack),
        cmocka_unit_test_prestate(idle_for_long, &msgpack),
        cmocka_unit_test_prestate(locked_directory, &protobuf),
        cmocka_unit_test_prestate(locked_metrics_directory, &protobuf),
        cmocka_unit_test_prestate(given_up, &protobuf),
        cmocka_unit_test_prestate(given_up, &msgpack),
        cmocka_unit_test_prestate(half_a_message, &protobuf),
        cmocka_unit_test_prestate(half_a_message, &msgpack),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
