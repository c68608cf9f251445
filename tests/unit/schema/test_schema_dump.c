/* What is made of a table: the Schema of the dump, the README's table. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "schema.h"

/* `expected` with ' for ", to be read. */
static void assert_json(json_t *got, const char *expected) {
    char *text = strdup(expected);
    assert_non_null(text);
    for (char *c = text; *c != '\0'; c++) {
        *c = *c == '\'' ? '"' : *c;
    }
    json_error_t error;
    json_t *wanted = json_loads(text, 0, &error);
    if (wanted == NULL) {
        fail_msg("line %d: %s", error.line, error.text);
    }
    if (got == NULL || !json_equal(got, wanted)) {
        char *shown = got == NULL ? NULL : json_dumps(got, JSON_INDENT(1));
        print_error("%s\n", shown == NULL ? "NULL" : shown);
        free(shown);
        fail_msg("not %s", text);
    }
    json_decref(wanted);
    json_decref(got);
    free(text);
}

struct headers {
    const char *response_header;
    const char *request_header;
};
static const KONG_FIELDS(struct headers) headers_fields[] = {
    KONG_STRING_FIELD(struct headers, response_header, .required = true, .match = "^[%w_-]+$",
                      .default_json = KONG_TEXT("Version"),
                      .description = "Header of the response."),
    KONG_STRING_FIELD(struct headers, request_header, .match = "^[%w_-]+$"),
};
static const struct kong_schema headers =
    KONG_SCHEMA(struct headers, headers_fields, .no_consumer = true,
                KONG_CONFIG_CHECKS(KONG_DISTINCT("request_header", "response_header")));

static void dumps_for_kong_3(void **state) {
    (void)state;
    assert_json(schema_to_json(&headers, "api-version", 1u << KONG_PHASE_ACCESS, 3),
                "{'name':'api-version','fields':["
                "{'consumer':{'type':'foreign','reference':'consumers','eq':null}},"
                "{'protocols':{'type':'set','elements':{'type':'string','one_of':['grpc','grpcs','"
                "http','https']},"
                "'default':['grpc','grpcs','http','https']}},"
                "{'config':{'type':'record','fields':["
                "{'response_header':{'type':'string','required':true,'default':'Version',"
                "'description':'Header of the response.','match':'^[%w_-]+$'}},"
                "{'request_header':{'type':'string','match':'^[%w_-]+$'}}],"
                "'entity_checks':[{'distinct':['request_header','response_header']}]}}]}");
}

static void contains_description(int kong_major, bool expected) {
    json_t *json = schema_to_json(&headers, "api-version", 1u << KONG_PHASE_ACCESS, kong_major);
    char *text = json_dumps(json, 0);
    assert_non_null(text);
    assert_int_equal(strstr(text, "description") != NULL, expected);
    free(text);
    json_decref(json);
}

/* Kong 2.8 does not start with one. */
static void leaves_descriptions_out_for_kong_2(void **state) {
    (void)state;
    contains_description(2, false);
    contains_description(3, true);
    contains_description(4, true);
}

static const struct kong_schema scopes = {
    .no_consumer = true, .no_route = true, .no_service = true, .protocols = KONG_STRINGS("tcp")};

static void dumps_no_configuration(void **state) {
    (void)state;
    static const char NOTHING[] =
        "{'name':'x','fields':[{'protocols':{'type':'set','elements':{'type':'string','one_of':"
        "['grpc','grpcs','http','https']},'default':['grpc','grpcs','http','https']}},{'config':{'"
        "type':'record','fields':[]}}]}";
    assert_json(schema_to_json(NULL, "x", 1u << KONG_PHASE_ACCESS, 3), NOTHING);

    assert_json(schema_to_json(&scopes, "x", 1u << KONG_PHASE_ACCESS, 2),
                "{'name':'x','fields':["
                "{'consumer':{'type':'foreign','reference':'consumers','eq':null}},"
                "{'route':{'type':'foreign','reference':'routes','eq':null}},"
                "{'service':{'type':'foreign','reference':'services','eq':null}},"
                "{'protocols':{'type':'set','elements':{'type':'string','one_of':['tcp']},"
                "'default':['tcp']}},{'config':{'type':'record','fields':[]}}]}");
}

