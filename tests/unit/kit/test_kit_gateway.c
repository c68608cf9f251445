/* The kit's gateway: several requests at once, threads and stacks, an upstream that is slow, closes
 * or answers by a function, a handler that crashes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "checkers.h"
#include "kong_test.h"
#include "scratch.h"

#define AT_ONCE 6

/* --- The plugin --- */

static atomic_uint inside;            /* handlers that wait for each other */
static _Atomic(pthread_t) threads[2]; /* those that ran one */

static void note_thread(void) {
    pthread_t none = 0;
    if (!atomic_compare_exchange_strong(&threads[0], &none, pthread_self()) &&
        !pthread_equal(none, pthread_self())) {
        atomic_store(&threads[1], pthread_self());
    }
}

/* Waits until so many are here. */
static int meet(struct kong *kong) {
    int error = 0;
    note_thread();
    for (atomic_fetch_add(&inside, 1); error == 0 && atomic_load(&inside) < AT_ONCE;) {
        error = kong_sleep(kong, 1);
    }
    return error;
}

__attribute__((noinline)) static int use_stack(void) {
    volatile char frame[2 << 20];
    for (size_t i = 0; i < sizeof frame; i += 4096) {
        frame[i] = 1;
    }
    return frame[4096] == 1 ? KONG_OK : KONG_E_FAILED;
}

static int crash(void) {
    static volatile uintptr_t nowhere = 64;
    *(volatile int *)nowhere = 1;
    return KONG_OK;
}

/* X-Do says what. */
static int in_access(struct kong *kong, const void *config) {
    const struct kong_credential key = {.id = kong_str("key-1")};
    struct kong_str what;
    (void)config;
    int error = kong_request_get_header(kong, "X-Do", &what);
    if (error != 0 || what.data == NULL) {
        return error;
    }
    if (strcmp(what.data, "crash") == 0) {
        return crash();
    }
    if (strcmp(what.data, "deep") == 0) {
        return use_stack();
    }
    if (strcmp(what.data, "authenticate") == 0) {
        return kong_client_authenticate(kong, NULL, &key);
    }
    if (strcmp(what.data, "head") == 0) {
        return kong_service_request_set_method(kong, "HEAD");
    }
    if (strcmp(what.data, "note") == 0) {
        return kong_log_set_serialize_value(kong, "mine.deep", kong_integer(9));
    }
    return strcmp(what.data, "meet") == 0 ? meet(kong) : KONG_OK;
}

static int in_response(struct kong *kong, const void *config) {
    (void)config;
    return kong_response_set_header(kong, "X-Seen", "yes");
}

static int in_log(struct kong *kong, const void *config) {
    struct kong_credential credential;
    struct kong_str json;
    (void)config;
    int error = kong_client_get_credential(kong, &credential);
    error = error != 0 ? error : kong_log_serialize(kong, &json);
    if (error != 0) {
        return error;
    }
    const char *started = strstr(json.data, "\"started_at\":");
    return kong_log_notice(kong, "credential %s, %.*s",
                           credential.id.data == NULL ? "none" : credential.id.data,
                           started == NULL ? 0 : (int)strcspn(started, ",}"), started);
}

static const struct kong_plugin plugin = {
    .name = "gateway-test",
    .version = "1.0",
    .priority = 1,
    .on_error = KONG_FAIL_CLOSED,
    .thread_safe = true,
    .handlers = {[KONG_PHASE_ACCESS] = in_access,
                 [KONG_PHASE_RESPONSE] = in_response,
                 [KONG_PHASE_LOG] = in_log},
};

/* --- Several at once --- */

static struct kong_test *open_gateway(void **state, size_t thread_count, size_t stack_size) {
    struct kong_test *test = NULL;
    char error[256];
    struct kong_test_options options = {.plugin = &plugin,
                                        .msgpack = *(bool *)*state,
                                        .threads = thread_count,
                                        .stack_size = stack_size};
    if (kong_test_open(&options, &test, error, sizeof error) != 0) {
        fail_msg("%s", error);
    }
    return test;
}

