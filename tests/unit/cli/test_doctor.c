/* --doctor: what each fault in Kong's settings makes it say, and how it mends that. A server
 * listens; its program and the command kong are scripts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <limits.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "doctor.h"
#include "outcome.h"
#include "rig.h"
#include "scratch.h"

/* {dir} is the directory with all files, {sock} the server's socket, {uid} and
 * {pid} this user's and this process'. */
struct row {
    const char *settings; /* behind the usual ones: the last of a key counts */
    const char *says[6];
    const char *variable; /* set meanwhile, NAME=VALUE */
    const char *dump;     /* what the program prints; NULL: the usual */
    const char *kong;     /* its version; NULL: 3.9.1 */
    bool well;            /* no fault */
};

#define KEY "pluginserver_doctored_"

/* 1,280 bytes of a list, and 5,120 */
#define LIST_OF_4 "one-more-plugin,one-more-plugin,one-more-plugin,one-more-plugin,"
#define LONG_LIST                                                                                  \
    LIST_OF_4 LIST_OF_4 LIST_OF_4 LIST_OF_4 LIST_OF_4 LIST_OF_4 LIST_OF_4 LIST_OF_4 LIST_OF_4      \
        LIST_OF_4 LIST_OF_4 LIST_OF_4 LIST_OF_4 LIST_OF_4 LIST_OF_4 LIST_OF_4 LIST_OF_4 LIST_OF_4  \
            LIST_OF_4 LIST_OF_4

static const char usual_settings[] =
    "# made up\n"
    "prefix = {dir}  # a comment\n"
    "nginx_user = no-such-user-here\n"
    "plugins = bundled,rig\n"
    "pluginserver_names = doctored\n" KEY "socket = {sock}\n" KEY
    "start_cmd = {dir}/server --socket {sock}\n" KEY "query_cmd = {dir}/server --dump\n";

#define DUMP(protocol, version, priority, schema, phases)                                          \
    "{" protocol "\"Plugins\":[{\"Name\":\"rig\",\"Version\":" version ",\"Priority\":" priority   \
    "," schema "\"Phases\":[" phases "]}]}"
#define PROTOBUF "\"Protocol\":\"ProtoBuf:1\","
#define SCHEMA   "\"Schema\":{\"name\":\"rig\"},"

static const char usual_dump[] = DUMP(PROTOBUF, "\"1.2.3\"", "7", SCHEMA, "\"access\"");

