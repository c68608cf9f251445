#include "learn.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

int learn_connect(const char *path, bool nonblocking) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path) {
        errno = ENAMETOOLONG;
        return -1;
    }
    memcpy(address.sun_path, path, strlen(path));
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return -1;
    }
    /* blocking until here: a full backlog is waited for */
    if (connect(fd, (const struct sockaddr *)&address, sizeof address) != 0) {
        int error = errno;
        close(fd);
        errno = error;
        return -1;
    }
    if (nonblocking && fcntl(fd, F_SETFL, O_RDWR | O_NONBLOCK) != 0) {
        int error = errno;
        close(fd);
        errno = error;
        return -1;
    }
    return fd;
}

void learn_config(char *config, size_t size, const char *fields, uint32_t number) {
    snprintf(config, size,
             "{\"__seq__\":%u,\"__plugin_id\":\"e84f8ed7-6393-575d-93ab-%012x\","
             "\"__ws_id\":\"0dc6f45b-8f8d-40d2-a504-473544ee190b\","
             "\"service_id\":\"7a267194-6123-5ee0-a1c9-%012x\","
             "\"__key__\":\"plugins:bench::7a267194-6123-5ee0-a1c9-%012x:::"
             "0dc6f45b-8f8d-40d2-a504-473544ee190b\"%s%s}",
             number + 2, number, number, number, fields[0] == '\0' ? "" : ",", fields);
}

/* One conversation, blocking. */
struct session {
    int fd;
    int wait_ms;
    const struct script *script;
    struct canned *learned;
    bool seen[SCRIPT_MAX_CALLS];
    size_t have;
    uint8_t data[WIRE_MAX];
    char *error;
    size_t error_size;
};

__attribute__((format(printf, 2, 3))) static int failed(struct session *session, const char *format,
                                                        ...) {
    va_list args;
    va_start(args, format);
    vsnprintf(session->error, session->error_size, format, args);
    va_end(args);
    return -1;
}

static int send_wire(struct session *session, const struct wire *wire) {
    ssize_t sent = send(session->fd, wire->data, wire->len, MSG_NOSIGNAL);
    return sent == (ssize_t)wire->len ? 0 : failed(session, "send: %s", strerror(errno));
}

static int read_more(struct session *session) {
    struct pollfd poller = {.fd = session->fd, .events = POLLIN};
    if (session->have == sizeof session->data) {
        return failed(session, "a message of more than %zu bytes", sizeof session->data);
    }
    if (poll(&poller, 1, session->wait_ms) <= 0) {
        return failed(session, "no answer within %d ms", session->wait_ms);
    }
    ssize_t got =
        recv(session->fd, session->data + session->have, sizeof session->data - session->have, 0);
    if (got <= 0) {
        return failed(session, "the server closed the connection");
    }
    session->have += (size_t)got;
    return 0;
}

static void consume(struct session *session, size_t len) {
    session->have -= len;
    memmove(session->data, session->data + len, session->have);
}

/* How many calls of the script, beginning with *first, this is: 1, or some setters that were
 * merged; 0 when it is none that is due. */
static size_t match(const struct session *session, const char *method, size_t method_len,
                    const uint8_t *arguments, size_t len, size_t *first) {
    const struct script *script = session->script;
    bool merged = method_len == strlen("kong.response.set_headers") &&
                  memcmp(method, "kong.response.set_headers", method_len) == 0;
    for (size_t i = 0; i < script->count; i++) {
        const struct script_call *call = &script->calls[i];
        bool named =
            method_len == strlen(call->method) && memcmp(method, call->method, method_len) == 0;
        if (session->seen[i] || !(named || (merged && call->answer == NULL))) {
            continue;
        }
        for (size_t count = named ? 1 : script->count - i; count > (named ? 0u : 1u); count--) {
            struct wire wanted;
            wanted.len = 0;
            script_arguments(&wanted, session->learned->protocol, call, count);
            if (wanted.len == len && memcmp(wanted.data, arguments, len) == 0) {
                *first = i;
                return count;
            }
        }
        if (call->answer == NULL) {
            return 0; /* setters only in their order */
        }
    }
    return 0;
}

