#include "metrics.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/queue.h>
#include <unistd.h>

#include "metrics_address.h"
#include "socket_file.h"

#define MOST_CLIENTS 16
#define MOST_HEAD    4096
#define MOST_BODY    ((size_t)4 << 20)
#define TIMEOUT_MS   5000
#define BACKLOG      16

/* TCP or a Unix socket, as the address is. */
union socket {
    uv_handle_t handle;
    uv_stream_t stream;
    uv_tcp_t tcp;
    uv_pipe_t pipe;
};

struct metrics {
    struct metrics_options options;
    struct metrics_address address;
    struct socket_file file; /* if that is a path and it listens */
    bool serving;            /* the loop runs: it must not wait for a lock */
    union socket listener;
    bool listening;
    bool complained;
    bool closing;
    size_t handles;              /* that are not closed yet */
    LIST_HEAD(, client) clients; /* the newest first */
    size_t client_count;
};

struct client {
    union socket socket;
    struct metrics *metrics;
    LIST_ENTRY(client) link;
    uint64_t since;
    char head[MOST_HEAD];
    size_t len;
    bool answered;
    uv_write_t request;
    struct buffer out;
};

/* 0: the handle is there and is to be closed; else nothing is left. */
static int init_socket(struct metrics *metrics, union socket *socket, void *data) {
    uv_loop_t *loop = metrics->options.loop;
    int rc = metrics->address.path != NULL ? uv_pipe_init(loop, &socket->pipe, 0)
                                           : uv_tcp_init(loop, &socket->tcp);
    metrics->handles += rc == 0;
    socket->handle.data = data;
    return rc;
}

/* --- the end --- */

static void release(struct metrics *metrics) {
    if (--metrics->handles == 0 && metrics->closing) {
        free(metrics);
    }
}

static void on_client_closed(uv_handle_t *handle) {
    struct client *client = handle->data;
    struct metrics *metrics = client->metrics;
    LIST_REMOVE(client, link);
    metrics->client_count--;
    buffer_free(&client->out);
    free(client);
    release(metrics);
}

static void close_client(struct client *client) {
    if (!uv_is_closing(&client->socket.handle)) {
        uv_close(&client->socket.handle, on_client_closed);
    }
}

static void on_listener_closed(uv_handle_t *handle) {
    release(handle->data);
}

static void stop_listening(struct metrics *metrics) {
    if (metrics->listening) {
        metrics->listening = false;
        if (metrics->address.path != NULL) {
            if (!socket_file_remove(&metrics->file, SOCKET_LOCK_TRY)) {
                socket_file_remove(&metrics->file, SOCKET_LOCK_SKIP);
            }
            socket_file_close(&metrics->file);
        }
        uv_close(&metrics->listener.handle, on_listener_closed);
    }
}

void metrics_close(struct metrics *metrics) {
    if (metrics == NULL) {
        return;
    }
    metrics->handles++; /* until this is done with it */
    metrics->closing = true;
    stop_listening(metrics);
    struct client *client;
    LIST_FOREACH(client, &metrics->clients, link) {
        close_client(client);
    }
    release(metrics);
}

/* --- one request --- */

static void on_written(uv_write_t *request, int status) {
    (void)status;
    close_client(request->data);
}

static void answer(struct client *client, const char *status, bool with_body, const char *text) {
    char head[256];
    struct buffer body;
    buffer_init(&body, MOST_BODY);
    if (text != NULL) {
        buffer_append_text(&body, text);
    } else {
        client->metrics->options.render(client->metrics->options.arg, &body);
    }
    int len = snprintf(head, sizeof head,
                       "HTTP/1.0 %s\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n"
                       "Content-Length: %zu\r\nConnection: close\r\n\r\n",
                       status, body.len);
    buffer_append(&client->out, head, (size_t)len);
    if (with_body) {
        buffer_append(&client->out, body.data, body.len);
    }
    uv_buf_t buf = uv_buf_init((char *)client->out.data, (unsigned)client->out.len);
    client->request.data = client;
    client->answered = true;
    bool failed = body.failed || client->out.failed;
    buffer_free(&body);
    if (failed || uv_write(&client->request, &client->socket.stream, &buf, 1, on_written) != 0) {
        close_client(client);
    }
}

/* The head is there, whole. */
static void handle_request(struct client *client) {
    char method[8];
    char path[32];
    if (sscanf(client->head, "%7[A-Z] %31[^ ?\r\n]", method, path) != 2) {
        answer(client, "400 Bad Request", true, "not an HTTP request\n");
        return;
    }
    bool head = strcmp(method, "HEAD") == 0;
    if (!head && strcmp(method, "GET") != 0) {
        answer(client, "405 Method Not Allowed", true, "GET only\n");
    } else if (strcmp(path, "/metrics") != 0) {
        answer(client, "404 Not Found", !head, "the figures are at /metrics\n");
    } else {
        answer(client, "200 OK", !head, NULL);
    }
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf) {
    struct client *client = handle->data;
    (void)suggested;
    *buf = uv_buf_init(client->head + client->len, (unsigned)(MOST_HEAD - 1 - client->len));
}

