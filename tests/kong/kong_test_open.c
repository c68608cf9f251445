/* Gateways: made, configured, shared by several requests at once, ended. */
#include <stdio.h>
#include <stdlib.h>

#include "dump.h"
#include "kong_test_inside.h"
#include "plugin_check.h"

static int configure(struct gateway *gateway, struct hosted *hosted, const char *config,
                     char *error, size_t error_size) {
    const char *text = config == NULL ? "{}" : config;
    int result = test_check_config(&hosted->plugin, text, error, error_size);
    if (result != 0) {
        return result;
    }
    char *own = strdup(text);
    if (own == NULL) {
        snprintf(error, error_size, "not enough memory");
        return -1;
    }
    pthread_mutex_lock(&gateway->lock);
    free(hosted->config);
    hosted->config = own;
    hosted->seq++;
    pthread_mutex_unlock(&gateway->lock);
    return 0;
}

int kong_test_configure(struct kong_test *test, const char *config, char *error,
                        size_t error_size) {
    return configure(test->gateway, &test->gateway->plugins[0], config, error, error_size);
}

int kong_test_configure_plugin(struct kong_test *test, const char *plugin, const char *config,
                               char *error, size_t error_size) {
    struct gateway *gateway = test->gateway;
    for (size_t i = 0; i < gateway->count; i++) {
        if (strcmp(gateway->plugins[i].plugin.name, plugin) == 0) {
            return configure(gateway, &gateway->plugins[i], config, error, error_size);
        }
    }
    snprintf(error, error_size, "no plugin %.100s", plugin);
    return -1;
}

/* A worker of Kong for one request at a time. False when out of memory. */
static bool open_worker(struct kong_test *test) {
    const struct gateway *gateway = test->gateway;
    test->pdk = sim_pdk_create();
    struct sim_client_options client = {.protocol =
                                            gateway->msgpack ? PROTOCOL_MSGPACK : PROTOCOL_PROTOBUF,
                                        .connect = sim_connect_unix,
                                        .connect_ctx = sim_server_path(gateway->server),
                                        .pdk = sim_pdk_call,
                                        .pdk_ctx = test->pdk,
                                        .timeout_ms = gateway->timeout_ms};
    test->client = test->pdk == NULL ? NULL : sim_client_create(&client);
    if (test->client == NULL) {
        return false;
    }
    test->pdk->kong_2_8 = gateway->kong_2_8;
    test->pdk->protobuf = !gateway->msgpack;
    sim_client_behaviour(test->client)->kong_2_8 = gateway->kong_2_8;
    kong_test_request(test, "GET", "/");
    return true;
}

/* Kong's order: the one with the higher priority is first. */
static void put_in_order(struct gateway *gateway, struct hosted *hosted, size_t count) {
    size_t at = count;
    for (; at > 0; at--) {
        const struct kong_plugin *before = &gateway->order[at - 1]->plugin;
        if (before->priority > hosted->plugin.priority ||
            (before->priority == hosted->plugin.priority &&
             strcmp(before->name, hosted->plugin.name) > 0)) {
            break;
        }
        gateway->order[at] = gateway->order[at - 1];
    }
    gateway->order[at] = hosted;
}

static void host(struct gateway *gateway, const struct kong_plugin *plugin,
                 const struct kong_test_options *options) {
    size_t index = gateway->count++;
    struct hosted *hosted = &gateway->plugins[index];
    unsigned advertised = dump_default_phases(plugin);
    hosted->plugin = *plugin;
    if (options->stack_size != 0) {
        hosted->plugin.stack_size = options->stack_size;
    }
    hosted->phases = options->phases == 0       ? advertised
                     : options->plugins == NULL ? options->phases
                                                : options->phases & advertised;
    snprintf(hosted->id, sizeof hosted->id, "e84f8ed7-6393-575d-93ab-f4a5625%05zx",
             0x3f1a8 + index);
    gateway->phases |= hosted->phases;
    gateway->msgpack = gateway->msgpack || plugin->protocol == KONG_PROTOCOL_MSGPACK;
    gateway->served[index] = &hosted->plugin;
    put_in_order(gateway, hosted, index);
}

static struct gateway *create_gateway(const struct kong_test_options *options) {
    bool several = options->plugins != NULL;
    size_t count = several ? options->plugin_count : 1;
    struct gateway *gateway = calloc(1, sizeof *gateway);
    if (gateway == NULL || (gateway->plugins = calloc(count, sizeof *gateway->plugins)) == NULL) {
        free(gateway);
        return NULL;
    }
    gateway->log_fd = -1;
    gateway->msgpack = options->msgpack;
    gateway->kong_2_8 = options->kong_2_8;
    gateway->timeout_ms = options->timeout_ms == 0 ? 10000 : options->timeout_ms;
    pthread_mutex_init(&gateway->lock, NULL);
    for (size_t i = 0; i < count; i++) {
        host(gateway, several ? options->plugins[i] : options->plugin, options);
    }
    return gateway;
}