/* Notes a call whose bytes are `sent`, and gives the answer to it. */
static const struct wire *take_call(struct session *session, const char *method, size_t method_len,
                                    const uint8_t *arguments, size_t len, const uint8_t *sent,
                                    size_t sent_len) {
    size_t first;
    size_t count = match(session, method, method_len, arguments, len, &first);
    if (count == 0) {
        failed(session, "a call that the handler should not make now: %.*s", (int)method_len,
               method);
        return NULL;
    }
    for (size_t i = 0; i < count; i++) {
        session->seen[first + i] = true;
    }
    struct canned_call *call = &session->learned->calls[session->learned->count++];
    call->sent.len = 0;
    call->answer.len = 0;
    call->is_getter = session->script->calls[first].answer != NULL;
    wire_put(&call->sent, sent, sent_len);
    script_answer(&call->answer, session->learned->protocol, &session->script->calls[first]);
    return &call->answer;
}

static int all_seen(struct session *session) {
    for (size_t i = 0; i < session->script->count; i++) {
        if (!session->seen[i]) {
            return failed(session, "the event ended without %s", session->script->calls[i].method);
        }
    }
    return 0;
}

/* --- ProtoBuf:1 ----------------------------------------------------------------------------- */

static size_t frame_len(const uint8_t *at) {
    return (size_t)at[0] | (size_t)at[1] << 8 | (size_t)at[2] << 16 | (size_t)at[3] << 24;
}

/* Until `count` whole frames are there; *total is their size. */
static int read_frames(struct session *session, unsigned count, size_t *total) {
    for (;;) {
        size_t at = 0;
        unsigned whole = 0;
        while (whole < count && session->have - at >= 4 &&
               frame_len(session->data + at) <= session->have - at - 4) {
            at += 4 + frame_len(session->data + at);
            whole++;
        }
        if (whole == count) {
            *total = at;
            return 0;
        }
        if (read_more(session) != 0) {
            return -1;
        }
    }
}

static int pb_start(struct session *session, const struct wire *request, struct wire_id *id) {
    size_t total;
    if (send_wire(session, request) != 0 || read_frames(session, 1, &total) != 0) {
        return -1;
    }
    if (!pb_instance_id(session->data + 4, total - 4, id)) {
        return failed(session, "StartInstance was refused");
    }
    consume(session, total);
    return 0;
}

static int pb_run(struct session *session, uint32_t sequence) {
    struct wire end;
    end.len = 0;
    pb_end(&end, sequence);
    for (;;) {
        size_t total;
        if (read_frames(session, 2, &total) != 0) {
            return -1;
        }
        size_t method_len = frame_len(session->data);
        if (method_len == 0) {
            if (total != end.len || memcmp(session->data, end.data, end.len) != 0) {
                return failed(session, "no RpcReturn with the sequence of the call");
            }
            return session->have == total ? all_seen(session)
                                          : failed(session, "bytes behind the end of the event");
        }
        const uint8_t *arguments = session->data + 4 + method_len + 4;
        const struct wire *answer =
            take_call(session, (const char *)session->data + 4, method_len, arguments,
                      total - method_len - 8, session->data, total);
        if (answer == NULL || send_wire(session, answer) != 0) {
            return -1;
        }
        consume(session, total);
    }
}

/* --- MsgPack:1 ------------------------------------------------------------------------------ */

/* The next response: its result's bytes in [*result, *end). Notifications are passed over. */
static int mp_response(struct session *session, uint32_t msgid, const uint8_t **result,
                       const uint8_t **end) {
    bool malformed;
    const uint8_t *behind;
    while ((behind = mp_skip(session->data, session->data + session->have, &malformed)) == NULL ||
           session->data[0] == 0x93) {
        if (malformed) {
            return failed(session, "bytes that are no MessagePack");
        }
        if (behind != NULL) {
            consume(session, (size_t)(behind - session->data));
        } else if (read_more(session) != 0) {
            return -1;
        }
    }
    const uint8_t *at = session->data + 2;
    const char *text;
    size_t len;
    uint64_t value;
    if (session->data[0] != 0x94 || session->data[1] != 1 ||
        !mp_get_uint(at, behind, &value, &at) || value != msgid) {
        return failed(session, "no response to the request");
    }
    if (*at != 0xc0) {
        return mp_get_string(at, behind, &text, &len, &at)
                   ? failed(session, "an error: %.*s", (int)len, text)
                   : failed(session, "an error that is no string");
    }
    *result = at + 1;
    *end = behind;
    return 0;
}

static int mp_id(struct session *session, const uint8_t *result, const uint8_t *end,
                 const char *key, struct wire_id *id) {
    const uint8_t *from = mp_map_get(result, end, key);
    const uint8_t *to;
    uint64_t value;
    if (from == NULL || !mp_get_uint(from, end, &value, &to) ||
        (size_t)(to - from) > sizeof id->bytes) {
        return failed(session, "a result without %s", key);
    }
    id->len = (uint8_t)(to - from);
    memcpy(id->bytes, from, id->len);
    return 0;
}

