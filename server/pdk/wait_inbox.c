/* How other threads reach handlers that are parked on a loop. The loop has a handle for this only
 * while a handler may be reached, so that it can end without handlers. */
#include "wait.h"

#include <stdlib.h>

struct inbox {
    uv_async_t async;
    size_t users; /* handlers that may be reached */
    pthread_mutex_t lock;
    struct inbox_message *first, *last; /* under the lock */
};

static void take_out(struct inbox *inbox, struct inbox_message *message) {
    *(message->prev != NULL ? &message->prev->next : &inbox->first) = message->next;
    *(message->next != NULL ? &message->next->prev : &inbox->last) = message->prev;
    message->posted = false;
}

static struct inbox_message *take_first(struct inbox *inbox) {
    pthread_mutex_lock(&inbox->lock);
    struct inbox_message *message = inbox->first;
    if (message != NULL) {
        take_out(inbox, message);
    }
    pthread_mutex_unlock(&inbox->lock);
    return message;
}

/* Delivery never resumes a handler directly, so the inbox stays until its handle is closed. */
static void on_posted(uv_async_t *async) {
    struct inbox *inbox = (struct inbox *)((char *)async - offsetof(struct inbox, async));
    struct inbox_message *message;
    while ((message = take_first(inbox)) != NULL) {
        message->deliver(message);
    }
}

/* Sent under the lock: when the receiver has taken the message out, the sender no longer uses the
 * handle.
 */
void inbox_post(struct inbox *inbox, struct inbox_message *message) {
    pthread_mutex_lock(&inbox->lock);
    message->next = NULL;
    message->prev = inbox->last;
    message->posted = true;
    *(inbox->last != NULL ? &inbox->last->next : &inbox->first) = message;
    inbox->last = message;
    uv_async_send(&inbox->async);
    pthread_mutex_unlock(&inbox->lock);
}

struct inbox *inbox_enter(struct wait *wait) {
    void **slot = events_inbox(wait->event->events);
    if (*slot == NULL) {
        struct inbox *inbox = calloc(1, sizeof *inbox);
        int rc = inbox == NULL ? UV_ENOMEM : uv_async_init(wait->loop, &inbox->async, on_posted);
        if (rc != 0) {
            free(inbox);
            wait_fail(wait, rc);
            return NULL;
        }
        pthread_mutex_init(&inbox->lock, NULL); /* default attributes: cannot fail on Linux */
        *slot = inbox;
    }
    struct inbox *inbox = *slot;
    inbox->users++;
    return inbox;
}

static void on_closed(uv_handle_t *handle) {
    struct wait *wait = handle->data;
    struct inbox *inbox = (struct inbox *)((char *)handle - offsetof(struct inbox, async));
    pthread_mutex_destroy(&inbox->lock);
    free(inbox);
    wait_closed(wait);
}

void inbox_leave(struct wait *wait, struct inbox *inbox, struct inbox_message *message) {
    pthread_mutex_lock(&inbox->lock);
    if (message->posted) {
        take_out(inbox, message);
    }
    pthread_mutex_unlock(&inbox->lock);
    if (--inbox->users == 0) {
        *events_inbox(wait->event->events) = NULL;
        wait_close(wait, (uv_handle_t *)&inbox->async, on_closed);
    }
}
