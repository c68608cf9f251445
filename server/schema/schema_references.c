/* Vault references. Kong applies rules to a reference only, never to the secret that it puts into
 * its place. From 3.0 on it says which value was one, under "$refs" beside it; 2.8 does not, and no
 * rule is missed where none is applied: Kong has done so. */
#include "schema_internal.h"

#include <string.h>

/* {vault://...}. */
static bool reference_is(const json_t *value) {
    static const char PREFIX[] = "{vault://";
    const char *text = json_string_value(value);
    size_t len = json_string_length(value);

    return text != NULL && len >= sizeof PREFIX - 1 &&
           memcmp(text, PREFIX, sizeof PREFIX - 1) == 0 && text[len - 1] == '}';
}

bool reference_exempts(const struct checker *checker, const struct kong_field *field,
                       const json_t *value) {
    return field->referenceable && (checker->source == SCHEMA_FROM_KONG || reference_is(value));
}
