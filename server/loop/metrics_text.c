#include "metrics_text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define PREFIX "kong_plugin_server_"

/* Buckets end at powers of two, where those of the histogram do: exact counts. In ns: 1 us to 69 s,
 * by fours. */
#define FIRST_BITS 10u
#define LAST_BITS  36u
#define STEP_BITS  2u

/* Figures of the process have the label `plugin` where it has only one: of several, such a figure
 * belongs to none. */
struct writer {
    struct buffer *out;
    char label[96]; /* "plugin=\"NAME\"", or "" */
};

__attribute__((format(printf, 2, 3))) static void print(const struct writer *writer,
                                                        const char *format, ...) {
    char line[512];
    va_list args;
    va_start(args, format);
    int len = vsnprintf(line, sizeof line, format, args);
    va_end(args);
    if (len > 0) {
        buffer_append(writer->out, line, (size_t)len < sizeof line ? (size_t)len : sizeof line - 1);
    }
}

static void head(const struct writer *writer, const char *name, const char *type,
                 const char *help) {
    print(writer, "# HELP " PREFIX "%s %s\n# TYPE " PREFIX "%s %s\n", name, help, name, type);
}

static void one(const struct writer *writer, const char *name, const char *type, const char *help,
                uint64_t value) {
    head(writer, name, type, help);
    print(writer, PREFIX "%s{%s} %llu\n", name, writer->label, (unsigned long long)value);
}

/* A counter at `offset` in each of the plugins' elements of an array. */
static void by_plugin(const struct writer *writer, const struct status_source *source,
                      const char *name, const char *type, const char *help, const void *array,
                      size_t size, size_t offset) {
    head(writer, name, type, help);
    for (size_t i = 0; i < source->plugins->count; i++) {
        const char *counter = (const char *)array + i * size + offset;
        print(writer, PREFIX "%s{plugin=\"%s\"} %llu\n", name, source->plugins->list[i].what->name,
              (unsigned long long)stats_read((const uint64_t *)(const void *)counter));
    }
}

/* Memory in bytes, the second field of statm; 0: the kernel does not tell. */
static uint64_t resident(void) {
    char line[128] = "";
    FILE *file = fopen("/proc/self/statm", "re");
    if (file == NULL) {
        return 0;
    }
    const char *field = fgets(line, sizeof line, file) == NULL ? NULL : strchr(line, ' ');
    fclose(file);
    long page = sysconf(_SC_PAGESIZE);
    return field == NULL || page < 0 ? 0 : strtoull(field, NULL, 10) * (uint64_t)page;
}

static double seconds(struct timeval time) {
    return (double)time.tv_sec + (double)time.tv_usec / 1e6;
}

static void resources(const struct writer *writer) {
    struct rusage usage;
    uint64_t bytes = resident();
    if (bytes > 0) {
        one(writer, "resident_memory_bytes", "gauge", "Memory of the serving process.", bytes);
    }
    if (getrusage(RUSAGE_SELF, &usage) == 0) {
        head(writer, "cpu_seconds_total", "counter", "Time of the processors, user and system.");
        print(writer, PREFIX "cpu_seconds_total{%s} %.6f\n", writer->label,
              seconds(usage.ru_utime) + seconds(usage.ru_stime));
    }
}

static void process(const struct writer *writer, const struct status_source *source) {
    head(writer, "info", "gauge", "Always 1; the version is in its label.");
    for (size_t i = 0; i < source->plugins->count; i++) {
        const struct kong_plugin *plugin = source->plugins->list[i].what;
        print(writer, PREFIX "info{plugin=\"%s\",version=\"%s\"} 1\n", plugin->name,
              plugin->version);
    }
    head(writer, "start_time_seconds", "gauge", "When the process started, since the epoch.");
    print(writer, PREFIX "start_time_seconds{%s} %.3f\n", writer->label, source->started_at);
    one(writer, "restarts_total", "counter",
        "Starts of the serving process because the one before died.", source->restarts);
    one(writer, "threads", "gauge", "Threads that run handlers.", source->threads);
    one(writer, "log_lines_lost_total", "counter", "Log lines that nobody read in time.",
        source->log == NULL ? 0 : log_dropped(source->log));
    resources(writer);
}

static void job_figure(const struct writer *writer, const struct status_source *source,
                       const char *name, const char *type, const char *help, double unit,
                       size_t offset) {
    head(writer, name, type, help);
    for (size_t k = 0; k < source->plugins->count; k++) {
        const struct plugin *plugin = &source->plugins->list[k];
        const struct kong_job *all = plugin->what->jobs;
        for (size_t i = 0; i < KONG_JOBS_MOST && all[i].name != NULL; i++) {
            const char *stats = (const char *)&plugin->jobs[i];
            print(writer, PREFIX "%s{plugin=\"%s\",job=\"%s\"} %.13g\n", name, plugin->what->name,
                  all[i].name, (double)stats_read((const uint64_t *)(stats + offset)) / unit);
        }
    }
}

