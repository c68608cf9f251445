/* Five getters, and a header from each. */
#include <kong.h>

static int get(struct kong *kong, const char *method, const char *argument, const char **text) {
    struct kong_value arg = kong_string(argument);
    struct kong_value result;
    int error = kong_call(kong, method, &arg, argument == NULL ? 0 : 1, &result);
    if (error == 0) {
        *text = result.type == KONG_STRING ? result.string.data : "";
    }
    return error;
}

static int access_phase(struct kong *kong, const void *config) {
    static const struct {
        const char *method, *argument, *header;
    } calls[] = {{"kong.request.get_method", NULL, "X-Method"},
                 {"kong.request.get_path", NULL, "X-Path"},
                 {"kong.request.get_host", NULL, "X-Host"},
                 {"kong.request.get_header", "user-agent", "X-Agent"},
                 {"kong.client.get_ip", NULL, "X-Client"}};
    enum { COUNT = sizeof calls / sizeof *calls };
    const char *texts[COUNT];
    int error = 0;
    (void)config;
    for (size_t i = 0; i < COUNT && error == 0; i++) {
        error = get(kong, calls[i].method, calls[i].argument, &texts[i]);
    }
    for (size_t i = 0; i < COUNT && error == 0; i++) {
        error = kong_response_set_header(kong, calls[i].header, texts[i]);
    }
    return error;
}

static const struct kong_plugin plugin = {
    .name = "bench-getters",
    .version = "0.1",
    .priority = 1,
    .on_error = KONG_FAIL_CLOSED,
    .handlers = {[KONG_PHASE_ACCESS] = access_phase},
};

int main(int argc, char **argv) {
    return kong_main(argc, argv, &plugin);
}
