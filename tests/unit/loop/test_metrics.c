/* The figures over HTTP: what is refused, what Prometheus gets, who may ask how. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "metrics.h"
#include "rig.h"
#include "scratch.h"

static enum protocol protobuf = PROTOCOL_PROTOBUF;

/* --- addresses --- */

static void refuse_address(const char *listen, const char *wanted) {
    uv_loop_t loop;
    struct metrics *metrics = NULL;
    char error[600] = "";
    assert_int_equal(uv_loop_init(&loop), 0);
    struct metrics_options options = {.loop = &loop, .listen = listen};
    assert_int_equal(metrics_open(&options, &metrics, error, sizeof error), -1);
    assert_null(metrics);
    if (strstr(error, wanted) == NULL) {
        fail_msg("%s: %s", listen, error);
    }
    assert_int_equal(uv_loop_close(&loop), 0);
}

static void addresses(void **state) {
    static const char *const wrong[] = {"",
                                        "9542",
                                        "127.0.0.1",
                                        "127.0.0.1:",
                                        "127.0.0.1:0",
                                        "127.0.0.1:65536",
                                        "127.0.0.1:95x",
                                        "localhost:9542",
                                        "unix:",
                                        "[::1:9542",
                                        "::1:9542",
                                        "[:9542",
                                        "public:",
                                        ":9542",
                                        "127.0.0.1:-1"};
    static const char *const others[] = {"0.0.0.0:9542", "192.168.0.1:9542", "[::]:9542",
                                         "128.0.0.1:9542", "[::ffff:1.2.3.4]:9542"};
    (void)state;
    for (size_t i = 0; i < LENGTH(wrong); i++) {
        refuse_address(wrong[i], "not an address like 127.0.0.1:9542");
    }
    for (size_t i = 0; i < LENGTH(others); i++) {
        refuse_address(others[i], "if that is meant: public:");
    }
}

/* --- a server with a port --- */

static int connect_unix(const char *path) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

/* Sends a request in two pieces and gives the whole answer, malloc'ed. */
static char *talk(int fd, const char *request) {
    static char answer[1 << 18];
    size_t len = 0;
    ssize_t n;
    size_t half = strlen(request) / 2;
    assert_int_equal(send(fd, request, half, MSG_NOSIGNAL), half);
    nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
    send(fd, request + half, strlen(request) - half, MSG_NOSIGNAL);
    while ((n = recv(fd, answer + len, sizeof answer - 1 - len, 0)) > 0) {
        len += (size_t)n;
    }
    close(fd);
    answer[len] = '\0';
    return answer;
}

struct place {
    char directory[SCRATCH_PATH], path[64], listen[72];
};

static void place_make(struct place *place) {
    assert_true(scratch_make(place->directory));
    snprintf(place->path, sizeof place->path, "%s/m", place->directory);
    snprintf(place->listen, sizeof place->listen, "unix:%s", place->path);
}

/* The server took its socket away: else the directory is not empty. */
static void place_end(struct place *place) {
    assert_true(scratch_remove_empty(place->directory));
}

static double number_after(const char *answer, const char *name) {
    const char *at = strstr(answer, name);
    assert_non_null(at);
    return strtod(at + strlen(name), NULL);
}

/* Of this process: the server runs in a thread of it. The kernel counts in two ways, not quite
 * alike. */
