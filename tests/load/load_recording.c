/* What Kong answered in a recording (tests/traces/README.md has its form). */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "../bench/wire.h"
#include "frame.h"
#include "limit.h"
#include "load_kong.h"
#include "protobuf_rpc.h"

enum { FROM_KONG, FROM_SERVER };

struct side {
    struct buffer in;
    struct frame_reader reader;
};

/* A connection of the recording. */
struct talk {
    struct talk *next;
    long number;
    enum protocol protocol; /* PROTOCOL_UNKNOWN: nothing was said yet */
    struct side sides[2];
    bool in_event, ended; /* ProtoBuf:1: an event is under way; its empty frame was there */
    struct buffer half;   /* ProtoBuf:1: a method's frame, whose arguments come next */
};

/* A call that Kong has not answered yet. */
struct open_call {
    struct open_call *next;
    const struct talk *talk; /* ProtoBuf:1 */
    uint64_t event;          /* MsgPack:1 */
    size_t len;
    uint8_t bytes[];
};

struct recording {
    struct answers *answers;
    enum protocol protocol;
    struct talk *talks;
    struct open_call *calls; /* the oldest first */
    size_t learned;
    bool no_memory;
};

static void free_talk(struct talk *talk) {
    buffer_free(&talk->sides[0].in);
    buffer_free(&talk->sides[1].in);
    buffer_free(&talk->half);
    free(talk);
}

static struct talk *find_talk(struct recording *recording, long number) {
    struct talk *talk = recording->talks;
    while (talk != NULL && talk->number != number) {
        talk = talk->next;
    }
    if (talk == NULL && (talk = calloc(1, sizeof *talk)) != NULL) {
        talk->number = number;
        talk->next = recording->talks;
        recording->talks = talk;
        buffer_init(&talk->sides[0].in, LIMIT_OUT);
        buffer_init(&talk->sides[1].in, LIMIT_OUT);
        buffer_init(&talk->half, LIMIT_OUT);
    }
    return talk;
}

static void forget_talk(struct recording *recording, long number) {
    for (struct talk **at = &recording->talks; *at != NULL; at = &(*at)->next) {
        if ((*at)->number == number) {
            struct talk *talk = *at;
            *at = talk->next;
            free_talk(talk);
            return;
        }
    }
}

static void note_call(struct recording *recording, const struct talk *talk, uint64_t event,
                      const uint8_t *bytes, size_t len) {
    struct open_call **last = &recording->calls;
    struct open_call *call = malloc(sizeof *call + len);
    if (call == NULL) {
        recording->no_memory = true;
        return;
    }
    *call = (struct open_call){.talk = talk, .event = event, .len = len};
    memcpy(call->bytes, bytes, len);
    while (*last != NULL) {
        last = &(*last)->next;
    }
    *last = call;
}

/* Whether a call was open, which is answered with this. */
static bool note_answer(struct recording *recording, const struct talk *talk, uint64_t event,
                        const uint8_t *answer, size_t len) {
    for (struct open_call **at = &recording->calls; *at != NULL; at = &(*at)->next) {
        struct open_call *call = *at;
        if (call->talk == talk && call->event == event) {
            recording->learned +=
                answers_learn(recording->answers, call->bytes, call->len, answer, len);
            *at = call->next;
            free(call);
            return true;
        }
    }
    return false;
}

/* --- ProtoBuf:1 --- */

static void pb_from_kong(struct recording *recording, struct talk *talk,
                         const struct frame *frame) {
    struct arena arena;
    struct rpc_call call;
    if (note_answer(recording, talk, 0, frame->data - 4, frame->total)) {
        return;
    }
    arena_init(&arena, LIMIT_EVENT_MEMORY);
    talk->in_event = protobuf_decode_call(&arena, frame->data, frame->len, &call) == CODEC_OK &&
                     call.command == RPC_HANDLE_EVENT;
    talk->ended = false;
    arena_free(&arena);
}

static void pb_from_server(struct recording *recording, struct talk *talk,
                           const struct frame *frame) {
    struct buffer *half = &talk->half;
    if (!talk->in_event) {
        return;
    }
    if (half->len > 0) {
        buffer_append(half, frame->data - 4, frame->total);
        if (!half->failed) {
            note_call(recording, talk, 0, half->data, half->len);
        }
        buffer_clear(half, LIMIT_FRAME);
    } else if (talk->ended) {
        talk->in_event = false;
    } else if (frame->len == 0) {
        talk->ended = true;
    } else if (pdk_method_find((struct kong_str){(const char *)frame->data, frame->len}) == NULL) {
        talk->in_event = false; /* how a server says an error: Kong answers nothing */
    } else {
        buffer_append(half, frame->data - 4, frame->total);
    }
}

/* --- MsgPack:1 --- */

