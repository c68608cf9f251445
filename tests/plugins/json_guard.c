/* json-guard: refuses bodies that are too large, no JSON at all by their brackets, or nested too
 * deep. An example of a plugin that reads the request's body. */
#include <kong.h>

#include <stdio.h>

struct config {
    int64_t max_bytes;
    int64_t max_depth;
};

static const KONG_FIELDS(struct config) fields[] = {
    KONG_INTEGER_FIELD(struct config, max_bytes, .required = true, .default_json = "8192",
                       .between = KONG_BETWEEN(1, 16777216),
                       .description = "A larger body is answered with 413."),
    KONG_INTEGER_FIELD(struct config, max_depth, .required = true, .default_json = "20",
                       .between = KONG_BETWEEN(1, 64),
                       .description = "A body nested deeper is answered with 400."),
};

static const struct kong_schema schema = KONG_SCHEMA(struct config, fields);

enum verdict { FINE, UNBALANCED, TOO_DEEP };

/* Brackets outside of strings: an upstream's parser does the rest. */
static enum verdict look_at(struct kong_str body, size_t max_depth) {
    char open[64];
    size_t depth = 0;
    bool in_string = false;
    for (size_t i = 0; i < body.len; i++) {
        char c = body.data[i];
        if (in_string && c == '\\') {
            i++;
        } else if (c == '"') {
            in_string = !in_string;
        } else if (!in_string && (c == '[' || c == '{')) {
            if (depth == max_depth) {
                return TOO_DEEP;
            }
            open[depth++] = c == '[' ? ']' : '}';
        } else if (!in_string && (c == ']' || c == '}') && (depth == 0 || open[--depth] != c)) {
            return UNBALANCED;
        }
    }
    return depth == 0 && !in_string ? FINE : UNBALANCED;
}

static int refuse(struct kong *kong, int status, const char *message) {
    struct kong_pair type = kong_pair("Content-Type", kong_string("application/json"));
    return kong_response_exit(kong, status, kong_printf(kong, "{\"message\":\"%s\"}", message),
                              kong_map(&type, 1));
}

static int guard(struct kong *kong, const void *data) {
    const struct config *config = data;
    struct kong_str type;
    struct kong_str body;
    int error = kong_request_get_header(kong, "Content-Type", &type);
    if (error != 0 || type.data == NULL || strncmp(type.data, "application/json", 16) != 0) {
        return error;
    }
    error = kong_request_get_raw_body(kong, (size_t)config->max_bytes, &body);
    if (error == KONG_E_TOO_BIG) {
        return refuse(kong, 413, "The body is too large");
    }
    if (error != 0) {
        return error;
    }
    switch (look_at(body, (size_t)config->max_depth)) {
    case TOO_DEEP:
        return refuse(kong, 400, "The body is nested too deep");
    case UNBALANCED:
        return refuse(kong, 400, "The body is no JSON");
    case FINE:
        break;
    }
    char bytes[32];
    snprintf(bytes, sizeof bytes, "%zu", body.len);
    return kong_service_request_set_header(kong, "X-Body-Bytes", bytes);
}

static const struct kong_plugin plugin = {
    .name = "json-guard",
    .version = "0.1.0",
    .priority = 950, /* after authentication and Kong's request-size-limiting */
    .on_error = KONG_FAIL_CLOSED,
    .schema = &schema,
    .handlers = {[KONG_PHASE_ACCESS] = guard},
};

KONG_MAIN(plugin)
