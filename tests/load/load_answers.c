#include <stdio.h>
#include <stdlib.h>

#include "../bench/wire.h"
#include "limit.h"
#include "load_kong.h"

#define ENTRIES      8192u /* a power of two */
#define ENTRIES_MOST (ENTRIES / 4 * 3)
#define METHODS      256u
/* A function that was called in so many ways and always got one answer gets it again, unasked: a
 * header that is set to another value each time. */
#define SAME_ENOUGH 64u

struct entry {
    uint8_t *call; /* owned, with the answer's bytes behind it; NULL: free */
    size_t len;
    struct answer answer;
};

struct method {
    char name[80];
    size_t seen; /* different calls */
    bool varies; /* their answers differ */
    const struct entry *first;
};

struct answers {
    enum protocol protocol;
    struct oracle *oracle;
    struct entry *entries;
    size_t used;
    struct method methods[METHODS];
    size_t method_count;
    struct buffer last; /* an answer that found no place */
    struct answer last_answer;
    size_t asked;
};

struct answers *answers_create(enum protocol protocol, const struct load_request *request,
                               enum kong_phase phase) {
    struct answers *answers = calloc(1, sizeof *answers);
    if (answers == NULL) {
        return NULL;
    }
    answers->protocol = protocol;
    buffer_init(&answers->last, LIMIT_OUT);
    answers->entries = calloc(ENTRIES, sizeof *answers->entries);
    answers->oracle = oracle_create(protocol, request, phase);
    if (answers->entries == NULL || answers->oracle == NULL) {
        answers_destroy(answers);
        return NULL;
    }
    return answers;
}

void answers_destroy(struct answers *answers) {
    if (answers == NULL) {
        return;
    }
    for (size_t i = 0; answers->entries != NULL && i < ENTRIES; i++) {
        free(answers->entries[i].call);
    }
    free(answers->entries);
    oracle_destroy(answers->oracle);
    buffer_free(&answers->last);
    free(answers);
}

size_t answers_asked(const struct answers *answers) {
    return answers->asked;
}

/* FNV-1a. Where that call is, or would be. */
static struct entry *find(const struct answers *answers, const uint8_t *call, size_t len) {
    uint64_t hash = 14695981039346656037u;
    for (size_t i = 0; i < len; i++) {
        hash = (hash ^ call[i]) * 1099511628211u;
    }
    for (size_t at = (size_t)(hash ^ hash >> 32);; at++) {
        struct entry *entry = &answers->entries[at & (ENTRIES - 1)];
        if (entry->call == NULL || (entry->len == len && memcmp(entry->call, call, len) == 0)) {
            return entry;
        }
    }
}

/* Of the function that a call names; NULL: it names none, or there are too many. */
static struct method *find_method(struct answers *answers, const uint8_t *call, size_t len) {
    const char *name = NULL;
    size_t name_len = 0;
    if (answers->protocol == PROTOCOL_PROTOBUF && len > 4) {
        name = (const char *)call + 4;
        name_len = (size_t)call[0] | (size_t)call[1] << 8;
        name_len = name_len > len - 4 ? 0 : name_len;
    } else if (answers->protocol == PROTOCOL_MSGPACK) {
        const uint8_t *behind;
        const uint8_t *value = mp_map_get(call, call + len, "Method");
        name_len = value != NULL && mp_get_string(value, call + len, &name, &name_len, &behind)
                       ? name_len
                       : 0;
    }
    if (name_len == 0 || name_len >= sizeof answers->methods[0].name) {
        return NULL;
    }
    for (size_t i = 0; i < answers->method_count; i++) {
        struct method *method = &answers->methods[i];
        if (strlen(method->name) == name_len && memcmp(method->name, name, name_len) == 0) {
            return method;
        }
    }
    if (answers->method_count == METHODS) {
        return NULL;
    }
    struct method *method = &answers->methods[answers->method_count++];
    memcpy(method->name, name, name_len);
    return method;
}

/* A Step is `[0, msgid, method, [{EventId: …, Data: …}]]`: cut around its two numbers. */
static bool cut_step(const uint8_t *step, size_t len, struct answer *answer) {
    static const uint8_t key[] = {0xa7, 'E', 'v', 'e', 'n', 't', 'I', 'd'};
    const uint8_t *end = step + len;
    const uint8_t *from;
    const uint8_t *tail;
    uint64_t number;
    if (len < 3 || step[0] != 0x94 || step[1] != 0 || !mp_get_uint(step + 2, end, &number, &from)) {
        return false;
    }
    const uint8_t *id = memmem(from, (size_t)(end - from), key, sizeof key);
    if (id == NULL || !mp_get_uint(id + sizeof key, end, &number, &tail)) {
        return false;
    }
    *answer = (struct answer){.data = from,
                              .len = (size_t)(id - from) + sizeof key,
                              .tail = tail,
                              .tail_len = (size_t)(end - tail)};
    return true;
}

static bool cut(const struct answers *answers, const uint8_t *data, size_t len,
                struct answer *answer) {
    *answer = (struct answer){.data = data, .len = len, .exits = len == 0};
    return len == 0 || answers->protocol == PROTOCOL_PROTOBUF || cut_step(data, len, answer);
}

static bool equal(const struct answer *a, const struct answer *b) {
    return a->exits == b->exits && a->len == b->len && a->tail_len == b->tail_len &&
           memcmp(a->data, b->data, a->len) == 0 &&
           (a->tail_len == 0 || memcmp(a->tail, b->tail, a->tail_len) == 0);
}

bool answers_learn(struct answers *answers, const uint8_t *call, size_t len, const uint8_t *answer,
                   size_t answer_len) {
    struct entry *entry = find(answers, call, len);
    struct method *method = find_method(answers, call, len);
    if (entry->call != NULL || answers->used >= ENTRIES_MOST || method == NULL) {
        return false;
    }
    uint8_t *bytes = malloc(len + answer_len + 1);
    if (bytes == NULL) {
        return false;
    }
    memcpy(bytes, call, len);
    if (answer_len > 0) {
        memcpy(bytes + len, answer, answer_len);
    }
    if (!cut(answers, bytes + len, answer_len, &entry->answer)) {
        free(bytes);
        return false;
    }
    entry->call = bytes;
    entry->len = len;
    answers->used++;
    method->first = method->first == NULL ? entry : method->first;
    method->varies = method->varies || !equal(&method->first->answer, &entry->answer);
    method->seen++;
    return true;
}

const struct answer *answers_get(struct answers *answers, const uint8_t *call, size_t len,
                                 char *error, size_t error_size) {
    struct entry *entry = find(answers, call, len);
    if (entry->call != NULL) {
        return &entry->answer;
    }
    const struct method *method = find_method(answers, call, len);
    if (method != NULL && method->seen >= SAME_ENOUGH && !method->varies) {
        return &method->first->answer;
    }
    buffer_clear(&answers->last, LIMIT_FRAME);
    answers->asked++;
    if (oracle_ask(answers->oracle, call, len, &answers->last, error, error_size) ==
        ORACLE_FAILED) {
        return NULL;
    }
    if (answers_learn(answers, call, len, answers->last.data, answers->last.len)) {
        return &find(answers, call, len)->answer;
    }
    if (!cut(answers, answers->last.data, answers->last.len, &answers->last_answer)) {
        snprintf(error, error_size, "a Step of the simulated Kong that cannot be cut");
        return NULL;
    }
    return &answers->last_answer;
}
