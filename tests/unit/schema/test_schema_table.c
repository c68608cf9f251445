/* A table with a mistake in it is refused, with a line that says where. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "schema.h"

struct inner {
    const char *host;
};
struct config {
    const char *text;
    int64_t number;
    const bool *flag;
    KONG_ARRAY_OF(const char *) list;
    KONG_MAP_OF(int64_t) map;
    struct inner inner;
    char tail[64];
};

/* A schema of the one row, with the checks if there are any. */
#define REFUSED(expected, ...)                                                                     \
    do {                                                                                           \
        const KONG_FIELDS(struct config) fields_[] = {__VA_ARGS__};                                \
        const struct kong_schema schema_ = KONG_SCHEMA(struct config, fields_);                    \
        refused(&schema_, expected);                                                               \
    } while (0)
#define REFUSED_CHECK(expected, ...)                                                               \
    do {                                                                                           \
        const KONG_FIELDS(struct config) fields_[] = {KONG_STRING_FIELD(struct config, text)};     \
        const struct kong_schema schema_ =                                                         \
            KONG_SCHEMA(struct config, fields_, KONG_CONFIG_CHECKS(__VA_ARGS__));                  \
        refused(&schema_, expected);                                                               \
    } while (0)

static void refused(const struct kong_schema *schema, const char *expected) {
    char error[256] = "";
    int rc = schema_check(schema, error, sizeof error);
    if (expected == NULL) {
        assert_string_equal(error, "");
        assert_int_equal(rc, 0);
        return;
    }
    char line[256];
    snprintf(line, sizeof line, "schema: %s", expected);
    assert_string_equal(error, line);
    assert_int_equal(rc, -1);
    /* Any size of buffer will do. */
    assert_int_equal(schema_check(schema, error, 0), -1);
    assert_int_equal(schema_check(schema, error, 1), -1);
    assert_string_equal(error, "");
}

#define TEXT(...)   KONG_STRING_FIELD(struct config, text, __VA_ARGS__)
#define NUMBER(...) KONG_INTEGER_FIELD(struct config, number, __VA_ARGS__)

static void sound_tables_pass(void **state) {
    (void)state;
    refused(NULL, NULL);
    const KONG_FIELDS(struct inner)
        inner[] = {KONG_STRING_FIELD(struct inner, host, .default_json = KONG_TEXT("x"))};
    REFUSED(NULL, TEXT(.match = "^%l+$", .default_json = KONG_TEXT("abc"), .len_max = 3),
            NUMBER(.default_json = "3", .between = KONG_BETWEEN(3, 3)),
            KONG_BOOLEAN_FIELD(struct config, flag, .default_json = "false"),
            KONG_ARRAY_FIELD(struct config, list, KONG_STRING_ITEM(), .default_json = "[]"),
            KONG_MAP_FIELD(struct config, map, KONG_STRING_ITEM(), KONG_INTEGER_ITEM(),
                           .default_json = "{\"a\": 1}"),
            KONG_RECORD_FIELD(struct config, inner, KONG_RECORD_OF(struct inner, inner)));
    REFUSED_CHECK(
        NULL, KONG_DISTINCT("text"),
        KONG_CONDITIONAL("text", KONG_RULES(.match = "x"), "text", KONG_RULES(.required = true)));
}

static void defaults_keep_their_rules(void **state) {
    (void)state;
    REFUSED("config.text: default: expected a string", TEXT(.default_json = "7"));
    REFUSED("config.text: the default is not JSON: abc", TEXT(.default_json = "abc"));
    REFUSED("config.text: default: invalid value: A",
            TEXT(.match = "^%l+$", .default_json = KONG_TEXT("A")));
    REFUSED("config.text: default: length must be at least 1", TEXT(.default_json = KONG_TEXT("")));
    REFUSED("config.text: default: required field missing", TEXT(.default_json = "null"));
    REFUSED("config.text: default: expected a string without NUL",
            TEXT(.default_json = KONG_TEXT("a\\u0000")));
    REFUSED("config.number: default: expected an integer", NUMBER(.default_json = "1.5"));
    REFUSED("config.list: default[2]: expected a string",
            KONG_ARRAY_FIELD(struct config, list, KONG_STRING_ITEM(), .default_json = "[\"a\",1]"));
}

