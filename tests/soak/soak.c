/* The server under mixed load for long: workers of Kong over both protocols whose configurations
 * change, and peers that misbehave; then the same supervised, beside requests that crash the server
 * process again and again. Memory (supervised: of the supervisor and of its children) and
 * descriptors must be flat after a warm-up, no event may be lost. SOAK_S: for how many seconds
 * each. SOAK_ONLY: "alone" or "supervised". */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "frame.h"
#include "kong_load.h"
#include "kong_retry.h"
#include "limit.h"
#include "msgpack_rpc.h"
#include "process_peer.h"

#define MOST_SAMPLES 86400
#define LOADS        4
#define TOO_MUCH     ((size_t)1 << 20) /* above --max-frame */

struct samples {
    size_t count;
    long rss_kib[MOST_SAMPLES];
    long child_kib[MOST_SAMPLES]; /* of the supervisor's child of the moment; 0: there was none */
    size_t descriptors[MOST_SAMPLES];
};

/* --- Peers that misbehave --- */

struct vandal {
    const struct process *process;
    pthread_t thread;
    _Atomic bool stop;
    uint64_t attempts;
};

static void say(int fd, const void *data, size_t len) {
    (void)!send(fd, data, len, MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* A call and its answer; false where the server is too busy, or the connection is gone. Not for
 * cmocka: this is another thread. */
static bool ask(int fd, const struct rpc_call *call, struct arena *arena, struct rpc_reply *reply) {
    struct buffer bytes;
    struct frame_reader reader;
    struct frame frame;
    struct codec_reason reason;
    size_t missing;
    int64_t pid;
    int rc = 0;
    buffer_init(&bytes, LIMIT_OUT);
    rc = msgpack_encode_call(&bytes, call);
    bool sent = rc == 0 && send(fd, bytes.data, bytes.len, MSG_NOSIGNAL) == (ssize_t)bytes.len;
    buffer_clear(&bytes, 0);
    frame_reader_init(&reader, PROTOCOL_MSGPACK, LIMIT_OUT);
    rc = 0;
    while (sent && rc == 0) {
        uint8_t piece[4096];
        ssize_t count = recv(fd, piece, sizeof piece, 0);
        sent = count > 0;
        buffer_append(&bytes, piece, sent ? (size_t)count : 0);
        while (sent &&
               (rc = frame_next(&reader, bytes.data, bytes.len, LIMIT_OUT, &frame, &missing,
                                &reason)) == 1 &&
               msgpack_decode_server_pid(frame.data, frame.len, &pid)) {
            buffer_consume(&bytes, frame.total);
        }
    }
    bool answered =
        rc == 1 && msgpack_decode_reply(arena, frame.data, frame.len, call->command, reply) == 0;
    buffer_free(&bytes);
    return answered;
}

/* An event whose answer is over a limit, by its size or its nesting. */
static void answer_too_much(int fd, bool deep) {
    static uint8_t text[TOO_MUCH];
    static const uint8_t head[] = "\x94\x00\x09\xabplugin.Step\x91\x82\xa7"
                                  "EventId\xcf........\xa4"
                                  "Data";
    struct arena arena;
    struct rpc_reply reply = {.kind = RPC_REPLY_ERROR};
    struct rpc_call start = {.command = RPC_START_INSTANCE,
                             .name = kong_str("hurt"),
                             .config = kong_str("{\"mode\":\"value\"}")};
    const struct timeval patience = {.tv_sec = 10};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    arena_init(&arena, (size_t)1 << 20);
    bool begun = ask(fd, &start, &arena, &reply) && reply.kind == RPC_REPLY_INSTANCE;
    struct rpc_call event = {
        .command = RPC_HANDLE_EVENT, .instance_id = reply.instance.id, .event = kong_str("access")};
    struct rpc_call close_call = {.command = RPC_CLOSE_INSTANCE, .instance_id = event.instance_id};
    if (begun && ask(fd, &event, &arena, &reply) && reply.kind == RPC_REPLY_PDK_CALL) {
        uint8_t step[sizeof head + 4];
        size_t len = sizeof head - 1;
        memcpy(step, head, len);
        for (unsigned i = 0; i < 8; i++) {
            step[len - 13 + i] = (uint8_t)(reply.event_id >> (56 - 8 * i));
        }
        memset(text, deep ? 0x91 : 'x', sizeof text);
        text[TOO_MUCH - 1] = 0x01;
        if (!deep) {
            memcpy(step + len, "\xdb\x00\x10\x00\x00", 5); /* TOO_MUCH */
            len += 5;
        }
        bool sent = send(fd, step, len, MSG_NOSIGNAL) == (ssize_t)len &&
                    send(fd, text, sizeof text, MSG_NOSIGNAL) == (ssize_t)sizeof text;
        uint8_t byte;
        sent = sent && recv(fd, &byte, 1, 0) == 1;
        (void)sent;
    }
    ask(fd, &close_call, &arena, &reply);
    arena_free(&arena);
}

/* A large message that never comes to its end. */
static void say_half(int fd) {
    static const uint8_t head[] = "\x94\x00\x09\xabplugin.Step\x91\x81\xa4"
                                  "Data\xdb\x00\x06\x00\x00"; /* 384 KiB */
    static const uint8_t text[256 << 10];
    say(fd, head, sizeof head - 1);
    (void)!send(fd, text, sizeof text, MSG_NOSIGNAL);
}

/* One connection, and what it does wrong; it is closed without a word. */
static void misbehave(int fd, unsigned kind) {
    static const char names[] = "\x05\0\0\0\x08\x01\xfa\x01\0"; /* CmdGetPluginNames */
    static const char bomb[] = "\x94\x00\x01\xb2plugin.HandleEvent\xdd\x04\0\0\0";
    static const char half[] = "\x40\0\0\0\x08\x01\xa2";
    static const char unknown[] = "\x94\x00\x05\xa6plugin\x91\xc0";
    uint8_t garbage[256];
    switch (kind % 10) {
    case 0:
        break; /* nothing at all */
    case 1:
        say(fd, half, sizeof half - 1);
        break;
    case 2:
        say(fd, bomb, sizeof bomb - 1);
        break;
    case 3:
        say(fd, "\xff\xff\xff\xff", 4);
        break;
    case 4:
        for (size_t i = 0; i < sizeof garbage; i++) {
            garbage[i] = (uint8_t)rand();
        }
        say(fd, garbage, sizeof garbage);
        break;
    case 5:
        for (int i = 0; i < 2000; i++) { /* and does not read what it gets */
            say(fd, names, sizeof names - 1);
        }
        break;
    case 6:
        answer_too_much(fd, true);
        break;
    case 7:
        answer_too_much(fd, false);
        break;
    case 8:
        say_half(fd);
        break;
    default:
        say(fd, unknown, sizeof unknown - 1);
        break;
    }
}

static void *vandalise(void *arg) {
    struct vandal *vandal = arg;
    while (!vandal->stop) {
        int fd = raw_connect(vandal->process);
        if (fd >= 0) {
            misbehave(fd, (unsigned)vandal->attempts++);
            pause_ms(5);
            close(fd);
        }
    }
    return NULL;
}

/* --- Requests that crash the server process --- */

#define POISONED "{\"mode\":\"header\",\"__seq__\":1,\"__plugin_id\":\"poisoned\"}"
/* At most two crashes each: below those after which the whole handler is refused. */
#define POISON_MS 700

struct poisoner {
    const struct process *process;
    pthread_t thread;
    _Atomic bool stop;
    unsigned requests, ended, served;
    char first[1024]; /* what became of the first one that did not end as wanted; "": all did */
};

/* What Kong saw of a request. */
static void note_outcome(struct poisoner *poisoner, const struct kong_retry *request,
                         const char *wanted) {
    if (poisoner->first[0] != '\0') {
        return;
    }
    snprintf(
        poisoner->first, sizeof poisoner->first,
        "request %u (%s, mode %s) should end %s, and ended %s%s, status %d, after %.3f s; "
        "sent again %u times, asked for its id %u times; the client: \"%s\"; kong.log.err: \"%s\"",
        poisoner->requests, request->protocol == PROTOCOL_PROTOBUF ? "ProtoBuf:1" : "MsgPack:1",
        request->mode != NULL ? request->mode : "none", wanted,
        sim_event_outcome_name(request->outcome),
        request->not_started ? " at its StartInstance" : "", request->status, request->seconds,
        request->again, request->asked, request->text, request->said);
}

static void *poison(void *arg) {
    struct poisoner *poisoner = arg;
    for (unsigned i = 0; !poisoner->stop; i++) {
        char id[32];
        snprintf(id, sizeof id, "poison-%u", i);
        struct kong_retry request = {.process = poisoner->process,
                                     .protocol = i % 2 == 0 ? PROTOCOL_PROTOBUF : PROTOCOL_MSGPACK,
                                     .config = POISONED,
                                     .mode = i / 2 % 2 == 0 ? "segv" : "abort",
                                     .request_id = id};
        kong_retry_run(&request);
        poisoner->requests++;
        bool ended = request.outcome == SIM_EVENT_EXITED && request.status == 500;
        poisoner->ended += ended;
        if (!ended) {
            note_outcome(poisoner, &request, "with 500");
        }
        /* and one with the same configuration that does not */
        request.mode = NULL;
        request.request_id = "innocent";
        kong_retry_run(&request);
        poisoner->served += request.outcome == SIM_EVENT_OK;
        if (request.outcome != SIM_EVENT_OK) {
            note_outcome(poisoner, &request, "served");
        }
        pause_ms(POISON_MS);
    }
    return NULL;
}

static void fail_closed(void) {
    setenv("HURT_ON_ERROR", "closed", 1);
}

static void check_poison(struct process *process, const struct poisoner *poisoner) {
    size_t deaths = process_count(process, "was killed by signal");
    print_message("  %u requests that crash the server process, %u ended with 500, %u others with "
                  "their configuration served; %zu crashes in the last lines\n",
                  poisoner->requests, poisoner->ended, poisoner->served, deaths);
    if (poisoner->first[0] != '\0') {
        print_message("  the first that did not end as wanted: %s\n", poisoner->first);
    }
    assert_true(poisoner->requests > 0);
    assert_int_equal(poisoner->ended, poisoner->requests);
    assert_int_equal(poisoner->served, poisoner->requests);
    assert_true(deaths > 0); /* of the last lines that are kept */
}

/* --- Figures --- */

static int compare(const void *a, const void *b) {
    long first = *(const long *)a;
    long second = *(const long *)b;
    return (first > second) - (first < second);
}

static long median(const long *values, size_t count) {
    long *sorted = malloc(count * sizeof *sorted);
    assert_non_null(sorted);
    memcpy(sorted, values, count * sizeof *sorted);
    qsort(sorted, count, sizeof *sorted, compare);
    long middle = sorted[count / 2];
    free(sorted);
    return middle;
}

static size_t most(const size_t *values, size_t count) {
    size_t found = 0;
    for (size_t i = 0; i < count; i++) {
        found = values[i] > found ? values[i] : found;
    }
    return found;
}

/* Of a process that may die meanwhile: 0 then. */
static long resident_kib(pid_t pid) {
    char path[64];
    long size = 0;
    long pages = 0;
    snprintf(path, sizeof path, "/proc/%d/statm", (int)pid);
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        return 0;
    }
    bool read = fscanf(file, "%ld %ld", &size, &pages) == 2;
    fclose(file);
    return read ? pages * (sysconf(_SC_PAGESIZE) / 1024) : 0;
}

static void sample(struct samples *samples, const struct process *process, double seconds) {
    double end = seconds_now() + seconds;
    while (seconds_now() < end && samples->count < MOST_SAMPLES) {
        samples->rss_kib[samples->count] = process_figure(process->pid, "VmRSS");
        samples->descriptors[samples->count] = process_descriptors(process->pid);
        pid_t child = process_child(process->pid, 0);
        samples->child_kib[samples->count] = child > 0 ? resident_kib(child) : 0;
        samples->count++;
        pause_ms(seconds < 120 ? 100 : 1000);
    }
}

static void check_memory(const char *whose, const long *kib, size_t fifth, size_t last) {
    long before = median(kib + fifth, fifth);
    long after = median(kib + last, fifth);
    print_message("  resident memory of %s: %ld KiB behind the warm-up, %ld KiB at the end\n",
                  whose, before, after);
    if (!process_is_padded()) {
        assert_true(after <= before + before / 20 + 256);
    }
}

/* The first fifth behind the warm-up (a fifth itself) against the last. */
static void check_flat(const struct samples *samples, bool supervised) {
    size_t fifth = samples->count / 5;
    assert_true(fifth >= 5);
    const size_t last = samples->count - fifth;
    size_t files_before = most(samples->descriptors + fifth, fifth);
    size_t files_after = most(samples->descriptors + last, fifth);
    print_message("  descriptors: at most %zu, then %zu\n", files_before, files_after);
    assert_true(files_after <= files_before + 8);
    check_memory(supervised ? "the supervisor" : "the server", samples->rss_kib, fifth, last);
    if (supervised) {
        check_memory("its children", samples->child_kib, fifth, last);
    }
}

static void report(const char *name, const struct kong_load_counts *counts) {
    print_message("  %s: %llu events, %llu lost, %llu hit, %llu tried again, %llu refused%s%s\n",
                  name, (unsigned long long)counts->events, (unsigned long long)counts->lost,
                  (unsigned long long)counts->hit, (unsigned long long)counts->retried,
                  (unsigned long long)counts->refused, counts->lost > 0 ? "; the first: " : "",
                  counts->first);
    assert_true(counts->events > 0);
    assert_int_equal(counts->lost, 0);
    assert_int_equal(counts->refused, 0);
}

static void soak(void **state) {
    bool supervised = *(const bool *)*state;
    const char *const options[] = {"--supervise",
                                   supervised ? "yes" : "no",
                                   "--log-level",
                                   "error",
                                   "--event-timeout",
                                   "30",
                                   "--instance-idle",
                                   "30",
                                   "--max-frame",
                                   "512K",
                                   "--max-memory",
                                   "32M",
                                   NULL};
    static const struct kong_load_options wanted[LOADS] = {
        {.protocol = PROTOCOL_PROTOBUF,
         .threads = 4,
         .rate = 1000,
         .mode = "wait",
         .instances = 50},
        {.protocol = PROTOCOL_MSGPACK, .threads = 4, .rate = 1000, .mode = "wait", .instances = 50},
        {.protocol = PROTOCOL_PROTOBUF, .threads = 8, .rate = 200, .mode = "sleep"},
        {.protocol = PROTOCOL_MSGPACK, .threads = 2, .rate = 200, .mode = "ok", .instances = 7},
    };
    static const char *const names[LOADS] = {"ProtoBuf:1, a getter", "MsgPack:1, a getter",
                                             "ProtoBuf:1, kong_sleep", "MsgPack:1, a header"};
    struct process_setup setup = {
        .options = options, .silent = true, .prepare = supervised ? fail_closed : NULL};
    struct kong_load *loads[LOADS];
    struct process process;
    const char *text = getenv("SOAK_S");
    double seconds = text == NULL ? 600 : strtod(text, NULL);
    struct samples *samples = calloc(1, sizeof *samples);
    assert_non_null(samples);
    process_start(&process, &setup);
    for (int i = 0, fd = -1; i < 1000 && fd < 0; i++) {
        fd = raw_connect(&process);
        pause_ms(5);
        close(fd);
    }
    for (size_t i = 0; i < LOADS; i++) {
        struct kong_load_options one = wanted[i];
        one.path = process.path;
        loads[i] = kong_load_start(&one);
    }
    struct vandal vandal = {.process = &process};
    assert_int_equal(pthread_create(&vandal.thread, NULL, vandalise, &vandal), 0);
    struct poisoner poisoner = {.process = &process};
    if (supervised) {
        assert_int_equal(pthread_create(&poisoner.thread, NULL, poison, &poisoner), 0);
    }
    sample(samples, &process, seconds);
    if (supervised) {
        poisoner.stop = true;
        pthread_join(poisoner.thread, NULL);
    }
    vandal.stop = true;
    pthread_join(vandal.thread, NULL);
    print_message("  %.0f s, %llu connections that misbehaved, %ld ms of CPU time\n", seconds,
                  (unsigned long long)vandal.attempts, process_cpu_ms(process.pid));
    struct kong_load_counts counts[LOADS];
    for (size_t i = 0; i < LOADS; i++) {
        counts[i] = kong_load_stop(loads[i]);
    }
    for (size_t i = 0; i < LOADS; i++) {
        report(names[i], &counts[i]);
    }
    /* what handlers were told of answers that were too much, once a minute and instance */
    size_t told = process_count(&process, "Kong's answer: ");
    print_message("  %zu lines about answers that were too much\n", told);
    assert_true(told > 0);
    if (supervised) {
        check_poison(&process, &poisoner);
    } else {
        assert_int_equal(process_count(&process, " error "), told);
    }
    check_flat(samples, supervised);
    assert_orderly(process_end(&process, SIGTERM));
    free(samples);
}

int main(int argc, char **argv) {
    int status;
    if (process_serves(argc, argv, &status)) {
        return status;
    }
    static bool alone = false;
    static bool supervised = true;
    const struct CMUnitTest tests[] = {
        {.name = "alone", .test_func = soak, .initial_state = &alone},
        {.name = "supervised", .test_func = soak, .initial_state = &supervised},
    };
    cmocka_set_test_filter(getenv("SOAK_ONLY"));
    return cmocka_run_group_tests(tests, NULL, NULL);
}