static int mp_start(struct session *session, uint32_t msgid, const struct wire *request,
                    struct wire_id *id) {
    const uint8_t *result;
    const uint8_t *end;
    if (send_wire(session, request) != 0 || mp_response(session, msgid, &result, &end) != 0 ||
        mp_id(session, result, end, "Id", id) != 0) {
        return -1;
    }
    consume(session, (size_t)(end - session->data));
    return 0;
}

/* Data: a call (*answer is set), or "ret" (it is not). */
static int mp_data(struct session *session, const uint8_t *result, const uint8_t *end,
                   const struct wire **answer) {
    bool malformed;
    const char *text;
    size_t len;
    const uint8_t *next;
    const uint8_t *data = mp_map_get(result, end, "Data");
    *answer = NULL;
    if (data == NULL) {
        return failed(session, "a result without Data");
    }
    if (mp_get_string(data, end, &text, &len, &next)) {
        return len == 3 && memcmp(text, "ret", 3) == 0 ? 0 : failed(session, "Data is no call");
    }
    const uint8_t *behind = mp_skip(data, end, &malformed);
    const uint8_t *method = mp_map_get(data, end, "Method");
    const uint8_t *arguments = mp_map_get(data, end, "Args");
    const uint8_t *arguments_end = arguments == NULL ? NULL : mp_skip(arguments, end, &malformed);
    if (behind == NULL || method == NULL || arguments_end == NULL ||
        !mp_get_string(method, end, &text, &len, &next)) {
        return failed(session, "Data without Method or Args");
    }
    *answer = take_call(session, text, len, arguments, (size_t)(arguments_end - arguments), data,
                        (size_t)(behind - data));
    return *answer == NULL ? -1 : 0;
}

static int mp_run(struct session *session, uint32_t msgid) {
    for (;;) {
        const uint8_t *result;
        const uint8_t *end;
        const struct wire *answer;
        struct wire_id event;
        if (mp_response(session, msgid, &result, &end) != 0 ||
            mp_data(session, result, end, &answer) != 0) {
            return -1;
        }
        if (answer == NULL) {
            return all_seen(session);
        }
        if (mp_id(session, result, end, "EventId", &event) != 0) {
            return -1;
        }
        consume(session, (size_t)(end - session->data));
        struct wire step;
        step.len = 0;
        mp_step(&step, ++msgid, &event, answer->len == 0 ? NULL : answer);
        if (send_wire(session, &step) != 0) {
            return -1;
        }
    }
}

static int converse(struct session *session, const char *plugin, const char *fields) {
    struct wire request;
    struct wire_id instance;
    char config[WIRE_MAX / 2];
    bool protobuf = session->learned->protocol == WIRE_PROTOBUF;
    learn_config(config, sizeof config, fields, 0);
    request.len = 0;
    if (protobuf) {
        pb_start_instance(&request, SEQUENCE_FIRST, plugin, config);
    } else {
        mp_start_instance(&request, MSGID_FIRST, plugin, config);
    }
    if ((protobuf ? pb_start(session, &request, &instance)
                  : mp_start(session, MSGID_FIRST, &request, &instance)) != 0) {
        return -1;
    }
    request.len = 0;
    if (protobuf) {
        pb_handle_event(&request, SEQUENCE_FIRST + 1, &instance, SCRIPT_PHASE);
    } else {
        mp_handle_event(&request, MSGID_FIRST + 1, &instance, SCRIPT_PHASE);
    }
    if (send_wire(session, &request) != 0) {
        return -1;
    }
    return protobuf ? pb_run(session, SEQUENCE_FIRST + 1) : mp_run(session, MSGID_FIRST + 1);
}

int learn_event(const char *path, enum wire_protocol protocol, const char *plugin,
                const char *fields, const struct script *script, struct canned *learned,
                int wait_ms, char *error, size_t error_size) {
    struct session session = {.script = script,
                              .wait_ms = wait_ms,
                              .learned = learned,
                              .error = error,
                              .error_size = error_size};
    learned->protocol = protocol;
    learned->count = 0;
    session.fd = learn_connect(path, false);
    if (session.fd < 0) {
        return failed(&session, "%s: %s", path, strerror(errno));
    }
    int rc = converse(&session, plugin, fields);
    close(session.fd);
    return rc;
}