static void rules_fit_their_type(void **state) {
    (void)state;
    REFUSED("config.number: match is not for the type integer", NUMBER(.match = "x"));
    REFUSED("config.number: one_of is not for the type integer",
            NUMBER(.one_of = KONG_STRINGS("1")));
    REFUSED("config.text: between is not for the type string", TEXT(.between = KONG_BETWEEN(1, 2)));
    REFUSED("config.text: gt is not for the type string", TEXT(.gt = KONG_GT(0)));
    REFUSED("config.flag: len_max is not for the type boolean",
            KONG_BOOLEAN_FIELD(struct config, flag, .len_max = 3));
    REFUSED("config.list.(elements): between is not for the type string",
            KONG_ARRAY_FIELD(struct config, list, KONG_STRING_ITEM(.between = KONG_BETWEEN(1, 2))));
}

static void patterns_compile(void **state) {
    (void)state;
    REFUSED("config.text: match \"[a\": malformed pattern (missing ']')", TEXT(.match = "[a"));
    REFUSED("config.text: not_match \"a%\": malformed pattern (ends with '%')",
            TEXT(.not_match = "a%"));
    REFUSED("config.text: match_all \"(a\": unfinished capture",
            TEXT(.match_all = KONG_PATTERNS({"a", NULL}, {"(a", NULL})));
    REFUSED("config.text: match_none \"a)\": invalid pattern capture",
            TEXT(.match_none = KONG_PATTERNS({"a)", NULL})));
    REFUSED("config.text: match_any \"%b\": unbalanced pattern",
            TEXT(.match_any = KONG_STRINGS("a", "%b")));
    REFUSED("config.text: match is empty: Kong takes no empty text", TEXT(.match = ""));
    REFUSED("config.text: starts_with or err is empty: Kong takes no empty text",
            TEXT(.starts_with = ""));
}

static void rules_can_be_kept(void **state) {
    (void)state;
    REFUSED("config.number: between: nothing is", NUMBER(.between = KONG_BETWEEN(2, 1)));
    REFUSED("config.number: between: Kong 2.8 takes whole numbers only",
            NUMBER(.between = KONG_BETWEEN(-1.5, 1)));
    REFUSED("config.text: len_min is above len_max", TEXT(.len_min = 3, .len_max = 2));
    REFUSED("config.text: one_of is empty", TEXT(.one_of = (const char *const[]){NULL}));
    REFUSED("config.text: eq_json is not the JSON text of a scalar", TEXT(.eq_json = "[]"));
    REFUSED("config.text: match_any_err without match_any", TEXT(.match_any_err = "x"));
    REFUSED("config.text: Kong takes descriptions of 10 to 500 bytes",
            TEXT(.description = "short"));
}

static void names_are_sound(void **state) {
    (void)state;
    REFUSED("config: two fields are named \"text\"", TEXT(.required = true), TEXT(.len_max = 1));
    KONG_FIELDS(struct config) row = TEXT(.required = true);
    static const char *const NAMES[] = {NULL, "", "a.b", "@entity"};
    for (size_t i = 0; i < sizeof NAMES / sizeof NAMES[0]; i++) {
        row.field.name = NAMES[i];
        row.field.member = NULL;
        REFUSED("config: field 1 has no name, or one with '.' or '@'", {row.field});
    }
    row.field.name = "service_id";
    REFUSED("config: \"service_id\" is a key of Kong's own", {row.field});
}