static void open_several(void **state, size_t thread_count, struct kong_test *tests[AT_ONCE]) {
    tests[0] = open_gateway(state, thread_count, 0);
    kong_test_service(tests[0], "{\"host\":\"up.example\"}");
    for (size_t i = 1; i < AT_ONCE; i++) {
        assert_int_equal(kong_test_beside(tests[0], &tests[i]), 0);
    }
    atomic_store(&inside, 0);
    atomic_store(&threads[0], 0);
    atomic_store(&threads[1], 0);
}

/* Each handler waits for all others. */
static void run_several(struct kong_test *tests[AT_ONCE]) {
    for (size_t i = 0; i < AT_ONCE; i++) {
        char path[16];
        snprintf(path, sizeof path, "/%zu", i);
        kong_test_request(tests[i], "GET", path);
        kong_test_request_header(tests[i], "X-Do", "meet");
        kong_test_start(tests[i]);
    }
    for (size_t i = 0; i < AT_ONCE; i++) {
        char path[16];
        snprintf(path, sizeof path, "/%zu", i);
        if (kong_test_wait(tests[i]) != KONG_TEST_OK) {
            fail_msg("%s", kong_test_error(tests[i]));
        }
        assert_string_equal(kong_test_sent_path(tests[i]), path);
        assert_string_equal(kong_test_sent_to(tests[i]), "up.example");
        assert_string_equal(kong_test_response_header(tests[i], "X-Seen"), "yes");
    }
}

static void several_at_once(void **state) {
    struct kong_test *tests[AT_ONCE];
    open_several(state, 0, tests);
    run_several(tests);
    assert_true(atomic_load(&threads[1]) == 0);
    /* the first goes before the others */
    for (size_t i = 0; i < AT_ONCE; i++) {
        kong_test_close(tests[i]);
    }
}

static void on_several_threads(void **state) {
    struct kong_test *tests[AT_ONCE];
    struct kong_plugin unsafe = plugin;
    struct kong_test_options options = {.plugin = &unsafe, .threads = 2};
    struct kong_test *none = NULL;
    char error[256];
    open_several(state, 2, tests);
    run_several(tests);
    assert_true(atomic_load(&threads[1]) != 0);
    for (size_t i = AT_ONCE; i-- > 0;) {
        kong_test_close(tests[i]);
    }
    unsafe.thread_safe = false;
    assert_int_equal(kong_test_open(&options, &none, error, sizeof error), -1);
    assert_non_null(strstr(error, "does not say that it is thread-safe"));
}

static void waiting_for_nothing(void **state) {
    struct kong_test *test = open_gateway(state, 0, 0);
    assert_int_equal(kong_test_wait(test), KONG_TEST_BROKEN);
    assert_string_equal(kong_test_error(test), "kong_test_wait without kong_test_start");
    kong_test_start(test);
    kong_test_close(test); /* waits */
}

/* --- Faults --- */

/* Runs the request in a process of its own; its stderr. */
static int run_apart(void **state, const char *what, size_t stack_size, char *said, size_t size) {
    int ends[2];
    int status = 0;
    size_t len = 0;
    ssize_t n;
    assert_int_equal(pipe(ends), 0);
    fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        dup2(ends[1], STDERR_FILENO);
        close(ends[0]);
        close(ends[1]);
        struct kong_test *test = open_gateway(state, 0, stack_size);
        kong_test_request_header(test, "X-Do", what);
        int outcome = (int)kong_test_run(test);
        kong_test_close(test);
        _exit(outcome);
    }
    close(ends[1]);
    while ((n = read(ends[0], said + len, size - 1 - len)) > 0 || (n < 0 && errno == EINTR)) {
        len += n > 0 ? (size_t)n : 0;
    }
    said[len] = '\0';
    close(ends[0]);
    assert_true(waitpid(child, &status, 0) == child);
    return status;
}

