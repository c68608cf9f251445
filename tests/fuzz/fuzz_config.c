/* A configuration through a schema with every type and every rule: decoded and within its rules, or
 * refused with a reason. Input: the JSON text. */
#include "fuzz.h"

#include "lua_pattern.h"
#include "schema.h"
#include "scope.h"

struct inner {
    const char *host;
    const int64_t *port;
    KONG_MAP_OF(double) weights;
    const char *token;
};

static const KONG_FIELDS(struct inner) inner_fields[] = {
    KONG_STRING_FIELD(struct inner, host, .match = "^[%w.-]+$"),
    KONG_INTEGER_FIELD(struct inner, port, .between = KONG_BETWEEN(1, 65535)),
    KONG_MAP_FIELD(struct inner, weights, KONG_STRING_ITEM(.len_max = 4), KONG_NUMBER_ITEM()),
    KONG_STRING_FIELD(struct inner, token, .referenceable = true, .match = "^%d+$"),
};

struct pair {
    const char *const *items;
    size_t count;
};

struct config {
    const char *text;
    struct kong_str bytes;
    const char *chosen, *three, *some, *own, *plain, *any, *all, *none, *id, *secret;
    const char *prefixed;
    int64_t integer;
    const int64_t *level;
    int64_t more;
    double number;
    const double *rate;
    bool flag;
    const bool *maybe;
    KONG_ARRAY_OF(const char *) words;
    KONG_ARRAY_OF(struct pair) groups;
    KONG_ARRAY_OF(const char *) tags;
    KONG_MAP_OF(const char *) names;
    KONG_MAP_OF(struct inner) peers;
    KONG_ARRAY_OF(struct inner) nodes;
    struct inner redis;
    const struct inner *spare;
};

static const KONG_FIELDS(struct config) fields[] = {
    KONG_STRING_FIELD(struct config, text, .required = true, .allow_empty = true,
                      .default_json = KONG_TEXT("x")),
    KONG_STRING_FIELD(struct config, bytes, .allow_empty = true),
    KONG_STRING_FIELD(struct config, chosen, .one_of = KONG_STRINGS("one", "two")),
    KONG_STRING_FIELD(struct config, three, .len_eq = 3),
    KONG_STRING_FIELD(struct config, some, .len_min = 2, .len_max = 5),
    KONG_STRING_FIELD(struct config, own, .match = "^%a+$", .err = "letters only"),
    KONG_STRING_FIELD(struct config, plain, .not_match = "^x"),
    KONG_STRING_FIELD(struct config, any, .match_any = KONG_STRINGS("^a", "^b"),
                      .match_any_err = "a or b first"),
    KONG_STRING_FIELD(struct config, all,
                      .match_all = KONG_PATTERNS({"^%l", "a letter first"}, {"%d$", NULL})),
    KONG_STRING_FIELD(struct config, none,
                      .match_none = KONG_PATTERNS({"%s", "no space"}, {"%c", NULL})),
    KONG_STRING_FIELD(struct config, id, .uuid = true),
    KONG_STRING_FIELD(struct config, secret, .referenceable = true, .encrypted = true,
                      .len_min = 8),
    KONG_STRING_FIELD(struct config, prefixed, .starts_with = "/"),
    KONG_INTEGER_FIELD(struct config, integer, .eq_json = "7"),
    KONG_INTEGER_FIELD(struct config, level, .one_of_numbers = KONG_NUMBERS(1, 2, 5)),
    KONG_INTEGER_FIELD(struct config, more, .gt = KONG_GT(0), .default_json = "1"),
    KONG_NUMBER_FIELD(struct config, number, .between = KONG_BETWEEN(-1, 2)),
    KONG_NUMBER_FIELD(struct config, rate, .gt = KONG_GT(0.25)),
    KONG_BOOLEAN_FIELD(struct config, flag, .default_json = "true"),
    KONG_BOOLEAN_FIELD(struct config, maybe),
    KONG_ARRAY_FIELD(struct config, words,
                     KONG_STRING_ITEM(.referenceable = true, .match = "^%l+$"), .len_max = 3),
    KONG_ARRAY_FIELD(struct config, groups,
                     KONG_ARRAY_ITEM(struct pair, KONG_STRING_ITEM(), .len_eq = 2)),
    KONG_SET_FIELD(struct config, tags, KONG_STRING_ITEM(), .len_min = 1, .len_max = 2),
    KONG_MAP_FIELD(struct config, names, KONG_STRING_ITEM(.match = "^%w+$"),
                   KONG_STRING_ITEM(.referenceable = true, .allow_empty = true), .len_max = 3),
    KONG_MAP_FIELD(struct config, peers, KONG_STRING_ITEM(),
                   KONG_RECORD_ITEM(KONG_RECORD_OF(struct inner, inner_fields))),
    KONG_ARRAY_FIELD(struct config, nodes,
                     KONG_RECORD_ITEM(KONG_RECORD_OF(struct inner, inner_fields))),
    KONG_RECORD_FIELD(struct config, redis,
                      KONG_RECORD_OF(struct inner, inner_fields,
                                     KONG_CHECKS(KONG_MUTUALLY_REQUIRED("host", "port")))),
    KONG_RECORD_FIELD(struct config, spare, KONG_RECORD_OF(struct inner, inner_fields)),
};

