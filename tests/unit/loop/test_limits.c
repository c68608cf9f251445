/* What a peer must not be able to do to a server, seen from outside: each attempt is refused with
 * an error that names the limit and the value, the server's memory stays within 64 MiB, and another
 * connection, which has been there all the time, is served. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "process_peer.h"
#include "protobuf_rpc.h"

#define MOST_GROWTH_KIB (64 << 10)

struct bench {
    struct process process;
    struct kong_peer other; /* the one that must not notice */
    long memory_kib;        /* at the beginning */
};

static void begin(struct bench *bench, const char *const *options) {
    struct process_setup setup = {.options = options};
    process_start(&bench->process, &setup);
    kong_peer_open(&bench->other, &bench->process, PROTOCOL_PROTOBUF);
    kong_peer_serves(&bench->other);
    bench->memory_kib = process_figure(bench->process.pid, "VmRSS");
}

/* The most that it ever had, above what it had at the beginning. */
static void check(struct bench *bench, const char *what) {
    long growth = process_figure(bench->process.pid, "VmHWM") - bench->memory_kib;
    print_message("  %s: at most %ld KiB more\n", what, growth);
    if (!process_is_padded()) {
        assert_true(growth <= MOST_GROWTH_KIB);
    }
    kong_peer_serves(&bench->other);
    assert_int_equal(sim_client_counts(bench->other.client)->connections, 1);
}

static void end(struct bench *bench) {
    kong_peer_close(&bench->other);
    assert_orderly(process_end(&bench->process, SIGTERM));
}

/* Sends bytes over a connection of their own and waits for its end. */
static void refused(struct bench *bench, const void *bytes, size_t len, const char *says) {
    int fd = raw_connect(&bench->process);
    assert_true(fd >= 0);
    for (size_t sent = 0; sent < len;) {
        ssize_t n = send(fd, (const char *)bytes + sent, len - sent, MSG_NOSIGNAL);
        if (n <= 0) {
            break; /* closed before it was read to its end */
        }
        sent += (size_t)n;
    }
    assert_true(raw_closed(fd, PATIENCE_MS));
    close(fd);
    assert_says(&bench->process, says);
}

/* --- Messages --- */

#define MSGPACK_CALL "\x94\x00\x01\xb2plugin.HandleEvent"

static void hostile_messages(void **state) {
    struct bench bench;
    static const char bomb[] = MSGPACK_CALL "\xdd\x04\x00\x00\x00";
    static const char text[] = MSGPACK_CALL "\xdb\x7f\xff\xff\xff";
    static const char length[] = "\xff\xff\xff\xff";
    static const char first[] = "\x01\x00\x80\x00";
    static char deep[10000 + sizeof MSGPACK_CALL];
    (void)state;
    begin(&bench, NULL);
    refused(&bench, bomb, sizeof bomb - 1, "message of 67108868 elements, limit 1048576");
    check(&bench, "five bytes of MessagePack that announce an array of 67 million");
    refused(&bench, text, sizeof text - 1, "message of at least 2147483");
    check(&bench, "a MessagePack string of 2 GiB announced");
    refused(&bench, length, sizeof length - 1, "frame of 4294967295 bytes, limit 8388608");
    check(&bench, "a frame of 4 GiB announced");
    refused(&bench, first, sizeof first - 1, "frame of 8388609 bytes, limit 8388608");
    memcpy(deep, MSGPACK_CALL, sizeof MSGPACK_CALL - 1);
    memset(deep + sizeof MSGPACK_CALL - 1, 0x91, 10000);
    refused(&bench, deep, sizeof deep - 1, "message nested deeper than 36 levels");
    check(&bench, "MessagePack nested 10,000 deep");
    end(&bench);
}

static void frame_limit_is_an_option(void **state) {
    static const char *const options[] = {"--max-frame", "4K", NULL};
    struct bench bench;
    (void)state;
    begin(&bench, options);
    refused(&bench, "\x01\x10\x00\x00", 4, "frame of 4097 bytes, limit 4096");
    check(&bench, "--max-frame 4K");
    end(&bench);
}

/* --- A Value nested 10,000 deep, as Kong's answer to a PDK call --- */

