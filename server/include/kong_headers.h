/* Names with one or several values: headers, and arguments of a query. Part of kong.h.
 *
 *     struct kong_headers headers;
 *     int error = kong_request_get_headers(kong, 0, &headers);
 *     if (error != 0) {
 *         return error;
 *     }
 *     struct kong_str type = kong_headers_get(&headers, "Content-Type");
 *     for (size_t i = 0; i < headers.count; i++) {
 *         const struct kong_header *header = &headers.items[i];
 *         for (size_t j = 0; j < header->count; j++) {
 *             ... header->name.data, header->values[j].data ...
 *         }
 *     }
 */
#ifndef KONG_HEADERS_H
#define KONG_HEADERS_H

#include "kong_event.h"

#ifdef __cplusplus
extern "C" {
#endif

/* --- Headers and queries --- */

/* One name with all of its values. */
struct kong_header {
    struct kong_str name;          /* as Kong gives it: headers in lower case */
    const struct kong_str *values; /* in the order in which they came; "" for an empty one */
    size_t count;                  /* at least 1 */
    bool flag; /* an argument of a query without `=`, as in `?a`: its value here is "" */
};

/* All of them, in no particular order. */
struct kong_headers {
    const struct kong_header *items;
    size_t count;
    bool exact; /* names are compared exactly (queries), else without regard to case (headers) */
};

/* The values of one name; NULL when there is no such name. */
const struct kong_header *kong_headers_find(const struct kong_headers *headers, const char *name);

/* The first value of one name; "" for an empty value and for a flag, nil when there is no such
 * name. */
struct kong_str kong_headers_get(const struct kong_headers *headers, const char *name);

/* The same as a map, as kong_service_request_set_query, kong_service_request_set_headers and
 * kong_response_set_headers take it: a string, a list where there are several values, true for a
 * flag. KONG_E_NOMEM. */
int kong_headers_to_map(struct kong *kong, const struct kong_headers *headers,
                        struct kong_value *map) KONG_NONNULL(1, 3);

#ifdef __cplusplus
}
#endif

#endif
