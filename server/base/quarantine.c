#include "quarantine.h"

#include <string.h>

/* Whether Kong tells the id of a request in this phase. */
static bool can_ask(int32_t phase) {
    return phase == KONG_PHASE_REWRITE || phase == KONG_PHASE_ACCESS ||
           phase == KONG_PHASE_RESPONSE;
}

static uint64_t handler_end(const struct quarantine_handler *handler) {
    return handler->watched_until > handler->refused_until ? handler->watched_until
                                                           : handler->refused_until;
}

static struct quarantine_handler *find_handler(struct quarantine *quarantine, uint64_t config,
                                               int32_t phase) {
    for (uint32_t i = 0; i < quarantine->handler_count; i++) {
        struct quarantine_handler *handler = &quarantine->handlers[i];
        if (handler->config == config && handler->phase == phase) {
            return handler;
        }
    }
    return NULL;
}

static struct quarantine_request *find_request(struct quarantine *quarantine,
                                               const struct quarantine_crash *crash) {
    for (uint32_t i = 0; i < quarantine->request_count; i++) {
        struct quarantine_request *request = &quarantine->requests[i];
        if (request->config == crash->config && request->phase == crash->phase &&
            strcmp(request->id, crash->request) == 0) {
            return request;
        }
    }
    return NULL;
}

/* A free place, or that of the entry that expires first. */
static struct quarantine_handler *handler_place(struct quarantine *quarantine, uint64_t now_ms,
                                                bool *crowded) {
    struct quarantine_handler *first = &quarantine->handlers[0];
    if (quarantine->handler_count < QUARANTINE_HANDLERS) {
        return &quarantine->handlers[quarantine->handler_count++];
    }
    for (uint32_t i = 1; i < quarantine->handler_count; i++) {
        if (handler_end(&quarantine->handlers[i]) < handler_end(first)) {
            first = &quarantine->handlers[i];
        }
    }
    *crowded = handler_end(first) > now_ms;
    return first;
}

static struct quarantine_request *request_place(struct quarantine *quarantine) {
    struct quarantine_request *first = &quarantine->requests[0];
    if (quarantine->request_count < QUARANTINE_REQUESTS) {
        return &quarantine->requests[quarantine->request_count++];
    }
    for (uint32_t i = 1; i < quarantine->request_count; i++) {
        if (quarantine->requests[i].until < first->until) {
            first = &quarantine->requests[i];
        }
    }
    return first;
}

static uint64_t watch_ms(const struct quarantine *quarantine) {
    return quarantine->watch_ms > QUARANTINE_WATCH_MS ? quarantine->watch_ms : QUARANTINE_WATCH_MS;
}

/* True: it is refused from now on. */
static bool add_request(struct quarantine *quarantine, const struct quarantine_crash *crash,
                        uint64_t now_ms) {
    struct quarantine_request *request = find_request(quarantine, crash);
    if (request == NULL) {
        request = request_place(quarantine);
        *request = (struct quarantine_request){.config = crash->config, .phase = crash->phase};
        memcpy(request->id, crash->request, sizeof request->id);
    }
    request->crashes++;
    request->refused = request->refused || crash->certain || request->crashes >= 2;
    request->until = now_ms + QUARANTINE_MS + watch_ms(quarantine);
    return request->refused;
}

static void count_burst(struct quarantine_handler *handler, uint64_t now_ms) {
    if (now_ms - handler->burst_since >= QUARANTINE_WATCH_MS) {
        handler->burst_since = now_ms;
        handler->burst_crashes = 0;
    }
    handler->burst_crashes++;
}

/* Why all its events are refused, and not this crash's request alone. */
static bool is_hopeless(const struct quarantine_handler *handler, bool request_known) {
    bool indistinct = handler->own_crashes >= 2 && !request_known;
    bool deadly = handler->crashes >= QUARANTINE_CRASHES && atomic_load(&handler->survived) == 0;
    return indistinct || deadly || handler->burst_crashes >= QUARANTINE_MOST_CRASHES;
}

