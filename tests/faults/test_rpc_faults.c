/* Every PDK function over both protocols, with each allocation failing in turn: one thread, no
 * sockets, so that each failure is the same in each run. The handler is told, the conversation
 * stays one of the protocol, nothing leaks, and the next event goes through. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>

#include "../fuzz/rpc_kong.h"
#include "../fuzz/rpc_plugin.h"
#include "limit.h"
#include "msgpack_rpc.h"
#include "one_plugin.h"
#include "protobuf_rpc.h"
#include "rpc.h"
#include "seam.h"
#include "sim_protobuf.h"

#define ENOUGH  2000
#define ANSWERS 40 /* at most, to one event */
#define ALL     SIZE_MAX
#define TYPED   13 /* typed functions of the scripted plugin */

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
    enum protocol protocol;
    struct rpc rpc;
    struct kong_end kong;
    bool open;
};

/* --- a connection without a socket --- */

static struct world *world_of(struct rpc *rpc) {
    return (struct world *)((char *)rpc - offsetof(struct world, rpc));
}

static void hang_up(struct world *world) {
    if (world->open) {
        world->open = false;
        rpc_close(&world->rpc);
        kong_end_free(&world->kong);
    }
}

/* Reading what the server wrote is the test's own: no call fails there. */
static void flush(struct rpc *rpc) {
    struct world *world = world_of(rpc);
    seam_leave();
    kong_end_take(&world->kong, rpc->protocol, rpc->out.data, rpc->out.len);
    buffer_clear(&rpc->out, 0);
    seam_enter();
}

static void connect_to(struct world *world) {
    hang_up(world);
    rpc_init(&world->rpc, &world->env, flush);
    kong_end_init(&world->kong);
    world->open = true;
}

static void feed(struct world *world, const void *data, size_t len) {
    if (!world->open) {
        return;
    }
    seam_enter();
    int rc = rpc_feed(&world->rpc, data, len);
    flush(&world->rpc);
    if (rc != 0 || world->rpc.state >= RPC_BROKEN) {
        assert_true(world->rpc.state >= RPC_BROKEN);
        hang_up(world);
    }
    seam_leave();
}

static void ask(struct world *world, const struct rpc_call *call) {
    struct buffer out;
    buffer_init(&out, LIMIT_OUT);
    assert_int_equal(world->protocol == PROTOCOL_MSGPACK ? msgpack_encode_call(&out, call)
                                                         : protobuf_encode_call(&out, call),
                     CODEC_OK);
    feed(world, out.data, out.len);
    buffer_free(&out);
}

/* --- the server's half --- */

static uint64_t now(void *clock) {
    return ((struct world *)clock)->now;
}

static void create(struct world *world, enum protocol protocol, bool closed) {
    const struct kong_plugin *plugin = closed ? &script_closed_plugin : &script_open_plugin;
    *world = (struct world){.protocol = protocol};
    arena_init(&world->scratch, LIMIT_EVENT_MEMORY);
    world->plugins = one_plugin(&world->hosted, plugin, &world->script);
    struct registry_options registry = {.max_instances = 4};
    world->registry = registry_create(&registry);
    assert_non_null(world->registry);
    struct events_options events = {.plugins = &world->plugins,
                                    .registry = world->registry,
                                    .max_events = 4,
                                    .stack_size = LIMIT_STACK,
                                    .timeout_ms = 1000,
                                    .running = &world->running,
                                    .shared = &world->shared,
                                    .stats = &world->stats,
                                    .plugin_stats = &world->plugin_stats};
    world->events = events_create(&events);
    assert_non_null(world->events);
    world->info = (struct rpc_plugin_info){.name = kong_str("script")};
    world->env = (struct rpc_env){.events = world->events,
                                  .registry = world->registry,
                                  .plugins = &world->plugins,
                                  .info = &world->info,
                                  .scratch = &world->scratch,
                                  .max_frame = LIMIT_FRAME,
                                  .now_ms = now,
                                  .clock = world};
}

static void destroy(struct world *world) {
    hang_up(world);
    events_cancel_all(world->events, KONG_E_GONE);
    assert_int_equal(events_alive(world->events), 0);
    assert_int_equal(world->script.started, world->script.returned);
    events_destroy(world->events);
    registry_destroy(world->registry);
    arena_free(&world->scratch);
}