/* What the compiler cannot see, or a table written by hand. */
static void members_are_there(void **state) {
    (void)state;
    static const KONG_FIELDS(struct inner) far[] = {
        {{.name = "x", .type = KONG_FIELD_STRING, .slot = {KONG_FORM_TEXT, 4, sizeof(char *)}}}};
    REFUSED("config.inner.x: the struct has no such member",
            KONG_RECORD_FIELD(struct config, inner, KONG_RECORD_OF(struct inner, far)));
    const KONG_FIELDS(struct config) number = NUMBER(.required = true);
    struct kong_field field = number.field;
    field.type = KONG_FIELD_STRING;
    REFUSED("config.number: the struct has no such member", {field});
    field = (struct kong_field){.name = "x"};
    REFUSED("config.x: no type", {field});
    field.type = KONG_FIELD_RECORD;
    REFUSED("config.x: a record needs fields", {field});
    field.type = KONG_FIELD_ARRAY;
    REFUSED("config.x: a list needs elements", {field});
    field.type = KONG_FIELD_MAP;
    REFUSED("config.x: a map needs keys and values", {field});
    const KONG_FIELDS(struct config) map =
        KONG_MAP_FIELD(struct config, map, KONG_STRING_ITEM(), KONG_INTEGER_ITEM());
    field = map.field;
    field.keys = field.values;
    REFUSED("config.map: the keys of a map are strings", {field});
}

static struct kong_record endless;
static struct kong_field endless_fields[] = {
    {.name = "again", .type = KONG_FIELD_RECORD, .record = &endless}};

static void records_end(void **state) {
    (void)state;
    char error[512];
    endless = (struct kong_record){sizeof(void *), endless_fields, 1, NULL, 0};
    endless_fields[0].slot = (struct kong_slot){KONG_FORM_POINTER, 0, sizeof(void *)};
    const struct kong_schema schema = {.config = endless};
    assert_int_equal(schema_check(&schema, error, sizeof error), -1);
    assert_non_null(strstr(error, "again: nested deeper than 32"));
}

static void checks_name_fields(void **state) {
    (void)state;
    REFUSED_CHECK("config: distinct: no field \"other\"", KONG_DISTINCT("text", "other"));
    REFUSED_CHECK("config: only_one_of: no field \"text.x\"", KONG_ONLY_ONE_OF("text.x"));
    REFUSED_CHECK(
        "config: conditional: no field \"y\", or no rules for it",
        KONG_CONDITIONAL("text", KONG_RULES(.required = true), "y", KONG_RULES(.required = true)));
    REFUSED_CHECK("config: gt is not for the type string",
                  KONG_CONDITIONAL("text", KONG_RULES(.gt = KONG_GT(1)), "text",
                                   KONG_RULES(.required = true)));
    REFUSED_CHECK(
        "config: conditional: Kong takes no err there",
        KONG_CONDITIONAL("text", KONG_RULES(.err = "x"), "text", KONG_RULES(.required = true)));
    REFUSED_CHECK("config: conditional: then_err takes one %s, and no other %",
                  KONG_CONDITIONAL("text", KONG_RULES(.match = "x"), "text",
                                   KONG_RULES(.required = true), .then_err = "%s and %d"));
    REFUSED_CHECK("config: an entity check without a type", {.fields = KONG_STRINGS("text")});
    REFUSED_CHECK("config: distinct of no fields", {.type = KONG_CHECK_DISTINCT});
}

/* A name that is none in C, and where it stands. */
static void names_need_not_be_identifiers(void **state) {
    (void)state;
    REFUSED(NULL, TEXT(.name = "my-text"), NUMBER(.name = "default", .default_json = "3"));
    REFUSED("config.my-text: match is empty: Kong takes no empty text",
            TEXT(.name = "my-text", .match = ""));
    REFUSED("config: two fields are named \"number\"", TEXT(.name = "number"),
            NUMBER(.required = false));
    REFUSED("config: \"$refs\" is a key of Kong's own", TEXT(.name = "$refs"));
    static const KONG_FIELDS(struct inner)
        inner[] = {KONG_STRING_FIELD(struct inner, host, .name = "$refs")};
    REFUSED("config.inner: \"$refs\" is a key of Kong's own",
            KONG_RECORD_FIELD(struct config, inner, KONG_RECORD_OF(struct inner, inner)));
    static const KONG_FIELDS(struct inner)
        kong[] = {KONG_STRING_FIELD(struct inner, host, .name = "route_id")};
    REFUSED(NULL, KONG_RECORD_FIELD(struct config, inner, KONG_RECORD_OF(struct inner, kong)));
}

