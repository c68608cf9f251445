/* Whole connections: four hostile peers, and one in order that shares the server with them. Time is
 * virtual, ids are the same in each run. Afterwards everything closes, nothing leaks, and the
 * server still serves.
 *
 * Input: a byte of options, then operations, a byte each (low bits: what, high bits: which peer)
 * and their operands, see `operate`. */
#include "fuzz.h"

#include <fcntl.h>
#include <stdlib.h>

#include "limit.h"
#include "msgpack_rpc.h"
#include "msgpack_value.h"
#include "one_plugin.h"
#include "prefetch.h"
#include "protobuf_rpc.h"
#include "rpc.h"
#include "rpc_kong.h"
#include "rpc_plugin.h"

#define PEERS        4
#define MOST_EVENTS  6
#define MOST_FRAME   ((size_t)96 << 10)
#define SMALL_FRAME  256                /* more is passed over */
#define SMALL_MEMORY ((size_t)48 << 10) /* of all, beyond the first KiB of each */
#define EVENT_MS     5000
#define LEARNED      17 /* events, until what they ask for is asked for ahead */
#define STACK        ((size_t)256 << 10)
#define WAITS        "{\"script\":\"8a\"}" /* get_header and others, each waits; log.warn */

struct peer {
    struct rpc rpc;
    struct kong_end kong;
    struct in_flight in_flight;
    bool open;
    bool stalled; /* does not read what the server writes */
    bool failing; /* the next write to it fails */
};

struct world {
    struct script_state script;
    struct registry *registry;
    struct events *events;
    struct events_shared shared;
    struct plugin hosted;
    struct plugins plugins;
    struct stats stats;
    struct stats_plugin plugin_stats;
    struct running running;
    struct arena scratch;
    struct rpc_plugin_info info;
    struct rpc_env env;
    uint64_t now;
    _Atomic size_t memory; /* of the budget */
    uint64_t refused;
    struct budget budget;
    struct peer peers[PEERS];
    struct peer good; /* the one in order */
};

/* --- a connection without a socket: what conn.c does, but for libuv --- */

static struct peer *peer_of(struct rpc *rpc) {
    return (struct peer *)((char *)rpc - offsetof(struct peer, rpc));
}

static void peer_close(struct peer *peer) {
    if (peer->open) {
        peer->open = false;
        rpc_close(&peer->rpc);
        kong_end_free(&peer->kong);
    }
}

static void peer_flush(struct peer *peer) {
    struct buffer *out = &peer->rpc.out;
    if (!peer->open) {
        return;
    }
    if (out->len > 0 && peer->failing) {
        peer->failing = false;
        peer_close(peer);
        return;
    }
    if (!peer->stalled) {
        kong_end_take(&peer->kong, peer->rpc.protocol, out->data, out->len);
        buffer_clear(out, 0);
    }
    if (peer->rpc.state >= RPC_BROKEN && (!peer->stalled || out->len == 0)) {
        peer_close(peer);
    }
}

static void wake(struct rpc *rpc) {
    peer_flush(peer_of(rpc));
}

static void peer_open(struct world *world, struct peer *peer) {
    memset(peer, 0, sizeof *peer);
    rpc_init(&peer->rpc, &world->env, wake);
    peer->rpc.in_flight = &peer->in_flight;
    kong_end_init(&peer->kong);
    peer->open = true;
}

/* The process dies now: what is said in its place is an answer to what it had read. */
static void peer_dies(struct peer *peer) {
    uint8_t said[512];
    for (int next = 0; next < 2; next++) {
        size_t len = rpc_answer_orphan(peer->rpc.env->plugins, peer->in_flight.what,
                                       peer->in_flight.id, NULL, next, said, sizeof said);
        REQUIRE(len <= sizeof said);
        bool protobuf = peer->in_flight.what == IN_FLIGHT_PROTOBUF_START ||
                        peer->in_flight.what == IN_FLIGHT_PROTOBUF_EVENT ||
                        peer->in_flight.what == IN_FLIGHT_PROTOBUF_EVENT_OPEN;
        if (len > 0 && !protobuf) {
            struct kong_end kong;
            kong_end_init(&kong);
            kong_end_take(&kong, PROTOCOL_MSGPACK, said, len);
            REQUIRE(kong.last.sequence == peer->in_flight.id);
            kong_end_free(&kong);
        }
    }
}

