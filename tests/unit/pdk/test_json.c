/* JSON texts into values and back, answers in JSON, builders; texts of a plugin's own errors. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "limit.h"
#include "pdk_bench.h"
#include "value.h"

#define LENGTH(array) (sizeof(array) / sizeof(array)[0])

static struct bench *run(bench_handler *handler, void *data) {
    struct bench *bench = bench_create(PROTOCOL_MSGPACK, NULL);
    bench_run(bench, handler, data, NULL, 0);
    return bench;
}

/* --- Reading --- */

struct text {
    struct kong_str json;
    size_t limit;
};

static int parse(struct kong *kong, struct bench *bench) {
    const struct text *text = bench->data;
    struct kong_value value = kong_integer(4);
    struct kong_str again;
    int error = kong_json_parse(kong, text->json, text->limit, &value);
    note_error(bench, error);
    if (error != 0) {
        note(bench, "%s%s", kong_error_text(kong), value.type == KONG_NIL ? "" : " (not nil)");
    } else {
        note_error(bench, kong_json(kong, value, &again));
        note(bench, "%s", again.data);
    }
    return 0;
}

static void check(const char *json, const char *seen) {
    struct text text = {kong_str(json), SIZE_MAX};
    struct bench *bench = run(parse, &text);
    const char *notes = bench_notes(bench);
    if (strcmp(notes, seen) != 0) {
        fail_msg("%s: %s, not %s", json, notes, seen);
    }
    assert_int_equal(bench->call_count, 0);
    bench_destroy(bench);
}

static void test_values(void **state) {
    static const struct {
        const char *json, *again;
    } values[] = {
        {"null", "null"},
        {" true\r\n", "true"},
        {"\tfalse ", "false"},
        {"0", "0"},
        {"-0", "0"},
        {"-12", "-12"},
        {"9223372036854775807", "9223372036854775807"},
        {"-9223372036854775808", "-9223372036854775808"},
        {"9223372036854775808", "9.223372036854776e+18"},
        {"1.5", "1.5"},
        {"0.1", "0.1"},
        {"1e3", "1000"},
        {"1E-2", "0.01"},
        {"-2.5e+1", "-25"},
        {"1e-999", "0"},
        {"123456789.123456789", "123456789.12345679"},
        {"\"\"", "\"\""},
        {"\"a\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"a\\\"\\\\/\\b\\f\\n\\r\\t\""},
        {"\"\\u0041\\u00e9\\u20AC\\ud83d\\ude00\\u0000\\u001f\"",
         "\"A\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\\u0000\\u001f\""},
        {"\"\xc3\xa9\x7f\"", "\"\xc3\xa9\x7f\""},
        {"[]", "[]"},
        {"[ ]", "[]"},
        {"{ }", "{}"},
        {"[1 , [2,null] ,{}]", "[1,[2,null],{}]"},
        {"{\"b\" : 1 ,\"a\":{\"\":[]}}", "{\"b\":1,\"a\":{\"\":[]}}"},
        {"{\"a\":1,\"b\":2,\"a\":3,\"c\":4,\"a\":5}", "{\"b\":2,\"c\":4,\"a\":5}"},
        {"{\"a\":1,\"ab\":2}", "{\"a\":1,\"ab\":2}"},
    };
    (void)state;
    for (size_t i = 0; i < LENGTH(values); i++) {
        char seen[200];
        snprintf(seen, sizeof seen, "ok ok %s", values[i].again);
        check(values[i].json, seen);
    }
}

