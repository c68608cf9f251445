/* Kong plugins in C: the only header that a plugin includes.
 *
 * A plugin is a `struct kong_plugin` and the main function of its program:
 *
 *     #include <kong.h>
 *
 *     struct config { const char *header; };
 *
 *     static int access(struct kong *kong, const void *data) {
 *         const struct config *config = data;
 *         return kong_response_set_header(kong, config->header, "hello");
 *     }
 *
 *     ...
 *     KONG_MAIN(plugin)
 *
 * Handlers are plain C that looks synchronous: a PDK function that needs Kong's answer suspends the
 * handler, not the server. A handler runs on a stack of its own, of 1 MiB (256 KiB on machines of
 * 32 bits), unless the plugin asks for another size: kong_plugin.stack_size.
 *
 * All handlers of a process take turns on one thread, so one that computes or blocks for long holds
 * up the others. Between two calls of this library that wait, a handler is alone. With the option
 * --threads N there are N such threads, for plugins that declare themselves thread-safe:
 * kong_plugin.thread_safe.
 */
#ifndef KONG_H
#define KONG_H

#include "kong_client.h"
#include "kong_ctx.h"
#include "kong_cxx.h"
#include "kong_event.h"
#include "kong_headers.h"
#include "kong_json.h"
#include "kong_log.h"
#include "kong_node.h"
#include "kong_phase.h"
#include "kong_prefetch.h"
#include "kong_request.h"
#include "kong_response.h"
#include "kong_router.h"
#include "kong_schema.h"
#include "kong_schema_cxx.h"
#include "kong_service.h"
#include "kong_value.h"
#include "kong_wait.h"

