#include "relay.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "frame.h"
#include "msgpack_rpc.h"

#define READ_SIZE 4096
#define TRIES     64

/* One Step on its way. Owned by itself: freed when its handle is closed. */
struct relay {
    uv_pipe_t pipe;
    uv_write_t write;
    struct relay_env *env;
    struct rpc *asker; /* NULL: gone */
    struct relay *prev, *next;
    int64_t msgid;
    struct frame_reader reader;
    struct buffer in;
    uint8_t *message; /* being written */
    char read_buffer[READ_SIZE];
};

/* --- addresses --- */

static socklen_t address_of(const struct relay_env *env, uint32_t tag,
                            struct sockaddr_un *address) {
    *address = (struct sockaddr_un){.sun_family = AF_UNIX};
    int len = snprintf(address->sun_path + 1, sizeof address->sun_path - 1, "kong-pdk.%016llx.%03x",
                       (unsigned long long)env->path_hash, tag);
    return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)len);
}

static uint64_t fnv1a(uint64_t hash, const char *text) {
    for (const char *c = text; *c != '\0'; c++) {
        hash = (hash ^ (unsigned char)*c) * 1099511628211u;
    }
    return hash;
}

/* Of the absolute path: the directory is there, the socket itself may not be published yet. */
static uint64_t hash_path(const char *path) {
    const char *slash = strrchr(path, '/');
    size_t len = slash == NULL ? 1 : slash == path ? 1 : (size_t)(slash - path);
    char *directory = strndup(slash == NULL ? "." : path, len);
    char *resolved = directory == NULL ? NULL : realpath(directory, NULL);
    uint64_t hash = fnv1a(14695981039346656037u, resolved != NULL ? resolved : path);
    free(resolved);
    free(directory);
    return fnv1a(hash, slash == NULL ? path : slash + 1);
}

int relay_listen(struct relay_env *env, const char *path, uint32_t *tag) {
    env->path_hash = hash_path(path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    for (int i = 0; fd >= 0 && i < TRIES; i++) {
        struct sockaddr_un address;
        uint32_t random = 0;
        if (getrandom(&random, sizeof random, GRND_NONBLOCK) < 0) {
            random = (uint32_t)getpid() + (uint32_t)i;
        }
        *tag = random & EVENT_TAG_MASK;
        socklen_t len = address_of(env, *tag, &address);
        if (bind(fd, (struct sockaddr *)&address, len) == 0) {
            if (listen(fd, 128) == 0) {
                return fd;
            }
            break;
        }
        if (errno != EADDRINUSE) {
            break;
        }
    }
    if (fd >= 0) {
        close(fd);
    }
    *tag = 0;
    return -1;
}

bool relay_is_own_uid(int fd) {
    struct ucred peer;
    socklen_t len = sizeof peer;
    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0 && peer.uid == geteuid();
}

/* A connected descriptor, or -1. Connecting to a Unix socket does not wait: it works or it fails.
 */
static int connect_to(const struct relay_env *env, uint32_t tag) {
    struct sockaddr_un address;
    socklen_t len = address_of(env, tag, &address);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd >= 0 && (connect(fd, (struct sockaddr *)&address, len) != 0 || !relay_is_own_uid(fd))) {
        close(fd);
        fd = -1;
    }
    return fd;
}

/* --- one Step --- */

static void unlink_relay(struct relay *relay) {
    struct rpc *rpc = relay->asker;
    if (rpc == NULL) {
        return;
    }
    *(relay->prev != NULL ? &relay->prev->next : &rpc->relays) = relay->next;
    if (relay->next != NULL) {
        relay->next->prev = relay->prev;
    }
    relay->asker = NULL;
}

static void on_closed(uv_handle_t *handle) {
    struct relay *relay = handle->data;
    relay->env->count--;
    buffer_free(&relay->in);
    free(relay->message);
    free(relay);
}