static void test_faults(void **state) {
    static const struct {
        const char *json, *where;
    } faults[] = {
        {"", "1, column 1: the text ends where a value should be"},
        {" \n ", "2, column 2: the text ends where a value should be"},
        {"[1,\n 2,\n x]", "3, column 2: this begins no value"},
        {"[1,]", "1, column 4: this begins no value"},
        {"[1 2]", "1, column 4: neither a comma nor the end of the array"},
        {"[1", "1, column 3: neither a comma nor the end of the array"},
        {"[1}", "1, column 3: neither a comma nor the end of the array"},
        {"{\"a\":1", "1, column 7: neither a comma nor the end of the object"},
        {"{\"a\":1,}", "1, column 8: a key in quotes is missing"},
        {"{a:1}", "1, column 2: a key in quotes is missing"},
        {"{\"a\" 1}", "1, column 6: a colon is missing"},
        {"{\"a\":}", "1, column 6: this begins no value"},
        {"1 2", "1, column 3: something stands behind the value"},
        {"nul", "1, column 1: this begins no value"},
        {"nulll", "1, column 5: something stands behind the value"},
        {"\xef\xbb\xbf{}", "1, column 1: this begins no value"},
        {"01", "1, column 1: not a number as JSON writes it"},
        {"-", "1, column 1: not a number as JSON writes it"},
        {"1.", "1, column 1: not a number as JSON writes it"},
        {".5", "1, column 1: this begins no value"},
        {"1e", "1, column 1: not a number as JSON writes it"},
        {"1e+", "1, column 1: not a number as JSON writes it"},
        {"+1", "1, column 1: this begins no value"},
        {"1e999", "1, column 1: a number that is too large"},
        {"NaN", "1, column 1: this begins no value"},
        {"\"a", "1, column 3: the text ends in a string"},
        {"\"a\\\"", "1, column 5: the text ends in a string"},
        {"\"a\\", "1, column 4: the text ends in a string"},
        {"\"a\nb\"", "1, column 3: a control character in a string"},
        {"\"\\x\"", "1, column 3: no such escape"},
        {"\"\\u12g4\"", "1, column 4: \\u needs four hexadecimal digits"},
        {"\"\\u12\"", "1, column 4: \\u needs four hexadecimal digits"},
        {"\"\\ud83d\"", "1, column 4: half of a surrogate pair"},
        {"\"\\ud83d\\u0041\"", "1, column 4: half of a surrogate pair"},
        {"\"\\ud83dx\"", "1, column 4: half of a surrogate pair"},
        {"\"\\ude00\\ud83d\"", "1, column 4: half of a surrogate pair"},
        {"\"\\udc00\\udc00\"", "1, column 4: half of a surrogate pair"},
        {"\"\\ud800\\udbff\"", "1, column 4: half of a surrogate pair"},
        {"\"\\ud800\\ue000\"", "1, column 4: half of a surrogate pair"},
        {"\"\xff\"", "1, column 2: not UTF-8"},
        {"\"a\xc3\"", "1, column 3: not UTF-8"},
        {"\"\xed\xa0\x80\"", "1, column 2: not UTF-8"},
        {"{\"\xff\":1}", "1, column 3: not UTF-8"},
    };
    (void)state;
    for (size_t i = 0; i < LENGTH(faults); i++) {
        char seen[200];
        snprintf(seen, sizeof seen, "INVALID JSON, line %s", faults[i].where);
        check(faults[i].json, seen);
    }
}

/* A NUL ends no text. */
static void test_nul(void **state) {
    struct text text = {{"1\0002", 3}, SIZE_MAX};
    (void)state;
    struct bench *bench = run(parse, &text);
    assert_string_equal(bench_notes(bench), "INVALID JSON, line 1, column 2: something "
                                            "stands behind the value");
    bench_destroy(bench);
    text.json = (struct kong_str){NULL, 0};
    bench = run(parse, &text);
    assert_string_equal(bench_notes(bench), "INVALID JSON, line 1, column 1: the text "
                                            "ends where a value should be");
    bench_destroy(bench);
}

static void test_limit(void **state) {
    struct text text = {kong_str("[1,2]"), 5};
    (void)state;
    struct bench *bench = run(parse, &text);
    assert_string_equal(bench_notes(bench), "ok ok [1,2]");
    text.limit = 4;
    bench_run(bench, parse, &text, NULL, 0);
    assert_string_equal(bench_notes(bench), "TOO_BIG JSON: the text has 5 bytes, the limit is 4");
    bench_destroy(bench);
}

