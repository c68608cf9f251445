/* redis-rate-limit in a simulated gateway, with a real redis-server on a Unix socket. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "example.h"

#include "redis_rate_limit.c"

#define AT_ONCE 8
#define YEAR    "31536000" /* a window that does not end during a test */

/* --- A Redis of the test's own ---------------------------------------------------------------- */

static struct {
    char directory[64], socket[80], config[256];
    pid_t pid;
} redis;

static void pause_ms(long ms) {
    const struct timespec time = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    nanosleep(&time, NULL);
}

/* NULL when it does not listen. */
static redisContext *ask_redis(void) {
    redisContext *context = redisConnectUnix(redis.socket);
    if (context != NULL && context->err == 0) {
        return context;
    }
    redisFree(context);
    return NULL;
}

static void start_redis(void) {
    redis.pid = fork();
    assert_int_not_equal(redis.pid, -1);
    if (redis.pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        execlp("redis-server", "redis-server", "--port", "0", "--unixsocket", redis.socket, "--dir",
               redis.directory, "--save", "", "--logfile", "log", (char *)NULL);
        _exit(127);
    }
    for (int i = 0; i < 3000; i++) {
        redisContext *context = ask_redis();
        if (context != NULL) {
            redisFree(context);
            return;
        }
        pause_ms(10);
    }
    fail_msg("redis-server does not start");
}

static void end_redis(void) {
    kill(redis.pid, SIGKILL);
    waitpid(redis.pid, NULL, 0);
}

static int make_redis(void **state) {
    (void)state;
    const char *base = getenv("TMPDIR");
    snprintf(redis.directory, sizeof redis.directory, "%s/redis-test.XXXXXX",
             base == NULL ? "/tmp" : base);
    assert_non_null(mkdtemp(redis.directory));
    snprintf(redis.socket, sizeof redis.socket, "%s/redis.socket", redis.directory);
    start_redis();
    return 0;
}

static int remove_redis(void **state) {
    char log[80];
    (void)state;
    end_redis();
    snprintf(log, sizeof log, "%s/log", redis.directory);
    unlink(log);
    unlink(redis.socket);
    return rmdir(redis.directory);
}

static long long ask_number(const char *command, const char *field) {
    redisContext *context = ask_redis();
    assert_non_null(context);
    redisReply *reply = redisCommand(context, command);
    assert_non_null(reply);
    long long number = reply->integer;
    if (field != NULL) {
        const char *at = strstr(reply->str, field);
        assert_non_null(at);
        number = strtoll(at + strlen(field), NULL, 10);
    }
    freeReplyObject(reply);
    redisFree(context);
    return number;
}

/* --- The plugin ------------------------------------------------------------------------------- */

static const char *config_of(int requests, const char *more) {
    snprintf(redis.config, sizeof redis.config,
             "{\"limit\":%d,\"window\":" YEAR "%s,\"redis\":{\"socket\":\"%s\",\"timeout\":30000}}",
             requests, more, redis.socket);
    return redis.config;
}

static struct kong_test *open_gateway(void **state, int requests, const char *more) {
    ask_number("FLUSHALL", NULL);
    return gateway_of(&plugin, state, config_of(requests, more));
}

static const char *remaining(struct kong_test *test) {
    return kong_test_response_header(test, "RateLimit-Remaining");
}

static void request(struct kong_test *test, const char *ip) {
    kong_test_request(test, "GET", "/");
    kong_test_client(test, ip, 40000);
}

