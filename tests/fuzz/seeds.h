/* Between the two halves of the maker of seeds. */
#ifndef TESTS_FUZZ_SEEDS_H
#define TESTS_FUZZ_SEEDS_H

#include <stddef.h>

/* One input, in two parts; ends the program when it can't be written. */
void seed_write(const char *fuzzer, const void *head, size_t head_len, const void *data,
                size_t len);

/* Those that no recording has. */
void seeds_by_hand(void);

#endif
