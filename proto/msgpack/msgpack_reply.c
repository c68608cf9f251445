#include "msgpack_codec.h"
#include "msgpack_fast.h"
#include "msgpack_rpc.h"

#define MESSAGE_RESPONSE 1

static void write_strings(struct msgpack_writer *writer, const struct kong_str *strings,
                          size_t count) {
    msgpack_pack_array(&writer->packer, count);
    for (size_t i = 0; i < count; i++) {
        msgpack_write_string(writer, strings[i]);
    }
}

static void write_info(struct msgpack_writer *writer, const struct rpc_plugin_info *info) {
    msgpack_pack_map(&writer->packer, 7);
    msgpack_write_string_at(writer, "Name", info->name);
    msgpack_write_string_at(writer, "Version", info->version);
    msgpack_write_int_at(writer, "Priority", info->priority);
    msgpack_write_text(writer, "Phases");
    write_strings(writer, info->phases, info->phase_count);
    msgpack_write_string_at(writer, "Schema", info->schema);
    msgpack_write_int_at(writer, "ModTime", info->updated_at);
    msgpack_write_int_at(writer, "LoadTime", info->loaded_at);
}

static void write_instance(struct msgpack_writer *writer, const struct rpc_instance *instance) {
    msgpack_pack_map(&writer->packer, 4);
    msgpack_write_string_at(writer, "Name", instance->name);
    msgpack_write_int_at(writer, "Id", instance->id);
    msgpack_write_text(writer, "Config");
    msgpack_write_value(writer, &instance->config);
    msgpack_write_text(writer, "StartTime");
    msgpack_pack_double(&writer->packer, instance->started_at);
}

/* {Data, EventId}: what an event wants next. */
static void write_event(struct msgpack_writer *writer, const struct rpc_reply *reply) {
    msgpack_pack_map(&writer->packer, 2);
    msgpack_write_text(writer, "Data");
    if (reply->kind == RPC_REPLY_RETURN) {
        msgpack_write_text(writer, "ret");
    } else {
        msgpack_pack_map(&writer->packer, 2);
        msgpack_write_string_at(writer, "Method", reply->method);
        msgpack_write_text(writer, "Args");
        msgpack_write_args(writer, reply->args, reply->arg_count);
    }
    msgpack_write_text(writer, "EventId");
    msgpack_pack_uint64(&writer->packer, reply->event_id);
}

static void write_result(struct msgpack_writer *writer, const struct rpc_reply *reply) {
    switch (reply->kind) {
    case RPC_REPLY_RETURN:
    case RPC_REPLY_PDK_CALL:
        write_event(writer, reply);
        break;
    case RPC_REPLY_INSTANCE:
        write_instance(writer, &reply->instance);
        break;
    case RPC_REPLY_NAMES:
        write_strings(writer, reply->names, reply->name_count);
        break;
    case RPC_REPLY_INFO:
        write_info(writer, &reply->info);
        break;
    case RPC_REPLY_STATUS:
        msgpack_write_value(writer, &reply->status);
        break;
    case RPC_REPLY_ERROR:
        msgpack_pack_nil(&writer->packer);
        break;
    }
}

static __attribute__((noinline)) int encode_any(struct buffer *out, const struct rpc_reply *reply) {
    if (reply->sequence < 0 || reply->sequence > UINT32_MAX) {
        return CODEC_E_SHAPE;
    }
    struct msgpack_writer writer;
    msgpack_writer_start(&writer, out);
    msgpack_pack_array(&writer.packer, 4);
    msgpack_pack_int(&writer.packer, MESSAGE_RESPONSE);
    msgpack_pack_int64(&writer.packer, reply->sequence);
    if (reply->kind == RPC_REPLY_ERROR) {
        msgpack_write_string(&writer, reply->error);
    } else {
        msgpack_pack_nil(&writer.packer);
    }
    write_result(&writer, reply);
    return msgpack_writer_end(&writer);
}

int msgpack_encode_reply(struct buffer *out, const struct rpc_reply *reply) {
    return msgpack_fast_reply(out, reply) ? CODEC_OK : encode_any(out, reply);
}

/* [1, msgid, error, */
static int read_envelope(struct msgpack_reader *reader, struct rpc_reply *reply) {
    size_t count;
    int64_t type = -1;
    int error = msgpack_read_list(reader, &count);
    if (error == CODEC_OK) {
        error = count == 4 ? msgpack_read_int(reader, &type) : CODEC_E_SHAPE;
    }
    if (error == CODEC_OK) {
        error =
            type == MESSAGE_RESPONSE ? msgpack_read_msgid(reader, &reply->sequence) : CODEC_E_SHAPE;
    }
    return error == CODEC_OK ? msgpack_read_string(reader, &reply->error) : error;
}

static int read_int32(struct msgpack_reader *reader, int32_t *out) {
    int64_t wide;
    int error = msgpack_read_int(reader, &wide);
    if (error == CODEC_OK && (wide < INT32_MIN || wide > INT32_MAX)) {
        error = CODEC_E_SHAPE;
    }
    if (error == CODEC_OK) {
        *out = (int32_t)wide;
    }
    return error;
}

