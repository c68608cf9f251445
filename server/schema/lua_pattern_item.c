#include "lua_pattern_item.h"

#include <string.h>

#include "lua_pattern.h"

/* --- Characters --------------------------------------------------------------------------- */

static bool is_between(unsigned char c, unsigned char low, unsigned char high) {
    return low <= c && c <= high;
}

static bool is_alpha(unsigned char c) {
    return is_between(c | 0x20, 'a', 'z');
}

bool lua_is_digit(unsigned char c) {
    return is_between(c, '0', '9');
}

static bool is_graph(unsigned char c) {
    return is_between(c, '!', '~');
}

bool lua_in_class(unsigned char c, unsigned char letter) {
    bool in;

    switch (letter | 0x20) {
    case 'a':
        in = is_alpha(c);
        break;
    case 'c':
        in = c < 0x20 || c == 0x7f;
        break;
    case 'd':
        in = lua_is_digit(c);
        break;
    case 'g':
        in = is_graph(c);
        break;
    case 'l':
        in = is_between(c, 'a', 'z');
        break;
    case 'p':
        in = is_graph(c) && !is_alpha(c) && !lua_is_digit(c);
        break;
    case 's':
        in = c == ' ' || is_between(c, '\t', '\r');
        break;
    case 'u':
        in = is_between(c, 'A', 'Z');
        break;
    case 'w':
        in = is_alpha(c) || lua_is_digit(c);
        break;
    case 'x':
        in = lua_is_digit(c) || is_between(c | 0x20, 'a', 'f');
        break;
    case 'z':
        in = c == 0;
        break;
    default:
        return c == letter;
    }
    return is_between(letter, 'A', 'Z') ? !in : in;
}

bool lua_in_set(unsigned char c, const char *p, const char *close) {
    bool complement = p[1] == '^';

    p += complement ? 2 : 1;
    while (p < close) {
        unsigned char first = (unsigned char)*p;
        if (first == '%') {
            if (lua_in_class(c, (unsigned char)p[1])) {
                return !complement;
            }
            p += 2;
        } else if (p[1] == '-' && p + 2 < close) {
            if (is_between(c, first, (unsigned char)p[2])) {
                return !complement;
            }
            p += 3;
        } else {
            if (c == first) {
                return !complement;
            }
            p++;
        }
    }
    return complement;
}

const char *lua_item_end(const char *p, const char *end, const char **error) {
    char c = *p++;

    if (c == '%') {
        if (p == end) {
            *error = ENDS_WITH_PERCENT;
            return NULL;
        }
        return p + 1;
    }
    if (c != '[') {
        return p;
    }
    if (p < end && *p == '^') {
        p++;
    }
    do { /* a ']' that comes first is one of the set */
        if (p == end) {
            *error = MISSING_BRACKET;
            return NULL;
        }
        c = *p++;
        if (c == '%' && p < end) {
            p++;
        }
    } while (p == end || *p != ']');
    return p + 1;
}

/* --- A whole pattern ---------------------------------------------------------------------- */

/* What a pattern's captures look like while it is read from left to right. */
struct capture_check {
    size_t level;
    bool open[LUA_PATTERN_CAPTURES];
};

static const char *check_close(struct capture_check *captures) {
    size_t i = captures->level;

    while (i > 0 && !captures->open[i - 1]) {
        i--;
    }
    if (i == 0) {
        return BAD_CAPTURE_END;
    }
    captures->open[i - 1] = false;
    return NULL;
}

/* The item at *p: an error's text, or NULL and *p behind it. */
static const char *check_item(struct capture_check *captures, const char **p, const char *end) {
    const char *error = NULL;
    char next = *p + 1 < end ? (*p)[1] : '\0';

    if (**p == '(') {
        if (captures->level == LUA_PATTERN_CAPTURES) {
            return TOO_MANY_CAPTURES;
        }
        captures->open[captures->level++] = next != ')';
        *p += next == ')' ? 2 : 1;
    } else if (**p == ')') {
        error = check_close(captures);
        *p += 1;
    } else if (**p == '%' && next == 'b') {
        error = end - *p < 4 ? UNBALANCED : NULL;
        *p += 4;
    } else if (**p == '%' && lua_is_digit((unsigned char)next)) {
        size_t i = (size_t)next - '1';
        error = i >= captures->level || captures->open[i] ? BAD_CAPTURE_INDEX : NULL;
        *p += 2;
    } else if (**p == '%' && next == 'f' && (end - *p < 3 || (*p)[2] != '[')) {
        error = MISSING_FRONTIER_SET;
    } else {
        *p += **p == '%' && next == 'f' ? 2 : 0;
        *p = lua_item_end(*p, end, &error);
        if (*p != NULL && *p < end && strchr("*+?-", **p) != NULL) {
            *p += 1;
        }
    }
    return error;
}

int lua_pattern_check(const char *pattern, size_t pattern_len, const char **error) {
    const char *end = pattern + strnlen(pattern, pattern_len);
    const char *p = pattern < end && *pattern == '^' ? pattern + 1 : pattern;
    struct capture_check captures = {0};

    *error = NULL;
    while (p < end && *error == NULL) {
        *error = check_item(&captures, &p, end);
    }
    for (size_t i = 0; *error == NULL && i < captures.level; i++) {
        *error = captures.open[i] ? UNFINISHED_CAPTURE : NULL;
    }
    return *error == NULL ? 0 : LUA_PATTERN_E_MALFORMED;
}
