/* key-check: lets in who shows an API key. An example of a plugin that looks consumers up,
 * authenticates, and ends requests.
 *
 * A key is a username in Kong's consumers, behind a prefix of the configuration: no secret of its
 * own to keep, for an example. The plugin fails closed: while Kong cannot be asked, nobody is let
 * in. */
#include <kong.h>

struct config {
    const char *name;
    const char *prefix;
    bool hide;
};

static const KONG_FIELDS(struct config) fields[] = {
    KONG_STRING_FIELD(struct config, name, .required = true, .default_json = KONG_TEXT("apikey"),
                      .match = "^[%w_-]+$",
                      .description = "Header, or else argument of the query, with the key."),
    KONG_STRING_FIELD(struct config, prefix, .required = true, .default_json = KONG_TEXT("key-"),
                      .description = "What a key begins with; the rest is the consumer's name."),
    KONG_BOOLEAN_FIELD(struct config, hide, .required = true, .default_json = "true",
                       .description = "The upstream does not see the key."),
};

static const struct kong_schema schema = KONG_SCHEMA(struct config, fields, .no_consumer = true);

/* Empty: there is none (on ProtoBuf:1 nil and "" are the same). The whole query is asked for, as on
 * ProtoBuf:1 Kong could not answer for an argument without a value. */
static int find_key(struct kong *kong, const struct config *config, struct kong_str *key) {
    struct kong_headers query;
    int error = kong_request_get_header(kong, config->name, key);
    if (error != 0 || key->len > 0) {
        return error;
    }
    error = kong_request_get_query(kong, 0, &query);
    *key = kong_headers_get(&query, config->name);
    return error;
}

static int refuse(struct kong *kong, const char *message) {
    struct kong_pair headers[] = {
        kong_pair("Content-Type", kong_string("application/json; charset=utf-8")),
        kong_pair("WWW-Authenticate", kong_string("Key")),
    };
    struct kong_str body = kong_printf(kong, "{\"message\":\"%s\"}", message);
    return kong_response_exit(kong, 401, body, kong_map(headers, 2));
}

/* The key is taken out of what the upstream gets. */
static int hide_key(struct kong *kong, const struct config *config) {
    struct kong_headers query;
    int error = kong_service_request_clear_header(kong, config->name);
    if (error == 0) {
        error = kong_request_get_query(kong, 0, &query);
    }
    if (error != 0 || kong_headers_find(&query, config->name) == NULL) {
        return error;
    }
    struct kong_header *rest = kong_alloc(kong, query.count * sizeof *rest);
    struct kong_headers without = {rest, 0, query.exact};
    struct kong_value map;
    if (rest == NULL) {
        return KONG_E_NOMEM;
    }
    for (size_t i = 0; i < query.count; i++) {
        if (!kong_str_equal(query.items[i].name, kong_str(config->name))) {
            rest[without.count++] = query.items[i];
        }
    }
    error = kong_headers_to_map(kong, &without, &map);
    return error != 0 ? error : kong_service_request_set_query(kong, map);
}

static int check_key(struct kong *kong, const void *data) {
    const struct config *config = data;
    size_t prefix = strlen(config->prefix);
    struct kong_consumer consumer = {0};
    struct kong_str key;
    int error = find_key(kong, config, &key);
    if (error != 0) {
        return error;
    }
    if (key.len == 0) {
        return refuse(kong, "No API key found in request");
    }
    if (key.len > prefix && memcmp(key.data, config->prefix, prefix) == 0) {
        error = kong_client_load_consumer(kong, key.data + prefix, true, &consumer);
    }
    if (error != 0) {
        return error;
    }
    if (consumer.id.data == NULL) {
        return refuse(kong, "Unauthorized");
    }
    struct kong_credential credential = {.id = key, .consumer_id = consumer.id};
    error = kong_client_authenticate(kong, &consumer, &credential);
    if (error == 0 && consumer.username.data != NULL) {
        error =
            kong_service_request_set_header(kong, "X-Consumer-Username", consumer.username.data);
    }
    return error == 0 && config->hide ? hide_key(kong, config) : error;
}

static const struct kong_plugin plugin = {
    .name = "key-check",
    .version = "0.1.0",
    .priority = 1250, /* as Kong's key-auth */
    .on_error = KONG_FAIL_CLOSED,
    .schema = &schema,
    .handlers = {[KONG_PHASE_ACCESS] = check_key},
};

KONG_MAIN(plugin)
