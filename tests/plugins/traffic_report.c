/* traffic-report: counts answers by class of status, and writes a line when so many have come. An
 * example of a plugin of the phase log, with a state of its own in each instance. */
#include <kong.h>

#include <stdio.h>
#include <stdlib.h>

#define CLASSES 6 /* 1xx to 5xx, and at 0 what is none of them */

struct config {
    int64_t every;
    const char *label;
};

/* Of one instance. Handlers take turns on one thread: no lock. */
struct counts {
    int64_t all;
    int64_t by_class[CLASSES];
    int64_t by_kong; /* answers that no upstream gave */
};

static const KONG_FIELDS(struct config) fields[] = {
    KONG_INTEGER_FIELD(struct config, every, .required = true, .default_json = "100",
                       .between = KONG_BETWEEN(1, 1000000),
                       .description = "How many answers make a line in Kong's log."),
    KONG_STRING_FIELD(struct config, label,
                      .description = "What the line begins with. Unset: the service's name."),
};

static const struct kong_schema schema = KONG_SCHEMA(struct config, fields);

static int configure(const void *config, void **state, char *error, size_t error_size,
                     void *process_data) {
    (void)process_data;
    (void)config;
    *state = calloc(1, sizeof(struct counts));
    if (*state == NULL) {
        snprintf(error, error_size, "not enough memory");
        return KONG_E_NOMEM;
    }
    return 0;
}

static void destroy(const void *config, void *state) {
    (void)config;
    free(state);
}

static int report(struct kong *kong, const struct config *config, const struct counts *counts) {
    const int64_t *by = counts->by_class;
    struct kong_service service = {0};
    int error = config->label != NULL ? 0 : kong_router_get_service(kong, &service);
    const char *label = config->label != NULL       ? config->label
                        : service.name.data != NULL ? service.name.data
                                                    : "(no service)";
    if (error != 0) {
        return error;
    }
    return kong_log_notice(
        kong, "%s: %lld answers: 2xx %lld, 3xx %lld, 4xx %lld, 5xx %lld; %lld without upstream",
        label, (long long)counts->all, (long long)by[2], (long long)by[3], (long long)by[4],
        (long long)by[5], (long long)counts->by_kong);
}

static int count(struct kong *kong, const void *data) {
    const struct config *config = data;
    struct counts *counts = kong_instance_state(kong);
    struct kong_str source;
    int status;
    int error = kong_response_get_status(kong, &status);
    if (error == 0) {
        error = kong_response_get_source(kong, &source);
    }
    if (error != 0) {
        return error;
    }
    counts->all++;
    counts->by_class[status >= 100 && status < 600 ? status / 100 : 0]++;
    counts->by_kong += !kong_str_equal(source, kong_str("service"));
    if (counts->all < config->every) {
        return 0;
    }
    /* While this handler waits for Kong others go on counting: from zero. */
    struct counts done = *counts;
    *counts = (struct counts){0};
    return report(kong, config, &done);
}

static const struct kong_plugin plugin = {
    .name = "traffic-report",
    .version = "0.1.0",
    .priority = 5,
    .schema = &schema,
    .handlers = {[KONG_PHASE_LOG] = count},
    .configure = configure,
    .destroy = destroy,
};

KONG_MAIN(plugin)
