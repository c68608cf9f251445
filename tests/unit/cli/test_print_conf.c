/* The lines of kong.conf, in each form, and what Kong's defaults make superfluous. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "one_plugin.h"
#include "print_conf.h"

static int handle(struct kong *kong, const void *config) {
    (void)kong;
    (void)config;
    return 0;
}

struct config {
    const char *response_header;
};

static const KONG_FIELDS(struct config) fields[] = {
    KONG_STRING_FIELD(struct config, response_header, .default_json = KONG_TEXT("Version"))};

static const struct kong_schema schema = KONG_SCHEMA(struct config, fields);

static const struct kong_plugin plugin = {
    .schema = &schema,
    .thread_safe = true,
    .name = "api-version",
    .version = "1.0",
    .priority = 3000,
    .phases = KONG_PHASE_BIT(KONG_PHASE_ACCESS),
    .handlers = {[KONG_PHASE_ACCESS] = handle, [KONG_PHASE_LOG] = handle}};

/* What is printed for a command line, without the comments unless `comments`; malloc'ed. */
static char *printed(const char *executable, bool in_place, const char *line, bool comments) {
    struct options options;
    char error[256];
    char words[1024];
    char *argv[64] = {(char *)(uintptr_t)executable};
    int argc = 1;
    struct plugin place;
    const struct plugins plugins = one_plugin(&place, &plugin, NULL);
    snprintf(words, sizeof words, "%s", line);
    for (char *word = strtok(words, "|"); word != NULL; word = strtok(NULL, "|")) {
        argv[argc++] = word;
    }
    if (options_parse(&options, &plugins, argc, argv, error, sizeof error) != 0) {
        fail_msg("%s", error);
    }
    struct print_conf wanted = {.executable = executable,
                                .name = options.name != NULL ? options.name
                                                             : options_program_name(executable),
                                .in_place = in_place,
                                .plugins = &plugins,
                                .options = &options};
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    assert_non_null(out);
    if (print_conf(&wanted, out, error, sizeof error) != 0) {
        fprintf(out, "error: %s", error);
    }
    fclose(out);
    options_free(&options);
    for (char *at = text; !comments && *at != '\0';) {
        char *next = strchr(at, '\n');
        next = next == NULL ? at + strlen(at) : next + 1;
        if (*at == '#') {
            memmove(at, next, strlen(next) + 1);
        } else {
            at = next;
        }
    }
    return text;
}

static void expect(const char *executable, bool in_place, const char *line, const char *wanted) {
    char *text = printed(executable, in_place, line, false);
    assert_string_equal(text, wanted);
    free(text);
}

#define USUAL "/usr/local/bin/apiversion-server"
#define NAMES "plugins = bundled,api-version\npluginserver_names = apiversion-server\n"
#define KEY   "pluginserver_apiversion_server_"
#define HERE  KEY "socket = /usr/local/kong/apiversion-server.socket\n"

static void what_kong_finds_by_itself_is_left_out(void **state) {
    (void)state;
    expect(USUAL, true, "--print-conf", NAMES);
    expect(USUAL, true, "--print-conf|--phases|log",
           NAMES KEY "query_cmd = " USUAL " --dump --phases log\n");
    /* Kong starts the default command without an argument: it would take the default prefix. */
    expect(USUAL, true, "--print-conf|--kong-prefix|/opt/k/",
           NAMES KEY "socket = /opt/k/apiversion-server.socket\n" KEY "start_cmd = " USUAL
                     " --socket /opt/k/apiversion-server.socket\n");
    expect(USUAL, true, "--print-conf|--socket|/run/a.sock",
           NAMES KEY "socket = /run/a.sock\n" KEY "start_cmd = " USUAL " --socket /run/a.sock\n");
}

#define HIDE "nginx_proxy_proxy_hide_header = "

static void upstream_headers_are_dropped(void **state) {
    (void)state;
    expect(USUAL, true, "--print-conf|--replace-upstream-header", NAMES HIDE "Version\n");
    expect(USUAL, true, "--print-conf|--replace-upstream-header=X-A,b_2",
           NAMES HIDE "X-A; proxy_hide_header b_2\n");
    expect(USUAL, true, "--print-conf|--env|--replace-upstream-header=A,B",
           "KONG_PLUGINS=bundled,api-version\nKONG_PLUGINSERVER_NAMES=apiversion-server\n"
           "KONG_NGINX_PROXY_PROXY_HIDE_HEADER='A; proxy_hide_header B'\n");
}

