#include "sim_client.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "limit.h"
#include "sim_client_inside.h"

int sim_connect_unix(void *ctx) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const char *path = ctx;
    size_t len = strlen(path);
    if (len >= sizeof address.sun_path) {
        return -1;
    }
    memcpy(address.sun_path, path, len + 1);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (const struct sockaddr *)&address, sizeof address) != 0) {
        close(fd);
        fd = -1;
    }
    return fd;
}

const char *sim_event_outcome_name(enum sim_event_outcome outcome) {
    static const char *const names[] = {
        [SIM_EVENT_OK] = "OK",           [SIM_EVENT_EXITED] = "EXITED",
        [SIM_EVENT_RAISED] = "RAISED",   [SIM_EVENT_NO_METHOD] = "NO_METHOD",
        [SIM_EVENT_ERROR] = "ERROR",     [SIM_EVENT_NO_INSTANCE] = "NO_INSTANCE",
        [SIM_EVENT_CLOSED] = "CLOSED",   [SIM_EVENT_TIMEOUT] = "TIMEOUT",
        [SIM_EVENT_BROKEN] = "BROKEN",   [SIM_EVENT_DROPPED] = "DROPPED",
        [SIM_EVENT_REFUSED] = "REFUSED",
    };
    return names[outcome];
}

struct sim_client *sim_client_create(const struct sim_client_options *options) {
    struct sim_client *client = calloc(1, sizeof *client);
    if (client == NULL) {
        return NULL;
    }
    client->options = *options;
    if (client->options.timeout_ms == 0) {
        client->options.timeout_ms = 60000;
    }
    /* Kong's ProtoBuf client counts twice before its first call. */
    client->sequence = options->protocol == PROTOCOL_PROTOBUF ? 1 : 0;
    arena_init(&client->arena, LIMIT_EVENT_MEMORY);
    return client;
}

void sim_client_drop(struct sim_client *client) {
    while (client->open > 0) {
        client_forget(client, &client->pool[client->open - 1]);
    }
}

void sim_client_destroy(struct sim_client *client) {
    if (client == NULL) {
        return;
    }
    sim_client_drop(client);
    arena_free(&client->arena);
    free(client);
}

struct sim_behaviour *sim_client_behaviour(struct sim_client *client) {
    return &client->behaviour;
}

const struct sim_client_counts *sim_client_counts(const struct sim_client *client) {
    return &client->counts;
}

static struct wire *open_wire(struct sim_client *client) {
    if (client->open == SIM_POOL) {
        return NULL;
    }
    int fd = client->options.connect(client->options.connect_ctx);
    if (fd < 0) {
        return NULL;
    }
    struct wire *wire = &client->pool[client->open++];
    wire_init(wire, fd, client->options.protocol, client->options.timeout_ms);
    client->counts.connections++;
    return wire;
}

/* nginx notices that an idle connection was closed, or says something that nobody asked for, and
 * takes it out of its pool. */
