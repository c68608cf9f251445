/* How the table of --status looks: units, columns, lists, lines that are rare. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "limit.h"
#include "rig.h"
#include "status_says.h"
#include "status_table.h"
#include "value.h"

/* malloc'ed: the table of a status. */
static char *table_of(struct kong_pair *pairs, size_t count) {
    const struct kong_value status = kong_map(pairs, count);
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    assert_non_null(out);
    status_table_print(&status, out);
    fclose(out);
    return text;
}

/* A table of this alone has that in it. */
static void check_shown(const char *map, const char *key, struct kong_value value,
                        const char *wanted) {
    struct kong_pair inside[] = {kong_pair(key, value), kong_pair("Threads", kong_integer(1)),
                                 kong_pair("Spun", kong_number(1))};
    struct kong_pair pair = kong_pair(key, value);
    if (map != NULL) {
        pair = kong_pair(map, kong_map(inside, LENGTH(inside)));
    }
    char *text = table_of(&pair, 1);
    assert_says(text, &wanted, 1);
    free(text);
}

/* A unit begins at 1024 of the one below it. */
static void bytes_have_units(void **state) {
    (void)state;
    check_shown("Bytes", "In", kong_integer(0), "; 0 B in,");
    check_shown("Bytes", "In", kong_integer(1023), "; 1023 B in,");
    check_shown("Bytes", "In", kong_integer(1024), "; 1 KiB in,");
    check_shown("Bytes", "In", kong_integer(1536), "; 1.5 KiB in,");
    check_shown("Bytes", "In", kong_integer((int64_t)1 << 20), "; 1 MiB in,");
    check_shown("Bytes", "In", kong_integer((int64_t)5 << 30), "; 5 GiB in,");
    check_shown("Bytes", "In", kong_integer((int64_t)1 << 40), "; 1 TiB in,");
    check_shown("Bytes", "In", kong_integer((int64_t)1 << 50), "; 1 PiB in,");
    check_shown("Bytes", "In", kong_integer((int64_t)1 << 60), "; 1024 PiB in,");
}

static void times_and_counts_have_units(void **state) {
    (void)state;
    check_shown("Blocking", "LongestWait", kong_number(9.9e-5), "longest wait 99 us\n");
    check_shown("Blocking", "LongestWait", kong_number(1e-4), "longest wait 100 us\n");
    check_shown("Blocking", "LongestWait", kong_number(0.000999), "longest wait 999 us\n");
    check_shown("Blocking", "LongestWait", kong_number(1e-3), "longest wait 1 ms\n");
    check_shown("Blocking", "LongestWait", kong_number(0.5), "longest wait 500 ms\n");
    check_shown("Blocking", "LongestWait", kong_number(1), "longest wait 1 s\n");
    check_shown(NULL, "Uptime", kong_number(60), ", up 1 min 00 s\n");
    check_shown(NULL, "Uptime", kong_number(3599), ", up 59 min 59 s\n");
    check_shown(NULL, "Uptime", kong_number(3600), ", up 1 h 00 min\n");
    check_shown(NULL, "Uptime", kong_number(86399), ", up 23 h 59 min\n");
    check_shown(NULL, "Uptime", kong_number(86400), ", up 1 d 00 h\n");
    check_shown("BusyPoll", "Hits", kong_integer(9999999), " 9999999 reads");
    check_shown("BusyPoll", "Hits", kong_integer(10000000), " 10000k reads");
    check_shown("BusyPoll", "Hits", kong_integer(100000000), " 100M reads");
}