static size_t put_varint(uint8_t *at, size_t value) {
    size_t len = 0;
    do {
        at[len++] = (uint8_t)((value & 0x7f) | (value > 0x7f ? 0x80 : 0));
        value >>= 7;
    } while (value > 0);
    return len;
}

/* Value { list_value (6): ListValue { values (1): Value … } }, built from the inside. `at` is the
 * end of the memory; returns the beginning. */
static uint8_t *put_nested(uint8_t *end_of_memory, size_t depth) {
    uint8_t *at = end_of_memory;
    for (size_t i = 0; i < 2 * depth; i++) {
        uint8_t head[12];
        head[0] = i % 2 == 0 ? 1 << 3 | 2 : 6 << 3 | 2;
        size_t len = 1 + put_varint(head + 1, (size_t)(end_of_memory - at));
        at -= len;
        memcpy(at, head, len);
    }
    return at;
}

static void read_exactly(int fd, void *data, size_t len) {
    assert_int_equal(recv(fd, data, len, MSG_WAITALL), len);
}

static size_t read_frame(int fd, char *data, size_t size) {
    uint8_t length[4];
    read_exactly(fd, length, 4);
    size_t len = length[0] | (size_t)length[1] << 8 | (size_t)length[2] << 16;
    assert_true(len < size);
    read_exactly(fd, data, len);
    data[len] = '\0';
    return len;
}

static void send_frame(int fd, const void *data, size_t len) {
    const uint8_t length[4] = {(uint8_t)len, (uint8_t)(len >> 8), (uint8_t)(len >> 16), 0};
    assert_int_equal(send(fd, length, 4, MSG_NOSIGNAL), 4);
    assert_int_equal(send(fd, data, len, MSG_NOSIGNAL), len);
}

static void value_nested_deep(void **state) {
    static uint8_t memory[200000];
    char data[1024];
    struct bench bench;
    struct buffer call;
    (void)state;
    begin(&bench, NULL);
    int64_t id = kong_peer_start(&bench.other, "{\"mode\":\"value\"}");
    int fd = raw_connect(&bench.process);
    buffer_init(&call, 4096);
    assert_int_equal(protobuf_encode_call(&call, &(struct rpc_call){.command = RPC_HANDLE_EVENT,
                                                                    .sequence = 1,
                                                                    .instance_id = id,
                                                                    .event = kong_str("access")}),
                     CODEC_OK);
    assert_int_equal(send(fd, call.data, call.len, MSG_NOSIGNAL), call.len);
    buffer_free(&call);
    read_frame(fd, data, sizeof data);
    assert_string_equal(data, "kong.ctx.shared.get");
    read_frame(fd, data, sizeof data);
    uint8_t *nested = put_nested(memory + sizeof memory, 10000);
    send_frame(fd, nested, (size_t)(memory + sizeof memory - nested));
    /* The handler fails, the request goes on: log.err and the end. */
    read_frame(fd, data, sizeof data);
    assert_string_equal(data, "kong.log.err");
    read_frame(fd, data, sizeof data);
    assert_non_null(strstr(data + 4, "hurt: access failed: "));
    print_message("  Kong is told \"%s\"\n", strstr(data + 4, "hurt: "));
    assert_non_null(strstr(data + 4, "limit: nesting 32"));
    assert_int_equal(read_frame(fd, data, sizeof data), 0);
    close(fd);
    assert_says(&bench.process, "access failed: ");
    check(&bench, "a google.protobuf.Value nested 10,000 deep");
    end(&bench);
}

/* --- Configurations --- */

static char *repeated(const char *head, const char *piece, size_t count, const char *tail) {
    size_t each = strlen(piece);
    char *text = malloc(strlen(head) + each * count + strlen(tail) + 1);
    assert_non_null(text);
    char *at = stpcpy(text, head);
    for (size_t i = 0; i < count; i++) {
        at = stpcpy(at, piece);
    }
    stpcpy(at, tail);
    return text;
}