#define BIT(phase) (1u << KONG_PHASE_##phase)

static void protocols_are(unsigned phases, const char *expected) {
    char text[200] = "";
    const char *const *protocols = schema_protocols(NULL, phases);
    for (; *protocols != NULL; protocols++) {
        strcat(strcat(text, " "), *protocols);
    }
    assert_string_equal(text + 1, expected);
    assert_int_equal(schema_check_protocols(NULL, phases, text, sizeof text), 0);
}

/* Kong's own default, unless a phase runs elsewhere. */
static void protocols_follow_the_phases(void **state) {
    (void)state;
    static const char http[] = "grpc grpcs http https";
    static const char stream[] = "tcp tls tls_passthrough udp";
    protocols_are(BIT(ACCESS), http);
    protocols_are(BIT(REWRITE) | BIT(LOG) | BIT(CERTIFICATE), http);
    protocols_are(BIT(LOG), http);
    protocols_are(0, http);
    protocols_are(BIT(RESPONSE), http);
    protocols_are(BIT(HEADER_FILTER), http);
    protocols_are(BIT(PREREAD), stream);
    protocols_are(BIT(PREREAD) | BIT(LOG) | BIT(CERTIFICATE), stream);
    protocols_are(BIT(PREREAD) | BIT(ACCESS), "grpc grpcs http https tcp tls tls_passthrough udp");
    protocols_are(BIT(CERTIFICATE), "grpcs https tls");
    protocols_are(BIT(CERTIFICATE) | BIT(LOG), "grpcs https tls");
}

static void check_protocols(const char *const *protocols, unsigned phases, const char *expected) {
    const struct kong_schema schema = {.protocols = protocols};
    char error[256] = "";
    assert_ptr_equal(schema_protocols(&schema, phases), protocols);
    int rc = schema_check_protocols(&schema, phases, error, sizeof error);
    assert_string_equal(error, expected);
    assert_int_equal(rc, expected[0] == '\0' ? 0 : -1);
}

static void phases_run_on_the_protocols(void **state) {
    (void)state;
    check_protocols(KONG_STRINGS("http", "ftp"), BIT(ACCESS), ".protocols: Kong knows no \"ftp\"");
    check_protocols(KONG_STRINGS(NULL), BIT(ACCESS),
                    ".protocols is empty: leave it out, or name some");
    check_protocols(KONG_STRINGS("tcp", "tls"), BIT(PREREAD) | BIT(LOG) | BIT(CERTIFICATE), "");
    check_protocols(KONG_STRINGS("http"), BIT(ACCESS) | BIT(LOG), "");
    check_protocols(KONG_STRINGS("wss"), BIT(ACCESS) | BIT(CERTIFICATE), "");
    check_protocols(KONG_STRINGS("http", "tcp"), BIT(ACCESS) | BIT(PREREAD), "");
    check_protocols(KONG_STRINGS("tcp", "udp"), BIT(LOG) | BIT(ACCESS),
                    "Kong runs the phase access on none of its .protocols: add one of grpc, grpcs, "
                    "http, https, or take the handler away");
    check_protocols(KONG_STRINGS("http", "grpc"), BIT(PREREAD),
                    "Kong runs the phase preread on none of its .protocols: add one of tcp, tls, "
                    "tls_passthrough, udp, or take the handler away");
    check_protocols(KONG_STRINGS("http", "tcp"), BIT(CERTIFICATE),
                    "Kong runs the phase certificate on none of its .protocols: add one of grpcs, "
                    "https, tls, or take the handler away");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sound_tables_pass),
        cmocka_unit_test(defaults_keep_their_rules),
        cmocka_unit_test(rules_fit_their_type),
        cmocka_unit_test(patterns_compile),
        cmocka_unit_test(rules_can_be_kept),
        cmocka_unit_test(names_are_sound),
        cmocka_unit_test(members_are_there),
        cmocka_unit_test(records_end),
        cmocka_unit_test(checks_name_fields),
        cmocka_unit_test(phases_run_on_the_protocols),
        cmocka_unit_test(protocols_follow_the_phases),
        cmocka_unit_test(names_need_not_be_identifiers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