static const struct row rows[] = {
    {.settings = "",
     .well = true,
     .says = {"\nok   Kong 3.9.1\n", "\nok   prefix {dir} (kong.conf), Kong's user ",
              "\nok   pluginserver_names has doctored\n", "\nok   plugins has rig\n",
              "\nnote log_level notice: ", ", 0 FAIL\n"}},
    {.settings = "log_level = info",
     .well = true,
     .says = {"\nok   query command: {dir}/server --dump: speaks ProtoBuf:1, phases access\n",
              "\nok   start command: {dir}/server --socket {sock}\n",
              "\nok   socket {sock}: owner ",
              "\nok   an event of access over ProtoBuf:1: answered, with ",
              "\nok   an event of access over MsgPack:1: answered, with ",
              "\nok   log_level info: the server's own lines are in error.log\n"}},
    /* names */
    {.settings = "plugins = bundled",
     .says = {"\nFAIL plugins does not name rig: Kong does not know it\n"
              "     mend: plugins = bundled,rig\n",
              ", 1 FAIL\n"}},
    {.settings = "plugins = " LONG_LIST "last",
     .says = {"\n     mend: plugins = " LONG_LIST "last,rig\n"}},
    {.settings = "plugins = " LONG_LIST LONG_LIST LONG_LIST LONG_LIST "last",
     .says = {"\n     mend: plugins with rig in it\n"}},
    {.settings = "plugins = off", .says = {"\n     mend: plugins = bundled,rig\n"}},
    {.settings = "plugins = bundled",
     .variable = "KONG_PLUGINS=bundled,rig",
     .well = true,
     .says = {"\nok   plugins has rig\n"}},
    {.settings = "",
     .variable = "KONG_PLUGINS=bundled",
     .says = {"\n     mend: KONG_PLUGINS=bundled,rig, in the environment, which wins over "
              "kong.conf\n"}},
    {.settings = "pluginserver_names = doctord",
     .says =
         {"\nFAIL pluginserver_names does not have doctored\n"
          "     mend: pluginserver_names = doctored (if it is called otherwise there: --name)\n",
          "\nFAIL the key " KEY "socket belongs to no name in pluginserver_names\n"
          "     mend: pluginserver_names with doctored in it, as above\n"}},
    {.settings = "pluginserver_names = other",
     .says = {"\n     mend: pluginserver_names = other,doctored (if "}},
    {.settings = "pluginserver_names =", .says = {"\n     mend: pluginserver_names = doctored\n"}},
    {.settings = "pluginserver_names = doctord\npluginserver_doctord_socket = /x",
     .says = {"\nFAIL pluginserver_names does not have doctored, but doctord\n"
              "     mend: --doctor --name doctord, if that is what this server is called\n"}},
    {.settings = "pluginserver_names = my-name\npluginserver_my_name_socket = {sock}\n"
                 "pluginserver_my_name_query_cmd = {dir}/server --dump",
     .says = {"\nnote this program is the plugin server my-name of pluginserver_names\n",
              "\nok   pluginserver_names has my-name\n",
              "\nnote no start command, and no /usr/local/bin/my-name: Kong starts nothing"}},
    {.settings = "pluginserver_names = doctored,other",
     .says = {"\nFAIL the plugin server other has no query command: Kong refuses to start: "
              "query_command undefined for pluginserver other\n"
              "     mend: pluginserver_names = doctored (or give the plugin server other its query "
              "command)\n",
              ", 1 FAIL\n"}},
    {.settings = "pluginserver_names = doctored,other\n"
                 "pluginserver_other_query_cmd = {dir}/server --dump",
     .says = {"\nFAIL the plugin server other has rig too and stands behind doctored: Kong takes "
              "the last one\n     mend: pluginserver_names = doctored\n"}},
    {.settings = "pluginserver_names = other, doctored\n"
                 "pluginserver_other_query_cmd = {dir}/server --dump",
     .well = true,
     .says = {"\nnote the plugin server other has rig too; Kong takes the last one, doctored\n"}},
    {.settings = "pluginserver_names = other, doctored\n"
                 "pluginserver_other_query_cmd = echo '{}'",
     .well = true,
     .says = {", 1 to note, 0 FAIL\n"}},
    {.settings = KEY "startcmd = /x",
     .says = {"\nFAIL the key " KEY "startcmd belongs to no name in pluginserver_names\n"
              "     mend: " KEY "start_cmd = /x\n"}},
    {.settings = "",
     .variable = "KONG_PLUGINSERVER_DOCTORED_SOKET=/z",
     .says = {"\nFAIL the variable KONG_PLUGINSERVER_DOCTORED_SOKET belongs to no name in "
              "pluginserver_names\n     mend: the variable KONG_PLUGINSERVER_DOCTORED_SOCKET\n"}},
    {.settings = "plugins = \"bundled,rig\"",
     .says = {"\nFAIL plugins: there are quotes around the value, which Kong takes as part of it\n"
              "     mend: plugins = bundled,rig\n"}},
    {.settings = "plugins = \"bundled\"\nplugins = bundled,rig",
     .well = true,
     .says = {"\nok   plugins has rig\n"}},
    {.settings = "plugins = \"bundled\"",
     .variable = "KONG_PLUGINS=bundled,rig",
     .well = true,
     .says = {"\nok   plugins has rig\n"}},
    /* the node */
    {.settings = "role = control_plane",
     .well = true,
     .says = {"\nok   role control_plane: it proxies nothing"}},
    {.settings = "role = data_plane", .well = true, .says = {"\nok   role data_plane: "}},
    {.settings = "role = plane", .says = {"\nFAIL role plane: Kong does not know it\n"}},
    {.settings = "prefix = /nowhere/kong/",
     .says = {"\nFAIL prefix /nowhere/kong (kong.conf): No such file or directory\n"
              "     mend: kong prepare -p /nowhere/kong (kong start does it too)\n"}},
    {.settings = "prefix = {dir}/server",
     .says = {"\nFAIL prefix {dir}/server (kong.conf): Not a directory\n"}},
    {.settings = "",
     .kong = "1.2",
     .says = {"\nFAIL Kong 1.2 has no plugin servers of this kind\n     mend: a newer Kong\n"}},
    {.settings = "",
     .kong = "no number",
     .well = true,
     .says = {"\nnote no kong on PATH: its version is not known\n"}},
    /* the start command */
    {.settings = KEY "start_cmd = /nowhere/server",
     .says = {"\nFAIL start command: /nowhere/server: there is no program /nowhere/server\n"
              "     mend: " KEY "start_cmd = {dir}/server --socket {sock}\n"}},
    {.settings = KEY "start_cmd = server",
     .says = {"\nFAIL start command: server: Kong starts it without PATH\n"}},
    {.settings = KEY "start_cmd = {dir}/server --sockt /x --log-format=json --allow-uid 54321 "
                     "--drain-timout 3",
     .says = {": unknown option --sockt",
              "\n     mend: " KEY "start_cmd = {dir}/server --socket {sock} --log-format json "
              "--allow-uid 54321 --drain-timeout 3\n"}},
    {.settings = KEY "start_cmd = {dir}/server --socket {sock} --frobnicate",
     .says = {"\n     mend: " KEY "start_cmd = {dir}/server --socket {sock}\n"}},
    {.settings = KEY "start_cmd = {dir}/server --socket {sock} --log-level warn --allow-uid 54321",
     .says = {"\nFAIL start command: its --allow-uid leaves out Kong's user ",
              "\n     mend: " KEY "start_cmd = {dir}/server --socket {sock} --log-level warn "
              "--allow-uid 54321,{uid}\n"}},
    {.settings = KEY "start_cmd = {dir}/server --dump --phases access",
     .says =
         {"\nFAIL start command: {dir}/server --dump --phases access: that is not to serve, but "
          "to end\n     mend: " KEY "start_cmd = {dir}/server --socket {sock}\n"}},
    {.settings = KEY "start_cmd = /bin/sh -c 'exec {dir}/server' $X",
     .well = true,
     .says = {"\nnote start command: /bin/sh -c 'exec {dir}/server' $X: only a shell can tell"}},
    /* the socket */
    {.settings = KEY "socket = {dir}/other.socket",
     .says = {"\nFAIL start command: it listens at {sock}, Kong connects to {dir}/other.socket\n"
              "     mend: " KEY "start_cmd = {dir}/server --socket {dir}/other.socket\n",
              "\nFAIL socket {dir}/other.socket: No such file or directory: no server has been "
              "started\n     mend: kong start, or kong restart; then look into error.log\n"}},
    {.settings = KEY "socket = here.socket",
     .says = {"\nFAIL socket here.socket: Kong needs the whole path, from / on\n"
              "     mend: " KEY "socket = {dir}/here.socket, and the same behind --socket\n"}},
    {.settings = KEY "socket = /0123456789012345678901234567890123456789012345678901234567890123456"
                     "789012345678901234567890123456789012345678",
     .says = {": a path of 110 bytes, at most 107 are possible\n     mend: " KEY
              "socket = /run/doctored.socket (or another short path), and the same behind "
              "--socket\n"}},
    {.settings = KEY "socket = {dir}/server",
     .says = {"\nFAIL socket {dir}/server: is not a socket\n     mend: rm {dir}/server, and "
              "restart Kong\n"}},
    {.settings = KEY "socket = {dir}/left",
     .says = {"\nFAIL socket {dir}/left: nobody listens: the file is left over"}},
    /* the query command */
    {.settings = KEY "query_cmd = echo hello",
     .says =
         {"\nFAIL query command: echo hello: its standard output must be JSON and nothing else: "
          "no JSON: hello\\x0A\n     mend: " KEY "query_cmd = {dir}/server --dump\n",
          "\nnote no event is tried: the query command names no phase\n"}},
    {.settings = KEY "query_cmd = echo said >&2; exit 3",
     .says = {": prints nothing; exit status 3; on standard error: said\n"}},
    {.settings = KEY "query_cmd = kill -9 $$", .says = {": prints nothing; killed by signal 9\n"}},
    {.settings = KEY "query_cmd = true", .says = {"\nFAIL query command: true: prints nothing\n"}},
    {.settings = KEY "query_cmd = yes",
     .says = {"\nFAIL query command: yes: prints more than 1 MiB\n"}},
    {.settings = KEY "query_cmd =",
     .says = {"\nFAIL no query command: Kong cannot learn of the plugin\n"}},
    {.settings = "", .dump = "{}", .says = {"it is not a plugin info table"}},
    {.settings = "",
     .dump = DUMP("\"Protocol\":\"ProtoBuf:7\",", "\"1.2.3\"", "7", SCHEMA, "\"access\""),
     .says = {"Protocol is neither ProtoBuf:1 nor MsgPack:1"}},
    {.settings = "",
     .dump = DUMP(PROTOBUF, "\"one\"", "7", SCHEMA, "\"access\""),
     .says = {"Version is not like 1.0 or 1.0.0"}},
    {.settings = "",
     .dump = DUMP(PROTOBUF, "\"1.2.3\"", "\"7\"", SCHEMA, "\"access\""),
     .says = {"Priority is not an integer"}},
    {.settings = "",
     .dump = DUMP(PROTOBUF, "\"1.2.3\"", "7", "", "\"access\""),
     .says = {"there is no Schema"}},
    {.settings = "",
     .dump = DUMP(PROTOBUF, "\"1.2.3\"", "7", SCHEMA, "\"acess\""),
     .says = {"Phases names none that Kong knows"}},
    {.settings = "",
     .dump = DUMP(PROTOBUF, "\"1.2.3\"", "7", SCHEMA, "\"response\",\"header_filter\""),
     .says = {"Kong refuses response together with header_filter"}},
    {.settings = "",
     .dump = DUMP(PROTOBUF, "\"1.2.3\"", "7", SCHEMA, "\"access\",\"header_filter\""),
     .says = {": speaks ProtoBuf:1, phases access, header_filter\n",
              "\nFAIL header_filter: Kong up to 3.9 destroys each response\n     mend: " KEY
              "query_cmd = {dir}/server --dump --phases access\n"}},
    {.settings = "",
     .dump = DUMP("", "\"1.2.3\"", "7", SCHEMA, "\"rewrite\",\"access\""),
     .well = true,
     .says = {": speaks MsgPack:1, phases rewrite, access\n", "\nok   an event of access over "}},
    {.settings = "",
     .dump = "{\"Plugins\":[{\"Name\":\"other\",\"Version\":\"1.2.3\"}]}",
     .says = {"Name is another plugin's than this server's"}},
    {.settings = "",
     .kong = "2.8.5",
     .dump = DUMP(PROTOBUF, "\"1.2.3\"", "7", "\"Schema\":{\"description\":\"x\"},", "\"access\""),
     .says = {"it has descriptions, which Kong 2 refuses\n     mend: " KEY
              "query_cmd = {dir}/server --dump --kong-version 2\n"}},
};

