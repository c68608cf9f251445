/* Five getters, and a header from each. */
#include <kong.h>

static int access_phase(struct kong *kong, const void *config) {
    struct kong_str method, path, host, agent, client;
    int error;
    (void)config;
    if ((error = kong_request_get_method(kong, &method)) != 0 ||
        (error = kong_request_get_path(kong, &path)) != 0 ||
        (error = kong_request_get_host(kong, &host)) != 0 ||
        (error = kong_request_get_header(kong, "user-agent", &agent)) != 0 ||
        (error = kong_client_get_ip(kong, &client)) != 0 ||
        (error = kong_response_set_header(kong, "X-Method", method.data)) != 0 ||
        (error = kong_response_set_header(kong, "X-Path", path.data)) != 0 ||
        (error = kong_response_set_header(kong, "X-Host", host.data)) != 0 ||
        (error = kong_response_set_header(kong, "X-Agent", agent.data)) != 0) {
        return error;
    }
    return kong_response_set_header(kong, "X-Client", client.data);
}

static const struct kong_plugin plugin = {
    .name = "bench-getters",
    .version = "0.1",
    .priority = 1,
    .on_error = KONG_FAIL_CLOSED,
    .handlers = {[KONG_PHASE_ACCESS] = access_phase},
    .prefetch = {[KONG_PHASE_ACCESS] = KONG_PREFETCH(
                     KONG_WANT_REQUEST_METHOD, KONG_WANT_REQUEST_PATH, KONG_WANT_REQUEST_HOST,
                     KONG_WANT_REQUEST_HEADER("user-agent"), KONG_WANT_CLIENT_IP)},
};

int main(int argc, char **argv) {
    return kong_main(argc, argv, &plugin);
}
