#include "registry.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "limit.h"
#include "protocol.h"
#include "schema.h"

#define ID_MASK       0x7fffffffu
#define FIRST_BUCKETS 16u

/* An instance that is used moves to the end of the list when it was last moved so long ago. Moving
 * touches its neighbours: two cache misses that an event among many instances would pay each time.
 */
#define PLACE_MS 10000u

struct registry {
    struct registry_options options;
    struct instance **buckets; /* by the id's low bits: ids are spread evenly by their making */
    size_t bucket_count;       /* a power of two */
    size_t count;              /* listed */
    size_t alive;              /* listed, or still used by an event */
    uint32_t last_id;
    uint32_t step; /* odd: last_id + step visits all 2^31 values before it repeats one */
    uint64_t ids_given;
    struct instance *oldest;
    struct instance *newest;
};

static uint32_t random_u32(void) {
    uint32_t value;
    if (getrandom(&value, sizeof value, GRND_NONBLOCK) == (ssize_t)sizeof value) {
        return value;
    }
    /* Early at boot, or a kernel without it: uniqueness within the process does not depend on it.
     */
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (uint32_t)now.tv_nsec * 2654435761u ^ (uint32_t)now.tv_sec ^ (uint32_t)getpid() << 16;
}

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
    registry->bucket_count = FIRST_BUCKETS;
    registry->last_id = random_u32() & ID_MASK;
    registry->step = (random_u32() & ID_MASK) | 1;
    return registry;
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

static void instance_free(struct registry *registry, struct instance *instance) {
    if (instance->failure == NULL && registry->options.plugin->destroy != NULL) {
        registry->options.plugin->destroy(instance->config, instance->state);
    }
    arena_free(&instance->arena);
    free(instance);
    registry->alive--;
}

static void unlist(struct registry *registry, struct instance *instance) {
    struct instance **link = bucket_of(registry, instance->id);
    while (*link != instance) {
        link = &(*link)->next_in_bucket;
    }
    *link = instance->next_in_bucket;
    use_list_remove(registry, instance);
    instance->listed = false;
    registry->count--;
    registry_release(registry, instance);
}

