/* What every handler has: its event, errors, memory, and any function of Kong by its Lua name. Part
 * of kong.h.
 *
 * What holds for all functions of the PDK:
 *
 * - Each returns 0 or a KONG_E_* code; kong_error_text says more. Results are written through the
 *   last arguments, which are set in any case: on an error to nil, 0, false, nothing.
 * - What they hand out lives until the handler returns; there is nothing to free. What they are
 *   given is copied before they return.
 * - Strings are a struct kong_str: bytes, a length, and a NUL behind them, so that `data` can be
 *   used as a C string. data == NULL is Lua's nil.
 * - No `const char *` argument may be NULL unless the function says so.
 * - A posted function returns at once, and what it asks for is done in order, before the next
 *   answer of Kong arrives or the handler ends. The handler never learns whether Kong could do it.
 * - A terminal function ends the event: later calls fail with KONG_E_ENDED.
 * - All other functions wait for Kong's answer: the handler is suspended, other events go on.
 * - Phases are those in which Kong allows the call. In any other Kong would raise a Lua error, and
 *   so the call is refused here with KONG_E_PHASE and nothing is sent. What Kong would refuse with
 *   an error for the arguments' sake is refused here with KONG_E_INVALID, and nothing is sent.
 *   Where Kong raises an error nevertheless (a comment says where), the client gets a 500. The
 *   handler learns of it later, by KONG_E_GONE (ProtoBuf:1) or KONG_E_TIMEOUT (MsgPack:1).
 * - In the phase log Kong runs handlers after the request, on a copy of some of its data. A Lua
 *   error there leaves the copy behind, and later requests of other clients read this request's
 *   headers. KONG_E_PHASE keeps that from happening. "log (not of a stream)" and the like name a
 *   condition of that phase. Where it is not certain, the library asks Kong for it, once an event.
 * - Phases are Kong 3.9's. "Kong 2.8:" says where 2.8 raises though 3.9 does not: the option
 *   --kong-version 2.8 has the call refused there. A server for Kong 2.8 must have this option.
 * - nil is no error. On ProtoBuf:1 Kong's answer for nil is an empty message, which stands for "",
 *   0 and false as well. Where Kong sends "" in a form of its own it comes as "", else as nil.
 * - Functions marked "MsgPack:1 only" fail with KONG_E_UNSUPPORTED on ProtoBuf:1, and nothing is
 *   sent. kong_call reaches all that has no function of its own, there too on MsgPack:1 only.
 * - Lua's second result, the text of an error, does not travel: where Lua gives nil and a text the
 *   function gives KONG_E_KONG, with Kong's text only if the protocol carries it. */
#ifndef KONG_EVENT_H
#define KONG_EVENT_H

#include "kong_phase.h"
#include "kong_value.h"

/* The compiler warns where one of these arguments is NULL: where a result is to be written, and
 * struct kong. Other compilers than gcc and clang do not look. */
#if defined(__GNUC__)
#define KONG_NONNULL(...) __attribute__((nonnull(__VA_ARGS__)))
#else
#define KONG_NONNULL(...)
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* --- Errors --- */

/* One event: a handler at work for one phase of one request. Valid until the handler returns. */
struct kong;

/* What PDK functions return: 0, or one of these. A handler may return them on. */
enum kong_error {
    KONG_OK = 0,
    KONG_E_GONE = -1,        /* Kong closed the connection: the request is over */
    KONG_E_ENDED = -2,       /* after kong_response_exit or kong_response_error */
    KONG_E_TIMEOUT = -3,     /* the time of the event is up */
    KONG_E_NOMEM = -4,       /* no memory, or a limit of memory reached */
    KONG_E_UNSUPPORTED = -5, /* the function does not exist on the protocol in use */
    KONG_E_INVALID = -6,     /* an argument that Kong would not take: nothing was sent */
    KONG_E_KONG = -7,        /* Kong could not do it: kong_error_text may know why */
    KONG_E_TYPE = -8,        /* Kong's answer is not of the type that the function promises */
    KONG_E_TOO_BIG = -9,     /* larger than the limit that the caller gave, or than what the server
                                takes of Kong: --max-frame, nesting 32, 2^20 elements */
    KONG_E_IO = -10,         /* a file or thread that the function needed failed */
    KONG_E_FAILED = -11,     /* for handlers: failed for a reason of the plugin's own */
    KONG_E_PHASE = -12,      /* Kong does not allow the call in this phase: nothing was sent */
    KONG_E_NO_REQUEST = -13, /* a job called a function that needs a request: nothing was sent */
};

