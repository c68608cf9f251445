/* The request's body, and a header with its size. */
#include <kong.h>

static int access_phase(struct kong *kong, const void *config) {
    struct kong_str body, size;
    (void)config;
    int error = kong_request_get_raw_body(kong, 1 << 20, &body);
    if (error != 0) {
        return error;
    }
    size = kong_printf(kong, "%zu", body.len);
    return kong_response_set_header(kong, "X-Size", size.data);
}

static const struct kong_plugin plugin = {
    .name = "bench-body",
    .version = "0.1",
    .priority = 1,
    .on_error = KONG_FAIL_CLOSED,
    .handlers = {[KONG_PHASE_ACCESS] = access_phase},
    .prefetch = {[KONG_PHASE_ACCESS] = KONG_PREFETCH(KONG_WANT_REQUEST_RAW_BODY)},
};

int main(int argc, char **argv) {
    return kong_main(argc, argv, &plugin);
}