static void crash_is_told(void **state) {
    char said[4096];
    int status = run_apart(state, "crash", 0, said, sizeof said);
    assert_true(WIFSIGNALED(status) || WEXITSTATUS(status) != KONG_TEST_OK);
    if (strstr(said, "]: invalid access in a handler of phase access, instance ") == NULL) {
        fail_msg("%s", said);
    }
}

static void stack_size_counts(void **state) {
    char said[4096];
    if (under_valgrind()) { /* its exit status is not the program's when there was a fault */
        return;
    }
    int status = run_apart(state, "deep", 0, said, sizeof said);
    assert_true(WIFSIGNALED(status) || WEXITSTATUS(status) != KONG_TEST_OK);
    if (strstr(said, "]: stack overflow in a handler of phase access, instance ") == NULL) {
        fail_msg("%s", said);
    }
    status = run_apart(state, "deep", (size_t)8 << 20, said, sizeof said);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == KONG_TEST_OK);
}

static void on_test_fault(int number) {
    scratch_remove_at_fault();
    _exit(40 + (number == SIGSEGV));
}

/* A fault of the test's own goes to whoever heard it before. */
static void faults_of_the_test(void **state) {
    int status = 0;
    if (under_valgrind()) { /* as above */
        return;
    }
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        signal(SIGSEGV, on_test_fault);
        struct kong_test *test = open_gateway(state, 0, 0);
        crash();
        _exit(test == NULL);
    }
    assert_true(child > 0 && waitpid(child, &status, 0) == child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 41);
}

/* --- Upstreams --- */

static enum kong_test_answer echo(struct kong_test *test, void *ctx) {
    *(unsigned *)ctx += 1;
    kong_test_upstream(test, 201, kong_test_sent_body(test, NULL));
    kong_test_upstream_header(test, "X-Path", kong_test_sent_path(test));
    return strcmp(kong_test_sent_path(test), "/gone") == 0   ? KONG_TEST_CLOSES
           : strcmp(kong_test_sent_path(test), "/mute") == 0 ? KONG_TEST_SILENT
                                                             : KONG_TEST_ANSWERS;
}

static void answers_by_a_function(void **state) {
    struct kong_test *test = open_gateway(state, 0, 0);
    unsigned asked = 0;
    kong_test_upstream_answers(test, echo, &asked);
    kong_test_request(test, "POST", "/a");
    kong_test_request_body(test, "text", 4);
    assert_int_equal(kong_test_run(test), KONG_TEST_OK);
    assert_int_equal(kong_test_response_status(test), 201);
    assert_string_equal(kong_test_response_body(test, NULL), "text");
    assert_string_equal(kong_test_response_header(test, "X-Path"), "/a");
    kong_test_request(test, "GET", "/gone");
    assert_int_equal(kong_test_run(test), KONG_TEST_OK);
    assert_int_equal(kong_test_response_status(test), 502);
    kong_test_request(test, "GET", "/mute");
    assert_int_equal(kong_test_run(test), KONG_TEST_OK);
    assert_int_equal(kong_test_response_status(test), 504);
    assert_int_equal(asked, 3);
    kong_test_upstream_answers(test, NULL, NULL);
    kong_test_request(test, "GET", "/gone");
    assert_int_equal(kong_test_run(test), KONG_TEST_OK);
    assert_int_equal(kong_test_response_status(test), 200);
    kong_test_close(test);
}

