#include "scratch.h"

#include <dirent.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NAME "/kong-test-XXXXXX"

struct scratch {
    struct scratch *next;
    pid_t owner; /* a process forked from it has the list, too */
    char path[SCRATCH_PATH];
};

static struct scratch *all;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static bool empty(const char *path) {
    DIR *directory = opendir(path);
    if (directory == NULL) {
        return false;
    }
    for (const struct dirent *entry; (entry = readdir(directory)) != NULL;) {
        unlinkat(dirfd(directory), entry->d_name, 0); /* fails for directories, "." and ".." too */
    }
    closedir(directory);
    return rmdir(path) == 0;
}

static void remove_all(void) {
    while (all != NULL) {
        struct scratch *scratch = all;
        all = scratch->next;
        if (scratch->owner == getpid()) {
            empty(scratch->path);
        }
        free(scratch);
    }
}

void scratch_remove_at_fault(void) {
    static const char *const names[] = {SCRATCH_SOCKET, SCRATCH_BODY};
    for (const struct scratch *scratch = all; scratch != NULL; scratch = scratch->next) {
        size_t len = strlen(scratch->path);
        char path[SCRATCH_PATH + 16];
        memcpy(path, scratch->path, len);
        path[len++] = '/';
        for (size_t i = 0; i < sizeof names / sizeof *names && scratch->owner == getpid(); i++) {
            memcpy(path + len, names[i], strlen(names[i]) + 1);
            unlink(path);
        }
        if (scratch->owner == getpid()) {
            rmdir(scratch->path);
        }
    }
}

bool scratch_make(char path[SCRATCH_PATH]) {
    static bool registered;
    struct scratch *scratch = malloc(sizeof *scratch);
    path[0] = '\0';
    if (scratch == NULL) {
        return false;
    }
    const char *base = getenv("TMPDIR");
    if (base == NULL || strlen(base) + sizeof NAME > sizeof scratch->path) {
        base = "/tmp";
    }
    *scratch = (struct scratch){.owner = getpid()};
    snprintf(scratch->path, sizeof scratch->path, "%s" NAME, base);
    if (mkdtemp(scratch->path) == NULL) {
        free(scratch);
        return false;
    }
    memcpy(path, scratch->path, sizeof scratch->path);
    pthread_mutex_lock(&lock);
    scratch->next = all;
    all = scratch;
    if (!registered) {
        registered = atexit(remove_all) == 0;
    }
    pthread_mutex_unlock(&lock);
    return true;
}

static bool forget(const char *path) {
    struct scratch *found = NULL;
    pthread_mutex_lock(&lock);
    for (struct scratch **at = &all; *at != NULL && found == NULL;) {
        if (strcmp((*at)->path, path) == 0) {
            found = *at;
            *at = found->next;
        } else {
            at = &(*at)->next;
        }
    }
    pthread_mutex_unlock(&lock);
    free(found);
    return found != NULL;
}

bool scratch_remove(const char *path) {
    return !forget(path) || empty(path);
}

bool scratch_remove_empty(const char *path) {
    if (rmdir(path) != 0) {
        return false;
    }
    forget(path);
    return true;
}
