/* The doctor's event against a server that follows a script: what it makes of each answer, and that
 * it closes its instance again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "doctor.h"
#include "msgpack_rpc.h"
#include "one_plugin.h"
#include "protobuf_rpc.h"
#include "scratch.h"

#define LENGTH(array) (sizeof(array) / sizeof *(array))
#define INSTANCE      5
#define OFTEN         999

/* What answers the doctor's next message. */
enum step {
    END,   /* the connection is closed */
    WAITS, /* nothing, until the doctor closes it */
    STARTED,
    NOT_STARTED,   /* an error; ProtoBuf:1 has none: nothing is in the answer */
    LOGS,          /* a call of kong.log.err */
    LOGS_REFUSAL,  /* ... with the line of a configuration that is refused */
    LOGS_OFTEN,    /* as many calls as it answers, but one */
    EXITS,         /* a call of kong.response.exit */
    CALLS_UNKNOWN, /* a call of kong.no.such */
    HALF_A_CALL,   /* ProtoBuf:1: the method's name, and the connection is closed */
    RETURNS,
    RETURNS_ANOTHER, /* an answer to something else */
    FAILS,           /* MsgPack:1: an error */
    RUBBISH,
};

enum { PROTOBUF = 1, MSGPACK = 2, BOTH = 3 };

static const struct row {
    unsigned protocols;
    enum step steps[6];
    int calls;
    bool untried;
    bool not_closed; /* there is no instance to close */
    const char *error;
} rows[] = {
    {BOTH, {STARTED, RETURNS, END}, 0, false, false, ""},
    {BOTH, {STARTED, LOGS, LOGS, RETURNS, END}, 2, false, false, ""},
    {BOTH, {STARTED, LOGS, EXITS, END}, 2, false, false, ""},
    {BOTH, {STARTED, LOGS_REFUSAL, RETURNS, END}, 1, true, false, ""},
    {BOTH, {STARTED, LOGS_REFUSAL, LOGS, RETURNS, END}, 2, true, false, ""},
    {PROTOBUF, {STARTED, CALLS_UNKNOWN, END}, -1, false, false, "kong.no.such"},
    {MSGPACK, {STARTED, CALLS_UNKNOWN, RETURNS, END}, 1, false, false, ""},
    {PROTOBUF, {STARTED, LOGS_REFUSAL, HALF_A_CALL, END}, -1, true, false, "closed"},
    {PROTOBUF, {STARTED, HALF_A_CALL, END}, -1, false, false, "the server closed the connection"},
    {BOTH, {STARTED, LOGS, END}, -1, false, false, "the server closed the connection"},
    {PROTOBUF, {STARTED, RETURNS_ANOTHER, END}, -1, false, false, "an answer that Kong does not"},
    {MSGPACK, {STARTED, RETURNS_ANOTHER, END}, -1, false, false, "an answer to another call"},
    {MSGPACK, {STARTED, FAILS, END}, -1, false, false, "it is broken"},
    {MSGPACK, {STARTED, STARTED, END}, -1, false, false, "answer: not the message that belongs"},
    {BOTH, {STARTED, RUBBISH, END}, -1, false, false, "answer"},
    {PROTOBUF,
     {NOT_STARTED, END},
     -1,
     false,
     true,
     "it starts no instance of a-plugin: another plugin?"},
    {MSGPACK,
     {NOT_STARTED, END},
     -1,
     false,
     true,
     "it starts no instance of a-plugin: it is broken"},
    {BOTH, {END}, -1, false, true, "the server closed the connection"},
    {BOTH, {STARTED, LOGS_OFTEN, RETURNS, WAITS}, OFTEN, false, false, ""},
    {BOTH,
     {STARTED, LOGS_OFTEN, LOGS, RETURNS, WAITS},
     -1,
     false,
     false,
     "an answer that Kong does"},
};

static const struct kong_plugin plugin = {.name = "a-plugin"};

/* --- The server --- */

struct server {
    const struct row *row;
    enum protocol protocol;
    int listener;
    struct rpc_call closing; /* what came over the second connection */
};

