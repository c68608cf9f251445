#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "socket_rig.h"

static unsigned count_descriptors(void) {
    DIR *directory = opendir("/proc/self/fd");
    unsigned n = 0;

    while (directory && readdir(directory))
        n++;
    if (directory)
        closedir(directory);
    return n;
}

int place_setup(void **state) {
    struct place *place = calloc(1, sizeof *place);

    if (!place)
        return -1;
    umask(022);
    if (!scratch_make(place->directory)) {
        free(place);
        return -1;
    }
    snprintf(place->path, sizeof place->path, "%s/api.socket", place->directory);
    place->options = (struct socket_file_options){
        .path = place->path, .mode = 0600, .backlog = 16, .take_over = true};
    place->file.fd = -1;
    place->descriptors = count_descriptors();
    *state = place;
    return 0;
}

int place_teardown(void **state) {
    struct place *place = *state;
    int result;

    socket_file_close(&place->file);
    result = scratch_remove_empty(place->directory) ? 0 : -1; /* fails if anything was left */
    if (result != 0)
        print_error("left in %s: something\n", place->directory);
    if (count_descriptors() != place->descriptors) {
        print_error("descriptors left open\n");
        result = -1;
    }
    free(place);
    return result;
}

size_t place_count(const struct place *place) {
    DIR *directory = opendir(place->directory);
    size_t n = 0;

    assert_non_null(directory);
    while (readdir(directory))
        n++;
    closedir(directory);
    return n - 2; /* . and .. */
}

struct stat file_status(const char *path) {
    struct stat status;

    if (lstat(path, &status) != 0)
        fail_msg("%s: %s", path, strerror(errno));
    return status;
}

int socket_connect(const char *path) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    memcpy(address.sun_path, path, strlen(path));
    if (connect(fd, (const struct sockaddr *)&address, sizeof address) == 0)
        return fd;
    close(fd);
    return -1;
}

unsigned socket_serve_waiting(int listener, char byte) {
    unsigned served = 0;
    int fd;

    while ((fd = accept(listener, NULL, NULL)) >= 0) {
        served += send(fd, &byte, 1, MSG_NOSIGNAL) == 1;
        close(fd);
    }
    return served;
}

char socket_who_answers(const char *path, int listener, char byte) {
    int fd = socket_connect(path);
    char answer = 0;

    if (fd < 0)
        return 0;
    socket_serve_waiting(listener, byte);
    if (recv(fd, &answer, 1, MSG_DONTWAIT) != 1)
        answer = 0;
    close(fd);
    return answer;
}

void place_open(struct place *place, struct socket_file *file, bool *replaced) {
    if (socket_file_open(&place->options, file, replaced, place->error, sizeof place->error) != 0)
        fail_msg("%s", place->error);
}

void place_open_fails(struct place *place, const char *what, const char *more) {
    size_t before = place_count(place);

    memset(place->error, 'x', sizeof place->error);
    assert_int_equal(
        socket_file_open(&place->options, &place->file, NULL, place->error, sizeof place->error),
        -1);
    if (!strstr(place->error, what) || !strstr(place->error, more))
        fail_msg("\"%s\" should say: %s ... %s", place->error, what, more);
    assert_null(strchr(place->error, '\n'));
    assert_int_equal(place->file.fd, -1);
    assert_null(place->file.path);
    assert_int_equal(place_count(place), before);
}
