/* Rules on one value, and over several fields. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "schema_lines.h"

struct rules {
    const char *method, *kind, *id, *path, *slug, *code, *plain, *any, *any_own, *own, *secret,
        *fixed;
    int64_t level, port, more;
    double rate;
};

static const KONG_FIELDS(struct rules) rules_fields[] = {
    KONG_STRING_FIELD(struct rules, method, .one_of = KONG_STRINGS("GET", "POST", "PUT")),
    KONG_STRING_FIELD(struct rules, kind, .eq_json = KONG_TEXT("basic"),
                      .default_json = KONG_TEXT("basic")),
    KONG_STRING_FIELD(struct rules, id, .uuid = true),
    KONG_STRING_FIELD(struct rules, path, .starts_with = "/", .not_match = "//", .len_max = 8),
    KONG_STRING_FIELD(struct rules, slug,
                      .match_all = KONG_PATTERNS({"^%l", "must start with a letter"},
                                                 {"%d$", NULL})),
    KONG_STRING_FIELD(struct rules, code, .len_eq = 3,
                      .match_none = KONG_PATTERNS({"%s", "no space, please"}, {"%c", NULL})),
    KONG_STRING_FIELD(struct rules, plain, .not_match = "^x"),
    KONG_STRING_FIELD(struct rules, any, .match_any = KONG_STRINGS("^a", "^b")),
    KONG_STRING_FIELD(struct rules, any_own, .match_any = KONG_STRINGS("^a", "^b"),
                      .match_any_err = "starts with a or b"),
    KONG_STRING_FIELD(struct rules, own, .match = "^%d+$", .err = "digits, 100% of them"),
    KONG_STRING_FIELD(struct rules, secret, .referenceable = true, .len_max = 4),
    KONG_STRING_FIELD(struct rules, fixed, .eq_json = "null"),
    KONG_INTEGER_FIELD(struct rules, level, .one_of_numbers = KONG_NUMBERS(1, 2, 5)),
    KONG_INTEGER_FIELD(struct rules, port, .between = KONG_BETWEEN(1, 65535)),
    KONG_INTEGER_FIELD(struct rules, more, .gt = KONG_GT(0)),
    KONG_NUMBER_FIELD(struct rules, rate, .gt = KONG_GT(0.25), .between = KONG_BETWEEN(-1, 2)),
};
static const struct kong_schema rules = KONG_SCHEMA(struct rules, rules_fields);

static void sound_values_pass(void **state) {
    (void)state;
    CHECK_GOOD(
        &rules,
        "{\"method\":\"PUT\",\"kind\":\"basic\",\"id\":\"7A267194-6123-5ee0-a1c9-4c1559eb0d95\","
        "\"path\":\"/a/b/c/d\",\"slug\":\"a1\",\"code\":\"abc\",\"plain\":\"ax\",\"any\":\"b\","
        "\"any_own\":\"a\",\"own\":\"42\",\"secret\":\"{vault://env/secret}\",\"fixed\":null,"
        "\"level\":5,\"port\":65535,\"more\":1,\"rate\":1.5}");
}

static void strings_are_held_to_their_rules(void **state) {
    (void)state;
    CHECK(&rules, "{\"method\":\"get\"}", "config.method: expected one of: GET, POST, PUT");
    CHECK(&rules, "{\"method\":\"\"}", "config.method: expected one of: GET, POST, PUT");
    CHECK(&rules, "{\"kind\":\"other\"}", "config.kind: value must be basic");
    CHECK(&rules, "{\"kind\":null}", "config.kind: value must be basic");
    CHECK(&rules, "{\"id\":\"7a267194-6123-5ee0-a1c9-4c1559eb0d9\"}",
          "config.id: expected a valid UUID");
    CHECK(&rules, "{\"id\":\"7a267194+6123-5ee0-a1c9-4c1559eb0d95\"}",
          "config.id: expected a valid UUID");
    CHECK(&rules, "{\"id\":\"7a267194-6123-5ee0-a1c9-4c1559eb0d9g\"}",
          "config.id: expected a valid UUID");
    CHECK(&rules, "{\"path\":\"a\"}", "config.path: should start with: /");
    CHECK(&rules, "{\"path\":\"\"}", "config.path: length must be at least 1");
    CHECK(&rules, "{\"path\":\"/12345678\"}", "config.path: length must be at most 8");
    CHECK(&rules, "{\"path\":\"/a//b\"}", "config.path: invalid value: /a//b");
    CHECK(&rules, "{\"slug\":\"1\"}", "config.slug: must start with a letter");
    CHECK(&rules, "{\"slug\":\"a\"}", "config.slug: invalid value: a");
    CHECK(&rules, "{\"code\":\"ab\"}", "config.code: length must be 3");
    CHECK(&rules, "{\"code\":\"a b\"}", "config.code: no space, please");
    CHECK(&rules, "{\"code\":\"a\\u0001b\"}", "config.code: invalid value: a\\u0001b");
    CHECK(&rules, "{\"plain\":\"xa\"}", "config.plain: invalid value: xa");
    CHECK(&rules, "{\"any\":\"c\"}", "config.any: invalid value: c");
    CHECK(&rules, "{\"any_own\":\"c\"}", "config.any_own: starts with a or b");
    CHECK(&rules, "{\"own\":\"x\"}", "config.own: digits, 100% of them");
    CHECK(&rules, "{\"own\":1}", "config.own: expected a string");
    CHECK(&rules, "{\"secret\":\"12345\"}", "config.secret: length must be at most 4");
    CHECK(&rules, "{\"secret\":\"{vault://env\"}", "config.secret: length must be at most 4");
    CHECK(&rules, "{\"fixed\":\"x\"}", "config.fixed: value must be null");
}

static void numbers_are_held_to_their_rules(void **state) {
    (void)state;
    CHECK(&rules, "{\"level\":3}", "config.level: expected one of: 1, 2, 5");
    CHECK(&rules, "{\"port\":0}", "config.port: value should be between 1 and 65535");
    CHECK(&rules, "{\"port\":65536}", "config.port: value should be between 1 and 65535");
    CHECK(&rules, "{\"more\":0}", "config.more: value must be greater than 0");
    CHECK(&rules, "{\"rate\":0.25}", "config.rate: value must be greater than 0.25");
    CHECK(&rules, "{\"rate\":2.51}", "config.rate: value should be between -1 and 2");
}

/* A pattern that would take for ever is given up, and said. */
struct slow {
    const char *text;
};
static const KONG_FIELDS(struct slow) slow_fields[] = {
    KONG_STRING_FIELD(struct slow, text, .match = ".-.-.-.-.-.-b$"),
};
static const struct kong_schema slow = KONG_SCHEMA(struct slow, slow_fields);

