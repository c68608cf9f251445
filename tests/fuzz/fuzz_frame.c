/* A stream cut into messages: however its bytes arrive, the messages are the same, and so is the
 * error that ends it. Input: a byte of options, one that says how to split, the stream. */
#include "fuzz.h"

#include <stdlib.h>

#include "frame.h"
#include "limit.h"
#include "msgpack_skip.h"

#define MOST       512
#define MOST_BYTES 1024

/* What became of a stream. */
struct outcome {
    size_t count;
    struct {
        size_t at, len, total;
    } messages[MOST];
    int rc;
    struct codec_reason reason;
    int skip_rc; /* of the message that is over a limit */
    size_t skip_total;
    uint64_t skip_event;
};

/* frame_next over exactly these bytes: a look behind them is seen. */
static int next(struct frame_reader *reader, const uint8_t *data, size_t len, size_t limit,
                struct frame *frame, size_t *missing, struct codec_reason *reason) {
    uint8_t *exact = malloc(len > 0 ? len : 1);
    REQUIRE(exact != NULL);
    if (len > 0) {
        memcpy(exact, data, len);
    }
    int rc = frame_next(reader, exact, len, limit, frame, missing, reason);
    if (rc == 1) {
        REQUIRE(frame->total >= frame->len && frame->total <= len);
        REQUIRE(frame->data >= exact && frame->data + frame->len == exact + frame->total);
    }
    free(exact);
    return rc;
}

/* What is over a limit is passed over, in pieces of `most`. */
static void skip(struct outcome *outcome, const uint8_t *data, size_t len, size_t most) {
    struct msgpack_skip skip = {0};
    while (outcome->skip_rc == 0 && outcome->skip_total < len) {
        size_t rest = len - outcome->skip_total;
        size_t used;
        outcome->skip_rc =
            msgpack_skip_take(&skip, data + outcome->skip_total, rest < most ? rest : most, &used);
        outcome->skip_total += used;
    }
    outcome->skip_event = skip.event_id;
}

/* As the bytes come: chunks of 1 to `most`, in an order that `seed` makes. */
static void run(enum protocol protocol, size_t limit, const uint8_t *data, size_t len, size_t most,
                uint32_t seed, struct outcome *outcome) {
    struct frame_reader reader;
    size_t at = 0;
    size_t here = 0;     /* so many bytes have come */
    size_t expected = 0; /* the message under way does not end before */
    frame_reader_init(&reader, protocol, limit);
    *outcome = (struct outcome){.count = 0};
    while (outcome->count < MOST) {
        struct frame frame;
        size_t missing = 0;
        outcome->rc =
            next(&reader, data + at, here - at, limit, &frame, &missing, &outcome->reason);
        if (outcome->rc < 0) {
            if (outcome->rc == CODEC_E_LIMIT && protocol == PROTOCOL_MSGPACK) {
                skip(outcome, data + at, len - at, most);
            }
            return;
        }
        if (outcome->rc == 1) {
            REQUIRE(at + frame.total >= expected);
            outcome->messages[outcome->count].at = at;
            outcome->messages[outcome->count].len = frame.len;
            outcome->messages[outcome->count++].total = frame.total;
            at += frame.total;
            expected = 0;
            continue;
        }
        REQUIRE(missing >= 1);
        expected = here + missing;
        if (here == len) {
            return;
        }
        seed = seed * 1664525u + 1013904223u;
        size_t step = 1 + (most > 1 ? (seed >> 8) % most : 0);
        here = step > len - here ? len : here + step;
    }
}

static void require_same(const struct outcome *a, const struct outcome *b) {
    REQUIRE(a->count == b->count && a->rc == b->rc && a->skip_rc == b->skip_rc);
    REQUIRE(a->skip_rc < 0 || (a->skip_total == b->skip_total && a->skip_event == b->skip_event));
    for (size_t i = 0; i < a->count; i++) {
        REQUIRE(a->messages[i].at == b->messages[i].at);
        REQUIRE(a->messages[i].len == b->messages[i].len);
        REQUIRE(a->messages[i].total == b->messages[i].total);
    }
    if (a->rc < 0) {
        REQUIRE(memchr(a->reason.text, '\0', sizeof a->reason.text) != NULL);
        REQUIRE(strcmp(a->reason.text, b->reason.text) == 0);
    }
}

static void try_detect(const uint8_t *data, size_t len) {
    enum protocol known = PROTOCOL_UNKNOWN;
    for (size_t i = 0; i <= len && i <= 8; i++) {
        enum protocol protocol = frame_detect(data, i);
        REQUIRE(known == PROTOCOL_UNKNOWN || protocol == known);
        REQUIRE(i < 4 || protocol != PROTOCOL_UNKNOWN);
        known = protocol;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len) {
    static struct outcome whole;
    static struct outcome parts;
    static const size_t limits[] = {64, 4096, LIMIT_FIRST_FRAME, LIMIT_FRAME};
    struct fuzz_input input = {data, len};
    unsigned options = fuzz_byte(&input);
    unsigned split = fuzz_byte(&input);
    enum protocol protocol = (options & 1) != 0 ? PROTOCOL_MSGPACK : PROTOCOL_PROTOBUF;
    size_t limit = limits[options >> 1 & 3];
    if (input.left > MOST_BYTES) {
        return 0;
    }
    try_detect(input.at, input.left);
    run(protocol, limit, input.at, input.left, input.left + 1, 0xffffffffu, &whole);
    run(protocol, limit, input.at, input.left, 1 + (split & 15), split, &parts);
    require_same(&whole, &parts);
    if (input.left <= MOST_BYTES / 4) {
        run(protocol, limit, input.at, input.left, 1, 0, &parts);
        require_same(&whole, &parts);
    }
    return 0;
}