/* What kong_main checks of its plugins, and Kong of their configurations. As kong_test_open. */
static int check(struct gateway *gateway, const struct kong_test_options *options, char *error,
                 size_t error_size) {
    int result = plugin_check_all(gateway->served, gateway->count, error, error_size);
    for (size_t i = 0; i < gateway->count && result == 0 && options->threads > 1; i++) {
        if (!gateway->served[i]->thread_safe) {
            snprintf(error, error_size,
                     "the plugin %.100s does not say that it is thread-safe: set .thread_safe, or "
                     "no threads",
                     gateway->served[i]->name);
            result = -1;
        }
    }
    for (size_t i = 0; i < gateway->count && result == 0; i++) {
        const char *config = options->plugins == NULL   ? options->config
                             : options->configs == NULL ? NULL
                                                        : options->configs[i];
        result = configure(gateway, &gateway->plugins[i], config, error, error_size);
    }
    return result;
}

static int start(struct kong_test *test, const struct kong_test_options *options, char *error,
                 size_t error_size) {
    struct gateway *gateway = test->gateway;
    /* What a raised error has left waiting for a Step is given up at once in the end. */
    static const enum prefetch_mode declared =
        PREFETCH_DECLARED; /* calls arrive as they are made */
    struct sim_server_options server = {.plugins = gateway->served,
                                        .plugin_count = gateway->count,
                                        .prefetch = &declared,
                                        .event_ms = options->event_ms,
                                        .threads = options->threads,
                                        .kong_2_8 = options->kong_2_8,
                                        .report_faults = true,
                                        .log_each_failure = true,
                                        .drain_ms = 10000};
    int result = check(gateway, options, error, error_size);
    if (result != 0) {
        return result;
    }
    if (!test_open_log(gateway)) {
        snprintf(error, error_size, "no memory or descriptor for the server's log");
        return -1;
    }
    server.log = gateway->log;
    gateway->server = sim_server_start(&server, error, error_size);
    if (gateway->server == NULL) {
        return -1;
    }
    snprintf(error, error_size, "not enough memory");
    if (!open_worker(test)) {
        return -1;
    }
    error[0] = '\0';
    return 0;
}

int kong_test_open(const struct kong_test_options *options, struct kong_test **out, char *error,
                   size_t error_size) {
    struct kong_test *test = calloc(1, sizeof *test);
    *out = NULL;
    if (options->plugins != NULL &&
        (options->plugin_count == 0 || options->plugin_count > KONG_PLUGINS_MOST)) {
        snprintf(error, error_size, ".plugin_count is 1 to %d", KONG_PLUGINS_MOST);
        free(test);
        return -1;
    }
    if (test == NULL || (test->gateway = create_gateway(options)) == NULL) {
        free(test);
        snprintf(error, error_size, "not enough memory");
        return -1;
    }
    test->gateway->users = 1;
    int result = start(test, options, error, error_size);
    if (result != 0) {
        kong_test_close(test);
        return result;
    }
    *out = test;
    return 0;
}

int kong_test_beside(struct kong_test *test, struct kong_test **out) {
    struct gateway *gateway = test->gateway;
    struct kong_test *other = calloc(1, sizeof *other);
    *out = NULL;
    if (other == NULL) {
        return -1;
    }
    other->gateway = gateway;
    pthread_mutex_lock(&gateway->lock);
    gateway->users++;
    pthread_mutex_unlock(&gateway->lock);
    if (!open_worker(other)) {
        kong_test_close(other);
        return -1;
    }
    for (unsigned i = 0; i < KNOWLEDGE_COUNT; i++) {
        test_learn(other, (enum knowledge)i, test->knowledge[i]);
    }
    *out = other;
    return 0;
}

static void leave(struct gateway *gateway) {
    pthread_mutex_lock(&gateway->lock);
    bool last = --gateway->users == 0;
    pthread_mutex_unlock(&gateway->lock);
    if (last) {
        sim_server_stop(gateway->server);
        test_close_log(gateway);
        pthread_mutex_destroy(&gateway->lock);
        for (size_t i = 0; i < gateway->count; i++) {
            free(gateway->plugins[i].config);
        }
        free(gateway->plugins);
        free(gateway);
    }
}

void kong_test_close(struct kong_test *test) {
    if (test == NULL) {
        return;
    }
    if (test->started) {
        kong_test_wait(test);
    }
    sim_client_destroy(test->client);
    leave(test->gateway);
    sim_pdk_destroy(test->pdk);
    for (size_t i = 0; i < KNOWLEDGE_COUNT; i++) {
        free(test->knowledge[i]);
    }
    free(test);
}
