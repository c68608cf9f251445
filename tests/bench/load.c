/* A load generator for plugin servers: speaks as Kong does, so much cheaper than any server that
 * the server is what is measured. See usage(). */
#include "load.h"

#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "learn.h"

#define BATCH     256
#define PARALLEL  64 /* idle connections have their one event so many at a time */
#define MAX_CONNS 65536

struct options {
    const char *socket, *plugin, *fields;
    const struct script *script;
    enum wire_protocol protocol;
    size_t connections, idle;
    uint32_t instances;
    double seconds, warmup, rate, patience;
    pid_t server;
    uint64_t events;
    bool as_kong, hold;
};

static void usage(FILE *to) {
    fputs(
        "usage: load --socket PATH [options]\n"
        "  --protocol protobuf|msgpack  default protobuf\n"
        "  --plugin NAME                default api-version\n"
        "  --script NAME                nothing, set-header or getters: what the handler does, "
        "checked\n"
        "                               in every event; default set-header\n"
        "  --config JSON-MEMBERS        the plugin's own, e.g. '\"version\":\"1\"'\n"
        "  --connections N              each has one event under way; default 1\n"
        "  --idle N                     more connections, idle after one event; default 0\n"
        "  --instances N                any event is for any of them; default 1\n"
        "  --seconds S, --warmup S      default 1 and 0.3\n"
        "  --events N                   so many, without warm-up, instead of --seconds\n"
        "  --rate R                     open loop: R events/s are due, and latency counts from\n"
        "                               when they were (coordinated omission corrected)\n"
        "  --as-kong                    ProtoBuf:1 frames in two writes each; answers apart from\n"
        "                               the next call\n"
        "  --patience S                 give up when the server is silent for so long; default 10\n"
        "  --server-pid PID             say how much CPU time this process takes for an event\n"
        "  --hold                       after the result keep connections until stdin ends\n"
        "Prints one line of JSON. Status 1 when any event went wrong.\n",
        to);
}

static double number(const char *text, double least, double most) {
    char *end;
    double value = strtod(text, &end);
    if (*text == '\0' || *end != '\0' || !(value >= least && value <= most)) {
        fprintf(stderr, "load: '%s' is not a number from %g to %g\n", text, least, most);
        exit(2);
    }
    return value;
}

enum { SOCKET = 256, PROTOCOL, PLUGIN, SCRIPT, CONFIG, CONNECTIONS, IDLE, INSTANCES };
enum { SECONDS = 512, WARMUP, EVENTS, RATE, PATIENCE, SERVER_PID, AS_KONG, HOLD, HELP };

static bool take_option(struct options *options, int option) {
    switch (option) {
    case SOCKET:
        options->socket = optarg;
        return strlen(optarg) > 0;
    case PROTOCOL:
        options->protocol = strcmp(optarg, "msgpack") == 0 ? WIRE_MSGPACK : WIRE_PROTOBUF;
        return strcmp(optarg, "msgpack") == 0 || strcmp(optarg, "protobuf") == 0;
    case PLUGIN:
        options->plugin = optarg;
        return strlen(optarg) < 256;
    case SCRIPT:
        options->script = script_find(optarg);
        return options->script != NULL;
    case CONFIG:
        options->fields = optarg;
        return strlen(optarg) < 1024;
    case CONNECTIONS:
        options->connections = (size_t)number(optarg, 1, MAX_CONNS);
        return true;
    case IDLE:
        options->idle = (size_t)number(optarg, 0, MAX_CONNS);
        return true;
    case INSTANCES:
        options->instances = (uint32_t)number(optarg, 1, 10e6);
        return true;
    case SECONDS:
        options->seconds = number(optarg, 0.01, 86400);
        return true;
    case WARMUP:
        options->warmup = number(optarg, 0, 3600);
        return true;
    case EVENTS:
        options->events = (uint64_t)number(optarg, 1, 1e12);
        return true;
    case RATE:
        options->rate = number(optarg, 1, 1e8);
        return true;
    case PATIENCE:
        options->patience = number(optarg, 0.01, 3600);
        return true;
    case SERVER_PID:
        options->server = (pid_t)number(optarg, 1, 1 << 30);
        return true;
    case AS_KONG:
        options->as_kong = true;
        return true;
    case HOLD:
        options->hold = true;
        return true;
    default:
        return false;
    }
}

