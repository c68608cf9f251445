#include "path_watch.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#define LOOK_MS 3000

static void tell_once(struct path_watch *watch, enum log_level level, const char *path,
                      const char *what) {
    if (!watch->told) {
        watch->told = true;
        log_write(watch->log, level, "%s: %s", path, what);
    }
}

/* The socket at the path is ours, and nobody accepts from it yet. */
static void listen_there(struct path_watch *watch) {
    int fd = fcntl(watch->socket->fd, F_DUPFD_CLOEXEC, 3);
    if (fd < 0 || acceptor_move(watch->listener, fd) != 0) {
        tell_once(watch, LOG_LEVEL_ERROR, watch->socket->path,
                  "the socket was removed, and the new one cannot be listened to yet");
        if (fd >= 0) {
            close(fd);
        }
        return;
    }
    watch->told = watch->not_accepting_yet = false;
    log_write(watch->log, LOG_LEVEL_WARN,
              "%s was gone, removed by somebody or by a server that has ended: made again",
              watch->socket->path);
}

/* The path is nobody's: ours again. Two servers that find that together do it one after the other,
 * and the second one sees the first. */
static void listen_again(struct path_watch *watch) {
    char error[512];
    int rc = socket_file_renew(watch->socket, watch->locked ? SOCKET_LOCK_SKIP : SOCKET_LOCK_TRY,
                               error, sizeof error);
    watch->locked = rc == SOCKET_FILE_LOCKED;
    if (rc == SOCKET_FILE_BUSY || rc == SOCKET_FILE_LOCKED) {
        return; /* the next look finds who has it, or goes on without the lock */
    }
    if (rc != 0) {
        tell_once(watch, LOG_LEVEL_ERROR, "the socket was removed, and cannot be made again",
                  error);
        return;
    }
    watch->untold = !fd_store_keep_socket(watch->store, watch->socket);
    watch->not_accepting_yet = true;
    listen_there(watch);
}

static void tell_of_another(struct path_watch *watch, pid_t pid) {
    char who[32] = "";
    if (pid > 0) {
        snprintf(who, sizeof who, " (process %d)", (int)pid);
    }
    if (!watch->told) {
        watch->told = true;
        log_write(watch->log, LOG_LEVEL_NOTICE,
                  "another server%s has taken %s over: this one serves the connections that it has",
                  who, watch->socket->path);
    }
}

void path_watch_tick(struct path_watch *watch, uint64_t now_ms) {
    pid_t pid;
    if (watch->untold) {
        watch->untold = !fd_store_keep_socket(watch->store, watch->socket);
    }
    if (now_ms - watch->looked_ms < LOOK_MS) {
        return;
    }
    watch->looked_ms = now_ms;
    if (watch->socket == NULL) {
        return;
    }
    if (socket_file_is_ours(watch->socket)) {
        if (watch->not_accepting_yet) {
            listen_there(watch);
        }
    } else if (socket_look(watch->socket->path, &pid) != SOCKET_PATH_FREE) {
        tell_of_another(watch, pid);
    } else if (watch->listener->fd >= 0 && !watch->listener->paused) {
        listen_again(watch); /* else who waits could not be accepted first */
    }
}
