/* redis-rate-limit: each client has so many requests in a window of time. Redis counts them, for
 * all nodes of Kong together. An example of a client library that does not block (hiredis) on
 * kong_wait_fd, of connections that are kept, and of a plugin that goes on without its server.
 *
 *     {"limit": 100, "window": 60, "redis": {"socket": "/run/redis/redis.sock"}}
 *
 * For each client and window Redis has a key. SET … NX makes it, with the time when Redis drops it;
 * INCR counts. Both go out in one write. A window begins at a multiple of its length, so that all
 * nodes agree on it without asking.
 *
 * While Redis does not answer requests go on without a limit (fail open). One request a second then
 * tries it, so that the others do not wait for a server that hangs. */
#include <kong.h>

#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define KEPT     64   /* idle connections of an instance, at most */
#define RETRY_MS 1000 /* from one try to the next, while Redis is down */

struct redis {
    const char *socket, *host;
    int64_t port, timeout;
};

struct config {
    int64_t limit, window;
    const char *by, *prefix;
    struct redis redis;
};

static const KONG_FIELDS(struct redis) redis_fields[] = {
    KONG_STRING_FIELD(struct redis, socket, .description = "Path of Redis' Unix socket."),
    KONG_STRING_FIELD(struct redis, host, .match = "^[%x.:]+$", .err = "must be an IP address",
                      .description = "Address of Redis; a name would have to be looked up."),
    KONG_INTEGER_FIELD(struct redis, port, .required = true, .default_json = "6379",
                       .between = KONG_BETWEEN(1, 65535), .description = "Port of Redis."),
    KONG_INTEGER_FIELD(struct redis, timeout, .required = true, .default_json = "500",
                       .between = KONG_BETWEEN(1, 60000),
                       .description = "How long a request waits for Redis, in milliseconds."),
};

static const KONG_FIELDS(struct config) fields[] = {
    KONG_INTEGER_FIELD(struct config, limit, .required = true, .between = KONG_BETWEEN(1, 1e9),
                       .description = "Requests of one client in one window."),
    KONG_INTEGER_FIELD(struct config, window, .required = true, .default_json = "60",
                       .between = KONG_BETWEEN(1, 31536000),
                       .description = "Length of a window in seconds."),
    KONG_STRING_FIELD(struct config, by, .required = true, .default_json = KONG_TEXT("ip"),
                      .one_of = KONG_STRINGS("ip", "consumer"),
                      .description = "Who a client is; one without a consumer is its address."),
    KONG_STRING_FIELD(struct config, prefix, .required = true,
                      .default_json = KONG_TEXT("rate-limit"),
                      .description = "Begins the keys. Instances that share it count together."),
    KONG_RECORD_FIELD(struct config, redis,
                      KONG_RECORD_OF(struct redis, redis_fields,
                                     KONG_CHECKS(KONG_ONLY_ONE_OF("socket", "host"))),
                      .required = true),
};

static const struct kong_schema schema = KONG_SCHEMA(struct config, fields);

/* --- Connections ------------------------------------------------------------------------------ */

/* Of one instance. Handlers take turns on one thread: no lock. */
struct pool {
    redisContext *idle[KEPT];
    size_t count;
    bool down;
    int64_t retry_at; /* while it is down */
};

static int64_t now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static redisContext *connect_to(const struct redis *redis) {
    return redis->socket != NULL ? redisConnectUnixNonBlock(redis->socket)
                                 : redisConnectNonBlock(redis->host, (int)redis->port);
}

static void keep(struct pool *pool, redisContext *connection) {
    if (pool->count < KEPT) {
        pool->idle[pool->count++] = connection;
    } else {
        redisFree(connection);
    }
}

static void close_idle(struct pool *pool) {
    while (pool->count > 0) {
        redisFree(pool->idle[--pool->count]);
    }
}

/* --- One conversation ------------------------------------------------------------------------- */

static int wait_for(struct kong *kong, const redisContext *connection, unsigned wanted,
                    int64_t deadline) {
    int64_t left = deadline - now_ms();
    unsigned ready;
    int error = kong_wait_fd(kong, connection->fd, wanted, left > 0 ? (uint64_t)left : 0, &ready);
    return error == 0 && ready == 0 ? kong_fail(kong, "no answer in time") : error;
}

static int flush(struct kong *kong, redisContext *connection, int64_t deadline) {
    int done = 0;
    while (redisBufferWrite(connection, &done) == REDIS_OK) {
        int error = done ? 0 : wait_for(kong, connection, KONG_WRITABLE, deadline);
        if (done || error != 0) {
            return error;
        }
    }
    return kong_fail(kong, "%s", connection->errstr);
}

/* *number: of a reply that is an integer. */
static int read_reply(struct kong *kong, redisContext *connection, int64_t deadline,
                      int64_t *number) {
    void *data = NULL;
    while (redisGetReply(connection, &data) == REDIS_OK && data == NULL) {
        int error = wait_for(kong, connection, KONG_READABLE, deadline);
        if (error != 0) {
            return error;
        }
        if (redisBufferRead(connection) != REDIS_OK) {
            break;
        }
    }
    if (data == NULL) {
        return kong_fail(kong, "%s", connection->errstr);
    }
    redisReply *reply = data;
    int error = reply->type == REDIS_REPLY_ERROR ? kong_fail(kong, "%s", reply->str) : 0;
    *number = reply->integer;
    freeReplyObject(reply);
    return error;
}

