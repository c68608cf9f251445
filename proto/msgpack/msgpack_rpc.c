#include "msgpack_rpc.h"

#include "msgpack_codec.h"

enum { MESSAGE_REQUEST = 0, MESSAGE_NOTIFICATION = 2 };

#define TEXT(text)                                                                                 \
    { text, sizeof(text) - 1 }

/* Kong's methods, the frequent ones first. */
static const struct method {
    struct kong_str name;
    enum rpc_command command;
} methods[] = {
    {TEXT("plugin.HandleEvent"), RPC_HANDLE_EVENT},
    {TEXT("plugin.Step"), RPC_STEP},
    {TEXT("plugin.StepMultiMap"), RPC_STEP},
    {TEXT("plugin.StepError"), RPC_STEP},
    {TEXT("plugin.StepCredential"), RPC_STEP},
    {TEXT("plugin.StepConsumer"), RPC_STEP},
    {TEXT("plugin.StepRoute"), RPC_STEP},
    {TEXT("plugin.StepService"), RPC_STEP},
    {TEXT("plugin.StepMemoryStats"), RPC_STEP},
    {TEXT("plugin.StartInstance"), RPC_START_INSTANCE},
    {TEXT("plugin.CloseInstance"), RPC_CLOSE_INSTANCE},
    {TEXT("plugin.InstanceStatus"), RPC_INSTANCE_STATUS},
    {TEXT("plugin.GetPluginNames"), RPC_PLUGIN_NAMES},
    {TEXT("plugin.GetPluginInfo"), RPC_PLUGIN_INFO},
    {TEXT("plugin.GetStatus"), RPC_GET_STATUS},
};

static const struct kong_str step = TEXT("plugin.Step");
static const struct kong_str step_error = TEXT("plugin.StepError");

/* A name in the table is not copied: hot messages cost no memory for it. */
static int find_method(struct arena *arena, struct kong_str name, struct rpc_call *call) {
    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++) {
        if (kong_str_equal(methods[i].name, name)) {
            call->method = methods[i].name;
            call->command = methods[i].command;
            return CODEC_OK;
        }
    }
    if (name.data == NULL) {
        return CODEC_E_SHAPE;
    }
    bool steps = name.len > step.len && memcmp(name.data, step.data, step.len) == 0;
    call->command = steps ? RPC_STEP : RPC_UNKNOWN;
    call->method = arena_copy(arena, name.data, name.len);
    return call->method.data == NULL ? CODEC_E_NOMEM : CODEC_OK;
}

/* What comes before the arguments; *list: they are in a list, else there is one. */
static int read_envelope(struct msgpack_reader *reader, struct rpc_call *call, bool *list) {
    size_t count;
    int64_t type = -1;
    int error = msgpack_read_list(reader, &count);
    if (error == CODEC_OK) {
        error = count == 0 ? CODEC_E_SHAPE : msgpack_read_int(reader, &type);
    }
    call->notification = type == MESSAGE_NOTIFICATION && count == 3;
    if (error == CODEC_OK && !call->notification) {
        bool request = type == MESSAGE_REQUEST && count == 4;
        error = request ? msgpack_read_msgid(reader, &call->sequence) : CODEC_E_SHAPE;
    }
    struct kong_str name;
    if (error == CODEC_OK) {
        error = msgpack_read_view(reader, &name);
    }
    if (error == CODEC_OK) {
        error = find_method(reader->arena, name, call);
    }
    *list = !call->notification || msgpack_read_peek(reader) == MSGPACK_LIST;
    return error;
}

/* An argument that is a map, while it is read. */
struct fields {
    struct rpc_call *call;
    bool has_id;
};

static int start_instance_field(struct msgpack_reader *reader, struct kong_str key, void *target) {
    struct fields *fields = target;
    if (msgpack_key_is(key, "Name")) {
        return msgpack_read_string(reader, &fields->call->name);
    }
    if (msgpack_key_is(key, "Config")) {
        return msgpack_read_string(reader, &fields->call->config);
    }
    return msgpack_read_skip(reader);
}

static int read_start_instance(struct msgpack_reader *reader, struct rpc_call *call) {
    struct fields fields = {call, false};
    int error = msgpack_read_fields(reader, start_instance_field, &fields);
    if (error == CODEC_OK && (call->name.data == NULL || call->config.data == NULL)) {
        error = CODEC_E_SHAPE;
    }
    return error;
}

