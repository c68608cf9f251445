/* What matching and checking a pattern share: its single-character items, and Lua's texts. */
#ifndef SERVER_LUA_PATTERN_ITEM_H
#define SERVER_LUA_PATTERN_ITEM_H

#include <stdbool.h>

#define ENDS_WITH_PERCENT    "malformed pattern (ends with '%')"
#define MISSING_BRACKET      "malformed pattern (missing ']')"
#define MISSING_FRONTIER_SET "missing '[' after '%f' in pattern"
#define UNBALANCED           "unbalanced pattern"
#define BAD_CAPTURE_INDEX    "invalid capture index"
#define BAD_CAPTURE_END      "invalid pattern capture"
#define TOO_MANY_CAPTURES    "too many captures"
#define UNFINISHED_CAPTURE   "unfinished capture"
#define TOO_COMPLEX          "pattern too complex"

/* ASCII only, whatever the locale. */
bool lua_is_digit(unsigned char c);

/* Whether c is in the class that `%` and this letter name; any other character names itself. */
bool lua_in_class(unsigned char c, unsigned char letter);

/* Whether c is in the set that starts with the '[' at p and ends with the ']' at close. */
bool lua_in_set(unsigned char c, const char *p, const char *close);

/* Behind the single-character item at p (p < end); NULL and *error when it is malformed. */
const char *lua_item_end(const char *p, const char *end, const char **error);

#endif