static void slow_patterns_are_given_up(void **state) {
    (void)state;
    char json[3100];
    size_t len = 0;
    memcpy(json, "{\"text\":\"", 9);
    len = 9;
    memset(json + len, 'a', 3000);
    len += 3000;
    memcpy(json + len, "\"}", 2);
    check_lines(&slow, json, len + 2,
                (const char *const[]){"config.text: cannot be checked: pattern too complex", NULL});
}

/* --- Over several fields ------------------------------------------------------------------ */

struct inner {
    const char *a, *b;
};

struct several {
    const char *a, *b, *c, *policy, *host, *secret;
    const int64_t *n, *m;
    KONG_ARRAY_OF(const char *) list;
    struct inner inner;
};

static const KONG_FIELDS(struct inner) inner_fields[] = {
    KONG_STRING_FIELD(struct inner, a),
    KONG_STRING_FIELD(struct inner, b),
};

#define SEVERAL_FIELDS                                                                             \
    KONG_STRING_FIELD(struct several, a, .allow_empty = true),                                     \
        KONG_STRING_FIELD(struct several, b, .match = "^%l"),                                      \
        KONG_STRING_FIELD(struct several, c),                                                      \
        KONG_STRING_FIELD(struct several, policy, .one_of = KONG_STRINGS("local", "redis")),       \
        KONG_STRING_FIELD(struct several, host),                                                   \
        KONG_STRING_FIELD(struct several, secret, .referenceable = true),                          \
        KONG_INTEGER_FIELD(struct several, n), KONG_INTEGER_FIELD(struct several, m),              \
        KONG_ARRAY_FIELD(struct several, list, KONG_STRING_ITEM()),                                \
        KONG_RECORD_FIELD(                                                                         \
            struct several, inner,                                                                 \
            KONG_RECORD_OF(struct inner, inner_fields, KONG_CHECKS(KONG_DISTINCT("a", "b"))),      \
            .required = true)

static const KONG_FIELDS(struct several) several_fields[] = {SEVERAL_FIELDS};
#define SEVERAL(...) KONG_SCHEMA(struct several, several_fields, KONG_CONFIG_CHECKS(__VA_ARGS__))

static const struct kong_schema at_least_one =
    SEVERAL(KONG_AT_LEAST_ONE_OF("a", "list", "inner.a"));
static const struct kong_schema only_one = SEVERAL(KONG_ONLY_ONE_OF("a", "b", "n"));
static const struct kong_schema distinct =
    SEVERAL(KONG_DISTINCT("a", "b", "inner.a"), KONG_DISTINCT("n", "m", "a"));
