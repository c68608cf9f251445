/* What --status prints for people. The map comes from whoever listens at the socket, so no byte of
 * it goes to the terminal as it is. */
#include "status_table.h"

#include <stdarg.h>
#include <string.h>

#include "printable.h"
#include "value.h"

#define LENGTH(array) (sizeof(array) / sizeof *(array))
#define WIDTH         100
#define FIGURE        32 /* bytes, for any figure */
#define NAME          41 /* of a phase or call, with its NUL */

/* --- looking into the map: what is not there is 0, or "" --- */

static const struct kong_value *at(const struct kong_value *map, const char *key) {
    static const struct kong_value nil = {.type = KONG_NIL};
    const struct kong_value *value = value_get(map, key);
    return value == NULL ? &nil : value;
}

static unsigned long long count_at(const struct kong_value *map, const char *key) {
    int64_t number = 0;
    value_to_integer(at(map, key), &number);
    return number < 0 ? 0 : (unsigned long long)number;
}

static double seconds_at(const struct kong_value *map, const char *key) {
    const struct kong_value *value = at(map, key);
    return value->type == KONG_NUMBER    ? value->number
           : value->type == KONG_INTEGER ? (double)value->integer
                                         : 0;
}

/* A name or text of the map, cut to `size`. */
static const char *show_text(struct kong_str text, char *out, size_t size) {
    printable_copy(out, size, text.data != NULL ? text.data : "", text.data != NULL ? text.len : 0);
    return out;
}

/* --- figures as people write them --- */

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
    unsigned long s = seconds > 0 && seconds < 1e9 ? (unsigned long)seconds : 0;
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

/* Seven columns for a counter: what is more is given in thousands, millions, ... */
static const char *show_count(unsigned long long count, char out[FIGURE]) {
    static const char units[] = " kMGTPE";
    double value = (double)count;
    size_t unit = 0;
    if (count < 10000000) {
        snprintf(out, FIGURE, "%llu", count);
        return out;
    }
    while (value >= 100000 && unit < sizeof units - 2) {
        value /= 1000;
        unit++;
    }
    snprintf(out, FIGURE, "%.0f%c", value, units[unit]);
    return out;
}

/* --- lists that go over several lines --- */

struct list {
    FILE *out;
    int column, indent;
    bool empty;
};

static struct list list_begin(FILE *out, const char *label, int indent) {
    return (struct list){
        .out = out, .column = fprintf(out, "%-*s", indent, label), .indent = indent, .empty = true};
}

static void list_add(struct list *list, const char *text) {
    int len = (int)strlen(text);
    if (!list->empty && list->column + 2 + len > WIDTH - 1) {
        fprintf(list->out, ",\n%*s", list->indent, "");
        list->column = list->indent;
    } else if (!list->empty) {
        list->column += fprintf(list->out, ", ");
    }
    list->column += fprintf(list->out, "%s", text);
    list->empty = false;
}

static void list_end(const struct list *list, const char *none) {
    fprintf(list->out, "%s\n", list->empty ? none : "");
}