/* As deep as a value may be, and one deeper; a body of brackets alone. */
static void test_nesting(void **state) {
    static char json[200001];
    char seen[300];
    (void)state;
    memset(json, '[', 32);
    memset(json + 32, ']', 32);
    json[64] = '\0';
    snprintf(seen, sizeof seen, "ok ok %.64s", json);
    check(json, seen);
    memset(json, '[', 33);
    memset(json + 33, ']', 33);
    json[66] = '\0';
    check(json, "TOO_BIG JSON, line 1, column 33: nested deeper than 32");
    memset(json, '[', sizeof json - 1);
    json[sizeof json - 1] = '\0';
    check(json, "TOO_BIG JSON, line 1, column 33: nested deeper than 32");
}

static void test_elements(void **state) {
    size_t count = LIMIT_ELEMENTS - 1; /* and the list itself */
    char *json = malloc(2 * count + 8);
    (void)state;
    assert_non_null(json);
    for (size_t i = 0; i <= count; i++) {
        memcpy(json + 2 * i, ",1", 2);
    }
    json[0] = '[';
    struct text text = {{json, 2 * count + 1}, SIZE_MAX};
    json[2 * count] = ']';
    struct bench *bench = bench_create(PROTOCOL_MSGPACK, NULL);
    bench_run(bench, parse, &text, NULL, 0);
    assert_memory_equal(bench_notes(bench), "ok ok [1,1", 10);
    memcpy(json + 2 * count, ",1]", 3);
    text.json.len += 2;
    bench_run(bench, parse, &text, NULL, 0);
    const char *notes = bench_notes(bench);
    assert_memory_equal(notes, "TOO_BIG ", 8);
    assert_non_null(strstr(notes, "more than 1,048,576 values"));
    bench_destroy(bench);
    free(json);
}

/* Not a byte behind the text is looked at: each beginning of one lies before memory that must not
 * be touched. */
static void test_bounds(void **state) {
    static const char json[] =
        "{\"a\\u00e9\\ud83d\\ude00\\n\":[-1.5e+7,true,null],\"\xc3\xa9\":\"\\\\\"}";
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    char *pages = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    (void)state;
    assert_true(pages != MAP_FAILED);
    assert_int_equal(mprotect(pages + page, page, PROT_NONE), 0);
    for (size_t len = 0; len < sizeof json; len++) {
        struct text text = {{pages + page - len, len}, SIZE_MAX};
        memcpy(pages + page - len, json, len);
        struct bench *bench = run(parse, &text);
        const char *seen = bench_notes(bench);
        if (strncmp(seen, len == sizeof json - 1 ? "ok ok " : "INVALID ", 6) != 0) {
            fail_msg("%zu bytes: %s", len, seen);
        }
        bench_destroy(bench);
    }
    munmap(pages, 2 * page);
}

/* As many digits as there may be, and one more. */
static void test_long_numbers(void **state) {
    char json[1026] = "0.";
    (void)state;
    memset(json + 2, '1', 1022);
    json[1024] = '\0';
    check(json, "ok ok 0.1111111111111111");
    json[1024] = '1';
    json[1025] = '\0';
    check(json, "INVALID JSON, line 1, column 1: a number of more than 1,024 characters");
}

/* Where the event's memory is used up: an error each, and no crash. */
static int use_up(struct kong *kong, struct bench *bench) {
    static const char json[] = "[\"a text of some length, which needs memory of its own\"]";
    struct kong_builder list = kong_build_list(kong), map = kong_build_map(kong);
    struct kong_value value;
    struct kong_str text;
    while (kong_alloc(kong, (size_t)1 << 20) != NULL) {
    }
    while (kong_alloc(kong, 16) != NULL) {
    }
    kong_build_add(&list, kong_nil());
    note_error(bench, kong_build_end(&list, &value));
    kong_build_set(&map, "a", kong_nil());
    note_error(bench, kong_build_end(&map, &value));
    note_error(bench, kong_json_parse(kong, kong_str(json), 100, &value));
    note(bench, "%d ", value.type == KONG_NIL);
    note_error(bench, kong_json(kong, kong_string(json), &text));
    note(bench, "%d ", text.data == NULL);
    note_error(bench, kong_response_exit_json(kong, 200, kong_integer(1), kong_nil()));
    return 0;
}