static void parse_options(struct options *options, int argc, char **argv) {
    static const struct option known[] = {{"socket", required_argument, NULL, SOCKET},
                                          {"protocol", required_argument, NULL, PROTOCOL},
                                          {"plugin", required_argument, NULL, PLUGIN},
                                          {"script", required_argument, NULL, SCRIPT},
                                          {"config", required_argument, NULL, CONFIG},
                                          {"connections", required_argument, NULL, CONNECTIONS},
                                          {"idle", required_argument, NULL, IDLE},
                                          {"instances", required_argument, NULL, INSTANCES},
                                          {"seconds", required_argument, NULL, SECONDS},
                                          {"warmup", required_argument, NULL, WARMUP},
                                          {"events", required_argument, NULL, EVENTS},
                                          {"rate", required_argument, NULL, RATE},
                                          {"patience", required_argument, NULL, PATIENCE},
                                          {"server-pid", required_argument, NULL, SERVER_PID},
                                          {"as-kong", no_argument, NULL, AS_KONG},
                                          {"hold", no_argument, NULL, HOLD},
                                          {"help", no_argument, NULL, HELP},
                                          {NULL, 0, NULL, 0}};
    int option;
    while ((option = getopt_long(argc, argv, "", known, NULL)) != -1) {
        if (option == HELP) {
            usage(stdout);
            exit(0);
        }
        if (!take_option(options, option)) {
            usage(stderr);
            exit(2);
        }
    }
    if (options->socket == NULL || optind < argc) {
        usage(stderr);
        exit(2);
    }
}

/* Begins what is due by now, as far as connections are free. */
static void begin_due(struct load *load, double rate, uint64_t start_ns, uint64_t now) {
    while (load->free_count > 0 && load->begun < load->events_max) {
        uint64_t due = start_ns + (uint64_t)((double)load->begun * 1e9 / rate);
        if (due > now || due >= load->end_ns) {
            return;
        }
        load_begin_event(load, &load->conns[load->free_conns[--load->free_count]], due, now);
    }
}

static bool more_due(const struct load *load, double rate, uint64_t start_ns) {
    uint64_t due = start_ns + (uint64_t)((double)load->begun * 1e9 / rate);
    return load->phase == LOAD_OPEN && load->begun < load->events_max && due < load->end_ns;
}

/* Until the next event is due, or for a second. */
static struct timespec patience(const struct load *load, double rate, uint64_t start_ns,
                                uint64_t now) {
    uint64_t wait = 1000000000u;
    if (more_due(load, rate, start_ns) && load->free_count > 0) {
        uint64_t due = start_ns + (uint64_t)((double)load->begun * 1e9 / rate);
        wait = due > now ? due - now : 0;
    }
    return (struct timespec){.tv_sec = (time_t)(wait / 1000000000u),
                             .tv_nsec = (long)(wait % 1000000000u)};
}

/* Runs a phase whose first work was given out, until nothing is under way and no more is due. */
static void run_phase(struct load *load, double rate, uint64_t start_ns) {
    struct epoll_event events[BATCH];
    uint64_t heard = load_now_ns();
    while (load->in_flight > 0 || (more_due(load, rate, start_ns) && load->free_count > 0)) {
        uint64_t now = load_now_ns();
        if (now - heard > load->patience_ns && load->in_flight > 0) {
            snprintf(load->error, sizeof load->error, "no answer for %.2g s",
                     (double)load->patience_ns / 1e9);
            load->errors++;
            return;
        }
        struct timespec wait = patience(load, rate, start_ns, now);
        int count = epoll_pwait2(load->epoll, events, BATCH, &wait, NULL);
        for (int i = 0; i < count; i++) {
            struct conn *conn = events[i].data.ptr;
            if (conn->fd >= 0) {
                load_on_readable(load, conn);
            }
        }
        if (count > 0) {
            heard = load_now_ns();
        }
        if (load->phase == LOAD_OPEN) {
            begin_due(load, rate, start_ns, load_now_ns());
        }
    }
}