static void hostile_configurations(void **state) {
    struct bench bench;
    struct sim_event event;
    (void)state;
    begin(&bench, NULL);
    static const struct {
        const char *head, *piece;
        size_t count;
        const char *tail, *says;
    } each[] = {
        {"", "[", 500000, "", "nested deeper than 32"},
        {"{\"text\":", "[", 500000, "", "nested deeper than 32"},
        {"{\"text\":", "{\"a\":", 200000, "", "nested deeper than 32"},
        {"{\"text\":[0", ",0", 500000, "]}", "500003 elements, limit 131072"},
        {"{\"text\":[{}", ",{}", 300000, "]}", " elements, limit 131072"},
        {"{\"text\":\"", "xx", 1000000, "\"}", "2000011 bytes, limit 1048576 (--max-config)"},
    };
    for (size_t i = 0; i < sizeof each / sizeof *each; i++) {
        char *config = repeated(each[i].head, each[i].piece, each[i].count, each[i].tail);
        int64_t id = kong_peer_start(&bench.other, config);
        free(config);
        kong_peer_event(&bench.other, id, &event);
        assert_int_equal(event.outcome, SIM_EVENT_OK);
        assert_int_equal(bench.other.pdk->log_count, 1);
        assert_non_null(strstr(bench.other.pdk->logs[0].text.data, each[i].says));
        assert_says(&bench.process, each[i].says);
        check(&bench, each[i].says);
    }
    end(&bench);
}

/* --- A peer that does not read --- */

static void peer_that_does_not_read(void **state) {
    static const char *const options[] = {"--event-timeout", "1", NULL};
    struct bench bench;
    struct buffer call;
    size_t sent = 0;
    (void)state;
    begin(&bench, options);
    int fd = raw_connect(&bench.process);
    assert_true(fd >= 0);
    buffer_init(&call, 4096);
    assert_int_equal(protobuf_encode_call(&call, &(struct rpc_call){.command = RPC_PLUGIN_INFO,
                                                                    .sequence = 1,
                                                                    .name = kong_str("hurt")}),
                     CODEC_OK);
    /* Until the server stops reading. */
    for (int idle = 0; idle < 20;) {
        ssize_t n = send(fd, call.data, call.len, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n == (ssize_t)call.len) {
            sent += call.len;
            idle = 0;
        } else {
            assert_true(n < 0); /* never by half: it is small */
            idle++;
            pause_ms(10);
        }
        assert_true(sent < (size_t)64 << 20);
        if (n < 0 && errno != EAGAIN) {
            break; /* dropped */
        }
    }
    buffer_free(&call);
    print_message("  it took %zu bytes of requests\n", sent);
    check(&bench, "a peer that does not read");
    assert_says(&bench.process, "connection dropped: its peer has taken none of ");
    assert_says(&bench.process, "for 1000 ms (limit: --event-timeout)");
    char byte;
    struct timeval patience = {.tv_sec = 60};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    while (recv(fd, &byte, 1, 0) > 0) {
    }
    assert_true(errno != EAGAIN);
    close(fd);
    check(&bench, "… once it is dropped");
    end(&bench);
}

/* --- Too many --- */

static void too_many_connections(void **state) {
    static const char *const options[] = {"--max-connections", "3", NULL};
    struct bench bench;
    struct kong_peer late;
    (void)state;
    begin(&bench, options); /* one */
    int two = raw_connect(&bench.process);
    int three = raw_connect(&bench.process);
    assert_true(two >= 0 && three >= 0);
    pause_ms(100);
    assert_int_equal(process_count(&bench.process, "connections, limit"), 0);
    int four = raw_connect(&bench.process);
    assert_true(four >= 0); /* it waits */
    assert_says(&bench.process, "3 connections, limit 3: others wait (--max-connections)");
    check(&bench, "--max-connections 3");
    close(four);
    close(three);
    kong_peer_open(&late, &bench.process, PROTOCOL_MSGPACK);
    kong_peer_serves(&late);
    kong_peer_close(&late);
    close(two);
    end(&bench);
}

/* From another process: valgrind keeps a limit that a process sets for itself to itself. */
static void limit_descriptors(rlim_t most, rlim_t at_most) {
    const struct rlimit limit = {most, at_most};
    pid_t process = getpid();
    pid_t child = fork();
    if (child == 0) {
        _exit(prlimit(process, RLIMIT_NOFILE, &limit, NULL) == 0 ? 0 : 1);
    }
    waitpid(child, NULL, 0);
}

