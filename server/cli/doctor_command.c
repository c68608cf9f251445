/* The command that Kong starts the server with, and whole lines in the place of wrong ones. */
#include <linux/limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "doctor.h"
#include "options_table.h"
#include "shell_words.h"
#include "text.h"

/* The option that a word names, in full or shortened, with one dash or two. NULL: it names none, or
 * several. */
static const struct option_row *row_of(const char *word) {
    const struct option_row *found = NULL;
    const char *name = word + strspn(word, "-");
    size_t len = strcspn(name, "=");
    for (size_t i = 0; word[0] == '-' && len > 0 && i < option_row_count; i++) {
        const struct option_row *row = &option_rows[i];
        if ((len == 1 && row->letter == name[0]) ||
            (strlen(row->name) == len && memcmp(row->name, name, len) == 0)) {
            return row;
        }
        if (strncmp(row->name, name, len) == 0) {
            if (found != NULL) {
                return NULL;
            }
            found = row;
        }
    }
    return found;
}

/* The option that a misspelt word probably means; NULL: not known. */
static const struct option_row *meant_row(const char *word) {
    char name[64];
    const char *begin = word + strspn(word, "-");
    snprintf(name, sizeof name, "%.*s", (int)strcspn(begin, "="), begin);
    for (size_t i = 0; word[0] == '-' && i < option_row_count; i++) {
        if (doctor_distance(name, option_rows[i].name) <= 2) {
            return &option_rows[i];
        }
    }
    return NULL;
}

/* Appends the words behind the program: each option that belongs to the command, spelt right.
 * Leaves out the paths and `but`, which the caller adds. */
static void append_options(struct buffer *out, const struct shell_words *words, enum option_use use,
                           const char *but) {
    for (size_t i = 1; i < words->count; i++) {
        const struct option_row *row = row_of(words->words[i]);
        row = row != NULL ? row : meant_row(words->words[i]);
        if (row == NULL || !options_belongs(row, use) || row->kind == OPTION_ACTION) {
            i += row != NULL && options_takes_word(row) && strchr(words->words[i], '=') == NULL;
            continue;
        }
        const char *value = strchr(words->words[i], '=');
        if (value != NULL) {
            value++;
        } else if (options_takes_word(row) && i + 1 < words->count) {
            value = words->words[++i];
        }
        bool said_anew = strcmp(row->name, "socket") == 0 || strcmp(row->name, "plugin") == 0 ||
                         strcmp(row->name, "kong-prefix") == 0 ||
                         (but != NULL && strcmp(row->name, but) == 0);
        if (!said_anew && (row->argument == NULL) == (value == NULL)) {
            shell_append_option(out, row->name, value);
        }
    }
}

/* "/opt/x/server --socket ... [options]", ends with NUL. Without `words` no more than that. */
static void make_command(const struct patient *p, bool query, const struct shell_words *words,
                         const char *option, const char *argument, struct buffer *out) {
    buffer_init(out, DOCTOR_MOST);
    shell_append(out, p->options->called);
    shell_append_option(out, query ? "dump" : "socket", query ? NULL : p->socket);
    if (query && doctor_has_several(p)) {
        shell_append_option(out, "plugin", p->plugin->name);
    }
    if (words != NULL) {
        append_options(out, words, query ? OPTION_FOR_QUERY : OPTION_FOR_START, option);
    }
    if (option != NULL) {
        shell_append_option(out, option, argument);
    }
    buffer_append_byte(out, '\0');
}

bool doctor_is_own(const struct patient *p, const char *program) {
    char real[PATH_MAX];
    return realpath(program, real) != NULL && strcmp(real, p->options->executable) == 0;
}

static int parse(const struct patient *p, struct shell_words *words, struct options *options,
                 char *error, size_t size) {
    return options_parse(options, p->options->plugins, (int)words->count, words->words, error,
                         size);
}