static void give_out(struct load *load, size_t conns) {
    for (size_t i = 0; i < conns && load->errors == 0; i++) {
        load_next(load, &load->conns[i], load_now_ns());
    }
}

static void start_instances(struct load *load) {
    load->phase = LOAD_START;
    load->next = 0;
    give_out(load, load->active);
    run_phase(load, 0, 0);
}

static void touch_idle(struct load *load) {
    load->phase = LOAD_TOUCH;
    load->next = load->active;
    give_out(load, load->count < PARALLEL ? load->count : PARALLEL);
    run_phase(load, 0, 0);
}

static void measure(struct load *load, const struct options *options) {
    uint64_t start = load_now_ns();
    bool counted = options->events > 0;
    load->begun = load->finished = load->calls = 0;
    memset(&load->latency, 0, sizeof load->latency);
    memset(&load->service, 0, sizeof load->service);
    load->events_max = counted ? options->events : UINT64_MAX;
    load->measure_ns = start + (counted ? 0 : (uint64_t)(options->warmup * 1e9));
    load->end_ns = counted ? UINT64_MAX : load->measure_ns + (uint64_t)(options->seconds * 1e9);
    load->phase = options->rate > 0 ? LOAD_OPEN : LOAD_CLOSED;
    load->last_ns = start;
    give_out(load, load->active);
    begin_due(load, options->rate, start, start);
    run_phase(load, options->rate, start);
}

static void print_latency(const char *name, const struct histogram *histogram) {
    printf(", \"%s\": {\"p50\": %.1f, \"p90\": %.1f, \"p99\": %.1f, \"p99.9\": %.1f, "
           "\"max\": %.1f, \"mean\": %.1f}",
           name, (double)histogram_percentile(histogram, 50) / 1e3,
           (double)histogram_percentile(histogram, 90) / 1e3,
           (double)histogram_percentile(histogram, 99) / 1e3,
           (double)histogram_percentile(histogram, 99.9) / 1e3, (double)histogram->max / 1e3,
           histogram_mean(histogram) / 1e3);
}

/* CPU time in microseconds that all threads of a process took; 0: this one. NAN when unknown. */
static double cpu_us(pid_t pid) {
    clockid_t clock = CLOCK_PROCESS_CPUTIME_ID;
    struct timespec used;
    if ((pid != 0 && clock_getcpuclockid(pid, &clock) != 0) || clock_gettime(clock, &used) != 0) {
        return NAN;
    }
    return (double)used.tv_sec * 1e6 + (double)used.tv_nsec / 1e3;
}

struct cpu {
    double load, server;
};

static struct cpu cpu_now(const struct options *options) {
    return (struct cpu){cpu_us(0), options->server != 0 ? cpu_us(options->server) : NAN};
}

static void print_cpu(const struct load *load, struct cpu from, struct cpu to) {
    double events = load->begun > 0 ? (double)load->begun : 1;
    printf(", \"load_cpu_us\": %.3f", (to.load - from.load) / events);
    if (!isnan(to.server - from.server)) {
        printf(", \"server_cpu_us\": %.3f", (to.server - from.server) / events);
    }
}