static void few_descriptors(void) {
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit_descriptors(64, limit.rlim_max);
}

static void few_descriptors_for_ever(void) {
    limit_descriptors(200, 200);
}

/* How many descriptors the process may have. */
static unsigned long descriptors_of(pid_t pid) {
    char path[64], line[256];
    unsigned long most = 0;
    snprintf(path, sizeof path, "/proc/%d/limits", (int)pid);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    while (fgets(line, sizeof line, file) != NULL) {
        sscanf(line, "Max open files %lu", &most);
    }
    fclose(file);
    return most;
}

/* As many as its connections and it itself need, or as it may have. */
static void descriptors_for_all(void **state) {
    static const char *const options[] = {"--max-connections", "500", NULL};
    struct process_setup setup = {.options = options, .prepare = few_descriptors};
    struct process process;
    (void)state;
    process_start(&process, &setup);
    assert_int_equal(descriptors_of(process.pid), 500 + 64 + 8);
    assert_orderly(process_end(&process, SIGTERM));
    setup.prepare = few_descriptors_for_ever;
    process_start(&process, &setup);
    assert_int_equal(descriptors_of(process.pid), 200);
    assert_orderly(process_end(&process, SIGTERM));
}

static void too_many_instances(void **state) {
    static const char *const options[] = {"--max-instances", "2", NULL};
    struct bench bench;
    (void)state;
    begin(&bench, options);
    int64_t first = kong_peer_start(&bench.other, "{}");
    int64_t second = kong_peer_start(&bench.other, "{}");
    int64_t third = kong_peer_start(&bench.other, "{}");
    assert_says(&bench.process, "2 instances, limit 2");
    /* Kong starts it again when it needs it. */
    assert_int_equal(kong_peer_event(&bench.other, first, NULL), SIM_EVENT_NO_INSTANCE);
    assert_int_equal(kong_peer_event(&bench.other, second, NULL), SIM_EVENT_OK);
    assert_int_equal(kong_peer_event(&bench.other, third, NULL), SIM_EVENT_OK);
    end(&bench);
}

struct slow {
    struct kong_peer peer;
    int64_t id;
    pthread_t thread;
    enum sim_event_outcome outcome;
};

static void *run_slow(void *arg) {
    struct slow *slow = arg;
    slow->outcome = sim_client_event(slow->peer.client, slow->id, "access", NULL);
    return NULL;
}

static void too_many_events(void **state) {
    static const char *const options[] = {"--max-events", "2", NULL};
    struct slow slow[2];
    struct sim_event event;
    struct bench bench;
    (void)state;
    begin(&bench, options);
    for (int i = 0; i < 2; i++) {
        kong_peer_open(&slow[i].peer, &bench.process, PROTOCOL_PROTOBUF);
        slow[i].id = kong_peer_start(&slow[i].peer, "{\"mode\":\"sleep\",\"ms\":2000}");
        assert_int_equal(pthread_create(&slow[i].thread, NULL, run_slow, &slow[i]), 0);
    }
    assert_at_work(&bench.process, 2);
    kong_peer_event(&bench.other, kong_peer_start(&bench.other, "{}"), &event);
    assert_int_equal(event.outcome, SIM_EVENT_OK); /* without the plugin */
    assert_string_equal(bench.other.pdk->logs[0].text.data,
                        "hurt: too many events at work: limit 2 (--max-events)");
    for (int i = 0; i < 2; i++) {
        pthread_join(slow[i].thread, NULL);
        assert_int_equal(slow[i].outcome, SIM_EVENT_OK);
        kong_peer_close(&slow[i].peer);
    }
    check(&bench, "--max-events 2");
    end(&bench);
}

int main(int argc, char **argv) {
    int status;
    if (process_serves(argc, argv, &status)) {
        return status;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hostile_messages),        cmocka_unit_test(frame_limit_is_an_option),
        cmocka_unit_test(value_nested_deep),       cmocka_unit_test(hostile_configurations),
        cmocka_unit_test(peer_that_does_not_read), cmocka_unit_test(too_many_connections),
        cmocka_unit_test(descriptors_for_all),     cmocka_unit_test(too_many_instances),
        cmocka_unit_test(too_many_events),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
