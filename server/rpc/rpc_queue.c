#include "rpc_queue.h"

#include <strings.h>

#include "value.h"

#define MERGE_MOST 64u

_Static_assert(sizeof(struct queued_call) % _Alignof(struct kong_value) == 0,
               "arguments stand right behind their call");

static bool same_header(struct kong_str a, struct kong_str b) {
    return a.len == b.len && strncasecmp(a.data, b.data, a.len) == 0;
}

bool rpc_queue_merge(struct event *event, const struct pdk_method *method,
                     const struct kong_value *args, size_t count) {
    struct queued_call *last = event->queue_tail;
    if (pdk_merged(method) == NULL || last == NULL || last->method != method || count != 2 ||
        args[0].type != KONG_STRING || args[1].type != KONG_STRING ||
        last->args[1].type != KONG_STRING || !pdk_is_plain_header(args[0].string) ||
        !pdk_is_plain_header(last->args[0].string)) {
        return false;
    }
    for (size_t i = 0; i < last->header_count; i++) {
        if (same_header(last->headers[i].key, args[0].string)) {
            struct kong_str value =
                arena_copy(&event->arena, args[1].string.data, args[1].string.len);
            if (value.data == NULL) {
                return false;
            }
            last->headers[i].value = kong_bytes(value.data, value.len);
            return true;
        }
    }
    if (last->header_count == last->header_room) {
        size_t room = last->header_room == 0 ? 4 : last->header_room * 2;
        struct kong_pair *headers = arena_array(&event->arena, room, sizeof *headers);
        if (headers == NULL || room > MERGE_MOST) {
            return false;
        }
        if (last->header_count == 0) {
            headers[0] = (struct kong_pair){last->args[0].string, last->args[1]};
            last->header_count = 1;
            if (same_header(headers[0].key, args[0].string)) {
                last->headers = headers;
                last->header_room = room;
                return rpc_queue_merge(event, method, args, count);
            }
        } else {
            memcpy(headers, last->headers, last->header_count * sizeof *headers);
        }
        last->headers = headers;
        last->header_room = room;
    }
    struct kong_str name = arena_copy(&event->arena, args[0].string.data, args[0].string.len);
    struct kong_str value = arena_copy(&event->arena, args[1].string.data, args[1].string.len);
    if (name.data == NULL || value.data == NULL) {
        return false;
    }
    last->headers[last->header_count++] =
        (struct kong_pair){name, kong_bytes(value.data, value.len)};
    return true;
}

int rpc_queue_add(struct event *event, const struct pdk_method *method, struct kong_str name,
                  const struct kong_value *args, size_t count, bool waits) {
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
    *call = (struct queued_call){
        .method = method, .name = name, .args = copies, .count = count, .waits = waits};
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