static void encode(struct buffer *out, enum protocol protocol, const struct rpc_reply *reply) {
    if (protocol == PROTOCOL_PROTOBUF) {
        protobuf_encode_reply(out, reply);
    } else {
        msgpack_encode_reply(out, reply);
    }
}

static void encode_call(struct buffer *out, enum protocol protocol, struct rpc_reply *reply,
                        enum pdk_id id, struct kong_value argument) {
    reply->kind = RPC_REPLY_PDK_CALL;
    reply->method = pdk_methods[id].name;
    reply->args = &argument;
    reply->arg_count = 1;
    if (protocol == PROTOCOL_PROTOBUF) {
        protobuf_encode_pdk_call(out, &pdk_methods[id], &argument, 1);
    } else {
        msgpack_encode_reply(out, reply);
    }
}

/* The answer to the doctor's message number `sequence`. */
static void answer(struct buffer *out, enum protocol protocol, enum step step, int64_t sequence) {
    static const char frames[] = "\x0c\0\0\0kong.no.such\0\0\0";
    bool protobuf = protocol == PROTOCOL_PROTOBUF;
    struct rpc_reply reply = {.sequence = sequence, .event_id = 77};
    switch (step) {
    case STARTED:
        reply.kind = RPC_REPLY_INSTANCE;
        reply.instance = (struct rpc_instance){.name = kong_str("a-plugin"), .id = INSTANCE};
        encode(out, protocol, &reply);
        break;
    case LOGS:
    case LOGS_OFTEN:
        for (int i = step == LOGS ? OFTEN - 1 : 0; i < OFTEN; i++) {
            encode_call(out, protocol, &reply, PDK_LOG_ERR, kong_string("a-plugin: access failed"));
            reply.sequence++;
        }
        break;
    case LOGS_REFUSAL:
        encode_call(out, protocol, &reply, PDK_LOG_ERR,
                    kong_string("a-plugin: configuration refused: no header"));
        break;
    case EXITS:
        encode_call(out, protocol, &reply, PDK_RESPONSE_EXIT, kong_integer(403));
        break;
    case CALLS_UNKNOWN:
        reply.kind = RPC_REPLY_PDK_CALL;
        reply.method = kong_str("kong.no.such");
        if (protobuf) {
            buffer_append(out, frames, sizeof frames);
        } else {
            msgpack_encode_reply(out, &reply);
        }
        break;
    case HALF_A_CALL:
        buffer_append(out, frames, sizeof frames - 4);
        break;
    case RETURNS_ANOTHER:
        sequence += 40;
        /* fall through */
    case RETURNS:
        reply.kind = RPC_REPLY_RETURN;
        reply.sequence = sequence;
        if (protobuf) {
            protobuf_encode_end(out, sequence);
        } else {
            msgpack_encode_reply(out, &reply);
        }
        break;
    case NOT_STARTED:
    case FAILS:
        reply.kind = protobuf ? RPC_REPLY_RETURN : RPC_REPLY_ERROR;
        reply.error = kong_str("it is broken");
        encode(out, protocol, &reply);
        break;
    case RUBBISH:
        buffer_append(out, protobuf ? "\1\0\0\0\xff" : "\x81\x01\x02", protobuf ? 5 : 3);
        break;
    case END:
    case WAITS:
        break;
    }
}

static void follow(struct server *server, int fd) {
    const enum step *steps = server->row->steps;
    bool protobuf = server->protocol == PROTOCOL_PROTOBUF;
    int64_t sequence = 1;
    uint8_t message[4096];
    for (size_t i = 0; recv(fd, message, sizeof message, 0) > 0; i += steps[i] != WAITS) {
        struct buffer out;
        if (steps[i] == END) {
            return;
        }
        buffer_init(&out, 1 << 20);
        answer(&out, server->protocol, steps[i], sequence);
        send(fd, out.data, out.len, MSG_NOSIGNAL);
        buffer_free(&out);
        if (!protobuf || sequence == 1) { /* of ProtoBuf:1 the event is one message */
            sequence += steps[i] == LOGS_OFTEN ? OFTEN : 1;
        }
        if (steps[i] == HALF_A_CALL) {
            return;
        }
    }
}