static void on_read(uv_stream_t *stream, ssize_t count, const uv_buf_t *buf) {
    struct client *client = stream->data;
    (void)buf;
    if (count == 0) {
        return;
    }
    if (count < 0) {
        close_client(client);
        return;
    }
    client->len += (size_t)count;
    client->head[client->len] = '\0';
    if (strstr(client->head, "\r\n\r\n") != NULL || strstr(client->head, "\n\n") != NULL) {
        uv_read_stop(stream);
        handle_request(client);
    } else if (client->len == MOST_HEAD - 1) {
        uv_read_stop(stream);
        answer(client, "431 Request Header Fields Too Large", true, "too long\n");
    }
}

/* How little a client has done for its place: 0 sent nothing, 1 sent something, 2 has its answer
 * and does not take it. */
static int rank_of(const struct client *client) {
    int fd;
    int unread = 0;
    if (client->answered) {
        return 2;
    }
    /* Bytes that came just now are still in the socket. */
    bool sent = client->len > 0 || (uv_fileno(&client->socket.handle, &fd) == 0 &&
                                    ioctl(fd, FIONREAD, &unread) == 0 && unread > 0);
    return sent ? 1 : 0;
}

/* A client that connects and sends nothing must not keep Prometheus out. When all places are taken,
 * the client that has done the least loses its place; of several, the oldest. */
static void free_a_place(struct metrics *metrics, const struct client *newest) {
    struct client *least = NULL;
    struct client *client;
    size_t open = 0;
    LIST_FOREACH(client, &metrics->clients, link) {
        if (uv_is_closing(&client->socket.handle)) {
            continue;
        }
        open++;
        if (client != newest && (least == NULL || rank_of(client) <= rank_of(least))) {
            least = client;
        }
    }
    if (open > MOST_CLIENTS && least != NULL) {
        close_client(least);
    }
}

static void on_connection(uv_stream_t *listener, int status) {
    struct metrics *metrics = listener->data;
    struct client *client = status == 0 ? calloc(1, sizeof *client) : NULL;
    if (client == NULL) { /* nothing is accepted, so libuv would not ask again */
        stop_listening(metrics);
        return;
    }
    client->metrics = metrics;
    client->since = uv_now(metrics->options.loop);
    buffer_init(&client->out, MOST_BODY);
    if (init_socket(metrics, &client->socket, client) != 0) {
        free(client);
        stop_listening(metrics);
        return;
    }
    LIST_INSERT_HEAD(&metrics->clients, client, link);
    metrics->client_count++;
    if (uv_accept(listener, &client->socket.stream) != 0) {
        close_client(client);
        stop_listening(metrics); /* as above */
        return;
    }
    free_a_place(metrics, client);
    if (uv_read_start(&client->socket.stream, on_alloc, on_read) != 0) {
        close_client(client);
    }
}

/* --- the port --- */

static int bind_listener(struct metrics *metrics, char *error, size_t size) {
    struct socket_file_options wanted = {
        .path = metrics->address.path,
        .mode = 0600,
        .backlog = BACKLOG,
        .take_over = true,
        .lock = metrics->serving ? SOCKET_LOCK_SKIP : SOCKET_LOCK_WAIT,
    };
    if (metrics->address.path == NULL) {
        return uv_tcp_bind(&metrics->listener.tcp, (const struct sockaddr *)&metrics->address.ip,
                           0);
    }
    if (socket_file_open(&wanted, &metrics->file, NULL, error, size) != 0) {
        return UV_EINVAL; /* the text says more */
    }
    int rc = uv_pipe_open(&metrics->listener.pipe, metrics->file.fd);
    if (rc == 0) {
        metrics->file.fd = -1; /* the handle's */
    }
    return rc;
}

static void listen_now(struct metrics *metrics) {
    char error[256] = "";
    int rc = init_socket(metrics, &metrics->listener, metrics);
    metrics->listening = rc == 0;
    if (rc == 0) {
        rc = bind_listener(metrics, error, sizeof error);
    }
    if (rc == 0) {
        rc = uv_listen(&metrics->listener.stream, BACKLOG, on_connection);
    }
    if (rc == 0) {
        metrics->complained = false;
        log_write(metrics->options.log, LOG_LEVEL_INFO, "metrics at %s", metrics->options.listen);
        return;
    }
    stop_listening(metrics);
    if (!metrics->complained) {
        metrics->complained = true;
        log_write(metrics->options.log, LOG_LEVEL_WARN,
                  "--metrics-listen %s: %s; tried again every second", metrics->options.listen,
                  error[0] != '\0' ? error : uv_strerror(rc));
    }
}

int metrics_open(const struct metrics_options *options, struct metrics **out, char *error,
                 size_t error_size) {
    struct metrics *metrics = calloc(1, sizeof *metrics);
    if (metrics == NULL) {
        snprintf(error, error_size, "out of memory");
        return -1;
    }
    metrics->options = *options;
    metrics->file.fd = -1;
    char reason[256];
    if (metrics_address_parse(options->listen, &metrics->address, reason, sizeof reason) != 0) {
        snprintf(error, error_size, "--metrics-listen %.200s: %s", options->listen, reason);
        free(metrics);
        return -1;
    }
    listen_now(metrics);
    *out = metrics;
    return 0;
}

void metrics_tick(struct metrics *metrics) {
    if (metrics == NULL) {
        return;
    }
    metrics->serving = true;
    uint64_t now = uv_now(metrics->options.loop);
    struct client *client;
    LIST_FOREACH(client, &metrics->clients, link) {
        if (now - client->since >= TIMEOUT_MS) {
            close_client(client);
        }
    }
    if (!metrics->listening && metrics->handles == metrics->client_count) {
        listen_now(metrics); /* the handle of the last attempt is closed */
    }
}