static void check_resources(const char *answer) {
    struct rusage usage;
    double memory =
        number_after(answer, "\nkong_plugin_server_resident_memory_bytes{plugin=\"rig\"} ");
    double cpu = number_after(answer, "\nkong_plugin_server_cpu_seconds_total{plugin=\"rig\"} ");
    assert_int_equal(getrusage(RUSAGE_SELF, &usage), 0);
    assert_true(memory > 256 * 1024 && memory < 2 * 1024 * (double)usage.ru_maxrss);
    double used = (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
                  (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
    assert_true(cpu > 0 && cpu <= used && cpu > used - 5);
}

static void check_with_promtool(const char *body) {
    if (system("command -v promtool >/dev/null 2>&1") != 0) {
        print_message("*** promtool is not installed: its check is SKIPPED\n");
        return;
    }
    FILE *out = popen("promtool check metrics", "w");
    assert_non_null(out);
    fputs(body, out);
    assert_int_equal(pclose(out), 0);
}

static void prometheus_gets_the_figures(void **state) {
    struct rig rig;
    struct sim_event event;
    struct place place;
    place_make(&place);
    struct sim_server_options options = {.metrics_listen = place.listen};
    rig_start(&rig, protocol_of(state), &options);
    int64_t id = rig_instance(&rig, "wait", 1);
    for (int i = 0; i < 7; i++) {
        assert_event(&rig, id, &event, SIM_EVENT_OK);
    }
    struct stat status;
    assert_int_equal(stat(place.path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0600);
    const char *answer = talk(connect_unix(place.path), "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
    static const char *const wanted[] = {
        "HTTP/1.0 200 OK\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n",
        "\nkong_plugin_server_info{plugin=\"rig\",version=\"1.2.3\"} 1\n",
        "\n# TYPE kong_plugin_server_events_started_total counter\n"
        "kong_plugin_server_events_started_total{plugin=\"rig\",phase=\"access\"} 7\n",
        "\nkong_plugin_server_events_running{plugin=\"rig\",phase=\"access\"} 0\n",
        "\nkong_plugin_server_event_duration_seconds_bucket{plugin=\"rig\",phase=\"access\","
        "le=\"+Inf\"} 7\n",
        "\nkong_plugin_server_event_duration_seconds_bucket{plugin=\"rig\",phase=\"access\","
        "le=\"68.7194767\"} 7\n",
        "\nkong_plugin_server_pdk_call_duration_seconds_count{plugin=\"rig\",call=\"kong.request."
        "get_header\"} 7\n",
        "\nkong_plugin_server_instances{plugin=\"rig\"} 1\n",
        "\nkong_plugin_server_limit_reached_total{plugin=\"rig\",limit=\"max-events\"} 0\n"};
    for (size_t i = 0; i < LENGTH(wanted); i++) {
        if (strstr(answer, wanted[i]) == NULL) {
            fail_msg("no %s in %s", wanted[i], answer);
        }
    }
    const char *body = strstr(answer, "\r\n\r\n") + 4;
    char length[64];
    snprintf(length, sizeof length, "\r\nContent-Length: %zu\r\n", strlen(body));
    assert_non_null(strstr(answer, length));
    check_resources(answer);
    check_with_promtool(body);
    rig_stop(&rig);
    place_end(&place);
}

static void other_requests(void **state) {
    static const char *const cases[][2] = {
        {"GET / HTTP/1.0\r\n\r\n", "HTTP/1.0 404 "},
        {"GET /metricsx HTTP/1.0\r\n\r\n", "HTTP/1.0 404 "},
        {"POST /metrics HTTP/1.0\r\n\r\n", "HTTP/1.0 405 "},
        {"\r\n\r\n", "HTTP/1.0 400 "},
        {"\x16\x03\x01\n\n", "HTTP/1.0 400 "},
        {"GET /metrics?x=1 HTTP/1.0\n\n", "HTTP/1.0 200 "},
        {"HEAD /metrics HTTP/1.0\r\n\r\n", "HTTP/1.0 200 "},
    };
    struct rig rig;
    struct place place;
    place_make(&place);
    struct sim_server_options options = {.metrics_listen = place.listen};
    rig_start(&rig, protocol_of(state), &options);
    for (size_t i = 0; i < LENGTH(cases); i++) {
        const char *answer = talk(connect_unix(place.path), cases[i][0]);
        if (strncmp(answer, cases[i][1], strlen(cases[i][1])) != 0) {
            fail_msg("%s: %s", cases[i][0], answer);
        }
    }
    /* HEAD: no body */
    const char *answer = talk(connect_unix(place.path), "HEAD /metrics HTTP/1.0\r\n\r\n");
    assert_string_equal(strstr(answer, "\r\n\r\n"), "\r\n\r\n");
    /* A head without end is not read for ever. */
    static char flood[9000] = "GET /metrics HTTP/1.0\r\nX: ";
    memset(flood + strlen(flood), 'x', sizeof flood - 1 - strlen(flood));
    answer = talk(connect_unix(place.path), flood);
    assert_true(answer[0] == '\0' || strncmp(answer, "HTTP/1.0 431 ", 13) == 0);
    rig_alive(&rig);
    rig_stop(&rig);
    place_end(&place);
}

static void connect_many(const struct place *place, int *fds, size_t count, const char *begin) {
    for (size_t i = 0; i < count; i++) {
        fds[i] = connect_unix(place->path);
        send(fds[i], begin, strlen(begin), MSG_NOSIGNAL);
    }
}

static size_t count_closed(const int *fds, size_t count) {
    size_t closed = 0;
    char byte;
    for (size_t i = 0; i < count; i++) {
        closed += recv(fds[i], &byte, 1, MSG_DONTWAIT) == 0;
    }
    return closed;
}

static void close_all(const int *fds, size_t count) {
    for (size_t i = 0; i < count; i++) {
        close(fds[i]);
    }
}

/* Sixteen have a place; each further one takes that of another. The server serves on, and ends with
 * clients connected. */
static void too_many_clients(void **state) {
    struct rig rig;
    struct place place;
    int fds[20];
    place_make(&place);
    struct sim_server_options options = {.metrics_listen = place.listen};
    rig_start(&rig, protocol_of(state), &options);
    connect_many(&place, fds, LENGTH(fds), "");
    rig_alive(&rig);
    rig_alive(&rig);
    assert_int_equal(count_closed(fds, LENGTH(fds)), LENGTH(fds) - 16);
    rig_stop(&rig);
    close_all(fds, LENGTH(fds));
    place_end(&place);
}

/* Clients that say nothing, or never all, or do not read, do not keep Prometheus out. */
static void the_silent_shut_nobody_out(void **state) {
    static const char *const beginnings[] = {"", "GET", "GET /metrics HTTP/1.0\r\n"};
    for (size_t i = 0; i < LENGTH(beginnings); i++) {
        struct rig rig;
        struct place place;
        int fds[40];
        place_make(&place);
        struct sim_server_options options = {.metrics_listen = place.listen};
        rig_start(&rig, protocol_of(state), &options);
        connect_many(&place, fds, LENGTH(fds), beginnings[i]);
        rig_alive(&rig);
        int fd = connect_unix(place.path);
        const char *answer = talk(fd, "GET /metrics HTTP/1.0\r\n\r\n");
        assert_non_null(strstr(answer, "\nkong_plugin_server_info{"));
        rig_stop(&rig);
        close_all(fds, LENGTH(fds));
        place_end(&place);
    }
}

/* Who has sent part of a request keeps its place before those that said nothing. */
static void the_silent_go_first(void **state) {
    struct rig rig;
    struct place place;
    int fds[40];
    place_make(&place);
    struct sim_server_options options = {.metrics_listen = place.listen};
    rig_start(&rig, protocol_of(state), &options);
    int early = connect_unix(place.path);
    assert_int_equal(send(early, "GET /metrics", 12, MSG_NOSIGNAL), 12);
    rig_alive(&rig);
    connect_many(&place, fds, LENGTH(fds), "");
    rig_alive(&rig);
    assert_int_equal(count_closed(&early, 1), 0);
    const char *answer = talk(early, " HTTP/1.0\r\n\r\n");
    assert_non_null(strstr(answer, "\nkong_plugin_server_info{"));
    rig_stop(&rig);
    close_all(fds, LENGTH(fds));
    place_end(&place);
}

static int listen_on_loopback(char *listen_text, size_t size, struct sockaddr_in *address) {
    socklen_t len = sizeof *address;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    *address =
        (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    assert_int_equal(bind(fd, (struct sockaddr *)address, sizeof *address), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)address, &len), 0);
    snprintf(listen_text, size, "127.0.0.1:%u", ntohs(address->sin_port));
    assert_int_equal(listen(fd, 1), 0);
    return fd;
}

/* A port that is taken is no reason not to serve, and is had as soon as it is free. */
static void a_port_that_is_taken(void **state) {
    struct rig rig;
    struct sockaddr_in address;
    char text[32];
    int taken = listen_on_loopback(text, sizeof text, &address);
    struct sim_server_options options = {.metrics_listen = text};
    rig_start(&rig, protocol_of(state), &options);
    rig_alive(&rig);
    close(taken);
    int fd = -1;
    for (int i = 0; i < 500; i++) {
        fd = socket(AF_INET, SOCK_STREAM, 0);
        if (connect(fd, (struct sockaddr *)&address, sizeof address) == 0) {
            break;
        }
        close(fd);
        fd = -1;
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    }
    assert_true(fd >= 0);
    const char *answer = talk(fd, "GET /metrics HTTP/1.0\r\n\r\n");
    assert_non_null(strstr(answer, "\nkong_plugin_server_info{"));
    rig_stop(&rig);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses),
        RIG_TEST(prometheus_gets_the_figures, protobuf),
        RIG_TEST(other_requests, protobuf),
        RIG_TEST(too_many_clients, protobuf),
        RIG_TEST(the_silent_shut_nobody_out, protobuf),
        RIG_TEST(the_silent_go_first, protobuf),
        RIG_TEST(a_port_that_is_taken, protobuf),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
