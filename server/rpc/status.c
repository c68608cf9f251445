#include "status.h"

#include <assert.h>
#include <string.h>

/* A map under construction. */
struct map {
    struct kong_pair *pairs;
    size_t count, room;
};

struct builder {
    struct arena *arena;
    bool failed;
};

static struct map map_of(struct builder *builder, size_t room) {
    struct map map = {.pairs = arena_array(builder->arena, room, sizeof *map.pairs), .room = room};
    builder->failed = builder->failed || map.pairs == NULL;
    return map;
}

static void put(struct map *map, const char *key, struct kong_value value) {
    if (map->pairs != NULL) {
        assert(map->count < map->room);
        map->pairs[map->count++] = kong_pair(key, value);
    }
}

static void put_count(struct map *map, const char *key, uint64_t count) {
    put(map, key, kong_integer((int64_t)count));
}

/* Of an instance, which another thread may close before this is sent. */
static void put_copy(struct builder *builder, struct map *map, const char *key, const char *text) {
    if (text != NULL) {
        struct kong_str copy = arena_copy(builder->arena, text, strlen(text));
        builder->failed = builder->failed || copy.data == NULL;
        put(map, key, kong_bytes(copy.data, copy.data == NULL ? 0 : copy.len));
    }
}

static struct kong_value done(const struct map *map) {
    return kong_map(map->pairs, map->count);
}

static struct kong_value seconds(uint64_t ns) {
    return kong_number((double)ns / 1e9);
}

static struct kong_value latency(struct builder *builder, const struct stats_histogram *histogram) {
    struct map map = map_of(builder, 5);
    put_count(&map, "Count", histogram->count);
    put(&map, "P50", seconds(stats_percentile(histogram, 50)));
    put(&map, "P99", seconds(stats_percentile(histogram, 99)));
    put(&map, "Max", seconds(histogram->max));
    put(&map, "Mean", seconds(histogram->count == 0 ? 0 : histogram->sum / histogram->count));
    return done(&map);
}

static struct kong_value phases(struct builder *builder, const struct stats_plugin *stats) {
    struct map map = map_of(builder, KONG_PHASE_COUNT);
    for (unsigned i = 0; i < KONG_PHASE_COUNT; i++) {
        const struct stats_phase *phase = &stats->phases[i];
        if (phase->started == 0 && phase->refused == 0) {
            continue;
        }
        struct map one = map_of(builder, 7);
        put_count(&one, "Started", phase->started);
        put_count(&one, "Running", phase->running);
        put_count(&one, "Failed", phase->failed);
        put_count(&one, "TimedOut", phase->timed_out);
        put_count(&one, "Refused", phase->refused);
        put_count(&one, "Orphaned", phase->orphaned);
        put(&one, "Latency", latency(builder, &phase->latency));
        put(&map, kong_phase_name((enum kong_phase)i), done(&one));
    }
    return done(&map);
}

static struct kong_value calls(struct builder *builder, const struct stats_plugin *stats) {
    struct map map = map_of(builder, PDK_COUNT);
    for (unsigned i = 0; i < PDK_COUNT; i++) {
        if (stats->calls[i].count > 0) {
            put(&map, pdk_methods[i].name.data, latency(builder, &stats->calls[i]));
        }
    }
    return done(&map);
}

static struct kong_value limits(struct builder *builder, const struct stats *stats) {
    struct map map = map_of(builder, STATS_LIMIT_COUNT);
    for (unsigned i = 0; i < STATS_LIMIT_COUNT; i++) {
        put_count(&map, stats_limit_name((enum stats_limit)i), stats->limits[i]);
    }
    return done(&map);
}

