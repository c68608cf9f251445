/* --doctor: what each fault in Kong's settings makes it say, and how it mends that. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "doctor_place.h"

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
     .says = {"\n     mend: plugins = " LONG_LIST LONG_LIST LONG_LIST LONG_LIST "last,rig\n"}},
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
    {.settings = "pluginserver_names = other, doctored\npluginserver_other_query_cmd = yes",
     .says = {"\nFAIL the plugin server other: query command: yes: prints more than 1 MiB\n"
              "     mend: pluginserver_names = doctored (or mend the query command of the plugin "
              "server other)\n",
              ", 1 FAIL\n"}},
    {.settings = KEY "startcmd = /x",
     .says = {"\nFAIL the key " KEY "startcmd belongs to no name in pluginserver_names\n"
              "     mend: " KEY "start_cmd = /x\n"}},
    {.settings = "pluginserver_names = doctored," LONG_LIST "last\n"
                 "pluginserver_last_startcmd = " LONG_LIST,
     .says = {"\nFAIL the key pluginserver_last_startcmd belongs to no name in "
              "pluginserver_names\n     mend: pluginserver_last_start_cmd = " LONG_LIST "\n"}},
    {.settings = "pluginserver_names = doctored," LONG_LIST "last\n"
                 "pluginserver_last_socket = " LONG_LIST LONG_LIST LONG_LIST LONG_LIST "\n"
                 "pluginserver_last_startcmd = " LONG_LIST LONG_LIST LONG_LIST LONG_LIST,
     .says = {"\n     mend: pluginserver_last_start_cmd = " LONG_LIST LONG_LIST LONG_LIST LONG_LIST
              "\n"}},
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
    {.settings = KEY
     "start_cmd = {dir}/server --socket {sock} --log-file /" LONG_LIST LONG_LIST LONG_LIST LONG_LIST
     " --allow-uid 54321",
     .says = {"\n     mend: " KEY
              "start_cmd = {dir}/server --socket {sock} --log-file /" LONG_LIST LONG_LIST LONG_LIST
                  LONG_LIST " --allow-uid 54321,{uid}\n"}},
    {.settings = KEY "start_cmd = {dir}/server --socket {sock} --log-file /" LONG_LIST,
     .well = true,
     .says = {"\nok   start command: {dir}/server --socket {sock} --log-file /" LONG_LIST "\n"}},
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
    {.settings = KEY "query_cmd = : " LONG_LIST "; {dir}/server --dump",
     .well = true,
     .says = {"\nok   query command: : " LONG_LIST "; {dir}/server --dump: speaks ProtoBuf:1"}},
    {.settings = "pluginserver_names = other,doctored\n"
                 "pluginserver_other_query_cmd = : " LONG_LIST "; yes",
     .says = {"; yes: prints more than 1 MiB\n"}},
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

static void each_fault_has_its_line(void **state) {
    place_check_all(*state, rows, LENGTH(rows));
}

static void a_prefix_on_the_command_line_wins(void **state) {
    const struct place *place = *state;
    bool well;
    assert_true(place_check(place, &rows[0])); /* leaves the usual kong.conf */
    char *said = place_examine(&(struct doctor_options){.plugins = &place->plugins,
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
    char *said = place_examine(&(struct doctor_options){.plugins = &place->plugins,
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

/* A command that closes its output and runs on: it is ended, with what it has started. */
static void a_command_that_runs_on(void **state) {
    static const char *const commands[] = {"sleep 3600 & exec >&- 2>&-; wait",
                                           "echo '{}'; exec >&- 2>&-; sleep 3600", "sleep 3600"};
    (void)state;
    for (size_t i = 0; i < LENGTH(commands); i++) {
        struct doctor_output said;
        int ends[2]; /* what it starts has the other one open, until it ends */
        char byte;
        assert_int_equal(pipe(ends), 0);
        assert_int_equal(fcntl(ends[0], F_SETFD, FD_CLOEXEC), 0);
        doctor_shell(commands[i], 100, &said);
        assert_null(said.text);
        assert_string_equal(said.reason, "does not end within 10 s");
        close(ends[1]);
        struct pollfd ended = {.fd = ends[0], .events = POLLIN};
        assert_int_equal(poll(&ended, 1, 60000), 1);
        assert_int_equal(read(ends[0], &byte, 1), 0);
        close(ends[0]);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(each_fault_has_its_line, place_of_one, place_remove),
        cmocka_unit_test_setup_teardown(a_prefix_on_the_command_line_wins, place_of_one,
                                        place_remove),
        cmocka_unit_test_setup_teardown(no_settings, place_of_one, place_remove),
        cmocka_unit_test(a_command_that_runs_on),
    };
    return cmocka_run_group_tests_name("test_doctor", tests, NULL, NULL);
}
