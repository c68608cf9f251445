/* body-transform: takes members out of the JSON object in a request's body, and sets others. An
 * example of a plugin that reads a body as JSON and writes another one.
 *
 *     {"remove": ["password"], "set": {"source": "gateway"}}
 *
 * The upstream gets what the plugin has understood, or nothing: a body that is no JSON object, that
 * is nested too deep or too large is refused. Bodies of other types pass. */
#include <kong.h>

#include <strings.h>

KONG_ENTRY(member, const char *);

struct config {
    int64_t max_bytes;
    KONG_ARRAY_OF(const char *) remove;
    KONG_MAP_OF_ENTRIES(struct member) set;
};

static const KONG_FIELDS(struct config) fields[] = {
    KONG_INTEGER_FIELD(struct config, max_bytes, .required = true, .default_json = "1048576",
                       .between = KONG_BETWEEN(1, 67108864),
                       .description = "A larger body is answered with 413."),
    KONG_SET_FIELD(struct config, remove, KONG_STRING_ITEM(),
                   .description = "Members that the upstream does not get."),
    KONG_MAP_FIELD(struct config, set, KONG_STRING_ITEM(), KONG_STRING_ITEM(.allow_empty = true),
                   .description = "Members that the upstream gets, whatever the client sent."),
};

static const struct kong_schema schema =
    KONG_SCHEMA(struct config, fields, KONG_CONFIG_CHECKS(KONG_AT_LEAST_ONE_OF("remove", "set")));

static int refuse(struct kong *kong, int status, const char *message) {
    struct kong_pair body = kong_pair("message", kong_string(message));
    return kong_response_exit_json(kong, status, kong_map(&body, 1), kong_nil());
}

/* application/json, application/problem+json; charset=utf-8 … */
static bool is_json(struct kong_str type) {
    size_t len = type.data == NULL ? 0 : strcspn(type.data, " ;");
    return len >= 5 && (strncasecmp(type.data + len - 5, "/json", 5) == 0 ||
                        strncasecmp(type.data + len - 5, "+json", 5) == 0);
}

static bool is_replaced(const struct config *config, struct kong_str name) {
    for (size_t i = 0; i < config->remove.count; i++) {
        if (kong_str_equal(name, kong_str(config->remove.items[i]))) {
            return true;
        }
    }
    for (size_t i = 0; i < config->set.count; i++) {
        if (kong_str_equal(name, kong_str(config->set.entries[i].key))) {
            return true;
        }
    }
    return false;
}

/* What stays keeps its order. An array of pairs: kong_build_set looks for each key among all, which
 * takes long where a client sends many. */
static int change(struct kong *kong, const struct config *config, struct kong_value *object) {
    size_t count = 0;
    struct kong_pair *members =
        kong_alloc(kong, (object->map.count + config->set.count) * sizeof *members);
    if (members == NULL) {
        return KONG_E_NOMEM;
    }
    for (size_t i = 0; i < object->map.count; i++) {
        if (!is_replaced(config, object->map.pairs[i].key)) {
            members[count++] = object->map.pairs[i];
        }
    }
    for (size_t i = 0; i < config->set.count; i++) {
        const struct member *member = &config->set.entries[i];
        members[count++] = kong_pair(member->key, kong_string(member->value));
    }
    *object = kong_map(members, count);
    return 0;
}

static int transform(struct kong *kong, const void *data) {
    const struct config *config = data;
    struct kong_str type, text;
    struct kong_value body;
    int error = kong_request_get_header(kong, "Content-Type", &type);
    if (error != 0 || !is_json(type)) {
        return error;
    }
    error = kong_request_get_raw_body(kong, (size_t)config->max_bytes, &text);
    if (error == KONG_E_TOO_BIG) {
        return refuse(kong, 413, "The body is too large");
    }
    if (error != 0) {
        return error;
    }
    error = kong_json_parse(kong, text, text.len, &body);
    if (error == KONG_E_INVALID || error == KONG_E_TOO_BIG) { /* too big: too deep as well */
        return refuse(kong, 400, kong_error_text(kong));
    }
    if (error == 0 && body.type != KONG_MAP) {
        return refuse(kong, 400, "The body is no JSON object");
    }
    if (error == 0) {
        error = change(kong, config, &body);
    }
    if (error == 0) {
        error = kong_json(kong, body, &text);
    }
    return error != 0 ? error : kong_service_request_set_raw_body(kong, text);
}

static const struct kong_plugin plugin = {
    .name = "body-transform",
    .version = "0.1.0",
    .priority = 800, /* behind authentication and limits */
    .on_error = KONG_FAIL_CLOSED,
    .schema = &schema,
    .handlers = {[KONG_PHASE_ACCESS] = transform},
};

KONG_MAIN(plugin)
