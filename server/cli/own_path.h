/* The path of this program. */
#ifndef SERVER_OWN_PATH_H
#define SERVER_OWN_PATH_H

#include <linux/limits.h>
#include <stdbool.h>

struct own_path {
    char real[PATH_MAX];   /* of the file itself, without links */
    char called[PATH_MAX]; /* as it was called, from / on: a link or a second name is kept, so that
                              what is written down stays right when the link points elsewhere */
};

/* argv0: of main; looked up in PATH when it has no '/'. `called` is `real` where argv0 says nothing
 * or names another file. False: /proc does not tell. */
bool own_path_find(struct own_path *own, const char *argv0);

#endif
