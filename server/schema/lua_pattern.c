#include "lua_pattern.h"

#include <string.h>

#include "lua_pattern_item.h"

#define UNFINISHED ((size_t)-1)

/* One search. Once `status` is set, all functions return as if nothing matched. */
struct matcher {
    const char *pattern_end;
    const char *subject;
    const char *subject_end;
    int status;
    unsigned depth;
    size_t steps;
    size_t level; /* captures begun; a closed one has its length, an open one UNFINISHED */
    struct lua_pattern_match *match;
};

static const char *match_here(struct matcher *m, const char *s, const char *p);

static const char *fail(struct matcher *m, int status, const char *error) {
    m->status = status;
    m->match->error = error;
    return NULL;
}

static bool step(struct matcher *m) {
    if (m->steps == 0) {
        fail(m, LUA_PATTERN_E_COMPLEX, TOO_COMPLEX);
        return false;
    }
    m->steps--;
    return true;
}

/* Whether the item [p, end) takes the character at s. */
static bool takes(struct matcher *m, const char *s, const char *p, const char *end) {
    if (s >= m->subject_end || !step(m)) {
        return false;
    }
    unsigned char c = (unsigned char)*s;
    switch (*p) {
    case '.':
        return true;
    case '%':
        return lua_in_class(c, (unsigned char)p[1]);
    case '[':
        return lua_in_set(c, p, end - 1);
    default:
        return c == (unsigned char)*p;
    }
}

/* --- Repetition --------------------------------------------------------------------------- */

/* As many as there are, then fewer, until what follows matches. */
static const char *longest_first(struct matcher *m, const char *s, const char *p, const char *end) {
    size_t count = 0;

    while (takes(m, s + count, p, end)) {
        count++;
    }
    for (;;) {
        const char *result = match_here(m, s + count, end + 1);
        if (result != NULL || count == 0 || m->status != 0) {
            return result;
        }
        count--;
    }
}

static const char *shortest_first(struct matcher *m, const char *s, const char *p,
                                  const char *end) {
    for (;; s++) {
        const char *result = match_here(m, s, end + 1);
        if (result != NULL) {
            return result;
        }
        if (m->status != 0 || !takes(m, s, p, end)) {
            return NULL;
        }
    }
}

/* --- Captures ----------------------------------------------------------------------------- */

static const char *open_capture(struct matcher *m, const char *s, const char *p) {
    bool position = p < m->pattern_end && *p == ')';

    if (m->level >= LUA_PATTERN_CAPTURES) {
        return fail(m, LUA_PATTERN_E_MALFORMED, TOO_MANY_CAPTURES);
    }
    m->match->captures[m->level].start = (size_t)(s - m->subject);
    m->match->captures[m->level].len = position ? 0 : UNFINISHED;
    m->match->captures[m->level].position = position;
    m->level++;
    const char *result = match_here(m, s, position ? p + 1 : p);
    if (result == NULL) {
        m->level--;
    }
    return result;
}

static const char *close_capture(struct matcher *m, const char *s, const char *p) {
    size_t i = m->level;

    while (i > 0 && m->match->captures[i - 1].len != UNFINISHED) {
        i--;
    }
    if (i == 0) {
        return fail(m, LUA_PATTERN_E_MALFORMED, BAD_CAPTURE_END);
    }
    i--;
    m->match->captures[i].len = (size_t)(s - m->subject) - m->match->captures[i].start;
    const char *result = match_here(m, s, p);
    if (result == NULL) {
        m->match->captures[i].len = UNFINISHED;
    }
    return result;
}

/* %1 to %9: the text of an earlier capture again. */
static const char *match_back(struct matcher *m, const char *s, unsigned char digit) {
    size_t i = (size_t)digit - '1'; /* '0' wraps round and is out of range */

    if (i >= m->level || m->match->captures[i].len == UNFINISHED) {
        return fail(m, LUA_PATTERN_E_MALFORMED, BAD_CAPTURE_INDEX);
    }
    size_t len = m->match->captures[i].len;
    if (m->match->captures[i].position || len > (size_t)(m->subject_end - s)) {
        return NULL; /* a position is no text: nothing equals it */
    }
    if (len > m->steps) {
        return fail(m, LUA_PATTERN_E_COMPLEX, TOO_COMPLEX);
    }
    m->steps -= len;
    return memcmp(m->subject + m->match->captures[i].start, s, len) == 0 ? s + len : NULL;
}

/* --- %b and %f ---------------------------------------------------------------------------- */

/* p: the two characters behind %b. */
static const char *match_balanced(struct matcher *m, const char *s, const char *p) {
    size_t open = 1;

    if (m->pattern_end - p < 2) {
        return fail(m, LUA_PATTERN_E_MALFORMED, UNBALANCED);
    }
    if (s >= m->subject_end || *s != p[0]) {
        return NULL;
    }
    while (++s < m->subject_end && step(m)) {
        if (*s == p[1]) {
            if (--open == 0) {
                return s + 1;
            }
        } else if (*s == p[0]) {
            open++;
        }
    }
    return NULL;
}

/* p: the set behind %f; *after: behind it. The subject counts as surrounded by NULs. */
static bool at_frontier(struct matcher *m, const char *s, const char *p, const char **after) {
    const char *error = MISSING_FRONTIER_SET;

    *after = p < m->pattern_end && *p == '[' ? lua_item_end(p, m->pattern_end, &error) : NULL;
    if (*after == NULL) {
        fail(m, LUA_PATTERN_E_MALFORMED, error);
        return false;
    }
    unsigned char before = s == m->subject ? 0 : (unsigned char)s[-1];
    unsigned char here = s == m->subject_end ? 0 : (unsigned char)*s;
    return !lua_in_set(before, p, *after - 1) && lua_in_set(here, p, *after - 1);
}

