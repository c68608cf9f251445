/* Lua patterns: any pattern over any subject ends, inside its bounds. Input: the pattern's length,
 * the pattern, the subject. */
#include "fuzz.h"

#include <stdlib.h>

#include "lua_pattern.h"

/* Exactly these bytes on the heap. */
static char *exact(const uint8_t *data, size_t len) {
    char *copy = malloc(len > 0 ? len : 1);
    REQUIRE(copy != NULL);
    if (len > 0) {
        memcpy(copy, data, len);
    }
    return copy;
}

static void look_at(const struct lua_pattern_match *match, size_t len) {
    REQUIRE(match->start <= match->end && match->end <= len);
    REQUIRE(match->capture_count <= LUA_PATTERN_CAPTURES);
    for (size_t i = 0; i < match->capture_count; i++) {
        REQUIRE(match->captures[i].start <= len);
        REQUIRE(match->captures[i].len <= len - match->captures[i].start);
        REQUIRE(!match->captures[i].position || match->captures[i].len == 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len) {
    struct fuzz_input input = {data, len};
    size_t pattern_len = fuzz_byte(&input);
    const uint8_t *pattern_bytes = fuzz_bytes(&input, &pattern_len);
    char *pattern = exact(pattern_bytes, pattern_len);
    char *subject = exact(input.at, input.left);
    struct lua_pattern_match match;
    const char *error = NULL;
    int sound = lua_pattern_check(pattern, pattern_len, &error);
    int found = lua_pattern_find(pattern, pattern_len, subject, input.left, &match);
    REQUIRE(sound == 0 || (sound == LUA_PATTERN_E_MALFORMED && error != NULL));
    if (found == 1) {
        look_at(&match, input.left);
    } else if (found != 0) {
        REQUIRE(found == LUA_PATTERN_E_COMPLEX || found == LUA_PATTERN_E_MALFORMED);
        REQUIRE(match.error != NULL && match.error[0] != '\0');
        /* What the check lets through never fails for its form. */
        REQUIRE(found != LUA_PATTERN_E_MALFORMED || sound != 0);
    }
    free(pattern);
    free(subject);
    return 0;
}
