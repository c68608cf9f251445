/* The recorded conversations once more, with our server in the place of the recording's peer: a
 * plugin makes the recorded PDK calls, Kong's recorded bytes are sent message by message (but for
 * the ids, which are the server's to choose), and each of the server's messages must mean what the
 * recorded one meant. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "event.h"
#include "limit.h"
#include "msgpack_rpc.h"
#include "protobuf_rpc.h"
#include "record.h"
#include "recording.h"
#include "scratch.h"
#include "sim_client.h"
#include "sim_protobuf.h"
#include "sim_server.h"
#include "sim_wire.h"
#include "value.h"
#include "value_equal.h"

/* --- The plugin: makes one script's calls an event. In the server's thread: no assertions --- */

static const struct recording *now_played;
static _Atomic size_t next_script;
static _Atomic unsigned refused_calls;

static int play(struct kong *kong, const void *config) {
    size_t index = next_script++;
    (void)config;
    if (index >= now_played->script_count) {
        return KONG_E_FAILED;
    }
    const struct script *script = &now_played->scripts[index];
    int rc = KONG_OK;
    for (size_t i = 0; i < script->count && rc == KONG_OK; i++) {
        const struct call *call = &script->calls[i];
        struct kong_value result;
        /* past the library, which refuses some of it */
        rc = event_call((struct event *)kong, pdk_method_find(call->name), call->name, call->args,
                        call->count, &result);
        refused_calls += rc != KONG_OK && rc != KONG_E_GONE && rc != KONG_E_ENDED;
    }
    return KONG_OK;
}

struct config {
    const char *version;
};

static const KONG_FIELDS(struct config) fields[] = {KONG_STRING_FIELD(struct config, version)};

static const struct kong_schema schema = KONG_SCHEMA(struct config, fields);

#define PLAYER(plugin_name)                                                                        \
    {                                                                                              \
        .name = (plugin_name), .version = "0.1.0", .priority = 1, .schema = &schema, .handlers = { \
            [KONG_PHASE_ACCESS] = play,                                                            \
            [KONG_PHASE_RESPONSE] = play,                                                          \
        }                                                                                          \
    }

static const struct kong_plugin players[] = {PLAYER("trace-go"), PLAYER("trace")};

/* --- Playing it --- */

struct player {
    const struct recording *recording;
    struct sim_server *server;
    struct wire wires[MOST_WIRES];
    bool open[MOST_WIRES];
    bool announced[MOST_WIRES];
    struct arena arena;
    size_t chunk;
    int64_t recorded_ids[8], ids[8]; /* of instances */
    size_t id_count;
    uint64_t event_id;
    size_t sent, compared;
};

static int64_t our_id(const struct player *player, int64_t recorded) {
    for (size_t i = 0; i < player->id_count; i++) {
        if (player->recorded_ids[i] == recorded) {
            return player->ids[i];
        }
    }
    fail_msg("no instance %lld", (long long)recorded);
    return 0;
}

static void send_bytes(struct player *player, const struct message *message,
                       const struct buffer *bytes) {
    struct wire *wire = &player->wires[message->connection];
    wire->chunk = player->chunk;
    assert_false(bytes->failed);
    if (wire_write(wire, bytes->data, bytes->len) != WIRE_OK) {
        fail_msg("line %u: not taken", message->line);
    }
    player->sent++;
}

/* With ids that are longer than one byte: our own server's. Another encoder's bytes, the same
 * message. */
static bool send_encoded(struct player *player, const struct message *message) {
    bool protobuf = player->recording->protocol == PROTOCOL_PROTOBUF;
    struct rpc_call call;
    struct buffer bytes;
    if (message->kind != CALL) {
        return false;
    }
    assert_int_equal(protobuf
                         ? protobuf_decode_call(&player->arena, message->data, message->len, &call)
                         : msgpack_decode_call(&player->arena, message->data, message->len, &call),
                     CODEC_OK);
    if (call.instance_id < 0x80 && call.event_id < 0x80) {
        return false;
    }
    call.instance_id = call.command == RPC_STEP ? 0 : our_id(player, call.instance_id);
    call.event_id = player->event_id;
    buffer_init(&bytes, LIMIT_FRAME);
    assert_int_equal(protobuf ? protobuf_encode_call(&bytes, &call)
                              : msgpack_encode_call(&bytes, &call),
                     CODEC_OK);
    send_bytes(player, message, &bytes);
    buffer_free(&bytes);
    return true;
}

