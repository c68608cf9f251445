/* All that a server knows of itself, as one map: what plugin.GetStatus answers. */
#ifndef SERVER_STATUS_H
#define SERVER_STATUS_H

#include "arena.h"
#include "blocking_pool.h"
#include "log.h"
#include "registry.h"
#include "stats.h"

/* The instances that were used last are listed, and no more than so many. */
#define STATUS_INSTANCES 1000

struct status_source {
    const struct plugins *plugins;
    const struct stats *stats;               /* of all threads */
    const struct stats_plugin *plugin_stats; /* likewise, of each plugin */
    struct registry *registry;
    const struct log *log; /* may be NULL */
    size_t threads;
    uint32_t restarts;
    size_t connections, max_connections;
    int64_t pid;
    double started_at;              /* seconds since the epoch */
    double now;                     /* the same */
    struct blocking_stats blocking; /* threads for kong_run_blocking */
    uint64_t now_ms;                /* on the loop's clock, which the registry uses */
};

/* Pid, StartTime and Plugins.<name>.{Name, Version, Instances, Events…} are as go-pdk has them; the
 * rest is beside them. Of each plugin, in Plugins.<name>:
 *
 *   Jobs {<name>: {Interval (s), Running, Runs, Failures, LastRun (s since the epoch), LastTook,
 *     LongestTook (s)}} (left out where the plugin has none),
 *   Phases {<phase>: {Started, Running, Failed, TimedOut, Refused, Orphaned, Latency}},
 *   Calls {"kong.request.get_header": Latency}; Latency {Count, P50, P99, Max, Mean} in seconds.
 *
 * Of all together:
 *
 *   Uptime (s), Restarts (of a supervised server), Threads, Connections {Open, Opened, Limit},
 *   Blocking {Threads, Most, Running, Waiting, Ran, Withdrawn, LongestWait (s)}: kong_run_blocking,
 *   Bytes {In, Out}, Limits {<stats_limit_name>: times reached}, LogLinesLost,
 *   Instances {Live, Started, Refused, Closed, Expired, Unknown},
 *   InstanceList [{Id, PluginName, Age, Idle (s), Events, Failed, Service, Route, Consumer, Plugin,
 *     Name, Refused (text)}] (absent keys are left out).
 *
 * Phases and calls that were never used are left out. False when the arena has no memory. */
bool status_build(const struct status_source *source, struct arena *arena,
                  struct kong_value *status);

#endif
