#include <stdbool.h>
#include <string.h>

#include "options.h"
#include "options_table.h"

#define WIDTH  80
#define COLUMN 31 /* of the descriptions */

/* Words of `text`; the cursor stands at `indent`, where further lines begin too. */
static void print_wrapped(FILE *out, const char *text, int indent) {
    size_t at = (size_t)indent;
    bool first = true;
    while (*text != '\0') {
        size_t len = strcspn(text, " ");
        if (!first && at + 1 + len > WIDTH) {
            fprintf(out, "\n%*s", indent, "");
            at = (size_t)indent;
            first = true;
        }
        fprintf(out, "%s%.*s", first ? "" : " ", (int)len, text);
        at += len + (first ? 0 : 1);
        first = false;
        text += len;
        text += strspn(text, " ");
    }
    fputc('\n', out);
}

void options_describe(const struct option_row *row, const struct plugins *plugins,
                      const struct options *defaults, char *out, size_t size) {
    char scratch[160];
    char phases[160] = "";
    const char *warning = "";
    const struct kong_plugin *only = options_only_plugin(plugins);
    if (row->kind == OPTION_PHASES && only != NULL) {
        options_list_handlers(only, phases, sizeof phases);
        warning = only->handlers[KONG_PHASE_HEADER_FILTER] == NULL
                      ? ""
                      : "; no Kong up to 3.9 can call a plugin server in header_filter";
    } else if (row->kind == OPTION_PHASES) {
        snprintf(phases, sizeof phases, "those that it has handlers for");
    }
    const char *value =
        row->text != NULL ? row->text : options_show(row, defaults, scratch, sizeof scratch);
    bool hide = value[0] == '\0' || (row->of_plugin && row->text == NULL && only == NULL);
    snprintf(out, size, "%s%s%s%s%s%s", row->help, phases, warning, hide ? "" : " (default ", value,
             hide ? "" : ")");
}

static void print_row(const struct option_row *row, const char *description, FILE *out) {
    char left[64];
    char letter[8] = "    ";
    if (row->letter != 0) {
        snprintf(letter, sizeof letter, "-%c, ", row->letter);
    }
    int len =
        snprintf(left, sizeof left, "  %s--%s%s%s", letter, row->name,
                 options_takes_word(row) ? " " : "", row->argument != NULL ? row->argument : "");
    fputs(left, out);
    if (len + 2 > COLUMN) {
        fprintf(out, "\n%*s", COLUMN, "");
    } else {
        fprintf(out, "%*s", COLUMN - len, "");
    }
    print_wrapped(out, description, COLUMN);
}

/* Whether a section has a row to print. `from`: the one that begins it. */
static bool has_rows(size_t from, bool all) {
    bool found = all || option_rows[from].common;
    for (size_t i = from + 1; i < option_row_count && option_rows[i].section == NULL; i++) {
        found = found || option_rows[i].common;
    }
    return found;
}

/* "Serves the plugin a, version 1.0, to Kong ..." */
static void print_purpose(const struct plugins *plugins, FILE *out) {
    char line[640];
    struct text text = TEXT_IN(line);
    bool several = plugins->count > 1;
    text_add(&text, "Serves the plugin%s ", several ? "s" : "");
    for (size_t i = 0; i < plugins->count; i++) {
        const struct kong_plugin *plugin = plugins->list[i].what;
        text_add(&text, "%s%s%s%s", i > 0 ? ", " : "", plugin->name, several ? " " : ", version ",
                 plugin->version);
    }
    text_add(&text, "%sto Kong Gateway on a Unix socket, until SIGTERM.", several ? " " : ", ");
    print_wrapped(out, line, 0);
}

void options_print_help(const char *program, const struct plugins *plugins, bool all, FILE *out) {
    struct options defaults;
    char text[640];
    options_defaults(&defaults, plugins, options_only_plugin(plugins));
    fprintf(out, "Usage: %s [OPTION]...\n", program);
    print_purpose(plugins, out);
    for (size_t i = 0; i < option_row_count; i++) {
        if (option_rows[i].section != NULL && has_rows(i, all)) {
            fprintf(out, "\n%s:\n", option_rows[i].section);
        }
        if ((all || option_rows[i].common) && options_is_shown(&option_rows[i], plugins)) {
            options_describe(&option_rows[i], plugins, &defaults, text, sizeof text);
            print_row(&option_rows[i], text, out);
        }
    }
    if (all) {
        fputc('\n', out);
        print_wrapped(
            out,
            "Options may begin with one dash or two, and be shortened as long as they are "
            "unambiguous. Errors in them end with status 2.",
            0);
    }
}
