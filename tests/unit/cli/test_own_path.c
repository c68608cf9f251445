/* The program's own path: links and second names are kept, what names another file is not believed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "own_path.h"
#include "scratch.h"

struct place {
    char directory[SCRATCH_PATH], link[SCRATCH_PATH + 16], back[PATH_MAX], path[PATH_MAX];
    struct own_path real;
};

/* DIR/link is this program. */
static void place_make(struct place *place) {
    assert_true(own_path_find(&place->real, NULL));
    assert_true(scratch_make(place->directory));
    snprintf(place->link, sizeof place->link, "%s/link", place->directory);
    assert_int_equal(symlink(place->real.real, place->link), 0);
    assert_non_null(getcwd(place->back, sizeof place->back));
    snprintf(place->path, sizeof place->path, "%s", getenv("PATH"));
}

static void place_end(struct place *place) {
    assert_int_equal(chdir(place->back), 0);
    assert_int_equal(setenv("PATH", place->path, 1), 0);
    assert_int_equal(unlink(place->link), 0);
    assert_true(scratch_remove_empty(place->directory));
}

static void expect(const struct place *place, const char *argv0, const char *called) {
    struct own_path own;
    assert_true(own_path_find(&own, argv0));
    assert_string_equal(own.called, called);
    assert_string_equal(own.real, place->real.real);
}

static void a_link_is_kept(void **state) {
    struct place place;
    (void)state;
    place_make(&place);
    expect(&place, place.link, place.link);
    assert_int_equal(chdir(place.directory), 0);
    expect(&place, "./link", place.link);
    expect(&place, ".//./link", place.link);
    place_end(&place);
}

static void a_name_is_looked_up_in_path(void **state) {
    struct place place;
    char list[SCRATCH_PATH + 64];
    (void)state;
    place_make(&place);
    snprintf(list, sizeof list, "/nonexistent:relative::%s/:/bin", place.directory);
    assert_int_equal(setenv("PATH", list, 1), 0);
    expect(&place, "link", place.link);
    place_end(&place);
}

/* A directory that is reached through a link: $PWD says how, when it is right. */
static void the_shells_name_of_the_directory_is_kept(void **state) {
    struct place place;
    char by[SCRATCH_PATH + 16];
    char called[SCRATCH_PATH + 32];
    (void)state;
    place_make(&place);
    snprintf(by, sizeof by, "%s/by", place.directory);
    snprintf(called, sizeof called, "%s/link", by);
    assert_int_equal(symlink(".", by), 0);
    assert_int_equal(chdir(by), 0);
    assert_int_equal(setenv("PWD", by, 1), 0);
    expect(&place, "./link", called);
    assert_int_equal(setenv("PWD", "/", 1), 0); /* another directory: not believed */
    expect(&place, "./link", place.link);
    assert_int_equal(unlink(by), 0);
    place_end(&place);
}

static void what_is_another_file_is_not_believed(void **state) {
    struct place place;
    (void)state;
    place_make(&place);
    expect(&place, "/bin/sh", place.real.real);
    expect(&place, "no-such-program", place.real.real);
    expect(&place, "./no-such-program", place.real.real);
    expect(&place, "", place.real.real);
    expect(&place, NULL, place.real.real);
    place_end(&place);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_link_is_kept),
        cmocka_unit_test(a_name_is_looked_up_in_path),
        cmocka_unit_test(the_shells_name_of_the_directory_is_kept),
        cmocka_unit_test(what_is_another_file_is_not_believed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
