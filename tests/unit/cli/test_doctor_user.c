/* --doctor where Kong's user is another, and of a server that does not let this user in. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

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

#include "doctor_place.h"
#include "outcome.h"

/* Whether other users can enter all directories above it. */
static bool others_enter(const char *directory) {
    char path[PATH_MAX];
    struct stat status;
    snprintf(path, sizeof path, "%s", directory);
    for (char *end; (end = strrchr(path, '/')) != NULL && end != path;) {
        *end = '\0';
        if (stat(path, &status) != 0 || (status.st_mode & S_IXOTH) == 0) {
            return false;
        }
    }
    return true;
}

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
    if (geteuid() != 0 || getpwnam("nobody") == NULL || !others_enter(place->directory)) {
        skip();
    }
    const char *socket = sim_server_path(place->server);
    snprintf(directory, sizeof directory, "%s", socket);
    *strrchr(directory, '/') = '\0';
    assert_int_equal(chmod(directory, 0711), 0);
    assert_int_equal(chmod(place->directory, 0777), 0);
    assert_int_equal(chmod(socket, 0600), 0);
    for (size_t i = 0; i < LENGTH(closed); i++) {
        wrong += !place_check(place, &closed[i]);
    }
    assert_int_equal(chmod(socket, 0666), 0);
    wrong += !place_check(place, &open[0]);
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
        wrong += !place_check(*state, &refused[i]);
    }
    kill(child, SIGKILL);
    assert_int_equal(waitpid(child, NULL, 0), child);
    assert_int_equal(wrong, 0);
}

int main(int argc, char **argv) {
    if (argc > 2 && strcmp(argv[0], "serves-nobody") == 0) {
        return serve_nobody(argv[2]);
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(kongs_user_is_another, place_of_one, place_remove),
        cmocka_unit_test_setup_teardown(who_is_not_let_in, place_of_one, place_remove),
    };
    return cmocka_run_group_tests_name("test_doctor_user", tests, NULL, NULL);
}
