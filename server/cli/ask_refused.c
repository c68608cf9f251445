/* Why a running server does not answer this user. It sends nothing to users it refuses, so its
 * command line is read. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ask.h"
#include "options.h"

#define MOST_WORDS 128

/* --allow-uid of a running server. False: its command line cannot be read. */
static bool read_uids(pid_t pid, const struct plugins *plugins, struct option_uids *uids) {
    char path[64];
    char error[256];
    char *argv[MOST_WORDS + 1] = {NULL};
    char *text = NULL;
    size_t size = 0;
    int argc = 0;
    struct options options;
    snprintf(path, sizeof path, "/proc/%d/cmdline", (int)pid);
    FILE *file = pid > 0 ? fopen(path, "re") : NULL;
    if (file == NULL) {
        return false;
    }
    while (argc <= MOST_WORDS && getdelim(&text, &size, '\0', file) > 0) {
        argv[argc++] = text;
        text = NULL;
        size = 0;
    }
    free(text);
    fclose(file);
    bool read = argc > 0 && argc <= MOST_WORDS &&
                options_parse(&options, plugins, argc, argv, error, sizeof error) == 0;
    if (read) {
        *uids = options.allow_uids;
        options_free(&options);
    }
    for (int i = 0; i < argc; i++) {
        free(argv[i]);
    }
    return read;
}

bool ask_find_refusal(const struct ask *ask, const struct plugins *plugins, char *text,
                      size_t size) {
    struct option_uids uids = {0};
    unsigned long self = (unsigned long)geteuid();
    char ids[128];
    struct text list = TEXT_IN(ids);
    if (!ask->dropped) {
        return false;
    }
    if (!read_uids(ask->peer, plugins, &uids)) {
        snprintf(text, size,
                 "the server closed the connection before any answer: does its --allow-uid leave "
                 "out user id %lu?",
                 self);
        return true;
    }
    if (uids.count == 0 || options_has_uid(&uids, geteuid())) {
        return false;
    }
    options_list_uids(&uids, &list);
    if (list.len + 1 == sizeof ids) { /* ends with a whole id */
        ids[sizeof ids - 4] = '\0';
        snprintf(strrchr(ids, ','), 5, ",...");
    }
    snprintf(text, size,
             "user id %lu is refused by the server's --allow-uid %s: run this as such a user, or "
             "start the server with %lu in that list",
             self, ids, self);
    return true;
}
