/* What the query command prints: the description of the plugin that Kong starts with. */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clock.h"
#include "doctor.h"
#include "options_table.h"
#include "plugin_check.h"
#include "printable.h"

#define MOST_BYTES ((size_t)1 << 20)

static const char does_not_end[] = "does not end within 10 s";

/* What a command says, on one of its descriptors. */
struct stream {
    int fd; /* -1: at its end */
    char *text;
    size_t len, most;
};

static pid_t start_shell(const char *command, struct stream *out, struct stream *err) {
    int ends[2];
    int errors[2];
    if (pipe2(ends, O_CLOEXEC) != 0) {
        return -1;
    }
    if (pipe2(errors, O_CLOEXEC) != 0) {
        close(ends[0]);
        close(ends[1]);
        return -1;
    }
    pid_t child = fork();
    if (child == 0) {
        int null = open("/dev/null", O_RDWR);
        setpgid(0, 0);
        dup2(null, STDIN_FILENO);
        dup2(ends[1], STDOUT_FILENO);
        dup2(errors[1], STDERR_FILENO);
        execl("/bin/sh", "sh", "-c", command, (char *)NULL);
        _exit(127);
    }
    close(ends[1]);
    close(errors[1]);
    out->fd = ends[0];
    err->fd = errors[0];
    return child;
}

static void close_stream(struct stream *stream) {
    if (stream->fd >= 0) {
        close(stream->fd);
    }
    stream->fd = -1;
}

/* Reads what is there and drops what does not fit. False: something did not fit. */
static bool read_stream(struct stream *stream) {
    char excess[4096];
    size_t room = stream->most - stream->len;
    ssize_t n = room > 0 ? read(stream->fd, stream->text + stream->len, room)
                         : read(stream->fd, excess, sizeof excess);
    if (n <= 0) {
        close_stream(stream);
        return true;
    }
    stream->len += room > 0 ? (size_t)n : 0;
    return room > 0;
}

/* Until the output's end. NULL, or why that does not come. */
static const char *read_both(struct stream *out, struct stream *err, int64_t until) {
    while (out->fd >= 0) {
        struct pollfd ready[2] = {{.fd = out->fd, .events = POLLIN},
                                  {.fd = err->fd, .events = POLLIN}};
        int64_t left = until - (int64_t)clock_ms();
        int rc = left <= 0 ? 0 : poll(ready, 2, (int)left);
        if (rc < 0 && errno == EINTR) {
            continue;
        }
        if (rc <= 0) {
            return does_not_end;
        }
        if (ready[1].revents != 0) {
            read_stream(err);
        }
        if (ready[0].revents != 0 && !read_stream(out)) {
            return "prints more than 1 MiB";
        }
    }
    if (err->fd >= 0) { /* what it said before it ended is there */
        struct pollfd ready = {.fd = err->fd, .events = POLLIN};
        while (err->fd >= 0 && poll(&ready, 1, 0) > 0) {
            read_stream(err);
        }
    }
    return NULL;
}

/* Kong waits for the end too, also of one that prints nothing more. NULL, or why it does not come.
 */
static const char *await_end(pid_t child, int64_t until, int *status) {
    pid_t ended;
    while ((ended = waitpid(child, status, WNOHANG)) == 0 && (int64_t)clock_ms() < until) {
        usleep(10000);
    }
    return ended == 0 ? does_not_end : NULL;
}

