#include "answers.h"

#include "value.h"

#define FIRST_ROOM 8u

/* Kong looks a header up whatever its case is. */
static bool takes_header(const struct pdk_method *method) {
    return method == &pdk_methods[PDK_REQUEST_GET_HEADER] ||
           method == &pdk_methods[PDK_RESPONSE_GET_HEADER] ||
           method == &pdk_methods[PDK_SERVICE_RESPONSE_GET_HEADER];
}

static bool same_arg(const struct answer *answer, const struct kong_value *args, size_t count) {
    const struct kong_value *arg = &answer->arg;
    if (count == 0 || arg->type != args->type) {
        return count == 0 && arg->type == KONG_NIL;
    }
    switch (arg->type) {
    case KONG_STRING:
        return kong_str_equal(arg->string, args->string) ||
               (takes_header(answer->method) && pdk_same_header(arg->string, args->string));
    case KONG_INTEGER:
        return arg->integer == args->integer;
    case KONG_BOOLEAN:
        return arg->boolean == args->boolean;
    default:
        return false;
    }
}

struct answer *answers_look_up(const struct answers *answers, const struct pdk_method *method,
                               const struct kong_value *args, size_t count) {
    struct answer *end = answers->items + answers->count;
    for (struct answer *answer = answers->items; answer < end && count <= 1; answer++) {
        if (answer->method == method && answer->state != ANSWER_STALE &&
            same_arg(answer, args, count)) {
            return answer;
        }
    }
    return NULL;
}

static bool make_room(struct answers *answers, struct arena *arena) {
    uint16_t room = (uint16_t)(answers->room == 0 ? FIRST_ROOM : answers->room * 2u);
    if (room > ANSWERS_MOST) {
        return false;
    }
    struct answer *items = arena_array(arena, room, sizeof *items);
    if (items == NULL) {
        return false;
    }
    if (answers->count > 0) {
        memcpy(items, answers->items, answers->count * sizeof *items);
    }
    answers->items = items;
    answers->room = room;
    return true;
}

/* At the limit, instead of one that is not used any more. */
static struct answer *take_place(struct answers *answers, struct arena *arena) {
    if (answers->count < answers->room || make_room(answers, arena)) {
        return &answers->items[answers->count++];
    }
    for (uint16_t i = 0; i < answers->count; i++) {
        if (answers->items[i].state == ANSWER_STALE) {
            return &answers->items[i];
        }
    }
    return NULL;
}

struct answer *answers_add(struct answers *answers, struct arena *arena,
                           const struct pdk_method *method, const struct kong_value *args,
                           size_t count) {
    struct kong_value arg = count == 0 ? kong_nil() : args[0];
    bool simple = count == 0 || arg.type == KONG_STRING || arg.type == KONG_INTEGER ||
                  arg.type == KONG_BOOLEAN;
    if (count > 1 || !simple) {
        return NULL;
    }
    if (arg.type == KONG_STRING) {
        arg.string = arena_copy(arena, arg.string.data, arg.string.len);
        if (arg.string.data == NULL) {
            return NULL;
        }
    }
    struct answer *answer = take_place(answers, arena);
    if (answer != NULL) {
        answers->methods |= answers_bit(method);
        answers->reads |= method->reads;
        *answer = (struct answer){.method = method, .arg = arg, .state = ANSWER_STALE};
    }
    return answer;
}

struct answer *answers_due(const struct answers *answers, uint32_t due) {
    for (uint16_t i = 0; i < answers->count; i++) {
        if (answers->items[i].state == ANSWER_DUE && answers->items[i].due == due) {
            return &answers->items[i];
        }
    }
    return NULL;
}

void answers_forget(struct answers *answers, uint8_t changes) {
    for (uint16_t i = 0; i < answers->count; i++) {
        if ((answers->items[i].method->reads & changes) != 0) {
            answers->items[i].state = ANSWER_STALE;
        }
    }
}
