/* Why a running server does not answer this user. It sends nothing to users it refuses, so its
 * command line is read. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "ask.h"
#include "options.h"

#define MOST_WORDS 128

/* --allow-uid of a running server. False: its command line cannot be read. */
static bool read_uids(pid_t pid, const struct plugins *plugins, struct option_uids *uids) {
    char path[64];
    char text[8192];
    char error[256];
    char *argv[MOST_WORDS + 1] = {NULL};
    int argc = 0;
    struct options options;
    snprintf(path, sizeof path, "/proc/%d/cmdline", (int)pid);
    FILE *file = pid > 0 ? fopen(path, "re") : NULL;
    if (file == NULL) {
        return false;
    }
    size_t len = fread(text, 1, sizeof text - 1, file);
    fclose(file);
    text[len] = '\0';
    for (size_t at = 0; at < len && argc < MOST_WORDS; at += strlen(text + at) + 1) {
        argv[argc++] = text + at;
    }
    if (argc == 0 || options_parse(&options, plugins, argc, argv, error, sizeof error) != 0) {
        return false;
    }
    *uids = options.allow_uids;
    options_free(&options);
    return true;
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
    snprintf(text, size,
             "user id %lu is refused by the server's --allow-uid %s: run this as such a user, or "
             "start the server with %lu in that list",
             self, ids, self);
    return true;
}
