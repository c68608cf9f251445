/* api-version: marks each HTTP response of an API, and each request to its upstream if wanted, with
 * the API's version in a header. */
#include <kong.h>

#define API_VERSION_VERSION "0.1"

/* What Kong's own schemas take as a header's name. */
#define HEADER_NAME "^[%w_-]+$"

struct config {
    const char *response_header;
    const char *version;
    const char *request_header; /* NULL: requests stay as they are */
};

static const KONG_FIELDS(struct config) fields[] = {
    KONG_STRING_FIELD(struct config, response_header, .required = true,
                      .default_json = KONG_TEXT("Version"), .len_max = 256, .match = HEADER_NAME,
                      .description = "Header of the response that carries the version."),
    /* Printable ASCII: what can stand in a header without being escaped or folded. */
    KONG_STRING_FIELD(struct config, version, .required = true,
                      .default_json = KONG_TEXT(API_VERSION_VERSION), .referenceable = true,
                      .len_max = 256, .match = "^[ -~]+$",
                      .match_all = KONG_PATTERNS({"[!-~]", "has spaces only"}),
                      .description = "The version that is sent."),
    KONG_STRING_FIELD(struct config, request_header, .len_max = 256, .match = HEADER_NAME,
                      .description = "Header of the request to the upstream that carries the "
                                     "version as well. Unset: none."),
};

static const struct kong_schema schema =
    KONG_SCHEMA(struct config, fields, .no_consumer = true,
                KONG_CONFIG_CHECKS(KONG_DISTINCT("request_header", "response_header")));

static int mark_response(struct kong *kong, const void *data) {
    const struct config *config = data;
    return kong_response_set_header(kong, config->response_header, config->version);
}

static int mark_both(struct kong *kong, const void *data) {
    const struct config *config = data;
    if (config->request_header != NULL) {
        int error = kong_service_request_set_header(kong, config->request_header, config->version);
        if (error != 0) {
            return error;
        }
    }
    return mark_response(kong, data);
}

static const struct kong_plugin plugin = {
    .name = "api-version",
    .version = API_VERSION_VERSION,
    /* Before the authentication plugins, so that their 401 carries the header too. */
    .priority = 3000,
    .phases = KONG_PHASE_BIT(KONG_PHASE_ACCESS),
    .on_error = KONG_FAIL_OPEN,
    .thread_safe = true, /* it keeps nothing but configurations */
    .schema = &schema,
    .handlers =
        {
            [KONG_PHASE_REWRITE] = mark_response,
            [KONG_PHASE_ACCESS] = mark_both,
            [KONG_PHASE_HEADER_FILTER] = mark_response,
            [KONG_PHASE_RESPONSE] = mark_response,
        },
};

KONG_MAIN(plugin)
