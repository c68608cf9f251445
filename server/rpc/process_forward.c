#include "process_forward.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "frame.h"
#include "identity.h"
#include "limit.h"
#include "msgpack_rpc.h"

#define READ_SIZE 4096

/* One Step on its way. Owned by itself: freed when its handle is closed. */
struct process_forward {
    struct forward forward;
    uv_pipe_t pipe;
    uv_write_t write;
    struct process_forward_env *env;
    struct frame_reader reader;
    struct buffer in;
    struct buffer message; /* being written */
    char read_buffer[READ_SIZE];
};

/* --- addresses --- */

static socklen_t address_of(const struct process_forward_env *env, uint32_t tag,
                            struct sockaddr_un *address) {
    *address = (struct sockaddr_un){.sun_family = AF_UNIX};
    int len = snprintf(address->sun_path + 1, sizeof address->sun_path - 1, "kong-pdk.%016llx.%03x",
                       (unsigned long long)env->path_hash, tag);
    return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)len);
}

/* Of the absolute path: the directory is there, the socket itself may not be published yet. */
static uint64_t hash_path(const char *path) {
    const char *slash = strrchr(path, '/');
    size_t len = slash == NULL ? 1 : slash == path ? 1 : (size_t)(slash - path);
    char *directory = strndup(slash == NULL ? "." : path, len);
    char *resolved = directory == NULL ? NULL : realpath(directory, NULL);
    const char *place = resolved != NULL ? resolved : path;
    const char *name = slash == NULL ? path : slash + 1;
    uint64_t hash = identity_hash(IDENTITY_NOTHING, place, strlen(place));
    free(resolved);
    free(directory);
    return identity_hash(hash, name, strlen(name));
}

/* All tags are tried, from a random one on: who wants to take all names must take that many. */
int process_forward_listen(struct process_forward_env *env, const char *path, uint32_t *tag) {
    env->path_hash = hash_path(path);
    uint32_t first = identity_random();
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int rc = -1;
    for (uint32_t i = 0; fd >= 0 && rc != 0 && i <= EVENT_TAG_MASK; i++) {
        struct sockaddr_un address;
        *tag = (first + i) & EVENT_TAG_MASK;
        socklen_t len = address_of(env, *tag, &address);
        rc = bind(fd, (struct sockaddr *)&address, len);
        if (rc != 0 && errno != EADDRINUSE) {
            break;
        }
    }
    if (rc == 0 && listen(fd, SOMAXCONN) == 0) {
        return fd;
    }
    if (fd >= 0) {
        close(fd);
    }
    *tag = 0;
    return -1;
}

static bool is_own_uid(int fd) {
    struct ucred peer;
    socklen_t len = sizeof peer;
    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0 && peer.uid == geteuid();
}

/* A connected descriptor, or -1. Connecting to a Unix socket does not wait. */
static int connect_to(const struct process_forward_env *env, uint32_t tag) {
    struct sockaddr_un address;
    socklen_t len = address_of(env, tag, &address);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd >= 0 && (connect(fd, (struct sockaddr *)&address, len) != 0 || !is_own_uid(fd))) {
        close(fd);
        fd = -1;
    }
    return fd;
}

/* --- one Step --- */

static void on_closed(uv_handle_t *handle) {
    struct process_forward *forward = handle->data;
    forward->env->count--;
    buffer_free(&forward->in);
    buffer_free(&forward->message);
    free(forward);
}

static void end(struct process_forward *forward) {
    if (!uv_is_closing((uv_handle_t *)&forward->pipe)) {
        uv_close((uv_handle_t *)&forward->pipe, on_closed);
    }
}

static void recall(struct forward *forward) {
    end((struct process_forward *)forward);
}

static void fail(struct process_forward *forward) {
    forward_gone(&forward->forward);
    end(forward);
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf) {
    struct process_forward *forward = handle->data;
    (void)suggested;
    *buf = uv_buf_init(forward->read_buffer, READ_SIZE);
}

/* The answer comes behind the other server's serverPid, which is no business of Kong's on this
 * connection. */
static void take_messages(struct process_forward *forward) {
    struct frame frame;
    struct codec_reason reason;
    size_t missing;
    int rc;
    while ((rc = frame_next(&forward->reader, forward->in.data, forward->in.len, LIMIT_OUT, &frame,
                            &missing, &reason)) > 0) {
        int64_t pid;
        if (!msgpack_decode_server_pid(frame.data, frame.len, &pid)) {
            forward_answer(&forward->forward, frame.data, frame.len);
            end(forward);
            return;
        }
        buffer_consume(&forward->in, frame.total);
    }
    if (rc < 0) {
        fail(forward);
    }
}

static void on_read(uv_stream_t *stream, ssize_t count, const uv_buf_t *buf) {
    struct process_forward *forward = stream->data;
    if (count == 0 || forward->forward.rpc == NULL) {
        return;
    }
    if (count > 0) {
        buffer_append(&forward->in, buf->base, (size_t)count);
    }
    if (count < 0 || forward->in.failed) {
        fail(forward);
        return;
    }
    take_messages(forward);
}

static void on_written(uv_write_t *write, int status) {
    struct process_forward *forward = write->data;
    if (status != 0 && status != UV_ECANCELED) {
        fail(forward);
    }
}

/* False: there is no memory for it. */
static bool copy_message(struct process_forward *forward, const struct budget *budget,
                         const uint8_t *data, size_t len) {
    buffer_init(&forward->message, len);
    buffer_init(&forward->in, LIMIT_OUT);
    buffer_set_budget(&forward->message, budget);
    buffer_set_budget(&forward->in, budget);
    buffer_append(&forward->message, data, len);
    return !forward->message.failed;
}

static struct process_forward *forward_create(const struct rpc_env *rpc_env, int fd,
                                              const uint8_t *data, size_t len) {
    struct process_forward_env *env = rpc_env->process_forward_env;
    struct process_forward *forward = calloc(1, sizeof *forward);
    if (forward == NULL || uv_pipe_init(env->loop, &forward->pipe, 0) != 0) {
        free(forward);
        close(fd);
        return NULL;
    }
    forward->env = env;
    forward->pipe.data = forward->write.data = forward;
    frame_reader_init(&forward->reader, PROTOCOL_MSGPACK, LIMIT_OUT);
    env->count++;
    bool opened =
        copy_message(forward, rpc_env->budget, data, len) && uv_pipe_open(&forward->pipe, fd) == 0;
    if (!opened) {
        close(fd);
    }
    uv_buf_t buf = uv_buf_init((char *)forward->message.data, (unsigned)len);
    if (!opened || uv_read_start((uv_stream_t *)&forward->pipe, on_alloc, on_read) != 0 ||
        uv_write(&forward->write, (uv_stream_t *)&forward->pipe, &buf, 1, on_written) != 0) {
        end(forward);
        return NULL;
    }
    return forward;
}

bool process_forward_start(struct rpc *rpc, uint32_t tag, const struct rpc_call *step,
                           const uint8_t *data, size_t len) {
    struct process_forward_env *env = rpc->env->process_forward_env;
    int fd = connect_to(env, tag);
    struct process_forward *forward = fd < 0 ? NULL : forward_create(rpc->env, fd, data, len);
    if (forward == NULL) {
        return false;
    }
    forward->forward = (struct forward){.recall = recall};
    forward_link(&forward->forward, rpc, step, len);
    return true;
}
