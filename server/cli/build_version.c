#include "build_version.h"

/* The library's: an object that is linked before the library takes its place. */
const char *build_version(void) {
    return "kong-pdk " KONG_PDK_VERSION;
}