static void slow_or_closing(void **state) {
    struct kong_test *test = open_gateway(state, 0, 0);
    kong_test_service(test, "{\"host\":\"up.example\",\"read_timeout\":50}");
    kong_test_request(test, "GET", "/");
    kong_test_upstream_slow(test, 2);
    assert_int_equal(kong_test_run(test), KONG_TEST_OK);
    assert_int_equal(kong_test_response_status(test), 200);
    assert_string_equal(kong_test_response_header(test, "X-Seen"), "yes");
    kong_test_request(test, "GET", "/");
    kong_test_upstream_slow(test, 50);
    assert_int_equal(kong_test_run(test), KONG_TEST_OK);
    assert_int_equal(kong_test_response_status(test), 504);
    assert_true(kong_test_reached_upstream(test));
    assert_null(kong_test_response_header(test, "X-Seen")); /* no handler for response was called */
    kong_test_request(test, "GET", "/");
    kong_test_upstream_closes(test);
    assert_int_equal(kong_test_run(test), KONG_TEST_OK);
    assert_int_equal(kong_test_response_status(test), 502);
    kong_test_request(test, "GET", "/");
    assert_int_equal(kong_test_run(test), KONG_TEST_OK);
    assert_int_equal(kong_test_response_status(test), 200);
    kong_test_close(test);
}

/* A body may have a NUL in it. */
static void binary_body(void **state) {
    struct kong_test *test = open_gateway(state, 0, 0);
    size_t len = 0;
    kong_test_upstream_body(test, "a\0b", 3);
    assert_int_equal(kong_test_run(test), KONG_TEST_OK);
    assert_memory_equal(kong_test_response_body(test, &len), "a\0b", 3);
    assert_int_equal(len, 3);
    kong_test_close(test);
}

/* --- Who was authenticated --- */

static void credential_only(void **state) {
    struct kong_test *test = open_gateway(state, 0, 0);
    kong_test_request(test, "GET", "/");
    kong_test_request_header(test, "X-Do", "authenticate");
    assert_int_equal(kong_test_run(test), KONG_TEST_OK);
    const struct kong_value credential = kong_test_authenticated_credential(test);
    assert_int_equal(credential.type, KONG_MAP);
    assert_int_equal(kong_test_authenticated_consumer(test).type, KONG_NIL);
    if (!kong_test_logged(test, "notice", "credential key-1, \"started_at\":1795374239123")) {
        fail_msg("%s", kong_test_log(test, 0, NULL));
    }
    kong_test_close(test);
}

/* --- Kong 2.8 --- */

static int old_log(struct kong *kong, const void *config) {
    struct kong_credential credential;
    (void)config;
    int error = kong_client_get_credential(kong, &credential);
    return error == KONG_E_PHASE ? kong_log_notice(kong, "refused") : KONG_E_FAILED;
}

static int old_access(struct kong *kong, const void *config) {
    struct kong_headers headers;
    int port = 0;
    (void)config;
    int error = kong_client_get_forwarded_port(kong, &port);
    if (error != 0 || port != 4321) {
        return error != 0 ? error : KONG_E_FAILED;
    }
    struct kong_value list[] = {kong_string("a"), kong_string("b")};
    struct kong_str body;
    error = kong_request_get_raw_body(kong, 100000, &body);
    if (error != 0) {
        kong_log_notice(kong, "%d: %s", error, kong_error_text(kong));
    } else {
        kong_log_notice(kong, "a body of %zu bytes", body.len);
    }
    error = kong_request_get_headers(kong, 0, &headers);
    if (error == 0) {
        error = kong_response_set_header_value(kong, "X-Two", kong_list(list, 2));
    }
    if (error == 0) {
        error = kong_response_add_header_value(kong, "X-Two", kong_list(list, 1));
    }
    return error != 0 ? error
                      : kong_service_request_set_header_value(kong, "X-Up", kong_list(list, 2));
}

static const struct kong_plugin old_plugin = {
    .name = "old-kong",
    .version = "1.0",
    .priority = 1,
    .on_error = KONG_FAIL_CLOSED,
    .handlers = {[KONG_PHASE_ACCESS] = old_access, [KONG_PHASE_LOG] = old_log},
};

/* On ProtoBuf:1 Kong 2.8 raises on headers that repeat. On MsgPack:1 it does not read a body that
 * is in a file. */
