#include "rpc_queue.h"

#include "value.h"

#define MERGE_MOST 64u

/* A header call that can be merged. */
static bool is_header(const struct kong_value *args, size_t count) {
    return count == 2 && args[0].type == KONG_STRING && args[1].type == KONG_STRING &&
           pdk_is_plain_header(args[0].string);
}

/* Room for one more header. The call becomes set_headers; the first header is its own. */
static bool make_room(struct arena *arena, struct queued_call *call) {
    struct merged_headers *old = call->merged;
    if (old != NULL && old->map.map.count < old->room) {
        return true;
    }
    size_t count = old == NULL ? 1 : old->map.map.count;
    size_t room = old == NULL ? 4 : old->room * 2;
    struct merged_headers *merged =
        room > MERGE_MOST ? NULL
                          : arena_alloc(arena, sizeof *merged + room * sizeof *merged->headers);
    if (merged == NULL) {
        return false;
    }
    if (old != NULL) {
        memcpy(merged->headers, old->headers, count * sizeof *merged->headers);
    } else {
        merged->headers[0] = (struct kong_pair){call->args[0].string, call->args[1]};
    }
    merged->map = kong_map(merged->headers, count);
    merged->room = room;
    call->merged = merged;
    call->name = pdk_merged(call->method)->name;
    call->args = &merged->map;
    call->count = 1;
    return true;
}

bool rpc_queue_merge(struct event *event, const struct pdk_method *method,
                     const struct kong_value *args, size_t count) {
    struct queued_call *last = event->queue_tail;
    struct arena *arena = &event->arena;
    if (last == NULL || last->method != method || pdk_merged(method) == NULL ||
        !is_header(args, count) || (last->merged == NULL && !is_header(last->args, last->count)) ||
        !make_room(arena, last)) {
        return false;
    }
    struct kong_pair *header = last->merged->headers;
    struct kong_pair *end = header + last->merged->map.map.count;
    while (header < end && !pdk_same_header(header->key, args[0].string)) {
        header++;
    }
    struct kong_str value = arena_copy(arena, args[1].string.data, args[1].string.len);
    struct kong_str name =
        header < end ? header->key : arena_copy(arena, args[0].string.data, args[0].string.len);
    if (name.data == NULL || value.data == NULL) {
        return false;
    }
    *header = (struct kong_pair){name, kong_bytes(value.data, value.len)};
    last->merged->map.map.count += header == end;
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
    for (size_t i = 0; i < count; i++) {
        if (!value_copy(&event->arena, &args[i], &call->copies[i])) {
            return KONG_E_NOMEM;
        }
    }
    *call =
        (struct queued_call){.method = method, .name = name, .args = call->copies, .count = count};
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