static const struct kong_schema schema = KONG_SCHEMA(
    struct config, fields,
    KONG_CONFIG_CHECKS(KONG_AT_LEAST_ONE_OF("text", "bytes"), KONG_ONLY_ONE_OF("text", "maybe"),
                       KONG_DISTINCT("text", "chosen"), KONG_MUTUALLY_EXCLUSIVE("any", "all"),
                       KONG_CONDITIONAL("chosen", KONG_RULES(.eq_json = KONG_TEXT("two")),
                                        "redis.host", KONG_RULES(.required = true, .len_min = 2),
                                        .then_err = "two needs %s")));

/* --- what was decoded is whole, and within the rules --- */

static volatile size_t touched;

static size_t text(const char *string) {
    size_t len = string == NULL ? 0 : strlen(string);
    touched += len;
    return len;
}

static bool is(const char *string, const char *pattern) {
    struct lua_pattern_match match;
    return string == NULL ||
           lua_pattern_find(pattern, strlen(pattern), string, strlen(string), &match) == 1;
}

static bool between(double number, double min, double max) {
    return number >= min && number <= max;
}

static bool is_or_reference(const char *string, const char *pattern) {
    return is(string, pattern) || is(string, "^{vault://.*}$");
}

static void look_at_inner(const struct inner *inner) {
    REQUIRE(inner->host == NULL || (text(inner->host) > 0 && is(inner->host, "^[%w.-]+$")));
    REQUIRE(inner->port == NULL || (*inner->port >= 1 && *inner->port <= 65535));
    for (size_t i = 0; i < inner->weights.count; i++) {
        REQUIRE(text(inner->weights.entries[i].key) <= 4);
        touched += inner->weights.entries[i].value > 0;
    }
    REQUIRE(is_or_reference(inner->token, "^%d+$"));
}

static void look_at_texts(const struct config *config) {
    text(config->text);
    fuzz_touch_str(config->bytes);
    REQUIRE(config->chosen == NULL || strcmp(config->chosen, "one") == 0 ||
            strcmp(config->chosen, "two") == 0);
    REQUIRE(config->three == NULL || text(config->three) == 3);
    REQUIRE(config->some == NULL || (text(config->some) >= 2 && text(config->some) <= 5));
    REQUIRE(is(config->own, "^%a+$"));
    REQUIRE(config->plain == NULL || !is(config->plain, "^x"));
    REQUIRE(is(config->any, "^[ab]"));
    REQUIRE(is(config->all, "^%l") && is(config->all, "%d$"));
    REQUIRE(config->none == NULL || !is(config->none, "[%s%c]"));
    REQUIRE(config->id == NULL || text(config->id) == 36);
    REQUIRE(config->prefixed == NULL || config->prefixed[0] == '/');
    REQUIRE(config->any == NULL || config->all == NULL);
    text(config->secret);
}

