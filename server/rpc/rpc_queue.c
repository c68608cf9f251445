#include "rpc_queue.h"

#include "value.h"

#define MERGE_MOST 64u

_Static_assert(sizeof(struct queued_call) % _Alignof(struct kong_value) == 0,
               "arguments stand right behind their call");

/* Room for one more header of the call; the first one is the call's own. */
static bool make_room(struct arena *arena, struct queued_call *call) {
    size_t room = call->header_room == 0 ? 4 : call->header_room * 2;
    if (call->header_count < call->header_room) {
        return true;
    }
    struct kong_pair *headers =
        room > MERGE_MOST ? NULL : arena_array(arena, room, sizeof *headers);
    if (headers == NULL) {
        return false;
    }
    if (call->header_count > 0) {
        memcpy(headers, call->headers, call->header_count * sizeof *headers);
    } else {
        headers[call->header_count++] = (struct kong_pair){call->args[0].string, call->args[1]};
    }
    call->headers = headers;
    call->header_room = room;
    return true;
}

bool rpc_queue_merge(struct event *event, const struct pdk_method *method,
                     const struct kong_value *args, size_t count) {
    struct queued_call *last = event->queue_tail;
    if (pdk_merged(method) == NULL || last == NULL || last->method != method || count != 2 ||
        last->count != 2 || args[0].type != KONG_STRING || args[1].type != KONG_STRING ||
        last->args[1].type != KONG_STRING || !pdk_is_plain_header(args[0].string) ||
        !pdk_is_plain_header(last->args[0].string) || !make_room(&event->arena, last)) {
        return false;
    }
    struct arena *arena = &event->arena;
    size_t at = 0;
    while (at < last->header_count && !pdk_same_header(last->headers[at].key, args[0].string)) {
        at++;
    }
    struct kong_str value = arena_copy(arena, args[1].string.data, args[1].string.len);
    struct kong_str name = at < last->header_count
                               ? last->headers[at].key
                               : arena_copy(arena, args[0].string.data, args[0].string.len);
    if (name.data == NULL || value.data == NULL) {
        return false;
    }
    last->headers[at] = (struct kong_pair){name, kong_bytes(value.data, value.len)};
    last->header_count += at == last->header_count;
    return true;
}

int rpc_queue_add(struct event *event, const struct pdk_method *method, struct kong_str name,
                  const struct kong_value *args, size_t count) {
    size_t size;
    if (__builtin_mul_overflow(count, sizeof(struct kong_value), &size) ||
        __builtin_add_overflow(size, sizeof(struct queued_call), &size)) {
        return KONG_E_NOMEM;
    }
    struct queued_call *call = arena_alloc(&event->arena, size);
    if (call == NULL) {
        return KONG_E_NOMEM;
    }
    struct kong_value *copies = (struct kong_value *)(call + 1); /* in the same piece */
    for (size_t i = 0; i < count; i++) {
        if (!value_copy(&event->arena, &args[i], &copies[i])) {
            return KONG_E_NOMEM;
        }
    }
    *call = (struct queued_call){.method = method, .name = name, .args = copies, .count = count};
    if (method == NULL) {
        call->name = arena_copy(&event->arena, name.data, name.len);
        if (call->name.data == NULL) {
            return KONG_E_NOMEM;
        }
    }
    if (event->queue_tail != NULL) {
        event->queue_tail->next = call;
    } else {
        event->queue_head = call;
    }
    event->queue_tail = call;
    event->queued++;
    return KONG_OK;
}

struct queued_call *rpc_queue_take(struct event *event) {
    struct queued_call *call = event->queue_head;
    if (call != NULL) {
        event->queue_head = call->next;
        if (event->queue_head == NULL) {
            event->queue_tail = NULL;
        }
        event->queued--;
    }
    return call;
}