static void test_no_memory(void **state) {
    (void)state;
    struct bench *bench = run(use_up, NULL);
    assert_string_equal(bench_notes(bench), "NOMEM NOMEM NOMEM 1 NOMEM 1 NOMEM ");
    assert_int_equal(bench->call_count, 0);
    bench_destroy(bench);
}

/* Many keys, each twice: the last ones count, and it takes no time that grows with their square. */
static int parse_many(struct kong *kong, struct bench *bench) {
    struct kong_value value;
    const size_t keys = 20000;
    char *json = kong_alloc(kong, keys * 2 * 20 + 10);
    size_t len = 0;
    json[len++] = '{';
    for (size_t i = 0; i < 2 * keys; i++) {
        len += (size_t)snprintf(json + len, 20, "%s\"k%zu\":%zu", i > 0 ? "," : "", i % keys, i);
    }
    json[len++] = '}';
    note_error(bench, kong_json_parse(kong, (struct kong_str){json, len}, len, &value));
    int64_t first = 0, last = 0;
    bool good = kong_to_integer(kong_map_get(&value, "k0"), &first) &&
                kong_to_integer(kong_map_get(&value, "k19999"), &last);
    note(bench, "%d %zu %lld %lld", good, value.map.count, (long long)first, (long long)last);
    return 0;
}

static void test_many_keys(void **state) {
    (void)state;
    struct bench *bench = run(parse_many, NULL);
    assert_string_equal(bench_notes(bench), "ok 1 20000 20000 39999");
    bench_destroy(bench);
}

/* --- Writing --- */

static int write_one(struct kong *kong, struct bench *bench) {
    struct kong_str text = {"unset", 5};
    int error = kong_json(kong, *(struct kong_value *)bench->data, &text);
    note_error(bench, error);
    note(bench, "%s", error == 0 ? text.data : kong_error_text(kong));
    if (error != 0 && text.data != NULL) {
        note(bench, " (not nil)");
    }
    return 0;
}

static void check_write(struct kong_value value, const char *seen) {
    struct bench *bench = run(write_one, &value);
    assert_string_equal(bench_notes(bench), seen);
    bench_destroy(bench);
}

static void test_write(void **state) {
    struct kong_pair pairs[] = {kong_pair("a\n\"", kong_number(0.30000000000000004)),
                                kong_pair("", kong_nil())};
    struct kong_pair bad[] = {kong_pair("\xff", kong_nil())};
    struct kong_value deep[LIMIT_NESTING + 1];
    (void)state;
    check_write(kong_nil(), "ok null");
    check_write(kong_number(1e15), "ok 1e+15");
    check_write(kong_number(-1.25), "ok -1.25");
    check_write(kong_number(5e-324), "ok 4.94065645841247e-324");
    check_write(kong_bytes(NULL, 0), "ok \"\"");
    check_write(kong_bytes("a\0b", 3), "ok \"a\\u0000b\"");
    check_write(kong_string("</script>\xe2\x82\xac"), "ok \"</script>\xe2\x82\xac\"");
    check_write(kong_map(pairs, 2), "ok {\"a\\n\\\"\":0.30000000000000004,\"\":null}");
    check_write(kong_number((double)INFINITY), "INVALID kong_json: a number is not finite");
    check_write(kong_number((double)NAN), "INVALID kong_json: a number is not finite");
    check_write(kong_string("a\xc3"), "INVALID kong_json: a text is not UTF-8");
    check_write(kong_map(bad, 1), "INVALID kong_json: a text is not UTF-8");
    deep[0] = kong_list(NULL, 0);
    for (size_t i = 1; i <= LIMIT_NESTING; i++) {
        deep[i] = kong_list(&deep[i - 1], 1);
    }
    check_write(deep[LIMIT_NESTING], "TOO_BIG kong_json: a value is nested deeper than 32");
    struct bench *bench = run(write_one, &deep[LIMIT_NESTING - 1]);
    assert_memory_equal(bench_notes(bench), "ok [[[", 6);
    bench_destroy(bench);
}