void doctor_shell(const char *command, int limit_ms, struct doctor_output *output) {
    int64_t until = (int64_t)clock_ms() + limit_ms;
    char said[512];
    struct stream out = {.fd = -1, .most = MOST_BYTES};
    struct stream err = {.fd = -1, .text = said, .most = sizeof said};
    *output = (struct doctor_output){.text = NULL};
    out.text = malloc(MOST_BYTES + 1);
    pid_t child = out.text == NULL ? -1 : start_shell(command, &out, &err);
    output->reason = child < 0 ? strerror(errno) : read_both(&out, &err, until);
    close_stream(&out);
    close_stream(&err);
    if (child > 0 && output->reason == NULL) {
        output->reason = await_end(child, until, &output->status);
    }
    if (child > 0 && output->reason != NULL) {
        kill(-child, SIGKILL);
        while (waitpid(child, &output->status, 0) < 0 && errno == EINTR) {
        }
    }
    while (err.len > 0 && said[err.len - 1] == '\n') {
        err.len--;
    }
    printable_copy(output->errors, sizeof output->errors, said, err.len);
    if (out.text == NULL || output->reason != NULL) {
        free(out.text);
        return;
    }
    out.text[out.len] = '\0';
    output->text = out.text;
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
static const char *check(const struct patient *p, json_t *json, unsigned *phases) {
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
    if (p->plugin->protocol == KONG_PROTOCOL_MSGPACK && strcmp(name, "MsgPack:1") != 0) {
        return "Protocol is ProtoBuf:1: this plugin calls functions that Kong has over MsgPack:1 "
               "only";
    }
    const char *plugin_name = json_string_value(json_object_get(plugin, "Name"));
    const char *version = json_string_value(json_object_get(plugin, "Version"));
    if (plugin_name == NULL || strcmp(plugin_name, p->plugin->name) != 0) {
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
    return described && p->kong_major == 2 ? "it has descriptions, which Kong 2 refuses" : NULL;
}

static void report(struct patient *p, json_t *json) {
    unsigned phases = 0;
    const char *wrong = check(p, json, &phases);
    if (wrong != NULL) {
        const char *option = p->kong_major == 2 ? "kong-version" : NULL;
        doctor_fail(p, doctor_mend_command(p, true, option, "2"),
                    "what the query command prints: %s", wrong);
        return;
    }
    char names[128];
    p->phases = phases;
    options_list_phases(phases, ", ", names, sizeof names);
    const char *last = strrchr(names, ' ');
    snprintf(p->phase, sizeof p->phase, "%.31s", last != NULL ? last + 1 : names);
    json_t *protocol = json_object_get(json, "Protocol");
    snprintf(p->protocol, sizeof p->protocol, "%s",
             protocol == NULL ? "MsgPack:1" : json_string_value(protocol));
    doctor_ok(p, "query command: %s: speaks %s, phases %s", p->query, p->protocol, names);
    if ((phases & KONG_PHASE_BIT(KONG_PHASE_HEADER_FILTER)) != 0) {
        doctor_fail(p, doctor_mend_command(p, true, "phases", "access"),
                    "header_filter: Kong up to 3.9 destroys each response");
    }
}

/* "; exit status 2; on standard error: ..." */
static void describe_end(const struct doctor_output *said, char *out, size_t size) {
    char how[64] = "";
    if (WIFSIGNALED(said->status)) {
        snprintf(how, sizeof how, "; killed by signal %d", WTERMSIG(said->status));
    } else if (WEXITSTATUS(said->status) != 0) {
        snprintf(how, sizeof how, "; exit status %d", WEXITSTATUS(said->status));
    }
    snprintf(out, size, "%s%s%s", how, said->errors[0] != '\0' ? "; on standard error: " : "",
             said->errors);
}

void doctor_query(struct patient *p) {
    struct doctor_output said;
    char begin[60];
    char end[400];
    if (p->query[0] == '\0') {
        doctor_fail(p, doctor_mend_command(p, true, NULL, NULL),
                    "no query command: Kong cannot learn of the plugin");
        return;
    }
    doctor_shell(p->query, DOCTOR_SHELL_MS, &said);
    json_t *json = said.text == NULL ? NULL : json_loads(said.text, 0, NULL);
    if (said.text == NULL) {
        doctor_fail(p, doctor_mend_command(p, true, NULL, NULL), "query command: %s: %s", p->query,
                    said.reason);
    } else if (json != NULL) {
        report(p, json);
    } else {
        printable_copy(begin, sizeof begin, said.text, strlen(said.text));
        describe_end(&said, end, sizeof end);
        doctor_fail(
            p, doctor_mend_command(p, true, NULL, NULL), "query command: %s: %s%s%s", p->query,
            said.text[0] == '\0' ? "prints nothing"
                                 : "its standard output must be JSON and nothing else: no JSON: ",
            begin, end);
    }
    json_decref(json);
    free(said.text);
}