static struct kong_value instance(struct builder *builder, const struct status_source *source,
                                  const struct instance *instance) {
    struct map map = map_of(builder, 12);
    put_count(&map, "Id", (uint64_t)instance->id);
    put(&map, "PluginName", kong_string(instance->plugin->what->name));
    double age = source->now - instance->started_at;
    put(&map, "Age", kong_number(age > 0 ? age : 0));
    uint64_t idle = source->now_ms > instance->used_ms ? source->now_ms - instance->used_ms : 0;
    put(&map, "Idle", kong_number((double)idle / 1e3));
    put_count(&map, "Events", instance->events);
    put_count(&map, "Failed", instance->failed);
    put_copy(builder, &map, "Service", instance->scope.service_id);
    put_copy(builder, &map, "Route", instance->scope.route_id);
    put_copy(builder, &map, "Consumer", instance->scope.consumer_id);
    put_copy(builder, &map, "Plugin", instance->scope.plugin_id);
    put_copy(builder, &map, "Name", instance->scope.instance_name);
    put_copy(builder, &map, "Refused", instance->failure);
    return done(&map);
}

static struct kong_value instance_list(struct builder *builder,
                                       const struct status_source *source) {
    size_t count = registry_count(source->registry);
    size_t at = 0;
    count = count > STATUS_INSTANCES ? STATUS_INSTANCES : count;
    struct kong_value *items = arena_array(builder->arena, count, sizeof *items);
    if (items == NULL) {
        builder->failed = true;
        return kong_nil();
    }
    for (const struct instance *i = registry_lock(source->registry); i != NULL && at < count;
         i = i->older) {
        items[at++] = instance(builder, source, i);
    }
    registry_unlock(source->registry);
    return kong_list(items, at);
}

static struct kong_value instances(struct builder *builder, const struct status_source *source) {
    struct map map = map_of(builder, 6);
    uint64_t started = 0, refused = 0, closed = 0, expired = 0;
    for (size_t i = 0; i < source->plugins->count; i++) {
        started += source->plugin_stats[i].instances_started;
        refused += source->plugin_stats[i].instances_refused;
        closed += source->plugin_stats[i].instances_closed;
        expired += stats_read(&source->plugins->list[i].expired);
    }
    put_count(&map, "Live", registry_count(source->registry));
    put_count(&map, "Started", started);
    put_count(&map, "Refused", refused);
    put_count(&map, "Closed", closed);
    put_count(&map, "Expired", expired);
    put_count(&map, "Unknown", source->stats->unknown_instances);
    return done(&map);
}

static struct kong_value connections(struct builder *builder, const struct status_source *source) {
    struct map map = map_of(builder, 3);
    put_count(&map, "Open", source->connections);
    put_count(&map, "Opened", source->stats->connections);
    put_count(&map, "Limit", source->max_connections);
    return done(&map);
}

static struct kong_value job(struct builder *builder, const struct kong_job *job,
                             const struct stats_job *stats) {
    struct map map = map_of(builder, 7);
    put(&map, "Interval", kong_number((double)job->interval_ms / 1e3));
    put(&map, "Running", kong_boolean(stats_read(&stats->running) != 0));
    put_count(&map, "Runs", stats_read(&stats->runs));
    put_count(&map, "Failures", stats_read(&stats->failures));
    put(&map, "LastRun", kong_number((double)stats_read(&stats->last_run_ms) / 1e3));
    put(&map, "LastTook", seconds(stats_read(&stats->last_ns)));
    put(&map, "LongestTook", seconds(stats_read(&stats->longest_ns)));
    return done(&map);
}

static struct kong_value jobs(struct builder *builder, const struct plugin *plugin) {
    const struct kong_job *all = plugin->what->jobs;
    struct map map = map_of(builder, KONG_JOBS_MOST);
    for (size_t i = 0; i < KONG_JOBS_MOST && all[i].name != NULL; i++) {
        put(&map, all[i].name, job(builder, &all[i], &plugin->jobs[i]));
    }
    return done(&map);
}