/* Exactly these bytes on the heap: a look behind them is seen. */
static void peer_feed(struct peer *peer, const uint8_t *data, size_t len) {
    if (!peer->open || len == 0) {
        return;
    }
    in_flight_set(&peer->in_flight, IN_FLIGHT_OTHER);
    uint8_t *exact = malloc(len);
    REQUIRE(exact != NULL);
    memcpy(exact, data, len);
    if (rpc_feed(&peer->rpc, exact, len) != 0) {
        REQUIRE(peer->rpc.state >= RPC_BROKEN && peer->rpc.reason[0] != '\0');
    }
    free(exact);
    peer_dies(peer);
    peer_flush(peer);
}

/* As conn.c does when the loop comes round: never from inside a handler. */
static void peer_resume(struct peer *peer) {
    while (peer->open && rpc_resumable(&peer->rpc)) {
        if (rpc_resume(&peer->rpc) != 0) {
            REQUIRE(peer->rpc.state >= RPC_BROKEN && peer->rpc.reason[0] != '\0');
        }
        peer_flush(peer);
    }
}

static void peer_call(struct peer *peer, enum protocol protocol, const struct rpc_call *call) {
    struct buffer out;
    buffer_init(&out, LIMIT_OUT);
    int rc = protocol == PROTOCOL_MSGPACK ? msgpack_encode_call(&out, call)
                                          : protobuf_encode_call(&out, call);
    if (rc == CODEC_OK) {
        peer_feed(peer, out.data, out.len);
    }
    buffer_free(&out);
}

/* --- the world --- */

static uint64_t world_now(void *clock) {
    return ((struct world *)clock)->now;
}

/* Where lines about the peers go: formatted, and thrown away. */
static struct log *null_log(void) {
    static struct log *log;
    if (log == NULL) {
        log = log_create(open("/dev/null", O_WRONLY | O_CLOEXEC), LOG_LEVEL_DEBUG, "fuzz");
    }
    return log;
}

static void world_create(struct world *world, bool closed, bool small, enum prefetch_mode mode) {
    const struct kong_plugin *plugin = closed ? &script_closed_plugin : &script_open_plugin;
    memset(world, 0, sizeof *world);
    world->budget =
        (struct budget){&world->memory, small ? SMALL_MEMORY : LIMIT_MEMORY, &world->refused};
    arena_init(&world->scratch, LIMIT_EVENT_MEMORY);
    world->plugins = one_plugin(&world->hosted, plugin, &world->script);
    struct registry_options registry = {.log = null_log(), .max_instances = 6, .idle_ms = 60000};
    world->registry = registry_create(&registry);
    REQUIRE(world->registry != NULL);
    struct events_options events = {.plugins = &world->plugins,
                                    .registry = world->registry,
                                    .log = null_log(),
                                    .budget = &world->budget,
                                    .max_events = MOST_EVENTS,
                                    .stack_size = STACK,
                                    .timeout_ms = EVENT_MS,
                                    .running = &world->running,
                                    .shared = &world->shared,
                                    .stats = &world->stats,
                                    .plugin_stats = &world->plugin_stats};
    world->events = events_create(&events);
    REQUIRE(world->events != NULL);
    static const struct kong_str phases[] = {{"access", 6}};
    world->info = (struct rpc_plugin_info){.name = kong_str("script"),
                                           .version = kong_str("1.2.3"),
                                           .phases = phases,
                                           .phase_count = 1,
                                           .schema = kong_str("{}")};
    world->env = (struct rpc_env){.events = world->events,
                                  .registry = world->registry,
                                  .log = null_log(),
                                  .plugins = &world->plugins,
                                  .info = &world->info,
                                  .scratch = &world->scratch,
                                  .budget = &world->budget,
                                  .max_frame = small ? SMALL_FRAME : MOST_FRAME,
                                  .pid = 42,
                                  .now_ms = world_now,
                                  .clock = world};
    REQUIRE(prefetch_create(&world->plugins, mode, false, &world->env.prefetch));
    world->env.declares = prefetch_declares(world->env.prefetch);
}

