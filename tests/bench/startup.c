/* How long a program takes: from exec until it listens, or until it ends.
 *
 * usage: startup COUNT SOCKET|- COMMAND [ARG]...
 *
 * With a socket: starts COMMAND, tries to connect every 50 µs, ends it with SIGTERM. With '-':
 * waits for its end, its output thrown away. COUNT times; prints the milliseconds of each, one a
 * line. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "learn.h"

#define PATIENCE_MS 30000.0

extern char **environ;

static double now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

/* -1 when it ended or never listened. */
static double until_listening(pid_t pid, const char *path, double start) {
    while (now_ms() - start < PATIENCE_MS && waitpid(pid, NULL, WNOHANG) == 0) {
        int fd = learn_connect(path, false);
        double took = now_ms() - start;
        if (fd >= 0) {
            close(fd);
            return took;
        }
        nanosleep(&(struct timespec){.tv_nsec = 50000}, NULL);
    }
    return -1;
}

static double one(const char *path, char **command) {
    posix_spawn_file_actions_t quiet;
    pid_t pid;
    posix_spawn_file_actions_init(&quiet);
    posix_spawn_file_actions_addopen(&quiet, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_addopen(&quiet, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
    double start = now_ms();
    int error = posix_spawnp(&pid, command[0], &quiet, NULL, command, environ);
    posix_spawn_file_actions_destroy(&quiet);
    if (error != 0) {
        fprintf(stderr, "startup: %s: %s\n", command[0], strerror(error));
        return -1;
    }
    int status = 0;
    if (strcmp(path, "-") != 0) {
        double took = until_listening(pid, path, start);
        if (kill(pid, SIGTERM) == 0) {
            waitpid(pid, &status, 0);
        }
        return took;
    }
    waitpid(pid, &status, 0);
    return status == 0 ? now_ms() - start : -1;
}

int main(int argc, char **argv) {
    int count = argc > 3 ? atoi(argv[1]) : 0;
    if (count <= 0) {
        fputs("usage: startup COUNT SOCKET|- COMMAND [ARG]...\n", stderr);
        return 2;
    }
    for (int i = 0; i < count; i++) {
        double took = one(argv[2], argv + 3);
        if (took < 0) {
            fprintf(stderr, "startup: %s failed\n", argv[3]);
            return 1;
        }
        printf("%.3f\n", took);
    }
    return 0;
}