/* A command that this server takes, too. */
static bool is_sound(const struct patient *p, const struct buffer *command, bool query) {
    struct shell_words words;
    struct options options;
    char error[256];
    if (command->failed || shell_split(&words, (const char *)command->data) != 0) {
        return false;
    }
    bool sound = parse(p, &words, &options, error, sizeof error) == 0;
    if (sound) {
        sound = options.action == (query ? OPTIONS_DUMP : OPTIONS_RUN);
        options_free(&options);
    }
    shell_words_free(&words);
    return sound;
}

const char *doctor_mend_command(struct patient *p, bool query, const char *option,
                                const char *argument) {
    struct shell_words words;
    struct buffer command;
    bool split = shell_split(&words, query ? p->query : p->start) == 0;
    make_command(p, query, split ? &words : NULL, option, argument, &command);
    if (split && !is_sound(p, &command, query)) {
        buffer_free(&command);
        make_command(p, query, NULL, option, argument, &command);
    }
    doctor_mend_own(p, query ? "query_cmd" : "start_cmd",
                    command.failed ? "" : (const char *)command.data);
    buffer_free(&command);
    shell_words_free(&words);
    return doctor_mended(p);
}

/* What the options say, when the program is this one. False: something was wrong. */
static bool check_options(struct patient *p, struct shell_words *words) {
    struct options options;
    char error[512];
    if (parse(p, words, &options, error, sizeof error) != 0) {
        doctor_fail(p, doctor_mend_command(p, false, NULL, NULL), "start command: %s: %s", p->start,
                    error);
        return false;
    }
    bool well = false;
    if (options.action != OPTIONS_RUN) {
        doctor_fail(p, doctor_mend_command(p, false, NULL, NULL),
                    "start command: %s: that is not to serve, but to end", p->start);
    } else if (strcmp(options.socket, p->socket) != 0) {
        doctor_fail(p, doctor_mend_command(p, false, NULL, NULL),
                    "start command: it listens at %s, Kong connects to %s", options.socket,
                    p->socket);
    } else if (options.allow_uids.count > 0 && !options_has_uid(&options.allow_uids, p->uid)) {
        char uids[1024];
        struct text list = TEXT_IN(uids);
        options_list_uids(&options.allow_uids, &list);
        text_add(&list, ",%lu", (unsigned long)p->uid);
        doctor_fail(p, doctor_mend_command(p, false, "allow-uid", uids),
                    "start command: its --allow-uid leaves out Kong's user %s, id %lu", p->user,
                    (unsigned long)p->uid);
    } else {
        well = true;
        if (options.log_file != NULL) {
            snprintf(p->log_file, sizeof p->log_file, "%s", options.log_file);
        }
    }
    options_free(&options);
    return well;
}

/* Whether Kong can run it. */
static bool check_program(struct patient *p, const char *program) {
    struct stat status;
    if (program[0] != '/') {
        doctor_fail(p, doctor_mend_command(p, false, NULL, NULL),
                    "start command: %s: Kong starts it without PATH", p->start);
    } else if (stat(program, &status) != 0 || !S_ISREG(status.st_mode)) {
        doctor_fail(p, doctor_mend_command(p, false, NULL, NULL),
                    "start command: %s: there is no program %s", p->start, program);
    } else if (!doctor_may(p, &status, 1)) {
        doctor_fail(p, doctor_mend(p, "chmod a+x %s", program),
                    "start command: %s: Kong's user %s cannot run %s", p->start, p->user, program);
    } else {
        return true;
    }
    return false;
}

void doctor_start(struct patient *p) {
    struct shell_words words;
    if (p->start[0] == '\0') {
        if (!doctor_has_several(p)) { /* else one of the others has it: check_starts */
            doctor_note(p,
                        "no start command, and no /usr/local/bin/%s: Kong starts nothing, "
                        "something else must",
                        p->name);
        }
        return;
    }
    if (shell_split(&words, p->start) != 0 || words.count == 0) {
        doctor_note(p, "start command: %s: only a shell can tell what that does", p->start);
    } else if (check_program(p, words.words[0]) &&
               (!doctor_is_own(p, words.words[0]) || check_options(p, &words))) {
        doctor_ok(p, "start command: %s", p->start);
    }
    shell_words_free(&words);
}