/* --- The pattern -------------------------------------------------------------------------- */

enum outcome { MATCHED, FAILED, CONTINUE, OTHER };

/* A character item at *p with what repeats it. CONTINUE: *s and *p are behind it. */
static enum outcome match_item(struct matcher *m, const char **s, const char **p) {
    const char *error = NULL;
    const char *end = lua_item_end(*p, m->pattern_end, &error);
    if (end == NULL) {
        fail(m, LUA_PATTERN_E_MALFORMED, error);
        return FAILED;
    }

    const char *result;
    switch (end < m->pattern_end ? *end : '\0') {
    case '?':
        result = takes(m, *s, *p, end) ? match_here(m, *s + 1, end + 1) : NULL;
        if (result == NULL) {
            *p = end + 1;
            return m->status == 0 ? CONTINUE : FAILED;
        }
        break;
    case '*':
        result = longest_first(m, *s, *p, end);
        break;
    case '+':
        result = takes(m, *s, *p, end) ? longest_first(m, *s + 1, *p, end) : NULL;
        break;
    case '-':
        result = shortest_first(m, *s, *p, end);
        break;
    default:
        if (!takes(m, *s, *p, end)) {
            return FAILED;
        }
        (*s)++;
        *p = end;
        return CONTINUE;
    }
    *s = result;
    return result != NULL ? MATCHED : FAILED;
}

/* The items that need no recursion of their own: %b, %f, %1. OTHER: it is none of them. */
static enum outcome match_escape(struct matcher *m, const char **s, const char **p) {
    char letter = *p + 1 < m->pattern_end ? (*p)[1] : '\0';

    if (letter == 'b') {
        *s = match_balanced(m, *s, *p + 2);
        *p += 4;
        return *s != NULL ? CONTINUE : FAILED;
    }
    if (letter == 'f') {
        const char *after;
        bool found = at_frontier(m, *s, *p + 2, &after);
        *p = after;
        return found ? CONTINUE : FAILED;
    }
    if (lua_is_digit((unsigned char)letter)) {
        *s = match_back(m, *s, (unsigned char)letter);
        *p += 2;
        return *s != NULL ? CONTINUE : FAILED;
    }
    return OTHER;
}

static const char *match_rest(struct matcher *m, const char *s, const char *p) {
    while (p < m->pattern_end) {
        if (*p == '(') {
            return open_capture(m, s, p + 1);
        }
        if (*p == ')') {
            return close_capture(m, s, p + 1);
        }
        if (*p == '$' && p + 1 == m->pattern_end) {
            return s == m->subject_end ? s : NULL;
        }
        enum outcome outcome = *p == '%' ? match_escape(m, &s, &p) : OTHER;
        if (outcome == OTHER) {
            outcome = match_item(m, &s, &p);
        }
        if (outcome != CONTINUE) {
            return outcome == MATCHED ? s : NULL;
        }
    }
    return s;
}

/* Matches the pattern from p on at s: the end of the match, or NULL. */
static const char *match_here(struct matcher *m, const char *s, const char *p) {
    if (m->depth == LUA_PATTERN_DEPTH) {
        return fail(m, LUA_PATTERN_E_COMPLEX, TOO_COMPLEX);
    }
    if (!step(m)) {
        return NULL;
    }
    m->depth++;
    const char *result = match_rest(m, s, p);
    m->depth--;
    return m->status == 0 ? result : NULL;
}

/* --- Entry points ------------------------------------------------------------------------- */

static bool has_special(const char *pattern, size_t len) {
    for (size_t i = 0; i < len; i++) {
        if (pattern[i] != '\0' && strchr("^$*+?.([%-", pattern[i]) != NULL) {
            return true;
        }
    }
    return false;
}

static int find_plain(const char *pattern, size_t pattern_len, const char *subject,
                      size_t subject_len, struct lua_pattern_match *match) {
    const char *found =
        pattern_len == 0 ? subject : memmem(subject, subject_len, pattern, pattern_len);
    if (found == NULL) {
        return 0;
    }
    match->start = (size_t)(found - subject);
    match->end = match->start + pattern_len;
    return 1;
}

static int found_at(struct matcher *m, const char *s, const char *end) {
    for (size_t i = 0; i < m->level; i++) {
        if (m->match->captures[i].len == UNFINISHED) {
            fail(m, LUA_PATTERN_E_MALFORMED, UNFINISHED_CAPTURE);
            return m->status;
        }
    }
    m->match->start = (size_t)(s - m->subject);
    m->match->end = (size_t)(end - m->subject);
    m->match->capture_count = m->level;
    return 1;
}

int lua_pattern_find(const char *pattern, size_t pattern_len, const char *subject,
                     size_t subject_len, struct lua_pattern_match *match) {
    match->start = match->end = match->capture_count = 0;
    match->error = NULL;
    if (subject == NULL) {
        subject = "";
    }
    if (!has_special(pattern, pattern_len)) {
        return find_plain(pattern, pattern_len, subject, subject_len, match);
    }

    struct matcher m = {
        .pattern_end = pattern + strnlen(pattern, pattern_len),
        .subject = subject,
        .subject_end = subject + subject_len,
        .steps = LUA_PATTERN_STEPS,
        .match = match,
    };
    bool anchored = pattern < m.pattern_end && *pattern == '^';
    const char *s = subject;
    do {
        m.level = 0;
        const char *end = match_here(&m, s, anchored ? pattern + 1 : pattern);
        if (m.status != 0) {
            return m.status;
        }
        if (end != NULL) {
            return found_at(&m, s, end);
        }
    } while (s++ < m.subject_end && !anchored);
    return 0;
}
