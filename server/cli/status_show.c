#include "status_show.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ask.h"
#include "json_value.h"
#include "limit.h"
#include "printable.h"
#include "status_table.h"

#define TIMEOUT_MS 5000
#define WATCH_S    2u

/* `reason`: of connect, 0 when that went well. */
static int nobody(const char *socket, const char *why, int reason, char *error, size_t error_size) {
    char text[768];
    const char *advice = "";
    if (reason == ENOENT || reason == ECONNREFUSED) {
        advice = ": no server is running there (see --socket and --kong-prefix)";
    } else if (reason == EACCES || reason == EPERM) {
        advice = ": run this as the user of the server, or let this one in by its --socket-mode "
                 "and --socket-group";
    }
    snprintf(text, sizeof text, "%.200s: %.300s%s", socket, why, advice);
    printable_copy(error, error_size, text, strlen(text));
    return -1;
}

static int print_json(const struct kong_value *status, FILE *out) {
    char *text = json_value_text(status);
    int rc = text == NULL || fprintf(out, "%s\n", text) < 0 ? -1 : 0;
    free(text);
    return rc;
}

static int show_once(const struct status_show_options *options, struct arena *arena, FILE *out,
                     char *error, size_t error_size) {
    struct ask ask;
    struct rpc_call call = {.command = RPC_GET_STATUS};
    struct rpc_reply reply;
    if (ask_open(&ask, options->socket, PROTOCOL_MSGPACK,
                 options->timeout_ms > 0 ? options->timeout_ms : TIMEOUT_MS) != 0) {
        return nobody(options->socket, ask.error, errno, error, error_size);
    }
    int rc = ask_call(&ask, &call, arena, &reply);
    ask_close(&ask);
    if (rc != 0 || reply.kind != RPC_REPLY_STATUS) {
        char refusal[300];
        bool refused = ask_find_refusal(&ask, options->plugins, refusal, sizeof refusal);
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
    if (options->json) {
        rc = print_json(&reply.status, out);
    } else {
        status_table_print(&reply.status, out);
    }
    if (rc != 0 || fflush(out) != 0) {
        snprintf(error, error_size, "the status cannot be written");
        return -1;
    }
    return 0;
}

int status_show(const struct status_show_options *options, FILE *out, char *error,
                size_t error_size) {
    struct arena arena;
    int rc;
    arena_init(&arena, LIMIT_EVENT_MEMORY);
    for (;;) {
        rc = show_once(options, &arena, out, error, error_size);
        if (rc != 0 || !options->watch) {
            break;
        }
        arena_reset(&arena);
        sleep(WATCH_S);
        if (!options->json && !isatty(fileno(out))) {
            fputc('\n', out);
        }
    }
    arena_free(&arena);
    return rc;
}