static int read_double(struct msgpack_reader *reader, double *out) {
    struct kong_value value;
    int error = msgpack_read_value(reader, &value);
    if (error < 0) {
        return error;
    }
    if (value.type != KONG_INTEGER && value.type != KONG_NUMBER) {
        return CODEC_E_SHAPE;
    }
    *out = value.type == KONG_INTEGER ? (double)value.integer : value.number;
    return CODEC_OK;
}

static int instance_field(struct msgpack_reader *reader, struct kong_str key, void *target) {
    struct rpc_instance *instance = &((struct rpc_reply *)target)->instance;
    if (msgpack_key_is(key, "Name")) {
        return msgpack_read_string(reader, &instance->name);
    }
    if (msgpack_key_is(key, "Id")) {
        return read_int32(reader, &instance->id);
    }
    if (msgpack_key_is(key, "Config")) {
        return msgpack_read_value(reader, &instance->config);
    }
    if (msgpack_key_is(key, "StartTime")) {
        return read_double(reader, &instance->started_at);
    }
    return msgpack_read_skip(reader);
}

/* Each of them may nest as deep as a value may. */
static int read_args(struct msgpack_reader *reader, struct rpc_reply *reply) {
    size_t count;
    int error = msgpack_read_list(reader, &count);
    if (error < 0) {
        return error;
    }
    struct kong_value *args = arena_array(reader->arena, count, sizeof *args);
    if (args == NULL) {
        return CODEC_E_NOMEM;
    }
    for (size_t i = 0; i < count && error == CODEC_OK; i++) {
        error = msgpack_read_value(reader, &args[i]);
    }
    reply->args = args;
    reply->arg_count = count;
    return error;
}

static int call_field(struct msgpack_reader *reader, struct kong_str key, void *target) {
    struct rpc_reply *reply = target;
    if (msgpack_key_is(key, "Method")) {
        return msgpack_read_string(reader, &reply->method);
    }
    if (msgpack_key_is(key, "Args")) {
        return read_args(reader, reply);
    }
    return msgpack_read_skip(reader);
}

static int event_field(struct msgpack_reader *reader, struct kong_str key, void *target) {
    struct rpc_reply *reply = target;
    if (msgpack_key_is(key, "EventId")) {
        return msgpack_read_uint(reader, &reply->event_id);
    }
    if (!msgpack_key_is(key, "Data")) {
        return msgpack_read_skip(reader);
    }
    reply->method = (struct kong_str){NULL, 0}; /* of another Data */
    reply->args = NULL;
    reply->arg_count = 0;
    if (msgpack_read_peek(reader) == MSGPACK_MAP) {
        reply->kind = RPC_REPLY_PDK_CALL;
        int error = msgpack_read_fields(reader, call_field, reply);
        return error == CODEC_OK && reply->method.data == NULL ? CODEC_E_SHAPE : error;
    }
    struct kong_str word;
    int error = msgpack_read_view(reader, &word);
    if (error == CODEC_OK && !msgpack_key_is(word, "ret")) {
        error = CODEC_E_SHAPE;
    }
    reply->kind = RPC_REPLY_RETURN;
    return error;
}

/* {Data, EventId}: ERROR stands for "no Data seen". */
static int read_event(struct msgpack_reader *reader, struct rpc_reply *reply) {
    reply->kind = RPC_REPLY_ERROR;
    int error = msgpack_read_fields(reader, event_field, reply);
    return error == CODEC_OK && reply->kind == RPC_REPLY_ERROR ? CODEC_E_SHAPE : error;
}

static int read_result(struct msgpack_reader *reader, enum rpc_command asked,
                       struct rpc_reply *reply) {
    switch (asked) {
    case RPC_HANDLE_EVENT:
    case RPC_STEP:
        return read_event(reader, reply);
    case RPC_START_INSTANCE:
    case RPC_INSTANCE_STATUS:
    case RPC_CLOSE_INSTANCE:
        reply->kind = RPC_REPLY_INSTANCE;
        return msgpack_read_fields(reader, instance_field, reply);
    default:
        reply->kind = RPC_REPLY_STATUS;
        return msgpack_read_value(reader, &reply->status);
    }
}

int msgpack_decode_reply(struct arena *arena, const uint8_t *data, size_t len,
                         enum rpc_command asked, struct rpc_reply *reply) {
    struct msgpack_reader reader = msgpack_reader_over(arena, data, len);
    *reply = (struct rpc_reply){.sequence = -1};
    int error = read_envelope(&reader, reply);
    if (error == CODEC_OK && reply->error.data != NULL) {
        reply->kind = RPC_REPLY_ERROR;
        error = msgpack_read_skip(&reader);
    } else if (error == CODEC_OK) {
        error = read_result(&reader, asked, reply);
    }
    return error == CODEC_OK && reader.at != reader.end ? CODEC_E_MALFORMED : error;
}