/* Kong's message with another id in the place of the recorded one-byte one: instance ids of
 * ProtoBuf are the last field of the innermost message. */
static void send_protobuf(struct player *player, const struct message *message) {
    struct buffer bytes;
    uint8_t length[4] = {0};
    buffer_init(&bytes, LIMIT_FRAME);
    buffer_append(&bytes, length, 4);
    buffer_append(&bytes, message->data, message->len);
    if (message->kind == CALL &&
        (message->asked == RPC_HANDLE_EVENT || message->asked == RPC_CLOSE_INSTANCE)) {
        uint8_t *tail = bytes.data + bytes.len - 2;
        uint64_t id = (uint64_t)our_id(player, tail[1]);
        assert_int_equal(tail[0], 0x08);
        size_t grown = 0;
        buffer_truncate(&bytes, bytes.len - 1);
        for (; id >= 0x80; id >>= 7, grown++) {
            buffer_append_byte(&bytes, (uint8_t)(id | 0x80));
        }
        buffer_append_byte(&bytes, (uint8_t)id);
        /* 08 sequence, the command's tag in two bytes, its length */
        size_t at = 4 + 1;
        while ((bytes.data[at++] & 0x80) != 0) {
        }
        bytes.data[at + 2] = (uint8_t)(bytes.data[at + 2] + grown);
    }
    for (int i = 0; i < 4; i++) {
        bytes.data[i] = (uint8_t)((bytes.len - 4) >> (8 * i));
    }
    send_bytes(player, message, &bytes);
    buffer_free(&bytes);
}

static void append_number(struct buffer *bytes, uint8_t head, uint64_t number, int size) {
    buffer_append_byte(bytes, head);
    for (int i = size - 1; i >= 0; i--) {
        buffer_append_byte(bytes, (uint8_t)(number >> (8 * i)));
    }
}

/* The same for MessagePack: the ids are one byte behind their names, or the last one. */
static void send_msgpack(struct player *player, const struct message *message) {
    struct buffer bytes;
    const uint8_t *data = message->data;
    const uint8_t *instance = memmem(data, message->len, "\xaaInstanceId", 11);
    const uint8_t *event = memmem(data, message->len,
                                  "\xa7"
                                  "EventId",
                                  8);
    size_t at = message->len;
    buffer_init(&bytes, LIMIT_FRAME);
    if (message->asked == RPC_HANDLE_EVENT) {
        assert_non_null(instance);
        at = (size_t)(instance - data) + 11;
    } else if (message->asked == RPC_STEP) {
        assert_non_null(event);
        at = (size_t)(event - data) + 8;
    } else if (message->asked == RPC_CLOSE_INSTANCE) {
        at = message->len - 1;
    }
    buffer_append(&bytes, data, at);
    if (at < message->len) {
        assert_true(data[at] < 0x80);
        if (message->asked == RPC_STEP) {
            append_number(&bytes, 0xcf, player->event_id, 8);
        } else {
            append_number(&bytes, 0xce, (uint64_t)our_id(player, data[at]), 4);
        }
        buffer_append(&bytes, data + at + 1, message->len - at - 1);
    }
    send_bytes(player, message, &bytes);
    buffer_free(&bytes);
}

static void read_frame(struct player *player, const struct message *message, struct frame *frame) {
    struct wire *wire = &player->wires[message->connection];
    int64_t pid = 0;
    enum wire_status status = wire_read(wire, frame);
    if (status == WIRE_OK && player->recording->protocol == PROTOCOL_MSGPACK &&
        !player->announced[message->connection]) {
        assert_true(msgpack_decode_server_pid(frame->data, frame->len, &pid));
        player->announced[message->connection] = true;
        status = wire_read(wire, frame);
    }
    if (status != WIRE_OK) {
        fail_msg("line %u: no message (%d)", message->line, status);
    }
    player->compared++;
}

static void learn_id(struct player *player, const struct rpc_reply *recorded,
                     const struct rpc_reply *ours) {
    assert_int_equal(ours->kind, RPC_REPLY_INSTANCE);
    assert_true(player->id_count < 8);
    player->recorded_ids[player->id_count] = recorded->instance.id;
    player->ids[player->id_count++] = ours->instance.id;
}

