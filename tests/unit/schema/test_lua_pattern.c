/* Lua patterns against a table of cases, and against real Luas: liblua5.1 and LuaJIT (which Kong
 * runs), whichever of their shared libraries is installed. Loaded at run time: nothing of the
 * product is linked with a Lua. */
#include <dlfcn.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "checkers.h"
#include "lua_pattern.h"

/* --- A table of cases --------------------------------------------------------------------- */

struct find_case {
    const char *pattern;
    const char *subject;
    int result;
    size_t start, end;
    const char *error;
};

static const struct find_case FIND_CASES[] = {
    {"", "", 1, 0, 0, NULL},
    {"", "abc", 1, 0, 0, NULL},
    {"b", "abc", 1, 1, 2, NULL},
    {"d", "abc", 0, 0, 0, NULL},
    {"^[%w_-]+$", "X-Api_Version-2", 1, 0, 15, NULL},
    {"^[%w_-]+$", "has space", 0, 0, 0, NULL},
    {"^[%w_-]+$", "newline\n", 0, 0, 0, NULL},
    {"^[%w_-]+$", "", 0, 0, 0, NULL},
    {"^[ -~]+$", "1.0 (beta) ~", 1, 0, 12, NULL},
    {"^[ -~]+$", "caf\xc3\xa9", 0, 0, 0, NULL},
    {"%d+", "ab123c45", 1, 2, 5, NULL},
    {"%d-c", "ab123c45", 1, 2, 6, NULL},
    {"a*", "baaa", 1, 0, 0, NULL},
    {"a?b", "aab", 1, 1, 3, NULL},
    {"^a$", "a", 1, 0, 1, NULL},
    {"^a$", "ab", 0, 0, 0, NULL},
    {"a$b", "a$b", 1, 0, 3, NULL},
    {"a^", "a^", 1, 0, 2, NULL},
    {"[]]", "a]", 1, 1, 2, NULL},
    {"[^]]", "]a", 1, 1, 2, NULL},
    {"[a-c%]-]+", "x]a-b", 1, 1, 5, NULL},
    {"[%a-z]", "-", 1, 0, 1, NULL}, /* a class is no end of a range */
    {"%f[%w]%w+", "  word two", 1, 2, 6, NULL},
    {"%f[%z]", "abc", 1, 3, 3, NULL},
    {"%b()", "f(a(b)c)d", 1, 1, 8, NULL},
    {"%bxx", "axbxc", 1, 1, 4, NULL},
    {"%b()", "((a)", 1, 1, 4, NULL},
    {"(%w+) %1", "x hey hey", 1, 2, 9, NULL},
    {"()a%1", "aa", 0, 0, 0, NULL}, /* nothing equals a position */
    {"%g+", " a!b ", 1, 1, 4, NULL},
    {"%x%X", "fg", 1, 0, 2, NULL},
    {"%z", "abc", 0, 0, 0, NULL},
    {"%.%%", "a.%", 1, 1, 3, NULL},
    {")", "a)", 1, 1, 2, NULL}, /* without special characters: plain text, for string.find */
    {"a%", "ab", LUA_PATTERN_E_MALFORMED, 0, 0, "malformed pattern (ends with '%')"},
    {"b%", "b", LUA_PATTERN_E_MALFORMED, 0, 0, "malformed pattern (ends with '%')"},
    {"bc%", "a", 0, 0, 0, NULL}, /* never reached */
    {"[a", "a", LUA_PATTERN_E_MALFORMED, 0, 0, "malformed pattern (missing ']')"},
    {"[]", "a", LUA_PATTERN_E_MALFORMED, 0, 0, "malformed pattern (missing ']')"},
    {"[a%", "a", LUA_PATTERN_E_MALFORMED, 0, 0, "malformed pattern (missing ']')"},
    {"%f", "a", LUA_PATTERN_E_MALFORMED, 0, 0, "missing '[' after '%f' in pattern"},
    {"%b", "a", LUA_PATTERN_E_MALFORMED, 0, 0, "unbalanced pattern"},
    {"%b(", "a", LUA_PATTERN_E_MALFORMED, 0, 0, "unbalanced pattern"},
    {"(a", "a", LUA_PATTERN_E_MALFORMED, 0, 0, "unfinished capture"},
    {"a.)", "ab", LUA_PATTERN_E_MALFORMED, 0, 0, "invalid pattern capture"},
    {"%1", "a", LUA_PATTERN_E_MALFORMED, 0, 0, "invalid capture index"},
    {"%0", "a", LUA_PATTERN_E_MALFORMED, 0, 0, "invalid capture index"},
    {"(a%1)", "aa", LUA_PATTERN_E_MALFORMED, 0, 0, "invalid capture index"},
    {"()()()()()()()()()()()()()()()()()()()()()()()()()()()()()()()()()", "a",
     LUA_PATTERN_E_MALFORMED, 0, 0, "too many captures"},
};

