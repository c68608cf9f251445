/* batch-log in a simulated gateway, with a small HTTP server that takes what it sends. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <jansson.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>

#include "example.h"

#include "batch_log.c"

#define CLOSES 0 /* in place of a status: the connection is closed without an answer */

/* --- The server: one request of a connection -------------------------------------------------- */

static struct {
    int listening;
    int port;
    pthread_t thread;
    _Atomic int status;   /* of its answers from now on */
    _Atomic int failures; /* so many answers are 503 before */
    pthread_mutex_t lock;
    char paths[4096]; /* of all entries that it took, as "/0 /1 " */
    size_t batches, largest;
} server = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* False: the client is gone. */
static bool read_request(int fd, char *request, size_t size, const char **body) {
    size_t have = 0;
    *body = NULL;
    for (;;) {
        ssize_t count = read(fd, request + have, size - have - 1);
        if (count <= 0) {
            return false;
        }
        have += (size_t)count;
        request[have] = '\0';
        const char *end = strstr(request, "\r\n\r\n");
        const char *length = strstr(request, "Content-Length:");
        if (end != NULL && length != NULL && have < size - 1 &&
            have - (size_t)(end + 4 - request) >= strtoul(length + 15, NULL, 10)) {
            *body = end + 4;
            return true;
        }
    }
}

static void note_entries(const char *body) {
    json_t *list = json_loads(body, 0, NULL);
    size_t count = json_array_size(list); /* 0 for what is no list */
    pthread_mutex_lock(&server.lock);
    server.batches++;
    server.largest = count > server.largest ? count : server.largest;
    for (size_t i = 0; i < count; i++) {
        json_t *request = json_object_get(json_array_get(list, i), "request");
        const char *path = json_string_value(json_object_get(request, "uri"));
        size_t len = strlen(server.paths);
        snprintf(server.paths + len, sizeof server.paths - len, "%s ",
                 path == NULL ? "(no path)" : path);
    }
    pthread_mutex_unlock(&server.lock);
    json_decref(list);
}

static void answer(int fd) {
    static char request[1 << 20];
    char text[128];
    const char *body;
    if (!read_request(fd, request, sizeof request, &body)) {
        return;
    }
    int status = server.failures > 0 ? 503 : server.status;
    server.failures -= server.failures > 0;
    if (status == 200) {
        note_entries(body);
    }
    if (status != CLOSES) {
        int len =
            snprintf(text, sizeof text,
                     "HTTP/1.1 %d X\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}", status);
        (void)!write(fd, text, (size_t)len);
    }
}

static void *serve(void *unused) {
    int fd;
    while ((fd = accept(server.listening, NULL, NULL)) >= 0) {
        answer(fd);
        close(fd);
    }
    return unused;
}

static void start_server(int port) {
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                                  .sin_port = htons((uint16_t)port)};
    socklen_t len = sizeof address;
    int yes = 1;
    server.listening = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(server.listening, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    assert_int_equal(bind(server.listening, (struct sockaddr *)&address, len), 0);
    assert_int_equal(listen(server.listening, 64), 0);
    getsockname(server.listening, (struct sockaddr *)&address, &len);
    server.port = ntohs(address.sin_port);
    assert_int_equal(pthread_create(&server.thread, NULL, serve, NULL), 0);
}

static void end_server(void) {
    shutdown(server.listening, SHUT_RDWR);
    pthread_join(server.thread, NULL);
    close(server.listening);
}

static int set_up(void **state) {
    (void)state;
    server.status = 200;
    server.failures = 0;
    server.paths[0] = '\0';
    server.batches = server.largest = 0;
    start_server(0);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    end_server();
    return 0;
}

/* --- The plugin ------------------------------------------------------------------------------- */

/* Its job runs at the start, when the test says so, and at the end. */
static struct kong_plugin rare;

static const char *config_of(int batch, int queue) {
    static char config[128];
    snprintf(config, sizeof config,
             "{\"url\":\"http://127.0.0.1:%d/\",\"batch\":%d,\"queue\":%d,\"timeout\":30000}",
             server.port, batch, queue);
    return config;
}

static struct kong_test *open_gateway(void **state, int batch, int queue) {
    rare = plugin;
    rare.jobs[0].interval_ms = 86400000;
    return gateway_of(&rare, state, config_of(batch, queue));
}

static void requests(struct kong_test *test, int from, int to) {
    char path[16];
    for (int i = from; i < to; i++) {
        snprintf(path, sizeof path, "/%d", i);
        kong_test_request(test, "GET", path);
        assert_outcome(test, KONG_TEST_OK);
    }
}

static void flush_now(struct kong_test *test, const char *error) {
    enum kong_test_outcome outcome = kong_test_job(test, "flush");
    assert_int_equal(outcome, error == NULL ? KONG_TEST_OK : KONG_TEST_FAILED);
    if (error != NULL && strstr(kong_test_error(test), error) == NULL) {
        fail_msg("%s is not in %s", error, kong_test_error(test));
    }
}

static void assert_arrived(const char *paths, size_t batches, size_t largest) {
    pthread_mutex_lock(&server.lock);
    assert_string_equal(server.paths, paths);
    assert_int_equal(server.batches, batches);
    assert_int_equal(server.largest, largest);
    pthread_mutex_unlock(&server.lock);
}

static void entries_go_in_batches(void **state) {
    struct kong_test *test = open_gateway(state, 3, 100);
    requests(test, 0, 7);
    flush_now(test, NULL);
    assert_arrived("/0 /1 /2 /3 /4 /5 /6 ", 3, 3);
    flush_now(test, NULL); /* nothing to send */
    assert_arrived("/0 /1 /2 /3 /4 /5 /6 ", 3, 3);
    kong_test_close(test);
}

