#include "prefetch.h"

#include <stdio.h>
#include <stdlib.h>

#include "phase.h"
#include "protobuf_rpc.h"

/* What is learned is looked at after so many events of a phase; the first time sooner. */
#define WINDOW       64u
#define FIRST_WINDOW 16u
#define CANDIDATES   16u
#define TEXT_MOST    64u /* bytes of an argument that is learned */

/* Getters that are asked for together: their frames, ready to be sent. */
struct batch {
    struct buffer frames;
    const struct pdk_method *methods[PREFETCH_MOST];
    struct kong_value args[PREFETCH_MOST]; /* nil: none */
    unsigned count;
};

struct candidate {
    const struct pdk_method *method; /* NULL: free */
    struct kong_value arg;
    char text[TEXT_MOST]; /* the bytes of `arg` */
    unsigned asked;       /* in so many events of the window */
    bool learned;
};

struct learned {
    struct candidate candidates[CANDIDATES];
    unsigned events; /* of the window */
    bool settled;    /* its first window is over */
    struct batch batch;
};

/* Of one plugin. */
struct ahead {
    struct batch declared[KONG_PHASE_COUNT];
    struct learned learned[KONG_PHASE_COUNT];
};

struct prefetch {
    bool declares, learns, old;
    size_t count;
    struct ahead plugins[]; /* by their index */
};

static struct ahead *ahead_of(struct prefetch *prefetch, const struct event *event) {
    return &prefetch->plugins[event->plugin->index];
}

/* --- batches --- */

static size_t arg_count(const struct kong_value *arg) {
    return arg->type == KONG_NIL ? 0 : 1;
}

static bool batch_add(struct batch *batch, const struct pdk_method *method,
                      const struct kong_value *arg) {
    if (batch->count == PREFETCH_MOST ||
        protobuf_encode_pdk_call(&batch->frames, method, arg, arg_count(arg)) != CODEC_OK) {
        return false;
    }
    batch->methods[batch->count] = method;
    batch->args[batch->count++] = *arg;
    return true;
}

static void batch_clear(struct batch *batch) {
    buffer_clear(&batch->frames, BUFFER_FREE);
    batch->count = 0;
}

/* They are not asked for after all. */
static void expect_none(struct event *event, uint32_t due) {
    for (uint16_t i = 0; i < event->answers.count; i++) {
        struct answer *answer = &event->answers.items[i];
        if (answer->state == ANSWER_DUE && answer->due >= due) {
            answer->state = ANSWER_STALE;
        }
    }
}

/* Places for all answers. */
static bool expect(const struct batch *batch, struct event *event, uint32_t due,
                   enum answer_from from) {
    for (unsigned i = 0; i < batch->count; i++) {
        struct answer *answer = answers_add(&event->answers, &event->arena, batch->methods[i],
                                            &batch->args[i], arg_count(&batch->args[i]));
        if (answer == NULL) {
            return false;
        }
        answer->state = ANSWER_DUE;
        answer->due = due + i;
        answer->from = (uint8_t)from;
    }
    return true;
}

static bool send_batch(const struct batch *batch, struct rpc *rpc, struct event *event,
                       enum answer_from from) {
    size_t before = rpc->out.len;
    bool good = expect(batch, event, rpc->calls_sent, from);
    if (good) {
        buffer_append(&rpc->out, batch->frames.data, batch->frames.len);
        good = !rpc->out.failed;
    }
    if (!good) {
        buffer_truncate(&rpc->out, before);
        expect_none(event, rpc->calls_sent);
        return false;
    }
    rpc->results_due += batch->count;
    rpc->calls_sent += batch->count;
    stats_count(&events_stats(rpc->env->events)->prefetched, batch->count);
    return true;
}

/* --- declared --- */

static struct kong_value arg_of(const struct kong_want *want, const struct pdk_method *method) {
    switch (method->args) {
    case PDK_ARGS_EMPTY:
        return kong_nil();
    case PDK_ARGS_INT:
        return kong_integer(want->number);
    case PDK_ARGS_BOOL:
        return kong_boolean(want->number != 0);
    default:
        return kong_string(want->text);
    }
}

/* Kong 2.8 raises on a map with a list in it, as of a header that comes twice. Such a getter is
 * left to the handler: the request of one that does not ask must not fail. */
static bool raises_on_repeated(const struct pdk_method *method, bool old) {
    return old && method->result == PDK_RESULT_STRUCT;
}

/* Whether Kong may raise for what is not known before the event. */
static bool is_conditional(const struct pdk_method *method, enum kong_phase phase) {
    return phase == KONG_PHASE_LOG && (method->flags & PDK_LOG_CONDITIONS) != 0;
}

