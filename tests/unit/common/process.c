#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "process.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define SAID_MAX     ((size_t)1 << 20)
#define MOST_OPTIONS 24

static int64_t now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void pause_ms(long ms) {
    nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000}, NULL);
}

/* --- Those that a failed test leaves --- */

#define MOST_PROCESSES 16

static pid_t running[MOST_PROCESSES];
static pid_t owner; /* a process forked from it has the list, too */

static void kill_all(void) {
    for (size_t i = 0; i < MOST_PROCESSES && owner == getpid(); i++) {
        if (running[i] != 0) {
            kill(running[i], SIGKILL);
            waitpid(running[i], NULL, 0);
        }
    }
}

static void replace(pid_t from, pid_t to) {
    for (size_t i = 0; i < MOST_PROCESSES; i++) {
        if (running[i] == from) {
            running[i] = to;
            return;
        }
    }
}

static void note_running(const struct process *process) {
    if (owner != getpid()) {
        owner = getpid();
        assert_int_equal(atexit(kill_all), 0);
    }
    replace(0, process->pid);
    if (process->starter != 0) {
        replace(0, process->starter);
    }
}

/* --- The program --- */

static int crash(struct kong *kong) {
    volatile uintptr_t nowhere = 8;
    int rc = kong_sleep(kong, 1);
    *(volatile int *)nowhere = 1;
    return rc;
}

bool process_serves(int argc, char **argv, int *status) {
    if (argc < 2 || strcmp(argv[1], "serve") != 0) {
        return false;
    }
    struct kong_plugin plugin = hurt_plugin;
    const char *on_error = getenv("HURT_ON_ERROR");
    plugin.on_error =
        on_error != NULL && strcmp(on_error, "closed") == 0 ? KONG_FAIL_CLOSED : KONG_FAIL_OPEN;
    if (getenv("HURT_JOB") != NULL) {
        plugin.jobs[0] = (struct kong_job){"hurts", 10, crash};
    }
    *status = kong_main(argc - 1, argv + 1, &plugin);
    return true;
}

static _Noreturn void execute(const struct process *process, const struct process_setup *setup,
                              int log) {
    char self[512];
    const char *arguments[MOST_OPTIONS + 5] = {self, "serve", "--socket", process->path};
    ssize_t len = readlink("/proc/self/exe", self, sizeof self - 1);
    self[len < 0 ? 0 : len] = '\0';
    for (size_t i = 0; setup->options != NULL && setup->options[i] != NULL && i < MOST_OPTIONS;
         i++) {
        arguments[4 + i] = setup->options[i];
    }
    if (!setup->as_kong) { /* else the program itself sees to it */
        prctl(PR_SET_PDEATHSIG, SIGKILL);
    }
    dup2(log, STDOUT_FILENO);
    dup2(log, STDERR_FILENO);
    if (setup->prepare != NULL) {
        setup->prepare();
    }
    execv(self, (char **)(uintptr_t)arguments);
    _exit(127);
}

/* A worker of nginx: starts the server, then lives until it is killed. */
static _Noreturn void be_kong(const struct process *process, const struct process_setup *setup,
                              int log, int tell) {
    prctl(PR_SET_NAME, "nginx");
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    pid_t pid = fork();
    if (pid == 0) {
        pid = getpid(); /* told from here: a test may end the starter before it could */
        (void)!write(tell, &pid, sizeof pid);
        close(tell);
        execute(process, setup, log);
    }
    close(tell);
    close(log);
    for (;;) {
        pause();
    }
}

static void fork_kong(struct process *process, const struct process_setup *setup, int log) {
    int tell[2];
    assert_int_equal(pipe2(tell, O_CLOEXEC), 0);
    process->starter = fork();
    assert_true(process->starter >= 0);
    if (process->starter == 0) {
        be_kong(process, setup, log, tell[1]);
    }
    close(tell[1]); /* so that the read ends when nobody is left to tell */
    assert_int_equal(read(tell[0], &process->pid, sizeof process->pid), sizeof process->pid);
    close(tell[0]);
}

void process_start(struct process *process, const struct process_setup *setup) {
    int log[2];
    *process = (struct process){.pid = 0};
    prctl(PR_SET_CHILD_SUBREAPER, 1); /* whoever is orphaned can be waited for here */
    process->said = calloc(1, SAID_MAX + 1);
    assert_non_null(process->said);
    if (setup->path != NULL) {
        snprintf(process->path, sizeof process->path, "%s", setup->path);
    } else {
        assert_true(scratch_make(process->directory));
        snprintf(process->path, sizeof process->path, "%s/socket", process->directory);
    }
    assert_int_equal(pipe2(log, O_CLOEXEC), 0);
    if (setup->as_kong) {
        fork_kong(process, setup, log[1]);
    } else {
        process->pid = fork();
        assert_true(process->pid >= 0);
        if (process->pid == 0) {
            execute(process, setup, log[1]);
        }
    }
    close(log[1]);
    process->log = log[0];
    note_running(process);
    if (!setup->silent && !process_says(process, " serves at ", 20000)) {
        fail_msg("it does not serve: %s", process->said);
    }
}

/* --- What it says --- */