static void jobs(const struct writer *writer, const struct status_source *source) {
    bool any = false;
    for (size_t i = 0; i < source->plugins->count; i++) {
        any = any || source->plugins->list[i].what->jobs[0].name != NULL;
    }
    if (!any) {
        return;
    }
    job_figure(writer, source, "job_runs_total", "counter", "Runs of a background job.", 1,
               offsetof(struct stats_job, runs));
    job_figure(writer, source, "job_failures_total", "counter",
               "Of them, those that failed, or could not start.", 1,
               offsetof(struct stats_job, failures));
    job_figure(writer, source, "job_running", "gauge", "1 while it runs.", 1,
               offsetof(struct stats_job, running));
    job_figure(writer, source, "job_last_run_timestamp_seconds", "gauge",
               "When the last run started, since the epoch.", 1e3,
               offsetof(struct stats_job, last_run_ms));
    job_figure(writer, source, "job_last_duration_seconds", "gauge",
               "How long the last run took that ended.", 1e9, offsetof(struct stats_job, last_ns));
}

static void blocking(const struct writer *writer, const struct blocking_stats *stats) {
    one(writer, "blocking_threads", "gauge", "Threads for kong_run_blocking that are there.",
        stats->threads);
    one(writer, "blocking_threads_most", "gauge", "Threads for kong_run_blocking at most.",
        stats->most);
    one(writer, "blocking_running", "gauge", "Calls of kong_run_blocking that run.",
        stats->running);
    one(writer, "blocking_waiting", "gauge", "Calls of kong_run_blocking that wait for a thread.",
        stats->waiting);
    one(writer, "blocking_calls_total", "counter", "Calls of kong_run_blocking that got a thread.",
        stats->ran);
    one(writer, "blocking_withdrawn_total", "counter",
        "Calls of kong_run_blocking that got no thread in time.", stats->withdrawn);
    head(writer, "blocking_longest_wait_seconds", "gauge",
         "The longest that a call of kong_run_blocking waited for a thread.");
    print(writer, PREFIX "blocking_longest_wait_seconds{%s} %.9g\n", writer->label,
          (double)stats->longest_wait_ns / 1e9);
}

static void traffic(const struct writer *writer, const struct status_source *source) {
    const struct stats *stats = source->stats;
    one(writer, "connections", "gauge", "Open connections.", source->connections);
    one(writer, "connections_opened_total", "counter", "Connections ever opened.",
        stats->connections);
    one(writer, "received_bytes_total", "counter", "Bytes from Kong.", stats->bytes_in);
    one(writer, "sent_bytes_total", "counter", "Bytes to Kong.", stats->bytes_out);
    head(writer, "busy_poll_seconds_total", "counter",
         "Time in which the loop did not sleep (--busy-poll).");
    print(writer, PREFIX "busy_poll_seconds_total{%s} %.9g\n", writer->label,
          (double)stats->busy_ns / 1e9);
    one(writer, "busy_poll_hits_total", "counter", "Reads that came meanwhile.", stats->busy_hits);
    one(writer, "prefetched_total", "counter", "Getters asked for before the handler did.",
        stats->prefetched);
    one(writer, "prefetch_used_total", "counter", "Of them, those that the handler asked for.",
        stats->prefetch_used);
    one(writer, "answers_kept_total", "counter", "Getters answered from memory.",
        stats->answers_kept);
    head(writer, "limit_reached_total", "counter", "How often a limit of the server was reached.");
    for (unsigned i = 0; i < STATS_LIMIT_COUNT; i++) {
        print(writer, PREFIX "limit_reached_total{%s%slimit=\"%s\"} %llu\n", writer->label,
              writer->label[0] != '\0' ? "," : "", stats_limit_name((enum stats_limit)i),
              (unsigned long long)stats->limits[i]);
    }
}

static void instances(const struct writer *writer, const struct status_source *source) {
    const struct stats_plugin *stats = source->plugin_stats;
    const struct plugin *plugins = source->plugins->list;
    by_plugin(writer, source, "instances", "gauge",
              "Live instances: configurations times workers of Kong.", plugins, sizeof *plugins,
              offsetof(struct plugin, instances));
    by_plugin(writer, source, "instances_started_total", "counter", "Instances that Kong started.",
              stats, sizeof *stats, offsetof(struct stats_plugin, instances_started));
    by_plugin(writer, source, "instances_refused_total", "counter",
              "Of them, those whose configuration was refused.", stats, sizeof *stats,
              offsetof(struct stats_plugin, instances_refused));
    by_plugin(writer, source, "instances_closed_total", "counter", "Instances that Kong closed.",
              stats, sizeof *stats, offsetof(struct stats_plugin, instances_closed));
    by_plugin(writer, source, "instances_expired_total", "counter",
              "Instances forgotten because unused.", plugins, sizeof *plugins,
              offsetof(struct plugin, expired));
    one(writer, "unknown_instance_events_total", "counter",
        "Events for an instance that is not here: Kong starts it again.",
        source->stats->unknown_instances);
}

