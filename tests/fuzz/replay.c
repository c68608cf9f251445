/* A fuzzer's input function over files: `fuzz_x-replay FILE|DIRECTORY…`. Built with any compiler;
 * `make test` runs the committed corpus through it. */
#include "fuzz.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

static size_t files;

static int replay_file(const char *path) {
    FILE *file = fopen(path, "rb");
    struct stat stat;
    if (file == NULL || fstat(fileno(file), &stat) != 0) {
        fprintf(stderr, "%s: %s\n", path, strerror(errno));
        if (file != NULL) {
            fclose(file);
        }
        return -1;
    }
    size_t len = (size_t)stat.st_size;
    uint8_t *data = malloc(len > 0 ? len : 1);
    int rc = -1;
    if (data != NULL && fread(data, 1, len, file) == len) {
        LLVMFuzzerTestOneInput(data, len);
        files++;
        rc = 0;
    } else {
        fprintf(stderr, "%s: could not be read\n", path);
    }
    free(data);
    fclose(file);
    return rc;
}

static int replay_directory(const char *path) {
    DIR *directory = opendir(path);
    if (directory == NULL) {
        fprintf(stderr, "%s: %s\n", path, strerror(errno));
        return -1;
    }
    int rc = 0;
    for (struct dirent *entry; rc == 0 && (entry = readdir(directory)) != NULL;) {
        char name[4096];
        int len = snprintf(name, sizeof name, "%s/%s", path, entry->d_name);
        if (entry->d_name[0] != '.') {
            rc = len < 0 || (size_t)len >= sizeof name ? -1 : replay_file(name);
        }
    }
    closedir(directory);
    return rc;
}

int main(int argc, char **argv) {
    for (int i = 1; i < argc; i++) {
        struct stat stat_of;
        bool is_directory = stat(argv[i], &stat_of) == 0 && S_ISDIR(stat_of.st_mode);
        if ((is_directory ? replay_directory(argv[i]) : replay_file(argv[i])) != 0) {
            return 1;
        }
    }
    if (files == 0) {
        fprintf(stderr, "%s: no file was replayed\n", argv[0]);
        return 1;
    }
    printf("%s: %zu inputs\n", argv[0], files);
    return 0;
}