static void finds_as_the_table_says(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof FIND_CASES / sizeof FIND_CASES[0]; i++) {
        const struct find_case *c = &FIND_CASES[i];
        struct lua_pattern_match match;
        int result = lua_pattern_find(c->pattern, strlen(c->pattern), c->subject,
                                      strlen(c->subject), &match);
        if (result != c->result || match.start != c->start || match.end != c->end) {
            fail_msg("'%s' in '%s': %d [%zu, %zu)", c->pattern, c->subject, result, match.start,
                     match.end);
        }
        if (c->error == NULL) {
            assert_null(match.error);
        } else {
            assert_string_equal(match.error, c->error);
        }
    }
}

static void gives_captures(void **state) {
    (void)state;
    struct lua_pattern_match match;
    const char *subject = "key = value";
    assert_int_equal(
        lua_pattern_find("(%w+)%s*()=%s*((%w)%w*)", 23, subject, strlen(subject), &match), 1);
    assert_int_equal(match.capture_count, 4);
    assert_int_equal(match.captures[0].start, 0);
    assert_int_equal(match.captures[0].len, 3);
    assert_true(match.captures[1].position);
    assert_int_equal(match.captures[1].start, 4);
    assert_int_equal(match.captures[2].start, 6);
    assert_int_equal(match.captures[2].len, 5);
    assert_int_equal(match.captures[3].len, 1);
}

static void takes_any_bytes_in_the_subject(void **state) {
    (void)state;
    struct lua_pattern_match match;
    assert_int_equal(lua_pattern_find("^[^%z]+$", 8, "a\0b", 3, &match), 0);
    assert_int_equal(lua_pattern_find("%z", 2, "a\0b", 3, &match), 1);
    assert_int_equal(match.start, 1);
    assert_int_equal(lua_pattern_find("^.+$", 4, "a\0\xff", 3, &match), 1);
    assert_int_equal(match.end, 3);
    assert_int_equal(lua_pattern_find("^$", 2, NULL, 0, &match), 1);
}

/* Work and nesting end, whatever the pattern. */
static void is_bounded(void **state) {
    (void)state;
    static char subject[200000];
    struct lua_pattern_match match;

    memset(subject, 'a', sizeof subject);
    const char *slow = ".-.-.-.-.-b";
    assert_int_equal(lua_pattern_find(slow, strlen(slow), subject, 3000, &match),
                     LUA_PATTERN_E_COMPLEX);
    assert_string_equal(match.error, "pattern too complex");
    const char *back = "(.*)%1x";
    assert_int_equal(lua_pattern_find(back, strlen(back), subject, sizeof subject, &match),
                     LUA_PATTERN_E_COMPLEX);

    char deep[2 * 250 + 1] = "";
    for (size_t i = 0; i < 250; i++) {
        memcpy(deep + 2 * i, "a?", 3);
    }
    assert_int_equal(lua_pattern_find(deep, strlen(deep), subject, 300, &match),
                     LUA_PATTERN_E_COMPLEX);
    assert_int_equal(lua_pattern_find(deep, (size_t)2 * 199, subject, 300, &match), 1);
    assert_int_equal(match.end, 199);
    /* A long text that matches at once is no trouble. */
    assert_int_equal(lua_pattern_find("^[%w]+$", 7, subject, sizeof subject, &match), 1);
}

