/* What the fuzzers share. Each tests/fuzz/fuzz_X.c is one libFuzzer target: linked with libFuzzer
 * it searches, linked with replay.c it runs the files that it is given. */
#ifndef TESTS_FUZZ_H
#define TESTS_FUZZ_H

#include "rpc_message.h"

/* Libfuzzer's entry: always 0. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* What must hold whatever the input is; kept with NDEBUG, ends the process so that the fuzzer sees
 * it. */
#define REQUIRE(condition) ((condition) ? (void)0 : fuzz_broken(__FILE__, __LINE__, #condition))
_Noreturn void fuzz_broken(const char *file, int line, const char *condition);

/* The input, taken from its start; zeros and nothing where it has ended. */
struct fuzz_input {
    const uint8_t *at;
    size_t left;
};

uint8_t fuzz_byte(struct fuzz_input *input);
unsigned fuzz_u16(struct fuzz_input *input);
/* At most len bytes; *len says how many. */
const uint8_t *fuzz_bytes(struct fuzz_input *input, size_t *len);

/* Reads every byte that a value or a string points to, and the NUL behind each string: the
 * sanitizers see what does not belong to it. */
void fuzz_touch_str(struct kong_str string);
void fuzz_touch_value(const struct kong_value *value);

/* The same content, nil told apart from "" … */
bool fuzz_same_str(struct kong_str a, struct kong_str b);
bool fuzz_same_call(const struct rpc_call *a, const struct rpc_call *b);
/* … and not told apart: a text that was missing is written as "". */
bool fuzz_same_instance(const struct rpc_instance *a, const struct rpc_instance *b);
bool fuzz_same_info(const struct rpc_plugin_info *a, const struct rpc_plugin_info *b);

#endif