/* NULL, or what is wrong with it. */
static const char *what_is_wrong(const struct kong_want *want, enum kong_phase phase, bool old) {
    const struct pdk_method *method = pdk_method_find(kong_str(want->function));
    if (method == NULL || method->reads == 0 || (method->flags & PDK_MSGPACK_ONLY) != 0) {
        return "it is no getter of ProtoBuf:1";
    }
    if (method == &pdk_methods[PDK_CLIENT_LOAD_CONSUMER] ||
        method == &pdk_methods[PDK_REQUEST_GET_QUERY_ARG]) {
        return "Kong raises an error on it for some requests";
    }
    if (method->args > PDK_ARGS_STRING) {
        return "it takes more than one argument";
    }
    if (method->args == PDK_ARGS_STRING && (want->text == NULL || want->text[0] == '\0')) {
        return "its argument, a text, is missing";
    }
    if (method->args == PDK_ARGS_INT && (want->number < 1 || want->number > 1000)) {
        return "its argument must be from 1 to 1000";
    }
    if ((pdk_phases(method, old, true) & KONG_PHASE_BIT(phase)) == 0) {
        return old ? "Kong 2.8 raises an error on it in this phase"
                   : "Kong raises an error on it in this phase";
    }
    return is_conditional(method, phase) ? "Kong raises an error on it for some requests in log"
                                         : NULL;
}

int prefetch_check(const struct kong_plugin *plugin, bool old, char *error, size_t error_size) {
    for (unsigned phase = 0; phase < KONG_PHASE_COUNT; phase++) {
        const struct kong_want *want = plugin->prefetch[phase];
        const char *name = kong_phase_name((enum kong_phase)phase);
        if (want != NULL && plugin->handlers[phase] == NULL) {
            snprintf(error, error_size, ".prefetch has a list for %s, which has no handler", name);
            return -1;
        }
        for (unsigned i = 0; want != NULL && want[i].function != NULL; i++) {
            const char *wrong = i == PREFETCH_MOST
                                    ? "it is one more than a phase may have (24)"
                                    : what_is_wrong(&want[i], (enum kong_phase)phase, old);
            if (wrong != NULL) {
                snprintf(error, error_size, ".prefetch of %s, %.100s: %s", name, want[i].function,
                         wrong);
                return -1;
            }
        }
    }
    return 0;
}

static bool declare(struct batch *batch, const struct kong_want *want, bool old) {
    for (; want != NULL && want->function != NULL; want++) {
        const struct pdk_method *method = pdk_method_find(kong_str(want->function));
        struct kong_value arg = arg_of(want, method);
        if (!raises_on_repeated(method, old) && !batch_add(batch, method, &arg)) {
            return false;
        }
    }
    return true;
}

bool prefetch_declares(const struct prefetch *prefetch) {
    return prefetch != NULL && prefetch->declares;
}

void prefetch_declared(struct prefetch *prefetch, struct rpc *rpc, struct event *event) {
    const struct batch *batch = &ahead_of(prefetch, event)->declared[event->phase];
    if (batch->count > 0) {
        send_batch(batch, rpc, event, ANSWER_DECLARED);
    }
}

/* --- learned --- */

static bool same(const struct kong_value *arg, const struct kong_value *args, size_t count) {
    if (count == 0 || arg->type != args->type) {
        return count == 0 && arg->type == KONG_NIL;
    }
    return arg->type == KONG_STRING ? kong_str_equal(arg->string, args->string)
                                    : arg->integer == args->integer;
}

/* Those of an event that had begun before they were learned: Kong would be asked again. */
static bool has_some(const struct batch *batch, const struct answers *answers) {
    for (unsigned i = 0; i < batch->count && answers->count > 0; i++) {
        if (answers_find(answers, batch->methods[i], &batch->args[i], arg_count(&batch->args[i])) !=
            NULL) {
            return true;
        }
    }
    return false;
}

bool prefetch_learned(struct prefetch *prefetch, struct rpc *rpc, struct event *event,
                      const struct pdk_method *method, const struct kong_value *args,
                      size_t count) {
    const struct batch *batch = &ahead_of(prefetch, event)->learned[event->phase].batch;
    for (unsigned i = 0; i < batch->count && count <= 1 && !event->asked_ahead; i++) {
        if (batch->methods[i] == method && same(&batch->args[i], args, count)) {
            uint32_t first = rpc->calls_sent;
            if (has_some(batch, &event->answers)) {
                return false;
            }
            event->asked_ahead = true;
            event->awaited = first + i;
            return send_batch(batch, rpc, event, ANSWER_LEARNED);
        }
    }
    return false;
}