/* With the longest figures and texts: no line is wider than 100 columns, but for a refusal. */
static void the_table_fits(void **state) {
    (void)state;
    char id[40];
    memset(id, 'x', sizeof id - 1);
    id[sizeof id - 1] = '\0';
    const struct kong_value most = kong_integer(INT64_MAX);
    struct kong_pair latency[] = {kong_pair("Count", most), kong_pair("P50", kong_number(1e300)),
                                  kong_pair("P99", kong_number(1e300)),
                                  kong_pair("Max", kong_number(1e300))};
    struct kong_pair counts[] = {kong_pair("Started", most),
                                 kong_pair("Running", most),
                                 kong_pair("Failed", most),
                                 kong_pair("TimedOut", most),
                                 kong_pair("Refused", most),
                                 kong_pair("Orphaned", most),
                                 kong_pair("Latency", kong_map(latency, LENGTH(latency)))};
    struct kong_pair phase = kong_pair("ws_client_frame", kong_map(counts, LENGTH(counts)));
    struct kong_pair call = kong_pair("kong.client.tls.set_client_verify_and_what_follows",
                                      kong_map(latency, LENGTH(latency)));
    struct kong_pair fields[] = {kong_pair("Service", kong_string(id)),
                                 kong_pair("Route", kong_string(id)),
                                 kong_pair("Consumer", kong_string(id)),
                                 kong_pair("Name", kong_string(id)),
                                 kong_pair("Events", most),
                                 kong_pair("Age", kong_number(1e300)),
                                 kong_pair("Id", kong_integer(UINT32_MAX))};
    struct kong_value instance = kong_map(fields, LENGTH(fields));
    struct kong_pair figures[] = {kong_pair("Interval", kong_number(1e300)),
                                  kong_pair("Runs", most),
                                  kong_pair("Failures", most),
                                  kong_pair("LastRun", kong_number(-1e10)),
                                  kong_pair("LastTook", kong_number(1e300)),
                                  kong_pair("LongestTook", kong_number(1e300))};
    struct kong_pair job = kong_pair(id, kong_map(figures, LENGTH(figures)));
    struct kong_pair blocking[] = {kong_pair("Threads", most),
                                   kong_pair("Most", most),
                                   kong_pair("Running", most),
                                   kong_pair("Waiting", most),
                                   kong_pair("Ran", most),
                                   kong_pair("Withdrawn", most),
                                   kong_pair("LongestWait", kong_number(1e300))};
    struct kong_pair of_plugin[] = {kong_pair("Phases", kong_map(&phase, 1)),
                                    kong_pair("Calls", kong_map(&call, 1)),
                                    kong_pair("Jobs", kong_map(&job, 1))};
    struct kong_pair plugins[] = {kong_pair(id, kong_map(of_plugin, LENGTH(of_plugin)))};
    struct kong_pair limits[] = {kong_pair("max-connections", most), kong_pair("max-events", most),
                                 kong_pair("max-frame", most), kong_pair("max-instances", most)};
    struct kong_pair pairs[] = {kong_pair("Limits", kong_map(limits, LENGTH(limits))),
                                kong_pair("Plugins", kong_map(plugins, LENGTH(plugins))),
                                kong_pair("Blocking", kong_map(blocking, LENGTH(blocking))),
                                kong_pair("InstanceList", kong_list(&instance, 1)),
                                kong_pair("Instances", kong_map(counts, LENGTH(counts)))};
    char *text = table_of(pairs, LENGTH(pairs));
    for (const char *line = text; *line != '\0'; line += strcspn(line, "\n") + 1) {
        if (strcspn(line, "\n") > 100) {
            fail_msg("%zu columns: %s", strcspn(line, "\n"), line);
        }
    }
    assert_non_null(strstr(text, "name xxx"));
    assert_non_null(strstr(text, "\nblocking:       9223372036854775807 threads of"));
    assert_non_null(strstr(text, "\nxxxxxxxxxxxxxxxxxxxxx...   1e+300 s"));
    free(text);
}

/* A list goes on in a new line where the old one, with its comma, would have 101 columns. */
static void lists_are_broken(void **state) {
    char name[64] = "", long_name[] = "yyyyyyyyyyyyyyyyyyyyyyyyyyyyyy";
    (void)state;
    for (size_t n = 1; n < sizeof name; n++) {
        struct kong_pair limits[] = {kong_pair(name, kong_integer(1)),
                                     kong_pair(long_name, kong_integer(1))};
        memset(name, 'x', n);
        limits[0].key.len = n;
        struct kong_pair status = kong_pair("Limits", kong_map(limits, 2));
        char *text = table_of(&status, 1);
        bool one_line =
            16 + n + strlen(" 1 times, ") + strlen(long_name) + strlen(" 1 times,") <= 100;
        assert_int_equal(strstr(text, "times, yy") != NULL, one_line);
        assert_int_equal(strstr(text, "times,\n                yy") != NULL, !one_line);
        free(text);
    }
}

/* What is said only when there is something to say. */
static void rare_lines(void **state) {
    struct kong_pair answers[] = {kong_pair("Prefetched", kong_integer(12)),
                                  kong_pair("PrefetchUsed", kong_integer(3)),
                                  kong_pair("Kept", kong_integer(4))};
    struct kong_pair kept = kong_pair("Kept", kong_integer(4));
    struct kong_pair busy[] = {kong_pair("Spun", kong_number(90)),
                               kong_pair("Hits", kong_integer(7))};
    struct kong_pair status[] = {kong_pair("Answers", kong_map(answers, 3)),
                                 kong_pair("BusyPoll", kong_map(busy, 2)),
                                 kong_pair("LogLinesLost", kong_integer(5))};
    (void)state;
    char *text = table_of(status, 3);
    const char *const lines[] = {
        "\ngetters:        12 asked for ahead, 3 of them used, 4 answered from memory\n",
        "\nbusy poll:      1 min 30 s without sleep, 7 reads meanwhile\n",
        "\nlog lines lost: 5, because nobody read them in time\n"};
    assert_says(text, lines, LENGTH(lines));
    free(text);
    status[0].value = kong_map(&kept, 1);
    text = table_of(status, 1);
    assert_non_null(
        strstr(text, "\ngetters:        0 asked for ahead, 0 of them used, 4 answered"));
    free(text);
    text = table_of(status, 0);
    assert_null(strstr(text, "getters"));
    assert_null(strstr(text, "busy poll"));
    assert_null(strstr(text, "lost"));
    free(text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_have_units), cmocka_unit_test(times_and_counts_have_units),
        cmocka_unit_test(the_table_fits),   cmocka_unit_test(lists_are_broken),
        cmocka_unit_test(rare_lines),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