static void so_many_and_no_more(void **state) {
    static const char *const left[] = {"2", "1", "0"};
    struct kong_test *test = open_gateway(state, 3, "");
    for (size_t i = 0; i < 3; i++) {
        request(test, "192.0.2.1");
        assert_outcome(test, KONG_TEST_OK);
        assert_string_equal(remaining(test), left[i]);
        assert_string_equal(kong_test_response_header(test, "RateLimit-Limit"), "3");
        assert_null(kong_test_response_header(test, "Retry-After"));
    }
    for (size_t i = 0; i < 2; i++) {
        request(test, "192.0.2.1");
        assert_outcome(test, KONG_TEST_EXITED);
        assert_int_equal(kong_test_response_status(test), 429);
        assert_string_equal(kong_test_response_body(test, NULL),
                            "{\"message\":\"API rate limit exceeded\"}");
        assert_string_equal(remaining(test), "0");
        assert_string_equal(kong_test_response_header(test, "Retry-After"),
                            kong_test_response_header(test, "RateLimit-Reset"));
    }
    request(test, "192.0.2.2");
    assert_outcome(test, KONG_TEST_OK);
    assert_string_equal(remaining(test), "2");
    kong_test_close(test);
}

/* Redis drops the key by itself: after the window at the latest. */
static void a_key_has_an_end(void **state) {
    struct kong_test *test = open_gateway(state, 3, "");
    char command[128];
    request(test, "192.0.2.1");
    assert_outcome(test, KONG_TEST_OK);
    assert_int_equal(ask_number("DBSIZE", NULL), 1);
    long long window = (long long)time(NULL) / strtoll(YEAR, NULL, 10);
    snprintf(command, sizeof command, "TTL rate-limit:192.0.2.1:%lld", window);
    assert_in_range(ask_number(command, NULL), 1, strtoll(YEAR, NULL, 10));
    kong_test_close(test);
}

static void a_window_ends(void **state) {
    struct kong_test *test = gateway_of(&plugin, state, config_of(1, ",\"window\":1"));
    do { /* its answer comes in the same second as the next, or in another */
        request(test, "192.0.2.1");
        assert_in_range(kong_test_run(test), KONG_TEST_OK, KONG_TEST_EXITED);
    } while (kong_test_response_status(test) != 429);
    do {
        request(test, "192.0.2.1");
        assert_in_range(kong_test_run(test), KONG_TEST_OK, KONG_TEST_EXITED);
    } while (kong_test_response_status(test) == 429);
    kong_test_close(test);
}

static void a_consumer_is_one_client(void **state) {
    struct kong_test *test = open_gateway(state, 10, ",\"by\":\"consumer\",\"prefix\":\"gold\"");
    for (int i = 0; i < 4; i++) {
        request(test, i % 2 == 0 ? "192.0.2.1" : "192.0.2.2");
        if (i < 2) {
            kong_test_consumer(test, "{\"id\":\"7a267194-6123-5ee0-a1c9-4c1559eb0d95\"}");
        }
        assert_outcome(test, KONG_TEST_OK);
        assert_string_equal(remaining(test), i == 1 ? "8" : "9");
    }
    kong_test_close(test);
}

static void connections_are_kept(void **state) {
    static const char info[] = "total_connections_received:";
    struct kong_test *test = open_gateway(state, 100, "");
    long long before = ask_number("INFO stats", info);
    for (size_t i = 0; i < 5; i++) {
        request(test, "192.0.2.1");
        assert_outcome(test, KONG_TEST_OK);
    }
    assert_int_equal(ask_number("INFO stats", info), before + 2); /* ours, and this one */
    kong_test_close(test);
}

static void await_limit(struct kong_test *test) {
    for (int i = 0; i < 3000; i++) {
        request(test, "192.0.2.1");
        assert_outcome(test, KONG_TEST_OK);
        if (remaining(test) != NULL) {
            return;
        }
        pause_ms(10);
    }
    fail_msg("the limit does not come back");
}

static void without_redis_requests_go_on(void **state) {
    struct kong_test *test = open_gateway(state, 100, "");
    request(test, "192.0.2.1");
    assert_outcome(test, KONG_TEST_OK);
    end_redis();
    for (size_t i = 0; i < 5; i++) {
        request(test, "192.0.2.1");
        assert_outcome(test, KONG_TEST_OK);
        assert_null(remaining(test));
        assert_int_equal(kong_test_logged(test, "err", "no limit while Redis does not count"),
                         i == 0);
    }
    start_redis();
    await_limit(test);
    assert_true(kong_test_logged(test, "notice", "Redis counts again"));
    kong_test_close(test);
}

