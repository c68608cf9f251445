#include "ancestor.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MOST_GENERATIONS 16

/* Its name, and its parent's id; 0: there is no such process, or it cannot be read. */
static pid_t look(pid_t pid, char *name, size_t size) {
    char path[64];
    char line[512] = "";
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    FILE *file = fopen(path, "re");
    name[0] = '\0';
    if (file == NULL) {
        return 0;
    }
    size_t len = fread(line, 1, sizeof line - 1, file);
    fclose(file);
    line[len] = '\0';
    /* "17 (nginx) S 16 ...": the name may have a parenthesis of its own */
    const char *begin = strchr(line, '(');
    const char *end = strrchr(line, ')');
    if (begin == NULL || end == NULL || strlen(end) < 5) {
        return 0;
    }
    snprintf(name, size, "%.*s", (int)(end - begin - 1), begin + 1);
    return (pid_t)strtol(end + 4, NULL, 10);
}

static bool has_kong(pid_t pid, int generations) {
    char name[32];
    for (int i = 0; i < generations && pid > 0; i++) {
        pid = look(pid, name, sizeof name);
        if (strcmp(name, "nginx") == 0) {
            return true;
        }
    }
    return false;
}

bool ancestor_is_kong(pid_t parent) {
    return has_kong(parent, 1);
}

bool ancestor_has_kong(void) {
    return has_kong(getppid(), MOST_GENERATIONS);
}