static void checks_patterns(void **state) {
    (void)state;
    static const char *const GOOD[] = {"",      "^[%w_-]+$", "%b()",      "%f[%w]%w", "(a)%1",
                                       "()x()", "[]]",       "[^]%]-]*-", "a-",       "((a)(b))%2",
                                       "^",     "$",         "*"};
    static const char *const BAD[][2] = {
        {"abc%", "malformed pattern (ends with '%')"},
        {"x[a", "malformed pattern (missing ']')"},
        {"x(a", "unfinished capture"},
        {"a)", "invalid pattern capture"},
        {"a%1", "invalid capture index"},
        {"(a%1)", "invalid capture index"},
        {"%bx", "unbalanced pattern"},
        {"a%f", "missing '[' after '%f' in pattern"},
        {"a%fa", "missing '[' after '%f' in pattern"},
        {"%f[a", "malformed pattern (missing ']')"},
    };
    const char *error;
    for (size_t i = 0; i < sizeof GOOD / sizeof GOOD[0]; i++) {
        if (lua_pattern_check(GOOD[i], strlen(GOOD[i]), &error) != 0) {
            fail_msg("'%s': %s", GOOD[i], error);
        }
    }
    for (size_t i = 0; i < sizeof BAD / sizeof BAD[0]; i++) {
        assert_int_equal(lua_pattern_check(BAD[i][0], strlen(BAD[i][0]), &error),
                         LUA_PATTERN_E_MALFORMED);
        assert_string_equal(error, BAD[i][1]);
    }
}

/* --- Against a real Lua ------------------------------------------------------------------- */

/* The part of Lua 5.1's C interface that is needed. */
struct lua {
    void *library;
    void *state;
    void (*close)(void *);
    void (*getfield)(void *, int, const char *);
    void (*pushlstring)(void *, const char *, size_t);
    int (*pcall)(void *, int, int, int);
    int (*gettop)(void *);
    void (*settop)(void *, int);
    int (*type)(void *, int);
    const char *(*tolstring)(void *, int, size_t *);
    double (*tonumber)(void *, int);
};

enum { LUA_GLOBALS = -10002, LUA_ALL_RESULTS = -1, LUA_TYPE_NIL = 0, LUA_TYPE_NUMBER = 3 };

static void *symbol(const struct lua *lua, const char *name) {
    void *found = dlsym(lua->library, name);
    assert_non_null(found);
    return found;
}

/* dlsym gives an object pointer; POSIX lets it be a function. */
#define LUA_SYMBOL(lua, member, name)                                                              \
    do {                                                                                           \
        void *found_ = symbol(lua, name);                                                          \
        memcpy(&(lua)->member, &found_, sizeof found_);                                            \
    } while (0)

static bool lua_open(struct lua *lua, const char *const *names) {
    *lua = (struct lua){0};
    for (; lua->library == NULL && *names != NULL; names++) {
        lua->library = dlopen(*names, RTLD_NOW | RTLD_LOCAL);
    }
    if (lua->library == NULL) {
        return false;
    }
    void *(*newstate)(void);
    void (*openlibs)(void *);
    void *found = symbol(lua, "luaL_newstate");
    memcpy(&newstate, &found, sizeof found);
    found = symbol(lua, "luaL_openlibs");
    memcpy(&openlibs, &found, sizeof found);
    LUA_SYMBOL(lua, close, "lua_close");
    LUA_SYMBOL(lua, getfield, "lua_getfield");
    LUA_SYMBOL(lua, pushlstring, "lua_pushlstring");
    LUA_SYMBOL(lua, pcall, "lua_pcall");
    LUA_SYMBOL(lua, gettop, "lua_gettop");
    LUA_SYMBOL(lua, settop, "lua_settop");
    LUA_SYMBOL(lua, type, "lua_type");
    LUA_SYMBOL(lua, tolstring, "lua_tolstring");
    LUA_SYMBOL(lua, tonumber, "lua_tonumber");
    lua->state = newstate();
    assert_non_null(lua->state);
    openlibs(lua->state);
    return true;
}

static void lua_end(struct lua *lua) {
    lua->close(lua->state);
    dlclose(lua->library);
}

static void print_bytes(const char *what, const char *data, size_t len) {
    fprintf(stderr, "%s \"", what);
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)data[i];
        fprintf(stderr, c >= 0x20 && c < 0x7f && c != '\\' && c != '"' ? "%c" : "\\x%02x", c);
    }
    fprintf(stderr, "\"\n");
}

/* Whether capture i, of ours, is what Lua returned at `index`. */
static bool same_capture(const struct lua *lua, int index, const char *subject,
                         const struct lua_pattern_match *match, size_t i) {
    if (match->captures[i].position) {
        return lua->type(lua->state, index) == LUA_TYPE_NUMBER &&
               lua->tonumber(lua->state, index) == (double)(match->captures[i].start + 1);
    }
    size_t len;
    const char *text = lua->tolstring(lua->state, index, &len);
    return text != NULL && len == match->captures[i].len &&
           memcmp(text, subject + match->captures[i].start, len) == 0;
}