static void both_sides_of_a_hybrid_kong(void **state) {
    (void)state;
    expect("/opt/x/apiversion-server", false,
           "--print-conf|--role|control_plane|--replace-upstream-header|--threads|2",
           "role = control_plane\n" NAMES HERE KEY "query_cmd = /opt/x/apiversion-server --dump\n");
    expect(USUAL, true, "--print-conf|--role|control_plane",
           "role = control_plane\n" NAMES HERE KEY "query_cmd = " USUAL " --dump\n");
    expect("/opt/x/apiversion-server", false,
           "--print-conf|--role|data_plane|--replace-upstream-header",
           "role = data_plane\n" NAMES HERE KEY "start_cmd = /opt/x/apiversion-server --socket "
           "/usr/local/kong/apiversion-server.socket\n" KEY
           "query_cmd = /opt/x/apiversion-server --dump\n" HIDE "Version\n");
    expect(USUAL, true, "--print-conf|--role|traditional", NAMES);
}

static void elsewhere_everything_is_said(void **state) {
    (void)state;
    expect("/opt/x/apiversion-server", false,
           "--print-conf|--protocol|msgpack:1|--priority|-5|--kong-version|3.9",
           NAMES HERE KEY "start_cmd = /opt/x/apiversion-server --socket "
                          "/usr/local/kong/apiversion-server.socket --kong-version 3\n" KEY
                          "query_cmd = /opt/x/apiversion-server --dump --priority "
                          "-5 --protocol MsgPack:1 --kong-version 3\n");
    /* Kong lower-cases names; ours is called as it was said. */
    expect("/opt/x/apiversion-server", false, "--print-conf|--name|My_A-B",
           "plugins = bundled,api-version\npluginserver_names = my_a-b\n"
           "pluginserver_my_a_b_socket = /usr/local/kong/My_A-B.socket\n"
           "pluginserver_my_a_b_start_cmd = /opt/x/apiversion-server --socket "
           "/usr/local/kong/My_A-B.socket\n"
           "pluginserver_my_a_b_query_cmd = /opt/x/apiversion-server --dump\n");
}

#define SERVING                                                                                    \
    "--allow-uid|1000,33|--metrics-listen|127.0.0.1:9542|--log-format|json|--socket-mode|660|"     \
    "--socket-group|it's|--log-level|warn|--drain-timeout|0.25|--watch-parent|no|--supervise|yes|" \
    "--stall-timeout|3|--threads|4|--record|/var/log/a "                                           \
    "b|--take-over|--event-timeout|30|--max-frame|2M|"                                             \
    "--max-connections|9|--max-instances|8|--max-events|7|--instance-idle|60"
/* A quote is %1$s, one that is quoted %2$s. */
#define SERVED                                                                                     \
    " --socket-mode 0660 --socket-group %1$sit%2$ss%1$s --allow-uid 1000,33 --take-over "          \
    "--log-level warn --log-format json --drain-timeout 0.25 --watch-parent no --supervise yes "   \
    "--stall-timeout 3 --threads 4 --metrics-listen 127.0.0.1:9542 --record %1$s/var/log/a b%1$s " \
    "--event-timeout 30 --max-connections 9 --max-instances 8 --max-events 7 --max-frame 2M "      \
    "--instance-idle 60"

/* All of them, and in each form: the shell that Kong starts reads them, in the variables behind the
 * shell of whoever copies the line. What is as it is without the option is left out. */
