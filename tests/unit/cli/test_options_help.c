#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "options_rig.h"
#include "options_table.h"

static char *help_of(const struct kong_plugin *of, bool all) {
    struct plugin place;
    const struct plugins plugins = one_plugin(&place, of, NULL);
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);

    assert_non_null(out);
    options_print_help("apiversion-server", &plugins, all, out);
    fclose(out);
    return text;
}

static void test_help_says(void **state) {
    static const char *const parts[] = {
        "Usage: apiversion-server [OPTION]...\n",
        "plugin api-version, version 0.1,",
        "\nServing:\n"
        "  -p, --kong-prefix DIR        Kong's prefix: the directory of the socket\n"
        "                               (default /usr/local/kong)\n",
        "(default 0600)\n",
        "(default info)\n",
        "  --drain-timeout SECONDS ",
        "(default 5)\n",
        "\nWhat Kong is told:\n"
        "      --dump                   print",
        "of rewrite, access,\n"
        "                               response, header_filter; no Kong up to 3.9 can\n"
        "                               call a plugin server in header_filter (default\n"
        "                               access)\n",
        "(default 3000)\n",
        "(default ProtoBuf:1)\n",
        "(default any)\n",
        "\nLimits:\n",
        "(default 55)\n",
        "(default 16384)\n",
        "(default 64M)\n",
        "(default 3600)\n",
        "\nInformation:\n  -h, --help                   print the common options, and exit\n",
        "      --man ",
    };
    char *text = help_of(&options_plugin, true);

    (void)state;
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        if (!strstr(text, parts[i]))
            fail_msg("not in the help: %s\n%s", parts[i], text);
    for (size_t i = 0; i < option_row_count; i++) {
        char name[64];

        snprintf(name, sizeof name, " --%s%s%s", option_rows[i].name,
                 options_takes_word(&option_rows[i]) ? " " : "",
                 option_rows[i].argument ? option_rows[i].argument : "");
        if ((strstr(text, name) == NULL) != option_rows[i].several)
            fail_msg("not in the help, or of several plugins: %s", name);
    }
    free(text);
}

static void fits_the_screen(bool all) {
    char *text = help_of(&options_plugin, all);
    size_t longest = 0;

    for (const char *line = text; *line;) {
        size_t len = strcspn(line, "\n");

        if (len > 80)
            fail_msg("%zu columns: %.*s", len, (int)len, line);
        if (len > 0 && line[len - 1] == ' ')
            fail_msg("blank at the end: %.*s", (int)len, line);
        longest = len > longest ? len : longest;
        assert_int_equal(line[len], '\n');
        line += len + 1;
    }
    assert_true(longest > 70);
    free(text);
}

static void test_help_fits_the_screen(void **state) {
    (void)state;
    fits_the_screen(true);
    fits_the_screen(false);
}

/* Common options: all that --help-all has of them, word for word, in at most 60 lines. */
static void test_help_is_short(void **state) {
    static const struct kong_plugin all_phases = {
        .name = "all-phases",
        .version = "2.0.1",
        .handlers = {[KONG_PHASE_CERTIFICATE] = options_handler,
                     [KONG_PHASE_REWRITE] = options_handler,
                     [KONG_PHASE_ACCESS] = options_handler,
                     [KONG_PHASE_RESPONSE] = options_handler,
                     [KONG_PHASE_PREREAD] = options_handler,
                     [KONG_PHASE_LOG] = options_handler},
    };
    char *text = help_of(&all_phases, false);
    size_t lines = 0;

    (void)state;
    for (const char *c = text; *c; c++)
        lines += *c == '\n';
    assert_in_range(lines, 20, 60);
    for (size_t i = 0; i < option_row_count; i++) {
        char name[64];

        snprintf(name, sizeof name, " --%s%c", option_rows[i].name,
                 !option_rows[i].argument              ? ' '
                 : options_takes_word(&option_rows[i]) ? ' '
                                                       : '[');
        if ((strstr(text, name) != NULL) != (option_rows[i].common && !option_rows[i].several))
            fail_msg("%s: common %d", name, option_rows[i].common);
    }
    assert_non_null(strstr(text, "--help-all "));
    assert_null(strstr(text, ":\n\n")); /* no section without a row */
    free(text);
}

static void test_help_of_another_plugin(void **state) {
    static const struct kong_plugin other = {
        .name = "rate-card",
        .version = "2.0.1",
        .priority = -3,
        .handlers = {[KONG_PHASE_RESPONSE] = options_handler, [KONG_PHASE_LOG] = options_handler},
    };
    char *text = help_of(&other, true);

    (void)state;
    assert_non_null(strstr(text, "plugin rate-card, version 2.0.1,"));
    assert_non_null(strstr(text, "response,log)"));
    assert_non_null(strstr(text, "(default -3)"));
    free(text);
}

/* --- The manual page --- */

static void test_man(void **state) {
    static const char *const parts[] = {
        ".TH \"apiversion-server\" 1 ",
        "\n.SH NAME\napiversion\\-server \\- Kong plugin server for api\\-version\n",
        "\n.SS Serving\n.TP\n\\fB\\-p\\fR, \\fB\\-\\-kong\\-prefix\\fR \\fIDIR\\fR\n",
        "(default /usr/local/kong)\n.TP\n",
        "\n.SS Limits\n",
        "\n.SH SIGNALS\n",
        "\n.SH EXIT STATUS\n",
    };
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);

    (void)state;
    assert_non_null(out);
    options_print_man("apiversion-server", options_plugins(), out);
    fclose(out);
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        if (!strstr(text, parts[i]))
            fail_msg("not in the page: %s\n%s", parts[i], text);
    free(text);
}

/* --- The table itself --- */

static void test_table(void **state) {
    (void)state;
    assert_non_null(option_rows[0].section);
    for (size_t i = 0; i < option_row_count; i++) {
        const struct option_row *row = &option_rows[i];

        assert_non_null(row->help);
        assert_true((row->kind == OPTION_ACTION || row->kind == OPTION_FLAG) == !row->argument);
        assert_true((row->kind == OPTION_NAME) == (row->names != NULL));
        assert_true(row->text == NULL || row->kind == OPTION_TEXT);
        assert_true(options_takes_word(row) ==
                    (row->argument != NULL && row->kind != OPTION_HEADERS));
        assert_true(row->least <= row->most);
        if (row->kind == OPTION_SECONDS || row->kind == OPTION_COUNT || row->kind == OPTION_BYTES)
            assert_true(row->most > 0);
        for (size_t k = 0; k < i; k++) {
            assert_string_not_equal(row->name, option_rows[k].name);
            assert_true(row->letter == 0 || row->letter != option_rows[k].letter);
            if (row->kind != OPTION_ACTION)
                assert_true(option_rows[k].kind == OPTION_ACTION ||
                            row->offset != option_rows[k].offset);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_help_says),     cmocka_unit_test(test_help_fits_the_screen),
        cmocka_unit_test(test_help_is_short), cmocka_unit_test(test_help_of_another_plugin),
        cmocka_unit_test(test_man),           cmocka_unit_test(test_table),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