static struct kong_value blocking(struct builder *builder, const struct blocking_stats *stats) {
    struct map map = map_of(builder, 7);
    put_count(&map, "Threads", stats->threads);
    put_count(&map, "Most", stats->most);
    put_count(&map, "Running", stats->running);
    put_count(&map, "Waiting", stats->waiting);
    put_count(&map, "Ran", stats->ran);
    put_count(&map, "Withdrawn", stats->withdrawn);
    put(&map, "LongestWait", seconds(stats->longest_wait_ns));
    return done(&map);
}

static struct kong_value bytes(struct builder *builder, const struct stats *stats) {
    struct map map = map_of(builder, 2);
    put_count(&map, "In", stats->bytes_in);
    put_count(&map, "Out", stats->bytes_out);
    return done(&map);
}

static struct kong_value busy_poll(struct builder *builder, const struct stats *stats) {
    struct map map = map_of(builder, 2);
    put(&map, "Spun", seconds(stats->busy_ns));
    put_count(&map, "Hits", stats->busy_hits);
    return done(&map);
}

static struct kong_value answers(struct builder *builder, const struct stats *stats) {
    struct map map = map_of(builder, 3);
    put_count(&map, "Prefetched", stats->prefetched);
    put_count(&map, "PrefetchUsed", stats->prefetch_used);
    put_count(&map, "Kept", stats->answers_kept);
    return done(&map);
}

/* It begins as go-pdk's GetStatus has it. */
static struct kong_value plugin(struct builder *builder, const struct plugin *plugin,
                                const struct stats_plugin *stats) {
    struct stats_phase sum;
    struct map one = map_of(builder, 12);
    stats_sum(stats, &sum);
    put(&one, "Name", kong_string(plugin->what->name));
    put(&one, "Version", kong_string(plugin->what->version));
    put_count(&one, "Instances", stats_read(&plugin->instances));
    put_count(&one, "EventsStarted", sum.started);
    put_count(&one, "EventsRunning", sum.running);
    put_count(&one, "EventsFailed", sum.failed);
    put_count(&one, "EventsTimedOut", sum.timed_out);
    put_count(&one, "EventsRefused", sum.refused);
    put_count(&one, "EventsOrphaned", sum.orphaned);
    if (plugin->what->jobs[0].name != NULL) {
        put(&one, "Jobs", jobs(builder, plugin));
    }
    put(&one, "Phases", phases(builder, stats));
    put(&one, "Calls", calls(builder, stats));
    return done(&one);
}

static struct kong_value plugins(struct builder *builder, const struct status_source *source) {
    struct map map = map_of(builder, source->plugins->count);
    for (size_t i = 0; i < source->plugins->count; i++) {
        const struct plugin *one = &source->plugins->list[i];
        put(&map, one->what->name, plugin(builder, one, &source->plugin_stats[i]));
    }
    return done(&map);
}

bool status_build(const struct status_source *source, struct arena *arena,
                  struct kong_value *status) {
    struct builder builder = {.arena = arena};
    const struct stats *stats = source->stats;
    struct map map = map_of(&builder, 15);
    put_count(&map, "Pid", (uint64_t)source->pid);
    put(&map, "StartTime", kong_number(source->started_at));
    put(&map, "Uptime", kong_number(source->now - source->started_at));
    put_count(&map, "Restarts", source->restarts);
    put_count(&map, "Threads", source->threads);
    put(&map, "Plugins", plugins(&builder, source));
    put(&map, "Connections", connections(&builder, source));
    put(&map, "Blocking", blocking(&builder, &source->blocking));
    put(&map, "Bytes", bytes(&builder, stats));
    put(&map, "Answers", answers(&builder, stats));
    put(&map, "BusyPoll", busy_poll(&builder, stats));
    put(&map, "Limits", limits(&builder, stats));
    put_count(&map, "LogLinesLost", source->log == NULL ? 0 : log_dropped(source->log));
    put(&map, "Instances", instances(&builder, source));
    put(&map, "InstanceList", instance_list(&builder, source));
    *status = done(&map);
    return !builder.failed;
}
