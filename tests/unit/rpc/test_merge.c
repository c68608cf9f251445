/* Neighbouring set_header calls of one event: on ProtoBuf:1, as on MsgPack:1, they arrive at Kong
 * as one set_headers where that means the same. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <strings.h>

#include "kong.h"
#include "limit.h"
#include "pdk_bench.h"

static int setup(void **state) {
    *state = bench_create(PROTOCOL_PROTOBUF, NULL);
    return 0;
}

static int teardown(void **state) {
    bench_destroy(*state);
    return 0;
}

/* "set_headers [{…}] get_method [] ": what has arrived at Kong. */
static const char *arrived(struct bench *bench) {
    static char text[4096];
    size_t len = 0;
    text[0] = '\0';
    for (size_t i = 0; i < bench->call_count && len < sizeof text; i++) {
        const char *name = strrchr(bench->calls[i].method.data, '.') + 1;
        len += (size_t)snprintf(text + len, sizeof text - len, "%s%s %s", i == 0 ? "" : " ", name,
                                bench_args(bench, i));
    }
    return text;
}

static void set(struct kong *kong, struct bench *bench, const char *name, const char *value) {
    note_error(bench, kong_response_set_header(kong, name, value));
}

static void ask(struct kong *kong) {
    struct kong_str text;
    kong_request_get_method(kong, &text);
}

static int neighbours(struct kong *kong, struct bench *bench) {
    set(kong, bench, "X-A", "a");
    set(kong, bench, "X-B", "");
    set(kong, bench, "Y", "c");
    return KONG_OK;
}

static int apart(struct kong *kong, struct bench *bench) {
    set(kong, bench, "X-A", "a");
    ask(kong);
    set(kong, bench, "X-B", "b");
    kong_response_add_header(kong, "X-C", "c");
    set(kong, bench, "X-D", "d");
    set(kong, bench, "X-E", "e");
    return KONG_OK;
}

static int again(struct kong *kong, struct bench *bench) {
    set(kong, bench, "X-A", "1");
    set(kong, bench, "x-a", "2"); /* nginx has one name for both */
    set(kong, bench, "X-B", "3");
    set(kong, bench, "X-C", "4");
    set(kong, bench, "X-a", "5");
    return KONG_OK;
}

static int not_plain(struct kong *kong, struct bench *bench) {
    set(kong, bench, "X_A", "1");
    set(kong, bench, "X-A", "2");
    set(kong, bench, "X-B", "3");
    set(kong, bench, "X_B", "4");
    return KONG_OK;
}

static int authority(struct kong *kong, struct bench *bench) {
    note_error(bench, kong_service_request_set_header(kong, "X-A", "1"));
    note_error(bench, kong_service_request_set_header(kong, ":authority", "h"));
    note_error(bench, kong_service_request_set_header(kong, "X-B", "2"));
    note_error(bench, kong_service_request_set_header(kong, "X-C", "3"));
    set(kong, bench, "X-D", "4"); /* of the response */
    return KONG_OK;
}

static int lists(struct kong *kong, struct bench *bench) {
    struct kong_value items[] = {kong_string("1"), kong_string("2")};
    note_error(bench, kong_response_set_header_value(kong, "X-A", kong_list(items, 2)));
    set(kong, bench, "X-B", "b");
    note_error(bench, kong_response_set_header_value(kong, "X-C", kong_list(items, 2)));
    return KONG_OK;
}

static int after_exit(struct kong *kong, struct bench *bench) {
    set(kong, bench, "X-A", "a");
    set(kong, bench, "X-B", "b");
    note_error(bench, kong_response_exit(kong, 403, kong_str("no"), kong_nil()));
    set(kong, bench, "X-C", "c");
    return KONG_OK;
}

static void test_what_merges(void **state) {
    static const struct {
        bench_handler *handler;
        const char *calls;
    } cases[] = {
        {neighbours, "set_headers [{\"X-A\":\"a\",\"X-B\":\"\",\"Y\":\"c\"}]"},
        {apart, "set_header [\"X-A\",\"a\"] get_method [] set_header [\"X-B\",\"b\"] "
                "add_header [\"X-C\",\"c\"] set_headers [{\"X-D\":\"d\",\"X-E\":\"e\"}]"},
        {again, "set_header [\"X-A\",\"1\"] set_headers [{\"x-a\":\"2\",\"X-B\":\"3\","
                "\"X-C\":\"4\"}] set_header [\"X-a\",\"5\"]"},
        {not_plain, "set_header [\"X_A\",\"1\"] set_headers [{\"X-A\":\"2\",\"X-B\":\"3\"}] "
                    "set_header [\"X_B\",\"4\"]"},
        {authority, "set_header [\"X-A\",\"1\"] set_header [\":authority\",\"h\"] "
                    "set_headers [{\"X-B\":\"2\",\"X-C\":\"3\"}] set_header [\"X-D\",\"4\"]"},
        {lists, "set_header [\"X-A\",[\"1\",\"2\"]] set_header [\"X-B\",\"b\"] "
                "set_header [\"X-C\",[\"1\",\"2\"]]"},
        {after_exit, "set_headers [{\"X-A\":\"a\",\"X-B\":\"b\"}] exit [403,\"no\"]"},
    };
    struct bench *bench = *state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        bench_run(bench, cases[i].handler, NULL, NULL, 0);
        assert_string_equal(arrived(bench), cases[i].calls);
        assert_null(strstr(bench_notes(bench), "INVALID"));
    }
}