static void world_pass(struct world *world, uint64_t ms) {
    world->now += ms;
    events_tick(world->events, world->now);
    registry_expire(world->registry, world->now);
    script_wake_due(&world->script);
}

static void world_destroy(struct world *world) {
    for (size_t i = 0; i < PEERS; i++) {
        peer_close(&world->peers[i]);
    }
    peer_close(&world->good);
    events_cancel_all(world->events, KONG_E_GONE);
    script_wake_due(&world->script);
    while (script_wake(&world->script)) {
    }
    REQUIRE(events_alive(world->events) == 0);
    for (size_t i = 0; i < PEERS; i++) {
        REQUIRE(!world->peers[i].open);
    }
    REQUIRE(world->script.started == world->script.returned);
    events_destroy(world->events);
    prefetch_destroy(world->env.prefetch);
    REQUIRE(world->memory == 0); /* all that was charged has come back */
    registry_destroy(world->registry);
    arena_free(&world->scratch);
}

/* --- the peer in order --- */

static int64_t good_start(struct world *world, enum protocol protocol, const char *config) {
    struct rpc_call start = {.command = RPC_START_INSTANCE,
                             .sequence = 1,
                             .name = kong_str("script"),
                             .config = kong_str(config)};
    size_t returns = world->good.kong.returns;
    peer_call(&world->good, protocol, &start);
    REQUIRE(world->good.open && world->good.kong.returns == returns + 1);
    REQUIRE(world->good.kong.last.kind == RPC_REPLY_INSTANCE);
    return world->good.kong.last.instance.id;
}

static void good_event(struct world *world, enum protocol protocol, int64_t instance) {
    struct rpc_call event = {.command = RPC_HANDLE_EVENT,
                             .sequence = 2,
                             .instance_id = instance,
                             .event = kong_str("access")};
    peer_call(&world->good, protocol, &event);
}

/* An answer to each call until the event is over: its end is what comes back second, after that
 * of its instance's start; or an error, or of a plugin that fails closed an exit, behind which Kong
 * says nothing. */
static void good_answers(struct world *world, enum protocol protocol) {
    struct peer *good = &world->good;
    for (unsigned i = 0; good->open && good->kong.returns < 2; i++) {
        static const uint8_t empty_frame[4] = {0, 0, 0, 0};
        struct rpc_call step = {.command = RPC_STEP,
                                .sequence = 3 + i,
                                .event_id = good->kong.event_id,
                                .data = kong_string("x")};
        REQUIRE(i < 40);
        if (good->kong.errors > 0 || good->kong.exits > 0) {
            return;
        }
        if (protocol == PROTOCOL_MSGPACK) {
            peer_call(good, protocol, &step);
        } else {
            peer_feed(good, empty_frame, sizeof empty_frame);
        }
    }
}

/* A plain event goes through, from the start of an instance to its end, whatever there was. */
static void require_service(struct world *world, enum protocol protocol) {
    peer_close(&world->good);
    peer_open(world, &world->good);
    int64_t instance = good_start(world, protocol, WAITS);
    good_event(world, protocol, instance);
    REQUIRE(world->good.open && world->good.kong.calls >= 1);
    good_answers(world, protocol);
    REQUIRE(world->good.open && world->good.kong.errors == 0 && world->good.kong.exits == 0);
    REQUIRE(world->good.kong.returns == 2);
    /* besides, the server may have had something to say through Kong's log */
    REQUIRE(world->good.kong.header_calls == 1);
}