static void finish(struct relay *relay) {
    unlink_relay(relay);
    if (!uv_is_closing((uv_handle_t *)&relay->pipe)) {
        uv_close((uv_handle_t *)&relay->pipe, on_closed);
    }
}

static void fail(struct relay *relay) {
    struct rpc *rpc = relay->asker;
    int64_t msgid = relay->msgid;
    finish(relay);
    if (rpc != NULL) {
        rpc_msgpack_relay_failed(rpc, msgid);
    }
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf) {
    struct relay *relay = handle->data;
    (void)suggested;
    *buf = uv_buf_init(relay->read_buffer, READ_SIZE);
}

/* The answer comes behind the other server's serverPid, which is no business of Kong's on this
 * connection. */
static void take_messages(struct relay *relay) {
    struct frame frame;
    struct codec_reason reason;
    size_t missing;
    int rc;
    while ((rc = frame_next(&relay->reader, relay->in.data, relay->in.len, relay->env->max_frame,
                            &frame, &missing, &reason)) > 0) {
        int64_t pid;
        if (!msgpack_decode_server_pid(frame.data, frame.len, &pid)) {
            struct rpc *rpc = relay->asker;
            unlink_relay(relay);
            rpc_msgpack_relayed(rpc, frame.data, frame.len);
            finish(relay);
            return;
        }
        buffer_consume(&relay->in, frame.total);
    }
    if (rc < 0) {
        fail(relay);
    }
}

static void on_read(uv_stream_t *stream, ssize_t count, const uv_buf_t *buf) {
    struct relay *relay = stream->data;
    if (count == 0 || relay->asker == NULL) {
        return;
    }
    if (count > 0) {
        buffer_append(&relay->in, buf->base, (size_t)count);
    }
    if (count < 0 || relay->in.failed) {
        fail(relay);
        return;
    }
    take_messages(relay);
}

static void on_written(uv_write_t *write, int status) {
    struct relay *relay = write->data;
    if (status != 0 && status != UV_ECANCELED) {
        fail(relay);
    }
}

static struct relay *relay_create(struct relay_env *env, int fd, const uint8_t *data, size_t len) {
    struct relay *relay = calloc(1, sizeof *relay);
    uint8_t *message = malloc(len);
    if (relay == NULL || message == NULL || uv_pipe_init(env->loop, &relay->pipe, 0) != 0) {
        free(relay);
        free(message);
        close(fd);
        return NULL;
    }
    memcpy(message, data, len);
    relay->env = env;
    relay->message = message;
    relay->pipe.data = relay->write.data = relay;
    buffer_init(&relay->in, env->max_frame + READ_SIZE);
    frame_reader_init(&relay->reader, PROTOCOL_MSGPACK, env->max_frame);
    env->count++;
    if (uv_pipe_open(&relay->pipe, fd) != 0) {
        close(fd);
        finish(relay);
        return NULL;
    }
    uv_buf_t buf = uv_buf_init((char *)message, (unsigned)len);
    if (uv_read_start((uv_stream_t *)&relay->pipe, on_alloc, on_read) != 0 ||
        uv_write(&relay->write, (uv_stream_t *)&relay->pipe, &buf, 1, on_written) != 0) {
        finish(relay);
        return NULL;
    }
    return relay;
}

bool relay_start(struct rpc *rpc, uint32_t tag, int64_t msgid, const uint8_t *data, size_t len) {
    struct relay_env *env = rpc->env->relay_env;
    int fd = connect_to(env, tag);
    struct relay *relay = fd < 0 ? NULL : relay_create(env, fd, data, len);
    if (relay == NULL) {
        return false;
    }
    relay->asker = rpc;
    relay->msgid = msgid;
    relay->next = rpc->relays;
    if (rpc->relays != NULL) {
        rpc->relays->prev = relay;
    }
    rpc->relays = relay;
    return true;
}

void relay_forget(struct rpc *rpc) {
    while (rpc->relays != NULL) {
        finish(rpc->relays);
    }
}