/* SIGTERM: the job runs once more. */
static void nothing_is_lost_at_the_end(void **state) {
    struct kong_test *test = open_gateway(state, 4, 100);
    requests(test, 0, 9);
    server.failures = 2;
    kong_test_close(test);
    assert_arrived("/0 /1 /2 /3 /4 /5 /6 /7 /8 ", 3, 4);
}

static void what_is_not_taken_stays(void **state) {
    static const struct {
        int status;
        const char *error;
    } failures[] = {{503, "3 entries wait: the server answers 503"},
                    {429, "3 entries wait: the server answers 429"},
                    {302, "3 entries wait: the server answers 302"},
                    {CLOSES, "3 entries wait: Empty reply from server"}};
    struct kong_test *test = open_gateway(state, 2, 100);
    requests(test, 0, 3);
    for (size_t i = 0; i < sizeof failures / sizeof *failures; i++) {
        server.status = failures[i].status;
        flush_now(test, failures[i].error);
    }
    requests(test, 3, 4);
    server.status = 200;
    server.failures = TRIES - 1;
    flush_now(test, NULL);
    assert_arrived("/0 /1 /2 /3 ", 2, 2);
    kong_test_close(test);
}

static void a_server_that_is_away(void **state) {
    struct kong_test *test = open_gateway(state, 2, 100);
    requests(test, 0, 2);
    end_server();
    flush_now(test, "2 entries wait: ");
    start_server(server.port);
    flush_now(test, NULL);
    assert_arrived("/0 /1 ", 1, 2);
    kong_test_close(test);
}

static void a_server_that_is_silent(void **state) {
    char config[128];
    char error[256];
    struct kong_test *test = open_gateway(state, 2, 100);
    int silent = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    assert_int_equal(bind(silent, (struct sockaddr *)&address, len), 0);
    assert_int_equal(listen(silent, 64), 0);
    getsockname(silent, (struct sockaddr *)&address, &len);
    snprintf(config, sizeof config, "{\"url\":\"http://127.0.0.1:%d/\",\"timeout\":20}",
             ntohs(address.sin_port));
    assert_int_equal(kong_test_configure(test, config, error, sizeof error), 0);
    requests(test, 0, 1);
    flush_now(test, "1 entries wait: ");
    kong_test_close(test);
    close(silent);
}

/* One that will never be taken must not hold up the others. */
static void a_batch_that_is_refused_is_dropped(void **state) {
    struct kong_test *test = open_gateway(state, 2, 100);
    requests(test, 0, 2);
    server.status = 400;
    flush_now(test, NULL);
    assert_true(
        kong_test_server_logged(test, "error", "the server answers 400: 2 entries are lost"));
    server.status = 200;
    requests(test, 2, 3);
    flush_now(test, NULL);
    assert_arrived("/2 ", 1, 1);
    kong_test_close(test);
}

static void a_queue_has_an_end(void **state) {
    struct kong_test *test = open_gateway(state, 2, 5);
    requests(test, 0, 8);
    flush_now(test, NULL);
    assert_arrived("/0 /1 /2 /3 /4 ", 3, 2);
    assert_true(kong_test_server_logged(test, "error", "the queue was full: 3 entries are lost"));
    requests(test, 8, 12); /* round the ring */
    flush_now(test, NULL);
    assert_arrived("/0 /1 /2 /3 /4 /8 /9 /10 /11 ", 5, 2);
    kong_test_close(test);
}

/* An instance goes with its configuration; what it had is sent, beside that of the next. */
static void a_queue_outlives_its_instance(void **state) {
    struct kong_test *test = open_gateway(state, 10, 100);
    char error[256];
    requests(test, 0, 3);
    assert_int_equal(kong_test_configure(test, config_of(5, 100), error, sizeof error), 0);
    requests(test, 3, 4);
    flush_now(test, NULL);
    pthread_mutex_lock(&server.lock);
    assert_int_equal(server.batches, 2);
    assert_non_null(strstr(server.paths, "/0 /1 /2 "));
    assert_non_null(strstr(server.paths, "/3 "));
    assert_int_equal(strlen(server.paths), 12);
    pthread_mutex_unlock(&server.lock);
    kong_test_close(test);
}

static void configurations(void **state) {
    struct kong_test *test = open_gateway(state, 1, 1);
    char error[256];
    assert_int_equal(kong_test_configure(test, "{\"url\":\"file:///x\"}", error, sizeof error), 1);
    assert_int_equal(kong_test_configure(test, "{}", error, sizeof error), 1);
    kong_test_close(test);
}

#define WITH_SERVER(test, protocol)                                                                \
    { #test ", " #protocol, test, set_up, tear_down, (void *)&protocol }
#define WITH_SERVER_ON_BOTH(test) WITH_SERVER(test, protobuf), WITH_SERVER(test, msgpack)

int main(void) {
    const struct CMUnitTest tests[] = {
        WITH_SERVER_ON_BOTH(entries_go_in_batches),
        WITH_SERVER_ON_BOTH(nothing_is_lost_at_the_end),
        WITH_SERVER_ON_BOTH(what_is_not_taken_stays),
        WITH_SERVER_ON_BOTH(a_server_that_is_away),
        WITH_SERVER_ON_BOTH(a_server_that_is_silent),
        WITH_SERVER_ON_BOTH(a_batch_that_is_refused_is_dropped),
        WITH_SERVER_ON_BOTH(a_queue_has_an_end),
        WITH_SERVER_ON_BOTH(a_queue_outlives_its_instance),
        WITH_SERVER(configurations, protobuf),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
