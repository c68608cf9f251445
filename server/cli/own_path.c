#include "own_path.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool is_own(const char *path, const struct own_path *own) {
    char real[PATH_MAX];
    return realpath(path, real) != NULL && strcmp(real, own->real) == 0;
}

/* "DIR/NAME", when that is this program. */
static bool try_path(struct own_path *own, const char *directory, size_t len, const char *name) {
    char path[PATH_MAX];
    while (len > 1 && directory[len - 1] == '/') {
        len--;
    }
    int written = snprintf(path, sizeof path, "%.*s%s%s", (int)len, directory,
                           len == 1 && directory[0] == '/' ? "" : "/", name);
    if (written < 0 || (size_t)written >= sizeof path || path[0] != '/' || !is_own(path, own)) {
        return false;
    }
    snprintf(own->called, sizeof own->called, "%s", path);
    return true;
}

static void search_path(struct own_path *own, const char *name) {
    const char *list = getenv("PATH");
    while (list != NULL && *list != '\0') {
        size_t len = strcspn(list, ":");
        if (len < PATH_MAX && try_path(own, list, len, name)) {
            return;
        }
        list += len + (list[len] == ':');
    }
}

bool own_path_find(struct own_path *own, const char *argv0) {
    if (realpath("/proc/self/exe", own->real) == NULL) {
        return false;
    }
    snprintf(own->called, sizeof own->called, "%s", own->real);
    if (argv0 == NULL || argv0[0] == '\0') {
        return true;
    }
    if (strchr(argv0, '/') == NULL) {
        search_path(own, argv0);
    } else if (argv0[0] != '/') {
        while (argv0[0] == '.' && argv0[1] == '/') {
            argv0 += 1 + strspn(argv0 + 1, "/");
        }
        char *directory = get_current_dir_name(); /* $PWD, if that is right: it keeps links */
        if (directory != NULL && directory[0] == '/') {
            try_path(own, directory, strlen(directory), argv0);
        }
        free(directory);
    } else if (strlen(argv0) < sizeof own->called && is_own(argv0, own)) {
        snprintf(own->called, sizeof own->called, "%s", argv0);
    }
    return true;
}