/* --- two plugins in one process, and a header that one of them sets ---------------------- */

struct config {
    const char *response_header;
};

static const KONG_FIELDS(struct config) fields[] = {
    KONG_STRING_FIELD(struct config, response_header, .default_json = KONG_TEXT("X-Made-Up"))};
static const struct kong_schema schema = KONG_SCHEMA(struct config, fields);

static int set_nothing(struct kong *kong, const void *data) {
    (void)kong;
    (void)data;
    return 0;
}

static const struct kong_plugin early = {.name = "early-one",
                                         .version = "1.0",
                                         .priority = 2,
                                         .schema = &schema,
                                         .handlers = {[KONG_PHASE_ACCESS] = set_nothing}};
static const struct kong_plugin late = {.name = "late-one",
                                        .version = "1.0",
                                        .priority = 1,
                                        .handlers = {[KONG_PHASE_ACCESS] = set_nothing}};
static const struct kong_plugin *const pair[] = {&early, &late};

#define EARLY "pluginserver_early_one_"
#define LATE  "pluginserver_late_one_"

static const char settings_of_pair[] =
    "prefix = {dir}\n"
    "nginx_user = no-such-user-here\n"
    "log_level = info\n"
    "plugins = bundled,early-one,late-one\n"
    "pluginserver_names = early-one,late-one\n" EARLY "socket = {sock}\n" LATE
    "socket = {sock}\n" EARLY "start_cmd = {dir}/server --socket {sock}\n" EARLY
    "query_cmd = {dir}/server --dump --plugin early-one\n" LATE
    "query_cmd = {dir}/server --dump --plugin late-one\n";