static int count_on(struct kong *kong, redisContext *connection, const struct config *config,
                    const char *key, int64_t *count) {
    int64_t deadline = now_ms() + config->redis.timeout;
    if (connection->err != 0 ||
        redisAppendCommand(connection, "SET %s 0 EX %lld NX", key, (long long)config->window) !=
            0 ||
        redisAppendCommand(connection, "INCR %s", key) != 0) {
        return kong_fail(kong, "%s", connection->errstr);
    }
    int error = flush(kong, connection, deadline);
    if (error == 0) {
        error = read_reply(kong, connection, deadline, count);
    }
    return error != 0 ? error : read_reply(kong, connection, deadline, count);
}

/* On a connection that was kept, or else on a new one. KONG_E_FAILED: Redis does not count. */
static int count_request(struct kong *kong, struct pool *pool, const struct config *config,
                         const char *key, int64_t *count) {
    bool kept = pool->count > 0;
    redisContext *connection = kept ? pool->idle[--pool->count] : connect_to(&config->redis);
    if (connection == NULL) {
        return kong_fail(kong, "not enough memory");
    }
    int error = count_on(kong, connection, config, key, count);
    if (error == 0) {
        keep(pool, connection);
        return 0;
    }
    bool closed = connection->err != 0;
    redisFree(connection); /* an answer may be under way: it is good for nothing else */
    if (kept && closed && error == KONG_E_FAILED) {
        close_idle(pool); /* Redis has ended meanwhile: it has closed them all */
        return count_request(kong, pool, config, key, count);
    }
    return error;
}

/* --- The handler ------------------------------------------------------------------------------ */

static int find_client(struct kong *kong, const struct config *config, struct kong_str *client) {
    struct kong_consumer consumer = {0};
    if (strcmp(config->by, "consumer") == 0) {
        int error = kong_client_get_consumer(kong, &consumer);
        if (error != 0 || consumer.id.len > 0) {
            *client = consumer.id;
            return error;
        }
    }
    return kong_client_get_forwarded_ip(kong, client);
}

static bool is_tried(struct pool *pool) {
    int64_t now = now_ms();
    if (pool->down && now < pool->retry_at) {
        return false;
    }
    pool->retry_at = now + RETRY_MS;
    return true;
}

/* Says so once, when it begins and when it ends. */
static int note_down(struct kong *kong, struct pool *pool, bool down) {
    if (pool->down == down) {
        return 0;
    }
    pool->down = down;
    return down ? kong_log_err(kong, "no limit while Redis does not count: %s",
                               kong_error_text(kong))
                : kong_log_notice(kong, "Redis counts again");
}

static int answer(struct kong *kong, const struct config *config, int64_t count, int64_t reset) {
    int64_t left = count < config->limit ? config->limit - count : 0;
    struct kong_pair headers[] = {
        kong_pair("RateLimit-Limit", kong_integer(config->limit)),
        kong_pair("RateLimit-Remaining", kong_integer(left)),
        kong_pair("RateLimit-Reset", kong_integer(reset)),
        kong_pair("Retry-After", kong_integer(reset)),
    };
    if (count <= config->limit) {
        return kong_response_set_headers(kong, kong_map(headers, 3));
    }
    struct kong_pair body = kong_pair("message", kong_string("API rate limit exceeded"));
    return kong_response_exit_json(kong, 429, kong_map(&body, 1), kong_map(headers, 4));
}

static int limit(struct kong *kong, const void *data) {
    const struct config *config = data;
    struct pool *pool = kong_instance_state(kong);
    struct kong_str client;
    int64_t count = 0;
    if (!is_tried(pool)) {
        return 0;
    }
    int error = find_client(kong, config, &client);
    if (error != 0) {
        return error;
    }
    int64_t now = (int64_t)time(NULL);
    int64_t window = now / config->window;
    struct kong_str key =
        kong_printf(kong, "%s:%s:%lld", config->prefix, client.data, (long long)window);
    if (key.data == NULL) {
        return KONG_E_NOMEM;
    }
    error = count_request(kong, pool, config, key.data, &count);
    if (error == KONG_E_FAILED) {
        return note_down(kong, pool, true);
    }
    if (error == 0) {
        error = note_down(kong, pool, false);
    }
    return error != 0 ? error : answer(kong, config, count, (window + 1) * config->window - now);
}

static int configure(const void *config, void **state, char *error, size_t error_size, void *data) {
    (void)config;
    (void)data;
    *state = calloc(1, sizeof(struct pool));
    snprintf(error, error_size, "not enough memory");
    return *state != NULL ? 0 : KONG_E_NOMEM;
}

static void destroy(const void *config, void *state) {
    (void)config;
    close_idle(state);
    free(state);
}

static const struct kong_plugin plugin = {
    .name = "redis-rate-limit",
    .version = "0.1.0",
    .priority = 910, /* as Kong's rate-limiting: behind authentication */
    .schema = &schema,
    .handlers = {[KONG_PHASE_ACCESS] = limit},
    .configure = configure,
    .destroy = destroy,
};

KONG_MAIN(plugin)
