/* Commands as /bin/sh reads them: Kong runs start_cmd and query_cmd by it. */
#ifndef SERVER_SHELL_WORDS_H
#define SERVER_SHELL_WORDS_H

#include <stddef.h>

#include "buffer.h"

#define SHELL_WORDS_MOST 256

/* Appends a word, quoted where the shell asks for it, behind a blank unless it is the first. */
void shell_append(struct buffer *out, const char *word);

/* "--name", and its value unless that is NULL. */
void shell_append_option(struct buffer *out, const char *name, const char *value);

/* Owned by whoever embeds it. */
struct shell_words {
    char *text;                        /* the words are in it */
    char *words[SHELL_WORDS_MOST + 1]; /* ends with NULL */
    size_t count;
};

/* Splits a simple command, quotes and backslashes taken away. 0; or -1 when it is none: it has
 * something that only a shell can work out ($, |, ;, * …), a quote without its end, too many words,
 * or there is no memory. Then *words holds nothing. */
int shell_split(struct shell_words *words, const char *command);
void shell_words_free(struct shell_words *words);

#endif