/* So many plain events that the server asks ahead for what they ask. */
static void teach(struct world *world, int64_t instance) {
    static const uint8_t empty_frame[4] = {0, 0, 0, 0};
    struct peer *peer = &world->peers[0];
    peer_open(world, peer);
    for (unsigned i = 0; i < LEARNED; i++) {
        struct rpc_call event = {.command = RPC_HANDLE_EVENT,
                                 .sequence = 2,
                                 .instance_id = instance,
                                 .event = kong_str("access")};
        peer_call(peer, PROTOCOL_PROTOBUF, &event);
        while (peer->open && peer->rpc.results_due > 0) {
            peer_feed(peer, empty_frame, sizeof empty_frame);
        }
        REQUIRE(peer->open && peer->kong.returns == i + 1);
    }
    peer_close(peer);
}

/* --- the hostile peers --- */

static const char *const event_names[] = {"access",      "rewrite",       "response", "log",
                                          "certificate", "header_filter", "preread",  "nonsense"};

/* A script out of the input, as JSON. */
static struct kong_str script_config(struct fuzz_input *input, char *to, size_t size) {
    static const char digits[] = "0123456789abcdef";
    size_t len = fuzz_byte(input) & 31;
    const uint8_t *codes = fuzz_bytes(input, &len);
    static const char head[] = "{\"script\":\"";
    size_t at = sizeof head - 1;
    REQUIRE(at + 2 * len + 3 <= size);
    memcpy(to, head, at);
    for (size_t i = 0; i < len; i++) {
        to[at++] = digits[codes[i] >> 4];
        to[at++] = digits[codes[i] & 15];
    }
    memcpy(to + at, "\"}", 3);
    return (struct kong_str){to, at + 2};
}

/* With a random source that gives zeros the registry counts from 1; the first is the good peer's.
 */
static int64_t instance_id(struct fuzz_input *input) {
    unsigned which = fuzz_byte(input);
    return which == 255 ? INT64_MAX : (int64_t)which;
}

static void call(struct peer *peer, enum protocol protocol, struct fuzz_input *input) {
    char config[128];
    unsigned what = fuzz_byte(input);
    struct rpc_call made = {.command = (enum rpc_command)((what & 15) % (RPC_GET_STATUS + 1)),
                            .sequence = fuzz_byte(input),
                            .notification = (what & 0x80) != 0,
                            .name = kong_str((what & 0x40) != 0 ? "other" : "script")};
    switch (made.command) {
    case RPC_START_INSTANCE:
        made.config = script_config(input, config, sizeof config);
        break;
    case RPC_HANDLE_EVENT:
        made.event = kong_str(event_names[what >> 4 & 7]);
        made.instance_id = instance_id(input);
        break;
    case RPC_INSTANCE_STATUS:
    case RPC_CLOSE_INSTANCE:
        made.instance_id = instance_id(input);
        break;
    case RPC_STEP:
        made.event_id = peer->kong.event_id + (uint64_t)(what >> 4 & 3);
        break;
    case RPC_UNKNOWN:
        made.method = kong_str("plugin.Nonsense");
        break;
    default:
        break;
    }
    peer_call(peer, protocol, &made);
}