#define DUMP_OF(name, protocol)                                                                    \
    "{\"Protocol\":\"" protocol "\",\"Plugins\":[{\"Name\":\"" name                                \
    "\",\"Version\":\"1.0\",\"Priority\":1,\"Schema\":{},\"Phases\":[\"access\"]}]}"

static const char dump_of_early[] = DUMP_OF("early-one", "ProtoBuf:1");
static const char dump_of_late[] = DUMP_OF("late-one", "ProtoBuf:1");

#define HEADER_NOTE(name)                                                                          \
    "\nnote header " name ": where an upstream sends one too, clients get both; "                  \
    "nginx_proxy_proxy_hide_header = " name " drops the upstream's "                               \
    "(--print-conf --replace-upstream-header"

/* `dump` is the late one's. */
static const struct row rows_of_pair[] = {
    {.settings = "",
     .well = true,
     .says = {"\nearly-one (plugin server early-one):\n", "\nlate-one (plugin server late-one):\n",
              "\nok   start command: {dir}/server --socket {sock}\n",
              HEADER_NOTE("X-Made-Up") ")\n", ", 1 to note, 0 FAIL\n"}},
    {.settings = LATE "socket = {sock}x",
     .says = {"\nFAIL socket {sock}x: the process that serves late-one is at {sock}, as the others "
              "are\n     mend: " LATE "socket = {sock}\n"}},
    {.settings = LATE "start_cmd = {dir}/server --socket {sock}",
     .says = {"\nFAIL start command: Kong starts this program once more for late-one, and the two "
              "take the socket from each other\n     mend: take " LATE
              "start_cmd away: one start command is enough\n",
              ", 1 FAIL\n"}},
    {.settings = "pluginserver_names = early-one,late-two\npluginserver_late_two_socket = {sock}\n"
                 "pluginserver_late_two_query_cmd = {dir}/server --dump -plugin=late-one",
     .says = {"\nlate-one (plugin server late-two):\n",
              "\nok   pluginserver_names has late-two\n"}},
    {.settings = "",
     .dump = DUMP_OF("late-one", "MsgPack:1"),
     .says = {"\nFAIL late-one is to speak MsgPack:1, others here ProtoBuf:1: "}},
    {.settings = LATE "query_cmd = {dir}/server --dump --plugin early-one",
     .says = {"Name is another plugin's than this server's\n     mend: " LATE
              "query_cmd = {dir}/server --dump --plugin late-one\n"}},
    {.settings = "nginx_proxy_proxy_hide_header = x-made-up",
     .well = true,
     .says = {"\nok   header X-Made-Up: one that an upstream sends is dropped\n"}},
    {.settings = "declarative_config = {dir}/kong.json",
     .well = true,
     .says = {HEADER_NOTE("X-Other") "=X-Other)\n"}},
    {.settings = "declarative_config = /nowhere/kong.yml",
     .says = {"\nFAIL declarative_config /nowhere/kong.yml: No such file or directory\n     mend: "
              "declarative_config = FILE, with one that Kong may read\n"}},
};