static bool closed_meanwhile(struct wire *wire) {
    char byte;
    if (wire->in.len > wire->consumed) {
        return true;
    }
    ssize_t n = recv(wire->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    return n >= 0 || (errno != EAGAIN && errno != EINTR);
}

struct wire *client_wire(struct sim_client *client) {
    size_t spread = client->behaviour.connections;
    struct wire *wire = NULL;
    if (client->options.protocol == PROTOCOL_PROTOBUF || spread == 0) {
        spread = 1;
    }
    spread = spread > SIM_POOL ? SIM_POOL : spread;
    for (size_t i = client->open; i-- > 0;) {
        if (closed_meanwhile(&client->pool[i])) {
            client_forget(client, &client->pool[i]);
        }
    }
    if (client->open < spread) {
        wire = open_wire(client);
    } else {
        wire = &client->pool[client->next++ % spread];
    }
    if (wire != NULL) {
        wire->chunk = client->behaviour.chunk;
        wire->drop_half = client->behaviour.drop_half;
        wire->countdown = &client->countdown;
    }
    return wire;
}

void client_forget(struct sim_client *client, struct wire *wire) {
    size_t index = (size_t)(wire - client->pool);
    wire_close(wire);
    client->open--;
    if (index != client->open) {
        client->pool[index] = client->pool[client->open];
    }
    client->pool[client->open] = (struct wire){.fd = -1};
}

void client_text(struct sim_client *client, const char *format, ...) {
    va_list list;
    va_start(list, format);
    vsnprintf(client->text, sizeof client->text, format, list);
    va_end(list);
}

enum sim_event_outcome client_wire_outcome(struct sim_client *client, const struct wire *wire,
                                           enum wire_status status) {
    switch (status) {
    case WIRE_OK:
        return SIM_EVENT_OK;
    case WIRE_CLOSED:
        if (client->options.protocol == PROTOCOL_MSGPACK && wire->in.len > wire->consumed) {
            client_text(client, "missing bytes"); /* MessagePack.lua raises */
            return SIM_EVENT_RAISED;
        }
        client_text(client, "%s",
                    wire->error == ECONNRESET ? "connection reset by peer"
                    : wire->error == EPIPE    ? "broken pipe"
                                              : "closed");
        return SIM_EVENT_CLOSED;
    case WIRE_TIMEOUT:
        client_text(client, "timeout");
        return SIM_EVENT_TIMEOUT;
    case WIRE_BROKEN:
        client_text(client, "no message: %s", wire->reason.text);
        return SIM_EVENT_BROKEN;
    case WIRE_DROPPED:
        client_text(client, "dropped");
        return SIM_EVENT_DROPPED;
    case WIRE_NOMEM:
        break;
    }
    client_text(client, "not enough memory");
    return SIM_EVENT_REFUSED;
}

bool client_no_instance(struct kong_str text) {
    static const char words[] = "no plugin instance";
    for (size_t i = 0; i + sizeof words - 1 <= text.len; i++) {
        if (strncasecmp(text.data + i, words, sizeof words - 1) == 0) {
            return true;
        }
    }
    return false;
}

enum sim_event_outcome sim_client_command(struct sim_client *client, struct rpc_call *call,
                                          struct arena *arena, struct rpc_reply *reply,
                                          const char **text) {
    client->text[0] = '\0';
    client->countdown = 0;
    call->sequence = ++client->sequence;
    *reply = (struct rpc_reply){0};
    enum sim_event_outcome outcome = client->options.protocol == PROTOCOL_PROTOBUF
                                         ? protobuf_command(client, call, arena, reply)
                                         : msgpack_command(client, call, arena, reply);
    if (text != NULL) {
        *text = client->text;
    }
    return outcome;
}

enum sim_event_outcome sim_client_start(struct sim_client *client, const char *plugin,
                                        const char *config, int64_t *id) {
    struct rpc_call call = {
        .command = RPC_START_INSTANCE, .name = kong_str(plugin), .config = kong_str(config)};
    struct rpc_reply reply;
    arena_reset(&client->arena);
    enum sim_event_outcome outcome =
        sim_client_command(client, &call, &client->arena, &reply, NULL);
    if (outcome == SIM_EVENT_OK && reply.kind != RPC_REPLY_INSTANCE) {
        client_text(client, "no instance in the answer");
        return SIM_EVENT_BROKEN;
    }
    *id = reply.instance.id;
    return outcome;
}

enum sim_event_outcome sim_client_stop(struct sim_client *client, int64_t id) {
    struct rpc_call call = {.command = RPC_CLOSE_INSTANCE, .instance_id = id};
    struct rpc_reply reply;
    arena_reset(&client->arena);
    return sim_client_command(client, &call, &client->arena, &reply, NULL);
}

const char *sim_client_text(const struct sim_client *client) {
    return client->text;
}

enum sim_event_outcome sim_client_event(struct sim_client *client, int64_t instance,
                                        const char *event, struct sim_event *result) {
    struct rpc_call call = {
        .command = RPC_HANDLE_EVENT, .instance_id = instance, .event = kong_str(event)};
    struct sim_event unwanted;
    struct sim_event *out = result == NULL ? &unwanted : result;
    *out = (struct sim_event){0};
    client->text[0] = '\0';
    client->countdown = client->behaviour.drop_at;
    call.sequence = ++client->sequence;
    arena_reset(&client->arena);
    out->outcome = client->options.protocol == PROTOCOL_PROTOBUF
                       ? protobuf_event(client, &call, out)
                       : msgpack_event(client, &call, out);
    client->countdown = 0;
    memcpy(out->text, client->text, sizeof out->text);
    return out->outcome;
}

ssize_t sim_client_raw(struct sim_client *client, const void *data, size_t len, int wait_ms,
                       void *out, size_t cap, bool *closed) {
    size_t got = 0;
    int fd = client->options.connect(client->options.connect_ctx);
    *closed = false;
    if (fd < 0) {
        return -1;
    }
    /* The server may close before it has read all of it: that is no failure here. */
    for (size_t sent = 0; sent < len;) {
        ssize_t n = send(fd, (const char *)data + sent, len - sent, MSG_NOSIGNAL);
        if (n <= 0) {
            break;
        }
        sent += (size_t)n;
    }
    while (got < cap) {
        struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
        if (poll(&poll_fd, 1, wait_ms) <= 0) {
            break;
        }
        ssize_t n = recv(fd, (char *)out + got, cap - got, 0);
        if (n <= 0) {
            *closed = true;
            break;
        }
        got += (size_t)n;
    }
    close(fd);
    return (ssize_t)got;
}
