#include "load_server.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "scratch.h"
#include "sim_client.h"

#define START_MS 10000
#define END_MS   10000

static void pause_ms(long ms) {
    const struct timespec time = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    nanosleep(&time, NULL);
}

/* --- A program that prints something and ends --- */

/* Of the options: --plugin NAME is for what is about one plugin, all others are not. */
enum which { ALL, OF_PLUGIN, OF_SERVER };

/* program first second options…, NULL-ended; owned by the caller. NULL: no memory. */
static char **arguments(const char *program, const char *first, const char *second,
                        char *const *options, enum which which) {
    size_t count = 0;
    while (options != NULL && options[count] != NULL) {
        count++;
    }
    char **argv = calloc(count + 4, sizeof *argv);
    if (argv != NULL) {
        size_t at = 0;
        argv[at++] = (char *)(uintptr_t)program;
        argv[at++] = (char *)(uintptr_t)first;
        if (second != NULL) {
            argv[at++] = (char *)(uintptr_t)second;
        }
        bool names = false; /* the word before was --plugin */
        for (size_t i = 0; i < count; i++) {
            bool its = names || strncmp(options[i], "--plugin", 8) == 0;
            names = !names && strcmp(options[i], "--plugin") == 0;
            if (which == ALL || its == (which == OF_PLUGIN)) {
                argv[at++] = options[i];
            }
        }
    }
    return argv;
}

/* The child: in, out and err are its first descriptors, and it ends when we do. */
static void become(char **argv, int in, int out, int err) {
    if (dup2(in, 0) < 0 || dup2(out, 1) < 0 || dup2(err, 2) < 0) {
        _exit(126);
    }
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    signal(SIGPIPE, SIG_DFL);
    signal(SIGINT, SIG_IGN); /* a terminal's Ctrl-C is for us, who end it in order */
    execv(argv[0], argv);
    dprintf(2, "%s\n", strerror(errno));
    _exit(127);
}

static char *read_all(int fd) {
    char *text = NULL;
    size_t len = 0;
    ssize_t got = 1;
    while (got > 0 && len < (size_t)64 << 20) {
        char *more = realloc(text, len + 65537);
        if (more == NULL) {
            free(text);
            return NULL;
        }
        text = more;
        got = read(fd, text + len, 65536);
        len += got > 0 ? (size_t)got : 0;
        text[len] = '\0';
    }
    return text;
}

/* What it prints to stdout, and stderr if that is wanted; its exit status, -1 when it has none.
 * `input` (a file's descriptor) is its stdin. */
static int run(char **argv, int input, bool with_stderr, char **said) {
    int ends[2];
    int status = 0;
    *said = NULL;
    if (argv == NULL || pipe2(ends, O_CLOEXEC) != 0) {
        return -1;
    }
    int nowhere = open("/dev/null", O_RDWR | O_CLOEXEC);
    pid_t pid = fork();
    if (pid == 0) {
        become(argv, input < 0 ? nowhere : input, ends[1], with_stderr ? ends[1] : nowhere);
    }
    close(ends[1]);
    close(nowhere);
    if (pid > 0) {
        *said = read_all(ends[0]);
        waitpid(pid, &status, 0);
    }
    close(ends[0]);
    return pid > 0 && *said != NULL && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* --- What it says of itself --- */

static void cut_line(char *text) {
    text[strcspn(text, "\n")] = '\0';
}

static char *copy_string(const json_t *object, const char *key) {
    const char *text = json_string_value(json_object_get(object, key));
    return strdup(text == NULL ? "" : text);
}

static char *copy_phases(const json_t *list) {
    char text[256] = " ";
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *phase = json_string_value(json_array_get(list, i));
        size_t len = strlen(text);
        snprintf(text + len, sizeof text - len, "%s ", phase == NULL ? "" : phase);
    }
    return strdup(text);
}

