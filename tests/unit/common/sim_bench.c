#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include "sim_bench.h"

int sim_bench_setup(void **state) {
    struct sim_bench *bench = calloc(1, sizeof *bench);
    assert_non_null(bench);
    arena_init(&bench->arena, (size_t)16 << 20);
    bench->pdk = sim_pdk_create();
    assert_non_null(bench->pdk);
    *state = bench;
    return 0;
}

int sim_bench_teardown(void **state) {
    struct sim_bench *bench = *state;
    sim_pdk_destroy(bench->pdk);
    arena_free(&bench->arena);
    free(bench);
    return 0;
}

int sim_call(struct sim_bench *bench, const char *name, const char *args) {
    struct kong_value list;
    assert_true(json_to_value(&bench->arena, kong_str(args), &list));
    return sim_pdk_call(bench->pdk, NULL, kong_str(name), list.list.items, list.list.count,
                        &bench->arena, &bench->result);
}

const char *sim_json_of(struct sim_bench *bench) {
    struct kong_str text = json_from_value(&bench->arena, &bench->result);
    assert_non_null(text.data);
    return text.data;
}
