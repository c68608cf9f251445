/* JSON texts: any bytes are read within their bounds; what is read can be written and reads as the
 * same again. */
#include "fuzz.h"

#include <stdlib.h>

#include "json_text.h"
#include "limit.h"
#include "value.h"
#include "value_equal.h"

static void again(struct arena *arena, const struct kong_value *value) {
    struct kong_value second;
    struct kong_str text;
    struct json_fault fault = {NULL, 0};
    const char *what = NULL;
    REQUIRE(json_write(arena, value, &text, &what) == KONG_OK);
    REQUIRE(json_read(arena, text, &second, &fault) == KONG_OK);
    REQUIRE(value_equal(value, &second));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len) {
    struct arena arena;
    struct kong_value value;
    struct json_fault fault = {NULL, 0};
    char *text = malloc(len > 0 ? len : 1); /* exactly these bytes on the heap */
    REQUIRE(text != NULL);
    if (len > 0) {
        memcpy(text, data, len);
    }
    arena_init(&arena, LIMIT_EVENT_MEMORY);
    int error = json_read(&arena, (struct kong_str){text, len}, &value, &fault);
    if (error == KONG_OK) {
        fuzz_touch_value(&value);
        again(&arena, &value);
    } else {
        REQUIRE(error == KONG_E_INVALID || error == KONG_E_TOO_BIG || error == KONG_E_NOMEM);
        REQUIRE(value.type == KONG_NIL);
        REQUIRE(fault.at <= len && (error == KONG_E_NOMEM || fault.what != NULL));
    }
    arena_free(&arena);
    free(text);
    return 0;
}
