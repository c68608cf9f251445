/* Fibers that park and are resumed, for the tests of their stacks. Include behind <cmocka.h>. */
#ifndef TESTS_UNIT_FIBER_PLAYER_H
#define TESTS_UNIT_FIBER_PLAYER_H

#include "fiber.h"

#define STACK ((size_t)256 << 10)

struct player {
    struct fiber_pool *pool;
    unsigned rounds;
    unsigned done;
    uintptr_t stack; /* an address on the fiber's stack */
    bool intact;
};

static inline void count_rounds(void *arg) {
    struct player *player = arg;

    player->stack = (uintptr_t)__builtin_frame_address(0);
    while (player->done < player->rounds) {
        player->done++;
        fiber_park(fiber_current(player->pool));
    }
}

/* One that has begun, and is resumed once. */
static inline struct fiber *parked(struct fiber_pool *pool, struct player *player) {
    bool finished;

    *player = (struct player){.pool = pool, .rounds = 1};
    return fiber_start(pool, count_rounds, player, &finished);
}

#endif