/* A locale whose decimal point is a comma changes nothing. */
static void test_locale(void **state) {
    static const char *const names[] = {"de_DE.UTF-8", "de_DE.utf8", "fr_FR.UTF-8", "de_DE"};
    size_t i = 0;
    (void)state;
    while (i < LENGTH(names) && setlocale(LC_NUMERIC, names[i]) == NULL) {
        i++;
    }
    if (i == LENGTH(names)) {
        skip();
    }
    check("[1.5,2e-7]", "ok ok [1.5,2e-07]");
    setlocale(LC_NUMERIC, "C");
}

/* --- Answers --- */

static int exit_json(struct kong *kong, struct bench *bench) {
    struct kong_pair pair = kong_pair("a", kong_integer(1));
    return kong_response_exit_json(kong, 404, kong_map(&pair, 1),
                                   *(struct kong_value *)bench->data);
}

static void check_exit(struct kong_value headers, const char *args) {
    struct bench *bench = run(exit_json, &headers);
    assert_int_equal(bench->call_count, 1);
    assert_string_equal(bench->calls[0].method.data, "kong.response.exit");
    assert_string_equal(bench_args(bench, 0), args);
    bench_destroy(bench);
}

static void test_exit(void **state) {
    struct kong_pair other = kong_pair("X-A", kong_string("1"));
    struct kong_pair type = kong_pair("content-type", kong_string("application/problem+json"));
    (void)state;
    check_exit(kong_nil(), "[404,\"{\\\"a\\\":1}\",{\"Content-Type\":\"application/json; "
                           "charset=utf-8\"}]");
    check_exit(kong_map(&other, 1), "[404,\"{\\\"a\\\":1}\",{\"X-A\":\"1\",\"Content-Type\":"
                                    "\"application/json; charset=utf-8\"}]");
    check_exit(kong_map(&type, 1),
               "[404,\"{\\\"a\\\":1}\",{\"content-type\":\"application/problem+json\"}]");
}

static int exit_badly(struct kong *kong, struct bench *bench) {
    note_error(bench, kong_response_exit_json(kong, 200, kong_string("\xff"), kong_nil()));
    note_error(bench, kong_response_exit_json(kong, 99, kong_nil(), kong_nil()));
    note_error(bench, kong_response_exit_json(kong, 200, kong_nil(), kong_integer(1)));
    return 0;
}

static void test_bad_exit(void **state) {
    (void)state;
    struct bench *bench = run(exit_badly, NULL);
    assert_string_equal(bench_notes(bench), "INVALID INVALID INVALID ");
    assert_int_equal(bench->call_count, 0);
    bench_destroy(bench);
}

/* --- Builders --- */

static int build(struct kong *kong, struct bench *bench) {
    struct kong_builder map = kong_build_map(kong), list = kong_build_list(kong);
    struct kong_value value;
    struct kong_str text;
    for (int64_t i = 0; i < 20; i++) {
        kong_build_add(&list, kong_integer(i));
        kong_build_set(&map, kong_printf(kong, "k%d", (int)(i % 10)).data, kong_integer(i));
    }
    note_error(bench, kong_build_end(&list, &value));
    kong_build_set(&map, "list", value);
    note_error(bench, kong_build_end(&map, &value));
    note_error(bench, kong_json(kong, value, &text));
    note(bench, "%s", text.data);
    return 0;
}