static bool same_result(const struct lua *lua, int failed, const char *subject, int result,
                        const struct lua_pattern_match *match) {
    if (failed != 0) {
        const char *text = lua->tolstring(lua->state, 1, NULL);
        return result < 0 && text != NULL && strcmp(text, match->error) == 0;
    }
    if (lua->type(lua->state, 1) == LUA_TYPE_NIL) {
        return result == 0;
    }
    if (result != 1 || lua->tonumber(lua->state, 1) != (double)(match->start + 1) ||
        lua->tonumber(lua->state, 2) != (double)match->end ||
        (size_t)lua->gettop(lua->state) != 2 + match->capture_count) {
        return false;
    }
    for (size_t i = 0; i < match->capture_count; i++) {
        if (!same_capture(lua, 3 + (int)i, subject, match, i)) {
            return false;
        }
    }
    return true;
}

/* One pair, by both. Returns our result. */
static int compare(const struct lua *lua, const char *pattern, size_t pattern_len,
                   const char *subject, size_t subject_len) {
    struct lua_pattern_match match;
    int result = lua_pattern_find(pattern, pattern_len, subject, subject_len, &match);

    lua->settop(lua->state, 0);
    lua->getfield(lua->state, LUA_GLOBALS, "string");
    lua->getfield(lua->state, 1, "find");
    lua->pushlstring(lua->state, subject, subject_len);
    lua->pushlstring(lua->state, pattern, pattern_len);
    int failed = lua->pcall(lua->state, 2, LUA_ALL_RESULTS, 0);
    /* The results start behind the table. */
    void (*remove_first)(void *, int);
    void *found = symbol(lua, "lua_remove");
    memcpy(&remove_first, &found, sizeof found);
    remove_first(lua->state, 1);
    if (!same_result(lua, failed, subject, result, &match)) {
        print_bytes("pattern", pattern, pattern_len);
        print_bytes("subject", subject, subject_len);
        fail_msg("ours: %d [%zu, %zu) %s; Lua: %s %s", result, match.start, match.end,
                 match.error == NULL ? "" : match.error, failed ? "error" : "result",
                 lua->gettop(lua->state) == 0 ? "-" : lua->tolstring(lua->state, 1, NULL));
    }
    return result;
}

static uint32_t next_random(uint64_t *seed) {
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return (uint32_t)(*seed >> 32);
}

/* Pieces that patterns are put together from: mostly sound ones, some that break it. */
static const char *const PIECES[] = {
    "a",    "b",           "ab",    ".",     "%a",     "%d",     "%s",   "%w",   "%x",    "%p",
    "%u",   "%l",          "%c",    "%z",    "%A",     "%D",     "%S",   "%W",   "%Z",    "%%",
    "%.",   "[ab]",        "[^ab]", "[a-c]", "[%w]",   "[^%s]",  "[]a]", "[^]]", "[%]a]", "[a-]",
    "[-a]", "[%a-z]",      "(",     ")",     "()",     "(a)",    "(.)",  "(a*)", "%1",    "%2",
    "%b()", "%bab",        "%baa",  "%f[a]", "%f[%w]", "%f[^a]", "*",    "+",    "-",     "?",
    "^",    "$",           "[",     "]",     "%",      "%b",     "%f",   "[^",   "1",     "(",
    "\xe9", "[\x80-\xff]", "%g",    "[%G]",  "%0",
};

static size_t make_pattern(uint64_t *seed, char *out, size_t size) {
    size_t len = 0;
    if (next_random(seed) % 4 == 0) {
        out[len++] = '^';
    }
    for (uint32_t pieces = next_random(seed) % 9; pieces > 0; pieces--) {
        const char *piece = PIECES[next_random(seed) % (sizeof PIECES / sizeof PIECES[0])];
        size_t piece_len = strlen(piece);
        if (len + piece_len + 2 > size) {
            break;
        }
        memcpy(out + len, piece, piece_len);
        len += piece_len;
        if (next_random(seed) % 3 == 0) {
            out[len++] = "*+-?"[next_random(seed) % 4];
        }
    }
    if (next_random(seed) % 4 == 0 && len < size) {
        out[len++] = '$';
    }
    return len;
}