static bool read_log(struct process *process, int timeout_ms) {
    struct pollfd poll_fd = {.fd = process->log, .events = POLLIN};
    if (process->said_len == SAID_MAX || poll(&poll_fd, 1, timeout_ms) <= 0) {
        return false;
    }
    ssize_t count =
        read(process->log, process->said + process->said_len, SAID_MAX - process->said_len);
    if (count <= 0) {
        return false;
    }
    process->said_len += (size_t)count;
    process->said[process->said_len] = '\0';
    return true;
}

bool process_says(struct process *process, const char *text, int timeout_ms) {
    int64_t deadline = now_ms() + timeout_ms;
    for (;;) {
        if (strstr(process->said, text) != NULL) {
            return true;
        }
        int64_t left = deadline - now_ms();
        if (!read_log(process, left < 0 ? 0 : (int)left)) {
            return strstr(process->said, text) != NULL;
        }
    }
}

size_t process_count(struct process *process, const char *text) {
    size_t count = 0;
    while (read_log(process, 0)) {
    }
    for (const char *at = process->said; (at = strstr(at, text)) != NULL; at += strlen(text)) {
        count++;
    }
    return count;
}

/* --- Its end --- */

/* True: gone; *status is set when it was a child of ours. */
static bool reap(pid_t pid, int *status) {
    pid_t result = waitpid(pid, status, WNOHANG);
    if (result == pid) {
        return true;
    }
    return result < 0 && errno == ECHILD && kill(pid, 0) != 0;
}

static bool wait_for(pid_t pid, int timeout_ms, int *status) {
    int64_t deadline = now_ms() + timeout_ms;
    while (!reap(pid, status)) {
        if (now_ms() >= deadline) {
            return false;
        }
        pause_ms(1);
    }
    return true;
}

bool process_gone(pid_t pid, int timeout_ms) {
    int status;
    return wait_for(pid, timeout_ms, &status);
}

int process_end(struct process *process, int signal_number) {
    int status = 0;
    int unused;
    if (signal_number != 0) {
        kill(process->pid, signal_number);
    }
    if (process->starter != 0) {
        kill(process->starter, SIGKILL);
        wait_for(process->starter, 60000, &unused);
    }
    if (!wait_for(process->pid, 20000, &status)) {
        kill(process->pid, SIGKILL);
        fail_msg("process %d does not end: %s", (int)process->pid, process->said);
    }
    replace(process->pid, 0);
    if (process->starter != 0) {
        replace(process->starter, 0);
    }
    while (read_log(process, 0)) {
    }
    close(process->log);
    scratch_remove(process->directory);
    free(process->said);
    process->said = NULL;
    return status;
}

/* --- /proc --- */

pid_t process_child(pid_t pid, int timeout_ms) {
    int64_t deadline = now_ms() + timeout_ms;
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/task/%d/children", (int)pid, (int)pid);
    for (;;) {
        char text[64] = "";
        FILE *file = fopen(path, "re");
        if (file != NULL) {
            char *got = fgets(text, sizeof text, file);
            fclose(file);
            if (got != NULL && text[0] != '\0') {
                return (pid_t)strtol(text, NULL, 10);
            }
        }
        if (now_ms() >= deadline) {
            return 0;
        }
        pause_ms(1);
    }
}

/* The number behind NAME: in a file of /proc; the sum of all such lines. -1: no such line. */
static long read_figure(pid_t pid, const char *name_of_file, const char *name) {
    char path[64];
    char line[256];
    long value = -1;
    size_t len = strlen(name);
    snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, name_of_file);
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        return -1;
    }
    while (fgets(line, sizeof line, file) != NULL) {
        if (strncmp(line, name, len) == 0 && line[len] == ':') {
            value = (value < 0 ? 0 : value) + strtol(line + len + 1, NULL, 10);
        }
    }
    fclose(file);
    return value;
}

long process_figure(pid_t pid, const char *name) {
    long value = read_figure(pid, "status", name);
    assert_true(value >= 0);
    return value;
}

long process_private(pid_t pid) {
    long clean = read_figure(pid, "smaps_rollup", "Private_Clean");
    long dirty = read_figure(pid, "smaps_rollup", "Private_Dirty");
    return clean < 0 || dirty < 0 ? -1 : clean + dirty;
}

size_t process_descriptors(pid_t pid) {
    char path[64];
    size_t count = 0;
    snprintf(path, sizeof path, "/proc/%d/fd", (int)pid);
    DIR *directory = opendir(path);
    assert_non_null(directory);
    for (const struct dirent *entry; (entry = readdir(directory)) != NULL;) {
        count += entry->d_name[0] != '.';
    }
    closedir(directory);
    return count;
}

long process_cpu_ms(pid_t pid) {
    char path[64];
    char text[1024];
    unsigned long user = 0;
    unsigned long kernel = 0;
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    FILE *file = fopen(path, "re");
    assert_non_null(file);
    size_t len = fread(text, 1, sizeof text - 1, file);
    fclose(file);
    text[len] = '\0';
    const char *behind = strrchr(text, ')');
    assert_non_null(behind);
    assert_int_equal(
        sscanf(behind, ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &kernel), 2);
    return (long)((user + kernel) * 1000 / (unsigned long)sysconf(_SC_CLK_TCK));
}

bool process_is_padded(void) {
#if defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__
    return true;
#else
    return false;
#endif
}
