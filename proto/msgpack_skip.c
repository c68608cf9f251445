#include "msgpack_skip.h"

#include <string.h>

/* What the next value is that is looked at: [0, msgid, method, [{key: value, …}, …]], or
 * [2, method, …]. */
enum state {
    STATE_MESSAGE,
    STATE_TYPE,
    STATE_MSGID,
    STATE_METHOD,
    STATE_ARGUMENTS,
    STATE_ARGUMENT,
    STATE_KEY,
    STATE_VALUE,
    STATE_REST,
};

enum { MESSAGE_REQUEST = 0, MESSAGE_NOTIFICATION = 2 };

/* Counting them never overflows. */
#define LEFT_MOST ((uint64_t)1 << 62)

static bool is_container(const struct msgpack_head *head) {
    return head->kind == MSGPACK_LIST || head->kind == MSGPACK_MAP;
}

/* Nobody looks at this value. */
static int pass_over(struct msgpack_skip *skip, const struct msgpack_head *head, enum state next) {
    skip->inside = msgpack_head_children(head);
    skip->state = next;
    return CODEC_OK;
}

static void look_at_text(struct msgpack_skip *skip) {
    skip->is_text = true;
    skip->text_len = 0;
}

static int take_type(struct msgpack_skip *skip, const struct msgpack_head *head) {
    int64_t type;
    if (!msgpack_head_to_integer(head, &type)) {
        return CODEC_E_SHAPE;
    }
    /* the values behind the type are all that `left` counts now */
    if (type == MESSAGE_REQUEST && skip->left == 3) {
        skip->state = STATE_MSGID;
        return CODEC_OK;
    }
    skip->sequence = -1;
    skip->state = STATE_METHOD;
    return type == MESSAGE_NOTIFICATION && skip->left == 2 ? CODEC_OK : CODEC_E_SHAPE;
}

static int take_msgid(struct msgpack_skip *skip, const struct msgpack_head *head) {
    skip->state = STATE_METHOD;
    bool known = msgpack_head_to_integer(head, &skip->sequence);
    return known && skip->sequence >= 0 && skip->sequence <= UINT32_MAX ? CODEC_OK : CODEC_E_SHAPE;
}

/* The argument itself, in a list or not. */
static int take_argument(struct msgpack_skip *skip, const struct msgpack_head *head) {
    if (head->kind != MSGPACK_MAP || head->count == 0) {
        return pass_over(skip, head, STATE_REST);
    }
    skip->pairs = head->count;
    skip->state = STATE_KEY;
    return CODEC_OK;
}

static int take_arguments(struct msgpack_skip *skip, const struct msgpack_head *head) {
    if (head->kind == MSGPACK_LIST && head->count > 0) {
        skip->state = STATE_ARGUMENT;
        return CODEC_OK;
    }
    if (head->kind == MSGPACK_MAP && skip->sequence < 0) {
        return take_argument(skip, head);
    }
    return pass_over(skip, head, STATE_REST);
}

static int take_key(struct msgpack_skip *skip, const struct msgpack_head *head) {
    if (head->kind == MSGPACK_STRING) {
        look_at_text(skip);
    }
    skip->is_event_id = false;
    return pass_over(skip, head, STATE_VALUE);
}

static int take_value(struct msgpack_skip *skip, const struct msgpack_head *head) {
    if (skip->is_event_id) {
        skip->has_event_id = msgpack_head_to_uint(head, &skip->event_id);
    }
    skip->pairs--;
    return pass_over(skip, head, skip->pairs > 0 ? STATE_KEY : STATE_REST);
}