void registry_destroy(struct registry *registry) {
    if (registry == NULL) {
        return;
    }
    while (registry->oldest != NULL) {
        unlist(registry, registry->oldest);
    }
    assert(registry->alive == 0);
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

/* The texts of all violations in one line. */
static const char *join_report(struct arena *arena, const struct schema_report *report) {
    size_t len = 0;
    for (size_t i = 0; i < report->count; i++) {
        len += strlen(report->lines[i]) + 2;
    }
    char *text = arena_alloc(arena, len + 1);
    if (text == NULL) {
        return "configuration refused";
    }
    size_t at = 0;
    for (size_t i = 0; i < report->count; i++) {
        size_t piece = strlen(report->lines[i]);
        memcpy(text + at, report->lines[i], piece);
        at += piece;
        if (i + 1 < report->count) {
            memcpy(text + at, "; ", 2);
            at += 2;
        }
    }
    text[at] = '\0';
    return text;
}

/* Fills config and state, or failure. -1 when out of memory. */
static int configure(struct registry *registry, struct instance *instance, struct kong_str config) {
    const struct kong_plugin *plugin = registry->options.plugin;
    struct schema_report report = {0};
    int rc = schema_decode(plugin->schema, config, &instance->arena, &instance->config, &report);
    if (rc < 0) {
        return -1;
    }
    if (rc > 0) {
        instance->failure = join_report(&instance->arena, &report);
        return 0;
    }
    if (plugin->configure == NULL) {
        return 0;
    }
    char text[256] = "";
    if (plugin->configure(instance->config, &instance->state, text, sizeof text) != 0) {
        text[sizeof text - 1] = '\0';
        const char *why = text[0] != '\0' ? text : "configure failed";
        instance->failure = arena_copy(&instance->arena, why, strlen(why)).data;
        if (instance->failure == NULL) {
            instance->failure = "configure failed";
        }
    }
    return 0;
}

int registry_start(struct registry *registry, struct kong_str config, uint64_t now_ms,
                   struct instance **out, char *error, size_t error_size) {
    if (registry->count >= registry->options.max_instances) {
        if (registry->options.stats != NULL) {
            registry->options.stats->limits[STATS_LIMIT_INSTANCES]++;
        }
        struct instance *victim = registry->oldest;
        while (victim != NULL && victim->refs > 1) {
            victim = victim->newer;
        }
        if (victim == NULL) {
            snprintf(error, error_size, "%zu instances, limit %zu, all in use", registry->count,
                     registry->options.max_instances);
            return -1;
        }
        log_write(registry->options.log, LOG_LEVEL_WARN,
                  "instance %d forgotten: %zu instances, limit %zu", victim->id, registry->count,
                  registry->options.max_instances);
        unlist(registry, victim);
    }
    if (registry->count >= registry->bucket_count) {
        grow(registry);
    }
    struct instance *instance = calloc(1, sizeof *instance);
    if (instance == NULL || !next_id(registry, &instance->id)) {
        free(instance);
        snprintf(error, error_size, "no memory for an instance");
        return -1;
    }
    registry->alive++;
    arena_init_small(&instance->arena, LIMIT_EVENT_MEMORY);
    if (configure(registry, instance, config) != 0) {
        arena_free(&instance->arena);
        free(instance);
        registry->alive--;
        snprintf(error, error_size, "no memory for an instance's configuration");
        return -1;
    }
    char excess[80];
    if (schema_find_excess(config, excess, sizeof excess) == NULL) {
        scope_read(&instance->scope, config, &instance->arena);
    }
    struct timeval now;
    gettimeofday(&now, NULL);
    instance->started_at = (double)now.tv_sec + (double)now.tv_usec / 1e6;
    instance->used_ms = now_ms;
    instance->refs = 1;
    instance->listed = true;
    struct instance **bucket = bucket_of(registry, instance->id);
    instance->next_in_bucket = *bucket;
    *bucket = instance;
    use_list_append(registry, instance);
    registry->count++;
    *out = instance;
    return 0;
}

struct instance *registry_find(struct registry *registry, int64_t id) {
    struct instance *instance = *bucket_of(registry, id);
    while (instance != NULL && instance->id != id) {
        instance = instance->next_in_bucket;
    }
    return instance;
}

struct instance *registry_acquire(struct registry *registry, int64_t id, uint64_t now_ms) {
    struct instance *instance = registry_find(registry, id);
    if (instance == NULL) {
        return NULL;
    }
    instance->refs++;
    instance->events++;
    instance->used_ms = now_ms;
    if (now_ms - instance->placed_ms >= PLACE_MS) {
        use_list_remove(registry, instance);
        use_list_append(registry, instance);
    }
    return instance;
}

void registry_release(struct registry *registry, struct instance *instance) {
    assert(instance->refs > 0);
    if (--instance->refs == 0) {
        instance_free(registry, instance);
    }
}

bool registry_close(struct registry *registry, int64_t id) {
    struct instance *instance = registry_find(registry, id);
    if (instance == NULL) {
        return false;
    }
    unlist(registry, instance);
    return true;
}

static bool is_idle(const struct registry *registry, uint64_t since_ms, uint64_t now_ms) {
    return now_ms >= since_ms && now_ms - since_ms >= registry->options.idle_ms;
}

size_t registry_expire(struct registry *registry, uint64_t now_ms) {
    if (registry->options.idle_ms == 0) {
        return 0;
    }
    size_t expired = 0;
    struct instance *instance = registry->oldest;
    while (instance != NULL && is_idle(registry, instance->placed_ms, now_ms)) {
        struct instance *newer = instance->newer;
        if (instance->refs == 1 && is_idle(registry, instance->used_ms, now_ms)) {
            unlist(registry, instance);
            expired++;
        }
        instance = newer;
    }
    return expired;
}

size_t registry_count(const struct registry *registry) {
    return registry->count;
}

const struct instance *registry_newest(const struct registry *registry) {
    return registry->newest;
}