static void by_phase(const struct writer *writer, const struct status_source *source,
                     const char *name, const char *type, const char *help, size_t offset) {
    head(writer, name, type, help);
    for (size_t k = 0; k < source->plugins->count; k++) {
        for (unsigned i = 0; i < KONG_PHASE_COUNT; i++) {
            const struct stats_phase *phase = &source->plugin_stats[k].phases[i];
            if (phase->started > 0 || phase->refused > 0) {
                print(writer, PREFIX "%s{plugin=\"%s\",phase=\"%s\"} %llu\n", name,
                      source->plugins->list[k].what->name, kong_phase_name((enum kong_phase)i),
                      (unsigned long long)*(const uint64_t *)((const char *)phase + offset));
            }
        }
    }
}

/* What is measured: of which plugin, and which phase or call. */
struct measured {
    const char *name, *plugin, *label, *value;
};

static void histogram(const struct writer *writer, const struct measured *of,
                      const struct stats_histogram *h) {
    char labels[256];
    if (h->count == 0) {
        return;
    }
    snprintf(labels, sizeof labels, "plugin=\"%s\",%s=\"%s\"", of->plugin, of->label, of->value);
    for (unsigned bits = FIRST_BITS; bits <= LAST_BITS; bits += STEP_BITS) {
        print(writer, PREFIX "%s_bucket{%s,le=\"%.9g\"} %llu\n", of->name, labels,
              (double)((uint64_t)1 << bits) / 1e9, (unsigned long long)stats_below(h, bits));
    }
    print(writer, PREFIX "%s_bucket{%s,le=\"+Inf\"} %llu\n", of->name, labels,
          (unsigned long long)h->count);
    print(writer, PREFIX "%s_sum{%s} %.9g\n", of->name, labels, (double)h->sum / 1e9);
    print(writer, PREFIX "%s_count{%s} %llu\n", of->name, labels, (unsigned long long)h->count);
}

static void durations(const struct writer *writer, const struct status_source *source) {
    struct measured of = {.name = "event_duration_seconds", .label = "phase"};
    head(writer, of.name, "histogram", "From Kong's request to the end of the handler.");
    for (size_t k = 0; k < source->plugins->count; k++) {
        of.plugin = source->plugins->list[k].what->name;
        for (unsigned i = 0; i < KONG_PHASE_COUNT; i++) {
            of.value = kong_phase_name((enum kong_phase)i);
            histogram(writer, &of, &source->plugin_stats[k].phases[i].latency);
        }
    }
    of = (struct measured){.name = "pdk_call_duration_seconds", .label = "call"};
    head(writer, of.name, "histogram", "From a call of the PDK that waits to Kong's answer.");
    for (size_t k = 0; k < source->plugins->count; k++) {
        of.plugin = source->plugins->list[k].what->name;
        for (unsigned i = 0; i < PDK_COUNT; i++) {
            of.value = pdk_methods[i].name.data;
            histogram(writer, &of, &source->plugin_stats[k].calls[i]);
        }
    }
}

static void events(const struct writer *writer, const struct status_source *source) {
    by_phase(writer, source, "events_started_total", "counter", "Events started.",
             offsetof(struct stats_phase, started));
    by_phase(writer, source, "events_running", "gauge", "Events at work.",
             offsetof(struct stats_phase, running));
    by_phase(writer, source, "events_failed_total", "counter", "Events whose handler failed.",
             offsetof(struct stats_phase, failed));
    by_phase(writer, source, "events_timed_out_total", "counter",
             "Of them, those that ran out of time.", offsetof(struct stats_phase, timed_out));
    by_phase(writer, source, "events_refused_total", "counter", "Events that could not start.",
             offsetof(struct stats_phase, refused));
    by_phase(writer, source, "events_orphaned_total", "counter",
             "Events whose request was over before their handler.",
             offsetof(struct stats_phase, orphaned));
    durations(writer, source);
}

void metrics_text(const struct status_source *source, struct buffer *out) {
    struct writer writer = {.out = out};
    if (source->plugins->count == 1) {
        snprintf(writer.label, sizeof writer.label, "plugin=\"%s\"", source->plugins->name);
    }
    process(&writer, source);
    traffic(&writer, source);
    instances(&writer, source);
    blocking(&writer, &source->blocking);
    jobs(&writer, source);
    events(&writer, source);
}