/* Redis accepts the connection, and says nothing. */
static void a_silent_redis_costs_its_time(void **state) {
    struct kong_test *test = open_gateway(state, 100, "");
    char config[256];
    char error[256];
    snprintf(config, sizeof config, "{\"limit\":3,\"redis\":{\"socket\":\"%s\",\"timeout\":200}}",
             redis.socket);
    assert_int_equal(kong_test_configure(test, config, error, sizeof error), 0);
    kill(redis.pid, SIGSTOP);
    request(test, "192.0.2.1");
    assert_outcome(test, KONG_TEST_OK);
    assert_true(kong_test_logged(test, "err", "no answer in time"));
    kill(redis.pid, SIGCONT);
    await_limit(test);
    kong_test_close(test);
}

static void an_answer_that_is_an_error(void **state) {
    struct kong_test *test = open_gateway(state, 100, "");
    ask_number("CONFIG SET requirepass secret", NULL);
    request(test, "192.0.2.1");
    assert_outcome(test, KONG_TEST_OK);
    assert_true(kong_test_logged(test, "err", "NOAUTH"));
    kong_test_close(test);
    end_redis();
    start_redis();
}

/* Eight requests at a time, while Redis is killed and comes back: none fails, and none is lost. */
static void killed_under_load(void **state) {
    struct kong_test *tests[AT_ONCE] = {open_gateway(state, 1000000, "")};
    size_t limited = 0;
    for (size_t i = 1; i < AT_ONCE; i++) {
        assert_int_equal(kong_test_beside(tests[0], &tests[i]), 0);
    }
    for (size_t round = 0; round < 60; round++) {
        for (size_t i = 0; i < AT_ONCE; i++) {
            request(tests[i], "192.0.2.1");
            kong_test_start(tests[i]);
        }
        if (round % 20 == 10) {
            end_redis();
        } else if (round % 20 == 15) {
            start_redis();
        }
        for (size_t i = 0; i < AT_ONCE; i++) {
            enum kong_test_outcome outcome = kong_test_wait(tests[i]);
            if (outcome != KONG_TEST_OK) {
                fail_msg("outcome %d: %s", (int)outcome, kong_test_error(tests[i]));
            }
            limited += remaining(tests[i]) != NULL;
        }
    }
    assert_in_range(limited, 10 * AT_ONCE, 60 * AT_ONCE - 1);
    await_limit(tests[0]);
    for (size_t i = 0; i < AT_ONCE; i++) {
        kong_test_close(tests[i]);
    }
}

static void configurations(void **state) {
    static const char *const wrong[][2] = {
        {"{\"limit\":1,\"redis\":{}}", "socket"},
        {"{\"limit\":1,\"redis\":{\"host\":\"redis.example.com\"}}", "must be an IP address"},
        {"{\"limit\":0,\"redis\":{\"host\":\"::1\"}}", "limit"},
        {"{\"redis\":{\"host\":\"127.0.0.1\"}}", "limit"},
    };
    struct kong_test *test = open_gateway(state, 1, "");
    char error[512];
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        assert_int_equal(kong_test_configure(test, wrong[i][0], error, sizeof error), 1);
        if (strstr(error, wrong[i][1]) == NULL) {
            fail_msg("%s", error);
        }
    }
    kong_test_close(test);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        ON_BOTH(so_many_and_no_more),
        ON_BOTH(a_key_has_an_end),
        ON_BOTH(a_window_ends),
        ON_BOTH(a_consumer_is_one_client),
        ON_BOTH(connections_are_kept),
        ON_BOTH(without_redis_requests_go_on),
        ON_BOTH(a_silent_redis_costs_its_time),
        ON_BOTH(an_answer_that_is_an_error),
        ON_BOTH(killed_under_load),
        ON(configurations, protobuf),
    };
    if (system("command -v redis-server >/dev/null") != 0) {
        puts("SKIPPED: redis-rate-limit: no redis-server here (Debian: redis-server)");
        return 0;
    }
    return cmocka_run_group_tests(tests, make_redis, remove_redis);
}