static void look_at(const struct config *config) {
    look_at_texts(config);
    REQUIRE(config->integer == 7 || config->integer == 0);
    REQUIRE(config->level == NULL || *config->level == 1 || *config->level == 2 ||
            *config->level == 5);
    REQUIRE(config->more >= 0 && between(config->number, -1, 2));
    REQUIRE(config->rate == NULL || *config->rate > 0.25);
    touched += (size_t)(config->flag + (config->maybe != NULL && *config->maybe));
    REQUIRE(config->words.count <= 3);
    for (size_t i = 0; i < config->words.count; i++) {
        REQUIRE(config->words.items[i] != NULL && is_or_reference(config->words.items[i], "^%l+$"));
    }
    for (size_t i = 0; i < config->groups.count; i++) {
        REQUIRE(config->groups.items[i].count == 2);
        REQUIRE(text(config->groups.items[i].items[0]) > 0);
        REQUIRE(text(config->groups.items[i].items[1]) > 0);
    }
    REQUIRE(config->tags.count <= 2);
    REQUIRE(config->tags.count < 2 || strcmp(config->tags.items[0], config->tags.items[1]) != 0);
    REQUIRE(config->names.count <= 3);
    for (size_t i = 0; i < config->names.count; i++) {
        REQUIRE(is(config->names.entries[i].key, "^%w+$"));
        text(config->names.entries[i].value);
    }
    for (size_t i = 0; i < config->peers.count; i++) {
        text(config->peers.entries[i].key);
        look_at_inner(&config->peers.entries[i].value);
    }
    for (size_t i = 0; i < config->nodes.count; i++) {
        look_at_inner(&config->nodes.items[i]);
    }
    look_at_inner(&config->redis);
    REQUIRE((config->redis.host == NULL) == (config->redis.port == NULL));
    REQUIRE(config->chosen == NULL || strcmp(config->chosen, "two") != 0 ||
            text(config->redis.host) >= 2);
    if (config->spare != NULL) {
        look_at_inner(config->spare);
    }
}

/* Lines for a log and for Kong: not empty, one line each, of bounded length and number. */
static void look_at_report(const struct schema_result *result) {
    REQUIRE(result->count > 0 && result->count <= 65);
    for (size_t i = 0; i < result->count; i++) {
        REQUIRE(result->lines[i] != NULL && result->lines[i][0] != '\0');
        REQUIRE(strlen(result->lines[i]) < 2048);
        REQUIRE(strchr(result->lines[i], '\n') == NULL);
        REQUIRE(strchr(result->lines[i], '\r') == NULL);
    }
}

static int decode(struct kong_str text, enum schema_source source) {
    struct arena arena;
    struct schema_result result;
    arena_init(&arena, (size_t)64 << 20);
    int rc = schema_decode(&schema, text, source, &arena, &result);
    REQUIRE(rc == 0 || rc == 1);
    REQUIRE((rc == 0) == (result.config != NULL));
    REQUIRE((result.ignored != NULL) == (result.ignored_count > 0));
    REQUIRE(source == SCHEMA_FROM_KONG || result.ignored == NULL);
    if (rc == 1) {
        look_at_report(&result);
    } else if (source == SCHEMA_FROM_USER) {
        look_at(result.config);
    }
    struct scope scope;
    char line[200];
    scope_read(&scope, result.tree, &arena);
    scope_describe(&scope, line, sizeof line);
    json_decref(result.tree);
    arena_free(&arena);
    return rc;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len) {
    static bool checked;
    char error[256] = "";
    if (!checked) {
        REQUIRE(schema_check(&schema, error, sizeof error) == 0);
        checked = true;
    }
    struct kong_str text = {(const char *)data, len};
    int strict = decode(text, SCHEMA_FROM_USER);
    int lenient = decode(text, SCHEMA_FROM_KONG);
    REQUIRE(lenient <= strict); /* what the Admin API takes can be started */
    return 0;
}
