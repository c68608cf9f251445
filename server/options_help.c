/* What is printed of the table of options: --help and the man page. */
#include <string.h>

#include "options_table.h"

#define HELP_COLUMN 28
#define HELP_WIDTH  80

void options_list_phases(const struct kong_plugin *plugin, char *text, size_t size) {
    size_t used = 0;
    text[0] = '\0';
    for (unsigned phase = 0; phase < KONG_PHASE_COUNT; phase++) {
        if (plugin->handlers[phase] != NULL && used < size) {
            int more = snprintf(text + used, size - used, "%s%s", used > 0 ? ", " : "",
                                kong_phase_name((enum kong_phase)phase));
            used += more > 0 ? (size_t)more : 0;
        }
    }
}

/* Words from HELP_COLUMN on, broken before HELP_WIDTH; the cursor is at `column`. */
static void print_wrapped(FILE *file, const char *text, int column) {
    if (column >= HELP_COLUMN) {
        fputc('\n', file);
        column = 0;
    }
    fprintf(file, "%*s", HELP_COLUMN - column, "");
    column = HELP_COLUMN;
    while (*text != '\0') {
        int len = (int)strcspn(text, " ");
        if (column > HELP_COLUMN && column + 1 + len > HELP_WIDTH) {
            fprintf(file, "\n%*s", HELP_COLUMN, "");
            column = HELP_COLUMN;
        } else if (column > HELP_COLUMN) {
            fputc(' ', file);
            column++;
        }
        fprintf(file, "%.*s", len, text);
        column += len;
        text += len;
        text += strspn(text, " ");
    }
    fputc('\n', file);
}

/* The help text with its default in place of %s, and with what only the plugin knows. */
static void expand(const struct option_spec *spec, const struct kong_plugin *plugin, char *out,
                   size_t size) {
    const char *mark = strstr(spec->help, "%s");
    char known[160];
    if (mark != NULL) {
        snprintf(out, size, "%.*s%s%s", (int)(mark - spec->help), spec->help, spec->fallback,
                 mark + 2);
    } else if (strcmp(spec->name, "phases") == 0) {
        options_list_phases(plugin, known, sizeof known);
        snprintf(out, size, "%s; %s can: %s", spec->help, plugin->name, known);
    } else if (strcmp(spec->name, "priority") == 0) {
        snprintf(out, size, "%s; default %d", spec->help, plugin->priority);
    } else {
        snprintf(out, size, "%s", spec->help);
    }
}

int options_print_help(const char *program, const struct kong_plugin *plugin, FILE *file) {
    char text[320];
    fprintf(file, "Usage: %s [option]…\n\nKong plugin server for %s %s.\n", program, plugin->name,
            plugin->version);
    for (size_t i = 0; i < option_spec_count; i++) {
        const struct option_spec *spec = &option_specs[i];
        if (spec->name == NULL) {
            fprintf(file, "\n%s:\n", spec->help);
            continue;
        }
        int column = fprintf(file, "  --%s%s%s", spec->name, spec->value != NULL ? " " : "",
                             spec->value != NULL ? spec->value : "");
        if (spec->letter != 0) {
            column += fprintf(file, ", -%c", spec->letter);
        }
        expand(spec, plugin, text, sizeof text);
        print_wrapped(file, text, column);
    }
    fprintf(file, "\nOptions may start with one dash or two. Errors in them end with status 2.\n");
    return ferror(file) || fflush(file) != 0 ? -1 : 0;
}

/* --- the man page --- */

/* roff takes a leading dot or quote for a request, a backslash for an escape, and a bare hyphen for
 * a dash. */
static void print_roff(FILE *file, const char *text) {
    for (const char *c = text; *c != '\0'; c++) {
        if (c == text && (*c == '.' || *c == '\'')) {
            fputs("\\&", file);
        }
        if (*c == '\\') {
            fputs("\\e", file);
        } else if (*c == '-') {
            fputs("\\-", file);
        } else {
            fputc(*c, file);
        }
    }
}

int options_print_man(const char *program, const struct kong_plugin *plugin, FILE *file) {
    char text[320];
    fprintf(file, ".TH \"%s\" 1 \"\" \"%s %s\" \"Kong plugin servers\"\n.SH NAME\n", program,
            plugin->name, plugin->version);
    print_roff(file, program);
    fputs(" \\- Kong plugin server for ", file);
    print_roff(file, plugin->name);
    fputs("\n.SH SYNOPSIS\n.B ", file);
    print_roff(file, program);
    fputs("\n[\\fIoption\\fR]...\n.SH DESCRIPTION\nKong Gateway starts this program as an external "
          "plugin server, or finds it at its "
          "socket when it is managed elsewhere, and asks it on each request to which the plugin "
          "applies. With \\fB\\-\\-dump\\fR it "
          "tells Kong what the plugin is and ends.\n.PP\nInstalled as \\fI/usr/local/bin/",
          file);
    print_roff(file, program);
    fputs("\\fR it needs one setting in \\fIkong.conf\\fR: \\fBpluginserver_names = ", file);
    print_roff(file, program);
    fputs("\\fR.\n.SH OPTIONS\nEach may start with one dash or two.\n", file);
    for (size_t i = 0; i < option_spec_count; i++) {
        const struct option_spec *spec = &option_specs[i];
        if (spec->name == NULL) {
            fprintf(file, ".SS %s\n", spec->help);
            continue;
        }
        fputs(".TP\n", file);
        if (spec->letter != 0) {
            fprintf(file, "\\fB\\-%c\\fR, ", spec->letter);
        }
        fputs("\\fB\\-\\-", file);
        print_roff(file, spec->name);
        fputs("\\fR", file);
        if (spec->value != NULL) {
            fprintf(file, " \\fI%s\\fR", spec->value);
        }
        fputc('\n', file);
        expand(spec, plugin, text, sizeof text);
        print_roff(file, text);
        fputc('\n', file);
    }
    fputs(".SH SIGNALS\n.TP\n\\fBSIGTERM\\fR, \\fBSIGINT\\fR\nTake the socket away, finish what is "
          "under way, end. A second one ends at once.\n"
          ".SH EXIT STATUS\n.TP\n0\nIt ended as it was told to.\n.TP\n1\nIt could not start or go "
          "on; one line on standard error says why.\n"
          ".TP\n2\nThe options are wrong; one line on standard error says what to do.\n",
          file);
    return ferror(file) || fflush(file) != 0 ? -1 : 0;
}
