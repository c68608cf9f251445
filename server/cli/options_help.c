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

void options_describe(const struct option_row *row, const struct kong_plugin *plugin,
                      const struct options *defaults, char *out, size_t size) {
    char scratch[160];
    char phases[160] = "";
    if (row->kind == OPTION_PHASES) {
        options_list_handlers(plugin, phases, sizeof phases);
    }
    const char *value =
        row->text != NULL ? row->text : options_show(row, defaults, scratch, sizeof scratch);
    bool hide = value[0] == '\0';
    snprintf(out, size, "%s%s%s%s%s", row->help, phases, hide ? "" : " (default ", value,
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

int options_print_help(const char *program, const struct kong_plugin *plugin, bool all, FILE *out) {
    struct options defaults;
    char text[640];
    options_defaults(&defaults, plugin);
    fprintf(out, "Usage: %s [OPTION]...\n", program);
    snprintf(text, sizeof text,
             "Serves the plugin %s, version %s, to Kong Gateway on a Unix socket, until SIGTERM.",
             plugin->name, plugin->version);
    print_wrapped(out, text, 0);
    for (size_t i = 0; i < option_row_count; i++) {
        if (option_rows[i].section != NULL && has_rows(i, all)) {
            fprintf(out, "\n%s:\n", option_rows[i].section);
        }
        if (all || option_rows[i].common) {
            options_describe(&option_rows[i], plugin, &defaults, text, sizeof text);
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
    return fflush(out) == 0 && ferror(out) == 0 ? 0 : -1;
}