static const struct kong_schema all_or_none = SEVERAL(KONG_MUTUALLY_REQUIRED("a", "b"));
static const struct kong_schema at_most_one = SEVERAL(KONG_MUTUALLY_EXCLUSIVE("a", "b", "list"));
static const struct kong_schema conditional =
    SEVERAL(KONG_CONDITIONAL("policy", KONG_RULES(.eq_json = KONG_TEXT("redis")), "host",
                             KONG_RULES(.required = true)),
            KONG_CONDITIONAL("a", KONG_RULES(.match = "^long$"), "b", KONG_RULES(.len_min = 5),
                             .then_err = "b goes with '%s'"),
            KONG_CONDITIONAL("a", KONG_RULES(.match = "^both$", .required = true), "b",
                             KONG_RULES(.required = true), .then_err = "not said"));

static const struct kong_schema unset_holds =
    SEVERAL(KONG_CONDITIONAL("a", KONG_RULES(.match = "^x"), "b", KONG_RULES(.required = true)));

static void at_least_one_of(void **state) {
    (void)state;
    static const char *const LINES[] = {
        "config.@entity: at least one of these fields must be non-empty: 'a', 'list', 'inner.a'",
        NULL};
    check_lines(&at_least_one, "{}", 2, LINES);
    check_lines(&at_least_one, "{\"a\":\"\",\"list\":[]}", 18, LINES);
    CHECK_GOOD(&at_least_one, "{\"a\":\"x\"}");
    CHECK_GOOD(&at_least_one, "{\"list\":[\"x\"]}");
    CHECK_GOOD(&at_least_one, "{\"inner\":{\"a\":\"x\"}}");
}

static void only_one_of(void **state) {
    (void)state;
    static const char LINE[] =
        "config.@entity: exactly one of these fields must be non-empty: 'a', 'b', 'n'";
    CHECK(&only_one, "{}", LINE);
    CHECK(&only_one, "{\"a\":\"x\",\"n\":0}", LINE);
    CHECK(&only_one, "{\"a\":\"x\",\"b\":\"x\",\"n\":0}", LINE);
    CHECK_GOOD(&only_one, "{\"n\":0}");
    /* Also when one of them is wrong. */
    CHECK(&only_one, "{\"a\":\"x\",\"b\":\"X\"}", LINE, "config.b: invalid value: X");
}

static void distinct_values(void **state) {
    (void)state;
    CHECK(&distinct, "{\"a\":\"x\",\"b\":\"x\"}",
          "config.@entity: values of these fields must be distinct: 'a', 'b', 'inner.a'");
    CHECK(&distinct, "{\"a\":\"x\",\"inner\":{\"a\":\"x\"}}",
          "config.@entity: values of these fields must be distinct: 'a', 'b', 'inner.a'");
    CHECK(&distinct, "{\"a\":\"x\",\"b\":\"x\",\"n\":1,\"m\":1}",
          "config.@entity: values of these fields must be distinct: 'a', 'b', 'inner.a'",
          "config.@entity: values of these fields must be distinct: 'n', 'm', 'a'");
    CHECK(&distinct, "{\"inner\":{\"a\":\"x\",\"b\":\"x\"}}",
          "config.inner.@entity: values of these fields must be distinct: 'a', 'b'");
    CHECK_GOOD(&distinct, "{\"a\":\"\",\"b\":null}");
    CHECK_GOOD(&distinct, "{\"a\":\"1\",\"n\":1}");
    CHECK_GOOD(&distinct, "{\"a\":\"X\",\"b\":\"x\"}");
}

static void mutual_rules(void **state) {
    (void)state;
    CHECK(&all_or_none, "{\"a\":\"x\"}",
          "config.@entity: all or none of these fields must be set: 'a', 'b'");
    CHECK_GOOD(&all_or_none, "{}");
    CHECK_GOOD(&all_or_none, "{\"a\":\"x\",\"b\":\"x\"}");
    CHECK(&at_most_one, "{\"a\":\"x\",\"list\":[\"x\"]}",
          "config.@entity: only one or none of these fields must be set: 'a', 'b', 'list'");
    CHECK_GOOD(&at_most_one, "{\"a\":\"x\",\"list\":[]}");
    /* Not when one of them is wrong itself. */
    CHECK(&at_most_one, "{\"a\":\"x\",\"b\":\"X\"}", "config.b: invalid value: X");
}

