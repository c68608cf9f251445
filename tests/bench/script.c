#include "script.h"

#include <string.h>

#define X16(text)   text text text text text text text text text text text text text text text text
#define BODY_OF_8_K X16(X16("0123456789abcdef0123456789abcde\n"))
_Static_assert(sizeof(BODY_OF_8_K) == 8192 + 1, "8 KiB");

#define SETTER(name, text)                                                                         \
    { .method = "kong.response.set_header", .header = (name), .value = (text) }

static const struct script scripts[] = {
    {.name = "nothing", .count = 0},
    {.name = "set-header", .count = 1, .calls = {SETTER("Version", "0.1")}},
    {.name = "getters",
     .count = 10,
     .calls = {{.method = "kong.request.get_method", .answer = "GET"},
               {.method = "kong.request.get_path", .answer = "/bench/a/path"},
               {.method = "kong.request.get_host", .answer = "api.example.com"},
               {.method = "kong.request.get_header",
                .argument = "user-agent",
                .answer = "Mozilla/5.0 (X11; Linux x86_64)"},
               {.method = "kong.client.get_ip", .answer = "192.0.2.17"},
               SETTER("X-Method", "GET"),
               SETTER("X-Path", "/bench/a/path"),
               SETTER("X-Host", "api.example.com"),
               SETTER("X-Agent", "Mozilla/5.0 (X11; Linux x86_64)"),
               SETTER("X-Client", "192.0.2.17")}},
    {.name = "ten-getters",
     .count = 11,
     .calls = {{.method = "kong.request.get_method", .answer = "GET"},
               {.method = "kong.request.get_path", .answer = "/bench/a/path"},
               {.method = "kong.request.get_host", .answer = "api.example.com"},
               {.method = "kong.request.get_header",
                .argument = "user-agent",
                .answer = "Mozilla/5.0 (X11; Linux x86_64)"},
               {.method = "kong.client.get_ip", .answer = "192.0.2.17"},
               {.method = "kong.request.get_scheme", .answer = "https"},
               {.method = "kong.request.get_forwarded_host", .answer = "www.example.com"},
               {.method = "kong.request.get_raw_query", .answer = "a=1&b=2"},
               {.method = "kong.request.get_header", .argument = "accept", .answer = "*/*"},
               {.method = "kong.client.get_forwarded_ip", .answer = "198.51.100.4"},
               SETTER("X-Method", "GET")}},
    /* ProtoBuf:1 only: over MsgPack:1 the library asks for the length first */
    {.name = "body",
     .count = 2,
     .calls = {{.method = "kong.request.get_raw_body", .answer = BODY_OF_8_K},
               SETTER("X-Size", "8192")}},
};

const struct script *script_find(const char *name) {
    for (size_t i = 0; i < sizeof scripts / sizeof *scripts; i++) {
        if (strcmp(scripts[i].name, name) == 0) {
            return &scripts[i];
        }
    }
    return NULL;
}

/* google.protobuf.Value {string_value 3} as field 2, behind field 1: a KV, and an entry of a
 * Struct as well. */
static void pb_key_value(struct wire *wire, const struct script_call *call) {
    struct wire value;
    value.len = 0;
    pb_string(&value, 3, call->value, strlen(call->value));
    pb_string(wire, 1, call->header, strlen(call->header));
    pb_string(wire, 2, (const char *)value.data, value.len);
}

static void pb_arguments(struct wire *wire, const struct script_call *calls, size_t count) {
    if (calls->answer != NULL) {
        if (calls->argument != NULL) {
            pb_string(wire, 1, calls->argument, strlen(calls->argument));
        }
        return;
    }
    if (count == 1) {
        pb_key_value(wire, calls);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        struct wire entry;
        entry.len = 0;
        pb_key_value(&entry, &calls[i]);
        pb_string(wire, 1, (const char *)entry.data, entry.len);
    }
}

static void mp_pair(struct wire *wire, const struct script_call *call) {
    mp_string(wire, call->header, strlen(call->header));
    mp_string(wire, call->value, strlen(call->value));
}

static void mp_arguments(struct wire *wire, const struct script_call *calls, size_t count) {
    if (calls->answer != NULL) {
        wire_byte(wire, calls->argument == NULL ? 0x90 : 0x91);
        if (calls->argument != NULL) {
            mp_string(wire, calls->argument, strlen(calls->argument));
        }
        return;
    }
    if (count == 1) {
        wire_byte(wire, 0x92);
        mp_pair(wire, calls);
        return;
    }
    wire_byte(wire, 0x91);
    wire_byte(wire, 0x80 | (unsigned)count);
    for (size_t i = 0; i < count; i++) {
        mp_pair(wire, &calls[i]);
    }
}

void script_arguments(struct wire *wire, enum wire_protocol protocol,
                      const struct script_call *calls, size_t count) {
    if (protocol == WIRE_PROTOBUF) {
        pb_arguments(wire, calls, count);
    } else {
        mp_arguments(wire, calls, count);
    }
}

void script_answer(struct wire *wire, enum wire_protocol protocol, const struct script_call *call) {
    if (protocol == WIRE_MSGPACK) {
        if (call->answer != NULL) {
            mp_string(wire, call->answer, strlen(call->answer));
        }
        return;
    }
    struct wire body;
    body.len = 0;
    if (call->answer != NULL) {
        pb_string(&body, 1, call->answer, strlen(call->answer));
    }
    wire_le32(wire, body.len);
    wire_put(wire, body.data, body.len);
}

static void put_call(struct wire *wire, enum wire_protocol protocol, const struct script_call *call,
                     size_t count) {
    const char *method = count > 1 ? "kong.response.set_headers" : call->method;
    struct wire arguments;
    arguments.len = 0;
    script_arguments(&arguments, protocol, call, count);
    if (protocol == WIRE_PROTOBUF) {
        wire_le32(wire, strlen(method));
        wire_put(wire, method, strlen(method));
        wire_le32(wire, arguments.len);
    } else {
        wire_byte(wire, 0x82);
        mp_string(wire, "Method", strlen("Method"));
        mp_string(wire, method, strlen(method));
        mp_string(wire, "Args", strlen("Args"));
    }
    wire_put(wire, arguments.data, arguments.len);
}

void script_canned(const struct script *script, enum wire_protocol protocol,
                   struct canned *canned) {
    canned->protocol = protocol;
    canned->count = 0;
    for (size_t i = 0, count; i < script->count; i += count) {
        const struct script_call *from = &script->calls[i];
        struct canned_call *call = &canned->calls[canned->count++];
        count = 1;
        while (from->answer == NULL && i + count < script->count && from[count].answer == NULL) {
            count++;
        }
        call->sent.len = 0;
        call->answer.len = 0;
        call->is_getter = from->answer != NULL;
        put_call(&call->sent, protocol, from, count);
        script_answer(&call->answer, protocol, from);
    }
}