#ifdef __cplusplus
extern "C" {
#endif

/* --- The plugin --- */

/* Handles one phase. config is the instance's configuration, decoded into the struct of the
 * plugin's schema; it is shared by all events of the instance and must not be changed. 0: done.
 * Anything else: the handler failed, see kong_plugin.on_error. So does, under a supervisor, a
 * request whose handler has crashed the server: it does not run again. */
typedef int kong_handler(struct kong *kong, const void *config);

/* Something that a plugin does beside requests: send batches, refresh keys, clear out caches.
 *
 * The server runs it when it starts, and then every interval_ms, from start to start. A job never
 * runs beside itself: what is due while it runs is left out. It runs on a stack of its own on one
 * of the server's threads (the only one, where the plugin is not thread_safe), between events, so
 * that what it shares with handlers needs no lock there; like a handler it must not compute or
 * block for long, and may wait: kong_sleep, kong_wait_fd, kong_waiter_wait, kong_run_blocking.
 *
 * It has no request: functions of Kong fail with KONG_E_NO_REQUEST, but for kong_log_alert to
 * kong_log_debug, whose lines go to the server's own log (stderr). kong_process_data is what `open`
 * left; kong_instance_state is NULL. A run that lasts longer than an event may (--event-timeout)
 * has its waits end with KONG_E_TIMEOUT.
 *
 * When the server ends, it runs once more, after the last event and before `close`, within
 * --drain-timeout: nothing that handlers left needs to be lost. During a reload the old server and
 * the new one run it at the same time.
 *
 * Not 0: the run failed, which is logged (the text of the last error with it) and counted. --status
 * shows runs, failures and durations. A job that crashes the process again and again does not run
 * for a while. */
struct kong_job {
    const char *name;     /* lower case, digits, '-' and '_' */
    uint64_t interval_ms; /* 1 to 86,400,000 */
    int (*run)(struct kong *kong);
};

#define KONG_JOBS_MOST 8

/* What Kong speaks to the plugin server, unless the operator says otherwise (--protocol). */
enum kong_protocol {
    KONG_PROTOCOL_ANY = 0, /* ProtoBuf:1, which is faster; MsgPack:1 serves as well */
    KONG_PROTOCOL_MSGPACK, /* MsgPack:1, and nothing else: the plugin calls functions that Kong does
                              not have over ProtoBuf:1, where they fail with KONG_E_UNSUPPORTED */
};

enum kong_on_error {
    KONG_FAIL_OPEN,   /* the failure is logged through kong.log.err, the request goes on */
    KONG_FAIL_CLOSED, /* the failure is logged, and where the phase allows an answer the client gets
                         500 */
};

#define KONG_PHASE_BIT(phase) (1u << (phase))

/* All pointers must stay valid for the life of the process: make it static const. */
struct kong_plugin {
    const char *name;    /* as in Kong's `plugins`: lower case, digits, '-' and '_' */
    const char *version; /* "x.y" or "x.y.z" */
    int priority;        /* Kong runs higher ones first; unset, 0: behind most of its own */
    unsigned phases;     /* KONG_PHASE_BITs to advertise by default: a subset of those that
                            have a handler. 0: all of them but header_filter */
    enum kong_on_error on_error;
    enum kong_protocol protocol;
    /* Handlers, configure and destroy may run at the same time on several threads, also for one
     * instance: what they share and change (state of configure, data of open, variables of the
     * plugin, libraries that it uses) is locked or atomic. open and close are always alone. An
     * event stays on its thread from its start to its end; struct kong and what its functions gave
     * belong to that, and a configuration is only read. Without this --threads is refused. */
    bool thread_safe;
    /* Of the stack that a handler runs on, in bytes: 65,536 to 67,108,864; 0: 1 MiB (256 KiB on
     * machines of 32 bits). Each handler that waits has one. It takes memory for the pages that the
     * handler touched; what lies deeper than it stands is given back while it waits, within a
     * second or two. A handler that needs more dies in the guard below its stack ("stack overflow
     * in a handler of phase …"): give it more, or do deep work in kong_run_blocking. The guard is
     * 4 MiB (1 MiB with 32 bits); a single frame that is larger may step over it, unless the plugin
     * is compiled with -fstack-clash-protection, as `pkg-config --cflags kong-pdk` says. */
    size_t stack_size;
    const struct kong_schema *schema; /* NULL: no configuration */
    /* By enum kong_phase: {[KONG_PHASE_ACCESS] = access}; in C++ {{KONG_PHASE_ACCESS, access}}. */
#ifdef __cplusplus
    kong_cxx_handlers handlers;
#else
    kong_handler *handlers[KONG_PHASE_COUNT];
#endif

    /* What the handler of a phase wants in any case (kong_prefetch.h): asked for at once, before it
     * runs. {[KONG_PHASE_ACCESS] = KONG_PREFETCH(KONG_WANT_REQUEST_METHOD, ...)}; in C++ a list as
     * the handlers are. */
#ifdef __cplusplus
    kong_cxx_prefetch prefetch;
#else
    const struct kong_want *prefetch[KONG_PHASE_COUNT];
#endif

    /* {{"flush", 1000, flush}, {"keys", 60000, refresh}}: the first without a name ends them. */
    struct kong_job jobs[KONG_JOBS_MOST];

    /* Hooks, each may be NULL. */

    /* Once, before the socket listens. *data is handed to close and found by kong_process_data. Not
     * 0: the process ends with status 1 and `error` as its one line. */
    int (*open)(void **data, char *error, size_t error_size);
    void (*close)(void *data);

    /* For each instance, after its configuration is decoded. `data` is what `open` left, NULL
     * without it. *state is found by kong_instance_state, shared by all events of the instance. Not
     * 0: the instance fails each of its events (on_error) with the text in `error`. --check-config
     * calls it too, after open. */
    int (*configure)(const void *config, void **state, char *error, size_t error_size, void *data);
    /* After the instance was closed and its last event is done. */
    void (*destroy)(const void *config, void *state);

    /* How what the plugin wrote is called: fn(arg), from handlers to hooks and what
     * kong_run_blocking runs. NULL: directly. C++ fills this in: an exception that leaves fn is a
     * failure, with its text in `error` (kong_cxx.h). */
    int (*guard)(int (*fn)(void *arg), void *arg, char *error, size_t error_size)
#ifdef __cplusplus
        = kong_cxx_guard
#endif
        ;
};

/* The whole program: options, dump, server. Returns the exit status: 2 with one line on stderr for
 * wrong options, and for a plugin that Kong would not take (its name, version, phases or schema).
 */
int kong_main(int argc, char **argv, const struct kong_plugin *plugin);

/* The main function of a program with one plugin, as the last line of its source: KONG_MAIN(plugin)
 * with `static const struct kong_plugin plugin`. In a test, which includes kong_test.h and then
 * that source, it is nothing: the test has the main function. */
#define KONG_MAIN(plugin)                                                                          \
    int main(int argc, char **argv) {                                                              \
        return kong_main(argc, argv, &(plugin));                                                   \
    }

#define KONG_PLUGINS_MOST 64

/* The same for a program with several plugins, up to KONG_PLUGINS_MOST, each of another name:
 *
 *     static const struct kong_plugin *const plugins[] = {&rate_limit, &jwt, &http_log};
 *
 *     int main(int argc, char **argv) {
 *         return kong_main_plugins(argc, argv, plugins, 3);
 *     }
 *
 * One process serves all of them at one socket. To Kong each is a plugin server of its own, with
 * the same socket and its own query command (--dump --plugin NAME); one has the start command.
 * --print-conf prints these lines. Each plugin has its own configuration, instances, jobs, stacks,
 * on_error and figures; one that crashes the process is quarantined alone. --threads N needs all of
 * them to be thread_safe. All speak one protocol, for Kong takes an idle connection to the socket
 * for whichever plugin comes next: MsgPack:1, if one of them needs it (kong_plugin.protocol).
 *
 * `open` is called for each, in the order of the list, before any handler runs, and `close` in the
 * opposite order. What one `open` leaves is found by kong_process_data in this plugin only. Plugins
 * that want to share something keep it in a variable of the program, made by the first one's `open`
 * and freed by its `close`. */
int kong_main_plugins(int argc, char **argv, const struct kong_plugin *const *plugins,
                      size_t count);

/* What `configure` left for this instance. */
void *kong_instance_state(struct kong *kong);

/* What `open` left for the process. */
void *kong_process_data(struct kong *kong);

#ifdef __cplusplus
}
#endif

#endif