static void list_addf(struct list *list, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void list_addf(struct list *list, const char *format, ...) {
    char text[WIDTH + NAME];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    list_add(list, text);
}

/* Counters of a map, each behind its number. */
static void list_counts(struct list *list, const struct kong_value *map,
                        const char *const (*counters)[2], size_t count) {
    for (size_t i = 0; i < count; i++) {
        list_addf(list, "%llu %s", count_at(map, counters[i][0]), counters[i][1]);
    }
}

/* --- the table --- */

/* A map, perhaps an empty one. */
static const struct kong_value *plugins_of(const struct kong_value *status) {
    static const struct kong_value none = {.type = KONG_MAP};
    const struct kong_value *plugins = at(status, "Plugins");
    return plugins->type == KONG_MAP ? plugins : &none;
}

static void print_head(const struct kong_value *status, FILE *out) {
    char figure[2][FIGURE];
    char text[2][NAME];
    const struct kong_value *plugins = plugins_of(status);
    const struct kong_value *connections = at(status, "Connections");
    const struct kong_value *bytes = at(status, "Bytes");
    for (size_t i = 0; i < plugins->map.count; i++) {
        const struct kong_value *version = at(&plugins->map.pairs[i].value, "Version");
        fprintf(out, "%s%s %s", i > 0 ? ", " : "",
                show_text(plugins->map.pairs[i].key, text[0], NAME),
                version->type == KONG_STRING ? show_text(version->string, text[1], NAME) : "");
    }
    fprintf(out, ", process %llu, up %s\n", count_at(status, "Pid"),
            show_age(seconds_at(status, "Uptime"), figure[0]));
    fprintf(out, "restarts:       %llu, after a crash\n", count_at(status, "Restarts"));
    fprintf(out, "connections:    %llu open, %llu opened, at most %llu; %s in, %s out\n",
            count_at(connections, "Open"), count_at(connections, "Opened"),
            count_at(connections, "Limit"), show_bytes(count_at(bytes, "In"), figure[0]),
            show_bytes(count_at(bytes, "Out"), figure[1]));
}

/* Nothing as long as no handler has asked for a thread. */
static void print_blocking(const struct kong_value *blocking, FILE *out) {
    static const char *const counters[][2] = {{"Running", "calls run"},
                                              {"Waiting", "wait"},
                                              {"Ran", "got a thread so far"},
                                              {"Withdrawn", "did not"}};
    char figure[FIGURE];
    if (count_at(blocking, "Threads") == 0) {
        return;
    }
    struct list list = list_begin(out, "blocking:", 16);
    list_addf(&list, "%llu threads of %llu", count_at(blocking, "Threads"),
              count_at(blocking, "Most"));
    list_counts(&list, blocking, counters, LENGTH(counters));
    list_addf(&list, "longest wait %s", show_latency(seconds_at(blocking, "LongestWait"), figure));
    list_end(&list, "");
}

static void print_jobs(const struct kong_value *status, const struct kong_value *plugin,
                       FILE *out) {
    const struct kong_value *jobs = at(plugin, "Jobs");
    double now = seconds_at(status, "StartTime") + seconds_at(status, "Uptime");
    if (jobs->type != KONG_MAP || jobs->map.count == 0) {
        return;
    }
    fprintf(out, "\n%-24s %10s %8s %8s %14s %9s %9s\n", "job", "every", "runs", "failed",
            "last run", "took", "longest");
    for (size_t i = 0; i < jobs->map.count; i++) {
        const struct kong_value *job = &jobs->map.pairs[i].value;
        const struct kong_value *running = at(job, "Running");
        bool runs = running->type == KONG_BOOLEAN && running->boolean;
        char name[25];
        char figure[6][FIGURE];
        fprintf(out, "%-24s %10s %8s %8s %14s %9s %9s\n",
                show_text(jobs->map.pairs[i].key, name, sizeof name),
                show_latency(seconds_at(job, "Interval"), figure[0]),
                show_count(count_at(job, "Runs"), figure[1]),
                show_count(count_at(job, "Failures"), figure[2]),
                runs ? "now" : show_age(now - seconds_at(job, "LastRun"), figure[3]),
                show_latency(seconds_at(job, "LastTook"), figure[4]),
                show_latency(seconds_at(job, "LongestTook"), figure[5]));
    }
}

static void print_limits(const struct kong_value *status, FILE *out) {
    const struct kong_value *limits = at(status, "Limits");
    struct list list = list_begin(out, "limits reached:", 16);
    for (size_t i = 0; limits->type == KONG_MAP && i < limits->map.count; i++) {
        char name[NAME];
        int64_t count = 0;
        value_to_integer(&limits->map.pairs[i].value, &count);
        if (count > 0) {
            list_addf(&list, "%s %lld times",
                      show_text(limits->map.pairs[i].key, name, sizeof name), (long long)count);
        }
    }
    list_end(&list, "none");
    if (count_at(status, "LogLinesLost") > 0) {
        fprintf(out, "log lines lost: %llu, because nobody read them in time\n",
                count_at(status, "LogLinesLost"));
    }
}

static void print_latency(const struct kong_value *latency, FILE *out) {
    static const char *const keys[] = {"P50", "P99", "Max"};
    char figure[FIGURE];
    for (size_t i = 0; i < 3; i++) {
        fprintf(out, " %8.8s", show_latency(seconds_at(latency, keys[i]), figure));
    }
    fputc('\n', out);
}

static void print_phases(const struct kong_value *phases, FILE *out) {
    static const char *const columns[][2] = {{"Started", "started"}, {"Running", "running"},
                                             {"Failed", "failed"},   {"TimedOut", "timeout"},
                                             {"Refused", "refused"}, {"Orphaned", "orphan"}};
    char name[NAME];
    char figure[FIGURE];
    if (phases->type != KONG_MAP || phases->map.count == 0) {
        fprintf(out, "\nno events yet\n");
        return;
    }
    fprintf(out, "\n%-14s", "phase");
    for (size_t k = 0; k < LENGTH(columns); k++) {
        fprintf(out, " %8s", columns[k][1]);
    }
    fprintf(out, " %8s %8s %8s\n", "p50", "p99", "max");
    for (size_t i = 0; i < phases->map.count; i++) {
        const struct kong_value *phase = &phases->map.pairs[i].value;
        fprintf(out, "%-14s", show_text(phases->map.pairs[i].key, name, 15));
        for (size_t k = 0; k < LENGTH(columns); k++) {
            fprintf(out, " %8s", show_count(count_at(phase, columns[k][0]), figure));
        }
        print_latency(at(phase, "Latency"), out);
    }
}

static void print_calls(const struct kong_value *calls, FILE *out) {
    char name[NAME];
    if (calls->type != KONG_MAP || calls->map.count == 0) {
        return;
    }
    fprintf(out, "\n%-40s %10s %8s %8s %8s\n", "answers of Kong", "count", "p50", "p99", "max");
    for (size_t i = 0; i < calls->map.count; i++) {
        const struct kong_value *call = &calls->map.pairs[i].value;
        char figure[FIGURE];
        fprintf(out, "%-40s %10s", show_text(calls->map.pairs[i].key, name, sizeof name),
                show_count(count_at(call, "Count"), figure));
        print_latency(call, out);
    }
}

static void print_plugins(const struct kong_value *status, FILE *out) {
    const struct kong_value *plugins = plugins_of(status);
    for (size_t i = 0; i < plugins->map.count; i++) {
        const struct kong_value *plugin = &plugins->map.pairs[i].value;
        char name[NAME];
        if (plugins->map.count > 1) {
            fprintf(out, "\n%s:\n", show_text(plugins->map.pairs[i].key, name, NAME));
        }
        print_phases(at(plugin, "Phases"), out);
        print_jobs(status, plugin, out);
        print_calls(at(plugin, "Calls"), out);
    }
}

/* One line of figures, and below it what the configuration is for. */
static void print_instance(const struct kong_value *instance, bool named, FILE *out) {
    static const char *const keys[][2] = {{"PluginName", "plugin"},
                                          {"Service", "service"},
                                          {"Route", "route"},
                                          {"Consumer", "consumer"},
                                          {"Name", "name"}};
    char figure[4][FIGURE];
    char text[WIDTH - 12 - 12];
    fprintf(out, "%11llu %12s %12s %10s %8s", count_at(instance, "Id"),
            show_age(seconds_at(instance, "Age"), figure[0]),
            show_age(seconds_at(instance, "Idle"), figure[1]),
            show_count(count_at(instance, "Events"), figure[2]),
            show_count(count_at(instance, "Failed"), figure[3]));
    fputc('\n', out);
    struct list list = list_begin(out, "", 12);
    for (size_t i = named ? 0 : 1; i < LENGTH(keys); i++) {
        const struct kong_value *value = at(instance, keys[i][0]);
        if (value->type == KONG_STRING) {
            list_addf(&list, "%s %s", keys[i][1], show_text(value->string, text, sizeof text));
        }
    }
    list_end(&list, "global");
    const struct kong_value *refused = at(instance, "Refused");
    if (refused->type == KONG_STRING) {
        char reason[512];
        fprintf(out, "%12srefused: %s\n", "", show_text(refused->string, reason, sizeof reason));
    }
}

static void print_instances(const struct kong_value *status, FILE *out) {
    static const char *const counters[][2] = {{"Live", "live"},
                                              {"Started", "started"},
                                              {"Refused", "of them with a refused configuration"},
                                              {"Closed", "closed by Kong"},
                                              {"Expired", "forgotten unused"},
                                              {"Unknown", "asked for that were not here"}};
    const struct kong_value *rows = at(status, "InstanceList");
    const struct kong_value *instances = at(status, "Instances");
    fputc('\n', out);
    struct list list = list_begin(out, "instances:", 16);
    list_counts(&list, instances, counters, LENGTH(counters));
    list_end(&list, "");
    if (rows->type != KONG_LIST || rows->list.count == 0) {
        return;
    }
    fprintf(out, "%11s %12s %12s %10s %8s\n", "id", "age", "last use", "events", "failed");
    for (size_t i = 0; i < rows->list.count; i++) {
        print_instance(&rows->list.items[i], plugins_of(status)->map.count > 1, out);
    }
    if (rows->list.count < count_at(instances, "Live")) {
        fprintf(out, "%11s and %llu more, used longer ago\n", "",
                count_at(instances, "Live") - rows->list.count);
    }
}

/* Nothing as long as no getter was spared a wait. */
static void print_answers(const struct kong_value *answers, FILE *out) {
    static const char *const counters[][2] = {{"Prefetched", "asked for ahead"},
                                              {"PrefetchUsed", "of them used"},
                                              {"Kept", "answered from memory"}};
    if (count_at(answers, "Prefetched") + count_at(answers, "Kept") == 0) {
        return;
    }
    struct list list = list_begin(out, "getters:", 16);
    list_counts(&list, answers, counters, LENGTH(counters));
    list_end(&list, "");
}

static void print_busy_poll(const struct kong_value *busy, FILE *out) {
    char figure[2][FIGURE];
    if (seconds_at(busy, "Spun") > 0) {
        fprintf(out, "busy poll:      %s without sleep, %s reads meanwhile\n",
                show_age(seconds_at(busy, "Spun"), figure[0]),
                show_count(count_at(busy, "Hits"), figure[1]));
    }
}

void status_table_print(const struct kong_value *status, FILE *out) {
    print_head(status, out);
    print_blocking(at(status, "Blocking"), out);
    print_answers(at(status, "Answers"), out);
    print_busy_poll(at(status, "BusyPoll"), out);
    print_limits(status, out);
    print_plugins(status, out);
    print_instances(status, out);
}