static void compare_return(struct player *player, const struct message *message,
                           const struct frame *frame) {
    bool protobuf = player->recording->protocol == PROTOCOL_PROTOBUF;
    struct rpc_reply recorded;
    struct rpc_reply ours;
    int error;
    if (protobuf) {
        assert_int_equal(
            protobuf_decode_reply(&player->arena, message->data, message->len, &recorded),
            CODEC_OK);
        error = protobuf_decode_reply(&player->arena, frame->data, frame->len, &ours);
    } else {
        assert_int_equal(msgpack_decode_reply(&player->arena, message->data, message->len,
                                              message->asked, &recorded),
                         CODEC_OK);
        error =
            msgpack_decode_reply(&player->arena, frame->data, frame->len, message->asked, &ours);
    }
    if (error != CODEC_OK || ours.kind != recorded.kind || ours.sequence != recorded.sequence) {
        fail_msg("line %u: kind %d, sequence %lld", message->line, ours.kind,
                 (long long)ours.sequence);
    }
    if (message->asked == RPC_START_INSTANCE) {
        learn_id(player, &recorded, &ours);
    }
    if (ours.kind == RPC_REPLY_PDK_CALL) {
        struct kong_value left = kong_list(recorded.args, recorded.arg_count);
        struct kong_value right = kong_list(ours.args, ours.arg_count);
        if (!kong_str_equal(recorded.method, ours.method) || !value_equal(&left, &right)) {
            fail_msg("line %u: %s", message->line, ours.method.data);
        }
    }
    if (!protobuf && (ours.kind == RPC_REPLY_PDK_CALL || ours.kind == RPC_REPLY_RETURN)) {
        player->event_id = ours.event_id;
    }
}

static void compare(struct player *player, const struct message *message) {
    struct frame frame;
    read_frame(player, message, &frame);
    if (message->kind == RETURN) {
        compare_return(player, message, &frame);
    } else if (message->kind == ARGS) {
        struct kong_value recorded;
        struct kong_value ours;
        assert_int_equal(sim_protobuf_decode_args(&player->arena, message->method, message->data,
                                                  message->len, &recorded),
                         CODEC_OK);
        if (sim_protobuf_decode_args(&player->arena, message->method, frame.data, frame.len,
                                     &ours) != CODEC_OK ||
            !value_equal(&recorded, &ours)) {
            fail_msg("line %u: arguments of %s", message->line, message->method->name.data);
        }
    } else if (frame.len != message->len || memcmp(frame.data, message->data, frame.len) != 0) {
        fail_msg("line %u: a frame of %zu bytes", message->line, frame.len);
    }
}

static void step(struct player *player, const struct message *message) {
    struct wire *wire = &player->wires[message->connection];
    switch (message->kind) {
    case OPEN: {
        int fd = sim_connect_unix(sim_server_path(player->server));
        assert_true(fd >= 0);
        wire_init(wire, fd, player->recording->protocol, 10000);
        player->open[message->connection] = true;
        player->announced[message->connection] = false;
        break;
    }
    case CLOSE:
        if (player->open[message->connection]) {
            wire_close(wire);
            player->open[message->connection] = false;
        }
        break;
    case CALL:
    case ANSWER:
        if (send_encoded(player, message)) {
            break;
        }
        if (player->recording->protocol == PROTOCOL_PROTOBUF) {
            send_protobuf(player, message);
        } else {
            send_msgpack(player, message);
        }
        break;
    default:
        compare(player, message);
    }
}

/* sent: the messages of Kong in the recording; compared: those of its peer, but for what it wrote
 * after Kong had closed. */
