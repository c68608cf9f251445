/* One event, as Kong would bring it; every call of the handler is answered with nothing. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ask.h"
#include "doctor.h"
#include "limit.h"
#include "msgpack_rpc.h"
#include "protobuf_rpc.h"

#define TIMEOUT_MS 15000 /* for instance and event */
#define CLOSE_MS   5000  /* for the instance's end */
#define MOST_CALLS 1000

static const char config[] = "{\"__plugin_id\":\"doctor\",\"plugin_instance_name\":\"doctor\"}";

/* Whether a call's arguments, as bytes, hold the line that the server logs in Kong for an event of
 * an instance whose configuration it refuses (event_report.c). */
static bool is_refusal(const struct kong_plugin *plugin, const struct pdk_method *method,
                       const void *args, size_t len) {
    char line[256];
    int n = snprintf(line, sizeof line, "%.200s: configuration refused: ", plugin->name);
    return method == &pdk_methods[PDK_LOG_ERR] && args != NULL &&
           memmem(args, len, line, (size_t)n) != NULL;
}

/* Kong's calls come as frames of name and arguments until the empty one. */
static int event_protobuf(const struct kong_plugin *plugin, struct ask *ask, struct arena *arena,
                          struct rpc_call *call, bool *untried) {
    struct frame frame;
    struct rpc_reply reply;
    struct buffer nothing;
    int calls = 0;
    int rc = ask_send_call(ask, call);
    buffer_init(&nothing, 16);
    protobuf_encode_empty(&nothing);
    while (rc == 0 && calls < MOST_CALLS && (rc = ask_next(ask, &frame)) == 0 && frame.len > 0) {
        struct kong_str name = arena_copy(arena, frame.data, frame.len);
        const struct pdk_method *method = pdk_method_find(name);
        if ((rc = ask_next(ask, &frame)) != 0) {
            break;
        }
        calls++;
        if (method == NULL) {
            snprintf(ask->error, sizeof ask->error, "%.200s", name.data != NULL ? name.data : "");
            rc = -1;
            break;
        }
        *untried = *untried || is_refusal(plugin, method, frame.data, frame.len);
        if ((method->flags & PDK_TERMINAL) != 0) {
            buffer_free(&nothing);
            return calls; /* the request is over, and so is the connection */
        }
        if ((rc = ask_send(ask, &nothing)) != 0) {
            break;
        }
    }
    buffer_free(&nothing);
    if (rc != 0 || ask_next(ask, &frame) != 0) {
        return -1;
    }
    rc = protobuf_decode_reply(arena, frame.data, frame.len, &reply);
    return rc == 0 && reply.sequence == call->sequence ? calls : -1;
}

static int event_msgpack(const struct kong_plugin *plugin, struct ask *ask, struct arena *arena,
                         struct rpc_call *call, bool *untried) {
    struct rpc_reply reply;
    for (int calls = 0; calls < MOST_CALLS; calls++) {
        if (ask_call(ask, call, arena, &reply) != 0) {
            return -1;
        }
        if (reply.kind == RPC_REPLY_RETURN) {
            return calls;
        }
        if (reply.kind != RPC_REPLY_PDK_CALL) {
            snprintf(ask->error, sizeof ask->error, "%.200s",
                     reply.error.data != NULL ? reply.error.data : "no answer to an event");
            return -1;
        }
        const struct pdk_method *method = pdk_method_find(reply.method);
        if (reply.arg_count > 0 && reply.args[0].type == KONG_STRING) {
            struct kong_str text = reply.args[0].string;
            *untried = *untried || is_refusal(plugin, method, text.data, text.len);
        }
        if (method != NULL && (method->flags & PDK_TERMINAL) != 0) {
            return calls + 1;
        }
        *call = (struct rpc_call){.command = RPC_STEP, .event_id = reply.event_id};
    }
    return -1;
}

/* Over a new connection: that of an event has no further answer after a call that ends the request.
 */
