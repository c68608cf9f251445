/* One table in two languages: test_table.c includes it in C, table.cc in C++. */
#include "kong.h"

struct point {
    double x, y;
};

struct redis {
    const char *host;
    int64_t port;
    struct kong_str password;
    bool tls;
};

struct line {
    KONG_ARRAY_OF(struct point) points;
};

struct words {
    const char *const *items;
    size_t count;
};

struct settings {
    const char *header;
    struct kong_str raw;
    int64_t limit;
    const int64_t *optional;
    double ratio;
    const bool *maybe;
    KONG_ARRAY_OF(const char *) methods;
    KONG_ARRAY_OF(int64_t) codes;
    KONG_MAP_OF(double) weights;
    struct redis redis;
    const struct point *origin;
    struct line line;
    KONG_ARRAY_OF(struct words) groups;
};

static const KONG_FIELDS(struct point) point_fields[] = {
    KONG_NUMBER_FIELD(struct point, x, .required = true),
    KONG_NUMBER_FIELD(struct point, y, .default_json = "0.5"),
};

static const KONG_FIELDS(struct redis) redis_fields[] = {
    KONG_STRING_FIELD(struct redis, host, .required = true, .default_json = KONG_TEXT("localhost")),
    KONG_INTEGER_FIELD(struct redis, port, .between = KONG_BETWEEN(1, 65535)),
    KONG_STRING_FIELD(struct redis, password, .referenceable = true, .encrypted = true),
    KONG_BOOLEAN_FIELD(struct redis, tls),
};

static const KONG_FIELDS(struct line) line_fields[] = {
    KONG_ARRAY_FIELD(struct line, points,
                     KONG_RECORD_ITEM(KONG_RECORD_OF(struct point, point_fields)), .len_min = 2),
};

static const KONG_FIELDS(struct settings) fields[] = {
    KONG_STRING_FIELD(struct settings, header, .required = true,
                      .default_json = KONG_TEXT("Version"), .starts_with = "V",
                      .match_none = KONG_PATTERNS({"^%s", "no space first"}, {"%s$", NULL}),
                      .match = "^[%w-]+$"),
    KONG_STRING_FIELD(struct settings, raw, .match_any = KONG_STRINGS("^a", "^b")),
    KONG_INTEGER_FIELD(struct settings, limit, .gt = KONG_GT(0)),
    KONG_INTEGER_FIELD(struct settings, optional, .one_of_numbers = KONG_NUMBERS(1, 2, 3)),
    KONG_NUMBER_FIELD(struct settings, ratio, .default_json = "0.25"),
    KONG_BOOLEAN_FIELD(struct settings, maybe),
    KONG_ARRAY_FIELD(struct settings, methods,
                     KONG_STRING_ITEM(.one_of = KONG_STRINGS("GET", "POST")), .len_max = 3),
    KONG_SET_FIELD(struct settings, codes, KONG_INTEGER_ITEM(.between = KONG_BETWEEN(100, 599))),
    KONG_MAP_FIELD(struct settings, weights, KONG_STRING_ITEM(.len_max = 9), KONG_NUMBER_ITEM()),
    KONG_RECORD_FIELD(struct settings, redis,
                      KONG_RECORD_OF(struct redis, redis_fields,
                                     KONG_CHECKS(KONG_DISTINCT("host", "password")))),
    KONG_RECORD_FIELD(struct settings, origin, KONG_RECORD_OF(struct point, point_fields)),
    KONG_RECORD_FIELD(struct settings, line, KONG_RECORD_OF(struct line, line_fields)),
    KONG_ARRAY_FIELD(struct settings, groups, KONG_ARRAY_ITEM(struct words, KONG_STRING_ITEM())),
};

static const struct kong_schema schema = KONG_SCHEMA(
    struct settings, fields,
    KONG_CONFIG_CHECKS(KONG_AT_LEAST_ONE_OF("limit", "ratio"),
                       KONG_CONDITIONAL("header", KONG_RULES(.eq_json = KONG_TEXT("V")), "raw",
                                        KONG_RULES(.required = true), .then_err = "V needs raw")),
    .no_consumer = true, .protocols = KONG_STRINGS("http", "https"));
