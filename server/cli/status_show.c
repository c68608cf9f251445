#include "status_show.h"

#include <errno.h>
#include <unistd.h>

#include "ask.h"
#include "json_text.h"
#include "limit.h"
#include "printable.h"
#include "status_table.h"

#define WATCH_S 2u

/* `reason`: of connect, 0 when that went well. */
static int nobody(const char *socket, const char *why, int reason, char *error, size_t error_size) {
    const char *advice = "";
    if (reason == ENOENT || reason == ECONNREFUSED) {
        advice = ": no server is running there (see --socket and --kong-prefix)";
    } else if (reason == EACCES || reason == EPERM) {
        advice = ": run this as the user of the server, or let this one in by its --socket-mode "
                 "and --socket-group";
    }
    return printable_error(error, error_size, "%.200s: %.300s%s", socket, why, advice);
}

static int show_once(const struct options *options, const struct plugins *plugins, int timeout_ms,
                     struct arena *arena, FILE *out, char *error, size_t error_size) {
    struct ask ask;
    struct rpc_call call = {.command = RPC_GET_STATUS};
    struct rpc_reply reply;
    struct kong_str json;
    if (ask_open(&ask, options->socket, PROTOCOL_MSGPACK, timeout_ms) != 0) {
        return nobody(options->socket, ask.error, errno, error, error_size);
    }
    int rc = ask_call(&ask, &call, arena, &reply);
    ask_close(&ask);
    if (rc != 0 || reply.kind != RPC_REPLY_STATUS) {
        char refusal[300];
        bool refused = ask_find_refusal(&ask, plugins, refusal, sizeof refusal);
        return nobody(options->socket,
                      refused   ? refusal
                      : rc != 0 ? ask.error
                                : "no status in its answer",
                      0, error, error_size);
    }
    if (options->quiet) {
        return 0;
    }
    if (options->watch && !options->json && isatty(fileno(out))) {
        fputs("\033[H\033[2J", out); /* the screen's top */
    }
    if (!options->json) {
        status_table_print(&reply.status, out);
    } else if ((rc = json_write_printable(arena, &reply.status, &json)) == 0) {
        fprintf(out, "%s\n", json.data);
    }
    return rc == 0 && fflush(out) == 0 && !ferror(out)
               ? 0
               : printable_error(error, error_size, "the status cannot be written");
}

int status_show(const struct options *options, const struct plugins *plugins, int timeout_ms,
                FILE *out, char *error, size_t error_size) {
    struct arena arena;
    int rc;
    arena_init(&arena, LIMIT_EVENT_MEMORY);
    while ((rc = show_once(options, plugins, timeout_ms, &arena, out, error, error_size)) == 0 &&
           options->watch) {
        arena_reset(&arena);
        sleep(WATCH_S);
        if (!options->json && !isatty(fileno(out))) {
            fputc('\n', out);
        }
    }
    arena_free(&arena);
    return rc;
}
