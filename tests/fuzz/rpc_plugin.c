#include "rpc_plugin.h"

#include <string.h>

#include "fuzz.h"

struct config {
    const char *script;
};

static const KONG_FIELDS(struct config) fields[] = {
    KONG_STRING_FIELD(struct config, script, .default_json = KONG_TEXT("00"))};

static const struct kong_schema schema = KONG_SCHEMA(struct config, fields);

/* --- typed functions: their results are read --- */

static void touch_strings(const struct kong_strings *strings) {
    for (size_t i = 0; i < strings->count; i++) {
        fuzz_touch_str(strings->items[i]);
    }
}

static void touch_headers(const struct kong_headers *headers) {
    for (size_t i = 0; i < headers->count; i++) {
        fuzz_touch_str(headers->items[i].name);
        REQUIRE(headers->items[i].count >= 1);
        for (size_t j = 0; j < headers->items[i].count; j++) {
            fuzz_touch_str(headers->items[i].values[j]);
        }
    }
}

static int pass_headers_on(struct kong *kong, bool query) {
    struct kong_headers headers;
    struct kong_value map;
    int rc = query ? kong_request_get_query(kong, 0, &headers)
                   : kong_request_get_headers(kong, 100, &headers);
    touch_headers(&headers);
    kong_headers_find(&headers, "X-In");
    rc = rc == 0 ? kong_headers_to_map(kong, &headers, &map) : rc;
    if (rc != 0) {
        return rc;
    }
    return query ? kong_service_request_set_query(kong, map)
                 : kong_service_request_set_headers(kong, map);
}

static int captures(struct kong *kong) {
    struct kong_captures found;
    int rc = kong_request_get_uri_captures(kong, &found);
    touch_strings(&found.unnamed);
    for (size_t i = 0; i < found.named_count; i++) {
        fuzz_touch_str(found.named[i].name);
        fuzz_touch_str(found.named[i].value);
    }
    return rc;
}

static int consumers(struct kong *kong, bool load) {
    struct kong_consumer consumer;
    struct kong_credential credential;
    int rc = load ? kong_client_load_consumer(kong, "bob", true, &consumer)
                  : kong_client_get_consumer(kong, &consumer);
    fuzz_touch_str(consumer.username);
    touch_strings(&consumer.tags);
    fuzz_touch_value(&consumer.fields);
    int other = kong_client_get_credential(kong, &credential);
    fuzz_touch_str(credential.consumer_id);
    if (rc != 0 || other != 0) {
        return rc != 0 ? rc : other;
    }
    return kong_client_authenticate(kong, &consumer, &credential);
}

static int routing(struct kong *kong) {
    struct kong_route route;
    struct kong_service service;
    int rc = kong_router_get_route(kong, &route);
    fuzz_touch_str(route.name);
    touch_strings(&route.protocols);
    touch_strings(&route.paths);
    touch_headers(&route.headers);
    int other = kong_router_get_service(kong, &service);
    fuzz_touch_str(service.host);
    return rc != 0 ? rc : other;
}

static int memory(struct kong *kong) {
    struct kong_memory_stats stats;
    struct kong_nginx_statistics statistics;
    int rc = kong_node_get_memory_stats(kong, &stats);
    for (size_t i = 0; i < stats.dict_count; i++) {
        fuzz_touch_str(stats.dicts[i].name);
    }
    for (size_t i = 0; i < stats.worker_count; i++) {
        REQUIRE(stats.workers[i].pid == stats.workers[i].pid);
    }
    int other = kong_nginx_get_statistics(kong, &statistics);
    return rc != 0 ? rc : other;
}

static int bodies(struct kong *kong, bool decoded) {
    struct kong_str body;
    struct kong_value value;
    int rc;
    if (decoded) {
        rc = kong_service_response_get_body(kong, NULL, &value);
        fuzz_touch_value(&value);
    } else {
        rc = kong_service_response_get_raw_body(kong, 1000, &body);
        fuzz_touch_str(body);
    }
    return rc;
}

static int vault(struct kong *kong) {
    struct kong_vault_reference parts;
    int rc = kong_vault_parse_reference(kong, "{vault://env/x}", &parts);
    fuzz_touch_str(parts.name);
    fuzz_touch_str(parts.resource);
    return rc;
}

