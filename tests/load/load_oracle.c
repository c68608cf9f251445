#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../bench/wire.h"
#include "frame.h"
#include "limit.h"
#include "load_kong.h"
#include "sim_client.h"

#define DAY_MS 86400000
/* What an event's calls leave behind in the simulated Kong is thrown away from time to time. */
#define ASKED_MOST 1000

struct oracle {
    enum protocol protocol;
    const struct load_request *request;
    enum kong_phase phase;
    struct sim_pdk *pdk;
    struct sim_client *client; /* NULL: no event is under way */
    int ours, theirs;          /* the two ends of its connection; -1: closed, or given away */
    pthread_t thread;
    struct sim_event event;
    struct buffer in;
    size_t taken; /* of `in`: the message given last */
    struct frame_reader reader;
    uint64_t msgid; /* MsgPack:1: Kong's, which waits for an answer */
    size_t asked;
};

bool load_request_prepare(struct sim_pdk *pdk, const struct load_request *request,
                          enum kong_phase phase) {
    bool ok = sim_pdk_reset(pdk) && sim_pdk_set_request(pdk, request->method, request->path);
    for (size_t i = 0; ok && i < request->header_count; i++) {
        const char *line = request->headers[i];
        const char *colon = strchr(line, ':');
        char *name = colon == NULL ? NULL : strndup(line, (size_t)(colon - line));
        ok = name != NULL &&
             sim_pdk_add_request_header(pdk, name, colon + 1 + strspn(colon + 1, " "));
        free(name);
    }
    if (ok && request->body != NULL) {
        ok = sim_pdk_set_request_body(pdk, request->body, strlen(request->body));
    }
    if (ok && phase >= KONG_PHASE_ACCESS && phase != KONG_PHASE_PREREAD) {
        ok = sim_pdk_route(pdk);
    }
    if (ok && (phase == KONG_PHASE_RESPONSE || phase == KONG_PHASE_HEADER_FILTER ||
               phase == KONG_PHASE_LOG)) {
        pdk->service.status = 200;
        pdk->service.body = kong_str("");
        pdk->upstream.buffered = phase == KONG_PHASE_RESPONSE;
        ok = sim_pdk_upstream_answered(pdk, phase == KONG_PHASE_RESPONSE);
    }
    return ok && sim_pdk_set_phase(pdk, phase);
}

struct oracle *oracle_create(enum protocol protocol, const struct load_request *request,
                             enum kong_phase phase) {
    struct oracle *oracle = calloc(1, sizeof *oracle);
    if (oracle == NULL) {
        return NULL;
    }
    oracle->protocol = protocol;
    oracle->request = request;
    oracle->phase = phase;
    oracle->ours = oracle->theirs = -1;
    buffer_init(&oracle->in, LIMIT_OUT);
    oracle->pdk = sim_pdk_create();
    if (oracle->pdk == NULL) {
        oracle_destroy(oracle);
        return NULL;
    }
    return oracle;
}

static int take_end(void *ctx) {
    struct oracle *oracle = ctx;
    int fd = oracle->theirs;
    oracle->theirs = -1;
    return fd;
}

static void *run(void *arg) {
    struct oracle *oracle = arg;
    sim_client_event(oracle->client, 1, kong_phase_name(oracle->phase), &oracle->event);
    sim_client_drop(oracle->client); /* which is how the other side hears that it is over */
    return NULL;
}

static void end(struct oracle *oracle) {
    if (oracle->client == NULL) {
        return;
    }
    shutdown(oracle->ours, SHUT_RDWR);
    pthread_join(oracle->thread, NULL);
    sim_client_destroy(oracle->client);
    oracle->client = NULL;
    close(oracle->ours);
    oracle->ours = -1;
    oracle->asked = 0;
    buffer_clear(&oracle->in, LIMIT_FRAME);
    oracle->taken = 0;
}

void oracle_destroy(struct oracle *oracle) {
    if (oracle == NULL) {
        return;
    }
    end(oracle);
    sim_pdk_destroy(oracle->pdk);
    buffer_free(&oracle->in);
    free(oracle);
}

/* The next message of Kong's. False: the event is over. */
static bool next_message(struct oracle *oracle, struct frame *frame) {
    struct codec_reason reason;
    size_t missing;
    int result;
    buffer_consume(&oracle->in, oracle->taken);
    oracle->taken = 0;
    while ((result = frame_next(&oracle->reader, oracle->in.data, oracle->in.len, LIMIT_OUT, frame,
                                &missing, &reason)) == 0) {
        if (!buffer_reserve(&oracle->in, 65536)) {
            return false;
        }
        ssize_t got = recv(oracle->ours, oracle->in.data + oracle->in.len, 65536, 0);
        if (got <= 0) {
            return false;
        }
        oracle->in.len += (size_t)got;
    }
    oracle->taken = result == 1 ? frame->total : 0;
    return result == 1;
}