static void play_recording(const char *name, enum protocol protocol, size_t chunk, size_t sent,
                           size_t compared) {
    struct recording *recording = recording_read(name, protocol);
    struct player *player = calloc(1, sizeof *player);
    const struct kong_plugin *plugin = &players[protocol == PROTOCOL_PROTOBUF ? 0 : 1];
    char error[256];
    assert_non_null(player);
    now_played = recording;
    next_script = 0;
    refused_calls = 0;
    player->recording = recording;
    player->chunk = chunk;
    arena_init(&player->arena, (size_t)64 << 20);
    /* One event of the MsgPack recording never gets its Step: it is given up when the server ends.
     */
    player->server = sim_server_start(
        &(struct sim_server_options){.plugin = plugin, .drain_ms = 100}, error, sizeof error);
    assert_non_null(player->server);
    for (size_t i = 0; i < recording->count; i++) {
        step(player, &recording->messages[i]);
    }
    for (size_t i = 0; i < MOST_WIRES; i++) {
        if (player->open[i]) {
            wire_close(&player->wires[i]);
        }
    }
    sim_server_stop(player->server);
    assert_int_equal(next_script, recording->script_count);
    assert_int_equal(refused_calls, 0);
    assert_int_equal(player->sent, sent);
    assert_int_equal(player->compared, compared);
    arena_free(&player->arena);
    free(player);
    recording_free(recording);
}

static void protobuf(void **state) {
    (void)state;
    play_recording("kong-3.9.1-protobuf.trace", PROTOCOL_PROTOBUF, 0, 101, 199);
}

static void protobuf_bytewise(void **state) {
    (void)state;
    play_recording("kong-3.9.1-protobuf.trace", PROTOCOL_PROTOBUF, 1, 101, 199);
}

static void msgpack(void **state) {
    (void)state;
    play_recording("kong-3.9.1-msgpack.trace", PROTOCOL_MSGPACK, 0, 90, 90);
}

static void msgpack_bytewise(void **state) {
    (void)state;
    play_recording("kong-3.9.1-msgpack.trace", PROTOCOL_MSGPACK, 1, 90, 90);
}

/* Kong's bytes as they are, one connection's in one go: the ids are stale, the answers are to calls
 * that were never made. The server says so, or closes, and goes on living. */
static void stale(void **state) {
    static const char *const names[] = {"kong-3.9.1-protobuf.trace", "kong-3.9.1-msgpack.trace"};
    char error[256];
    struct sim_server *server =
        sim_server_start(&(struct sim_server_options){.plugin = &players[0]}, error, sizeof error);
    struct sim_client *client = sim_client_create(
        &(struct sim_client_options){.protocol = PROTOCOL_PROTOBUF,
                                     .connect = sim_connect_unix,
                                     .connect_ctx = server == NULL ? NULL : sim_server_path(server),
                                     .timeout_ms = 60000});
    (void)state;
    assert_non_null(server);
    assert_non_null(client);
    for (size_t n = 0; n < 2; n++) {
        struct trace trace;
        assert_true(trace_read(&trace, names[n]));
        for (unsigned connection = 1; connection <= trace_last_connection(&trace); connection++) {
            size_t len = 0;
            uint8_t *bytes = trace_stream(&trace, connection, TRACE_KONG, &len);
            char out[4096];
            bool closed = false;
            int64_t id = 0;
            assert_non_null(bytes);
            if (len > 0) {
                assert_true(sim_client_raw(client, bytes, len, 200, out, sizeof out, &closed) > 0);
            }
            assert_int_equal(sim_client_start(client, "trace-go", "{}", &id), SIM_EVENT_OK);
            free(bytes);
        }
        trace_free(&trace);
    }
    sim_client_destroy(client);
    sim_server_stop(server);
}

/* --- A recording of our own, replayed --- */

static int converse(struct kong *kong, const void *config) {
    struct kong_headers query;
    struct kong_value value;
    struct kong_str path;
    (void)config;
    kong_log_notice(kong, "%s", "begin");
    int error = kong_request_get_path(kong, &path);
    if (error == 0 && kong_get_phase(kong) == KONG_PHASE_RESPONSE) {
        return kong_response_set_header(kong, "X-Path", path.data);
    }
    error = error != 0 ? error : kong_request_get_query(kong, 0, &query);
    if (error == 0 && kong_headers_find(&query, "exit") != NULL) {
        return kong_response_exit(kong, 403, kong_headers_get(&query, "exit"), kong_nil());
    }
    kong_ctx_shared_set(kong, "key", kong_number(0.5));
    error = error != 0 ? error : kong_ctx_shared_get(kong, "key", &value);
    kong_service_request_set_raw_body(kong, kong_printf(kong, "%9000d", 7));
    kong_response_add_header(kong, "X-One", "1");
    kong_response_add_header(kong, "X-One", "2");
    return error;
}

