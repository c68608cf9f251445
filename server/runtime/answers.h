/* Kong's answers to the getters of one event: those that were used, so that one asked again costs
 * nothing, and those that were asked for before the handler did (prefetch.h). An answer is used
 * only while nothing that could change it was called after it was asked for: the columns `reads`
 * and `changes` of pdk_methods.def. In the event's arena, and gone with it. */
#ifndef SERVER_ANSWERS_H
#define SERVER_ANSWERS_H

#include "arena.h"
#include "pdk_methods.h"

/* More than so many are not kept: the next ones are asked for each time. */
#define ANSWERS_MOST 64u

enum answer_state {
    ANSWER_STALE, /* not to be used, or no more */
    ANSWER_DUE,   /* asked for, not here */
    ANSWER_HERE,
};

enum answer_from {
    ANSWER_ASKED,    /* the handler asked for it */
    ANSWER_DECLARED, /* the plugin's .prefetch did */
    ANSWER_LEARNED,
};

struct answer {
    const struct pdk_method *method;
    struct kong_value arg; /* nil: there is none */
    struct kong_value value;
    uint32_t due;  /* which of Kong's answers to this event it is, from 0; while ANSWER_DUE */
    uint8_t state; /* enum answer_state */
    uint8_t from;  /* enum answer_from */
    bool used;     /* the handler had it */
    bool early;    /* … and nothing had been called before that could have changed it */
};

struct answers {
    struct answer *items; /* in the event's arena */
    uint64_t methods;     /* a bit of answers_bit for each of them: most are asked for once */
    uint16_t count, room;
    uint8_t changed; /* enum pdk_of: all that was changed by this event */
    uint8_t reads;   /* … and all that its answers have depended on */
};

/* Several methods share one. */
static inline uint64_t answers_bit(const struct pdk_method *method) {
    return (uint64_t)1 << method->id % 64;
}

struct answer *answers_look_up(const struct answers *answers, const struct pdk_method *method,
                               const struct kong_value *args, size_t count);

/* The one that can be used, or NULL. */
static inline struct answer *answers_find(const struct answers *answers,
                                          const struct pdk_method *method,
                                          const struct kong_value *args, size_t count) {
    return (answers->methods & answers_bit(method)) == 0
               ? NULL
               : answers_look_up(answers, method, args, count);
}

/* A place for an answer: stale, until the caller says what it is. NULL: it is not one that is kept,
 * or there is no room. All others may move. */
struct answer *answers_add(struct answers *answers, struct arena *arena,
                           const struct pdk_method *method, const struct kong_value *args,
                           size_t count);

/* The one whose answer comes now; NULL: nobody wants it. */
struct answer *answers_due(const struct answers *answers, uint32_t due);

void answers_forget(struct answers *answers, uint8_t changes);

/* A call is about to be sent that may change so much. */
static inline void answers_change(struct answers *answers, uint8_t changes) {
    answers->changed |= changes;
    if ((answers->reads & changes) != 0) {
        answers_forget(answers, changes);
    }
}

#endif
