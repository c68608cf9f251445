#include "fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

#include "value.h"
#include "value_equal.h"

void fuzz_broken(const char *file, int line, const char *condition) {
    fprintf(stderr, "%s:%d: does not hold: %s\n", file, line, condition);
    abort();
}

/* Linked in place of the system's (--wrap): ids of instances and events are the same in each run,
 * so that an input means the same each time, and can name them. */
ssize_t __wrap_getrandom(void *buffer, size_t len, unsigned flags);
ssize_t __wrap_getrandom(void *buffer, size_t len, unsigned flags) {
    (void)flags;
    memset(buffer, 0, len);
    return (ssize_t)len;
}

uint8_t fuzz_byte(struct fuzz_input *input) {
    if (input->left == 0) {
        return 0;
    }
    input->left--;
    return *input->at++;
}

unsigned fuzz_u16(struct fuzz_input *input) {
    unsigned low = fuzz_byte(input);
    return low | (unsigned)fuzz_byte(input) << 8;
}

const uint8_t *fuzz_bytes(struct fuzz_input *input, size_t *len) {
    const uint8_t *bytes = input->at;
    if (*len > input->left) {
        *len = input->left;
    }
    input->at += *len;
    input->left -= *len;
    return bytes;
}

static volatile unsigned touched;

void fuzz_touch_str(struct kong_str string) {
    unsigned sum = 0;
    if (string.data == NULL) {
        REQUIRE(string.len == 0);
        return;
    }
    for (size_t i = 0; i < string.len; i++) {
        sum += (unsigned char)string.data[i];
    }
    touched = sum;
    REQUIRE(string.data[string.len] == '\0');
}

void fuzz_touch_value(const struct kong_value *value) {
    switch (value->type) {
    case KONG_STRING:
        REQUIRE(value->string.data != NULL);
        fuzz_touch_str(value->string);
        break;
    case KONG_LIST:
        for (size_t i = 0; i < value->list.count; i++) {
            fuzz_touch_value(&value->list.items[i]);
        }
        break;
    case KONG_MAP:
        for (size_t i = 0; i < value->map.count; i++) {
            REQUIRE(value->map.pairs[i].key.data != NULL);
            fuzz_touch_str(value->map.pairs[i].key);
            fuzz_touch_value(&value->map.pairs[i].value);
        }
        break;
    case KONG_NIL:
    case KONG_BOOLEAN:
    case KONG_INTEGER:
    case KONG_NUMBER:
        break;
    default:
        fuzz_broken(__FILE__, __LINE__, "a type that there is");
    }
}

bool fuzz_same_str(struct kong_str a, struct kong_str b) {
    return (a.data == NULL) == (b.data == NULL) && kong_str_equal(a, b);
}

bool fuzz_same_call(const struct rpc_call *a, const struct rpc_call *b) {
    return a->command == b->command && a->sequence == b->sequence &&
           a->notification == b->notification && fuzz_same_str(a->method, b->method) &&
           fuzz_same_str(a->name, b->name) && fuzz_same_str(a->config, b->config) &&
           a->instance_id == b->instance_id && fuzz_same_str(a->event, b->event) &&
           a->event_id == b->event_id && value_equal(&a->data, &b->data) &&
           fuzz_same_str(a->error, b->error);
}

static bool same_number(double a, double b) {
    struct kong_value left = kong_number(a);
    struct kong_value right = kong_number(b);
    return value_equal(&left, &right);
}

bool fuzz_same_instance(const struct rpc_instance *a, const struct rpc_instance *b) {
    return kong_str_equal(a->name, b->name) && a->id == b->id &&
           value_equal(&a->config, &b->config) && same_number(a->started_at, b->started_at);
}

bool fuzz_same_info(const struct rpc_plugin_info *a, const struct rpc_plugin_info *b) {
    if (!kong_str_equal(a->name, b->name) || !kong_str_equal(a->version, b->version) ||
        a->priority != b->priority || a->phase_count != b->phase_count ||
        !kong_str_equal(a->schema, b->schema) || a->updated_at != b->updated_at ||
        a->loaded_at != b->loaded_at) {
        return false;
    }
    for (size_t i = 0; i < a->phase_count; i++) {
        if (!kong_str_equal(a->phases[i], b->phases[i])) {
            return false;
        }
    }
    return true;
}