/* What Kong sends: of MsgPack:1 its number is kept. */
static bool next_request(struct oracle *oracle, struct frame *frame) {
    const uint8_t *behind;
    return next_message(oracle, frame) &&
           (oracle->protocol == PROTOCOL_PROTOBUF ||
            (frame->len > 2 &&
             mp_get_uint(frame->data + 2, frame->data + frame->len, &oracle->msgid, &behind)));
}

static bool begin(struct oracle *oracle) {
    int ends[2];
    struct frame frame;
    struct sim_client_options options = {.protocol = oracle->protocol,
                                         .connect = take_end,
                                         .connect_ctx = oracle,
                                         .pdk = sim_pdk_call,
                                         .pdk_ctx = oracle->pdk,
                                         .timeout_ms = DAY_MS};
    if (!load_request_prepare(oracle->pdk, oracle->request, oracle->phase) ||
        socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) {
        return false;
    }
    oracle->pdk->protobuf = oracle->protocol == PROTOCOL_PROTOBUF;
    oracle->ours = ends[0];
    oracle->theirs = ends[1];
    frame_reader_init(&oracle->reader, oracle->protocol, LIMIT_OUT);
    oracle->client = sim_client_create(&options);
    if (oracle->client == NULL || pthread_create(&oracle->thread, NULL, run, oracle) != 0) {
        sim_client_destroy(oracle->client);
        oracle->client = NULL;
        close(ends[0]);
        close(ends[1]);
        return false;
    }
    return next_request(oracle, &frame); /* it wants an event handled */
}

static bool send_bytes(int fd, const void *data, size_t len) {
    const uint8_t *at = data;
    while (len > 0) {
        ssize_t sent = send(fd, at, len, MSG_NOSIGNAL);
        if (sent <= 0) {
            return false;
        }
        at += sent;
        len -= (size_t)sent;
    }
    return true;
}

/* `[1, msgid, nil, {EventId: 1, Data: …}]` up to where Data's value stands. */
static bool send_head(const struct oracle *oracle) {
    static const uint8_t tail[] = {0xc0, 0x82, 0xa7, 'E',  'v', 'e', 'n', 't',
                                   'I',  'd',  1,    0xa4, 'D', 'a', 't', 'a'};
    uint8_t head[] = {0x94,
                      0x01,
                      0xce,
                      (uint8_t)(oracle->msgid >> 24),
                      (uint8_t)(oracle->msgid >> 16),
                      (uint8_t)(oracle->msgid >> 8),
                      (uint8_t)oracle->msgid};
    return oracle->protocol == PROTOCOL_PROTOBUF || (send_bytes(oracle->ours, head, sizeof head) &&
                                                     send_bytes(oracle->ours, tail, sizeof tail));
}

static enum oracle_outcome is_over(struct oracle *oracle, char *error, size_t error_size) {
    end(oracle);
    snprintf(error, error_size, "Kong would end the request: %.200s", oracle->event.text);
    return oracle->event.outcome == SIM_EVENT_EXITED ? ORACLE_EXIT : ORACLE_FAILED;
}

enum oracle_outcome oracle_ask(struct oracle *oracle, const uint8_t *call, size_t len,
                               struct buffer *answer, char *error, size_t error_size) {
    struct frame frame;
    if (oracle->asked >= ASKED_MOST) {
        end(oracle);
    }
    if (oracle->client == NULL && !begin(oracle)) {
        end(oracle);
        snprintf(error, error_size, "the simulated Kong does not start");
        return ORACLE_FAILED;
    }
    oracle->asked++;
    if (!send_head(oracle) || !send_bytes(oracle->ours, call, len) ||
        !next_request(oracle, &frame)) {
        return is_over(oracle, error, error_size);
    }
    if (oracle->protocol == PROTOCOL_PROTOBUF) {
        buffer_append(answer, frame.data - 4, frame.total);
    } else {
        buffer_append(answer, frame.data, frame.len);
    }
    if (answer->failed) {
        snprintf(error, error_size, "not enough memory for an answer of Kong");
    }
    return answer->failed ? ORACLE_FAILED : ORACLE_ANSWER;
}
