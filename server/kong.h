/* Kong plugins in C: the only header that a plugin includes.
 *
 * A plugin is a `struct kong_plugin` and a main function:
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
 *     int main(int argc, char **argv) {
 *         return kong_main(argc, argv, &plugin);
 *     }
 *
 * Handlers are plain C that looks synchronous: a PDK function that needs Kong's answer suspends the
 * handler, not the server. A handler runs on a stack of 256 KiB (minus what the library needs): no
 * large arrays on it. All handlers of a process take turns on one thread, so one that computes or
 * blocks for long holds up the others.
 */
#ifndef KONG_H
#define KONG_H

#include "kong_phase.h"
#include "kong_schema.h"
#include "kong_value.h"

#ifdef __cplusplus
extern "C" {
#endif

/* One event: a handler at work for one phase of one request. Valid until the handler returns. */
struct kong;

/* What PDK functions return: 0, or one of these. A handler may return them on. kong_strerror gives
 * a text. */
enum kong_error {
    KONG_OK = 0,
    KONG_E_GONE = -1, /* Kong closed the connection: the request is over */
    KONG_E_ENDED =
        -2, /* after kong_response_exit or kong_response_error: nothing more can be done */
    KONG_E_TIMEOUT = -3,     /* Kong did not answer in time, or the event's time is up */
    KONG_E_NOMEM = -4,       /* no memory, or a limit of memory reached */
    KONG_E_UNSUPPORTED = -5, /* the function does not exist on the protocol in use */
    KONG_E_INVALID = -6,     /* an argument that Kong would not take */
    KONG_E_KONG = -7,        /* Kong answered with an error: kong_error_text has it */
    KONG_E_TYPE = -8,        /* Kong's answer is not of the type that the function promises */
    KONG_E_TOO_BIG = -9,     /* larger than the limit that the caller gave */
    KONG_E_IO = -10,         /* a file or thread that the function needed failed */
    KONG_E_FAILED = -11,     /* for handlers: failed for a reason of the plugin's own */
};

/* Static, English, without a final period. */
const char *kong_strerror(int error);

/* The text behind the event's last error: Kong's own words after KONG_E_KONG, else kong_strerror's.
 * Lives until the handler returns. */
const char *kong_error_text(struct kong *kong);

/* --- The plugin
 * ------------------------------------------------------------------------------------------------
 */

/* Handles one phase. config is the instance's configuration, decoded into the struct of the
 * plugin's schema; it is shared by all events of the instance and must not be changed. 0: done.
 * Anything else: the handler failed, see kong_plugin.on_error. */
typedef int kong_handler(struct kong *kong, const void *config);

enum kong_on_error {
    KONG_FAIL_OPEN,   /* the failure is logged through kong.log.err, the request goes on */
    KONG_FAIL_CLOSED, /* the failure is logged, the client gets 500 where the phase allows an answer
                       */
};

#define KONG_PHASE_BIT(phase) (1u << (phase))

/* All pointers must stay valid for the life of the process: make it static const. */
struct kong_plugin {
    const char *name;    /* as in Kong's `plugins`: lower case, digits, '-' */
    const char *version; /* "x.y" or "x.y.z" */
    int priority;        /* Kong runs higher ones first */
    unsigned phases;     /* KONG_PHASE_BITs to advertise by default: a subset of those that have a
                            handler. 0: all of them but header_filter */
    enum kong_on_error on_error;
    const struct kong_schema *schema;         /* NULL: no configuration */
    kong_handler *handlers[KONG_PHASE_COUNT]; /* by enum kong_phase */

    /* Hooks, each may be NULL. */

    /* Once, before the socket listens. *data is handed to close and found by kong_process_data. Not
     * 0: the process ends with status 1 and `error` as its one line. */
    int (*open)(void **data, char *error, size_t error_size);
    void (*close)(void *data);

    /* For each instance, after its configuration is decoded. *state is found by
     * kong_instance_state, shared by all events of the instance. Not 0: the instance fails each of
     * its events (on_error) with the text in `error`. */
    int (*configure)(const void *config, void **state, char *error, size_t error_size);
    /* After the instance was closed and its last event is done. */
    void (*destroy)(const void *config, void *state);
};

/* The whole program: options, dump, server. Returns the exit status. */
int kong_main(int argc, char **argv, const struct kong_plugin *plugin);

/* What `configure` left for this instance, what `open` left for the process. */
void *kong_instance_state(struct kong *kong);
void *kong_process_data(struct kong *kong);

/* Which phase is being handled. */
enum kong_phase kong_phase(struct kong *kong);

/* --- PDK: the response to the client
 * --------------------------------------------------------------------------- */

/* kong.response.set_header: replaces the header. Phases rewrite, access, header_filter, response.
 * Posted: returns at once. In access and rewrite an upstream's header of the same name is NOT
 * replaced: the client sees both. */
int kong_response_set_header(struct kong *kong, const char *name, const char *value);

/* kong.response.exit: ends the request with this answer; headers is a map of name to string or list
 * of strings, or nil. Terminal: later calls of the handler fail with KONG_E_ENDED. Phases rewrite,
 * access, and header_filter (without a body). */
int kong_response_exit(struct kong *kong, int status, struct kong_str body,
                       struct kong_value headers);

/* --- PDK: the request to the upstream
 * -------------------------------------------------------------------------- */

/* kong.service.request.set_header: replaces the header that the upstream gets. Phases rewrite,
 * access. Posted. */
int kong_service_request_set_header(struct kong *kong, const char *name, const char *value);

/* --- PDK: logging
 * ---------------------------------------------------------------------------------------------- */

/* kong.log.err: a line in Kong's error.log at level error. printf-like, posted, never waits. Cut at
 * 4,000 bytes. */
int kong_log_err(struct kong *kong, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* --- Anything else
 * --------------------------------------------------------------------------------------------- */

/* Any function under kong., by its full Lua name. On ProtoBuf:1 only those that PROTOCOL names (the
 * typed functions that are not MsgPack-only): others give KONG_E_UNSUPPORTED. *result lives until
 * the handler returns; NULL when it is not wanted. */
int kong_call(struct kong *kong, const char *method, const struct kong_value *args, size_t count,
              struct kong_value *result);

#ifdef __cplusplus
}
#endif

#endif
