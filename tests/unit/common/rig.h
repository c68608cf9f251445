/* What tests of the running server share: a plugin that can do anything, its server in a thread, a
 * simulated Kong. */
#ifndef TESTS_UNIT_RIG_H
#define TESTS_UNIT_RIG_H

#include "sim_client.h"
#include "sim_server.h"

/* What the plugin's handlers saw; written by the server's thread. */
struct rig_notes {
    _Atomic unsigned started;
    _Atomic unsigned returned;
    _Atomic int last;             /* result of the handler's last PDK call */
    _Atomic unsigned results[16]; /* how many handlers ended with -KONG_E_* as `last` */
    _Atomic unsigned wrong;       /* answers that were not what the handler expected */
    _Atomic unsigned configured, destroyed;
    _Atomic unsigned held; /* handlers that compute and compute, */
    _Atomic bool let_go;   /* until this is true */
};

/* The plugin's name is "rig"; its configuration {"mode": …, "count": n}. Modes (count is how often,
 * default 1):
 * post: count times response.set_header("X-<i>", "v") and log.info
 * wait: request.get_header("X-In"), response.set_header("X-Out", that)
 * loop: count times nginx.get_var("arg_a"), each must be "1"
 * mixed: posts and waits in turns: log.info, get_method, set_header, set_header, get_header,
 * log.info, ctx.shared.set, ctx.shared.get, set_header exit: response.exit(403, "denied"), then
 * nothing exit-more: a post, response.exit, then count more calls of all kinds, errors ignored
 * fail: a post, then the handler fails
 * badphase: response.get_headers, then a post; in access Kong raises
 * unknown: kong.no.such
 * msgpack-only: request.get_raw_path, response.set_header("X-Path", that)
 * body: request.get_raw_body; X-Size gets its length, or "file"
 * error: service.set_upstream("none"): nil and an error text
 * sleep: request.get_header("X-In"), kong_sleep for count times 10 ms, response.set_header("X-Out",
 *        that)
 * hold: request.get_header("X-In"), then keeps its thread until notes.let_go
 * nothing: returns at once */
extern const struct kong_plugin rig_plugin;        /* fails open */
extern const struct kong_plugin rig_closed_plugin; /* the same, fails closed */

struct rig {
    enum protocol protocol;
    struct sim_server *server;
    struct sim_client *client;
    struct sim_pdk *pdk;
    struct arena arena;
};

/* Every way of writing that Kong has, and some that it could have. */
struct rig_way {
    const char *name;
    struct sim_behaviour behaviour;
};
extern const struct rig_way rig_ways[];
extern const size_t rig_way_count;

struct rig_notes *rig_notes(void);

/* Starts a server and a client; fails the test when it can't. `options` may be NULL; its plugin is
 * rig_plugin when not given. */
void rig_start(struct rig *rig, enum protocol protocol, const struct sim_server_options *options);
void rig_stop(struct rig *rig);

/* A client more, with the same PDK. Its owner is the caller. */
struct sim_client *rig_client(struct rig *rig, int timeout_ms);

/* An instance of the mode; fails the test when it can't be had. */
int64_t rig_instance(struct rig *rig, const char *mode, int count);

/* The PDK's state as before the first event: GET /p?a=1 with X-In: in. */
void rig_fresh(struct rig *rig);

/* One access event on a fresh state. */
enum sim_event_outcome rig_event(struct rig *rig, int64_t instance, struct sim_event *event);

/* Waits until no handler is at work; fails the test after a minute. */
void rig_settle(void);

/* What GetStatus says of the plugin ("EventsRunning"); over a connection of its own. */
int64_t rig_status(struct rig *rig, const char *what);

/* Fails the test unless a plain event goes through: the server lives and is in order. */
void rig_alive(struct rig *rig);

/* The answer's header; NULL when it is not there. */
const char *rig_header(struct rig *rig, const char *name);

#define LENGTH(array) (sizeof(array) / sizeof *(array))

#define assert_event(rig, id, event, wanted)                                                       \
    do {                                                                                           \
        enum sim_event_outcome outcome_ = rig_event(rig, id, event);                               \
        if (outcome_ != (wanted)) {                                                                \
            fail_msg("%s, not %s: %s", sim_event_outcome_name(outcome_),                           \
                     sim_event_outcome_name(wanted), (event)->text);                               \
        }                                                                                          \
    } while (0)

/* For cmocka: a test with a protocol, or one with each; *state points to it. */
#define RIG_TEST(test, protocol)                                                                   \
    { #test " " #protocol, test, NULL, NULL, &protocol }
#define RIG_TESTS(test) RIG_TEST(test, protobuf), RIG_TEST(test, msgpack)

enum protocol protocol_of(void **state);

#endif
