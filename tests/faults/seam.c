#include "seam.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>
#include <uv.h>

#if defined(__SANITIZE_ADDRESS__)
#define SEAM_LSAN
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SEAM_LSAN
#endif
#endif
#ifdef SEAM_LSAN
#include <sanitizer/lsan_interface.h>
#endif

static _Atomic int armed = -1; /* enum seam_kind */
static _Atomic size_t calls;   /* since then */
static size_t first, last;     /* those that fail, from 1 */
static _Atomic bool failed;
static const char *_Atomic what_failed = "";
static _Atomic int transfer;
static _Atomic unsigned transfers;
static _Thread_local int exempt; /* above 0: calls of this thread do not count */

void seam_enter(void) {
    exempt--;
}

void seam_leave(void) {
    exempt++;
}

void seam_arm(enum seam_kind kind, size_t nth, size_t count) {
    failed = false;
    first = nth;
    last = count > SIZE_MAX - nth ? SIZE_MAX : nth + count - 1;
    calls = 0;
    armed = (int)kind;
}

bool seam_disarm(void) {
    armed = -1;
    return failed;
}

const char *seam_failed(void) {
    return what_failed;
}

void seam_transfer(enum seam_transfer how) {
    transfer = (int)how;
}

void seam_check_leaks(const char *when) {
#ifdef SEAM_LSAN
    if (__lsan_do_recoverable_leak_check() != 0) {
        fprintf(stderr, "leaked: %s\n", when);
        abort();
    }
#else
    (void)when;
#endif
}

static bool fails(enum seam_kind kind, const char *what) {
    if (exempt > 0 || armed != (int)kind) {
        return false;
    }
    size_t call = ++calls;
    if (call < first || call > last) {
        return false;
    }
    failed = true;
    what_failed = what;
    return true;
}

/* --- memory --- */

/* The linker calls __wrap_x for x, and x for __real_x. */
#define WRAPPED(type_, name_, ...)                                                                 \
    type_ __real_##name_(__VA_ARGS__);                                                             \
    type_ __wrap_##name_(__VA_ARGS__);                                                             \
    type_ __wrap_##name_(__VA_ARGS__)

static bool no_memory(const char *what) {
    if (fails(SEAM_MEMORY, what)) {
        errno = ENOMEM;
        return true;
    }
    return false;
}

WRAPPED(void *, malloc, size_t size) {
    return no_memory("malloc") ? NULL : __real_malloc(size);
}

WRAPPED(void *, calloc, size_t count, size_t size) {
    return no_memory("calloc") ? NULL : __real_calloc(count, size);
}

WRAPPED(void *, realloc, void *old, size_t size) {
    return no_memory("realloc") ? NULL : __real_realloc(old, size);
}

WRAPPED(char *, strdup, const char *text) {
    return no_memory("strdup") ? NULL : __real_strdup(text);
}

WRAPPED(void *, mmap, void *address, size_t len, int protection, int flags, int fd, off_t offset) {
    return no_memory("mmap") ? MAP_FAILED
                             : __real_mmap(address, len, protection, flags, fd, offset);
}

int __wrap_asprintf(char **to, const char *format, ...) __attribute__((format(printf, 2, 3)));
int __wrap_asprintf(char **to, const char *format, ...) {
    if (no_memory("asprintf")) {
        *to = NULL;
        return -1;
    }
    va_list args;
    va_start(args, format);
    int len = vasprintf(to, format, args);
    va_end(args);
    return len;
}