static void options_of_the_server_are_carried(void **state) {
    char wanted[2048];
    (void)state;
    snprintf(wanted, sizeof wanted,
             NAMES HERE KEY "start_cmd = " USUAL
                            " --socket /usr/local/kong/apiversion-server.socket" SERVED "\n",
             "'", "'\\''");
    expect(USUAL, true, "--print-conf|" SERVING, wanted);
    expect(USUAL, true, "--print-conf|--log-level|info|--supervise|auto|--socket-mode|0600", NAMES);

    snprintf(wanted, sizeof wanted,
             "KONG_PLUGINS=bundled,api-version\nKONG_PLUGINSERVER_NAMES=apiversion-server\n"
             "KONG_PLUGINSERVER_APIVERSION_SERVER_SOCKET=/run/a.sock\n"
             "KONG_PLUGINSERVER_APIVERSION_SERVER_START_CMD='" USUAL " --socket /run/a.sock" SERVED
             "'\n",
             "'\\''", "'\\''\\'\\'''\\''");
    expect(USUAL, true, "--print-conf|--env|--socket|/run/a.sock|" SERVING, wanted);
    expect(USUAL, true, "--print-conf|--docker|--allow-uid|5",
           "-e KONG_PLUGINS=bundled,api-version \\\n"
           "-e KONG_PLUGINSERVER_NAMES=apiversion-server \\\n"
           "-e KONG_PLUGINSERVER_APIVERSION_SERVER_SOCKET="
           "/usr/local/kong/apiversion-server.socket \\\n"
           "-e KONG_PLUGINSERVER_APIVERSION_SERVER_START_CMD='" USUAL
           " --socket /usr/local/kong/apiversion-server.socket --allow-uid 5'\n");
}

static void paths_are_quoted(void **state) {
    (void)state;
    expect("/opt/it's #1/apiversion-server", false, "--print-conf|--socket|/run/a.sock",
           NAMES KEY "socket = /run/a.sock\n" KEY
                     "start_cmd = '/opt/it'\\''s \\#1/apiversion-server' "
                     "--socket /run/a.sock\n" KEY
                     "query_cmd = '/opt/it'\\''s \\#1/apiversion-server' --dump\n");
    expect("/opt/\n/x/apiversion-server", false, "--print-conf",
           "error: a path or value that cannot stand in kong.conf");
    expect(USUAL, true, "--print-conf|--socket-group|a\nb",
           "error: a path or value that cannot stand in kong.conf");
}

static void what_kong_could_not_use(void **state) {
    (void)state;
    expect(
        "/opt/x/my.server", false, "--print-conf",
        "error: my.server: a plugin server's name has letters, digits, - and _ only, at most 63: "
        "give it another by --name");
    expect(USUAL, true, "--print-conf|--socket|run/a.sock",
           "error: --socket: Kong needs the whole path, from / on, instead of run/a.sock");
    expect(USUAL, true, "--print-conf|-p|k",
           "error: --kong-prefix or --socket: Kong needs the whole path, from / on, instead of "
           "k/apiversion-server.socket");
    expect(USUAL, true, "--print-conf|--record|a.rec",
           "error: --record: Kong needs the whole path, from / on, instead of a.rec");
    expect(USUAL, true, "--print-conf|--metrics-listen|unix:m",
           "error: --metrics-listen: Kong needs the whole path, from / on, instead of m");
}

static void as_variables(void **state) {
    (void)state;
    expect("/opt/x/apiversion-server", false, "--print-conf|--env|--name|s",
           "KONG_PLUGINS=bundled,api-version\nKONG_PLUGINSERVER_NAMES=s\n"
           "KONG_PLUGINSERVER_S_SOCKET=/usr/local/kong/s.socket\n"
           "KONG_PLUGINSERVER_S_START_CMD='/opt/x/apiversion-server --socket "
           "/usr/local/kong/s.socket'\n"
           "KONG_PLUGINSERVER_S_QUERY_CMD='/opt/x/apiversion-server --dump'\n");
    expect(USUAL, true, "--print-conf|--docker",
           "-e KONG_PLUGINS=bundled,api-version \\\n"
           "-e KONG_PLUGINSERVER_NAMES=apiversion-server\n");
}

/* Each line has one. */
static void comments(void **state) {
    static const char *const forms[] = {"--print-conf", "--print-conf|--env",
                                        "--print-conf|--docker"};
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        char *text = printed("/opt/x/s", false, forms[i], true);
        size_t count = 0;
        size_t lines = 0;
        for (const char *at = text; *at != '\0'; at = strchr(at, '\n') + 1) {
            count += *at == '#';
            lines++;
        }
        assert_int_equal(count, 5);
        assert_int_equal(lines, 10);
        free(text);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_kong_finds_by_itself_is_left_out),
        cmocka_unit_test(upstream_headers_are_dropped),
        cmocka_unit_test(both_sides_of_a_hybrid_kong),
        cmocka_unit_test(elsewhere_everything_is_said),
        cmocka_unit_test(options_of_the_server_are_carried),
        cmocka_unit_test(paths_are_quoted),
        cmocka_unit_test(what_kong_could_not_use),
        cmocka_unit_test(as_variables),
        cmocka_unit_test(comments),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
