/* Lua's patterns, matched as string.find of the Lua that Kong runs (LuaJIT 2.1) does: what a
 * schema's `match` means must not depend on who checks it. Written after the Lua 5.1 Reference
 * Manual, 5.4.1; held against real Luas by tests/unit/test_lua_pattern.c.
 *
 * Where LuaJIT and PUC Lua 5.1 differ, LuaJIT is followed: %g is a class (printable but space), a
 * match that nests deeper than 200 levels is given up as "pattern too complex", classes know ASCII
 * only, whatever the locale. As with both, a pattern with special characters ends at its first NUL;
 * the subject may hold any bytes.
 *
 * No allocation, no I/O, no recursion beyond 200 levels (about 30 KiB of stack). */
#ifndef SERVER_LUA_PATTERN_H
#define SERVER_LUA_PATTERN_H

#include <stdbool.h>
#include <stddef.h>

enum {
    LUA_PATTERN_E_MALFORMED = -1, /* Lua raises an error on reaching that part of the pattern */
    LUA_PATTERN_E_COMPLEX = -2, /* nested too deep, or more than LUA_PATTERN_STEPS of work: Lua has
                                   only the first limit, and would go on for minutes */
};

#define LUA_PATTERN_CAPTURES 32
#define LUA_PATTERN_DEPTH    200
/* One step is one byte of the subject looked at, or one level of nesting entered: below a second.
 * A build of its own can have fewer (a fuzzer wants many short runs). */
#ifndef LUA_PATTERN_STEPS
#define LUA_PATTERN_STEPS 50000000
#endif

struct lua_pattern_match {
    size_t start, end; /* offsets: the match is [start, end) */
    size_t capture_count;
    struct {
        size_t start;
        size_t len;    /* 0 for a position */
        bool position; /* "()" */
    } captures[LUA_PATTERN_CAPTURES];
    const char *error; /* after a negative result: Lua's own text, static */
};

/* 1: found, *match says where. 0: not found. LUA_PATTERN_E_*: match->error says why. Only as much
 * of the pattern is looked at as Lua looks at: one that is broken behind the point where matching
 * fails is no error. */
int lua_pattern_find(const char *pattern, size_t pattern_len, const char *subject,
                     size_t subject_len, struct lua_pattern_match *match);

/* Checks a whole pattern without a subject. 0, or LUA_PATTERN_E_MALFORMED and *error (static). */
int lua_pattern_check(const char *pattern, size_t pattern_len, const char **error);

#endif
