#include "registry.h"

#include <assert.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "identity.h"

#define ID_MASK       0x7fffffffu
#define FIRST_BUCKETS 16u

/* An instance that is used moves to the end of the list, but only when its last move was this long
 * ago. Moving touches its neighbours: two cache misses, which each event would pay with many
 * instances. */
#define PLACE_MS 10000u

struct registry {
    struct registry_options options;
    pthread_mutex_t lock;      /* of all below, where several threads use it */
    struct instance **buckets; /* by the id's low bits: ids are spread evenly by their making */
    size_t bucket_count;       /* a power of two */
    size_t count;              /* listed */
    size_t starting;           /* not listed yet: being configured */
    size_t alive;              /* listed, or still used by an event */
    uint32_t last_id;
    uint32_t step; /* odd: last_id + step visits all 2^31 values before it repeats one */
    uint64_t ids_given;
    struct instance *oldest;
    struct instance *newest;
    struct recurrence ignored; /* keys of configurations */
};

struct registry *registry_create(const struct registry_options *options) {
    struct registry *registry = calloc(1, sizeof *registry);
    if (registry == NULL) {
        return NULL;
    }
    registry->buckets = calloc(FIRST_BUCKETS, sizeof *registry->buckets);
    if (registry->buckets == NULL) {
        free(registry);
        return NULL;
    }
    registry->options = *options;
    pthread_mutex_init(&registry->lock, NULL); /* default attributes: cannot fail on Linux */
    registry->bucket_count = FIRST_BUCKETS;
    registry->last_id = identity_random() & ID_MASK;
    registry->step = (identity_random() & ID_MASK) | 1;
    return registry;
}

static void lock(struct registry *registry) {
    if (registry->options.threads) {
        pthread_mutex_lock(&registry->lock);
    }
}

static void unlock(struct registry *registry) {
    if (registry->options.threads) {
        pthread_mutex_unlock(&registry->lock);
    }
}

static struct instance **bucket_of(struct registry *registry, int64_t id) {
    return &registry->buckets[(uint64_t)id & (registry->bucket_count - 1)];
}

static void use_list_remove(struct registry *registry, struct instance *instance) {
    *(instance->older != NULL ? &instance->older->newer : &registry->oldest) = instance->newer;
    *(instance->newer != NULL ? &instance->newer->older : &registry->newest) = instance->older;
}

static void use_list_append(struct registry *registry, struct instance *instance) {
    instance->older = registry->newest;
    instance->newer = NULL;
    instance->placed_ms = instance->used_ms;
    *(registry->newest != NULL ? &registry->newest->newer : &registry->oldest) = instance;
    registry->newest = instance;
}

/* Without the lock: `destroy` is the plugin's. */
static void discard(struct registry *registry, struct instance *instance) {
    int32_t id = instance->id;
    char error[256];
    const char *plugin = instance->plugin->what->name;
    if (instance_destroy(instance, error, sizeof error) != 0) {
        log_write_for(registry->options.log, plugin, LOG_LEVEL_ERROR, NULL,
                      "destroy of instance %d: %s", id, error);
    }
}

/* The instance, when it is for the caller to free: nobody refers to it any more. */
static struct instance *drop(struct registry *registry, struct instance *instance) {
    assert(instance->refs > 0);
    if (--instance->refs > 0) {
        return NULL;
    }
    registry->alive--;
    return instance;
}

/* As `drop`. */
static struct instance *unlist(struct registry *registry, struct instance *instance) {
    struct instance **link = bucket_of(registry, instance->id);
    while (*link != instance) {
        link = &(*link)->next_in_bucket;
    }
    *link = instance->next_in_bucket;
    use_list_remove(registry, instance);
    registry->count--;
    stats_uncount(&instance->plugin->instances);
    return drop(registry, instance);
}

void registry_destroy(struct registry *registry) {
    if (registry == NULL) {
        return;
    }
    while (registry->oldest != NULL) {
        struct instance *last = unlist(registry, registry->oldest);
        assert(last != NULL); /* no event uses it */
        discard(registry, last);
    }
    assert(registry->alive == 0);
    pthread_mutex_destroy(&registry->lock);
    free(registry->buckets);
    free(registry);
}

