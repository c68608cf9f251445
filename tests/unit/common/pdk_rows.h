/* Every PDK function once: how a handler calls it, what then arrives at Kong, and what the handler
 * sees of an answer. */
#ifndef TESTS_UNIT_PDK_ROWS_H
#define TESTS_UNIT_PDK_ROWS_H

#include "pdk_bench.h"

struct pdk_row {
    enum pdk_id id;
    bench_handler *handler;
    const char *args;             /* as Kong gets them, JSON */
    const char *answer;           /* Kong's, JSON; NULL: the function is posted or terminal */
    const char *seen;             /* code and results for that answer */
    const char *zero;             /* the results of a failed call */
    const char *nil;              /* code and results when Kong answers nil; NULL: "ok " and zero */
    const char *args_protobuf;    /* where they differ */
    const char *answer_protobuf;  /* where it differs; what is seen is the same */
    enum pdk_id arrives_protobuf; /* what arrives, where it is another method; 0: the same */
};

extern const struct pdk_row pdk_rows[];
extern const size_t pdk_row_count;

#endif