/* What is asked for ahead is due while a header is set: it leaves before the next one. */
static int beside_prefetched(struct kong *kong, struct bench *bench) {
    set(kong, bench, "X-A", "a");
    ask(kong);
    set(kong, bench, "X-B", "b");
    set(kong, bench, "X-C", "c");
    return KONG_OK;
}

static void test_prefetched(void **state) {
    struct bench *bench = *state;
    bench_prefetch(bench, PREFETCH_DECLARED, KONG_PREFETCH(KONG_WANT_REQUEST_METHOD));
    for (size_t piece = 0; piece < 3; piece++) {
        bench->piece = piece;
        bench_run(bench, beside_prefetched, NULL, NULL, 0);
        assert_true(bench->over);
        assert_string_equal(arrived(bench), "get_method [] set_header [\"X-A\",\"a\"] "
                                            "set_headers [{\"X-B\":\"b\",\"X-C\":\"c\"}]");
    }
}

/* Each counts as one call that Kong has to answer, and large ones stay alone. */
static int many(struct kong *kong, struct bench *bench) {
    char name[16], value[5000];
    for (unsigned i = 0; i < 500; i++) {
        snprintf(name, sizeof name, "X-%u", i);
        set(kong, bench, name, name);
    }
    memset(value, 'v', sizeof value);
    value[sizeof value - 1] = '\0';
    set(kong, bench, "Large-1", value);
    set(kong, bench, "Large-2", value);
    return KONG_OK;
}

static void test_many(void **state) {
    struct bench *bench = *state;
    size_t headers = 0;
    bench_run(bench, many, NULL, NULL, 0);
    assert_true(bench->over);
    assert_in_range(bench->call_count, 3, 8);
    for (size_t i = 0; i < bench->call_count; i++) {
        const struct kong_value *first = &bench->calls[i].args.list.items[0];
        headers += first->type == KONG_MAP ? first->map.count : 1;
    }
    assert_int_equal(headers, 502);
    assert_int_equal(bench->rpc.results_due, 0);
}

/* --- The same headers, whatever a handler sets --- */

#define NAMES 6

static uint64_t next_random(uint64_t *state) {
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return *state >> 33;
}

static const char *const names[NAMES][2] = {{"A", "a"},       {"X-A", "x-a"}, {"X-B", "x-B"},
                                            {"XX-A", "xX-a"}, {"B", "b"},     {"C", "c"}};
static char expected[NAMES][16];

static int by_chance(struct kong *kong, struct bench *bench) {
    uint64_t *random = bench->data;
    memset(expected, 0, sizeof expected);
    for (unsigned i = 0; i < 24; i++) {
        size_t which = (size_t)(next_random(random) % NAMES);
        snprintf(expected[which], sizeof expected[which], "%u", i);
        set(kong, bench, names[which][next_random(random) % 2], expected[which]);
        if (next_random(random) % 8 == 0) {
            ask(kong);
        }
    }
    return KONG_OK;
}

static void put(char found[NAMES][16], struct kong_str name, const struct kong_value *value) {
    for (size_t i = 0; i < NAMES; i++) {
        if (strncasecmp(names[i][0], name.data, name.len) == 0 && names[i][0][name.len] == '\0') {
            snprintf(found[i], sizeof found[i], "%.*s", (int)value->string.len, value->string.data);
        }
    }
}

static void test_same_headers(void **state) {
    struct bench *bench = *state;
    uint64_t random = 14;
    size_t merged = 0;
    for (unsigned event = 0; event < 300; event++) {
        char found[NAMES][16] = {{0}};
        bench_run(bench, by_chance, &random, NULL, 0);
        bench_notes(bench);
        for (size_t i = 0; i < bench->call_count; i++) {
            const struct kong_value *args = bench->calls[i].args.list.items;
            if (bench->calls[i].args.list.count == 2) {
                put(found, args[0].string, &args[1]);
            } else if (bench->calls[i].args.list.count == 1) {
                merged++;
                for (size_t h = 0; h < args[0].map.count; h++) {
                    put(found, args[0].map.pairs[h].key, &args[0].map.pairs[h].value);
                }
            }
        }
        assert_memory_equal(found, expected, sizeof found);
    }
    assert_true(merged > 300);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {TEST(test_what_merges), TEST(test_prefetched),
                                       TEST(test_many), TEST(test_same_headers)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
