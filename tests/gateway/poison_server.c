/* A plugin whose handler crashes where a request, or its configuration, says so: for poison.sh. It
 * fails closed, or open where the environment says POISON_ON_ERROR=open. */
#include <kong.h>

#include <signal.h>
#include <stdlib.h>
#include <string.h>

struct config {
    bool crash; /* each request crashes */
};

static const KONG_FIELDS(struct config) fields[] = {
    KONG_BOOLEAN_FIELD(struct config, crash, .default_json = "false"),
};

static const struct kong_schema schema = KONG_SCHEMA(struct config, fields);

static int access_handler(struct kong *kong, const void *data) {
    const struct config *config = data;
    struct kong_str crash;
    int rc = kong_request_get_header(kong, "X-Crash", &crash);
    if (rc != KONG_OK) {
        return rc;
    }
    if (config->crash || crash.data != NULL) {
        raise(SIGSEGV);
        abort(); /* a sanitizer may have taken the signal over */
    }
    return kong_response_set_header(kong, "Version", "0.1");
}

int main(int argc, char **argv) {
    const char *on_error = getenv("POISON_ON_ERROR");
    const struct kong_plugin plugin = {
        .name = "poison",
        .version = "0.1",
        .priority = 1000,
        .thread_safe = true,
        .schema = &schema,
        .on_error =
            on_error != NULL && strcmp(on_error, "open") == 0 ? KONG_FAIL_OPEN : KONG_FAIL_CLOSED,
        .handlers = {[KONG_PHASE_ACCESS] = access_handler},
    };
    return kong_main(argc, argv, &plugin);
}