/* --- an event --- */

/* What Kong answers to any call: a map for those that give one, else nothing. */
static void answer(struct world *world, unsigned nth) {
    static const struct kong_str name = {"kong", 4};
    const struct kong_pair pair = {name, {.type = KONG_STRING, .string = {"value", 5}}};
    const struct pdk_method *method = pdk_method_find(world->kong.last_name);
    struct kong_value value = kong_nil();
    if (method != NULL && method->result == PDK_RESULT_STRUCT) {
        value = kong_map(&pair, 1);
    } else if (method != NULL && method->result == PDK_RESULT_STRING) {
        value = kong_string("text");
    }
    if (world->protocol == PROTOCOL_MSGPACK) {
        struct rpc_call step = {.command = RPC_STEP,
                                .sequence = 10 + (int64_t)nth,
                                .event_id = world->kong.event_id,
                                .data = value};
        ask(world, &step);
        return;
    }
    struct buffer out;
    buffer_init(&out, LIMIT_OUT);
    if (method == NULL || sim_protobuf_encode_result(&out, method, &value) != CODEC_OK) {
        buffer_append(&out, "\0\0\0\0", 4);
    }
    feed(world, out.data, out.len);
    buffer_free(&out);
}

/* One event with a script; nothing of it needs to succeed. True when all went as it should. */
static bool converse(struct world *world, const char *script) {
    char config[64];
    snprintf(config, sizeof config, "{\"script\":\"%s\"}", script);
    struct rpc_call start = {.command = RPC_START_INSTANCE,
                             .sequence = 1,
                             .name = kong_str("script"),
                             .config = kong_str(config)};
    connect_to(world);
    ask(world, &start);
    if (!world->open || world->kong.last.kind != RPC_REPLY_INSTANCE) {
        return false;
    }
    int32_t id = world->kong.last.instance.id;
    struct rpc_call event = {
        .command = RPC_HANDLE_EVENT, .sequence = 2, .instance_id = id, .event = kong_str("access")};
    ask(world, &event);
    for (unsigned i = 0; world->open && world->kong.returns < 2 && world->kong.errors == 0 &&
                         (world->rpc.event != NULL || events_alive(world->events) > 0);
         i++) {
        assert_true(i < ANSWERS);
        answer(world, i);
    }
    bool over = world->open && world->kong.errors == 0;
    registry_close(world->registry, id);
    return over;
}

/* Kong was told, or sees the connection end; the handler has returned. */
static void assert_over(struct world *world, const char *script) {
    if (world->open && world->kong.returns + world->kong.errors + world->kong.calls == 0) {
        fail_msg("%s: %s failed, and Kong waits in vain", script, seam_failed());
    }
    hang_up(world);
    events_cancel_all(world->events, KONG_E_GONE); /* MsgPack: those whose Step never comes */
    assert_int_equal(events_alive(world->events), 0);
    assert_int_equal(world->script.started, world->script.returned);
}

static void each_allocation(enum protocol protocol, bool closed, const char *script, size_t count) {
    for (size_t nth = 1;; nth++) {
        struct world world;
        create(&world, protocol, closed);
        seam_arm(SEAM_MEMORY, nth, count);
        converse(&world, script);
        bool failed = seam_disarm();
        assert_over(&world, script);
        if (!converse(&world, script)) {
            fail_msg("%s: no service after %s had failed", script, seam_failed());
        }
        destroy(&world);
        if (!failed) {
            break;
        }
        assert_in_range(nth, 1, ENOUGH);
    }
}

static void each_function(void **state) {
    enum protocol protocol = *(const enum protocol *)*state;
    for (unsigned action = 0; action < SCRIPT_TYPED + TYPED; action++) {
        char script[8];
        if (action >= PDK_COUNT && action < SCRIPT_TYPED) {
            continue;
        }
        /* twice: what is kept for the second time is another path */
        snprintf(script, sizeof script, "%02x%02x", action, action);
        each_allocation(protocol, action % 2 != 0, script, 1);
        each_allocation(protocol, action % 2 == 0, script, ALL);
    }
    seam_check_leaks("functions");
}