static size_t make_bytes(uint64_t *seed, const char *alphabet, size_t alphabet_len, size_t max,
                         char *out) {
    size_t len = next_random(seed) % (max + 1);
    for (size_t i = 0; i < len; i++) {
        out[i] = alphabet[next_random(seed) % alphabet_len];
    }
    return len;
}

static bool contains(const char *data, size_t len, const char *needle, size_t needle_len) {
    return memmem(data, len, needle, needle_len) != NULL;
}

static const char SUBJECT_BYTES[] = "aaabbbcab()A1 _-.%]\n\0\xe9";
static const char NOISE[] = "ab%[]()^$.*+-?fb1w";
/* Few enough for valgrind, too. */
enum { PAIRS = 300000, PAIRS_UNDER_VALGRIND = 2000 };

static void differ_never(const struct lua *lua, bool jit) {
    uint64_t seed = 0x9e3779b97f4a7c15u;
    size_t found = 0, missed = 0, refused = 0;
    int pairs = under_valgrind() ? PAIRS_UNDER_VALGRIND : PAIRS;

    for (size_t i = 0; i < sizeof FIND_CASES / sizeof FIND_CASES[0]; i++) {
        const struct find_case *c = &FIND_CASES[i];
        if (jit || strstr(c->pattern, "%g") == NULL) {
            compare(lua, c->pattern, strlen(c->pattern), c->subject, strlen(c->subject));
        }
    }
    for (int i = 0; i < pairs; i++) {
        char pattern[64], subject[32];
        size_t pattern_len =
            i % 8 == 0 ? make_bytes(&seed, NOISE, sizeof NOISE - (jit ? 0 : 1), 12, pattern)
                       : make_pattern(&seed, pattern, sizeof pattern);
        size_t subject_len =
            make_bytes(&seed, SUBJECT_BYTES, sizeof SUBJECT_BYTES - 1, 24, subject);
        /* PUC Lua has no %g: the letter stands for itself. */
        if (!jit &&
            (contains(pattern, pattern_len, "%g", 2) || contains(pattern, pattern_len, "%G", 2))) {
            continue;
        }
        int result = compare(lua, pattern, pattern_len, subject, subject_len);
        found += result == 1;
        missed += result == 0;
        refused += result < 0;
    }
    print_message("%zu found, %zu not found, %zu malformed\n", found, missed, refused);
    /* The pairs are worth something only while all three happen often. */
    assert_true(found > (size_t)pairs / 20);
    assert_true(missed > (size_t)pairs / 20);
    assert_true(refused > (size_t)pairs / 20);
}

static void agrees_with_lua_5_1(void **state) {
    (void)state;
    static const char *const NAMES[] = {"liblua5.1.so.0", "liblua5.1.so", "liblua-5.1.so",
                                        "liblua.so.5.1", NULL};
    struct lua lua;
    if (!lua_open(&lua, NAMES)) {
        print_message("SKIPPED: no shared library of Lua 5.1 (Debian: liblua5.1-0)\n");
        skip();
    }
    differ_never(&lua, false);
    lua_end(&lua);
}

static void agrees_with_luajit(void **state) {
    (void)state;
    static const char *const NAMES[] = {"libluajit-5.1.so.2", "libluajit-5.1.so", NULL};
    struct lua lua;
    /* LuaJIT compares strings by words, which valgrind takes for an error. */
    if (under_valgrind() || !lua_open(&lua, NAMES)) {
        print_message("SKIPPED: no shared library of LuaJIT (Debian: libluajit-5.1-2 or "
                      "libluajit2-5.1-2), or under valgrind\n");
        skip();
    }
    differ_never(&lua, true);

    /* The limit of nesting is the same, to the level. */
    char deep[2 * 201 + 1] = "";
    char subject[300];
    memset(subject, 'a', sizeof subject);
    for (size_t count = 190; count <= 201; count++) {
        for (size_t i = 0; i < count; i++) {
            memcpy(deep + 2 * i, "a?", 2);
        }
        compare(&lua, deep, 2 * count, subject, sizeof subject);
    }
    lua_end(&lua);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_as_the_table_says),
        cmocka_unit_test(gives_captures),
        cmocka_unit_test(takes_any_bytes_in_the_subject),
        cmocka_unit_test(is_bounded),
        cmocka_unit_test(checks_patterns),
        cmocka_unit_test(agrees_with_lua_5_1),
        cmocka_unit_test(agrees_with_luajit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