/* Without memory for more buckets the old ones serve on, slower. */
static void grow(struct registry *registry) {
    size_t count = registry->bucket_count * 2;
    struct instance **buckets = calloc(count, sizeof *buckets);
    if (buckets == NULL) {
        return;
    }
    free(registry->buckets);
    registry->buckets = buckets;
    registry->bucket_count = count;
    for (struct instance *i = registry->oldest; i != NULL; i = i->newer) {
        struct instance **bucket = bucket_of(registry, i->id);
        i->next_in_bucket = *bucket;
        *bucket = i;
    }
}

static bool next_id(struct registry *registry, int32_t *id) {
    do {
        if (registry->ids_given++ > ID_MASK) {
            return false; /* all 2^31 - 1 are used up */
        }
        registry->last_id = (registry->last_id + registry->step) & ID_MASK;
    } while (registry->last_id == 0);
    *id = (int32_t)registry->last_id;
    return true;
}

/* Room for one more, and its id. What gives way for it is *victim, for the caller to free. */
static int reserve(struct registry *registry, int32_t *id, struct instance **victim, char *error,
                   size_t error_size) {
    size_t most = registry->options.max_instances;
    if (registry->count + registry->starting >= most) {
        if (registry->options.stats != NULL) {
            stats_count(&registry->options.stats->limits[STATS_LIMIT_INSTANCES], 1);
        }
        struct instance *oldest = registry->oldest;
        while (oldest != NULL && oldest->refs > 1) {
            oldest = oldest->newer;
        }
        if (oldest == NULL) {
            snprintf(error, error_size, "%zu instances, limit %zu, all in use",
                     registry->count + registry->starting, most);
            return -1;
        }
        *victim = unlist(registry, oldest);
    }
    if (!next_id(registry, id)) {
        snprintf(error, error_size, "no memory for an instance");
        return -1;
    }
    registry->starting++;
    registry->alive++;
    return 0;
}

/* Into the list, with a reference for the list and one for the caller. */
static void enlist(struct registry *registry, struct instance *instance) {
    if (registry->count >= registry->bucket_count) {
        grow(registry);
    }
    instance->refs = 2;
    struct instance **bucket = bucket_of(registry, instance->id);
    instance->next_in_bucket = *bucket;
    *bucket = instance;
    use_list_append(registry, instance);
    registry->count++;
    stats_count(&instance->plugin->instances, 1);
    registry->starting--;
}

/* Kong has checked the configuration, so an unknown key is one of Kong's own, perhaps of a later
 * version. Logged at most once a minute. */
static void report_ignored(struct registry *registry, const struct instance_source *source) {
    uint64_t times;
    lock(registry);
    bool due = recurrence_due(&registry->ignored, clock_ns(), NOTICE_EVERY_NS, &times);
    unlock(registry);
    if (due) {
        log_write_for(
            registry->options.log, source->plugin->what->name, LOG_LEVEL_WARN, NULL,
            "a configuration has %zu key%s that neither the schema nor this server knows, the "
            "first is \"%s\": ignored",
            source->ignored_count, source->ignored_count == 1 ? "" : "s", source->ignored);
    }
}

static struct instance *make(struct registry *registry, struct instance_source *source, int32_t id,
                             uint64_t now_ms, char *error, size_t error_size) {
    struct instance *instance = instance_create(source, error, error_size);
    if (instance != NULL) {
        instance->id = id;
        instance->used_ms = now_ms;
    }
    if (source->ignored_count > 0) {
        report_ignored(registry, source);
    }
    return instance;
}

int registry_start(struct registry *registry, struct plugin *plugin, struct kong_str config,
                   const struct instance_refusal *refusal, uint64_t now_ms, struct instance **out,
                   char *error, size_t error_size) {
    struct instance *victim = NULL;
    int32_t id;
    lock(registry);
    int rc = reserve(registry, &id, &victim, error, error_size);
    unlock(registry);
    if (victim != NULL) {
        log_write(registry->options.log, LOG_LEVEL_WARN,
                  "instance %d forgotten: %zu instances, limit %zu", victim->id,
                  registry->options.max_instances, registry->options.max_instances);
        discard(registry, victim);
    }
    if (rc != 0) {
        return -1;
    }
    struct instance_source source = {
        .plugin = plugin, .config = config, .max_config = registry->options.max_config};
    if (refusal != NULL) {
        source.refusal = *refusal;
    }
    struct instance *instance = make(registry, &source, id, now_ms, error, error_size);
    lock(registry);
    if (instance != NULL) {
        enlist(registry, instance);
    } else {
        registry->starting--;
        registry->alive--;
    }
    unlock(registry);
    *out = instance;
    return instance != NULL ? 0 : -1;
}