/* --- Everything at once ------------------------------------------------------------------- */

struct redis {
    const char *host;
    int64_t port;
};
struct all {
    const char *text, *policy, *id;
    const int64_t *number;
    double rate;
    KONG_ARRAY_OF(const char *) methods;
    KONG_MAP_OF(int64_t) limits;
    struct redis redis;
    KONG_ARRAY_OF(struct redis) nodes;
};

static const KONG_FIELDS(struct redis) redis_fields[] = {
    KONG_STRING_FIELD(struct redis, host, .required = true),
    KONG_INTEGER_FIELD(struct redis, port, .default_json = "6379"),
};
static const KONG_FIELDS(struct all) all_fields[] = {
    KONG_STRING_FIELD(struct all, text, .starts_with = "a|b", .not_match = "`",
                      .match_all = KONG_PATTERNS({"^a", "first a"}, {"b$", NULL}),
                      .match_none = KONG_PATTERNS({"x", "no x"}), .err = "no good",
                      .match_any = KONG_STRINGS("a", "b"), .match_any_err = "any", .len_eq = 3,
                      .len_min = 1, .len_max = 3, .referenceable = true, .encrypted = true,
                      .description = "A text with a |, over\ntwo lines."),
    KONG_STRING_FIELD(struct all, policy, .one_of = KONG_STRINGS("local", "redis"),
                      .default_json = KONG_TEXT("local")),
    KONG_STRING_FIELD(struct all, id, .uuid = true, .allow_empty = true),
    KONG_INTEGER_FIELD(struct all, number, .one_of_numbers = KONG_NUMBERS(1, 2.5), .gt = KONG_GT(0),
                       .between = KONG_BETWEEN(-1, 100), .default_json = "1"),
    KONG_NUMBER_FIELD(struct all, rate, .default_json = "0.5"),
    KONG_SET_FIELD(struct all, methods, KONG_STRING_ITEM(.one_of = KONG_STRINGS("GET")),
                   .default_json = "[\"GET\"]", .len_min = 1),
    KONG_MAP_FIELD(struct all, limits, KONG_STRING_ITEM(.len_max = 8),
                   KONG_INTEGER_ITEM(.gt = KONG_GT(0))),
    KONG_RECORD_FIELD(struct all, redis,
                      KONG_RECORD_OF(struct redis, redis_fields,
                                     KONG_CHECKS(KONG_AT_LEAST_ONE_OF("host", "port"))),
                      .required = true),
    KONG_ARRAY_FIELD(struct all, nodes,
                     KONG_RECORD_ITEM(KONG_RECORD_OF(struct redis, redis_fields))),
};
static const struct kong_schema all = KONG_SCHEMA(
    struct all, all_fields,
    KONG_CONFIG_CHECKS(KONG_ONLY_ONE_OF("text", "id"), KONG_MUTUALLY_REQUIRED("text", "number"),
                       KONG_MUTUALLY_EXCLUSIVE("text", "id"),
                       KONG_CONDITIONAL("policy", KONG_RULES(.eq_json = KONG_TEXT("redis")),
                                        "redis.host", KONG_RULES(.required = true, .len_min = 2),
                                        .then_err = "redis needs %s")));