/* What a code means: static, English, without a final period. */
const char *kong_strerror(int error);

/* The text behind the last error of this event: Kong's own words where it gave some, else what was
 * wrong with an argument or an answer, else kong_strerror's. Lives until the handler returns. */
const char *kong_error_text(struct kong *kong);

/* Which phase is being handled; KONG_PHASE_COUNT in a job. */
enum kong_phase kong_get_phase(struct kong *kong);
#ifndef __cplusplus
/* The older name of kong_get_phase. In C++ it would hide the enum's. */
#define kong_phase(kong) kong_get_phase(kong)
#endif

/* Notes a text, printf-like, as that of the last error, and returns KONG_E_FAILED. A handler that
 * ends with it,
 *
 *     return kong_fail(kong, "no more than %d requests a minute", limit);
 *
 * has this text in the line about its failure, in the server's log and in Kong's; on_error says
 * what becomes of the request. The text is cut at some 2,000 bytes. */
int kong_fail(struct kong *kong, const char *format, ...) __attribute__((format(printf, 2, 3)))
KONG_NONNULL(1, 2);

/* --- Memory of the event --- */

/* What one event may have: bytes of memory, which kong_alloc, kong_printf, JSON and Kong's answers
 * share (an answer that does not fit is KONG_E_TOO_BIG or KONG_E_NOMEM); lists and maps in each
 * other, in a value that goes to Kong or comes; values in one answer or JSON text; posted calls
 * that Kong has not taken yet (KONG_E_NOMEM beyond it). Its stack is kong_plugin.stack_size, its
 * time the option --event-timeout (55 s). */
#define KONG_LIMIT_MEMORY   268435456
#define KONG_LIMIT_NESTING  32
#define KONG_LIMIT_ELEMENTS 1048576
#define KONG_LIMIT_POSTED   65536

/* `size` bytes for any type, not zeroed, that live until the handler returns. NULL: no memory, or
 * the limit of one event is reached; kong_error_text says which, and `return KONG_E_NOMEM` ends the
 * handler with that text. */
void *kong_alloc(struct kong *kong, size_t size) KONG_NONNULL(1);

/* printf into memory that lives until the handler returns. {NULL, 0}: no memory, as above. */
struct kong_str kong_printf(struct kong *kong, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* --- Looking into values --- */

/* A list of strings. */
struct kong_strings {
    const struct kong_str *items;
    size_t count;
};

/* The value at a key of a map; NULL when there is none, or when `map` is no map. It may be NULL,
 * here and below: look-ups can be chained. */
const struct kong_value *kong_map_get(const struct kong_value *map, const char *key);

/* True, and the integer, when the value is an integer or a number without fraction: Lua has only
 * one kind. *integer is 0 otherwise. */
bool kong_to_integer(const struct kong_value *value, int64_t *integer) KONG_NONNULL(2);

/* True, and the number, when the value is a number or an integer. *number is 0 otherwise. */
bool kong_to_number(const struct kong_value *value, double *number) KONG_NONNULL(2);

/* The string in a value; {NULL, 0} when it is none. */
struct kong_str kong_to_str(const struct kong_value *value);

/* --- Anything else --- */

/* Any function under kong., by its full Lua name ("kong.request.get_path"), with its Lua arguments.
 * Functions that have no typed function are MsgPack:1 only. *result is the first thing that Lua
 * returns; NULL when it is not wanted. A nil between the arguments arrives as "": Lua would cut the
 * list there. A name that Kong does not know gives nil and a line in its log.
 * KONG_E_PHASE, KONG_E_INVALID: as the typed function gives them, where there is one.
 * KONG_E_INVALID: also a list of a header's values where Kong takes one value. KONG_E_PHASE: in the
 * phase log, a function that has none. */
int kong_call(struct kong *kong, const char *method, const struct kong_value *args, size_t count,
              struct kong_value *result);

/* The author knows that Kong allows the function in the phase log, with these arguments. If it
 * raises an error there, this request's data stays behind in Kong and other clients' requests read
 * it. */
#define KONG_CALL_SAFE_IN_LOG 1u

/* kong_call with KONG_CALL_* flags. */
int kong_call_flags(struct kong *kong, unsigned flags, const char *method,
                    const struct kong_value *args, size_t count, struct kong_value *result);

#ifdef __cplusplus
}
#endif

#endif
