/* Bodies: in memory, in a file of nginx's, too large, unreadable. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <uv.h>

#include "pdk_bench.h"
#include "scratch.h"

#define LENGTH(array) (sizeof(array) / sizeof(array)[0])

static const enum protocol protocols[] = {PROTOCOL_PROTOBUF, PROTOCOL_MSGPACK};

/* Sums what was read up, for bodies too large to note. */
static unsigned sum_of(const char *data, size_t len) {
    unsigned sum = 0;
    for (size_t i = 0; i < len; i++) {
        sum = sum * 31 + (unsigned char)data[i];
    }
    return sum;
}

static void note_body(struct bench *bench, struct kong_str body) {
    if (body.len < 100) {
        note_str(bench, body);
    } else {
        note(bench, "%zu %u%s", body.len, sum_of(body.data, body.len),
             body.data[body.len] == '\0' ? "" : " (no NUL)");
    }
}

static int get_request_body(struct kong *kong, struct bench *bench) {
    struct kong_str body = {"unset", 5};
    int error = kong_request_get_raw_body(kong, *(size_t *)bench->data, &body);
    note_error(bench, error);
    note_body(bench, body);
    if (error != 0) {
        note(bench, ": %s", kong_error_text(kong));
    }
    return 0;
}

static int get_service_body(struct kong *kong, struct bench *bench) {
    struct kong_str body = {"unset", 5};
    int error = kong_service_response_get_raw_body(kong, *(size_t *)bench->data, &body);
    note_error(bench, error);
    note_body(bench, body);
    if (error != 0) {
        note(bench, ": %s", kong_error_text(kong));
    }
    return 0;
}

/* --- In memory --- */

static void check_memory(enum protocol protocol, bench_handler *handler, const char *json,
                         size_t limit, const char *seen) {
    const struct bench_answer answer = {.kind = BENCH_JSON, .text = json};
    struct bench *bench = bench_create(protocol, NULL);
    bench->phase = KONG_PHASE_RESPONSE;
    bench_run(bench, handler, &limit, &answer, 1);
    assert_string_equal(bench_notes(bench), seen);
    assert_true(bench->over);
    bench_destroy(bench);
}

static void test_memory(void **state) {
    const enum protocol pb = PROTOCOL_PROTOBUF, mp = PROTOCOL_MSGPACK;
    const char *too_big = "TOO_BIG nil: kong.request.get_raw_body: the body has 5 bytes, the limit "
                          "is 4";
    (void)state;
    check_memory(pb, get_request_body, "{\"content\":\"12345\"}", 5, "ok \"12345\"");
    check_memory(pb, get_request_body, "{\"content\":\"12345\"}", 4, too_big);
    check_memory(pb, get_request_body, "{\"content\":\"\"}", 0, "ok \"\"");
    check_memory(pb, get_request_body, "null", 0, "ok \"\"");
    check_memory(pb, get_request_body, "{\"error\":\"no luck\"}", 5,
                 "KONG nil: kong.request.get_raw_body: no luck");
    check_memory(mp, get_request_body, "\"12345\"", 5, "ok \"12345\"");
    check_memory(mp, get_request_body, "\"12345\"", 4, too_big);
    check_memory(mp, get_request_body, "\"\"", 0, "ok \"\"");
    check_memory(mp, get_request_body, "{\"a\":1}", 5,
                 "TYPE nil: kong.request.get_raw_body: the answer is a map");
    for (size_t i = 0; i < LENGTH(protocols); i++) {
        check_memory(protocols[i], get_service_body, "\"12345\"", 5, "ok \"12345\"");
        check_memory(protocols[i], get_service_body, "\"12345\"", 4,
                     "TOO_BIG nil: kong.service.response.get_raw_body: the body has 5 bytes, the "
                     "limit is 4");
    }
}

/* On MsgPack:1 Kong fails the request for a file that is larger than it is told: so it is asked
 * only for what is not. */
static void test_what_kong_is_asked_for(void **state) {
    static const struct {
        const char *content_length;
        size_t limit;
        const char *args; /* NULL: nothing */
        const char *notes;
    } rows[] = {
        {"5", 5, "[67108864]", "ok \"12345\""},
        {NULL, 5, "[67108864]", "ok \"12345\""},
        {"junk", 5, "[67108864]", "ok \"12345\""},
        {"", 5, "[67108864]", "ok \"12345\""},
        {NULL, 67108865, "[67108865]", "ok \"12345\""},
        {"6", 5, NULL,
         "TOO_BIG nil: kong.request.get_raw_body: the body has 6 bytes, the limit is 5"},
        {"1073741824", 8192, NULL,
         "TOO_BIG nil: kong.request.get_raw_body: the body has 1073741824 bytes, the limit is "
         "8192"},
        {"1", 0, NULL,
         "TOO_BIG nil: kong.request.get_raw_body: the body has 1 bytes, the limit is 0"},
    };
    const struct bench_answer body = {.kind = BENCH_JSON, .text = "\"12345\""};
    struct bench *bench = bench_create(PROTOCOL_MSGPACK, NULL);
    (void)state;
    for (size_t i = 0; i < LENGTH(rows); i++) {
        size_t limit = rows[i].limit;
        bench->content_length = rows[i].content_length;
        bench_run(bench, get_request_body, &limit, &body, 1);
        assert_string_equal(bench_notes(bench), rows[i].notes);
        assert_true(bench->over);
        assert_int_equal(bench->call_count, rows[i].args == NULL ? 0 : 1);
        if (rows[i].args != NULL) {
            assert_string_equal(bench_args(bench, 0), rows[i].args);
        }
    }
    size_t limit = SIZE_MAX;
    bench_run(bench, get_request_body, &limit, &body, 1);
    assert_string_equal(bench_args(bench, 0), sizeof limit > 4 ? "[0]" : "[4294967295]");
    bench_destroy(bench);
}

