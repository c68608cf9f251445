/* The figures' port with calls that fail, each in turn: whatever fails, Kong is served, and the
 * figures are there again once nothing fails any more. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "rig.h"
#include "seam.h"

#define ENOUGH 200

/* A port that was free a moment ago. */
static struct sockaddr_in free_port(char *text, size_t size) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
    close(fd);
    snprintf(text, size, "127.0.0.1:%u", ntohs(address.sin_port));
    return address;
}

/* Whether the figures came. */
static bool fetch(const struct sockaddr_in *address) {
    static const char request[] = "GET /metrics HTTP/1.0\r\n\r\n";
    static char answer[1 << 16];
    struct timeval patience = {.tv_usec = 300000};
    size_t len = 0;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    ssize_t n = connect(fd, (const struct sockaddr *)address, sizeof *address);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    if (n == 0) {
        n = send(fd, request, sizeof request - 1, MSG_NOSIGNAL);
    }
    while (n > 0 && len < sizeof answer - 1) {
        n = recv(fd, answer + len, sizeof answer - 1 - len, 0);
        len += n > 0 ? (size_t)n : 0;
    }
    close(fd);
    answer[len] = '\0';
    return strstr(answer, "\nkong_plugin_server_info{plugin=\"rig\"") != NULL;
}

static void assert_fetched(const struct sockaddr_in *address) {
    for (int i = 0; i < 300; i++) {
        if (fetch(address)) {
            return;
        }
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    }
    fail_msg("no figures, after %s had failed", seam_failed());
}

static void each(void **state, enum seam_kind kind) {
    struct rig rig;
    char text[32];
    size_t nth = 1;
    struct sockaddr_in address = free_port(text, sizeof text);
    struct sim_server_options options = {.metrics_listen = text};
    (void)state;
    seam_guard();
    rig_start(&rig, PROTOCOL_PROTOBUF, &options);
    assert_fetched(&address);
    for (;; nth++) {
        assert_true(nth < ENOUGH);
        seam_arm(kind, nth, 1);
        fetch(&address);
        bool failed = seam_disarm();
        assert_fetched(&address);
        rig_alive(&rig);
        if (!failed) {
            break;
        }
    }
    assert_true(nth > 2);
    rig_stop(&rig);
}

static void memory(void **state) {
    each(state, SEAM_MEMORY);
}

static void uv(void **state) {
    each(state, SEAM_UV);
}

/* The port cannot be had at first, for whatever reason. */
static void starts_without(void **state) {
    (void)state;
    seam_guard();
    for (size_t nth = 1; nth < 30; nth++) {
        char text[32];
        char error[256];
        struct sockaddr_in address = free_port(text, sizeof text);
        struct sim_server_options options = {.plugin = &rig_plugin, .metrics_listen = text};
        seam_enter();
        seam_arm(SEAM_UV, nth, 1);
        struct sim_server *server = sim_server_start(&options, error, sizeof error);
        bool failed = seam_disarm();
        seam_leave();
        bool port = failed && (strcmp(seam_failed(), "uv_tcp_init") == 0 ||
                               strcmp(seam_failed(), "uv_tcp_bind") == 0);
        assert_true(server != NULL || !port);
        if (server != NULL) {
            assert_fetched(&address);
        }
        sim_server_stop(server);
        if (!failed) {
            return;
        }
    }
    fail_msg("no end of calls");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory),
        cmocka_unit_test(uv),
        cmocka_unit_test(starts_without),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
