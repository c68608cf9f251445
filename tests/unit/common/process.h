/* A whole server program in a process of its own: this test program, executed again with "serve" as
 * its first argument. What a test of processes needs to see of it from outside. Include behind
 * <cmocka.h>: all of this fails the test when it can't. */
#ifndef TESTS_UNIT_PROCESS_H
#define TESTS_UNIT_PROCESS_H

#include <stdbool.h>
#include <sys/types.h>

#include "kong.h"
#include "scratch.h"

/* The plugin "hurt", configuration {"mode": …, "text": …, "ms": n}. Modes:
 * ok: response.set_header("X-Pid", the process' id)
 * wait: request.get_header("X-In"), then as ok
 * segv, abort, exit (_exit with status 3), exit-0, exit() (with status 3, heard by atexit),
 *   overflow (of the handler's stack), hang (for ever): what they say
 * value: ctx.shared.get("key"), then as ok
 * sleep: kong_sleep for ms, then as ok
 * block: kong_run_blocking with a function that takes ms, then as ok
 * text: text goes to kong.log.err and into the header X-Text
 * blocking: as segv, in a function of kong_run_blocking
 * header: what the request's header X-Mode says; without one as ok
 * refuse: configure fails, with text in its error
 * configure-segv: as segv, in configure; configure-hang: it sleeps for a minute
 * With HURT_JOB in the environment it has a job that crashes, each time that it runs.
 * It fails closed where the environment says HURT_ON_ERROR=closed, else open. */
#define HURT_AT_WORK                                                                               \
    "hurt: at work" /* a line of sleep, block and both that hang, when they begin */
extern const struct kong_plugin hurt_plugin;

/* First thing in main: true, and *status, when the program was executed to serve. */
bool process_serves(int argc, char **argv, int *status);

struct process {
    pid_t pid;     /* of the program: the supervisor where there is one */
    pid_t starter; /* as_kong: the process "nginx" that started it; else 0 */
    int log;       /* its stdout and stderr */
    char directory[SCRATCH_PATH];
    char path[96]; /* of its socket */
    char *said;    /* so far; NUL-terminated */
    size_t said_len;
};

struct process_setup {
    const char *const *options; /* ends with NULL; may be NULL. --socket is added */
    const char *path;           /* of a server that serves already; NULL: in a new directory */
    void (*prepare)(void);      /* in the process, before the program is executed */
    bool as_kong;               /* its parent's name is "nginx" */
    bool silent;                /* do not wait until it serves */
};

/* Starts it and waits until it serves. */
void process_start(struct process *process, const struct process_setup *setup);

/* Whether it said that (since its start), within some time. */
bool process_says(struct process *process, const char *text, int timeout_ms);
/* How often it said that until now. */
size_t process_count(struct process *process, const char *text);

/* Waits for its end (of `starter` too) and frees everything. `signal` is sent first, 0: none. The
 * status as of waitpid. */
int process_end(struct process *process, int signal);

/* Whether a process is gone within some time. */
bool process_gone(pid_t pid, int timeout_ms);
/* Its only child; 0 when there is none within some time. */
pid_t process_child(pid_t pid, int timeout_ms);
/* "VmRSS", "VmHWM", "Threads" … of /proc/PID/status, as it stands there (KiB). */
long process_figure(pid_t pid, const char *name);
/* What is its own: not shared with another process. KiB; -1 when the kernel does not say. */
long process_private(pid_t pid);
size_t process_descriptors(pid_t pid);
/* User and system time, in ms. */
long process_cpu_ms(pid_t pid);

/* Whether this build's memory figures say nothing (sanitizers). */
bool process_is_padded(void);

#endif