static void report(const struct load *load, const struct options *options, struct cpu from,
                   struct cpu to) {
    double seconds =
        load->last_ns > load->measure_ns ? (double)(load->last_ns - load->measure_ns) / 1e9 : 0;
    printf("{\"protocol\": \"%s\", \"script\": \"%s\", \"connections\": %zu, \"idle\": %zu, "
           "\"instances\": %u, \"as_kong\": %s, ",
           wire_protocol_name(options->protocol), options->script->name, options->connections,
           options->idle, load->instances, options->as_kong ? "true" : "false");
    if (options->rate > 0) {
        printf("\"rate\": %.0f, ", options->rate);
    }
    printf("\"seconds\": %.3f, \"events\": %llu, \"events_all\": %llu, \"calls_all\": %llu, "
           "\"errors\": %llu, \"events_per_s\": %.0f",
           seconds, (unsigned long long)load->finished, (unsigned long long)load->begun,
           (unsigned long long)load->calls, (unsigned long long)load->errors,
           seconds > 0 ? (double)load->finished / seconds : 0);
    print_cpu(load, from, to);
    print_latency("latency_us", &load->latency);
    if (options->rate > 0) {
        print_latency("service_us", &load->service);
    }
    printf("}\n");
    fflush(stdout);
}

static int open_conns(struct load *load, const struct options *options) {
    for (size_t i = 0; i < load->count; i++) {
        load->conns[i].fd = -1;
    }
    for (size_t i = 0; i < load->count; i++) {
        if (load_open_conn(load, &load->conns[i], options->socket) != 0) {
            return -1;
        }
    }
    return 0;
}

static void run(struct load *load, const struct options *options) {
    if (open_conns(load, options) != 0) {
        return;
    }
    start_instances(load);
    if (load->errors == 0) {
        touch_idle(load);
    }
    if (load->errors == 0) {
        struct cpu from = cpu_now(options);
        measure(load, options);
        report(load, options, from, cpu_now(options));
    }
}

static bool create(struct load *load, const struct options *options, const struct canned *learned) {
    load->learned = learned;
    load->plugin = options->plugin;
    load->fields = options->fields;
    load->patience_ns = (uint64_t)(options->patience * 1e9);
    load->as_kong = options->as_kong;
    load->active = options->connections;
    load->count = options->connections + options->idle;
    load->instances = options->instances;
    load->next_number = options->protocol == WIRE_PROTOBUF ? SEQUENCE_FIRST : MSGID_FIRST;
    load->random = 0x9e3779b97f4a7c15u;
    load->conns = calloc(load->count, sizeof *load->conns);
    load->ids = calloc(load->instances, sizeof *load->ids);
    load->free_conns = calloc(load->active, sizeof *load->free_conns);
    load->epoll = epoll_create1(EPOLL_CLOEXEC);
    return load->conns != NULL && load->ids != NULL && load->free_conns != NULL && load->epoll >= 0;
}

static void destroy(struct load *load) {
    for (size_t i = 0; load->conns != NULL && i < load->count; i++) {
        load_close_conn(&load->conns[i]);
    }
    if (load->epoll >= 0) {
        close(load->epoll);
    }
    free(load->conns);
    free(load->ids);
    free(load->free_conns);
    free(load);
}

static void hold(void) {
    char byte;
    while (read(STDIN_FILENO, &byte, 1) > 0) {
    }
}

static void raise_file_limit(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

int main(int argc, char **argv) {
    struct options options = {.plugin = "api-version",
                              .fields = "",
                              .script = script_find("set-header"),
                              .connections = 1,
                              .instances = 1,
                              .seconds = 1,
                              .warmup = 0.3,
                              .patience = 10};
    parse_options(&options, argc, argv);
    raise_file_limit();
    prctl(PR_SET_TIMERSLACK, 1000); /* an open loop sends when it should */
    struct load *load = calloc(1, sizeof *load);
    struct canned *learned = calloc(1, sizeof *learned);
    int status = 1;
    if (load == NULL || learned == NULL || !create(load, &options, learned)) {
        fprintf(stderr, "load: %s\n", strerror(errno));
    } else if (learn_event(options.socket, options.protocol, options.plugin, options.fields,
                           options.script, learned, (int)(options.patience * 1e3), load->error,
                           sizeof load->error) == 0) {
        run(load, &options);
        status = load->errors > 0 ? 1 : 0;
    }
    if (load != NULL) {
        if (load->error[0] != '\0') {
            fprintf(stderr, "load: %s\n", load->error);
        }
        if (options.hold && status == 0) {
            hold();
        }
        destroy(load);
    }
    free(learned);
    return status;
}