static int take_in_state(struct msgpack_skip *skip, const struct msgpack_head *head) {
    switch (skip->state) {
    case STATE_MESSAGE:
        skip->state = STATE_TYPE;
        return head->kind == MSGPACK_LIST && head->count > 0 ? CODEC_OK : CODEC_E_SHAPE;
    case STATE_TYPE:
        return take_type(skip, head);
    case STATE_MSGID:
        return take_msgid(skip, head);
    case STATE_METHOD:
        look_at_text(skip);
        skip->state = STATE_ARGUMENTS;
        return head->kind == MSGPACK_STRING && head->count <= MSGPACK_SKIP_TEXT ? CODEC_OK
                                                                                : CODEC_E_SHAPE;
    case STATE_ARGUMENTS:
        return take_arguments(skip, head);
    case STATE_ARGUMENT:
        return take_argument(skip, head);
    case STATE_KEY:
        return take_key(skip, head);
    case STATE_VALUE:
        return take_value(skip, head);
    default:
        return pass_over(skip, head, STATE_REST);
    }
}

static int take_head(struct msgpack_skip *skip, const struct msgpack_head *head) {
    if (!skip->started) {
        skip->started = true;
        skip->left = 1;
    }
    skip->left += msgpack_head_children(head) - 1;
    if (skip->left > LEFT_MOST) {
        return CODEC_E_LIMIT;
    }
    skip->body = is_container(head) ? 0 : head->count;
    skip->is_text = false;
    if (skip->inside > 0) {
        skip->inside += msgpack_head_children(head) - 1;
        return CODEC_OK;
    }
    return take_in_state(skip, head);
}

/* The part of a text that counts is there. */
static int take_text(struct msgpack_skip *skip) {
    static const char step[] = "plugin.Step";
    static const char event_id[] = "EventId";
    skip->is_text = false;
    if (skip->state == STATE_ARGUMENTS) {
        bool is_step =
            skip->text_len >= sizeof step - 1 && memcmp(skip->text, step, sizeof step - 1) == 0;
        return is_step ? CODEC_OK : CODEC_E_SHAPE;
    }
    skip->is_event_id = skip->text_len == sizeof event_id - 1 &&
                        memcmp(skip->text, event_id, sizeof event_id - 1) == 0;
    return CODEC_OK;
}

/* Takes the part of the body that is there; returns its length. */
static size_t take_body(struct msgpack_skip *skip, const uint8_t *data, size_t len) {
    size_t size = skip->body < len ? (size_t)skip->body : len;
    if (skip->is_text && size > 0) {
        size_t room = MSGPACK_SKIP_TEXT - (size_t)skip->text_len;
        size_t kept = size < room ? size : room;
        memcpy(skip->text + skip->text_len, data, kept);
        skip->text_len = (uint8_t)(skip->text_len + kept);
    }
    skip->body -= size;
    return size;
}

/* One head, or a part of one. 0, or CODEC_E_*. */
static int next_head(struct msgpack_skip *skip, const uint8_t *data, size_t len, size_t *size) {
    struct msgpack_head head;
    size_t more = sizeof skip->head - skip->head_len;
    size_t before = skip->head_len;
    more = more < len ? more : len;
    memcpy(skip->head + before, data, more);
    int whole = msgpack_head_read(skip->head, before + more, &head);
    if (whole < 0) {
        return CODEC_E_MALFORMED;
    }
    *size = whole > 0 ? head.size - before : more;
    if (whole == 0) {
        skip->head_len = (uint8_t)(before + more);
        return 0;
    }
    skip->head_len = 0;
    return take_head(skip, &head);
}

int msgpack_skip_take(struct msgpack_skip *skip, const uint8_t *data, size_t len, size_t *used) {
    size_t at = 0;
    *used = len;
    for (;;) {
        if (skip->body > 0) {
            at += take_body(skip, data + at, len - at);
            if (skip->body > 0) {
                return 0;
            }
        }
        if (skip->is_text) {
            int error = take_text(skip);
            if (error < 0) {
                return error;
            }
        }
        if (skip->started && skip->left == 0 && skip->head_len == 0) {
            *used = at;
            return 1;
        }
        if (at == len) {
            return 0;
        }
        size_t size = 0;
        int rc = next_head(skip, data + at, len - at, &size);
        if (rc < 0) {
            return rc;
        }
        at += size;
    }
}