static void mp_from_kong(struct recording *recording, const struct frame *frame) {
    static const uint8_t key[] = {0xa7, 'E', 'v', 'e', 'n', 't', 'I', 'd'};
    const uint8_t *end = frame->data + frame->len;
    const uint8_t *at = memmem(frame->data, frame->len, key, sizeof key);
    const uint8_t *behind;
    uint64_t event;
    if (frame->data[0] == 0x94 && at != NULL &&
        mp_get_uint(at + sizeof key, end, &event, &behind)) {
        note_answer(recording, NULL, event, frame->data, frame->len);
    }
}

static void mp_from_server(struct recording *recording, const struct frame *frame) {
    const uint8_t *end = frame->data + frame->len;
    const uint8_t *at;
    uint64_t number;
    bool malformed;
    if (frame->len < 4 || frame->data[0] != 0x94 || frame->data[1] != 1 ||
        !mp_get_uint(frame->data + 2, end, &number, &at) || at == end || *at != 0xc0) {
        return;
    }
    const uint8_t *event = mp_map_get(at + 1, end, "EventId");
    const uint8_t *data = mp_map_get(at + 1, end, "Data");
    const uint8_t *behind = data == NULL ? NULL : mp_skip(data, end, &malformed);
    if (event != NULL && behind != NULL && mp_map_get(data, end, "Method") != NULL &&
        mp_get_uint(event, end, &number, &at)) {
        note_call(recording, NULL, number, data, (size_t)(behind - data));
    }
}

/* --- Lines --- */

static void take_frames(struct recording *recording, struct talk *talk, int whose) {
    struct side *side = &talk->sides[whose];
    struct codec_reason reason;
    struct frame frame;
    size_t missing;
    while (frame_next(&side->reader, side->in.data, side->in.len, LIMIT_OUT, &frame, &missing,
                      &reason) == 1) {
        if (talk->protocol == PROTOCOL_PROTOBUF) {
            (whose == FROM_KONG ? pb_from_kong : pb_from_server)(recording, talk, &frame);
        } else {
            (whose == FROM_KONG ? mp_from_kong : mp_from_server)(recording, &frame);
        }
        buffer_consume(&side->in, frame.total);
    }
}

static int hex_digit(char c) {
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static void take_bytes(struct recording *recording, long number, int whose, const char *hex) {
    struct talk *talk = find_talk(recording, number);
    if (talk == NULL) {
        recording->no_memory = true;
        return;
    }
    struct buffer *in = &talk->sides[whose].in;
    for (; hex_digit(hex[0]) >= 0 && hex_digit(hex[1]) >= 0; hex += 2) {
        buffer_append_byte(in, (uint8_t)(hex_digit(hex[0]) * 16 + hex_digit(hex[1])));
    }
    recording->no_memory = recording->no_memory || in->failed;
    if (talk->protocol == PROTOCOL_UNKNOWN && whose == FROM_KONG) {
        talk->protocol = frame_detect(in->data, in->len);
        frame_reader_init(&talk->sides[0].reader, talk->protocol, LIMIT_OUT);
        frame_reader_init(&talk->sides[1].reader, talk->protocol, LIMIT_OUT);
    }
    if (talk->protocol == recording->protocol) {
        take_frames(recording, talk, FROM_KONG);
        take_frames(recording, talk, FROM_SERVER);
    }
}

/* "N > hex", "N < hex", "N close"; other lines say nothing here. */
static void take_line(struct recording *recording, const char *line) {
    char *rest;
    long number = strtol(line, &rest, 10);
    if (rest == line || *rest != ' ') {
        return;
    }
    if (strncmp(rest, " > ", 3) == 0 || strncmp(rest, " < ", 3) == 0) {
        take_bytes(recording, number, rest[1] == '>' ? FROM_KONG : FROM_SERVER, rest + 3);
    } else if (strncmp(rest, " close", 6) == 0 || strncmp(rest, " open", 5) == 0) {
        forget_talk(recording, number);
    }
}

int answers_read_recording(struct answers *answers, enum protocol protocol, const char *path,
                           size_t *count, char *error, size_t error_size) {
    struct recording recording = {.answers = answers, .protocol = protocol};
    FILE *file = fopen(path, "re");
    char *line = NULL;
    size_t size = 0;
    if (file == NULL) {
        snprintf(error, error_size, "cannot read %.200s: %s", path, strerror(errno));
        return -1;
    }
    while (!recording.no_memory && getline(&line, &size, file) > 0) {
        take_line(&recording, line);
    }
    free(line);
    fclose(file);
    while (recording.talks != NULL) {
        forget_talk(&recording, recording.talks->number);
    }
    while (recording.calls != NULL) {
        struct open_call *call = recording.calls;
        recording.calls = call->next;
        free(call);
    }
    *count = recording.learned;
    snprintf(error, error_size, "not enough memory for %.200s", path);
    return recording.no_memory ? -1 : 0;
}
