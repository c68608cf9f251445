#include "status_show.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ask.h"
#include "json_value.h"
#include "limit.h"
#include "printable.h"
#include "value.h"

#define TIMEOUT_MS 5000
#define WATCH_S    2u

/* --- looking into the map: what is not there is 0, or "" --- */

static const struct kong_value *at(const struct kong_value *map, const char *key) {
    static const struct kong_value nil = {.type = KONG_NIL};
    const struct kong_value *value = value_get(map, key);
    return value == NULL ? &nil : value;
}

static unsigned long long count_at(const struct kong_value *map, const char *key) {
    int64_t number = 0;
    value_to_integer(at(map, key), &number);
    return (unsigned long long)number;
}

static double seconds_at(const struct kong_value *map, const char *key) {
    const struct kong_value *value = at(map, key);
    return value->type == KONG_NUMBER    ? value->number
           : value->type == KONG_INTEGER ? (double)value->integer
                                         : 0;
}

/* --- figures as people write them; 32 bytes hold any --- */

#define FIGURE 32

static const char *show_latency(double seconds, char out[FIGURE]) {
    if (seconds < 1e-4) {
        snprintf(out, FIGURE, "%.2g us", seconds * 1e6);
    } else if (seconds < 1e-3) {
        snprintf(out, FIGURE, "%.0f us", seconds * 1e6);
    } else if (seconds < 1) {
        snprintf(out, FIGURE, "%.3g ms", seconds * 1e3);
    } else {
        snprintf(out, FIGURE, "%.3g s", seconds);
    }
    return out;
}

static const char *show_age(double seconds, char out[FIGURE]) {
    unsigned long s = seconds > 0 && seconds < 1e11 ? (unsigned long)seconds : 0;
    if (s < 60) {
        snprintf(out, FIGURE, "%lu s", s);
    } else if (s < 3600) {
        snprintf(out, FIGURE, "%lu min %02lu s", s / 60, s % 60);
    } else if (s < 86400) {
        snprintf(out, FIGURE, "%lu h %02lu min", s / 3600, s / 60 % 60);
    } else {
        snprintf(out, FIGURE, "%lu d %02lu h", s / 86400, s / 3600 % 24);
    }
    return out;
}

static const char *show_bytes(unsigned long long bytes, char out[FIGURE]) {
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
    double value = (double)bytes;
    size_t unit = 0;
    while (value >= 1024 && unit < 5) {
        value /= 1024;
        unit++;
    }
    snprintf(out, FIGURE, "%.4g %s", value, units[unit]);
    return out;
}

/* --- the table --- */

static void print_head(const struct kong_value *status, FILE *out) {
    char figure[2][FIGURE];
    const struct kong_value *plugins = at(status, "Plugins");
    const struct kong_value *connections = at(status, "Connections");
    const struct kong_value *bytes = at(status, "Bytes");
    if (plugins->type == KONG_MAP && plugins->map.count > 0) {
        const struct kong_value *plugin = &plugins->map.pairs[0].value;
        const struct kong_value *version = at(plugin, "Version");
        fprintf(out, "%s %s", plugins->map.pairs[0].key.data,
                version->type == KONG_STRING ? version->string.data : "");
    }
    fprintf(out, ", process %llu, up %s, restarted %llu times after a crash\n",
            count_at(status, "Pid"), show_age(seconds_at(status, "Uptime"), figure[0]),
            count_at(status, "Restarts"));
    fprintf(out, "connections: %llu open, %llu opened, at most %llu; %s in, %s out\n",
            count_at(connections, "Open"), count_at(connections, "Opened"),
            count_at(connections, "Limit"), show_bytes(count_at(bytes, "In"), figure[0]),
            show_bytes(count_at(bytes, "Out"), figure[1]));
}

static void print_limits(const struct kong_value *status, FILE *out) {
    const struct kong_value *limits = at(status, "Limits");
    size_t shown = 0;
    fprintf(out, "limits reached:");
    for (size_t i = 0; limits->type == KONG_MAP && i < limits->map.count; i++) {
        const char *name = limits->map.pairs[i].key.data;
        unsigned long long count = count_at(limits, name);
        if (count > 0) {
            fprintf(out, "%s %s %llu times", shown++ > 0 ? "," : "", name, count);
        }
    }
    fprintf(out, "%s\n", shown == 0 ? " none" : "");
    if (count_at(status, "LogLinesLost") > 0) {
        fprintf(out, "log lines lost: %llu, nobody read them\n", count_at(status, "LogLinesLost"));
    }
}

static void print_latency(const struct kong_value *latency, FILE *out) {
    static const char *const keys[] = {"P50", "P99", "Max"};
    char figure[FIGURE];
    for (size_t i = 0; i < 3; i++) {
        fprintf(out, " %8s", show_latency(seconds_at(latency, keys[i]), figure));
    }
    fputc('\n', out);
}

