/* What the query command prints: the description of the plugin that Kong starts with. */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "doctor.h"
#include "plugin_check.h"
#include "printable.h"

#define SHELL_MS   10000
#define MOST_BYTES ((size_t)1 << 20)

static long now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static pid_t start_shell(const char *command, int *output) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) {
        return -1;
    }
    pid_t child = fork();
    if (child == 0) {
        int null = open("/dev/null", O_RDWR);
        setpgid(0, 0);
        dup2(null, STDIN_FILENO);
        dup2(ends[1], STDOUT_FILENO);
        dup2(null, STDERR_FILENO);
        execl("/bin/sh", "sh", "-c", command, (char *)NULL);
        _exit(127);
    }
    close(ends[1]);
    if (child < 0) {
        close(ends[0]);
    }
    *output = ends[0];
    return child;
}

/* Until its end: NULL when that does not come. */
static char *read_output(int output, const char **reason) {
    size_t len = 0;
    char *text = malloc(MOST_BYTES + 1);
    long until = now_ms() + SHELL_MS;
    while (text != NULL) {
        struct pollfd ready = {.fd = output, .events = POLLIN};
        long left = until - now_ms();
        int rc = left <= 0 ? 0 : poll(&ready, 1, (int)left);
        if (rc < 0 && errno == EINTR) {
            continue;
        }
        ssize_t n = rc <= 0 ? -1 : read(output, text + len, MOST_BYTES - len);
        if (n == 0 && len < MOST_BYTES) {
            text[len] = '\0';
            return text;
        }
        if (n <= 0) {
            *reason = n == 0 ? "prints more than 1 MiB" : "does not end within 10 s";
            free(text);
            return NULL;
        }
        len += (size_t)n;
    }
    *reason = "out of memory";
    return NULL;
}

char *doctor_shell(const char *command, int *status, const char **reason) {
    int output;
    pid_t child = start_shell(command, &output);
    if (child < 0) {
        *reason = strerror(errno);
        return NULL;
    }
    char *text = read_output(output, reason);
    close(output);
    if (text == NULL) {
        kill(-child, SIGKILL);
    }
    while (waitpid(child, status, 0) < 0 && errno == EINTR) {
    }
    return text;
}

/* The bits of the phases; 0, with the reason, for what Kong does not take. */
static unsigned read_phases(json_t *phases, const char **reason) {
    const unsigned both =
        KONG_PHASE_BIT(KONG_PHASE_RESPONSE) | KONG_PHASE_BIT(KONG_PHASE_HEADER_FILTER);
    unsigned bits = 0;
    for (size_t i = 0; i < json_array_size(phases); i++) {
        const char *name = json_string_value(json_array_get(phases, i));
        for (unsigned phase = 0; name != NULL && phase < KONG_PHASE_COUNT; phase++) {
            if (strcmp(name, kong_phase_name((enum kong_phase)phase)) == 0) {
                bits |= KONG_PHASE_BIT(phase);
            }
        }
    }
    *reason = bits == 0               ? "Phases names none that Kong knows"
              : (bits & both) == both ? "Kong refuses response together with header_filter"
                                      : NULL;
    return *reason != NULL ? 0 : bits;
}

/* NULL: Kong takes it. */
static const char *check(const struct doctor *doctor, json_t *json, int kong_major,
                         unsigned *phases) {
    json_t *protocol = json_object_get(json, "Protocol");
    const char *name = protocol == NULL ? "MsgPack:1" : json_string_value(protocol);
    json_t *plugin = json_array_get(json_object_get(json, "Plugins"), 0);
    const char *reason;
    if (!json_is_object(plugin)) {
        return "it is not a plugin info table: there is no Plugins with a plugin in it";
    }
    if (name == NULL || (strcmp(name, "ProtoBuf:1") != 0 && strcmp(name, "MsgPack:1") != 0)) {
        return "Protocol is neither ProtoBuf:1 nor MsgPack:1: each request would be a 500";
    }
    const char *plugin_name = json_string_value(json_object_get(plugin, "Name"));
    const char *version = json_string_value(json_object_get(plugin, "Version"));
    if (plugin_name == NULL || strcmp(plugin_name, doctor->options->plugin->name) != 0) {
        return "Name is another plugin's than this server's";
    }
    if (version == NULL || !plugin_check_version(version)) {
        return "Version is not like 1.0 or 1.0.0: Kong does not start";
    }
    if (!json_is_integer(json_object_get(plugin, "Priority"))) {
        return "Priority is not an integer: Kong does not start";
    }
    if (!json_is_object(json_object_get(plugin, "Schema"))) {
        return "there is no Schema";
    }
    *phases = read_phases(json_object_get(plugin, "Phases"), &reason);
    if (*phases == 0) {
        return reason;
    }
    char *schema = json_dumps(json_object_get(plugin, "Schema"), JSON_COMPACT);
    bool described = schema != NULL && strstr(schema, "\"description\":") != NULL;
    free(schema);
    return described && kong_major == 2 ? "it has descriptions, which Kong 2 refuses" : NULL;
}

static bool report(struct doctor *doctor, const char *command, json_t *json, int kong_major,
                   char *phase, size_t size) {
    unsigned phases = 0;
    char mend[300];
    snprintf(mend, sizeof mend, "%.200s --print-conf%s", doctor->options->executable,
             kong_major == 2 ? ", and --kong-version 2 behind --dump" : "");
    const char *wrong = check(doctor, json, kong_major, &phases);
    if (wrong != NULL) {
        doctor_fail(doctor, mend, "what the query command prints: %s", wrong);
        return false;
    }
    char names[128] = "";
    for (unsigned i = 0; i < KONG_PHASE_COUNT; i++) {
        if ((phases & KONG_PHASE_BIT(i)) != 0) {
            const char *name = kong_phase_name((enum kong_phase)i);
            size_t len = strlen(names);
            snprintf(names + len, sizeof names - len, "%s%s", len > 0 ? ", " : "", name);
            snprintf(phase, size, "%s", name);
        }
    }
    json_t *protocol = json_object_get(json, "Protocol");
    doctor_ok(doctor, "query command: %.300s: speaks %s, phases %s", command,
              protocol == NULL ? "MsgPack:1" : json_string_value(protocol), names);
    if ((phases & KONG_PHASE_BIT(KONG_PHASE_HEADER_FILTER)) != 0) {
        doctor_fail(doctor, "leave header_filter out of --phases",
                    "header_filter: Kong up to 3.9 destroys each response");
    }
    return true;
}

bool doctor_query(struct doctor *doctor, const char *command, int kong_major, char *phase,
                  size_t size) {
    const char *reason = "";
    int status = 0;
    json_error_t error;
    char *text = doctor_shell(command, &status, &reason);
    if (text == NULL) {
        doctor_fail(doctor, "run it by hand", "query command: %.300s: %s", command, reason);
        return false;
    }
    json_t *json = json_loads(text, 0, &error);
    bool usable = json != NULL && report(doctor, command, json, kong_major, phase, size);
    if (json == NULL) {
        char begin[60];
        printable_copy(begin, sizeof begin, text, strlen(text));
        doctor_fail(doctor, "run it by hand: its standard output must be JSON and nothing else",
                    "query command: %.300s: %s%s", command,
                    text[0] == '\0' ? "prints nothing" : "no JSON: ", begin);
    }
    json_decref(json);
    free(text);
    return usable;
}