int __wrap___asprintf_chk(char **to, int flag, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
int __wrap___asprintf_chk(char **to, int flag, const char *format, ...) {
    (void)flag;
    if (no_memory("asprintf")) {
        *to = NULL;
        return -1;
    }
    va_list args;
    va_start(args, format);
    int len = vasprintf(to, format, args);
    va_end(args);
    return len;
}

/* libuv ends the process by itself where its table of descriptors cannot grow, the only use that it
 * makes of realloc in a server: that one never fails here. */
static void *libuv_realloc(void *old, size_t size) {
    return __real_realloc(old, size);
}

void seam_guard(void) {
    exempt = 1;
    if (uv_replace_allocator(malloc, libuv_realloc, calloc, free) != 0) {
        abort();
    }
}

/* --- libuv --- */

#define UV_WRAPPED(name_, error_, parameters_, ...)                                                \
    int __real_##name_ parameters_;                                                                \
    int __wrap_##name_ parameters_;                                                                \
    int __wrap_##name_ parameters_ {                                                               \
        return fails(SEAM_UV, #name_) ? error_ : __real_##name_(__VA_ARGS__);                      \
    }

UV_WRAPPED(pthread_create, EAGAIN,
           (pthread_t * thread, const pthread_attr_t *attributes, void *(*run)(void *), void *arg),
           thread, attributes, run, arg)
UV_WRAPPED(uv_accept, UV_EMFILE, (uv_stream_t * server, uv_stream_t *client), server, client)
UV_WRAPPED(uv_async_init, UV_EMFILE, (uv_loop_t * loop, uv_async_t *handle, uv_async_cb cb), loop,
           handle, cb)
UV_WRAPPED(uv_fileno, UV_EBADF, (const uv_handle_t *handle, uv_os_fd_t *fd), handle, fd)
UV_WRAPPED(uv_listen, UV_EADDRINUSE, (uv_stream_t * stream, int backlog, uv_connection_cb cb),
           stream, backlog, cb)
UV_WRAPPED(uv_loop_init, UV_EMFILE, (uv_loop_t * loop), loop)
UV_WRAPPED(uv_pipe_init, UV_ENOMEM, (uv_loop_t * loop, uv_pipe_t *handle, int ipc), loop, handle,
           ipc)
UV_WRAPPED(uv_pipe_open, UV_ENOMEM, (uv_pipe_t * handle, uv_file file), handle, file)
UV_WRAPPED(uv_poll_init, UV_EEXIST, (uv_loop_t * loop, uv_poll_t *handle, int fd), loop, handle, fd)
UV_WRAPPED(uv_poll_start, UV_EBADF, (uv_poll_t * handle, int events, uv_poll_cb cb), handle, events,
           cb)
UV_WRAPPED(uv_tcp_init, UV_ENOMEM, (uv_loop_t * loop, uv_tcp_t *handle), loop, handle)
UV_WRAPPED(uv_tcp_bind, UV_EADDRINUSE,
           (uv_tcp_t * handle, const struct sockaddr *address, unsigned flags), handle, address,
           flags)
UV_WRAPPED(uv_read_start, UV_ENOMEM,
           (uv_stream_t * stream, uv_alloc_cb alloc_cb, uv_read_cb read_cb), stream, alloc_cb,
           read_cb)
UV_WRAPPED(uv_signal_init, UV_EMFILE, (uv_loop_t * loop, uv_signal_t *handle), loop, handle)
UV_WRAPPED(uv_signal_start, UV_EINVAL, (uv_signal_t * handle, uv_signal_cb cb, int number), handle,
           cb, number)
UV_WRAPPED(uv_timer_init, UV_ENOMEM, (uv_loop_t * loop, uv_timer_t *timer), loop, timer)
UV_WRAPPED(uv_timer_start, UV_ENOMEM,
           (uv_timer_t * timer, uv_timer_cb cb, uint64_t timeout, uint64_t repeat), timer, cb,
           timeout, repeat)
UV_WRAPPED(uv_write, UV_ENOMEM,
           (uv_write_t * request, uv_stream_t *stream, const uv_buf_t *buffers, unsigned count,
            uv_write_cb cb),
           request, stream, buffers, count, cb)

/* --- bytes through sockets --- */

static bool is_socket(int fd) {
    int type;
    socklen_t len = sizeof type;
    return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) == 0;
}

/* How many of len bytes are let through now; -1 with errno for none. */
static ssize_t let_through(int fd, size_t len) {
    if (exempt > 0 || transfer == SEAM_WHOLE || len == 0 || !is_socket(fd)) {
        return (ssize_t)len;
    }
    bool odd = (transfers++ & 1) != 0;
    if (odd && transfer != SEAM_BYTEWISE) {
        errno = transfer == SEAM_AGAIN ? EAGAIN : EINTR;
        return -1;
    }
    return transfer == SEAM_INTERRUPTED && len > 3 ? 3 : 1;
}

WRAPPED(ssize_t, read, int fd, void *to, size_t len) {
    ssize_t most = let_through(fd, len);
    return most < 0 ? most : __real_read(fd, to, (size_t)most);
}

WRAPPED(ssize_t, write, int fd, const void *from, size_t len) {
    ssize_t most = let_through(fd, len);
    return most < 0 ? most : __real_write(fd, from, (size_t)most);
}

/* These the server calls itself, where libuv would: they fail with its calls, too. */
#define RECEIVING(name)                                                                            \
    WRAPPED(ssize_t, name, int fd, void *to, size_t len, int flags) {                              \
        ssize_t most = let_through(fd, len);                                                       \
        if (most >= 0 && (flags & MSG_PEEK) == 0 && fails(SEAM_UV, "recv")) {                      \
            errno = ENOMEM;                                                                        \
            return -1;                                                                             \
        }                                                                                          \
        exempt++; /* under a sanitizer socket_recv calls recv */                                   \
        ssize_t count = most < 0 ? most : __real_##name(fd, to, (size_t)most, flags);              \
        exempt--;                                                                                  \
        return count;                                                                              \
    }
#define SENDING(name)                                                                              \
    WRAPPED(ssize_t, name, int fd, const void *from, size_t len, int flags) {                      \
        ssize_t most = let_through(fd, len);                                                       \
        if (most >= 0 && fails(SEAM_UV, "send")) {                                                 \
            errno = ENOMEM;                                                                        \
            return -1;                                                                             \
        }                                                                                          \
        exempt++;                                                                                  \
        ssize_t count = most < 0 ? most : __real_##name(fd, from, (size_t)most, flags);            \
        exempt--;                                                                                  \
        return count;                                                                              \
    }

RECEIVING(recv)
RECEIVING(socket_recv)
SENDING(send)
SENDING(socket_send)

WRAPPED(ssize_t, writev, int fd, const struct iovec *parts, int count) {
    size_t len = 0;
    for (int i = 0; i < count; i++) {
        len += parts[i].iov_len;
    }
    ssize_t most = let_through(fd, len);
    if (most < 0 || (size_t)most == len || count == 0) {
        return most < 0 ? most : __real_writev(fd, parts, count);
    }
    struct iovec part = parts[0];
    part.iov_len = (size_t)most < part.iov_len ? (size_t)most : part.iov_len;
    return __real_writev(fd, &part, 1);
}