/* Headers that are merged, much that is posted, a handler that fails. */
static void long_scripts(void **state) {
    static const char *const scripts[] = {"f2f2f28cf2", "f1f18a", "8a82ff", "80f28b81ff", "8c8c"};
    enum protocol protocol = *(const enum protocol *)*state;
    char merges[32];
    snprintf(merges, sizeof merges, "%02x%02x%02x8a%02x%02x", PDK_RESPONSE_SET_HEADER,
             PDK_RESPONSE_SET_HEADER, PDK_LOG_INFO, PDK_RESPONSE_SET_HEADER,
             PDK_RESPONSE_SET_HEADER);
    for (unsigned closed = 0; closed < 2; closed++) {
        for (size_t i = 0; i < sizeof scripts / sizeof *scripts; i++) {
            each_allocation(protocol, closed != 0, scripts[i], 1);
            each_allocation(protocol, closed != 0, scripts[i], ALL);
        }
        each_allocation(protocol, closed != 0, merges, 1);
        each_allocation(protocol, closed != 0, merges, ALL);
    }
    seam_check_leaks("scripts");
}

static bool say_at_once(struct rpc *rpc, const uint8_t *data, size_t len) {
    seam_leave();
    kong_end_take(&world_of(rpc)->kong, rpc->protocol, data, len);
    seam_enter();
    return true;
}

/* One event over a new connection, all memory failing from the nth time on. True when it did. */
static bool end_without_memory(struct world *world, const char *script, size_t nth) {
    char config[64];
    snprintf(config, sizeof config, "{\"script\":\"%s\"}", script);
    struct rpc_call start = {.command = RPC_START_INSTANCE,
                             .sequence = 1,
                             .name = kong_str("script"),
                             .config = kong_str(config)};
    connect_to(world);
    ask(world, &start);
    struct rpc_call event = {.command = RPC_HANDLE_EVENT,
                             .sequence = 2,
                             .instance_id = world->kong.last.instance.id,
                             .event = kong_str("access")};
    connect_to(world);
    world->rpc.say_at_once = say_at_once;
    seam_arm(SEAM_MEMORY, nth, ALL);
    ask(world, &event);
    for (unsigned i = 0; world->open && events_alive(world->events) > 0; i++) {
        assert_true(i < ANSWERS);
        answer(world, i);
    }
    bool failed = seam_disarm();
    if (!world->open || world->kong.errors > 0 || world->kong.returns + world->kong.exits != 1) {
        fail_msg("%s, all from number %zu on failing (%s): %zu errors, %zu returns, %zu exits",
                 script, nth, seam_failed(), world->kong.errors, world->kong.returns,
                 world->kong.exits);
    }
    return failed;
}

/* Whatever there is no memory for, an event of a plugin that fails closed ends its request or runs
 * to its end: Kong would go on with the request after an error, or the connection's end. */
static void closed_without_memory(void **state) {
    static const char *const scripts[] = {"f2f2f28cf2", "f1f18a", "8a82ff", "80f28b81ff", "8c8c"};
    (void)state;
    for (size_t i = 0; i < sizeof scripts / sizeof *scripts; i++) {
        bool failed = true;
        for (size_t nth = 1; failed; nth++) {
            struct world world;
            assert_in_range(nth, 1, ENOUGH);
            create(&world, PROTOCOL_MSGPACK, true);
            failed = end_without_memory(&world, scripts[i], nth);
            destroy(&world);
        }
    }
    seam_check_leaks("closed");
}

static enum protocol protobuf = PROTOCOL_PROTOBUF;
static enum protocol msgpack = PROTOCOL_MSGPACK;

#define TESTS(test)                                                                                \
    {#test " protobuf", test, NULL, NULL, &protobuf}, {                                            \
#test " msgpack", test, NULL, NULL, &msgpack                                               \
    }

int main(void) {
    const struct CMUnitTest tests[] = {TESTS(each_function), TESTS(long_scripts),
                                       cmocka_unit_test(closed_without_memory)};
    seam_guard();
    return cmocka_run_group_tests_name("rpc faults", tests, NULL, NULL);
}