static int scalars(struct kong *kong) {
    struct kong_str text;
    double number;
    bool flag;
    int integer;
    int rc = kong_request_get_header(kong, "X-In", &text);
    fuzz_touch_str(text);
    rc = rc == 0 ? kong_request_get_port(kong, &integer) : rc;
    rc = rc == 0 ? kong_request_get_http_version(kong, &number) : rc;
    rc = rc == 0 ? kong_ip_is_trusted(kong, "127.0.0.1", &flag) : rc;
    rc = rc == 0 ? kong_service_set_upstream(kong, "u") : rc;
    kong_log_warn(kong, "%s", kong_error_text(kong));
    return rc;
}

static int shared(struct kong *kong) {
    struct kong_value value;
    int rc = kong_ctx_shared_get(kong, "k", &value);
    fuzz_touch_value(&value);
    rc = rc == 0 ? kong_ctx_shared_set(kong, "k", value) : rc;
    return rc == 0 ? kong_response_set_header_value(kong, "X-K", value) : rc;
}

static int leave(struct kong *kong) {
    struct kong_pair header = kong_pair("X-Exit", kong_string("yes"));
    return kong_response_exit(kong, 403, kong_str("no"), kong_map(&header, 1));
}

static int typed(struct kong *kong, unsigned what) {
    switch ((what - SCRIPT_TYPED) % 13) {
    case 0:
        return pass_headers_on(kong, false);
    case 1:
        return pass_headers_on(kong, true);
    case 2:
        return captures(kong);
    case 3:
        return consumers(kong, false);
    case 4:
        return consumers(kong, true);
    case 5:
        return routing(kong);
    case 6:
        return memory(kong);
    case 7:
        return bodies(kong, false);
    case 8:
        return bodies(kong, true);
    case 9:
        return vault(kong);
    case 10:
        return scalars(kong);
    case 11:
        return shared(kong);
    default:
        return leave(kong);
    }
}

/* --- by name, with arguments of the right shape --- */

static int by_name(struct kong *kong, const struct pdk_method *method) {
    static const struct kong_pair pairs[] = {{{"a", 1}, {.type = KONG_STRING, .string = {"b", 1}}}};
    const struct kong_value name = kong_string("X-Name");
    const struct kong_value map = kong_map(pairs, 1);
    struct kong_value args[3] = {name, kong_string("value"), kong_nil()};
    size_t count = 1;
    switch (method->args) {
    case PDK_ARGS_EMPTY:
    case PDK_ARGS_ANY:
        count = 0;
        break;
    case PDK_ARGS_INT:
        args[0] = kong_integer(200);
        break;
    case PDK_ARGS_BOOL:
        args[0] = kong_boolean(true);
        break;
    case PDK_ARGS_STRUCT:
        args[0] = map;
        break;
    case PDK_ARGS_LIST:
    case PDK_ARGS_KV:
        count = 2;
        break;
    case PDK_ARGS_EXIT:
        args[0] = kong_integer(403);
        args[2] = map;
        count = 3;
        break;
    case PDK_ARGS_TARGET:
        args[1] = kong_integer(80);
        count = 2;
        break;
    case PDK_ARGS_CONSUMER_SPEC:
        args[1] = kong_boolean(false);
        count = 2;
        break;
    case PDK_ARGS_AUTHENTICATE:
        args[0] = args[1] = kong_nil();
        count = 2;
        break;
    case PDK_ARGS_STRING:
    case PDK_ARGS_BYTES:
        break;
    }
    struct kong_value result;
    int rc = kong_call(kong, method->name.data, args, count, &result);
    /* nothing is sent that Kong would raise on */
    REQUIRE((method->phases & KONG_PHASE_BIT(kong_get_phase(kong))) != 0 || rc != KONG_OK);
    fuzz_touch_value(&result);
    return rc;
}

/* --- sleeping --- */

static void hurry(void *arg) {
    struct nap *nap = arg;
    REQUIRE(!nap->due);
    nap->due = true;
}

static int take_nap(struct kong *kong) {
    struct script_state *state = kong_process_data(kong);
    struct event *event = (struct event *)kong;
    if (event_call_error(event) != 0) {
        return event_call_error(event);
    }
    struct nap nap = {.event = event, .next = state->naps};
    state->naps = &nap;
    event_sleep(event, hurry, &nap);
    struct nap **link = &state->naps;
    while (*link != &nap) {
        REQUIRE(*link != NULL);
        link = &(*link)->next;
    }
    *link = nap.next;
    return event_call_error(event);
}

