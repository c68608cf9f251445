/* kong-pdk-load: how fast is a plugin? See usage() in load_options.c. */
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

#include "load_options.h"
#include "load_run.h"
#include "load_server.h"
#include "sim_client.h"

/* --- One protocol --- */

static volatile sig_atomic_t stop;

static void on_signal(int signal_number) {
    (void)signal_number;
    stop = 1;
}

/* What Kong's StartInstance carries. NULL: no memory. */
static char *instance_config(const char *config) {
    json_t *object = json_loads(config, 0, NULL);
    json_object_set_new(object, "__seq__", json_integer(2));
    json_object_set_new(object, "__plugin_id", json_string("e84f8ed7-6393-575d-93ab-000000000000"));
    json_object_set_new(object, "__ws_id", json_string("0dc6f45b-8f8d-40d2-a504-473544ee190b"));
    json_object_set_new(object, "__key__",
                        json_string("plugins:load:::::0dc6f45b-8f8d-40d2-a504-473544ee190b"));
    char *text = json_dumps(object, JSON_COMPACT);
    json_decref(object);
    return text;
}

/* The line that the server had Kong write about a handler that failed; NULL: none. */
static const char *failure(const struct sim_pdk *pdk, const char *plugin, enum kong_phase phase) {
    const char *whose[] = {kong_phase_name(phase), "configuration"};
    for (size_t i = 0; i < pdk->log_count; i++) {
        for (size_t k = 0; k < 4; k++) {
            char head[300];
            snprintf(head, sizeof head, "%s: %s %s: ", plugin, whose[k / 2],
                     k % 2 == 0 ? "failed" : "refused");
            if (strncmp(pdk->logs[i].text.data, head, strlen(head)) == 0) {
                return pdk->logs[i].text.data;
            }
        }
    }
    return NULL;
}

/* Starts an instance, and has it handle one event, in which it must not fail. */
static int try_event(const struct load_options *options, const struct load_plugin *plugin,
                     struct load_run *run, char *error, size_t error_size) {
    struct sim_pdk *pdk = sim_pdk_create();
    struct sim_client_options of = {.protocol = run->protocol,
                                    .connect = sim_connect_unix,
                                    .connect_ctx = run->socket,
                                    .pdk = sim_pdk_call,
                                    .pdk_ctx = pdk};
    struct sim_client *client = pdk == NULL ? NULL : sim_client_create(&of);
    char *config = instance_config(options->config);
    struct sim_event event;
    int rc = -1;
    snprintf(error, error_size, "the request cannot be made, or there is no memory");
    if (client != NULL && config != NULL &&
        load_request_prepare(pdk, &options->request, run->phase)) {
        pdk->protobuf = run->protocol == PROTOCOL_PROTOBUF;
        enum sim_event_outcome outcome =
            sim_client_start(client, plugin->name, config, &run->instance);
        snprintf(error, error_size, "StartInstance: %.400s", sim_client_text(client));
        if (outcome == SIM_EVENT_OK) {
            outcome = sim_client_event(client, run->instance, kong_phase_name(run->phase), &event);
            const char *line = failure(pdk, plugin->name, run->phase);
            if (line == NULL && outcome == SIM_EVENT_CLOSED) {
                line = "the server closed the connection, as when a handler crashes: "
                       "kong-pdk-demo shows the server's log";
            }
            snprintf(error, error_size, "the first event failed: %.500s",
                     line != NULL ? line : event.text);
            rc = line == NULL && (outcome == SIM_EVENT_OK || outcome == SIM_EVENT_EXITED) ? 0 : -1;
        }
    }
    free(config);
    sim_client_destroy(client);
    sim_pdk_destroy(pdk);
    return rc;
}

/* CPU time of a process in microseconds; NAN when unknown. */
static double cpu_us(pid_t pid) {
    clockid_t clock;
    struct timespec used;
    if (clock_getcpuclockid(pid, &clock) != 0 || clock_gettime(clock, &used) != 0) {
        return NAN;
    }
    return (double)used.tv_sec * 1e6 + (double)used.tv_nsec / 1e3;
}

static double percentile(const struct load_result *result, double percent) {
    return (double)histogram_percentile(&result->latency, percent) / 1e3;
}

static void print_result(const struct load_options *options, const struct load_run *run,
                         const struct load_result *result, double cpu) {
    const char *protocol = run->protocol == PROTOCOL_PROTOBUF ? "ProtoBuf:1" : "MsgPack:1";
    double events = result->events > 0 ? (double)result->events : 1;
    double rate = result->seconds > 0 ? (double)result->events / result->seconds : 0;
    if (options->json) {
        printf("{\"protocol\": \"%s\", \"connections\": %zu, \"seconds\": %.3f, \"events\": %llu, "
               "\"events_per_s\": %.0f, \"p50_us\": %.1f, \"p90_us\": %.1f, \"p99_us\": %.1f, "
               "\"max_us\": %.1f, \"calls_per_event\": %.2f, \"exits\": %llu, \"cpu_us\": %.2f}\n",
               protocol, run->connections, result->seconds, (unsigned long long)result->events,
               rate, percentile(result, 50), percentile(result, 90), percentile(result, 99),
               (double)result->latency.max / 1e3, (double)result->calls / events,
               (unsigned long long)result->exits, isnan(cpu) ? 0 : cpu);
    } else {
        printf("%-11s %11zu %10.0f %9.1f %9.1f %9.1f %10.1f %11.1f %9.1f\n", protocol,
               run->connections, rate, percentile(result, 50), percentile(result, 90),
               percentile(result, 99), (double)result->latency.max / 1e3,
               (double)result->calls / events, cpu);
        if (result->exits > 0) {
            printf("%11s %.1f %% of these events ended the request with an answer of the plugin\n",
                   "", (double)result->exits * 100 / events);
        }
    }
    fflush(stdout);
}

