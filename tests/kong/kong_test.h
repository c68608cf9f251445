/* A gateway for the tests of a plugin: the plugin runs in its real server, in a thread of the test,
 * and talks over a real socket to a simulated Kong that implements the PDK.
 *
 * A test is a program that includes this header and then the plugin's source, and calls
 * kong_test_*. It needs no framework. This is test_limit.c, of a plugin limit.c, with cmocka, which
 * wants four headers before its own:
 *
 *     #include <setjmp.h>
 *     #include <stdarg.h>
 *     #include <stddef.h>
 *     #include <stdint.h>
 *
 *     #include <cmocka.h>
 *
 *     #include <kong_test.h>
 *
 *     #include "limit.c"
 *
 *     static void tells_the_limit(void **state) {
 *         struct kong_test_options options = {.plugin = &plugin, .config = "{\"limit\":3}"};
 *         struct kong_test *test;
 *         char error[256];
 *         (void)state;
 *         if (kong_test_open(&options, &test, error, sizeof error) != 0) {
 *             fail_msg("%s", error);
 *         }
 *         kong_test_request(test, "GET", "/users?id=7");
 *         kong_test_request_header(test, "X-Api-Key", "secret");
 *         kong_test_upstream(test, 200, "hello");
 *         if (kong_test_run(test) != KONG_TEST_OK) {
 *             fail_msg("%s", kong_test_error(test));
 *         }
 *         assert_string_equal(kong_test_response_header(test, "X-Limit"), "3");
 *         kong_test_close(test);
 *     }
 *
 *     int main(void) {
 *         const struct CMUnitTest tests[] = {cmocka_unit_test(tells_the_limit)};
 *         return cmocka_run_group_tests(tests, NULL, NULL);
 *     }
 *
 *     cc test_limit.c $(pkg-config --cflags --libs kong-pdk-test cmocka) -o test_limit
 *
 * The plugin is a program too. Its last line is KONG_MAIN(plugin), which behind this header is no
 * main function (kong.h). A plugin that writes out its main function is included like this:
 *
 *     #define main plugin_main
 *     #include "limit.c"
 *     #undef main
 *
 * Handlers run in another thread than the test: use no assertions of the test's framework in them.
 * A handler that crashes ends the test's process, with the server's line on stderr: "NAME[123]:
 * invalid access in a handler of phase access, instance 17". Of several gateways that are open in
 * one process only one writes this line. gdb shows the place, also of a crash in `destroy`.
 *
 * What the functions below return lives until the next kong_test_request or kong_test_close. One
 * thread at a time may use a struct kong_test. What goes wrong in a function without a result
 * (memory, a text that is not JSON) makes the next kong_test_run or kong_test_phase return
 * KONG_TEST_BROKEN.
 */
#ifndef KONG_TEST_H
#define KONG_TEST_H

#include "kong.h"

/* The test has the main function. */
#undef KONG_MAIN
#define KONG_MAIN(plugin)

