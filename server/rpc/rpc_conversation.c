#include "rpc_conversation.h"

#include <stdarg.h>
#include <stdio.h>

void rpc_enter(struct rpc *rpc, enum rpc_state state) {
    static const unsigned transitions[] = {
        [RPC_OPEN] = 1u << RPC_EXITED | 1u << RPC_ENDING | 1u << RPC_BROKEN | 1u << RPC_CLOSED,
        [RPC_EXITED] = 1u << RPC_EXITED | 1u << RPC_ENDING | 1u << RPC_BROKEN | 1u << RPC_CLOSED,
        [RPC_ENDING] = 1u << RPC_BROKEN | 1u << RPC_CLOSED,
        [RPC_BROKEN] = 1u << RPC_CLOSED,
        [RPC_CLOSED] = 0,
    };
    if ((transitions[rpc->state] & 1u << state) != 0) {
        rpc->state = state;
        rpc->state_ms = rpc->env->now_ms(rpc->env->clock);
    }
}

int rpc_fail(struct rpc *rpc, const char *format, ...) {
    va_list args;
    va_start(args, format);
    vsnprintf(rpc->reason, sizeof rpc->reason, format, args);
    va_end(args);
    rpc_enter(rpc, RPC_BROKEN);
    return -1;
}

int rpc_kong_error(int codec_error) {
    switch (codec_error) {
    case CODEC_OK:
        return KONG_OK;
    case CODEC_E_NOMEM:
        return KONG_E_NOMEM;
    default:
        return KONG_E_INVALID;
    }
}

void rpc_deliver_refused(struct rpc *rpc, struct event *event, int codec_error) {
    int error = codec_error == CODEC_E_LIMIT   ? KONG_E_TOO_BIG
                : codec_error == CODEC_E_NOMEM ? KONG_E_NOMEM
                                               : KONG_E_TYPE;
    const char *why = codec_error == CODEC_E_LIMIT && rpc->reason[0] != '\0'
                          ? rpc->reason
                          : codec_strerror(codec_error);
    stats_count(&events_stats(rpc->env->events)->limits[STATS_LIMIT_MESSAGE],
                codec_error == CODEC_E_LIMIT);
    event_deliver(event, error, kong_nil(), arena_printf(&event->arena, "Kong's answer: %s", why));
}

void rpc_complain(const struct rpc_env *env, enum log_level level, const char *format, ...) {
    uint64_t silenced = 0;
    char text[512];
    if (env->complaints != NULL &&
        !throttle_due(env->complaints, env->now_ms(env->clock), &silenced)) {
        return;
    }
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (silenced == 0) {
        log_write(env->log, level, "%s", text);
    } else {
        log_write(env->log, level, "%s (and %llu lines like this before)", text,
                  (unsigned long long)silenced);
    }
}

void rpc_wake(struct rpc *rpc) {
    if (!rpc->feeding) {
        rpc->wake(rpc);
    }
}

const char *rpc_error_text(struct rpc *rpc, const char *name, const char *text) {
    struct kong_str whole =
        arena_printf(rpc->env->scratch, "%s%s%s", name, name[0] != '\0' ? ": " : "", text);
    if (whole.data == NULL) {
        return "no memory";
    }
    char *writable = (char *)(uintptr_t)whole.data;
    char *found;
    while ((found = strcasestr(writable, RPC_NO_INSTANCE)) != NULL) {
        found[strlen("no")] = '_';
    }
    return whole.data;
}