static int measure(const struct load_options *options, struct load_run *run,
                   const struct load_server *server, char *error, size_t error_size) {
    static struct load_result result; /* its histogram is large */
    size_t asked = answers_asked(run->answers);
    double before = cpu_us(server->pid);
    int rc = load_events(run, &result);
    double all = result.seconds > 0 ? (run->seconds + run->warmup) / run->seconds : 1;
    double cpu =
        (cpu_us(server->pid) - before) / (result.events > 0 ? (double)result.events * all : 1);
    if (rc != 0) {
        snprintf(error, error_size, "%s", result.error);
        return -1;
    }
    print_result(options, run, &result, cpu);
    asked = answers_asked(run->answers) - asked;
    if (asked > 10000 && asked * 20 > result.calls) {
        fprintf(stderr,
                "kong-pdk-load: %zu calls of the handler were other ones than before, and took the "
                "simulated Kong's time too: the server is faster than this\n",
                asked);
    }
    return 0;
}

static int run_protocol(const struct load_options *options, const struct load_plugin *plugin,
                        enum protocol protocol, struct load_server *server, char *error,
                        size_t error_size) {
    struct load_run run = {.protocol = protocol,
                           .socket = server->socket,
                           .phase = options->phase,
                           .seconds = options->seconds,
                           .warmup = options->warmup,
                           .stop = &stop,
                           .connections = options->connections == 0 ? 1 : options->connections};
    size_t learned = 0;
    run.answers = answers_create(protocol, &options->request, options->phase);
    int rc = run.answers == NULL ? -1 : 0;
    snprintf(error, error_size, "not enough memory");
    if (rc == 0 && options->recording != NULL) {
        rc = answers_read_recording(run.answers, protocol, options->recording, &learned, error,
                                    error_size);
        if (rc == 0 && !options->json) {
            printf("%zu answers to calls of %s are in %s\n", learned,
                   protocol == PROTOCOL_PROTOBUF ? "ProtoBuf:1" : "MsgPack:1", options->recording);
        }
    }
    rc = rc == 0 ? try_event(options, plugin, &run, error, error_size) : rc;
    rc = rc == 0 ? measure(options, &run, server, error, error_size) : rc;
    if (rc == 0 && options->connections == 0 && stop == 0) {
        run.connections = 16;
        rc = measure(options, &run, server, error, error_size);
    }
    answers_destroy(run.answers);
    return rc;
}

/* --- All --- */

static int choose_phase(struct load_options *options, const struct load_plugin *plugin, char *error,
                        size_t error_size) {
    for (unsigned i = 0; i < KONG_PHASE_COUNT && options->phase == KONG_PHASE_COUNT; i++) {
        char word[32];
        unsigned phase = i == 0 ? KONG_PHASE_ACCESS : i - 1;
        snprintf(word, sizeof word, " %s ", kong_phase_name((enum kong_phase)phase));
        if (strstr(plugin->phases, word) != NULL) {
            options->phase = (enum kong_phase)phase;
        }
    }
    snprintf(error, error_size, "the plugin %s has no phase", plugin->name);
    return options->phase == KONG_PHASE_COUNT ? -1 : 0;
}

static int run_all(struct load_options *options, struct load_plugin *plugin,
                   struct load_server *server, char *error, size_t error_size) {
    char *said;
    if (load_plugin_ask(options->program, options->server_options, plugin, error, error_size) !=
            0 ||
        choose_phase(options, plugin, error, error_size) != 0) {
        return -1;
    }
    if (!load_check_config(options->program, options->server_options, options->config, &said)) {
        said[strcspn(said, "\n")] = '\0';
        snprintf(error, error_size,
                 "%s refuses the configuration %.200s: %.400s (give another with "
                 "--config)",
                 plugin->name, options->config, said);
        free(said);
        return -1;
    }
    free(said);
    if (load_server_start(server, options->program, options->server_options, error, error_size) !=
        0) {
        return -1;
    }
    if (!options->json) {
        printf("%s %s, phase %s, configuration %s\n\n", plugin->name, plugin->version,
               kong_phase_name(options->phase), options->config);
        printf("%-11s %11s %10s %9s %9s %9s %10s %11s %9s\n", "protocol", "connections", "events/s",
               "p50 us", "p90 us", "p99 us", "max us", "calls/event", "CPU us");
    }
    for (int i = 0; i < 2; i++) {
        if (options->protocols[i] && stop == 0 &&
            run_protocol(options, plugin, i == 0 ? PROTOCOL_PROTOBUF : PROTOCOL_MSGPACK, server,
                         error, error_size) != 0) {
            return -1;
        }
    }
    return 0;
}

static void raise_file_limit(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

int main(int argc, char **argv) {
    struct load_options options;
    struct load_plugin plugin = {0};
    struct load_server server = {0};
    char error[1400] = "";
    const struct sigaction ends = {.sa_handler = on_signal};
    load_options_parse(&options, argc, argv);
    raise_file_limit();
    sigaction(SIGINT, &ends, NULL);
    sigaction(SIGTERM, &ends, NULL);
    signal(SIGPIPE, SIG_IGN); /* kong-pdk-load … | head: the server is ended all the same */
    int rc = run_all(&options, &plugin, &server, error, sizeof error);
    if (rc != 0) {
        fflush(stdout);
        fprintf(stderr, "kong-pdk-load: %s\n", error);
    }
    load_server_end(&server);
    load_plugin_free(&plugin);
    free(options.config);
    return rc != 0 ? 1 : stop != 0 ? 130 : 0;
}