#ifdef __cplusplus
extern "C" {
#endif

struct kong_test;

struct kong_test_options {
    const struct kong_plugin *plugin;
    const char *config; /* the plugin's `config`, a JSON object; NULL: {} */
    /* Several in the place of `plugin`, of one program (kong_main_plugins) and enabled together: a
     * request goes through all of them, in Kong's order, the one with the highest priority first.
     */
    const struct kong_plugin *const *plugins;
    size_t plugin_count;        /* of these; 1 to KONG_PLUGINS_MOST */
    const char *const *configs; /* one for each, NULL in it: {}; NULL: {} for all */
    bool msgpack;               /* talk MsgPack:1, not ProtoBuf:1; so it is anyway where a plugin
                                   needs it (kong_plugin.protocol) */
    bool kong_2_8;   /* play Kong 2.8, not 3.9, with a server that has --kong-version 2.8: functions
                        that it lacks, what it raises on, requests that go on where a server fails */
    unsigned phases; /* KONG_PHASE_BITs that Kong calls; 0: those that the plugin advertises. With
                        several plugins: each is called in those of them that it advertises */
    int timeout_ms;  /* for each answer of the plugin; 0: 10,000 */
    uint64_t event_ms; /* the server's time limit of one event; 0: its default */
    size_t threads; /* that run handlers, as the server's --threads; 0: one. Several: for a plugin
                       that is .thread_safe */
    size_t stack_size; /* of a handler, in bytes, in place of the plugin's; 0: the plugin's */
};

/* What became of a request. The worst of its plugins and phases counts. */
enum kong_test_outcome {
    /* All handlers returned 0, and the upstream's answer is on its way to the client. */
    KONG_TEST_OK = 0,
    /* A handler has answered, by kong.response.exit or .error: the upstream was not asked, or its
     * answer not used. */
    KONG_TEST_EXITED = 1,
    /* A handler or `configure` failed, also behind its exit; or Kong raised an error in a PDK call,
     * could not reach the target, or lets the client wait for ever. kong_test_error says which.
     * What Kong made of it is seen as after other runs: it went on without the plugin
     * (KONG_FAIL_OPEN), answered 500 (KONG_FAIL_CLOSED), or had the handler's answer. */
    KONG_TEST_FAILED = 2,
    /* The test itself went wrong: kong_test_error says how. */
    KONG_TEST_BROKEN = 3,
};

/* 0. 1: Kong would not take the configuration: `error` has the lines of its Admin API. -1: the
 * server does not start, or kong_main would refuse the plugin: `error` (8 bytes or more) says why.
 */
int kong_test_open(const struct kong_test_options *options, struct kong_test **test, char *error,
                   size_t error_size);
/* Ends the server. NULL is allowed. */
void kong_test_close(struct kong_test *test);

/* Another configuration, as after a change in the Admin API: the next event starts an instance with
 * it and closes the old one. As kong_test_open. */
int kong_test_configure(struct kong_test *test, const char *config, char *error, size_t error_size);
/* The same for one of several plugins, by its name; -1 also where there is none of it.
 * kong_test_configure is for the first in the list. */
int kong_test_configure_plugin(struct kong_test *test, const char *plugin, const char *config,
                               char *error, size_t error_size);

/* --- What Kong knows; stays from request to request. JSON texts; NULL takes it away --- */

void kong_test_route(struct kong_test *test, const char *json);   /* an object of the Admin API */
void kong_test_service(struct kong_test *test, const char *json); /* the same */
void kong_test_consumers(struct kong_test *test,
                         const char *json); /* list: what load_consumer finds */
void kong_test_upstreams(struct kong_test *test,
                         const char *json); /* list of names, for set_upstream */
void kong_test_trusted_ips(struct kong_test *test,
                           const char *json); /* list of addresses, blocks */

/* An object with a secret for each vault reference: {"{vault://env/my-secret}": "s3cret"}.
 * kong.vault.get finds them. When Kong starts an instance, with the first event, it puts them in
 * the place of the references in the configuration. A reference that is not here becomes "", with a
 * line at level notice. As in Kong, a secret that changes later reaches an instance only with the
 * next kong_test_configure. */
void kong_test_secrets(struct kong_test *test, const char *json);

/* --- The request --- */

/* A new request: everything of the last one is gone. url is "/path?query", or with an origin:
 * "https://example.com:8443/path". */
void kong_test_request(struct kong_test *test, const char *method, const char *url);
void kong_test_request_header(struct kong_test *test, const char *name, const char *value);
void kong_test_request_body(struct kong_test *test, const void *data, size_t len);
void kong_test_client(struct kong_test *test, const char *ip, int port);
void kong_test_http_version(struct kong_test *test, double version); /* 1.1 unless told */

/* What the router cut out of the path: {"unnamed": [...], "named": {...}}. */
void kong_test_captures(struct kong_test *test, const char *json);

/* What other plugins have done before: the consumer and the credential that they authenticated
 * (objects; from access on the upstream gets X-Consumer-* headers), a value in kong.ctx.shared, an
 * nginx variable. */
void kong_test_consumer(struct kong_test *test, const char *json);
void kong_test_credential(struct kong_test *test, const char *json);
void kong_test_ctx_set(struct kong_test *test, const char *key, const char *json);
void kong_test_var(struct kong_test *test, const char *name, const char *value);

/* How the upstream will answer this request; without it: 200 with an empty body. */
void kong_test_upstream(struct kong_test *test, int status, const char *body);
/* A body that may have a NUL in it, in place of kong_test_upstream's. */
void kong_test_upstream_body(struct kong_test *test, const void *data, size_t len);
void kong_test_upstream_header(struct kong_test *test, const char *name, const char *value);

/* It takes so many milliseconds until it answers. Where Kong does not wait as long (read_timeout of
 * the service, or set by the plugin; else 60 s) it answers 504, at once here. */
void kong_test_upstream_slow(struct kong_test *test, unsigned ms);
/* It closes the connection without an answer: Kong answers 502. As after the 504 no handler for
 * response is called. */
void kong_test_upstream_closes(struct kong_test *test);

/* A function answers in its place, from now on, until NULL is given. It is called when Kong asks
 * the upstream, with the request as it is sent (kong_test_sent_path and so on), in the thread of
 * kong_test_run. It says what to answer by kong_test_upstream, kong_test_upstream_header, _body and
 * _slow, and returns whether there is an answer.
 *
 *     static enum kong_test_answer echo(struct kong_test *test, void *ctx) {
 *         (void)ctx;
 *         kong_test_upstream(test, 200, kong_test_sent_body(test, NULL));
 *         return KONG_TEST_ANSWERS;
 *     }
 */
enum kong_test_answer {
    KONG_TEST_ANSWERS = 0,
    KONG_TEST_CLOSES = 1, /* as kong_test_upstream_closes */
    KONG_TEST_SILENT = 2, /* no answer in time: 504 */
};
typedef enum kong_test_answer kong_test_answer_fn(struct kong_test *test, void *ctx);
void kong_test_upstream_answers(struct kong_test *test, kong_test_answer_fn *answers, void *ctx);

/* --- Running it --- */

/* Calls the plugins in their phases, in Kong's order: rewrite, access; then the upstream answers;
 * then response (the answer is buffered) or header_filter (no Kong up to 3.9 can do that); then
 * log. A request that ended early still has its log phase. Kong's router works between rewrite and
 * access, as in Kong: it overwrites the path and the scheme that a plugin has set in rewrite.
 *
 * A target that Kong cannot reach is answered by Kong (500, 502): KONG_TEST_FAILED, and the
 * upstream was not asked. Kong cannot reach a name where the service's own host is an IP address.
 */
enum kong_test_outcome kong_test_run(struct kong_test *test);

/* One phase alone, on the request as it is, whether or not the plugin advertises it. Of several
 * plugins those are called that do. So certificate and streams are tested, which kong_test_run
 * leaves out: KONG_PHASE_CERTIFICATE before kong_test_run; KONG_PHASE_PREREAD, then
 * KONG_PHASE_LOG. */
enum kong_test_outcome kong_test_phase(struct kong_test *test, enum kong_phase phase);

/* --- Jobs --- */

/* Runs the plugin's job of this name (kong_plugin.jobs; "PLUGIN/JOB" where several have it) now, or
 * when the run that is under way is over, and waits for its end. KONG_TEST_FAILED: it failed,
 * kong_test_error has the text. KONG_TEST_BROKEN: there is no such job. The server runs all jobs as
 * it always does, besides: at its start and at their intervals, and once more in kong_test_close.
 */
enum kong_test_outcome kong_test_job(struct kong_test *test, const char *name);

/* --- Several requests at once --- */

/* Another request of the same gateway: with a request, results and connections of its own, the same
 * server, configuration and instance. It knows what `test` knows now (route, service …). 0, or -1:
 * not enough memory. Each is closed by kong_test_close, in any order; the last one ends the server.
 *
 *     struct kong_test *other;
 *     assert_int_equal(kong_test_beside(test, &other), 0);
 *     kong_test_start(test);
 *     kong_test_start(other);
 *     assert_int_equal(kong_test_wait(test), KONG_TEST_OK);
 *     assert_int_equal(kong_test_wait(other), KONG_TEST_OK);
 */
int kong_test_beside(struct kong_test *test, struct kong_test **other);

/* kong_test_run, in a thread of its own. Call nothing else with this handle until kong_test_wait
 * has returned; only the function that answers for its upstream may. */
void kong_test_start(struct kong_test *test);
/* What kong_test_run returned; KONG_TEST_BROKEN when nothing was started. */
enum kong_test_outcome kong_test_wait(struct kong_test *test);

/* --- Looking at it. Header names without regard to case --- */

/* Why the last run, phase or job failed; "" when it didn't. Where a handler failed, it is the line
 * of the first that did: "limit: access failed: no key", as in Kong's log. Behind an exit only the
 * server's log has it: "limit: access failed after its exit: no key" (of requests that run at once
 * and end so, another one may be given it). */
const char *kong_test_error(const struct kong_test *test);

/* The upstream was asked. */
bool kong_test_reached_upstream(const struct kong_test *test);

/* The request that the upstream got, or would get. */
const char *kong_test_sent_method(const struct kong_test *test);
const char *kong_test_sent_scheme(const struct kong_test *test);
const char *kong_test_sent_to(const struct kong_test *test); /* host of the service or target; "" */
int kong_test_sent_port(const struct kong_test *test);       /* 0 when unknown */
/* Escaped, without the query. A '?' with nothing behind it stays at its end, as in Kong. */
const char *kong_test_sent_path(const struct kong_test *test);
const char *kong_test_sent_query(const struct kong_test *test);
const char *kong_test_sent_body(const struct kong_test *test, size_t *len); /* len may be NULL */
/* The value of a header at a position, from 0; NULL behind the last. Host has the port where it is
 * not the scheme's own. X-Forwarded-* and X-Real-IP are Kong's: what came from a client that is not
 * trusted is not in them. */
const char *kong_test_sent_header(const struct kong_test *test, const char *name);
const char *kong_test_sent_header_at(const struct kong_test *test, const char *name, size_t index);

/* The answer that the client gets. */
int kong_test_response_status(const struct kong_test *test);
const char *kong_test_response_body(const struct kong_test *test, size_t *len);
const char *kong_test_response_header(const struct kong_test *test, const char *name);
const char *kong_test_response_header_at(const struct kong_test *test, const char *name,
                                         size_t index);

/* Lines written by kong.log.*, and by Kong about the plugin, from 0; NULL behind the last. *level
 * ("err"; level may be NULL). */
const char *kong_test_log(const struct kong_test *test, size_t index, const char **level);
/* Whether a line of this level has this text in it. */
bool kong_test_logged(const struct kong_test *test, const char *level, const char *text);

/* Lines of the server's own log since kong_test_open, of all requests and jobs, from 0; NULL behind
 * the last. What jobs write by kong_log_err and so on is there ("job flush: TEXT"). *level is
 * "error", "warn", "notice", "info" or "debug". They live until the next call of one of the two.
 * What kong_process_log writes goes to stderr. */
const char *kong_test_server_log(struct kong_test *test, size_t index, const char **level);
/* Whether a line of this level has this text in it. */
bool kong_test_server_logged(struct kong_test *test, const char *level, const char *text);

/* What Kong's own log plugins would write now: kong.log.serialize's JSON text, with the values that
 * the plugin has added to it. NULL: Kong would raise, for a key cannot be used, or no memory. */
const char *kong_test_serialized(struct kong_test *test);

/* kong.ctx.shared; nil when it is not there. The consumer and credential of the request, perhaps
 * set by kong.client.authenticate. */
struct kong_value kong_test_ctx(const struct kong_test *test, const char *key);
struct kong_value kong_test_authenticated_consumer(const struct kong_test *test);
struct kong_value kong_test_authenticated_credential(const struct kong_test *test);

/* PDK calls that Kong carried out since kong_test_request: each costs a round trip over MsgPack:1.
 */
size_t kong_test_pdk_calls(const struct kong_test *test);
/* How many of them were calls of this function ("kong.request.get_path"), whatever came of them.
 * Of functions whose effect is not seen otherwise, kong.service.set_retries and the like, this is
 * all there is to look at. */
size_t kong_test_called(const struct kong_test *test, const char *method);

#ifdef __cplusplus
}
#endif

#endif