static void close_instance(const struct patient *p, enum protocol protocol, int32_t id,
                           struct arena *arena) {
    struct rpc_call end = {.command = RPC_CLOSE_INSTANCE, .instance_id = id};
    struct rpc_reply reply;
    struct ask ask;
    if (ask_open(&ask, p->socket, protocol, CLOSE_MS) == 0) {
        ask_call(&ask, &end, arena, &reply);
        ask_close(&ask);
    }
}

static int probe(const struct patient *p, struct ask *ask, struct arena *arena, bool *untried) {
    const struct kong_plugin *plugin = p->plugin;
    struct rpc_reply reply;
    struct rpc_call start = {
        .command = RPC_START_INSTANCE, .name = kong_str(plugin->name), .config = kong_str(config)};
    if (ask_call(ask, &start, arena, &reply) != 0) {
        return -1;
    }
    if (reply.kind != RPC_REPLY_INSTANCE) {
        snprintf(ask->error, sizeof ask->error, "it starts no instance of %.60s: %.150s",
                 plugin->name,
                 reply.kind == RPC_REPLY_ERROR && reply.error.data != NULL ? reply.error.data
                                                                           : "another plugin?");
        return -1;
    }
    struct rpc_call event = {
        .command = RPC_HANDLE_EVENT, .instance_id = reply.instance.id, .event = kong_str(p->phase)};
    int calls = ask->protocol == PROTOCOL_PROTOBUF
                    ? event_protobuf(plugin, ask, arena, &event, untried)
                    : event_msgpack(plugin, ask, arena, &event, untried);
    ask_close(ask);
    close_instance(p, ask->protocol, reply.instance.id, arena);
    return calls;
}

static void find(const struct patient *p, enum protocol protocol, struct doctor_finding *finding) {
    struct ask ask;
    struct arena arena;
    *finding = (struct doctor_finding){.calls = -1};
    if (ask_open(&ask, p->socket, protocol, TIMEOUT_MS) != 0) {
        snprintf(finding->error, sizeof finding->error, "%s", ask.error);
        return;
    }
    arena_init(&arena, LIMIT_EVENT_MEMORY);
    finding->calls = probe(p, &ask, &arena, &finding->untried);
    if (finding->calls < 0) {
        finding->refused =
            ask_find_refusal(&ask, p->options->plugins, finding->error, sizeof finding->error);
        if (!finding->refused) {
            snprintf(finding->error, sizeof finding->error, "%s",
                     ask.error[0] != '\0' ? ask.error : "an answer that Kong does not take");
        }
    }
    ask_close(&ask);
    arena_free(&arena);
}

/* As Kong's workers would: with their rights, and with the user id that the server is shown. */
static void find_as_kong(const struct patient *p, enum protocol protocol,
                         struct doctor_finding *finding) {
    int ends[2];
    *finding = (struct doctor_finding){.calls = -1};
    snprintf(finding->error, sizeof finding->error, "it could not be tried as user %.60s", p->user);
    if (pipe2(ends, O_CLOEXEC) != 0) {
        return;
    }
    fflush(p->out);
    pid_t child = fork();
    if (child == 0) {
        struct doctor_finding found;
        if (initgroups(p->user, p->gid) != 0 || setgid(p->gid) != 0 || setuid(p->uid) != 0) {
            _exit(1);
        }
        find(p, protocol, &found);
        _exit(write(ends[1], &found, sizeof found) == (ssize_t)sizeof found ? 0 : 1);
    }
    close(ends[1]);
    struct doctor_finding found;
    if (child > 0 && read(ends[0], &found, sizeof found) == (ssize_t)sizeof found) {
        *finding = found;
    }
    close(ends[0]);
    while (child > 0 && waitpid(child, NULL, 0) < 0 && errno == EINTR) {
    }
}

void doctor_probe(const struct patient *p, enum protocol protocol, struct doctor_finding *finding) {
    if (geteuid() == 0 && p->uid != 0) {
        find_as_kong(p, protocol, finding);
    } else {
        find(p, protocol, finding);
    }
}
