/* A peer that answers PDK calls and reads nothing: no more than LIMIT_OUT waits for it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "kong.h"
#include "limit.h"
#include "protobuf_rpc.h"
#include "sim_client.h"
#include "sim_server.h"

#define PIECE  ((size_t)4 << 20)
#define PIECES (2 * LIMIT_OUT / PIECE)

static _Atomic size_t turns; /* that the handler has begun */
static _Atomic int last;     /* what its last call gave */

/* In each turn a large call leaves, for the handler waits behind it. */
static int flood(struct kong *kong, const void *config) {
    char *text = malloc(PIECE);
    struct kong_str value;
    (void)config;
    if (text == NULL) {
        return KONG_E_NOMEM;
    }
    memset(text, 'x', PIECE - 1);
    text[PIECE - 1] = '\0';
    last = KONG_OK;
    for (size_t i = 0; i < PIECES && last == KONG_OK; i++) {
        turns = i + 1;
        last = kong_response_set_header(kong, "X-Large", text);
        char name[16];
        snprintf(name, sizeof name, "a%zu", i); /* the same one is not asked again */
        last = last == KONG_OK ? kong_nginx_get_var(kong, name, &value) : last;
    }
    free(text);
    return KONG_OK;
}

static const struct kong_plugin flooding = {
    .name = "flood", .version = "1.0", .priority = 1, .handlers = {[KONG_PHASE_ACCESS] = flood}};

static void send_event(int fd, int64_t instance) {
    struct rpc_call call = {.command = RPC_HANDLE_EVENT,
                            .sequence = 7,
                            .instance_id = instance,
                            .event = kong_str("access")};
    struct buffer out;
    buffer_init(&out, LIMIT_FRAME);
    assert_int_equal(protobuf_encode_call(&out, &call), 0);
    assert_int_equal(send(fd, out.data, out.len, MSG_NOSIGNAL), out.len);
    buffer_free(&out);
}

static void more_than_may_wait(void **state) {
    static const struct sim_server_options options = {.plugin = &flooding,
                                                      .max_memory = (size_t)2 << 30};
    static const uint8_t answers[8]; /* to both calls of a turn: frames without bytes */
    static uint8_t bytes[1 << 20];
    char error[256];
    size_t total = 0;
    ssize_t count;
    int64_t instance;
    (void)state;
    struct sim_server *server = sim_server_start(&options, error, sizeof error);
    assert_non_null(server);
    struct sim_client_options of_client = {.protocol = PROTOCOL_PROTOBUF,
                                           .connect = sim_connect_unix,
                                           .connect_ctx = sim_server_path(server)};
    struct sim_client *client = sim_client_create(&of_client);
    assert_non_null(client);
    assert_int_equal(sim_client_start(client, "flood", "{}", &instance), SIM_EVENT_OK);
    int fd = sim_connect_unix(sim_server_path(server));
    assert_true(fd >= 0);
    send_event(fd, instance);
    for (size_t i = 1; last == KONG_OK && i < PIECES; i++) {
        while (turns < i && last == KONG_OK) {
            usleep(100);
        }
        assert_int_equal(send(fd, answers, sizeof answers, MSG_NOSIGNAL), sizeof answers);
    }
    shutdown(fd, SHUT_WR);
    while ((count = recv(fd, bytes, sizeof bytes, 0)) > 0) {
        total += (size_t)count;
    }
    close(fd);
    sim_client_destroy(client);
    sim_server_stop(server);
    assert_int_equal(last, KONG_E_NOMEM);
    assert_in_range(total, LIMIT_OUT - 2 * PIECE, LIMIT_OUT + sizeof bytes);
}

int main(void) {
    alarm(600);
    const struct CMUnitTest tests[] = {cmocka_unit_test(more_than_may_wait)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