/* Two connections: instance and event, the instance's end. */
static void *serve(void *arg) {
    struct server *server = arg;
    int fd = accept(server->listener, NULL, NULL);
    follow(server, fd);
    close(fd);
    fd = accept(server->listener, NULL, NULL);
    if (fd >= 0) {
        uint8_t message[512];
        struct arena arena;
        arena_init(&arena, 4096);
        ssize_t len = recv(fd, message, sizeof message, 0);
        if (server->protocol == PROTOCOL_PROTOBUF && len > 4) {
            protobuf_decode_call(&arena, message + 4, (size_t)len - 4, &server->closing);
        } else if (len > 0) {
            msgpack_decode_call(&arena, message, (size_t)len, &server->closing);
        }
        arena_free(&arena);
        close(fd);
    }
    return NULL;
}

/* --- The doctor --- */

static void probe(const char *path, enum protocol protocol, struct doctor_finding *finding) {
    struct plugin place;
    const struct plugins plugins = one_plugin(&place, &plugin, NULL);
    const struct doctor_options options = {.plugins = &plugins};
    struct patient *p = calloc(1, sizeof *p);
    assert_non_null(p);
    p->options = &options;
    p->out = stdout;
    p->plugin = &plugin;
    p->uid = geteuid();
    p->socket = path;
    snprintf(p->phase, sizeof p->phase, "access");
    doctor_probe(p, protocol, finding);
    free(p);
}

static void check(const struct row *row, enum protocol protocol) {
    struct server server = {.row = row, .protocol = protocol};
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct doctor_finding finding;
    char directory[SCRATCH_PATH];
    pthread_t thread;
    assert_true(scratch_make(directory));
    snprintf(address.sun_path, sizeof address.sun_path, "%s/s", directory);
    server.listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(server.listener, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(server.listener, 4), 0);
    assert_int_equal(pthread_create(&thread, NULL, serve, &server), 0);
    probe(address.sun_path, protocol, &finding);
    shutdown(server.listener, SHUT_RDWR); /* it waits no more */
    assert_int_equal(pthread_join(thread, NULL), 0);
    close(server.listener);
    assert_true(scratch_remove(directory));
    if (finding.calls != row->calls) {
        fail_msg("row %zu: %d calls, not %d: %s", (size_t)(row - rows), finding.calls, row->calls,
                 finding.error);
    }
    assert_int_equal(finding.untried, row->untried);
    assert_false(finding.refused);
    if (strstr(finding.error, row->error) == NULL ||
        (row->calls >= 0 && finding.error[0] != '\0')) {
        fail_msg("%s", finding.error);
    }
    assert_int_equal(server.closing.command, row->not_closed ? 0 : RPC_CLOSE_INSTANCE);
    assert_int_equal(server.closing.instance_id, row->not_closed ? 0 : INSTANCE);
}

static void what_it_makes_of_answers(void **state) {
    (void)state;
    for (size_t i = 0; i < LENGTH(rows); i++) {
        if ((rows[i].protocols & PROTOBUF) != 0) {
            check(&rows[i], PROTOCOL_PROTOBUF);
        }
        if ((rows[i].protocols & MSGPACK) != 0) {
            check(&rows[i], PROTOCOL_MSGPACK);
        }
    }
}

static void nobody_listens(void **state) {
    struct doctor_finding finding;
    (void)state;
    probe("/nonexistent/s", PROTOCOL_MSGPACK, &finding);
    assert_int_equal(finding.calls, -1);
    assert_false(finding.refused);
    assert_string_equal(finding.error, "connect: No such file or directory");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_it_makes_of_answers),
        cmocka_unit_test(nobody_listens),
    };
    return cmocka_run_group_tests_name("test_doctor_probe", tests, NULL, NULL);
}
