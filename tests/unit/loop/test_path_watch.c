/* A path that is taken away, or taken over: what the watch does at each look, and says once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "path_watch.h"
#include "socket_rig.h"

#define LOOK_MS 3000

struct bench {
    struct place *place;
    uv_loop_t loop;
    struct acceptor acceptor;
    struct path_watch watch;
    size_t accepted;
    uint64_t now_ms;
    FILE *said;
};

static void on_accepted(struct acceptor *acceptor, int fd) {
    struct bench *bench = acceptor->owner;
    bench->accepted++;
    close(fd);
}

static void begin(struct bench *bench, struct place *place) {
    bool replaced;
    *bench = (struct bench){.place = place, .now_ms = 100000};
    place_open(place, &place->file, &replaced);
    bench->said = tmpfile();
    assert_non_null(bench->said);
    assert_int_equal(uv_loop_init(&bench->loop), 0);
    bench->acceptor.owner = bench;
    bench->acceptor.accepted = on_accepted;
    int fd = fcntl(place->file.fd, F_DUPFD_CLOEXEC, 3);
    assert_int_equal(acceptor_open(&bench->acceptor, &bench->loop, fd), 0);
    bench->watch.socket = &place->file;
    bench->watch.listener = &bench->acceptor;
    bench->watch.log = log_create(fileno(bench->said), LOG_LEVEL_INFO, "watch");
    assert_non_null(bench->watch.log);
}

static void end(struct bench *bench) {
    acceptor_close(&bench->acceptor);
    uv_run(&bench->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&bench->loop), 0);
    log_destroy(bench->watch.log);
    fclose(bench->said);
    socket_file_close(&bench->place->file);
}

static void look(struct bench *bench) {
    bench->now_ms += LOOK_MS;
    path_watch_tick(&bench->watch, bench->now_ms);
}

/* Whether nothing was said since the beginning but `times` lines with that. */
static void assert_said(struct bench *bench, const char *what, size_t times) {
    size_t lines = 0, found = 0;
    char line[1024];
    rewind(bench->said);
    while (fgets(line, sizeof line, bench->said) != NULL) {
        lines++;
        found += strstr(line, what) != NULL;
    }
    assert_int_equal(lines, times);
    assert_int_equal(found, times);
}

/* One that connects at the path is accepted. */
static void assert_serves(struct bench *bench) {
    size_t before = bench->accepted;
    int fd = socket_connect(bench->place->path);
    assert_true(fd >= 0);
    while (bench->accepted == before) {
        uv_run(&bench->loop, UV_RUN_ONCE);
    }
    close(fd);
}

static void one_that_is_there(void **state) {
    struct bench bench;
    begin(&bench, *state);
    look(&bench);
    look(&bench);
    assert_serves(&bench);
    assert_said(&bench, "", 0);
    end(&bench);
}

/* Every 3 s, not more often. */
static void one_that_is_removed(void **state) {
    struct bench bench;
    begin(&bench, *state);
    look(&bench);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(unlink(bench.place->path), 0);
        bench.now_ms += LOOK_MS - 1;
        path_watch_tick(&bench.watch, bench.now_ms);
        assert_int_equal(place_count(bench.place), 0);
        bench.now_ms += 1;
        path_watch_tick(&bench.watch, bench.now_ms);
        assert_int_equal(place_count(bench.place), 1);
        assert_serves(&bench);
        assert_said(&bench, "was gone, removed by somebody", (size_t)i + 1);
    }
    end(&bench);
}

/* Whoever waits where the path was is accepted first, which cannot be done yet. */
static void one_that_cannot_be_listened_to(void **state) {
    struct bench bench;
    begin(&bench, *state);
    int deaf = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0); /* nobody can be accepted there */
    assert_true(dup3(deaf, bench.acceptor.fd, O_CLOEXEC) >= 0);
    close(deaf);
    assert_int_equal(unlink(bench.place->path), 0);
    for (int i = 0; i < 3; i++) {
        look(&bench);
        assert_int_equal(place_count(bench.place), 1);
        assert_true(bench.watch.not_accepting_yet);
        assert_said(&bench, "and the new one cannot be listened to yet", 1);
    }
    end(&bench);
}

static void while_it_is_full(void **state) {
    struct bench bench;
    begin(&bench, *state);
    assert_int_equal(unlink(bench.place->path), 0);
    acceptor_pause(&bench.acceptor);
    look(&bench);
    assert_int_equal(place_count(bench.place), 0);
    acceptor_resume(&bench.acceptor);
    look(&bench);
    assert_int_equal(place_count(bench.place), 1);
    assert_serves(&bench);
    end(&bench);
}

/* Said once; and again when it was had in between. */
static void one_that_another_has(void **state) {
    struct bench bench;
    char wanted[256];
    begin(&bench, *state);
    for (size_t i = 1; i <= 2; i++) {
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        snprintf(address.sun_path, sizeof address.sun_path, "%.100s", bench.place->path);
        assert_int_equal(unlink(bench.place->path), 0);
        int other = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_int_equal(bind(other, (const struct sockaddr *)&address, sizeof address), 0);
        assert_int_equal(listen(other, 4), 0);
        look(&bench);
        look(&bench);
        snprintf(wanted, sizeof wanted,
                 "another server (process %d) has taken %s over: this one serves the connections "
                 "that it has",
                 (int)getpid(), bench.place->path);
        assert_said(&bench, i == 1 ? wanted : "", 2 * i - 1);
        close(other);
        assert_int_equal(unlink(bench.place->path), 0);
        look(&bench);
        assert_said(&bench, "", 2 * i);
        assert_serves(&bench);
    }
    end(&bench);
}

/* A supervisor that has no time is told of the new socket later. */
static void while_the_store_is_full(void **state) {
    struct bench bench;
    struct socket_file known = {.fd = -1};
    begin(&bench, *state);
    bench.watch.store = fd_store_create(&known, NULL, NULL);
    assert_non_null(bench.watch.store);
    while (fd_store_keep_socket(bench.watch.store, &bench.place->file)) {
    }
    assert_int_equal(unlink(bench.place->path), 0);
    look(&bench);
    assert_serves(&bench);
    for (int i = 0; i < 1000 && bench.watch.untold; i++) {
        fd_store_wait(bench.watch.store, -1, 0);
        path_watch_tick(&bench.watch, bench.now_ms);
    }
    assert_false(bench.watch.untold);
    for (int i = 0; i < 1000 && known.inode != bench.place->file.inode; i++) {
        fd_store_wait(bench.watch.store, -1, 0);
    }
    assert_int_equal(known.inode, bench.place->file.inode);
    fd_store_destroy(bench.watch.store);
    close(known.fd);
    end(&bench);
}

static void without_a_path(void **state) {
    struct path_watch watch = {.socket = NULL};
    (void)state;
    path_watch_tick(&watch, LOOK_MS);
    assert_int_equal(watch.looked_ms, LOOK_MS);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        PLACE_TEST(one_that_is_there),
        PLACE_TEST(one_that_is_removed),
        PLACE_TEST(one_that_cannot_be_listened_to),
        PLACE_TEST(while_it_is_full),
        PLACE_TEST(one_that_another_has),
        PLACE_TEST(while_the_store_is_full),
        cmocka_unit_test(without_a_path),
    };
    uv_loop_t first; /* what libuv opens once is no descriptor that a test leaves */
    if (uv_loop_init(&first) != 0 || uv_loop_close(&first) != 0) {
        return 1;
    }
    return cmocka_run_group_tests_name("test_path_watch", tests, NULL, NULL);
}
