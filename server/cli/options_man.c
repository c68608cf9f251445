/* The manual page, made of the table of options. */
#include "options_table.h"

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

/* ".TP", and the option with its letter and its argument. */
static void print_heading(const struct option_row *row, FILE *file) {
    fputs(".TP\n", file);
    if (row->letter != 0) {
        fprintf(file, "\\fB\\-%c\\fR, ", row->letter);
    }
    fputs("\\fB\\-\\-", file);
    print_roff(file, row->name);
    fputs("\\fR", file);
    if (row->argument != NULL) {
        fprintf(file, "%s\\fI%s\\fR", options_takes_word(row) ? " " : "", row->argument);
    }
    fputc('\n', file);
}

void options_print_man(const char *program, const struct plugins *plugins, FILE *file) {
    struct options defaults;
    char text[640];
    char names[400];
    const struct kong_plugin *only = options_only_plugin(plugins);
    options_list_plugins(plugins, names, sizeof names);
    options_defaults(&defaults, plugins, only);
    fprintf(file, ".TH \"%s\" 1 \"\" \"%s %s\" \"Kong plugin servers\"\n.SH NAME\n", program,
            plugins->name, only != NULL ? only->version : "");
    print_roff(file, program);
    fputs(" \\- Kong plugin server for ", file);
    print_roff(file, names);
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
    for (size_t i = 0; i < option_row_count; i++) {
        const struct option_row *row = &option_rows[i];
        if (row->section != NULL) {
            fprintf(file, ".SS %s\n", row->section);
        }
        if (!options_is_shown(row, plugins)) {
            continue;
        }
        print_heading(row, file);
        options_describe(row, plugins, &defaults, text, sizeof text);
        print_roff(file, text);
        fputc('\n', file);
    }
    fputs(".SH SIGNALS\n.TP\n\\fBSIGTERM\\fR, \\fBSIGINT\\fR\nTake the socket away, finish what is "
          "under way, end. A second SIGINT ends at once.\n"
          ".SH ENVIRONMENT\n.TP\n\\fBLISTEN_PID\\fR, \\fBLISTEN_FDS\\fR, \\fBLISTEN_FDNAMES\\fR\n"
          "Set by a service manager (systemd's socket activation): then descriptor 3, a listening "
          "Unix socket, is served. No socket is made or taken away, and "
          "\\fB\\-\\-socket\\fR, \\fB\\-\\-socket\\-mode\\fR and "
          "\\fB\\-\\-socket\\-group\\fR are without effect.\n"
          ".TP\n\\fBNOTIFY_SOCKET\\fR\nWhere READY=1 and STOPPING=1 are sent.\n"
          ".SH EXIT STATUS\n.TP\n0\nIt ended as it was told to.\n.TP\n1\nIt could not start or go "
          "on; one line on standard error says why.\n"
          "With \\fB\\-\\-check\\-config\\fR also: the configuration breaks the "
          "rules that standard output lists.\n"
          ".TP\n2\nThe options are wrong, or another server listens at the path; one line on "
          "standard error says "
          "what to do.\n",
          file);
}
