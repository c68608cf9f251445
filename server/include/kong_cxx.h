/* What C++ has of kong.h beside C (C++14 or newer; schema tables need C++20, see kong_schema.h).
 * Part of kong.h, which includes it in C++:
 *
 * - Types need no `struct` or `enum` before them, and texts become a kong_str by themselves:
 *   kong_response_exit(kong, 200, "hello", kong_nil()).
 * - Handlers are a list: .handlers = {{KONG_PHASE_ACCESS, access}, {KONG_PHASE_LOG, log}}.
 * - An exception that leaves a handler, a hook or a function of kong_run_blocking is a failure
 *   (KONG_E_FAILED) with the exception's what() as text, not the end of the process: what on_error
 *   says is done, and the stack was unwound. With -fno-exceptions there is nothing to catch.
 * - A handler may wait in a catch block: `throw;` goes on with its own exception.
 *
 * -Wmissing-field-initializers is off behind kong.h: g++ warns of each member that a designated
 * initializer leaves at its default. */
#ifndef KONG_CXX_H
#define KONG_CXX_H

#include "kong_event.h"

#ifdef __cplusplus

#pragma GCC diagnostic ignored "-Wmissing-field-initializers"

#include <cstdio>
#include <exception>
#include <initializer_list>

extern "C" {
typedef int kong_handler(struct kong *kong, const void *config);
}

/* An array by phase. */
struct kong_cxx_handlers {
    struct entry {
        enum kong_phase phase;
        kong_handler *handler;
    };

    kong_handler *by_phase[KONG_PHASE_COUNT] = {};

    constexpr kong_cxx_handlers() = default;
#if __cplusplus >= 201402L
    constexpr
#endif
        kong_cxx_handlers(std::initializer_list<entry> entries) {
        for (const entry &each : entries) {
            by_phase[each.phase] = each.handler;
        }
    }
};

/* What kong_plugin.guard is in C++. */
inline int kong_cxx_guard(int (*fn)(void *arg), void *arg, char *error, size_t error_size) {
#ifdef __cpp_exceptions
    try {
        return fn(arg);
    } catch (const std::exception &exception) {
        std::snprintf(error, error_size, "exception: %s", exception.what());
    } catch (...) {
        std::snprintf(error, error_size, "exception that is no std::exception");
    }
    return KONG_E_FAILED;
#else
    (void)error;
    (void)error_size;
    return fn(arg);
#endif
}

#endif

#endif
