#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "doctor_place.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static const char usual_settings[] =
    "# made up\n"
    "prefix = {dir}  # a comment\n"
    "nginx_user = no-such-user-here\n"
    "plugins = bundled,rig\n"
    "pluginserver_names = doctored\n" KEY "socket = {sock}\n" KEY
    "start_cmd = {dir}/server --socket {sock}\n" KEY "query_cmd = {dir}/server --dump\n";

static const char usual_dump[] = DUMP(PROTOBUF, "\"1.2.3\"", "7", SCHEMA, "\"access\"");

void place_write(const struct place *place, const char *name, const char *text, mode_t mode) {
    char path[PATH_MAX + 16];
    snprintf(path, sizeof path, "%s/%s", place->directory, name);
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(path, mode), 0);
}

/* A socket that nobody listens on. */
static void leave_socket(const struct place *place) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%.90s/left", place->directory);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    close(fd);
}

struct place *place_make(const struct kong_plugin *const *list, size_t count) {
    static const char *const ours[] = {"KONG_PREFIX", "KONG_PLUGINS",   "KONG_PLUGINSERVER_NAMES",
                                       "KONG_ROLE",   "KONG_LOG_LEVEL", "KONG_NGINX_USER"};
    struct place *place = calloc(1, sizeof *place);
    char error[256];
    char text[PATH_MAX + 64];
    assert_non_null(place);
    for (size_t i = 0; i < LENGTH(ours); i++) {
        unsetenv(ours[i]);
    }
    assert_true(scratch_make(place->scratch));
    assert_non_null(realpath(place->scratch, place->directory));
    snprintf(place->program, sizeof place->program, "%s/server", place->directory);
    snprintf(place->conf, sizeof place->conf, "%s/kong.conf", place->directory);
    snprintf(text, sizeof text, "#!/bin/sh\nexec cat %s/$3dump.json\n", place->directory);
    place_write(place, "server", text, 0755);
    leave_socket(place);
    snprintf(place->path, sizeof place->path, "%s", getenv("PATH"));
    snprintf(text, sizeof text, "%s:/usr/bin:/bin", place->directory);
    assert_int_equal(setenv("PATH", text, 1), 0);
    assert_int_equal(plugins_init(&place->plugins, "doctored", list, count), 0);
    place->server = sim_server_start(
        &(struct sim_server_options){.plugins = list, .plugin_count = count}, error, sizeof error);
    if (place->server == NULL) {
        fail_msg("%s", error);
    }
    return place;
}

int place_of_one(void **state) {
    static const struct kong_plugin *const list[] = {&rig_plugin};
    struct place *place = place_make(list, 1);
    place->settings = usual_settings;
    place->dump = usual_dump;
    place->dumped = "dump.json";
    *state = place;
    return 0;
}

int place_remove(void **state) {
    struct place *place = *state;
    sim_server_stop(place->server);
    plugins_free(&place->plugins);
    setenv("PATH", place->path, 1);
    bool removed = scratch_remove(place->scratch);
    free(place);
    return removed ? 0 : -1;
}

/* malloc'ed: the text with what {dir}, {sock}, {pid} and {uid} stand for. */
static char *expand(const struct place *place, const char *text) {
    char *expanded = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&expanded, &len);
    assert_non_null(out);
    while (*text != '\0') {
        if (strncmp(text, "{dir}", 5) == 0) {
            fputs(place->directory, out);
            text += 5;
        } else if (strncmp(text, "{sock}", 6) == 0) {
            fputs(sim_server_path(place->server), out);
            text += 6;
        } else if (strncmp(text, "{pid}", 5) == 0) {
            fprintf(out, "%d", (int)getpid());
            text += 5;
        } else if (strncmp(text, "{uid}", 5) == 0) {
            fprintf(out, "%lu", (unsigned long)geteuid());
            text += 5;
        } else {
            fputc(*text++, out);
        }
    }
    fclose(out);
    return expanded;
}

char *place_examine(const struct doctor_options *options, bool *well) {
    char *said = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&said, &len);
    assert_non_null(out);
    *well = doctor_run(options, out);
    fclose(out);
    return said;
}

bool place_check(const struct place *place, const struct row *row) {
    char kong[64];
    char *usual = expand(place, place->settings);
    char *more = expand(place, row->settings);
    FILE *conf = fopen(place->conf, "we");
    bool well;
    bool right = true;
    assert_non_null(conf);
    fprintf(conf, "%s%s\n", usual, more);
    assert_int_equal(fclose(conf), 0);
    free(usual);
    free(more);
    place_write(place, place->dumped, row->dump != NULL ? row->dump : place->dump, 0644);
    snprintf(kong, sizeof kong, "#!/bin/sh\necho %s\n", row->kong != NULL ? row->kong : "3.9.1");
    place_write(place, "kong", kong, 0755);
    char *variable = row->variable != NULL ? strdup(row->variable) : NULL;
    char *equals = variable != NULL ? strchr(variable, '=') : NULL;
    if (equals != NULL) {
        *equals = '\0';
        assert_int_equal(setenv(variable, equals + 1, 1), 0);
    }
    char *said = place_examine(&(struct doctor_options){.plugins = &place->plugins,
                                                        .executable = place->program,
                                                        .called = place->program,
                                                        .name = "doctored",
                                                        .conf = place->conf},
                               &well);
    if (variable != NULL) {
        unsetenv(variable);
    }
    free(variable);
    for (size_t i = 0; i < LENGTH(row->says) && row->says[i] != NULL; i++) {
        char *wanted = expand(place, row->says[i]);
        if (strstr(said, wanted) == NULL) {
            print_error("with \"%s\" there is no \"%s\" in:\n%s\n", row->settings, wanted, said);
            right = false;
        }
        free(wanted);
    }
    if (well != row->well) {
        print_error("%s with \"%s\":\n%s\n", well ? "all is well" : "a fault", row->settings, said);
        right = false;
    }
    free(said);
    return right;
}

void place_check_all(const struct place *place, const struct row *rows, size_t count) {
    size_t wrong = 0;
    for (size_t i = 0; i < count; i++) {
        wrong += !place_check(place, &rows[i]);
    }
    assert_int_equal(wrong, 0);
}