static void print_phases(const struct kong_value *phases, FILE *out) {
    if (phases->type != KONG_MAP || phases->map.count == 0) {
        fprintf(out, "\nno events yet\n");
        return;
    }
    fprintf(out, "\n%-14s %10s %8s %8s %9s %8s %8s %8s %8s %8s\n", "phase", "started", "running",
            "failed", "timed out", "refused", "orphaned", "p50", "p99", "max");
    for (size_t i = 0; i < phases->map.count; i++) {
        const struct kong_value *phase = &phases->map.pairs[i].value;
        fprintf(out, "%-14s %10llu %8llu %8llu %9llu %8llu %8llu", phases->map.pairs[i].key.data,
                count_at(phase, "Started"), count_at(phase, "Running"), count_at(phase, "Failed"),
                count_at(phase, "TimedOut"), count_at(phase, "Refused"),
                count_at(phase, "Orphaned"));
        print_latency(at(phase, "Latency"), out);
    }
}

static void print_calls(const struct kong_value *calls, FILE *out) {
    if (calls->type != KONG_MAP || calls->map.count == 0) {
        return;
    }
    fprintf(out, "\n%-40s %10s %8s %8s %8s\n", "answers of Kong", "count", "p50", "p99", "max");
    for (size_t i = 0; i < calls->map.count; i++) {
        const struct kong_value *call = &calls->map.pairs[i].value;
        fprintf(out, "%-40s %10llu", calls->map.pairs[i].key.data, count_at(call, "Count"));
        print_latency(call, out);
    }
}

static void print_instance(const struct kong_value *instance, FILE *out) {
    static const char *const keys[][2] = {
        {"Service", "service"}, {"Route", "route"}, {"Consumer", "consumer"}, {"Name", "name"}};
    char figure[2][FIGURE];
    size_t shown = 0;
    fprintf(out, "%11llu %12s %12s %10llu %8llu ", count_at(instance, "Id"),
            show_age(seconds_at(instance, "Age"), figure[0]),
            show_age(seconds_at(instance, "Idle"), figure[1]), count_at(instance, "Events"),
            count_at(instance, "Failed"));
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        const struct kong_value *value = at(instance, keys[i][0]);
        if (value->type == KONG_STRING) {
            fprintf(out, "%s %s %s", shown++ > 0 ? "," : "", keys[i][1], value->string.data);
        }
    }
    fprintf(out, "%s\n", shown == 0 ? " global" : "");
    const struct kong_value *refused = at(instance, "Refused");
    if (refused->type == KONG_STRING) {
        char text[512];
        printable_copy(text, sizeof text, refused->string.data, refused->string.len);
        fprintf(out, "%11s refused: %s\n", "", text);
    }
}

static void print_instances(const struct kong_value *status, FILE *out) {
    const struct kong_value *list = at(status, "InstanceList");
    const struct kong_value *instances = at(status, "Instances");
    fprintf(out,
            "\ninstances: %llu live; %llu started (%llu with a refused configuration), %llu closed "
            "by Kong, %llu forgotten unused, %llu asked for that were not here\n",
            count_at(instances, "Live"), count_at(instances, "Started"),
            count_at(instances, "Refused"), count_at(instances, "Closed"),
            count_at(instances, "Expired"), count_at(instances, "Unknown"));
    if (list->type != KONG_LIST || list->list.count == 0) {
        return;
    }
    fprintf(out, "%11s %12s %12s %10s %8s  %s\n", "id", "age", "last use", "events", "failed",
            "for");
    for (size_t i = 0; i < list->list.count; i++) {
        print_instance(&list->list.items[i], out);
    }
    if (list->list.count < count_at(instances, "Live")) {
        fprintf(out, "%11s and %llu more, used longer ago\n", "",
                count_at(instances, "Live") - list->list.count);
    }
}

void status_print(const struct kong_value *status, FILE *out) {
    print_head(status, out);
    print_limits(status, out);
    print_phases(at(status, "Phases"), out);
    print_calls(at(status, "Calls"), out);
    print_instances(status, out);
}

/* --- asking --- */

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
    if (ask_open(&ask, options->socket, PROTOCOL_MSGPACK, TIMEOUT_MS) != 0) {
        return nobody(options->socket, ask.error, errno, error, error_size);
    }
    int rc = ask_call(&ask, &call, arena, &reply);
    ask_close(&ask);
    if (rc != 0 || reply.kind != RPC_REPLY_STATUS) {
        char refusal[300];
        bool refused = ask_find_refusal(&ask, options->plugin, refusal, sizeof refusal);
        return nobody(options->socket,
                      refused   ? refusal
                      : rc != 0 ? ask.error
                                : "no status in its answer",
                      0, error, error_size);
    }
    if (options->watch && !options->json && isatty(fileno(out))) {
        fputs("\033[H\033[2J", out); /* the screen's top */
    }
    if (options->json) {
        rc = print_json(&reply.status, out);
    } else {
        status_print(&reply.status, out);
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