/* For how long. */
static uint64_t refuse(struct quarantine_handler *handler) {
    uint32_t doublings =
        handler->quarantines < QUARANTINE_DOUBLINGS ? handler->quarantines : QUARANTINE_DOUBLINGS;
    handler->quarantines++;
    return (uint64_t)QUARANTINE_MS << doublings;
}

void quarantine_prune(struct quarantine *quarantine, uint64_t now_ms) {
    uint32_t kept = 0;
    for (uint32_t i = 0; i < quarantine->handler_count; i++) {
        if (handler_end(&quarantine->handlers[i]) > now_ms) {
            memmove(&quarantine->handlers[kept++], &quarantine->handlers[i],
                    sizeof *quarantine->handlers);
        }
    }
    quarantine->handler_count = kept;
    kept = 0;
    for (uint32_t i = 0; i < quarantine->request_count; i++) {
        if (quarantine->requests[i].until > now_ms) {
            memmove(&quarantine->requests[kept++], &quarantine->requests[i],
                    sizeof *quarantine->requests);
        }
    }
    quarantine->request_count = kept;
}

struct quarantine_effect quarantine_add(struct quarantine *quarantine,
                                        const struct quarantine_crash *crash, uint64_t now_ms) {
    struct quarantine_effect effect = {.request_refused = false};
    quarantine_prune(quarantine, now_ms); /* what is over does not count for this crash */
    struct quarantine_handler *handler = find_handler(quarantine, crash->config, crash->phase);
    if (handler == NULL) {
        handler = handler_place(quarantine, now_ms, &effect.crowded);
        *handler = (struct quarantine_handler){
            .config = crash->config, .phase = crash->phase, .burst_since = now_ms};
    }
    handler->crashes++;
    handler->own_crashes += crash->certain;
    count_burst(handler, now_ms);
    handler->watched_until = now_ms + watch_ms(quarantine);
    bool known = crash->request[0] != '\0';
    if (known) {
        effect.request_refused = add_request(quarantine, crash, now_ms);
    }
    if (is_hopeless(handler, known)) {
        effect.handler_refused_ms = refuse(handler);
        handler->refused_until = now_ms + effect.handler_refused_ms;
        handler->watched_until = handler->refused_until + watch_ms(quarantine);
    }
    return effect;
}

/* Both are in the same order: the copy was made of this one, which has not changed since. */
void quarantine_collect(struct quarantine *quarantine, const struct quarantine *copy) {
    for (uint32_t i = 0; i < quarantine->handler_count; i++) {
        atomic_store(&quarantine->handlers[i].survived, atomic_load(&copy->handlers[i].survived));
    }
}

enum quarantine_verdict quarantine_judge(struct quarantine *quarantine, uint64_t config,
                                         int32_t phase, uint64_t now_ms,
                                         struct quarantine_handler **handler) {
    struct quarantine_handler *found = find_handler(quarantine, config, phase);
    *handler = NULL;
    if (found == NULL || handler_end(found) <= now_ms) {
        return QUARANTINE_FREE;
    }
    *handler = found;
    if (found->refused_until > now_ms) {
        return QUARANTINE_REFUSE;
    }
    return can_ask(phase) ? QUARANTINE_WATCH : QUARANTINE_FREE;
}

bool quarantine_has_request(const struct quarantine *quarantine,
                            const struct quarantine_handler *handler, const char *id,
                            uint64_t now_ms) {
    for (uint32_t i = 0; i < quarantine->request_count; i++) {
        const struct quarantine_request *request = &quarantine->requests[i];
        if (request->refused && request->until > now_ms && request->config == handler->config &&
            request->phase == handler->phase &&
            strncmp(request->id, id, sizeof request->id - 1) == 0) {
            return true;
        }
    }
    return false;
}

bool quarantine_active(const struct quarantine *quarantine, uint64_t now_ms) {
    for (uint32_t i = 0; i < quarantine->handler_count; i++) {
        if (handler_end(&quarantine->handlers[i]) > now_ms) {
            return true;
        }
    }
    return false;
}