static struct instance *find(struct registry *registry, int64_t id) {
    struct instance *instance = *bucket_of(registry, id);
    while (instance != NULL && instance->id != id) {
        instance = instance->next_in_bucket;
    }
    return instance;
}

struct instance *registry_ref(struct registry *registry, int64_t id) {
    lock(registry);
    struct instance *instance = find(registry, id);
    if (instance != NULL) {
        instance->refs++;
    }
    unlock(registry);
    return instance;
}

/* Each thread has its own idea of now, by some ms. */
static void mark_used(struct registry *registry, struct instance *instance, uint64_t now_ms) {
    instance->events++;
    if (now_ms <= instance->used_ms) {
        return;
    }
    instance->used_ms = now_ms;
    if (now_ms - instance->placed_ms >= PLACE_MS) {
        use_list_remove(registry, instance);
        use_list_append(registry, instance);
    }
}

static inline struct instance *acquire(struct registry *registry, int64_t id, uint64_t now_ms) {
    struct instance *instance = find(registry, id);
    if (instance != NULL) {
        instance->refs++;
        mark_used(registry, instance, now_ms);
    }
    return instance;
}

/* Two functions, with and without the lock: each event comes here, and with one thread no lock is
 * needed. */
static __attribute__((noinline)) struct instance *acquire_locked(struct registry *registry,
                                                                 int64_t id, uint64_t now_ms) {
    lock(registry);
    struct instance *instance = acquire(registry, id, now_ms);
    unlock(registry);
    return instance;
}

struct instance *registry_use(struct registry *registry, int64_t id, uint64_t now_ms) {
    return registry->options.threads ? acquire_locked(registry, id, now_ms)
                                     : acquire(registry, id, now_ms);
}

static __attribute__((noinline)) void release_locked(struct registry *registry,
                                                     struct instance *instance) {
    lock(registry);
    struct instance *last = drop(registry, instance);
    unlock(registry);
    if (last != NULL) {
        discard(registry, last);
    }
}

void registry_release(struct registry *registry, struct instance *instance) {
    if (registry->options.threads) {
        release_locked(registry, instance);
    } else if (drop(registry, instance) != NULL) {
        discard(registry, instance);
    }
}

bool registry_failed(struct registry *registry, struct instance *instance, uint64_t now_ns,
                     uint64_t *times) {
    lock(registry);
    instance->failed++;
    bool due = recurrence_due(&instance->failures, now_ns, NOTICE_EVERY_NS, times);
    unlock(registry);
    return due;
}

bool registry_close(struct registry *registry, int64_t id) {
    lock(registry);
    struct instance *instance = find(registry, id);
    struct instance *last = instance == NULL ? NULL : unlist(registry, instance);
    unlock(registry);
    if (last != NULL) {
        discard(registry, last);
    }
    return instance != NULL;
}

static bool is_idle(const struct registry *registry, uint64_t since_ms, uint64_t now_ms) {
    return now_ms >= since_ms && now_ms - since_ms >= registry->options.idle_ms;
}

size_t registry_expire(struct registry *registry, uint64_t now_ms) {
    if (registry->options.idle_ms == 0) {
        return 0;
    }
    size_t expired = 0;
    struct instance *gone = NULL; /* linked by `older` */
    lock(registry);
    struct instance *instance = registry->oldest;
    while (instance != NULL && is_idle(registry, instance->placed_ms, now_ms)) {
        struct instance *newer = instance->newer;
        if (instance->refs == 1 && is_idle(registry, instance->used_ms, now_ms)) {
            unlist(registry, instance);
            stats_count(&instance->plugin->expired, 1);
            instance->older = gone;
            gone = instance;
            expired++;
        }
        instance = newer;
    }
    unlock(registry);
    while (gone != NULL) {
        struct instance *next = gone->older;
        discard(registry, gone);
        gone = next;
    }
    return expired;
}

size_t registry_count(struct registry *registry) {
    lock(registry);
    size_t count = registry->count;
    unlock(registry);
    return count;
}

const struct instance *registry_lock(struct registry *registry) {
    lock(registry);
    return registry->newest;
}

void registry_unlock(struct registry *registry) {
    unlock(registry);
}
