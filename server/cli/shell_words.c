#include "shell_words.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool is_plain(const char *text) {
    return text[0] != '\0' &&
           text[strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
                             "@%+=:,./_-")] == '\0';
}

void shell_append(struct buffer *out, const char *word) {
    if (out->len > 0) {
        buffer_append_byte(out, ' ');
    }
    if (is_plain(word)) {
        buffer_append(out, word, strlen(word));
        return;
    }
    buffer_append_byte(out, '\'');
    for (; *word != '\0'; word++) {
        if (*word == '\'') {
            buffer_append(out, "'\\''", 4);
        } else {
            buffer_append_byte(out, (uint8_t)*word);
        }
    }
    buffer_append_byte(out, '\'');
}

void shell_append_option(struct buffer *out, const char *name, const char *value) {
    char option[64];
    snprintf(option, sizeof option, "--%s", name);
    shell_append(out, option);
    if (value != NULL) {
        shell_append(out, value);
    }
}

/* Whether only a shell can tell what such a character makes of the command. */
static bool is_beyond(char c, char quote) {
    return quote != '\'' &&
           (strchr("$`", c) != NULL || (quote == '\0' && strchr("\n\r;&|<>()*?[~#{}!", c) != NULL));
}

/* One word, from *in to *out, with both moved behind it. False: only a shell can tell. */
static bool take_word(const char **in, char **out) {
    const char *from = *in;
    char quote = '\0';
    for (; *from != '\0' && (quote != '\0' || strchr(" \t", *from) == NULL); from++) {
        if (is_beyond(*from, quote)) {
            return false;
        }
        if (quote == '\0' && (*from == '\'' || *from == '"')) {
            quote = *from;
            continue;
        }
        if (quote != '\0' && *from == quote) {
            quote = '\0';
            continue;
        }
        /* between " only some characters lose their meaning */
        if (*from == '\\' && quote != '\'' &&
            (quote == '\0' || strchr("\"\\$`", from[1]) != NULL)) {
            from++;
        }
        if (*from == '\0') {
            return false;
        }
        *(*out)++ = *from;
    }
    *(*out)++ = '\0';
    *in = from;
    return quote == '\0';
}

int shell_split(struct shell_words *words, const char *command) {
    *words = (struct shell_words){.text = malloc(2 * strlen(command) + 2)};
    char *out = words->text;
    if (out == NULL) {
        return -1;
    }
    for (;;) {
        command += strspn(command, " \t");
        if (*command == '\0') {
            return 0;
        }
        words->words[words->count] = out;
        if (words->count == SHELL_WORDS_MOST || !take_word(&command, &out)) {
            shell_words_free(words);
            return -1;
        }
        words->count++;
    }
}

void shell_words_free(struct shell_words *words) {
    free(words->text);
    *words = (struct shell_words){0};
}