/* --- In a file --- */

struct files {
    char dir[SCRATCH_PATH];
    char path[64];
};

static int make_dir(void **state) {
    static struct files files;
    assert_true(scratch_make(files.dir));
    snprintf(files.path, sizeof files.path, "%s/0000000001", files.dir);
    *state = &files;
    return 0;
}

static int remove_dir(void **state) {
    const struct files *files = *state;
    unlink(files->path);
    return scratch_remove(files->dir) ? 0 : -1;
}

/* `len` bytes, no two pieces of 4 KiB alike. */
static unsigned write_file(const char *path, size_t len) {
    char *data = malloc(len + 1);
    FILE *file = fopen(path, "w");
    assert_non_null(data);
    assert_non_null(file);
    for (size_t i = 0; i < len; i++) {
        data[i] = (char)(i * 7 + (i >> 12));
    }
    assert_int_equal(fwrite(data, 1, len, file), len);
    assert_int_equal(fclose(file), 0);
    unsigned sum = sum_of(data, len);
    free(data);
    return sum;
}

/* Kong names the file; the notes go to `seen`. */
static void read_path(struct kong_str path, size_t limit, void *loop, char *seen, size_t size) {
    struct kong_pair pair = {.key = {"body_filepath", 13},
                             .value = kong_bytes(path.data, path.len)};
    struct kong_value map = kong_map(&pair, 1);
    const struct bench_answer answer = {.kind = BENCH_VALUE, .value = &map};
    struct bench *bench = bench_create(PROTOCOL_PROTOBUF, loop);
    bench_run(bench, get_request_body, &limit, &answer, 1);
    if (loop != NULL) {
        uv_run(loop, UV_RUN_DEFAULT);
        bench_pump(bench);
    }
    assert_true(bench->over);
    snprintf(seen, size, "%s", bench_notes(bench));
    bench_destroy(bench);
}

static void check_path(const char *path, size_t limit, const char *code, const char *text) {
    char seen[500];
    read_path(kong_str(path), limit, NULL, seen, sizeof seen);
    if (strncmp(seen, code, strlen(code)) != 0 || strstr(seen, text) == NULL) {
        fail_msg("%s: saw %s, not %s with %s", path, seen, code, text);
    }
}

static void test_small_file(void **state) {
    const struct files *files = *state;
    char seen[500], expected[500];
    unsigned sum = write_file(files->path, 20000);
    snprintf(expected, sizeof expected, "ok 20000 %u", sum);
    read_path(kong_str(files->path), 20000, NULL, seen, sizeof seen);
    assert_string_equal(seen, expected);
    check_path(files->path, 19999, "TOO_BIG nil", "the body has 20000 bytes, the limit is 19999");
    write_file(files->path, 0);
    check_path(files->path, 0, "ok \"\"", "");
}

static void test_large_file(void **state) {
    const struct files *files = *state;
    const size_t len = ((size_t)3 << 20) + 5;
    char seen[500], expected[500];
    uv_loop_t loop;
    unsigned sum = write_file(files->path, len);
    assert_int_equal(uv_loop_init(&loop), 0);
    snprintf(expected, sizeof expected, "ok %zu %u", len, sum);
    read_path(kong_str(files->path), len, &loop, seen, sizeof seen);
    assert_string_equal(seen, expected);
    assert_int_equal(uv_loop_close(&loop), 0);
    /* without a loop there is no other thread to read it */
    check_path(files->path, len, "IO nil", "no loop");
}

static void test_unreadable(void **state) {
    const struct files *files = *state;
    char seen[500];
    check_path(files->path, 100, "IO nil", "No such file");
    check_path(files->dir, 100, "IO nil", "not a regular file");
    assert_int_equal(symlink("/etc/passwd", files->path), 0);
    check_path(files->path, 100000, "IO nil", "symbolic links");
    unlink(files->path);
    assert_int_equal(mkfifo(files->path, 0600), 0);
    check_path(files->path, 100, "IO nil", "not a regular file");
    unlink(files->path);
    check_path("", 100, "IO nil", "no usable name");
    read_path((struct kong_str){"/etc/hostname\0x", 15}, 100, NULL, seen, sizeof seen);
    assert_non_null(strstr(seen, "no usable name"));
    /* a file that says it has 4096 bytes, and gives fewer */
    if (access("/sys/kernel/uevent_seqnum", R_OK) == 0) {
        check_path("/sys/kernel/uevent_seqnum", 100000, "IO nil", "No data available");
    }
}

/* No descriptor is left open. */
static void test_descriptors(void **state) {
    const struct files *files = *state;
    int before = open("/dev/null", O_RDONLY | O_CLOEXEC);
    close(before);
    write_file(files->path, 100);
    check_path(files->path, 100, "ok", "");
    check_path(files->path, 99, "TOO_BIG", "");
    check_path(files->dir, 99, "IO", "");
    int after = open("/dev/null", O_RDONLY | O_CLOEXEC);
    close(after);
    assert_int_equal(after, before);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_memory),
        cmocka_unit_test(test_what_kong_is_asked_for),
        cmocka_unit_test_setup_teardown(test_small_file, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(test_large_file, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(test_unreadable, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(test_descriptors, make_dir, remove_dir),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