#define TALKER(plugin_name)                                                                        \
    {                                                                                              \
        .name = (plugin_name), .version = "0.1.0", .priority = 1, .schema = &schema, .handlers = { \
            [KONG_PHASE_ACCESS] = converse,                                                        \
            [KONG_PHASE_RESPONSE] = converse,                                                      \
        }                                                                                          \
    }

static const struct kong_plugin talkers[] = {TALKER("trace-go"), TALKER("trace")};

static void talk(struct sim_client *client, struct sim_pdk *pdk, const char *plugin) {
    static const char *const urls[] = {"/a?b=c&d", "/a?exit=no", "/e"};
    struct sim_event event;
    int64_t first = 0;
    int64_t second = 0;
    assert_int_equal(sim_client_start(client, plugin, "{\"version\":\"1\"}", &first), SIM_EVENT_OK);
    assert_int_equal(sim_client_start(client, plugin, "{}", &second), SIM_EVENT_OK);
    for (size_t i = 0; i < 3; i++) {
        assert_true(sim_pdk_reset(pdk) && sim_pdk_set_request(pdk, "GET", urls[i]));
        assert_true(sim_pdk_set_phase(pdk, KONG_PHASE_ACCESS));
        sim_client_event(client, i == 2 ? second : first, "access", &event);
        assert_int_equal(event.outcome, i == 1 ? SIM_EVENT_EXITED : SIM_EVENT_OK);
        assert_true(sim_pdk_set_phase(pdk, KONG_PHASE_RESPONSE));
        sim_client_event(client, first, "response", &event);
        assert_int_equal(event.outcome, SIM_EVENT_OK);
    }
    assert_int_equal(sim_client_stop(client, second), SIM_EVENT_OK);
}

static void record_conversation(const char *path, enum protocol protocol) {
    const struct kong_plugin *plugin = &talkers[protocol == PROTOCOL_PROTOBUF ? 0 : 1];
    char error[256];
    struct sim_pdk *pdk = sim_pdk_create();
    struct record *record = record_open(path, SIZE_MAX, NULL, error, sizeof error);
    assert_non_null(record);
    struct sim_server *server = sim_server_start(
        &(struct sim_server_options){.plugin = plugin, .record = record, .drain_ms = 100}, error,
        sizeof error);
    assert_non_null(server);
    struct sim_client *client =
        sim_client_create(&(struct sim_client_options){.protocol = protocol,
                                                       .connect = sim_connect_unix,
                                                       .connect_ctx = sim_server_path(server),
                                                       .pdk = sim_pdk_call,
                                                       .pdk_ctx = pdk,
                                                       .timeout_ms = 60000});
    assert_non_null(client);
    talk(client, pdk, plugin->name);
    sim_client_destroy(client);
    sim_server_stop(server);
    record_close(record);
    sim_pdk_destroy(pdk);
}

static void fresh(enum protocol protocol, size_t sent, size_t compared) {
    char directory[SCRATCH_PATH];
    char path[64];
    assert_true(scratch_make(directory));
    snprintf(path, sizeof path, "%s/fresh.trace", directory);
    record_conversation(path, protocol);
    setenv("TRACES", directory, 1);
    play_recording("fresh.trace", protocol, 0, sent, compared);
    play_recording("fresh.trace", protocol, 1, sent, compared);
    unsetenv("TRACES");
    unlink(path);
    scratch_remove(directory);
}

/* Two starts, a stop and six events, which make 29 PDK calls; 28 are answered, as one is an exit.
 */
static void fresh_protobuf(void **state) {
    (void)state;
    fresh(PROTOCOL_PROTOBUF, 9 + 28, 3 + 2 * 29 + 2 * 5);
}

static void fresh_msgpack(void **state) {
    (void)state;
    fresh(PROTOCOL_MSGPACK, 9 + 28, 9 + 28);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(protobuf),      cmocka_unit_test(protobuf_bytewise),
        cmocka_unit_test(msgpack),       cmocka_unit_test(msgpack_bytewise),
        cmocka_unit_test(stale),         cmocka_unit_test(fresh_protobuf),
        cmocka_unit_test(fresh_msgpack),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
