#include "own_path.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool is_own(const char *path, const struct own_path *own) {
    char real[PATH_MAX];
    return realpath(path, real) != NULL && strcmp(real, own->real) == 0;
}

/* The directory we are in as the shell calls it, if that is right: $PWD keeps links. */
static bool find_directory(char out[PATH_MAX]) {
    struct stat here;
    struct stat named;
    const char *pwd = getenv("PWD");
    if (pwd != NULL && pwd[0] == '/' && strlen(pwd) < PATH_MAX && stat(".", &here) == 0 &&
        stat(pwd, &named) == 0 && here.st_dev == named.st_dev && here.st_ino == named.st_ino) {
        snprintf(out, PATH_MAX, "%s", pwd);
        return true;
    }
    return getcwd(out, PATH_MAX) != NULL;
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
    char directory[PATH_MAX];
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
        if (find_directory(directory)) {
            try_path(own, directory, strlen(directory), argv0);
        }
    } else if (strlen(argv0) < sizeof own->called && is_own(argv0, own)) {
        snprintf(own->called, sizeof own->called, "%s", argv0);
    }
    return true;
}
