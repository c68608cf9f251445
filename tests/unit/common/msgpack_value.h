#ifndef TESTS_UNIT_MSGPACK_VALUE_H
#define TESTS_UNIT_MSGPACK_VALUE_H

#include "buffer.h"
#include "protocol.h"

/* One value, alone. Strings go out as str; keys of maps as str; nils as they are; a KONG_NUMBER as
 * float64 whatever it is. */
int msgpack_encode_value(struct buffer *out, const struct kong_value *value);
int msgpack_decode_value(struct arena *arena, const uint8_t *data, size_t len,
                         struct kong_value *value);

#endif
