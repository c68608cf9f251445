/* What a handler under measurement is expected to do: its PDK calls, and Kong's answers to them. */
#ifndef BENCH_SCRIPT_H
#define BENCH_SCRIPT_H

#include "wire.h"

#define SCRIPT_PHASE     "access"
#define SCRIPT_MAX_CALLS 16

/* Either a getter with Kong's answer, or a setter of one response header. */
struct script_call {
    const char *method;
    const char *argument; /* getters: their string argument, or NULL */
    const char *answer;   /* getters: Kong's answer; NULL: this is a setter */
    const char *header;
    const char *value;
};

struct script {
    const char *name;
    size_t count;
    struct script_call calls[SCRIPT_MAX_CALLS];
};

/* "nothing", "set-header" (what api-version does with its default configuration), or "getters"
 * (five getters, then five setters that carry what those gave), "ten-getters" (and one setter),
 * "body" (of 8 KiB, and one setter). NULL when there is none of that
 * name. */
const struct script *script_find(const char *name);

/* One call as a server sends it, and what goes back. */
struct canned_call {
    struct wire
        sent; /* ProtoBuf:1: method frame and argument frame. MsgPack:1: the value of Data */
    struct wire answer; /* ProtoBuf:1: a whole frame. MsgPack:1: an encoded value, empty for nil */
    bool is_getter;
};

struct canned {
    enum wire_protocol protocol;
    size_t count;
    struct canned_call calls[SCRIPT_MAX_CALLS];
};

/* Appends the encoded arguments of `count` calls: 1, or neighbouring setters as one set_headers. */
void script_arguments(struct wire *wire, enum wire_protocol protocol,
                      const struct script_call *calls, size_t count);
/* Appends Kong's answer, as in struct canned_call. */
void script_answer(struct wire *wire, enum wire_protocol protocol, const struct script_call *call);

/* The script as a server sends it: neighbouring setters as one set_headers. */
void script_canned(const struct script *script, enum wire_protocol protocol, struct canned *canned);

#endif
