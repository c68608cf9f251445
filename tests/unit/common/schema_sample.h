/* A configuration that uses what a schema has, for the tests of calls that fail. */
#ifndef TESTS_UNIT_SCHEMA_SAMPLE_H
#define TESTS_UNIT_SCHEMA_SAMPLE_H

#include "kong_schema.h"

struct node {
    const char *host;
    int64_t port;
};
struct config {
    const char *name;
    const double *rate;
    KONG_ARRAY_OF(const char *) tags;
    KONG_MAP_OF(int64_t) limits;
    KONG_ARRAY_OF(struct node) nodes;
    struct node main_node;
};

static const KONG_FIELDS(struct node) node_fields[] = {
    KONG_STRING_FIELD(struct node, host, .default_json = KONG_TEXT("local")),
    KONG_INTEGER_FIELD(struct node, port, .default_json = "1", .gt = KONG_GT(0)),
};
static const KONG_FIELDS(struct config) fields[] = {
    KONG_STRING_FIELD(struct config, name, .required = true, .match = "^%l",
                      .description = "What it is called."),
    KONG_NUMBER_FIELD(struct config, rate, .default_json = "0.5"),
    KONG_SET_FIELD(struct config, tags, KONG_STRING_ITEM(.one_of = KONG_STRINGS("a", "b")),
                   .default_json = "[\"a\",\"a\",\"b\"]"),
    KONG_MAP_FIELD(struct config, limits, KONG_STRING_ITEM(.len_max = 2), KONG_INTEGER_ITEM()),
    KONG_ARRAY_FIELD(struct config, nodes,
                     KONG_RECORD_ITEM(KONG_RECORD_OF(struct node, node_fields))),
    KONG_RECORD_FIELD(struct config, main_node, KONG_RECORD_OF(struct node, node_fields),
                      .required = true),
};
static const struct kong_schema schema =
    KONG_SCHEMA(struct config, fields, .no_consumer = true,
                KONG_CONFIG_CHECKS(KONG_AT_LEAST_ONE_OF("name", "rate"),
                                   KONG_DISTINCT("name", "main_node.host"),
                                   KONG_CONDITIONAL("name", KONG_RULES(.eq_json = KONG_TEXT("x")),
                                                    "limits", KONG_RULES(.required = true))));

#endif