static bool can_be_learned(const struct prefetch *prefetch, const struct answer *answer,
                           enum kong_phase phase) {
    const struct pdk_method *method = answer->method;
    bool text = answer->arg.type == KONG_STRING;
    return answer->early && answer->from != ANSWER_DECLARED && (method->flags & PDK_SAFE) != 0 &&
           !is_conditional(method, phase) && !raises_on_repeated(method, prefetch->old) &&
           (answer->arg.type == KONG_NIL || answer->arg.type == KONG_INTEGER ||
            (text && answer->arg.string.len <= TEXT_MOST));
}

static struct candidate *candidate_of(struct learned *learned, const struct answer *answer) {
    struct candidate *found = NULL;
    for (unsigned i = 0; i < CANDIDATES; i++) {
        struct candidate *candidate = &learned->candidates[i];
        if (candidate->method == NULL) {
            found = found == NULL ? candidate : found;
        } else if (candidate->method == answer->method &&
                   same(&candidate->arg, &answer->arg, arg_count(&answer->arg))) {
            return candidate;
        }
    }
    if (found != NULL) {
        *found = (struct candidate){.method = answer->method, .arg = answer->arg};
        if (answer->arg.type == KONG_STRING) {
            memcpy(found->text, answer->arg.string.data, answer->arg.string.len);
            found->arg.string.data = found->text;
        }
    }
    return found;
}

/* Nine of ten events, to begin; three of four, to go on. */
static bool is_worth_it(const struct candidate *candidate, unsigned events) {
    return candidate->asked * 100 >= events * (candidate->learned ? 75u : 90u);
}

/* What alone is left over saves nothing: it is asked for as it is. */
static void end_window(struct learned *learned) {
    bool changed = false;
    for (unsigned i = 0; i < CANDIDATES; i++) {
        struct candidate *candidate = &learned->candidates[i];
        bool worth = candidate->method != NULL && is_worth_it(candidate, learned->events);
        changed = changed || worth != candidate->learned;
        candidate->learned = worth;
        if (candidate->asked == 0) {
            candidate->method = NULL;
        }
        candidate->asked = 0;
    }
    learned->events = 0;
    learned->settled = true;
    if (!changed) {
        return;
    }
    batch_clear(&learned->batch);
    for (unsigned i = 0; i < CANDIDATES; i++) {
        const struct candidate *candidate = &learned->candidates[i];
        if (candidate->learned && !batch_add(&learned->batch, candidate->method, &candidate->arg)) {
            break;
        }
    }
    if (learned->batch.count == 1) {
        batch_clear(&learned->batch);
    }
}

void prefetch_learn(struct prefetch *prefetch, const struct event *event) {
    struct learned *learned = &ahead_of(prefetch, event)->learned[event->phase];
    if (!prefetch->learns) {
        return;
    }
    for (uint16_t i = 0; i < event->answers.count; i++) {
        const struct answer *answer = &event->answers.items[i];
        if (can_be_learned(prefetch, answer, event->phase)) {
            struct candidate *candidate = candidate_of(learned, answer);
            if (candidate != NULL) {
                candidate->asked++;
            }
        }
    }
    if (++learned->events >= (learned->settled ? WINDOW : FIRST_WINDOW)) {
        end_window(learned);
    }
}

/* --- All --- */

bool prefetch_create(const struct plugins *plugins, enum prefetch_mode mode, bool old,
                     struct prefetch **prefetch) {
    *prefetch = NULL;
    if (mode == PREFETCH_OFF) {
        return true;
    }
    struct prefetch *made = calloc(1, sizeof *made + plugins->count * sizeof made->plugins[0]);
    if (made == NULL) {
        return false;
    }
    made->learns = mode == PREFETCH_AUTO;
    made->old = old;
    made->count = plugins->count;
    bool good = true;
    for (size_t i = 0; i < plugins->count; i++) {
        struct ahead *ahead = &made->plugins[i];
        for (unsigned phase = 0; phase < KONG_PHASE_COUNT; phase++) {
            buffer_init(&ahead->declared[phase].frames, LIMIT_OUT);
            buffer_init(&ahead->learned[phase].batch.frames, LIMIT_OUT);
            good = good &&
                   declare(&ahead->declared[phase], plugins->list[i].what->prefetch[phase], old);
            made->declares = made->declares || ahead->declared[phase].count > 0;
        }
    }
    if (!good) {
        prefetch_destroy(made);
        return false;
    }
    *prefetch = made;
    return true;
}

void prefetch_destroy(struct prefetch *prefetch) {
    for (size_t i = 0; prefetch != NULL && i < prefetch->count; i++) {
        for (unsigned phase = 0; phase < KONG_PHASE_COUNT; phase++) {
            buffer_free(&prefetch->plugins[i].declared[phase].frames);
            buffer_free(&prefetch->plugins[i].learned[phase].batch.frames);
        }
    }
    free(prefetch);
}
