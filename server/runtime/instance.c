#include "instance.h"

#include <stdio.h>
#include <stdlib.h>

#include "hooks.h"
#include "identity.h"
#include "limit.h"
#include "printable.h"
#include "schema.h"

#define FAILURE_SIZE ((size_t)2 << 10)

/* Frees what was decoded: the instance will not be used. */
static void refuse(struct instance *instance, const char *why) {
    arena_free(&instance->arena);
    instance->config = NULL;
    struct kong_str copy = arena_copy(&instance->arena, why, strlen(why));
    instance->failure = copy.data != NULL ? copy.data : "configuration refused";
}

/* The texts of all violations in one line, cut. */
static void refuse_violations(struct instance *instance, const struct schema_result *result) {
    char text[FAILURE_SIZE];
    size_t len = 0;
    for (size_t i = 0; i < result->count && sizeof text - len > 64; i++) {
        len += i == 0 ? 0 : printable_copy(text + len, sizeof text - len, "; ", 2);
        len += printable_copy(text + len, sizeof text - len, result->lines[i],
                              strlen(result->lines[i]));
    }
    refuse(instance, text);
}

static void configure(struct instance *instance, const struct instance_source *source) {
    char text[256];
    if (hooks_configure(source->plugin->what, instance->config, source->plugin->data,
                        &instance->state, text, sizeof text) != 0) {
        refuse(instance, text);
    }
}

/* Fills config, state and scope, or failure. -1 when out of memory. */
static int decode(struct instance *instance, struct instance_source *source) {
    struct schema_result result;
    if (source->max_config != 0 && source->config.len > source->max_config) {
        char text[128];
        snprintf(text, sizeof text, "config: %zu bytes, limit %zu (--max-config)",
                 source->config.len, source->max_config);
        refuse(instance, text);
        return 0;
    }
    if (source->refusal.why != NULL) {
        refuse(instance, source->refusal.why);
        instance->failed_until_ms = source->refusal.until_ms;
        return 0;
    }
    int rc = schema_decode(source->plugin->what->schema, source->config, SCHEMA_FROM_KONG,
                           &instance->arena, &result);
    if (rc < 0) {
        return -1;
    }
    instance->config = result.config;
    if (rc > 0) {
        refuse_violations(instance, &result);
    } else {
        configure(instance, source);
    }
    scope_read(&instance->scope, result.tree, &instance->arena);
    source->ignored_count = result.ignored_count;
    if (result.ignored != NULL) {
        printable_copy(source->ignored, sizeof source->ignored, result.ignored,
                       strlen(result.ignored));
    }
    json_decref(result.tree);
    return 0;
}

struct instance *instance_create(struct instance_source *source, char *error, size_t error_size) {
    struct instance *instance = calloc(1, sizeof *instance);
    if (instance == NULL) {
        snprintf(error, error_size, "no memory for an instance");
        return NULL;
    }
    instance->plugin = source->plugin;
    arena_init_small(&instance->arena, LIMIT_EVENT_MEMORY);
    if (decode(instance, source) != 0) {
        arena_free(&instance->arena);
        free(instance);
        snprintf(error, error_size, "no memory for an instance's configuration");
        return NULL;
    }
    instance->identity = plugin_identity(source->plugin, config_identity(source->config));
    instance->started_at = clock_epoch();
    return instance;
}

int instance_destroy(struct instance *instance, char *error, size_t error_size) {
    int rc = instance->failure != NULL ? 0
                                       : hooks_destroy(instance->plugin->what, instance->config,
                                                       instance->state, error, error_size);
    arena_free(&instance->arena);
    free(instance);
    return rc;
}