static int handle_event_field(struct msgpack_reader *reader, struct kong_str key, void *target) {
    struct fields *fields = target;
    if (msgpack_key_is(key, "InstanceId")) {
        fields->has_id = true;
        return msgpack_read_int(reader, &fields->call->instance_id);
    }
    if (msgpack_key_is(key, "EventName")) {
        return msgpack_read_string(reader, &fields->call->event);
    }
    return msgpack_read_skip(reader);
}

static int read_handle_event(struct msgpack_reader *reader, struct rpc_call *call) {
    struct fields fields = {call, false};
    int error = msgpack_read_fields(reader, handle_event_field, &fields);
    if (error == CODEC_OK && (!fields.has_id || call->event.data == NULL)) {
        error = CODEC_E_SHAPE;
    }
    return error;
}

/* A value that cannot be decoded is skipped: the event's id stands in another field. */
static int read_data(struct msgpack_reader *reader, struct rpc_call *call) {
    struct msgpack_reader before = *reader;
    int error = msgpack_read_value(reader, &call->data);
    if (error == CODEC_OK || error == CODEC_E_MALFORMED) {
        return error;
    }
    *reader = before;
    call->data = kong_nil();
    call->data_error = error;
    return msgpack_read_skip(reader);
}

static int step_field(struct msgpack_reader *reader, struct kong_str key, void *target) {
    struct fields *fields = target;
    if (msgpack_key_is(key, "EventId")) {
        fields->has_id = true;
        return msgpack_read_uint(reader, &fields->call->event_id);
    }
    if (msgpack_key_is(key, "Data")) {
        return read_data(reader, fields->call);
    }
    if (msgpack_key_is(key, "TooBig")) {
        fields->call->data_error = CODEC_E_LIMIT;
    }
    return msgpack_read_skip(reader);
}

static int read_step(struct msgpack_reader *reader, struct rpc_call *call) {
    struct fields fields = {call, false};
    int error = msgpack_read_fields(reader, step_field, &fields);
    if (error == CODEC_OK && !fields.has_id) {
        error = CODEC_E_SHAPE;
    }
    if (error == CODEC_OK && call->data_error != CODEC_OK) {
        call->data = kong_nil(); /* also of another `Data` */
    }
    if (error == CODEC_OK && kong_str_equal(call->method, step_error)) {
        bool text = call->data.type == KONG_STRING;
        call->error = text ? call->data.string : kong_str("");
        call->data = text ? kong_nil() : call->data;
    }
    return error;
}

static bool takes_argument(enum rpc_command command) {
    return command != RPC_PLUGIN_NAMES && command != RPC_GET_STATUS && command != RPC_UNKNOWN;
}

static int read_argument(struct msgpack_reader *reader, struct rpc_call *call) {
    int error;
    switch (call->command) {
    case RPC_HANDLE_EVENT:
        return read_handle_event(reader, call);
    case RPC_STEP:
        return read_step(reader, call);
    case RPC_START_INSTANCE:
        return read_start_instance(reader, call);
    case RPC_INSTANCE_STATUS:
    case RPC_CLOSE_INSTANCE:
        return msgpack_read_int(reader, &call->instance_id);
    case RPC_PLUGIN_INFO:
        error = msgpack_read_string(reader, &call->name);
        return error == CODEC_OK && call->name.data == NULL ? CODEC_E_SHAPE : error;
    case RPC_PLUGIN_NAMES:
    case RPC_GET_STATUS:
    case RPC_UNKNOWN:
        break;
    }
    return msgpack_read_skip(reader);
}

/* The list of arguments: the first counts. */
static int read_arguments(struct msgpack_reader *reader, struct rpc_call *call) {
    size_t count;
    int error = msgpack_read_list(reader, &count);
    if (error == CODEC_OK) {
        error = count == 0 ? CODEC_E_SHAPE : read_argument(reader, call);
    }
    for (size_t i = 1; i < count && error == CODEC_OK; i++) {
        error = msgpack_read_skip(reader);
    }
    return error;
}

int msgpack_decode_call(struct arena *arena, const uint8_t *data, size_t len,
                        struct rpc_call *call) {
    struct msgpack_reader reader = msgpack_reader_over(arena, data, len);
    bool list = false;
    *call = (struct rpc_call){.sequence = -1};
    int error = read_envelope(&reader, call, &list);
    if (error == CODEC_OK) {
        if (!takes_argument(call->command)) {
            error = msgpack_read_skip(&reader);
        } else {
            error = list ? read_arguments(&reader, call) : read_argument(&reader, call);
        }
    }
    return error == CODEC_OK && reader.at != reader.end ? CODEC_E_MALFORMED : error;
}