static const char declarative[] =
    "{\"plugins\":[{\"name\":\"late-one\",\"config\":{\"response_header\":\"X-Late\"}},"
    "{\"name\":\"early-one\",\"config\":{\"response_header\":\"X-Other\"}}]}";

/* --- the place -------------------------------------------------------------------------- */

struct place {
    char scratch[SCRATCH_PATH];
    char directory[PATH_MAX], program[PATH_MAX + 16], conf[PATH_MAX + 16];
    char path[PATH_MAX];
    struct sim_server *server;
    struct plugins plugins;
    const char *settings, *dump; /* the usual ones */
    const char *dumped;          /* the file that a row's dump is written to */
};

static void write_file(const struct place *place, const char *name, const char *text, mode_t mode) {
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

/* A server of these plugins, with its program. */
static struct place *place_make(const struct kong_plugin *const *list, size_t count) {
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
    write_file(place, "server", text, 0755);
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

static int setup(void **state) {
    static const struct kong_plugin *const list[] = {&rig_plugin};
    struct place *place = place_make(list, 1);
    place->settings = usual_settings;
    place->dump = usual_dump;
    place->dumped = "dump.json";
    *state = place;
    return 0;
}

static int setup_pair(void **state) {
    struct place *place = place_make(pair, 2);
    place->settings = settings_of_pair;
    place->dump = dump_of_late;
    place->dumped = "late-onedump.json";
    write_file(place, "early-onedump.json", dump_of_early, 0644);
    write_file(place, "kong.json", declarative, 0644);
    *state = place;
    return 0;
}

static int teardown(void **state) {
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

/* malloc'ed: what the doctor says. */
static char *examine(const struct doctor_options *options, bool *well) {
    char *said = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&said, &len);
    assert_non_null(out);
    *well = doctor_run(options, out);
    fclose(out);
    return said;
}

/* False: it does not say what it should; that was printed. */
static bool check_row(const struct place *place, const struct row *row) {
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
    write_file(place, place->dumped, row->dump != NULL ? row->dump : place->dump, 0644);
    snprintf(kong, sizeof kong, "#!/bin/sh\necho %s\n", row->kong != NULL ? row->kong : "3.9.1");
    write_file(place, "kong", kong, 0755);
    char *variable = row->variable != NULL ? strdup(row->variable) : NULL;
    char *equals = variable != NULL ? strchr(variable, '=') : NULL;
    if (equals != NULL) {
        *equals = '\0';
        assert_int_equal(setenv(variable, equals + 1, 1), 0);
    }
    char *said = examine(&(struct doctor_options){.plugins = &place->plugins,
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

static void each_fault_has_its_line(void **state) {
    size_t wrong = 0;
    for (size_t i = 0; i < LENGTH(rows); i++) {
        wrong += !check_row(*state, &rows[i]);
    }
    assert_int_equal(wrong, 0);
}

static void several_plugins_are_looked_at_together(void **state) {
    size_t wrong = 0;
    for (size_t i = 0; i < LENGTH(rows_of_pair); i++) {
        wrong += !check_row(*state, &rows_of_pair[i]);
    }
    assert_int_equal(wrong, 0);
}

/* --- Kong's user, when that is another --- */

/* The rows that only root can try, in a directory that all may enter: a server whose socket is for
 * its own user alone, and one that lets all in. */
static void kongs_user_is_another(void **state) {
    static const struct row closed[] = {
        {.settings = "nginx_user = nobody",
         .says = {"\nFAIL socket {sock}: owner root, mode 0600: Kong's user nobody cannot connect\n"
                  "     mend: end the server that was started by another, kill {pid}; then kong "
                  "restart\n"}},
        {.settings = "nginx_user = nobody\n" KEY "start_cmd =",
         .says = {
             ": Kong's user nobody cannot connect\n     mend: start it with --socket-mode 0660 "
             "--socket-group "}}};
    static const struct row open[] = {
        {.settings = "nginx_user = nobody",
         .says = {"\nok   prefix {dir} (kong.conf), Kong's user nobody writes there\n",
                  "\nok   socket {sock}: owner root, mode 0666\n",
                  "\nok   an event of access over ProtoBuf:1: answered, with ",
                  "\nok   an event of access over MsgPack:1: answered, with "},
         .well = true}};
    const struct place *place = *state;
    char directory[SCRATCH_PATH];
    size_t wrong = 0;
    if (geteuid() != 0 || getpwnam("nobody") == NULL || getenv("TMPDIR") != NULL) {
        skip();
    }
    const char *socket = sim_server_path(place->server);
    snprintf(directory, sizeof directory, "%s", socket);
    *strrchr(directory, '/') = '\0';
    assert_int_equal(chmod(directory, 0711), 0);
    assert_int_equal(chmod(place->directory, 0777), 0);
    assert_int_equal(chmod(socket, 0600), 0);
    for (size_t i = 0; i < LENGTH(closed); i++) {
        wrong += !check_row(place, &closed[i]);
    }
    assert_int_equal(chmod(socket, 0666), 0);
    wrong += !check_row(place, &open[0]);
    assert_int_equal(wrong, 0);
}

/* --- A server that does not let this user in --- */

/* What its command line says decides what the doctor says of it. */
static int serve_nobody(const char *path) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) != 0 ||
        listen(fd, 8) != 0 || write(STDOUT_FILENO, "", 1) != 1) {
        return 1;
    }
    for (;;) {
        close(accept(fd, NULL, NULL));
    }
}

static pid_t start_serving_nobody(const struct place *place) {
    char allowed[32];
    char path[PATH_MAX + 16];
    char *argv[] = {(char[]){"serves-nobody"},
                    (char[]){"--socket"},
                    path,
                    (char[]){"--allow-uid"},
                    allowed,
                    NULL};
    snprintf(allowed, sizeof allowed, "%lu", (unsigned long)geteuid() + 1);
    snprintf(path, sizeof path, "%s/nobody", place->directory);
    return outcome_execute_self(argv);
}

#define NOBODY "{dir}/nobody"
#define REFUSED                                                                                    \
    "\nFAIL an event of access over ProtoBuf:1: user id {uid} is refused by the server's "         \
    "--allow-uid "

static void who_is_not_let_in(void **state) {
    static const struct row refused[] = {
        {.settings = KEY "socket = " NOBODY "\n" KEY "start_cmd = {dir}/server --socket " NOBODY,
         .says = {REFUSED,
                  "\n     mend: end that server, which Kong did not start; then kong "
                  "restart\n",
                  ", 1 FAIL\n"}},
        {.settings = KEY "socket = " NOBODY "\n" KEY "start_cmd = {dir}/server --socket " NOBODY
                         " --allow-uid {uid}",
         .says = {REFUSED,
                  "\n     mend: kong restart, for the server to run with the start "
                  "command's --allow-uid\n",
                  ", 1 FAIL\n"}},
        {.settings = KEY "socket = " NOBODY "\n" KEY "start_cmd =",
         .says = {REFUSED, "\n     mend: start that server with {uid} in its --allow-uid\n",
                  ", 1 FAIL\n"}},
    };
    size_t wrong = 0;
    pid_t child = start_serving_nobody(*state);
    for (size_t i = 0; i < LENGTH(refused); i++) {
        wrong += !check_row(*state, &refused[i]);
    }
    kill(child, SIGKILL);
    assert_int_equal(waitpid(child, NULL, 0), child);
    assert_int_equal(wrong, 0);
}

static void a_prefix_on_the_command_line_wins(void **state) {
    const struct place *place = *state;
    bool well;
    assert_true(check_row(place, &rows[0])); /* leaves the usual kong.conf */
    char *said = examine(&(struct doctor_options){.plugins = &place->plugins,
                                                  .executable = place->program,
                                                  .called = place->program,
                                                  .name = "doctored",
                                                  .conf = place->conf,
                                                  .prefix = "/"},
                         &well);
    assert_non_null(strstr(said, " prefix / (-p wins, as with kong start -p)"));
    assert_non_null(strstr(said, ": start Kong with -p / then\n"));
    free(said);
}

static void no_settings(void **state) {
    const struct place *place = *state;
    bool well;
    char *said = examine(&(struct doctor_options){.plugins = &place->plugins,
                                                  .executable = place->program,
                                                  .called = place->program,
                                                  .name = "doctored",
                                                  .conf = "/nowhere/kong.conf"},
                         &well);
    assert_false(well);
    assert_string_equal(
        said, "FAIL /nowhere/kong.conf: No such file or directory\n"
              "     mend: --kong-conf FILE, with the file that Kong is started with (-c)\n"
              "see the lines that begin with FAIL: 0 ok, 0 to note, 1 FAIL\n");
    free(said);
}

int main(int argc, char **argv) {
    if (argc > 2 && strcmp(argv[0], "serves-nobody") == 0) {
        return serve_nobody(argv[2]);
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(each_fault_has_its_line, setup, teardown),
        cmocka_unit_test_setup_teardown(kongs_user_is_another, setup, teardown),
        cmocka_unit_test_setup_teardown(several_plugins_are_looked_at_together, setup_pair,
                                        teardown),
        cmocka_unit_test_setup_teardown(who_is_not_let_in, setup, teardown),
        cmocka_unit_test_setup_teardown(a_prefix_on_the_command_line_wins, setup, teardown),
        cmocka_unit_test_setup_teardown(no_settings, setup, teardown),
    };
    return cmocka_run_group_tests_name("test_doctor", tests, NULL, NULL);
}
