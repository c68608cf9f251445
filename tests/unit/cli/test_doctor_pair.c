/* --doctor of two plugins in one process, and of a header that one of them sets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "doctor_place.h"

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
    {.settings = "nginx_proxy_proxy_hide_header = X-A; proxy_hide_header " LONG_LIST
                 "; proxy_hide_header X-Made-Up",
     .well = true,
     .says = {"\nok   header X-Made-Up: one that an upstream sends is dropped\n"}},
    {.settings = "nginx_proxy_proxy_hide_header = " LONG_LIST LONG_LIST,
     .well = true,
     .says = {" clients get both; nginx_proxy_proxy_hide_header = " LONG_LIST LONG_LIST
              "; proxy_hide_header X-Made-Up drops the upstream's\n"}},
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

static int setup_pair(void **state) {
    struct place *place = place_make(pair, 2);
    place->settings = settings_of_pair;
    place->dump = dump_of_late;
    place->dumped = "late-onedump.json";
    place_write(place, "early-onedump.json", dump_of_early, 0644);
    place_write(place, "kong.json", declarative, 0644);
    *state = place;
    return 0;
}

static void several_plugins_are_looked_at_together(void **state) {
    place_check_all(*state, rows_of_pair, LENGTH(rows_of_pair));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(several_plugins_are_looked_at_together, setup_pair,
                                        place_remove),
    };
    return cmocka_run_group_tests_name("test_doctor_pair", tests, NULL, NULL);
}
