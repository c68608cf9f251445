/* Which headers the configurations of a plugin set: from declarative files and the Admin API. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "declarative.h"

/* "A B, of 3": the names, and how many configurations there are. */
static void expect(bool yaml, const char *text, const char *wanted) {
    struct header_names names = {.count = 0};
    char found[1024] = "";
    size_t len = 0;
    if (yaml) {
        declarative_read_yaml(text, "api-version", "Version", &names);
    } else {
        assert_true(declarative_read_json(text, strlen(text), "api-version", "Version", &names));
    }
    for (size_t i = 0; i < names.count; i++) {
        len += (size_t)snprintf(found + len, sizeof found - len, "%s ", names.names[i]);
    }
    snprintf(found + len, sizeof found - len, "of %zu", names.configurations);
    assert_string_equal(found, wanted);
}

static void json(void **state) {
    (void)state;
    expect(false, "{}", "of 0");
    expect(false, "[{\"name\":\"key-auth\",\"config\":{\"response_header\":\"X\"}}]", "of 0");
    expect(false,
           "{\"data\":[{\"config\":{\"response_header\":\"X-A\"},\"name\":\"api-version\"},"
           "{\"name\":\"api-version\"}],\"next\":null}",
           "X-A Version of 2");
    expect(false,
           "{\"services\":[{\"name\":\"s\",\"plugins\":[{\"name\":\"api-version\",\"config\":{"
           "\"response_header\":\"x-a\"}}]},{\"plugins\":[{\"name\":\"api-version\",\"config\":{"
           "\"response_header\":\"X-A\"}}]}]}",
           "x-a of 2");
    struct header_names names = {.count = 0};
    assert_false(declarative_read_json("services:", 9, "api-version", "Version", &names));
}

static void yaml(void **state) {
    (void)state;
    expect(true, "", "of 0");
    expect(true,
           "_format_version: \"3.0\"\n"
           "services:\n"
           "- name: s # a comment\n"
           "  url: http://x\n"
           "  plugins:\n"
           "  - name: key-auth\n"
           "    config:\n"
           "      response_header: No\n"
           "  - config:\n"
           "      version: \"1\"\n"
           "      response_header: 'X-First'\n"
           "    name: api-version\n"
           "  routes:\n"
           "  - name: api-version\n" /* a route of that name: counted, and no harm */
           "    paths: [/a]\n"
           "plugins:\n"
           "  -   name: \"api-version\"\n"
           "      config: {version: 2, response_header: X-Flow}\n"
           "  - {name: api-version, config: {response_header: \"X-All\", version: 3}}\n"
           "  - name: api-version\n",
           "X-First Version X-Flow X-All of 5");
    expect(true, "plugins:\r\n- name: api-version\r\n  config:\r\n    response_header: X-Crlf\r\n",
           "X-Crlf of 1");
    /* nothing of another item is taken */
    expect(true, "plugins:\n- name: api-version\n- name: b\n  config:\n    response_header: X\n",
           "Version of 1");
}

/* A plugin in one line, however long that is. */
static void a_long_line(void **state) {
    char text[3000];
    char tags[2000];
    (void)state;
    memset(tags, 'x', sizeof tags);
    snprintf(text, sizeof text,
             "plugins:\n- {name: api-version, tags: [%.*s], config: {response_header: X-Long}}\n",
             (int)sizeof tags, tags);
    expect(true, text, "X-Long of 1");
}

static void odd_text_is_passed_over(void **state) {
    static char deep[8192];
    static char line[5000];
    (void)state;
    for (size_t i = 0; i + 2 < sizeof deep; i += 2) {
        memcpy(deep + i, "- ", 2);
    }
    expect(true, deep, "of 0");
    memset(line, 'x', sizeof line - 1);
    expect(true, line, "of 0");
    memcpy(line, "- name: api-version, response_header: ", 38);
    expect(true, line, "of 0");
    expect(true, "-\n--\n- \n:\n{\n- {\n- {name:\n- name:\n- {response_header:\nconfig: {", "of 0");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(json),
        cmocka_unit_test(yaml),
        cmocka_unit_test(a_long_line),
        cmocka_unit_test(odd_text_is_passed_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
