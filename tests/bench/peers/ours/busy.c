/* A header, after so much of the processor's time as the configuration says. */
#include <kong.h>

#include <time.h>

struct config {
    int64_t burn_us;
};

static const KONG_FIELDS(struct config) fields[] = {
    KONG_INTEGER_FIELD(struct config, burn_us, .default_json = "0"),
};

static const struct kong_schema schema = KONG_SCHEMA(struct config, fields);

static int64_t used_us(void) {
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static int access_phase(struct kong *kong, const void *data) {
    const struct config *config = data;
    for (int64_t begin = used_us(); config->burn_us > 0 && used_us() - begin < config->burn_us;) {
    }
    return kong_response_set_header(kong, "Version", "0.1");
}

static const struct kong_plugin plugin = {
    .name = "bench-busy",
    .version = "0.1",
    .priority = 1,
    .on_error = KONG_FAIL_CLOSED,
    .thread_safe = true,
    .schema = &schema,
    .handlers = {[KONG_PHASE_ACCESS] = access_phase},
};

int main(int argc, char **argv) {
    return kong_main(argc, argv, &plugin);
}
