#include "three.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

struct config {
    const char *word;
};

static const KONG_FIELDS(struct config) fields[] = {
    KONG_STRING_FIELD(struct config, word, .default_json = KONG_TEXT("first"), .len_max = 20)};
static const struct kong_schema schema = KONG_SCHEMA(struct config, fields);

struct counter {
    _Atomic int events, runs;
};

static int open_counter(void **data, char *error, size_t error_size) {
    struct counter *counter = calloc(1, sizeof *counter);
    if (counter == NULL) {
        snprintf(error, error_size, "no memory");
        return -1;
    }
    *data = counter;
    return 0;
}

static int count_run(struct kong *kong) {
    struct counter *counter = kong_process_data(kong);
    counter->runs++;
    return 0;
}

static bool has_header(struct kong *kong, const char *name) {
    struct kong_str value;
    return kong_request_get_header(kong, name, &value) == 0 && value.data != NULL;
}

static int first(struct kong *kong, const void *data) {
    const struct config *config = data;
    return kong_response_set_header(kong, "X-First", config->word);
}

static int second(struct kong *kong, const void *data) {
    struct counter *counter = kong_process_data(kong);
    char count[16];
    (void)data;
    if (has_header(kong, "X-Fail")) {
        return kong_fail(kong, "as the client wants it");
    }
    snprintf(count, sizeof count, "%d", ++counter->events);
    return kong_response_set_header(kong, "X-Second", count);
}

static int third(struct kong *kong, const void *data) {
    const struct config *config = data;
    if (has_header(kong, "X-Crash")) {
        abort();
    }
    return kong_response_set_header(kong, "X-Third", config->word);
}

static const struct kong_plugin open_plugin = {.name = "three-open",
                                               .version = "1.0",
                                               .priority = 30,
                                               .stack_size = (size_t)64 << 10,
                                               .thread_safe = true,
                                               .schema = &schema,
                                               .handlers = {[KONG_PHASE_ACCESS] = first},
                                               .open = open_counter,
                                               .close = free};

static const struct kong_plugin closed_plugin = {.name = "three-closed",
                                                 .version = "1.1",
                                                 .priority = 20,
                                                 .on_error = KONG_FAIL_CLOSED,
                                                 .thread_safe = true,
                                                 .handlers = {[KONG_PHASE_ACCESS] = second},
                                                 .jobs = {{"count", 3600000, count_run}},
                                                 .open = open_counter,
                                                 .close = free};

static const struct kong_plugin rough_plugin = {.name = "three-rough",
                                                .version = "1.2",
                                                .priority = 10,
                                                .protocol = KONG_PROTOCOL_MSGPACK,
                                                .schema = &schema,
                                                .handlers = {[KONG_PHASE_ACCESS] = third},
                                                .jobs = {{"count", 3600000, count_run}},
                                                .open = open_counter,
                                                .close = free};

const struct kong_plugin *const three_plugins[3] = {&open_plugin, &closed_plugin, &rough_plugin};