int load_plugin_ask(const char *server, char *const *options, struct load_plugin *plugin,
                    char *error, size_t error_size) {
    char **argv = arguments(server, "--dump", NULL, options, ALL);
    char *said;
    int status = run(argv, -1, false, &said);
    json_t *dump = status == 0 ? json_loads(said, 0, NULL) : NULL;
    const json_t *first = json_array_get(json_object_get(dump, "Plugins"), 0);
    *plugin = (struct load_plugin){.name = copy_string(first, "Name"),
                                   .version = copy_string(first, "Version"),
                                   .phases = copy_phases(json_object_get(first, "Phases"))};
    free(said);
    bool known = plugin->name != NULL && plugin->name[0] != '\0';
    if (!known && status != 0 && run(argv, -1, true, &said) >= 0) { /* once more, to hear why */
        cut_line(said);
        snprintf(error, error_size, "%.200s --dump failed: %.400s", server, said);
        free(said);
    } else if (!known) {
        snprintf(error, error_size, "%.200s --dump names no plugin: is it a plugin server?",
                 server);
    }
    json_decref(dump);
    free(argv);
    return known ? 0 : -1;
}

void load_plugin_free(struct load_plugin *plugin) {
    free(plugin->name);
    free(plugin->version);
    free(plugin->phases);
    *plugin = (struct load_plugin){0};
}

bool load_check_config(const char *server, char *const *options, const char *config, char **said) {
    char **argv = arguments(server, "--help-all", NULL, NULL, ALL);
    *said = NULL;
    int status = run(argv, -1, false, said);
    bool checks = status == 0 && strstr(*said, "--check-config") != NULL;
    free(argv);
    free(*said);
    *said = NULL;
    FILE *input = checks ? tmpfile() : NULL;
    if (input == NULL) {
        return true;
    }
    fputs(config, input);
    rewind(input);
    argv = arguments(server, "--check-config", "-", options, OF_PLUGIN);
    status = run(argv, fileno(input), true, said);
    fclose(input);
    free(argv);
    return status == 0;
}

/* --- Serving --- */

static bool make_places(struct load_server *server) {
    if (!scratch_make(server->directory)) {
        return false;
    }
    snprintf(server->socket, sizeof server->socket, "%s/socket", server->directory);
    snprintf(server->log, sizeof server->log, "%s/log", server->directory);
    return true;
}

/* The last line of its log. */
static void why(const struct load_server *server, char *text, size_t size) {
    FILE *file = fopen(server->log, "re");
    char line[400];
    text[0] = '\0';
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        cut_line(line);
        snprintf(text, size, "%s", line);
    }
    if (file != NULL) {
        fclose(file);
    }
}

static int await_listening(struct load_server *server, char *error, size_t error_size) {
    char text[400];
    for (int i = 0; i < START_MS / 10; i++) {
        int fd = sim_connect_unix(server->socket);
        if (fd >= 0) {
            close(fd);
            return 0;
        }
        if (waitpid(server->pid, NULL, WNOHANG) == server->pid) {
            server->pid = 0;
            why(server, text, sizeof text);
            snprintf(error, error_size, "the server ended at its start: %s", text);
            return -1;
        }
        pause_ms(10);
    }
    snprintf(error, error_size, "the server does not listen at its --socket after %d s",
             START_MS / 1000);
    return -1;
}

int load_server_start(struct load_server *server, const char *program, char *const *options,
                      char *error, size_t error_size) {
    *server = (struct load_server){0};
    if (!make_places(server)) {
        snprintf(error, error_size, "no directory for the socket: %s", strerror(errno));
        return -1;
    }
    int log = open(server->log, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    int nowhere = open("/dev/null", O_RDWR | O_CLOEXEC);
    char **argv = arguments(program, "--socket", server->socket, options, OF_SERVER);
    server->pid = log < 0 || nowhere < 0 || argv == NULL ? -1 : fork();
    if (server->pid == 0) {
        become(argv, nowhere, log, log);
    }
    free(argv);
    close(log);
    close(nowhere);
    if (server->pid < 0) {
        server->pid = 0;
        snprintf(error, error_size, "cannot start the server: %s", strerror(errno));
        return -1;
    }
    return await_listening(server, error, error_size);
}

void load_server_end(struct load_server *server) {
    if (server->pid > 0) {
        kill(server->pid, SIGTERM);
        for (int i = 0; i < END_MS / 10 && server->pid > 0; i++) {
            if (waitpid(server->pid, NULL, WNOHANG) != 0) {
                server->pid = 0;
            } else {
                pause_ms(10);
            }
        }
    }
    if (server->pid > 0) {
        kill(server->pid, SIGKILL);
        waitpid(server->pid, NULL, 0);
        server->pid = 0;
    }
    scratch_remove(server->directory);
    server->directory[0] = '\0';
}