static void write_step(struct msgpack_writer *writer, const struct rpc_call *call) {
    bool has_data = call->error.data != NULL || call->data.type != KONG_NIL;
    bool too_big = call->data_error == CODEC_E_LIMIT;
    msgpack_pack_map(&writer->packer, 1u + has_data + too_big);
    msgpack_write_text(writer, "EventId");
    msgpack_pack_uint64(&writer->packer, call->event_id);
    if (too_big) {
        msgpack_write_text(writer, "TooBig");
        msgpack_pack_true(&writer->packer);
    }
    if (has_data) {
        msgpack_write_text(writer, "Data");
    }
    if (call->error.data != NULL && call->data.type == KONG_NIL) {
        msgpack_write_string(writer, call->error);
    } else if (has_data) {
        msgpack_write_value(writer, &call->data);
    }
}

/* The list of arguments. */
static void write_arguments(struct msgpack_writer *writer, const struct rpc_call *call) {
    bool any = takes_argument(call->command) ||
               (call->command == RPC_UNKNOWN && call->data.type != KONG_NIL);
    msgpack_pack_array(&writer->packer, any ? 1 : 0);
    if (!any) {
        return;
    }
    switch (call->command) {
    case RPC_HANDLE_EVENT:
        msgpack_pack_map(&writer->packer, 2);
        msgpack_write_string_at(writer, "EventName", call->event);
        msgpack_write_int_at(writer, "InstanceId", call->instance_id);
        break;
    case RPC_STEP:
        write_step(writer, call);
        break;
    case RPC_START_INSTANCE:
        msgpack_pack_map(&writer->packer, 2);
        msgpack_write_string_at(writer, "Name", call->name);
        msgpack_write_string_at(writer, "Config", call->config);
        break;
    case RPC_INSTANCE_STATUS:
    case RPC_CLOSE_INSTANCE:
        msgpack_pack_int64(&writer->packer, call->instance_id);
        break;
    case RPC_PLUGIN_INFO:
        msgpack_write_string(writer, call->name);
        break;
    case RPC_UNKNOWN:
    case RPC_PLUGIN_NAMES:
    case RPC_GET_STATUS:
        msgpack_write_value(writer, &call->data);
        break;
    }
}

static struct kong_str method_name(const struct rpc_call *call) {
    if (call->command == RPC_UNKNOWN || (call->command == RPC_STEP && call->method.data != NULL)) {
        return call->method;
    }
    if (call->command == RPC_STEP) {
        return call->error.data != NULL ? step_error : step;
    }
    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++) {
        if (methods[i].command == call->command) {
            return methods[i].name;
        }
    }
    return (struct kong_str){NULL, 0};
}

int msgpack_encode_call(struct buffer *out, const struct rpc_call *call) {
    if (!call->notification && (call->sequence < 0 || call->sequence > UINT32_MAX)) {
        return CODEC_E_SHAPE;
    }
    struct msgpack_writer writer;
    msgpack_writer_start(&writer, out);
    msgpack_pack_array(&writer.packer, call->notification ? 3 : 4);
    msgpack_pack_int(&writer.packer, call->notification ? MESSAGE_NOTIFICATION : MESSAGE_REQUEST);
    if (!call->notification) {
        msgpack_pack_int64(&writer.packer, call->sequence);
    }
    msgpack_write_string(&writer, method_name(call));
    write_arguments(&writer, call);
    return msgpack_writer_end(&writer);
}

int msgpack_encode_server_pid(struct buffer *out, int64_t pid) {
    struct msgpack_writer writer;
    msgpack_writer_start(&writer, out);
    msgpack_pack_array(&writer.packer, 3);
    msgpack_pack_int(&writer.packer, MESSAGE_NOTIFICATION);
    msgpack_write_text(&writer, "serverPid");
    msgpack_pack_int64(&writer.packer, pid);
    return msgpack_writer_end(&writer);
}

bool msgpack_decode_server_pid(const uint8_t *data, size_t len, int64_t *pid) {
    struct msgpack_reader reader = msgpack_reader_over(NULL, data, len);
    size_t count;
    int64_t type;
    struct kong_str label;
    return msgpack_read_list(&reader, &count) == CODEC_OK && count == 3 &&
           msgpack_read_int(&reader, &type) == CODEC_OK && type == MESSAGE_NOTIFICATION &&
           msgpack_read_view(&reader, &label) == CODEC_OK && msgpack_key_is(label, "serverPid") &&
           msgpack_read_int(&reader, pid) == CODEC_OK && reader.at == reader.end;
}