static void dumps_every_rule(void **state) {
    (void)state;
    json_t *schema = schema_to_json(&all, "x", 1u << KONG_PHASE_ACCESS, 2);
    json_t *config = json_incref(
        json_object_get(json_array_get(json_object_get(schema, "fields"), 1), "config"));
    json_decref(schema);
    assert_json(
        config,
        "{'type':'record','fields':["
        "{'text':{'type':'string','starts_with':'a|b','not_match':'`','len_eq':3,'len_min':1,"
        "'len_max':3,'match_all':[{'pattern':'^a','err':'first a'},{'pattern':'b$'}],"
        "'match_none':[{'pattern':'x','err':'no x'}],'err':'no good','referenceable':true,"
        "'encrypted':true,'match_any':{'patterns':['a','b'],'err':'any'}}},"
        "{'policy':{'type':'string','one_of':['local','redis'],'default':'local'}},"
        "{'id':{'type':'string','uuid':true,'len_min':0}},"
        "{'number':{'type':'integer','one_of':[1,2.5],'gt':0,'between':[-1,100],'default':1}},"
        "{'rate':{'type':'number','default':0.5}},"
        "{'methods':{'type':'set','elements':{'type':'string','one_of':['GET']},"
        "'default':['GET'],'len_min':1}},"
        "{'limits':{'type':'map','keys':{'type':'string','len_max':8},"
        "'values':{'type':'integer','gt':0}}},"
        "{'redis':{'type':'record','required':true,'fields':["
        "{'host':{'type':'string','required':true}},{'port':{'type':'integer','default':6379}}],"
        "'entity_checks':[{'at_least_one_of':['host','port']}]}},"
        "{'nodes':{'type':'array','elements':{'type':'record','fields':["
        "{'host':{'type':'string','required':true}},{'port':{'type':'integer','default':6379}}]}}}]"
        ","
        "'entity_checks':[{'only_one_of':['text','id']},{'mutually_required':['text','number']},"
        "{'mutually_exclusive':['text','id']},{'conditional':{'if_field':'policy',"
        "'if_match':{'eq':'redis'},'then_field':'redis.host',"
        "'then_match':{'required':true,'len_min':2},'then_err':'redis needs %s'}}]}");
}

static void prints_markdown(void **state) {
    (void)state;
    static const char EXPECTED[] =
        "| field | type | required | default | rules | description |\n"
        "|---|---|---|---|---|---|\n"
        "| `text` | string | no |  | length 3; length at least 1; length at most 3; starts with "
        "`a\\|b`; does not match `` ` ``; does not match `x` (no x); matches `^a` (first a); "
        "matches `b$`; matches one of `a`, `b`; may be a vault reference; kept encrypted | A text "
        "with a \\|, over two lines. |\n"
        "| `policy` | string | no | `\"local\"` | one of `local`, `redis` |  |\n"
        "| `id` | string | no |  | a UUID; may be empty |  |\n"
        "| `number` | integer | no | `1` | one of 1, 2.5; greater than 0; between -1 and 100 |  "
        "|\n"
        "| `rate` | number | no | `0.5` |  |  |\n"
        "| `methods` | set of string | no | `[\"GET\"]` | length at least 1; each: one of `GET` | "
        " |\n"
        "| `limits` | map of string to integer | no |  | each value: greater than 0 |  |\n"
        "| `redis` | record | yes |  |  |  |\n"
        "| `redis.host` | string | yes |  |  |  |\n"
        "| `redis.port` | integer | no | `6379` |  |  |\n"
        "| `nodes` | array of record | no |  |  |  |\n"
        "| `nodes[].host` | string | yes |  |  |  |\n"
        "| `nodes[].port` | integer | no | `6379` |  |  |\n"
        "\n"
        "- `text`, `id`: exactly one is set.\n"
        "- `text`, `number`: all are set, or none.\n"
        "- `text`, `id`: at most one is set.\n"
        "- If `policy` (is `\"redis\"`), then `redis.host` (required; length at least 2).\n";
    char *markdown = schema_to_markdown(&all);
    assert_string_equal(markdown, EXPECTED);
    free(markdown);

    markdown = schema_to_markdown(NULL);
    assert_non_null(strstr(markdown, "| field |"));
    free(markdown);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dumps_for_kong_3),
        cmocka_unit_test(leaves_descriptions_out_for_kong_2),
        cmocka_unit_test(dumps_no_configuration),
        cmocka_unit_test(dumps_every_rule),
        cmocka_unit_test(prints_markdown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
