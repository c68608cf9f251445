/* Ten getters, and a header. */
#include <kong.h>

static int access_phase(struct kong *kong, const void *config) {
    struct kong_str method, other;
    int error;
    (void)config;
    if ((error = kong_request_get_method(kong, &method)) != 0 ||
        (error = kong_request_get_path(kong, &other)) != 0 ||
        (error = kong_request_get_host(kong, &other)) != 0 ||
        (error = kong_request_get_header(kong, "user-agent", &other)) != 0 ||
        (error = kong_client_get_ip(kong, &other)) != 0 ||
        (error = kong_request_get_scheme(kong, &other)) != 0 ||
        (error = kong_request_get_forwarded_host(kong, &other)) != 0 ||
        (error = kong_request_get_raw_query(kong, &other)) != 0 ||
        (error = kong_request_get_header(kong, "accept", &other)) != 0 ||
        (error = kong_client_get_forwarded_ip(kong, &other)) != 0) {
        return error;
    }
    return kong_response_set_header(kong, "X-Method", method.data);
}

static const struct kong_plugin plugin = {
    .name = "bench-ten",
    .version = "0.1",
    .priority = 1,
    .on_error = KONG_FAIL_CLOSED,
    .handlers = {[KONG_PHASE_ACCESS] = access_phase},
    .prefetch = {[KONG_PHASE_ACCESS] = KONG_PREFETCH(
                     KONG_WANT_REQUEST_METHOD, KONG_WANT_REQUEST_PATH, KONG_WANT_REQUEST_HOST,
                     KONG_WANT_REQUEST_HEADER("user-agent"), KONG_WANT_CLIENT_IP,
                     KONG_WANT_REQUEST_SCHEME, KONG_WANT_REQUEST_FORWARDED_HOST,
                     KONG_WANT_REQUEST_RAW_QUERY, KONG_WANT_REQUEST_HEADER("accept"),
                     KONG_WANT_CLIENT_FORWARDED_IP)},
};

int main(int argc, char **argv) {
    return kong_main(argc, argv, &plugin);
}
