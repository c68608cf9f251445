/* The Kong of a load test: the kit's, asked once for each call that a plugin makes; after that the
 * same call has the same answer, from memory, or out of a recording of a real Kong. One thread. */
#ifndef LOAD_KONG_H
#define LOAD_KONG_H

#include "buffer.h"
#include "kong_phase.h"
#include "protocol.h"
#include "sim_pdk.h"

/* What each event is about. */
struct load_request {
    const char *method, *path;
    const char *const *headers; /* "Name: value" */
    size_t header_count;
    const char *body;
};

/* A request in this phase. False when out of memory, or for a request that cannot be. */
bool load_request_prepare(struct sim_pdk *pdk, const struct load_request *request,
                          enum kong_phase phase);

/* --- The kit's Kong in a thread of its own, which takes bytes and gives bytes --- */

struct oracle;

enum oracle_outcome {
    ORACLE_ANSWER,
    ORACLE_EXIT,   /* the call ends the request: Kong answers nothing */
    ORACLE_FAILED, /* Kong would raise an error, or it is no call */
};

struct oracle *oracle_create(enum protocol protocol, const struct load_request *request,
                             enum kong_phase phase);
void oracle_destroy(struct oracle *oracle); /* NULL is allowed */

/* A whole call as the server sends it (ProtoBuf:1: its two frames; MsgPack:1: the value of Data),
 * and what Kong sends then (a frame; the request of a Step), appended to *answer. */
enum oracle_outcome oracle_ask(struct oracle *oracle, const uint8_t *call, size_t len,
                               struct buffer *answer, char *error, size_t error_size);

/* --- Answers, from memory if they are there --- */

struct answer {
    bool exits;
    const uint8_t *data; /* ProtoBuf:1: a frame. MsgPack:1: a Step behind its message id and in
                            front of the event's id … */
    size_t len;
    const uint8_t *tail; /* … and what is behind that */
    size_t tail_len;
};

struct answers;

struct answers *answers_create(enum protocol protocol, const struct load_request *request,
                               enum kong_phase phase);
void answers_destroy(struct answers *answers); /* NULL is allowed */

/* The answer to a call; it lives until the next one is asked for. NULL, with a line in `error`:
 * Kong would raise an error, or the bytes are no call. */
const struct answer *answers_get(struct answers *answers, const uint8_t *call, size_t len,
                                 char *error, size_t error_size);

/* An answer that Kong gave once, as oracle_ask has them. False: it is none, or there is no room. */
bool answers_learn(struct answers *answers, const uint8_t *call, size_t len, const uint8_t *answer,
                   size_t answer_len);

/* Learns from a file that a server's --record has written. *count: so many answers to different
 * calls. -1 with a line in `error`. */
int answers_read_recording(struct answers *answers, enum protocol protocol, const char *path,
                           size_t *count, char *error, size_t error_size);

/* How many calls were answered so far by the kit's Kong itself, which takes longer. */
size_t answers_asked(const struct answers *answers);

#endif