static void test_build(void **state) {
    (void)state;
    struct bench *bench = run(build, NULL);
    assert_string_equal(bench_notes(bench),
                        "ok ok ok {\"k0\":10,\"k1\":11,\"k2\":12,\"k3\":13,\"k4\":14,\"k5\":15,"
                        "\"k6\":16,\"k7\":17,\"k8\":18,\"k9\":19,\"list\":[0,1,2,3,4,5,6,7,8,9,10,"
                        "11,12,13,14,15,16,17,18,19]}");
    bench_destroy(bench);
}

static int build_badly(struct kong *kong, struct bench *bench) {
    struct kong_builder map = kong_build_map(kong), list = kong_build_list(kong);
    struct kong_builder empty = kong_build_list(kong);
    struct kong_value value;
    kong_build_add(&map, kong_nil());
    kong_build_set(&map, "a", kong_nil());
    kong_build_set(&list, "a", kong_nil());
    note_error(bench, kong_build_end(&map, &value));
    note_error(bench, kong_build_end(&list, &value));
    map = kong_build_map(kong);
    kong_build_set(&map, NULL, kong_nil());
    note_error(bench, kong_build_end(&map, &value));
    note(bench, "%s %d ", kong_error_text(kong), value.type == KONG_NIL);
    note_error(bench, kong_build_end(&empty, &value));
    note(bench, "%d %zu", value.type == KONG_LIST, value.list.count);
    return 0;
}

static void test_bad_build(void **state) {
    (void)state;
    struct bench *bench = run(build_badly, NULL);
    assert_string_equal(bench_notes(bench),
                        "INVALID INVALID INVALID kong_builder: a key is NULL 1 ok 1 0");
    bench_destroy(bench);
}

/* --- Texts of errors --- */

static int fail_with_a_text(struct kong *kong, struct bench *bench) {
    int error = kong_fail(kong, "no more than %d requests a %s", 5, "minute");
    note_error(bench, error);
    note(bench, "%s", kong_error_text(kong));
    return error;
}

static void test_fail(void **state) {
    (void)state;
    struct bench *bench = run(fail_with_a_text, NULL);
    assert_string_equal(bench_notes(bench), "FAILED no more than 5 requests a minute");
    assert_int_equal(bench->call_count, 1);
    assert_string_equal(bench_args(bench, 0),
                        "[\"bench: access failed: no more than 5 requests a minute\"]");
    bench_destroy(bench);
}

static int take_too_much(struct kong *kong, struct bench *bench) {
    void *memory = kong_alloc(kong, (size_t)KONG_LIMIT_MEMORY + 1);
    note(bench, "%d %s; ", memory == NULL, kong_error_text(kong));
    memory = kong_alloc(kong, SIZE_MAX);
    note(bench, "%d %s", memory == NULL, kong_error_text(kong));
    return KONG_E_NOMEM;
}

/* The handler's line says it too. */
static void test_memory(void **state) {
    const char *text = "an event may have 268,435,456 bytes of memory, and wants more";
    char seen[300];
    (void)state;
    struct bench *bench = run(take_too_much, NULL);
    snprintf(seen, sizeof seen, "1 %s; 1 %s", text, text);
    assert_string_equal(bench_notes(bench), seen);
    assert_int_equal(bench->call_count, 1);
    assert_non_null(strstr(bench_args(bench, 0), text));
    bench_destroy(bench);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),    cmocka_unit_test(test_faults),
        cmocka_unit_test(test_nul),       cmocka_unit_test(test_limit),
        cmocka_unit_test(test_nesting),   cmocka_unit_test(test_elements),
        cmocka_unit_test(test_many_keys), cmocka_unit_test(test_write),
        cmocka_unit_test(test_bounds),    cmocka_unit_test(test_long_numbers),
        cmocka_unit_test(test_no_memory), cmocka_unit_test(test_locale),
        cmocka_unit_test(test_exit),      cmocka_unit_test(test_bad_exit),
        cmocka_unit_test(test_build),     cmocka_unit_test(test_bad_build),
        cmocka_unit_test(test_fail),      cmocka_unit_test(test_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