/* Kong's answer to what the server asked last: hostile content in a frame that is whole. */
static void answer(struct world *world, struct peer *peer, enum protocol protocol,
                   struct fuzz_input *input) {
    unsigned what = fuzz_byte(input);
    size_t len = what & 0x3f;
    const uint8_t *content = fuzz_bytes(input, &len);
    if (protocol == PROTOCOL_PROTOBUF) {
        uint8_t frame[4 + 0x3f] = {(uint8_t)len, 0, 0, 0};
        if (len > 0) {
            memcpy(frame + 4, content, len);
        }
        peer_feed(peer, frame, 4 + len);
        return;
    }
    struct arena arena;
    struct peer *waiting_rpc = (what & 0x40) != 0 ? &world->good : peer;
    struct rpc_call step = {.command = RPC_STEP,
                            .sequence = what,
                            .event_id = waiting_rpc->open ? waiting_rpc->kong.event_id : 0};
    arena_init(&arena, (size_t)1 << 20);
    if ((what & 0x80) != 0) {
        step.error = kong_str("no such thing");
    } else if (len == 0 || msgpack_decode_value(&arena, content, len, &step.data) != CODEC_OK) {
        step.data = kong_nil();
    }
    peer_call(peer, protocol, &step);
    arena_free(&arena);
}

enum operation { RAW, LONG_RAW, CALL, ANSWER, PASS, CLOSE, WAKE, MODE };

static void operate(struct world *world, struct fuzz_input *input) {
    unsigned code = fuzz_byte(input);
    unsigned which = code >> 3 & (PEERS - 1);
    struct peer *peer = &world->peers[which];
    enum protocol protocol = which < PEERS / 2 ? PROTOCOL_PROTOBUF : PROTOCOL_MSGPACK;
    const uint8_t *bytes;
    size_t len;
    if (!peer->open) {
        peer_open(world, peer);
    }
    switch ((enum operation)(code & 7)) {
    case RAW:
        len = fuzz_byte(input);
        bytes = fuzz_bytes(input, &len);
        peer_feed(peer, bytes, len);
        break;
    case LONG_RAW:
        len = fuzz_u16(input);
        bytes = fuzz_bytes(input, &len);
        peer_feed(peer, bytes, len);
        break;
    case CALL:
        call(peer, protocol, input);
        break;
    case ANSWER:
        answer(world, peer, protocol, input);
        break;
    case PASS:
        world_pass(world, (uint64_t)fuzz_byte(input) * 100);
        break;
    case CLOSE:
        peer_close(peer);
        break;
    case WAKE:
        script_wake(&world->script);
        break;
    case MODE:
        peer->stalled = (code & 0x20) != 0;
        peer->failing = (code & 0x40) != 0;
        peer->rpc.unwritten = peer->stalled && (code & 0x80) != 0 ? LIMIT_OUT_PAUSE + 1 : 0;
        peer_flush(peer);
        break;
    }
    script_wake_due(&world->script);
    for (size_t i = 0; i < PEERS; i++) {
        peer_resume(&world->peers[i]);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len) {
    static struct world world;
    struct fuzz_input input = {data, len};
    unsigned options = fuzz_byte(&input);
    enum protocol protocol = (options & 1) != 0 ? PROTOCOL_MSGPACK : PROTOCOL_PROTOBUF;
    enum prefetch_mode mode = (options & 8) != 0    ? PREFETCH_DECLARED
                              : (options & 16) != 0 ? PREFETCH_AUTO
                                                    : PREFETCH_OFF;
    world_create(&world, (options & 2) != 0, (options & 4) != 0, mode);
    peer_open(&world, &world.good);
    int64_t instance = good_start(&world, protocol, WAITS);
    if (mode == PREFETCH_AUTO) {
        teach(&world, instance);
    }
    good_event(&world, protocol, instance);
    REQUIRE(world.good.kong.calls >= 1 && world.good.kong.header_calls == 1);
    for (unsigned i = 0; input.left > 0 && i < 200; i++) {
        operate(&world, &input);
    }
    /* Its event may have ended (time, a Step of another), but it is answered. */
    good_answers(&world, protocol);
    world_pass(&world, EVENT_MS);
    while (script_wake(&world.script)) {
    }
    require_service(&world, protocol);
    require_service(&world, protocol == PROTOCOL_MSGPACK ? PROTOCOL_PROTOBUF : PROTOCOL_MSGPACK);
    world_destroy(&world);
    return 0;
}