static void conditional_rules(void **state) {
    (void)state;
    CHECK(&conditional, "{\"policy\":\"redis\"}",
          "config.@entity: failed conditional validation given value of field 'policy'",
          "config.host: required field missing");
    CHECK_GOOD(&conditional, "{\"policy\":\"redis\",\"host\":\"h\"}");
    CHECK_GOOD(&conditional, "{\"policy\":\"local\"}");
    CHECK_GOOD(&conditional, "{}");
    CHECK(&conditional, "{\"policy\":\"other\"}", "config.policy: expected one of: local, redis");
    /* The field's own rules hold as well; the author's text names the first field. */
    CHECK(&conditional, "{\"a\":\"long\",\"b\":\"abc\"}", "config.@entity: b goes with 'a'",
          "config.b: length must be at least 5");
    CHECK(&conditional, "{\"a\":\"long\",\"b\":\"ABCDE\"}", "config.@entity: b goes with 'a'",
          "config.b: invalid value: ABCDE");
    CHECK_GOOD(&conditional, "{\"a\":\"long\",\"b\":\"abcde\"}");
    CHECK_GOOD(&conditional, "{\"a\":\"long\"}");
    /* Unset keeps each rule but eq and required: with them in the condition, it does not hold. */
    CHECK(&unset_holds, "{}",
          "config.@entity: failed conditional validation given value of field 'a'",
          "config.b: required field missing");
    /* Of a field that is missing Kong says its own text, whatever the author's. */
    CHECK(&conditional, "{\"a\":\"both\"}",
          "config.@entity: failed conditional validation given value of field 'a'",
          "config.b: required field missing");
}

/* --- With a required field that is not there, and with references ------------------------- */

struct needs {
    const char *a, *b, *secret;
};
static const KONG_FIELDS(struct needs) needs_fields[] = {
    KONG_STRING_FIELD(struct needs, a, .required = true),
    KONG_STRING_FIELD(struct needs, b),
    KONG_STRING_FIELD(struct needs, secret, .referenceable = true),
};
static const struct kong_schema needs_one =
    KONG_SCHEMA(struct needs, needs_fields, KONG_CONFIG_CHECKS(KONG_ONLY_ONE_OF("a", "b")));
static const struct kong_schema needs_many = KONG_SCHEMA(
    struct needs, needs_fields,
    KONG_CONFIG_CHECKS(KONG_DISTINCT("a", "b"), KONG_ONLY_ONE_OF("b", "a"), KONG_DISTINCT("b", "a"),
                       KONG_ONLY_ONE_OF("a", "b"), KONG_MUTUALLY_EXCLUSIVE("a", "b")));
static const struct kong_schema needs =
    KONG_SCHEMA(struct needs, needs_fields, KONG_CONFIG_CHECKS(KONG_DISTINCT("a", "b")));
static const struct kong_schema secrets =
    KONG_SCHEMA(struct needs, needs_fields, KONG_CONFIG_CHECKS(KONG_DISTINCT("b", "secret")));

static void checks_need_their_fields(void **state) {
    (void)state;
    CHECK(&needs, "{\"b\":\"x\"}", "config.a: field required for entity check");
    CHECK(&needs, "{\"a\":null}", "config.a: required field missing");
    /* then the check itself is not made */
    CHECK(&needs_one, "{}", "config.a: field required for entity check");
    CHECK(&needs_one, "{\"a\":\"x\",\"b\":\"y\"}",
          "config.@entity: exactly one of these fields must be non-empty: 'a', 'b'");
    /* several, in their order */
    CHECK(&needs_many, "{\"a\":\"x\",\"b\":\"x\"}",
          "config.@entity: values of these fields must be distinct: 'a', 'b'",
          "config.@entity: exactly one of these fields must be non-empty: 'b', 'a'",
          "config.@entity: values of these fields must be distinct: 'b', 'a'",
          "config.@entity: exactly one of these fields must be non-empty: 'a', 'b'",
          "config.@entity: only one or none of these fields must be set: 'a', 'b'");
    CHECK(&secrets, "{\"a\":\"a\",\"b\":\"x\",\"secret\":\"x\"}",
          "config.@entity: values of these fields must be distinct: 'b', 'secret'");
    CHECK_GOOD(&secrets, "{\"a\":\"a\",\"b\":\"{vault://x/y}\",\"secret\":\"{vault://x/y}\"}");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sound_values_pass),
        cmocka_unit_test(strings_are_held_to_their_rules),
        cmocka_unit_test(numbers_are_held_to_their_rules),
        cmocka_unit_test(slow_patterns_are_given_up),
        cmocka_unit_test(at_least_one_of),
        cmocka_unit_test(only_one_of),
        cmocka_unit_test(distinct_values),
        cmocka_unit_test(mutual_rules),
        cmocka_unit_test(conditional_rules),
        cmocka_unit_test(checks_need_their_fields),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