bool script_wake(struct script_state *state) {
    if (state->naps == NULL) {
        return false;
    }
    event_wake(state->naps->event);
    return true;
}

void script_wake_due(struct script_state *state) {
    for (struct nap *nap = state->naps; nap != NULL;) {
        if (nap->due) {
            event_wake(nap->event); /* which may change the list */
            nap = state->naps;
        } else {
            nap = nap->next;
        }
    }
}

/* --- the handler --- */

static int post_large(struct kong *kong) {
    const size_t size = 40000;
    char *text = kong_alloc(kong, size + 1);
    if (text == NULL) {
        return KONG_E_NOMEM;
    }
    memset(text, 'x', size);
    text[size] = '\0';
    return kong_response_set_header(kong, "X-Large", text);
}

static int act(struct kong *kong, unsigned code) {
    struct kong_value value;
    if (code < PDK_COUNT && code < SCRIPT_TYPED) {
        return by_name(kong, &pdk_methods[code]);
    }
    switch (code) {
    case SCRIPT_SLEEP:
        return take_nap(kong);
    case SCRIPT_UNKNOWN:
        return kong_call(kong, "kong.no.such", NULL, 0, &value);
    case SCRIPT_LARGE:
        return post_large(kong);
    case SCRIPT_LOOPLESS: {
        int rc = kong_sleep(kong, 1);
        REQUIRE(rc != KONG_OK);
        return rc;
    }
    default:
        return typed(kong, code);
    }
}

static unsigned digit(char c) {
    return c >= '0' && c <= '9' ? (unsigned)(c - '0') : (unsigned)(c + 9) & 15;
}

static int handle(struct kong *kong, const void *data) {
    const struct config *config = data;
    struct script_state *state = kong_process_data(kong);
    const char *script = config->script != NULL ? config->script : "";
    int result = 0;
    state->started++;
    for (size_t i = 0; script[i] != '\0' && script[i + 1] != '\0' && i < 512; i += 2) {
        unsigned code = digit(script[i]) << 4 | digit(script[i + 1]);
        if (code == SCRIPT_FAIL) {
            result = KONG_E_FAILED;
            break;
        }
        int rc = act(kong, code);
        REQUIRE(rc <= 0 && rc >= KONG_E_PHASE);
    }
    state->returned++;
    return result;
}

static int configure(const void *config, void **state, char *error, size_t error_size,
                     void *process_data) {
    (void)process_data;
    (void)config;
    (void)state;
    (void)error;
    (void)error_size;
    return 0;
}

#define SCRIPT_PLUGIN(failing)                                                                     \
    {                                                                                              \
        .name = "script", .version = "1.2.3", .priority = 7, .on_error = (failing),                \
        .schema = &schema, .configure = configure,                                                 \
        .handlers =                                                                                \
            {                                                                                      \
                [KONG_PHASE_REWRITE] = handle,                                                     \
                [KONG_PHASE_ACCESS] = handle,                                                      \
                [KONG_PHASE_RESPONSE] = handle,                                                    \
                [KONG_PHASE_LOG] = handle,                                                         \
            },                                                                                     \
        .prefetch = {                                                                              \
            [KONG_PHASE_ACCESS] = KONG_PREFETCH(                                                   \
                KONG_WANT_REQUEST_HEADERS, KONG_WANT_REQUEST_QUERY,                                \
                KONG_WANT_REQUEST_URI_CAPTURES, KONG_WANT_CLIENT_CONSUMER, KONG_WANT_ROUTER_ROUTE, \
                KONG_WANT_CTX_SHARED("k"), KONG_WANT_REQUEST_RAW_BODY, KONG_WANT_NGINX_VAR("v"),   \
                KONG_WANT_IP_IS_TRUSTED("i"), KONG_WANT_REQUEST_METHOD),                           \
        }                                                                                          \
    }

const struct kong_plugin script_open_plugin = SCRIPT_PLUGIN(KONG_FAIL_OPEN);
const struct kong_plugin script_closed_plugin = SCRIPT_PLUGIN(KONG_FAIL_CLOSED);