static void kong_2_8(void **state) {
    static const char large[50000];
    struct kong_test *test = NULL;
    char error[256];
    bool msgpack = *(bool *)*state;
    struct kong_test_options options = {
        .plugin = &old_plugin, .msgpack = msgpack, .kong_2_8 = true, .event_ms = 1000};
    assert_int_equal(kong_test_open(&options, &test, error, sizeof error), 0);
    kong_test_request(test, "GET", "/");
    kong_test_client(test, "10.0.0.9", 4321);
    kong_test_request_header(test, "X-One", "1");
    kong_test_request_body(test, large, sizeof large);
    if (kong_test_run(test) != KONG_TEST_OK) {
        fail_msg("%s %s", kong_test_error(test), kong_test_log(test, 0, NULL));
    }
    assert_true(kong_test_logged(test, "notice", "refused"));
    assert_true(kong_test_logged(test, "notice",
                                 msgpack ? "-7: request body did not fit into client body buffer"
                                         : "a body of 50000 bytes"));
    for (size_t i = 0; i < 3; i++) {
        assert_string_equal(kong_test_response_header_at(test, "X-Two", i), i == 1 ? "b" : "a");
    }
    kong_test_request(test, "GET", "/");
    kong_test_client(test, "10.0.0.9", 4321);
    kong_test_request_header(test, "X-One", "1");
    kong_test_request_header(test, "X-One", "2");
    assert_int_equal(kong_test_run(test), msgpack ? KONG_TEST_OK : KONG_TEST_FAILED);
    assert_int_equal(kong_test_response_status(test), msgpack ? 200 : 500);
    kong_test_close(test);
}

/* Kong lets such a client wait until it gives up. */
static void client_that_waits(void **state) {
    struct kong_test *test = open_gateway(state, 0, 0);
    for (int head = 0; head < 2; head++) {
        kong_test_request(test, head ? "HEAD" : "GET", "/");
        kong_test_request_header(test, "X-Do", "head");
        kong_test_upstream(test, 200, "hello");
        assert_int_equal(kong_test_run(test), head ? KONG_TEST_OK : KONG_TEST_FAILED);
        assert_string_equal(kong_test_error(test),
                            head ? ""
                                 : "the client waits for ever: for the body of an answer to HEAD, "
                                   "which it did not send");
        assert_string_equal(kong_test_sent_method(test), "HEAD");
    }
    kong_test_close(test);
}

static void what_is_logged(void **state) {
    struct kong_test *test = open_gateway(state, 0, 0);
    kong_test_request(test, "GET", "/logged?a=1");
    assert_null(strstr(kong_test_serialized(test), "mine"));
    kong_test_request_header(test, "X-Do", "note");
    kong_test_upstream(test, 204, "");
    assert_int_equal(kong_test_run(test), KONG_TEST_OK);
    assert_non_null(strstr(kong_test_serialized(test), "\"mine\":{\"deep\":9}"));
    assert_non_null(strstr(kong_test_serialized(test), "\"status\":204"));
    assert_non_null(strstr(kong_test_serialized(test), "/logged?a=1"));
    kong_test_close(test);
}

int main(void) {
    static bool protobuf = false;
    static bool msgpack = true;
#define ONE(test, protocol)                                                                        \
    { #test " " #protocol, test, NULL, NULL, &protocol }
#define BOTH(test) ONE(test, protobuf), ONE(test, msgpack)
    const struct CMUnitTest tests[] = {
        BOTH(several_at_once),       BOTH(on_several_threads), BOTH(waiting_for_nothing),
        BOTH(crash_is_told),         BOTH(stack_size_counts),  ONE(faults_of_the_test, protobuf),
        BOTH(answers_by_a_function), BOTH(slow_or_closing),    BOTH(binary_body),
        BOTH(credential_only),       BOTH(kong_2_8),           BOTH(client_that_waits),
        BOTH(what_is_logged),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
